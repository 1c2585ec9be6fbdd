"""Folders that no guest gets, whatever it was given: where kept machine code lies, and the key that says whose it is.

They are known by device and inode, so that no other name, link or mount leads into them.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence

from stratavm.services.diskcache import folders_in_use
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.resolve import RETRIES, Walk, split

Identity = tuple[int, int]


class GuardedResolver:
    """A walk that does not enter these folders. For directories above them; others need none."""

    name = "guarded walk"

    def __init__(self, folders: Sequence[str]) -> None:
        self.folders = folders
        self._refused = set(_identities(folders))  # those that were there stay refused, also under another name

    def open(self, root: int, path: bytes, flags: int, mode: int = 0) -> int:
        """Open beneath ``root``; leaving it is PERM, and so is what leads into one of the folders."""
        self._refused.update(_identities(self.folders))  # each time: they may be made meanwhile
        refused = self._refused
        for _ in range(RETRIES):
            walk = _GuardedWalk(root, split(path), refused)
            try:
                found = walk.open(flags | os.O_CLOEXEC, mode)
            finally:
                walk.close()
            if found is not None:
                return _checked(found, refused)
        raise WasiError(Errno.AGAIN)


class _GuardedWalk(Walk):
    def __init__(self, root: int, pending: list[bytes], refused: set[Identity]) -> None:
        super().__init__(root, pending)
        self.refused = refused

    def enter(self, name: bytes) -> None:
        """Step into a directory that may be entered."""
        super().enter(name)
        if _identity(os.fstat(self.stack[-1])) in self.refused:
            raise WasiError(Errno.PERM)


def guard_of(root: int, path: object) -> GuardedResolver | None:
    """What must resolve paths beneath a directory that a guest is given; None where nothing of it is to be guarded.

    Raises:
        PermissionError: the directory is one of the folders itself.
    """
    folders = folders_in_use()
    given = _identity(os.fstat(root))
    if given in _identities(folders):
        raise PermissionError(errno.EPERM, "no guest gets the code that Strata keeps, or its key; give another", path)
    above = {identity for folder in folders for identity in _identities(_parents(folder))}
    return GuardedResolver(folders) if given in above else None


def refuse_beneath(folder: str, path: object) -> None:
    """Refuse a file by the folder that holds it.

    Raises:
        PermissionError: it lies in one of the folders, or below one.
    """
    refused = set(_identities(folders_in_use()))
    if refused.intersection(_identities((folder, *_parents(folder)))):
        raise PermissionError(errno.EPERM, "no guest gets the code that Strata keeps, or its key; give another", path)


def _checked(found: int, refused: set[Identity]) -> int:
    """A descriptor, if it is none of the folders."""
    now = os.fstat(found)
    if stat.S_ISDIR(now.st_mode) and _identity(now) in refused:
        os.close(found)
        raise WasiError(Errno.PERM)
    return found


def _parents(path: str) -> Iterable[str]:
    """Every directory above a path, as its links lead."""
    path = os.path.realpath(path)
    while (parent := os.path.dirname(path)) != path:
        path = parent
        yield path


def _identities(paths: Iterable[str]) -> Iterable[Identity]:
    """Of those that are there."""
    for path in paths:
        try:
            yield _identity(os.stat(path))
        except OSError:
            continue


def _identity(now: os.stat_result) -> Identity:
    return now.st_dev, now.st_ino
