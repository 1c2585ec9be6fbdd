"""What is mounted in a ``MemoryTree`` from the host: folders, and single files. Owns the descriptors by which they are
reached, one of each for all trees of the process; the tree's own names are walked by ``memfs``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from weakref import WeakValueDictionary

from stratavm.base.forms import Final
from stratavm.wasi.abi import Oflags
from stratavm.wasi.descriptor import Descriptor, Directory, Mount, Opening, Stat, Times
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guarded import guard_of, refuse_beneath
from stratavm.wasi.hostfs import HostDirectory, stat_of, utime_ns
from stratavm.wasi.openat2 import resolver_for
from stratavm.wasi.resolve import OPEN_ALWAYS, OPEN_PARENT, Resolver

Identity = tuple[int, int]
"""Device and inode."""


class Anchor:
    """A descriptor of a folder, closed when nothing is reached by it any more."""

    __slots__ = ("__weakref__", "fd")

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # at the end of the process ``os`` is gone
        close(self.fd)


ANCHORS: Final[WeakValueDictionary[Identity, Anchor]] = WeakValueDictionary()
"""Those of this process, while they are in use: an inode that is held open is not given to another folder."""


def anchored(fd: int) -> Anchor:
    """The anchor of a folder that was just opened; the descriptor is the anchor's from now on."""
    mine = Anchor(fd)
    now = os.fstat(fd)
    return ANCHORS.setdefault((now.st_dev, now.st_ino), mine)


class AnchoredDirectory(HostDirectory):
    """A folder of the host by an anchor: no guest has it as a descriptor, only what is opened from it."""

    def __init__(self, anchor: Anchor, resolver: Resolver, read_only: bool) -> None:
        super().__init__(anchor.fd, resolver, read_only)
        self.anchor = anchor

    def close(self) -> None:
        """The anchor goes with the last one that has it."""


class OneFile(Directory):
    """A regular file of the host as a mount: the path ``.`` is the file itself, and there is no other.

    It is known by device and inode: STALE where its name is another file's by now.
    """

    on_host = slow = True

    def __init__(self, folder: AnchoredDirectory, name: bytes, identity: Identity) -> None:
        super().__init__()
        self.folder, self.name, self.identity = folder, name, identity
        self.read_only = folder.read_only

    def open(self, path: bytes, how: Opening) -> Descriptor:
        """Open the file. It is truncated once it is known to be the right one, and never created."""
        if how.oflags & Oflags.CREAT and how.oflags & Oflags.EXCL:
            raise WasiError(Errno.EXIST)
        if how.oflags & Oflags.DIRECTORY:
            raise WasiError(Errno.NOTDIR)
        if how.write or how.oflags & Oflags.TRUNC:
            self.changing()
        truncates = bool(how.oflags & Oflags.TRUNC)
        # a file that is only truncated is opened for writing all the same: nothing else lets it be done by descriptor
        found = self.folder.open(self.name, how._replace(oflags=0, follow=False, write=how.write or truncates))
        try:
            self._same(found.stat())
            if truncates:
                found.set_size(0)
        except BaseException:
            found.close()
            raise
        return found

    def path_stat(self, path: bytes, follow: bool) -> Stat:
        """Attributes of the file."""
        return self._same(self.folder.path_stat(self.name, False))

    def path_set_times(self, path: bytes, follow: bool, times: Times) -> None:
        """Timestamps of the file, by a descriptor."""
        self.changing()
        folder = self.folder
        fd = folder.resolver.open(folder.fd, self.name, OPEN_ALWAYS | os.O_RDONLY | os.O_NOFOLLOW)
        try:
            now = os.fstat(fd)
            self._same(stat_of(now))
            os.utime(fd, ns=utime_ns(times, now))
        finally:
            os.close(fd)

    def readlink(self, path: bytes) -> bytes:
        """It is no link."""
        raise WasiError(Errno.INVAL)

    def link(self, path: bytes, follow: bool, other: Directory, new_path: bytes) -> None:
        """Nothing else lies in its mount."""
        raise WasiError(Errno.XDEV)

    def _same(self, found: Stat) -> Stat:
        if (found.dev, found.ino) != self.identity:
            raise WasiError(Errno.STALE)
        return found


def mount_host(path: str, writable: bool) -> tuple[Mount, bool]:
    """A folder or a regular file of the host to be mounted, and whether it is a folder.

    Raises:
        OSError: it cannot be opened, or is neither; PermissionError where it is one of what no guest gets.
    """
    if os.path.isdir(path):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return _mount(anchored(fd), path, writable), True
    file = os.stat(path)
    if not stat.S_ISREG(file.st_mode):
        raise OSError(errno.EINVAL, "neither a folder nor a regular file", path)
    parent, name = os.path.split(os.path.realpath(path))
    refuse_beneath(parent, path)
    anchor = anchored(os.open(parent, OPEN_PARENT))
    resolver = guard_of(anchor.fd, parent) or resolver_for(anchor.fd)
    identity = file.st_dev, file.st_ino
    views = [
        OneFile(AnchoredDirectory(anchor, resolver, ro), os.fsencode(name), identity) for ro in (not writable, True)
    ]
    views[0].path_stat(b".", False)  # it may have been another one's name already
    return Mount(views[0], views[1]), False


def _mount(anchor: Anchor, path: str, writable: bool) -> Mount:
    resolver = guard_of(anchor.fd, path) or resolver_for(anchor.fd)
    return Mount(AnchoredDirectory(anchor, resolver, not writable), AnchoredDirectory(anchor, resolver, True))
