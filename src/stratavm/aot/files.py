"""Files that are whole whenever somebody looks: written beside their place, then renamed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from stratavm.base.forms import Final

ASIDE: Final = ".aside-"
MOST_LINKS: Final = 40
"""Links that are followed one after the other, as many as Linux does."""


def write_whole(
    path: str | os.PathLike[str],
    pieces: Iterable[bytes],
    *,
    executable: bool = False,
    replace: bool = False,
    private: bool = False,
) -> None:
    """Write a file, or nothing of it. Where a pipe or a device is, it is written to.

    Args:
        path: where; of a link, the file that it leads to.
        pieces: what is in it.
        executable: whoever may read it may run it, as the umask allows.
        replace: the file is to look as if what is there had been written over: who may do what with it stays, one that
            is not for writing is left alone, and a descriptor's (/dev/stdout) is written to.
        private: nobody but this user may read it.

    Raises:
        OSError: it cannot be written; it names ``path``. What was there is there still.
    """
    try:
        _write_whole(path, pieces, 0o600 if private else 0o777 if executable else 0o666, replace)
    except OSError as error:  # of a file aside, which is nobody's business, or of none
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes], mode: int, replace: bool) -> None:
    old = None
    with suppress(FileNotFoundError):
        old = os.stat(path)
    if old is None and not os.path.basename(os.fspath(path)):  # none at all, or what only a folder is called
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if old is not None and (not stat.S_ISREG(old.st_mode) or (replace and _is_descriptor(os.fsdecode(path)))):
        with open(path, "wb", buffering=0) as file:
            _write(file.fileno(), pieces)
        return
    target = os.path.realpath(path)  # the file that a link leads to, and not the link
    if old is not None and replace and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    folder, name = os.path.split(target)
    aside = os.path.join(folder, f"{ASIDE}{os.getpid()}-{os.urandom(8).hex()}")
    model = old if replace else None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    number = os.open(aside, flags, 0o600 if model else mode)
    try:
        try:
            if model:
                _hand_over(number, model)  # first: nobody reads meanwhile what only some may read
            _write(number, pieces)
            os.fsync(number)  # or a crash of the machine may leave an empty file in the place of what was there
        finally:
            os.close(number)
        os.rename(aside, os.path.join(folder, name))
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)
        raise


def _is_descriptor(path: str) -> bool:
    """Whether a path leads through a descriptor of a process, as /dev/stdout does: who opened it looks at that file,
    and not at what its name means later."""
    for _ in range(MOST_LINKS):
        folder, name = os.path.split(os.path.abspath(path))
        folder = os.path.realpath(folder)
        if folder.startswith("/proc/"):
            return True
        try:
            path = os.path.join(folder, os.readlink(os.path.join(folder, name)))
        except OSError:  # no link
            return False
    return False


def _hand_over(number: int, old: os.stat_result) -> None:
    """Give an open file the owner and the mode of another one, as far as this user and the file system may."""
    new = os.fstat(number)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):
            os.fchown(number, old.st_uid, old.st_gid)
    with suppress(PermissionError):
        os.fchmod(number, stat.S_IMODE(old.st_mode))


def _write(number: int, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(number, view) :]
