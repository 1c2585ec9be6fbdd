"""Files and directories of the host. Directories act only through ``resolve``; regular files and directories are all
that can be opened: FIFOs, sockets and devices are refused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Generator, Sequence

from stratavm.base.forms import ClassVar, Final, TypeVar
from stratavm.wasi.abi import DIRECTORY_RIGHTS, FILE_RIGHTS, Fdflags, Filetype, Oflags, Whence
from stratavm.wasi.channel import DISK_CACHED, move_now
from stratavm.wasi.descriptor import FILE_PIECE, SHORT_PIECE, Descriptor, Directory, Entry, Opening, Stat, Times
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guarded import guard_of
from stratavm.wasi.openat2 import resolver_for
from stratavm.wasi.resolve import MAX_LINKS, OPEN_ALWAYS, Resolver, in_parent, parted

T = TypeVar("T")

FILETYPES: Final = {
    stat.S_IFREG: Filetype.REGULAR_FILE,
    stat.S_IFDIR: Filetype.DIRECTORY,
    stat.S_IFLNK: Filetype.SYMBOLIC_LINK,
    stat.S_IFCHR: Filetype.CHARACTER_DEVICE,
    stat.S_IFBLK: Filetype.BLOCK_DEVICE,
    stat.S_IFSOCK: Filetype.SOCKET_STREAM,
}
ADVICES: Final = (
    os.POSIX_FADV_NORMAL, os.POSIX_FADV_SEQUENTIAL, os.POSIX_FADV_RANDOM, os.POSIX_FADV_WILLNEED,
    os.POSIX_FADV_DONTNEED, os.POSIX_FADV_NOREUSE,
)  # fmt: skip
UNKNOWN_POSITION: Final = -1
"""What moves a file's position, or changes how writing does, leaves it to the kernel to know: ``DescriptorState``."""
WHENCES: Final = {Whence.SET: os.SEEK_SET, Whence.CUR: os.SEEK_CUR, Whence.END: os.SEEK_END}


def filetype_of(mode: int) -> Filetype:
    """The WASI type of a file by its mode; a FIFO has none."""
    return FILETYPES.get(stat.S_IFMT(mode), Filetype.UNKNOWN)


def stat_of(found: os.stat_result) -> Stat:
    """Attributes; times before 1970 become 0, since WASI's are unsigned."""
    atim, mtim, ctim = (max(t, 0) for t in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns))
    filetype = filetype_of(found.st_mode)
    return Stat(found.st_dev, found.st_ino, filetype, found.st_nlink, found.st_size, atim, mtim, ctim)


def utime_ns(times: Times, now: os.stat_result) -> tuple[int, int]:
    """Both times, those that stay taken from the file."""
    atim, mtim = times
    return (now.st_atime_ns if atim is None else atim, now.st_mtime_ns if mtim is None else mtim)


def _set_times_once_open(parent: int, name: bytes, times: Times) -> None:
    """Timestamps by a descriptor: all that a process may set whose system calls are filtered."""
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.utime(fd, ns=utime_ns(times, os.fstat(fd)))
    finally:
        os.close(fd)


class HostFile(Descriptor):
    """A regular file of the host."""

    filetype = Filetype.REGULAR_FILE
    on_host = slow = True
    piece_bytes = FILE_PIECE
    default_rights: ClassVar[int] = FILE_RIGHTS

    def __init__(self, fd: int, flags: int, read_only: bool = False) -> None:
        super().__init__()
        self.fd, self.flags, self.read_only = fd, flags, read_only
        if type(self) is HostFile:  # an embedder's own kind has its own ways
            self.positioned = self.stats = True
            self.disk = DISK_CACHED
            self.short_read = self.short_write = SHORT_PIECE

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Read at the position."""
        self.position = UNKNOWN_POSITION
        return os.readv(self.fd, buffers) if buffers else 0

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Write at the position, or at the end with APPEND."""
        self.position = UNKNOWN_POSITION
        return os.writev(self.fd, buffers) if buffers else 0

    def pread(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Read at an offset."""
        return os.preadv(self.fd, buffers, offset) if buffers else 0

    def pwrite(self, buffers: Sequence[memoryview], offset: int) -> int:
        """Write at an offset; at the end with APPEND, as Linux does."""
        return os.pwritev(self.fd, buffers, offset) if buffers else 0

    def move_now(self, write: bool, buffers: Sequence[memoryview], offset: int | None = None) -> int:
        """As far as no disk is waited for."""
        if not buffers:
            return 0
        if offset is None:
            self.position = UNKNOWN_POSITION
        return move_now(self.fd, write, buffers, offset)

    def seek(self, delta: int, whence: Whence) -> int:
        """Move the position."""
        self.position = UNKNOWN_POSITION
        return os.lseek(self.fd, delta, WHENCES[whence])

    def stat(self) -> Stat:
        """Attributes."""
        return stat_of(os.fstat(self.fd))

    def set_size(self, size: int) -> None:
        """Truncate or extend."""
        os.ftruncate(self.fd, size)

    def allocate(self, offset: int, length: int) -> None:
        """Reserve space."""
        os.posix_fallocate(self.fd, offset, length)

    def set_times(self, times: Times) -> None:
        """Set timestamps."""
        os.utime(self.fd, ns=utime_ns(times, os.fstat(self.fd)))

    def set_flags(self, flags: int) -> None:
        """APPEND goes to the host; NONBLOCK means nothing for a file."""
        if flags == self.flags:  # nobody else changes them: the guest's files are opened for it alone
            return
        super().set_flags(flags)
        self.position = UNKNOWN_POSITION
        old = fcntl.fcntl(self.fd, fcntl.F_GETFL)
        append = os.O_APPEND if flags & Fdflags.APPEND else 0
        fcntl.fcntl(self.fd, fcntl.F_SETFL, old & ~os.O_APPEND | append)

    def sync(self, data_only: bool) -> None:
        """Write through."""
        (os.fdatasync if data_only else os.fsync)(self.fd)

    def advise(self, offset: int, length: int, advice: int) -> None:
        """Pass the advice on."""
        os.posix_fadvise(self.fd, offset, length, ADVICES[advice])

    def available(self) -> int:
        """What is left behind the position."""
        return max(os.fstat(self.fd).st_size - os.lseek(self.fd, 0, os.SEEK_CUR), 0)

    def close(self) -> None:
        """Close."""
        os.close(self.fd)


class HostDirectory(Directory):
    """A directory of the host."""

    on_host = slow = True
    default_rights: ClassVar[int] = DIRECTORY_RIGHTS

    def __init__(self, fd: int, resolver: Resolver, read_only: bool = False) -> None:
        super().__init__()
        self.fd, self.resolver, self.read_only = fd, resolver, read_only
        self.stats = type(self) is HostDirectory

    def stat(self) -> Stat:
        """Attributes of the directory itself."""
        return stat_of(os.fstat(self.fd))

    def set_times(self, times: Times) -> None:
        """Timestamps of the directory itself."""
        self.changing()
        os.utime(self.fd, ns=utime_ns(times, os.fstat(self.fd)))

    def sync(self, data_only: bool) -> None:
        """Write through."""
        os.fsync(self.fd)

    def close(self) -> None:
        """Close."""
        os.close(self.fd)

    def entries(self) -> Generator[Entry, None, None]:
        """All entries. ``..`` has the directory's own inode: the one above is nobody's business. Names that are not
        UTF-8 are left out, since no path can name them."""
        own = os.fstat(self.fd).st_ino
        yield Entry(b".", own, Filetype.DIRECTORY)
        yield Entry(b"..", own, Filetype.DIRECTORY)
        # Opened anew, since a listing has a position, which listings on other threads would move.
        fd = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            with os.scandir(fd) as scan:
                for item in scan:
                    try:
                        name = item.name.encode()
                    except UnicodeEncodeError:
                        continue
                    yield Entry(name, item.inode(), _entry_type(item))
        finally:
            os.close(fd)

    # ---- paths --------------------------------------------------------------------------------------

    def open(self, path: bytes, how: Opening) -> Descriptor:
        """Open a file or directory."""
        changes = how.write or how.oflags & (Oflags.CREAT | Oflags.TRUNC)
        if changes and self.read_only:
            self._refuse_change(path, how)
        if how.oflags & Oflags.CREAT and path.endswith(b"/"):
            raise WasiError(Errno.ISDIR)
        fd = self.resolver.open(self.fd, path, open_flags(how), 0o666)
        try:
            mode = os.fstat(fd).st_mode
            if stat.S_ISDIR(mode):
                found = HostDirectory(fd, self.resolver, self.read_only)
                found.realm = self.realm
                return found
            if stat.S_ISREG(mode):
                return HostFile(fd, how.flags, self.read_only)
            raise WasiError(Errno.PERM)
        except BaseException:
            os.close(fd)
            raise

    def _refuse_change(self, path: bytes, how: Opening) -> None:
        """Read-only: CREAT alone still opens what exists."""
        if how.write or how.oflags & Oflags.TRUNC:
            self.changing()
        try:
            self.path_stat(path, how.follow)
        except FileNotFoundError:
            self.changing()
        if how.oflags & Oflags.EXCL:
            raise WasiError(Errno.EXIST)

    def path_stat(self, path: bytes, follow: bool) -> Stat:
        """Attributes, through a descriptor that gives no other access."""
        flags = os.O_PATH | (0 if follow else os.O_NOFOLLOW)
        fd = self.resolver.open(self.fd, path, flags)
        try:
            return stat_of(os.fstat(fd))
        finally:
            os.close(fd)

    def path_set_times(self, path: bytes, follow: bool, times: Times) -> None:
        """Timestamps of a path."""
        self.changing()

        def act(parent: int, name: bytes) -> None:
            now = os.stat(name, dir_fd=parent, follow_symlinks=False)
            try:
                os.utime(name, ns=utime_ns(times, now), dir_fd=parent, follow_symlinks=False)
            except PermissionError:  # behind the wall, paths are not to be had
                if not stat.S_ISREG(now.st_mode) and not stat.S_ISDIR(now.st_mode):
                    raise
                _set_times_once_open(parent, name, times)

        self._on_file(path, follow, act)

    def readlink(self, path: bytes) -> bytes:
        """Target of a link."""
        target = self._on_entry(path, lambda parent, name: os.readlink(name, dir_fd=parent), slash=Errno.INVAL)
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM)  # it names a place of the host
        return target

    def mkdir(self, path: bytes) -> None:
        """Create a directory."""
        self.changing()
        self._on_entry(path, lambda parent, name: os.mkdir(name, 0o777, dir_fd=parent), dots=Errno.EXIST)

    def rmdir(self, path: bytes) -> None:
        """Remove an empty directory."""
        self.changing()
        self._on_entry(path, lambda parent, name: os.rmdir(name, dir_fd=parent), dots=Errno.INVAL)

    def unlink(self, path: bytes) -> None:
        """Remove a file or link."""
        self.changing()

        def act(parent: int, name: bytes) -> None:
            if is_directory(parent, name):
                raise WasiError(Errno.ISDIR)
            if path.endswith(b"/"):
                raise WasiError(Errno.NOTDIR)
            os.unlink(name, dir_fd=parent)

        self._on_entry(path, act, dots=Errno.ISDIR)

    def symlink(self, target: bytes, path: bytes) -> None:
        """Create a link. One to an absolute path is refused: it would mean something else to the host."""
        self.changing()
        if target.startswith(b"/"):
            raise WasiError(Errno.PERM)
        self._on_entry(
            path, lambda parent, name: os.symlink(target, name, dir_fd=parent), dots=Errno.EXIST, slash=Errno.NOENT
        )

    def link(self, path: bytes, follow: bool, other: Directory, new_path: bytes) -> None:
        """Create a hard link. Both directories must be writable: the new name gives write access to the file."""
        self.changing()
        other, new_path = other.landing(new_path)
        other.changing()
        target = self._same_realm(other)

        def act(parent: int, name: bytes) -> None:
            os.stat(name, dir_fd=parent, follow_symlinks=False)  # what is not there is reported before the new name is
            target._on_entry(
                new_path,
                lambda to, new: os.link(name, new, src_dir_fd=parent, dst_dir_fd=to, follow_symlinks=False),
                dots=Errno.EXIST,
                slash=Errno.NOENT,
            )

        self._on_file(path, follow, act)

    def rename(self, path: bytes, other: Directory, new_path: bytes) -> None:
        """Move. Both directories must be writable."""
        self.changing()
        other, new_path = other.landing(new_path)
        other.changing()
        target = self._same_realm(other)

        slashed = path.endswith(b"/") or new_path.endswith(b"/")

        def act(parent: int, name: bytes) -> None:
            def move(to: int, new: bytes) -> None:
                if slashed and not is_directory(parent, name):
                    raise WasiError(Errno.NOTDIR)
                os.rename(name, new, src_dir_fd=parent, dst_dir_fd=to)

            target._on_entry(new_path, move, dots=Errno.BUSY)

        self._on_entry(path, act, dots=Errno.BUSY)

    def _same_realm(self, other: Directory) -> HostDirectory:
        """Links and renames stay on the host's file systems, and within a mount."""
        if not isinstance(other, HostDirectory) or other.realm is not self.realm:
            raise WasiError(Errno.XDEV)
        return other

    def _on_entry(
        self,
        path: bytes,
        act: Callable[[int, bytes], T],
        dots: Errno = Errno.INVAL,
        slash: Errno | None = None,
    ) -> T:
        """Act on a name in its parent, following no link there. ``dots`` is the error for ``.`` and ``..``, ``slash``
        the one for a trailing slash where that makes no sense."""
        parent, name, slashed = parted(path)
        if name in (b".", b".."):
            os.close(self.resolver.open(self.fd, path, os.O_PATH))  # one that leads out is refused as such
            raise WasiError(dots)
        if slashed and slash is not None:
            raise WasiError(slash)
        return in_parent(self.resolver, self.fd, parent, lambda fd: act(fd, name))

    def _on_file(self, path: bytes, follow: bool, act: Callable[[int, bytes], T]) -> T:
        """Act on what a path means: links in the last place are followed by hand, each from the top, so that ``act``
        itself never follows one."""
        for _ in range(MAX_LINKS + 1):
            parent, name, slashed = parted(path)
            if name in (b".", b".."):
                fd = self.resolver.open(self.fd, path, os.O_PATH | os.O_DIRECTORY)
                try:
                    return act(fd, b".")
                finally:
                    os.close(fd)
            target = in_parent(self.resolver, self.fd, parent, lambda fd, name=name: link_target(fd, name))  # type: ignore[misc]
            if target is None or not (follow or slashed):
                if slashed and self.path_stat(path, True).filetype != Filetype.DIRECTORY:
                    raise WasiError(Errno.NOTDIR)
                return in_parent(self.resolver, self.fd, parent, lambda fd, name=name: act(fd, name))  # type: ignore[misc]
            if target.startswith(b"/"):
                raise WasiError(Errno.PERM)
            path = parent + b"/" + target + (b"/" if slashed else b"")
        raise WasiError(Errno.LOOP)


def open_flags(how: Opening) -> int:
    """The host's flags. Linux truncates with O_RDONLY too: whether TRUNC is allowed was asked before."""
    flags = OPEN_ALWAYS | (0 if how.follow else os.O_NOFOLLOW)
    flags |= os.O_DIRECTORY if how.oflags & Oflags.DIRECTORY else 0
    flags |= os.O_RDWR if how.read and how.write else os.O_WRONLY if how.write else os.O_RDONLY
    for bit, host in ((Oflags.CREAT, os.O_CREAT), (Oflags.EXCL, os.O_EXCL), (Oflags.TRUNC, os.O_TRUNC)):
        flags |= host if how.oflags & bit else 0
    flags |= os.O_APPEND if how.flags & Fdflags.APPEND else 0
    flags |= os.O_DSYNC if how.flags & (Fdflags.DSYNC | Fdflags.RSYNC) else 0
    return flags | (os.O_SYNC if how.flags & Fdflags.SYNC else 0)


def is_directory(parent: int, name: bytes) -> bool:
    """Whether a name is a directory itself."""
    return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)


def link_target(parent: int, name: bytes) -> bytes | None:
    """Where a link points; None for what is none, or is not there."""
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _entry_type(item: os.DirEntry[str]) -> Filetype:
    """The type of an entry, from the directory where it says so."""
    if item.is_symlink():
        return Filetype.SYMBOLIC_LINK
    if item.is_dir(follow_symlinks=False):
        return Filetype.DIRECTORY
    if item.is_file(follow_symlinks=False):
        return Filetype.REGULAR_FILE
    try:
        return filetype_of(item.stat(follow_symlinks=False).st_mode)
    except OSError:
        return Filetype.UNKNOWN


def open_host_directory(path: object) -> HostDirectory:
    """Open a directory that the host grants; here, and only here, a path of the host is opened plainly."""
    name = os.fspath(path)  # type: ignore[call-overload]
    fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return HostDirectory(fd, guard_of(fd, name) or resolver_for(fd))
    except BaseException:
        os.close(fd)
        raise
