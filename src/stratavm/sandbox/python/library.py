"""What an interpreter reads of its own: its library, whose data files are unpacked when a guest asks for them."""

from __future__ import annotations

import io
import os
from _thread import allocate_lock as Lock
from functools import partial

from stratavm.base.forms import TYPE_CHECKING, Final, dataclass
from stratavm.sandbox.python.guests import GuestRefused, stamp_of
from stratavm.wasi.memfs import MemoryTree, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from stratavm.sandbox.python.guests import Stamp

DATA: Final = "matplotlib/mpl-data.zip"
"""Inside of the library; matplotlib reads these as files."""
SHOWN: Final = "python315.zip"
"""What the interpreter calls its library."""
MOST_DATA_BYTES: Final = 64 << 20
END_OF_ARCHIVE: Final = b"PK\5\6"
MOST_END_BYTES: Final = 22 + (1 << 16)
"""Of an archive's end with its comment."""


@dataclass(frozen=True, slots=True)
class Library:
    """What an interpreter reads of its own: read only, and one for all worlds of the process.

    Attributes:
        archive: where it is.
        stamp: what it was when it was read.
    """

    folder: MemoryTree
    data: MemoryTree
    archive: str
    stamp: Stamp

    def check(self) -> None:
        """Refuse another file than it was.

        Raises:
            GuestRefused: it is one, or gone.
        """
        _check(self.archive, self.stamp)


def read_library(archive: str) -> Library:
    """The library as the guest sees it, and what it reads as files, which are unpacked when a guest asks for them.

    Raises:
        GuestRefused: it is no such archive.
    """
    stamp = stamp_of(archive)
    data = MemoryTree(limit_bytes=2 * MOST_DATA_BYTES)
    unread = Unread(data.root, partial(_read_data, archive, stamp))
    if not _has_data(archive):
        assert unread.children  # there is more to say of it
    data.root = unread
    folder = MemoryTree(limit_bytes=MOST_DATA_BYTES)
    folder.mount(SHOWN, archive)
    return Library(folder, data, archive, stamp)


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


def _check(archive: str, stamp: Stamp) -> None:
    try:
        is_the_same = stamp_of(archive) == stamp
    except OSError:
        is_the_same = False
    if not is_the_same:
        raise GuestRefused(f"{archive} is another file than it was when its interpreter was loaded")


def _read_data(archive: str, stamp: Stamp) -> dict[str, bytes]:
    """What it reads as files.

    Raises:
        GuestRefused: it is no such archive, or another one by now, or gone.
    """
    import zipfile  # here, for few programs read it

    _check(archive, stamp)
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
