"""Resolution of guest paths beneath a directory: host paths are opened here and in ``openat2``, and it is never left.

Two resolvers with the same results. ``KernelResolver`` asks the kernel (openat2 with RESOLVE_BENEATH). ``WalkResolver``
opens one component at a time without following links, keeps a stack of descriptors, and never opens ``..``: it pops.
Absolute paths and links to absolute paths are refused; so is whatever leads above the directory, even for a moment.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

from stratavm.base.forms import Final, Protocol, TypeVar
from stratavm.wasi.errno import Errno, WasiError

T = TypeVar("T")

OPEN_ALWAYS: Final = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""No open may block on a FIFO, take a controlling terminal, or leak into a child."""
OPEN_PARENT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
MAX_LINKS: Final = 40
MAX_DEPTH: Final = 256
"""Directories that a walk holds open at a time."""
RETRIES: Final = 16
"""How often a lost race is run again before it is reported as AGAIN."""


class Resolver(Protocol):
    """Opens paths beneath a directory."""

    name: str

    def open(self, root: int, path: bytes, flags: int, mode: int = 0) -> int:
        """Open ``path`` beneath ``root``; links inside are followed unless the flags say O_NOFOLLOW."""
        ...


class WalkResolver:
    """One component at a time, as safe where openat2 is missing."""

    name = "walk"

    def open(self, root: int, path: bytes, flags: int, mode: int = 0) -> int:
        """Open beneath ``root``; leaving it is PERM."""
        for _ in range(RETRIES):
            walk = Walk(root, split(path))
            try:
                found = walk.open(flags | os.O_CLOEXEC, mode)
            finally:
                walk.close()
            if found is not None:
                return found
        raise WasiError(Errno.AGAIN)


class Walk:
    """One resolution: the components still to come, and the directories passed (the last one is where we are)."""

    def __init__(self, root: int, pending: list[bytes]) -> None:
        self.stack = [root]
        self.pending = pending
        self.links = 0

    def close(self) -> None:
        """Close the directories passed, but not the first."""
        while len(self.stack) > 1:
            os.close(self.stack.pop())

    def open(self, flags: int, mode: int) -> int | None:
        """The descriptor, or None where the last component became a link under our hands."""
        while True:
            name = self.pending.pop()
            if name == b"..":
                self._leave()
                name = b"."
            if self.pending:
                self.enter(name)
            elif name in (b"", b"."):
                return self._open_here(flags)
            elif not self._follow_last(name, flags):
                return self._open_last(name, flags, mode)

    def _leave(self) -> None:
        if len(self.stack) == 1:
            raise WasiError(Errno.PERM)
        os.close(self.stack.pop())

    def enter(self, name: bytes) -> None:
        """Step into a directory, or put a link's target in its place."""
        if name in (b"", b"."):
            return
        if len(self.stack) > MAX_DEPTH:
            raise WasiError(Errno.NAMETOOLONG)
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.stack[-1])
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            self.stack.append(fd)
            return
        try:
            if not stat.S_ISLNK(mode):
                raise WasiError(Errno.NOTDIR)
            self._splice(os.readlink(b"", dir_fd=fd))
        finally:
            os.close(fd)

    def _open_here(self, flags: int) -> int:
        """The path ends in ``.``, ``..`` or a slash: the directory where we are."""
        if flags & os.O_CREAT:
            raise WasiError(Errno.EXIST if flags & os.O_EXCL else Errno.ISDIR)
        return os.open(b".", flags | os.O_DIRECTORY, dir_fd=self.stack[-1])

    def _follow_last(self, name: bytes, flags: int) -> bool:
        """Whether the last component is a link to follow, whose target then comes next."""
        if flags & os.O_NOFOLLOW or (flags & os.O_CREAT and flags & os.O_EXCL):
            return False
        target = _link_target(name, self.stack[-1])
        if target is not None:
            if flags & os.O_CREAT and target.endswith(b"/"):
                raise WasiError(Errno.ISDIR)
            self._splice(target)
        return target is not None

    def _open_last(self, name: bytes, flags: int, mode: int) -> int | None:
        try:
            return os.open(name, flags | os.O_NOFOLLOW, mode, dir_fd=self.stack[-1])
        except OSError as error:
            if error.errno == errno.ELOOP and not flags & os.O_NOFOLLOW:
                return None
            raise

    def _splice(self, target: bytes) -> None:
        self.links += 1
        if self.links > MAX_LINKS:
            raise WasiError(Errno.LOOP)
        self.pending.extend(split(target))


def _link_target(name: bytes, here: int) -> bytes | None:
    """Where a link points; None for what is no link."""
    try:
        return os.readlink(name, dir_fd=here)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def split(path: bytes) -> list[bytes]:
    """Components in reverse; a trailing slash leaves an empty one in front, which means "the directory"."""
    if path.startswith(b"/"):
        raise WasiError(Errno.PERM)
    if not path:
        raise WasiError(Errno.NOENT)
    parts = path.split(b"/")
    kept = [p for p in parts if p]
    if not parts[-1]:
        kept.append(b"")
    return kept[::-1]


def parted(path: bytes) -> tuple[bytes, bytes, bool]:
    """(path of the parent, last component, whether a slash follows it).

    The last component may be ``.`` or ``..``; the caller says what that means for it.
    """
    if path.startswith(b"/"):
        raise WasiError(Errno.PERM)
    stripped = path.rstrip(b"/")
    if not stripped:
        raise WasiError(Errno.NOENT)
    parent, _, name = stripped.rpartition(b"/")
    return parent or b".", name, stripped != path


def in_parent(resolver: Resolver, root: int, parent: bytes, act: Callable[[int], T]) -> T:
    """Call ``act`` with a descriptor of the parent directory."""
    if parent == b".":
        return act(root)
    fd = resolver.open(root, parent, OPEN_PARENT)
    try:
        return act(fd)
    finally:
        os.close(fd)
