"""Examples in the libraries' own pages, found and checked by the guest: what each module prints is compared as well."""

import doctest
import importlib
import io
import re
import sys
import warnings
import zlib

import matplotlib

matplotlib.use("Agg")
warnings.simplefilter("ignore")
NAMES = "collections difflib fractions statistics scipy.signal._waveforms sklearn.metrics._ranking"
attempted = 0
for name in NAMES.split():
    module = importlib.import_module(name)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    kept, sys.stdout = sys.stdout, io.StringIO()
    try:
        result = doctest.testmod(module, optionflags=options)
    finally:
        kept, sys.stdout = sys.stdout, kept
    attempted += result.attempted
    said = re.sub(r"0x[0-9a-f]{4,}", "0x", kept.getvalue())
    print(name, result.attempted, result.failed, zlib.crc32(said.encode()))
print(attempted)
