"""What stands behind a guest's file descriptor: the two interfaces, file-like and directory, and what they default to.

A method that a kind of descriptor does not have refuses with the error number that POSIX would give.
"""

from __future__ import annotations

from _collections_abc import Callable, Coroutine, Generator, Sequence
from errno import EAGAIN
from os import strerror

from stratavm.base.forms import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, NoReturn
from stratavm.wasi.abi import ALL_RIGHTS, Fdflags, Filetype, Rights, Whence
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.held import Held
from stratavm.wasi.patience import NO_PIECES as NO_PIECES
from stratavm.wasi.state import DescriptorState

if TYPE_CHECKING:
    from array import array

    from stratavm.wasi.quotas import Quotas

Times = tuple[int | None, int | None]
"""New access and modification time in nanoseconds; None keeps."""

BAD_FILE_RIGHTS: Final = Rights.FD_READ | Rights.FD_WRITE | Rights.FD_SEEK | Rights.FD_TELL
"""Rights whose absence POSIX knows as EBADF: the descriptor was not opened for that."""


FILE_PIECE: Final = 16 << 20
"""Bytes of a file that are read or written at a time: disks and memory do that in milliseconds."""
SHORT_PIECE: Final = 1 << 20
"""Bytes of a file that a short way reads or writes at most."""


class Stat(NamedTuple):
    """Attributes of a file; times in nanoseconds since 1970, never negative."""

    dev: int
    ino: int
    filetype: Filetype
    nlink: int
    size: int
    atim: int
    mtim: int
    ctim: int


class Entry(NamedTuple):
    """An entry of a directory."""

    name: bytes
    ino: int
    filetype: Filetype


class Listing(Held):
    """The entries of a directory as a guest reads them, and what they take.

    Attributes: ``records`` in the layout of preview 1; ``starts`` says where the record behind each cookie begins.
    """

    records: bytearray
    starts: array[int]

    def behind(self, cookie: int, size: int) -> bytearray:
        """So many bytes from a cookie on, or what there is."""
        if cookie >= len(self.starts):
            return bytearray()
        start = self.starts[cookie]
        return self.records[start : start + size]


class Opening(NamedTuple):
    """How ``path_open`` wants a file."""

    oflags: int
    flags: int
    follow: bool
    read: bool
    write: bool


class Descriptor(DescriptorState):
    """An open file, stream, socket or directory. Its methods never wait: ``BlockingIOError`` says that they would.

    A call that uses a descriptor stands in ``users`` until it ends, and only what has no number any more and no user is
    closed: nobody acts on a number of the host's that was given back, whoever closes, on whatever thread.

    Attributes: ``flags`` are the guest's; ``rights`` and ``inheriting`` can only shrink; ``preopen`` is the guest's
    name of a pre-opened directory. ``read_only`` refuses every change, whatever the rights say. ``gone`` is set when
    the last number was taken away; ``counted`` says that it is one of those that guests opened on the host;
    ``held`` is what it holds of the host's memory; ``ends`` are told, on any thread, that it is gone.
    """

    filetype: Filetype = Filetype.UNKNOWN
    default_rights: ClassVar[int] = ALL_RIGHTS
    on_host: ClassVar[bool] = False
    """Whether it takes a descriptor of the host's process."""
    piece_bytes: int = NO_PIECES
    """How much is read or written between two looks at whether the host wants to interrupt."""
    writes_whole: bool = False
    """Whether a write goes on until everything is written, unless the guest asked for NONBLOCK."""
    read_only: bool = False
    counted: bool = False
    opened_as: bytes | None = None
    """The path by which a guest opened it."""
    slow: ClassVar[bool] = False
    """Whether its methods wait for a disk, or for a server of files: where nothing may wait, a thread calls them."""
    watch: Any = None
    """Who has it watched by an event loop, and is to be told before ``fd`` is closed."""

    def __init__(self) -> None:
        self.rights = self.default_rights
        self.inheriting = 0
        self.users = []
        self.held: list[Held] = []
        self.ends: list[Callable[[], None]] = []
        self._open = [True]

    def is_slow(self) -> bool:
        """``slow``, where that is known only of each."""
        return self.slow

    @property
    def goes_on(self) -> bool:
        """Whether a write that moved something waits until the rest is moved too."""
        return self.writes_whole and not self.flags & Fdflags.NONBLOCK

    def leave(self, user: object) -> bool:
        """A call has ended; returns whether this closed the descriptor."""
        self.users.remove(user)
        return self.gone and self._end()

    def retire(self) -> bool:
        """Close it as soon as no call uses it; returns whether this did. It has no number any more."""
        self.gone = True
        for end in tuple(self.ends):
            end()
        return self._end()

    def _end(self) -> bool:
        """Close it unless someone uses it, once. (Lists change in one step under the interpreter's lock.)"""
        if self.users:
            return False
        try:
            self._open.pop()
        except IndexError:
            return False
        if self.watch is None:
            self.close()
        else:
            self.watch.end(self.close)
        return True

    def require(self, right: int) -> None:
        """Refuse where a right is missing."""
        missing = right & ~self.rights
        if missing:
            raise WasiError(Errno.BADF if missing & BAD_FILE_RIGHTS else Errno.NOTCAPABLE)

    def changing(self) -> None:
        """Refuse where it is read-only."""
        if self.read_only:
            raise WasiError(Errno.ROFS)

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read at the position and move it; returns the number of bytes, 0 at the end."""
        self._refuse(Errno.BADF)

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write at the position and move it; returns the number of bytes."""
        self._refuse(Errno.BADF)

    def will_keep(self, size: int) -> int:
        """How many bytes of the host's memory a write of a size takes; they are charged before it."""
        return 0

    def kept(self) -> int:
        """How many bytes there are at most of what earlier writes kept: the host may have taken some away."""
        return 0

    def no_room(self) -> None:
        """What ``will_keep`` said cannot be paid for."""
        self._refuse(Errno.NOSPC)

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Read at an offset."""
        self._refuse(Errno.SPIPE)

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Write at an offset."""
        self._refuse(Errno.SPIPE)

    def move_now(
        self, write: bool, buffers: Sequence[memoryview], offset: int | None = None
    ) -> int | Coroutine[Any, Any, int]:
        """Read or write as far as nothing waits, not for a disk either; where that is nothing at all,
        ``BlockingIOError``. What to await, where the host's own code has to wait."""
        if self.slow:
            raise BlockingIOError(EAGAIN, strerror(EAGAIN))
        if write:
            return self.write(buffers) if offset is None else self.pwrite(buffers, offset)
        return self.read(buffers) if offset is None else self.pread(buffers, offset)

    def seek(self, delta: int, whence: Whence) -> int:
        """Move the position; returns the new one."""
        self._refuse(Errno.SPIPE)

    def stat(self) -> Stat:
        """Attributes."""
        return Stat(0, 0, self.filetype, 1, 0, 0, 0, 0)

    def set_size(self, size: int) -> None:
        """Truncate or extend with zeros."""
        self._refuse(Errno.INVAL)

    def allocate(self, offset: int, length: int) -> None:
        """Make sure that a range exists."""
        self._refuse(Errno.SPIPE)

    def set_times(self, times: Times) -> None:
        """Set timestamps."""
        self._refuse(Errno.INVAL)

    def set_flags(self, flags: int) -> None:
        """Change the flags that can change: APPEND and NONBLOCK."""
        if (flags ^ self.flags) & ~(Fdflags.APPEND | Fdflags.NONBLOCK):
            raise WasiError(Errno.NOTSUP)
        self.flags = flags

    def sync(self, data_only: bool) -> None:
        """Write through to the storage; nothing to do where there is none."""

    def advise(self, offset: int, length: int, advice: int) -> None:
        """Advice on access; ignored by default."""

    def pollable(self) -> int | None:
        """A host descriptor that tells readiness; None means always ready."""
        return None

    def available(self) -> int:
        """How many bytes can be read at once, as far as it is known."""
        return 0

    def close(self) -> None:
        """Give the resources back."""

    def _refuse(self, errno: Errno) -> NoReturn:
        raise WasiError(errno)


class Directory(Descriptor):
    """An open directory: operations on paths beneath it, which can never leave it."""

    filetype = Filetype.DIRECTORY
    realm: object = None
    """Links and renames stay within: what was opened from a mount has the mount's."""

    @property
    def is_composed(self) -> bool:
        """Whether a path may lead into a mount."""
        return False

    def landing(self, path: bytes, follow: bool = False, entering: bool = False) -> tuple[Directory, bytes]:
        """The directory that really looks a path up, and what it makes of it: another one where a mount is entered;
        ``entering`` says whether a mount is that the path itself names."""
        return self, path

    @property
    def cursor(self) -> Listing | None:
        """What ``fd_readdir`` saw at cookie 0, so that cookies stay true while the directory changes: the latest of
        what is held, of which there are several after several threads listed it at once."""
        latest = self.held[-1:]
        return latest[0] if latest and isinstance(latest[0], Listing) else None

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Directories are read by ``fd_readdir``."""
        self._refuse(Errno.ISDIR)

    def entries(self) -> Generator[Entry, None, None]:
        """All entries, ``.`` and ``..`` first."""
        raise NotImplementedError

    def open(self, path: bytes, how: Opening) -> Descriptor:
        """Open or create a file or directory."""
        raise NotImplementedError

    def path_stat(self, path: bytes, follow: bool) -> Stat:
        """Attributes of a path."""
        raise NotImplementedError

    def path_set_times(self, path: bytes, follow: bool, times: Times) -> None:
        """Set timestamps of a path."""
        raise NotImplementedError

    def readlink(self, path: bytes) -> bytes:
        """Target of a symbolic link."""
        raise NotImplementedError

    def mkdir(self, path: bytes) -> None:
        """Create a directory."""
        raise NotImplementedError

    def rmdir(self, path: bytes) -> None:
        """Remove an empty directory."""
        raise NotImplementedError

    def unlink(self, path: bytes) -> None:
        """Remove what is not a directory."""
        raise NotImplementedError

    def symlink(self, target: bytes, path: bytes) -> None:
        """Create a symbolic link."""
        raise NotImplementedError

    def link(self, path: bytes, follow: bool, other: Directory, new_path: bytes) -> None:
        """Create a hard link in ``other``."""
        raise NotImplementedError

    def rename(self, path: bytes, other: Directory, new_path: bytes) -> None:
        """Move to ``other``."""
        raise NotImplementedError


class Mount:
    """A place in a tree where something else begins, seen by a directory that guests may change or may not.

    Args:
        view: the directory.
        read_only: the same, for who may change nothing.
    """

    __slots__ = ("read_only", "view")

    def __init__(self, view: Directory, read_only: Directory) -> None:
        self.view, self.read_only = view, read_only
        view.realm = read_only.realm = object()

    def seen(self, read_only: bool) -> Directory:
        """What is mounted, as a tree shows it of which nothing may be changed, or something."""
        return self.read_only if read_only else self.view


class Tree:
    """What a guest may be given as a directory besides a path: ``MemoryTree``."""

    __slots__ = ()

    def open_root(self, quotas: Quotas) -> Directory:
        """Its root, which the guest's world opens with these quotas."""
        raise NotImplementedError
