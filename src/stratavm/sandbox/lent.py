"""Descriptors of this process for one that nobody trusts: what it does to them ends with it.

Flags such as O_NONBLOCK, and the position in a file, belong to what a descriptor is open on, and that is shared: with
the shell, with the rest of a pipeline. So the process gets a pipe or terminal opened anew, and whatever it did to the
flags of anything else is undone when it has ended.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from stratavm.wasi.channel import duplicate, opened_anew


@contextmanager
def lent(fd: int, *, write: bool, own_position: bool = False) -> Iterator[int | None]:
    """A number for the process to inherit instead of ``fd``, for the time of the block; None where ``fd`` is closed.

    Args:
        write: whether it is an output.
        own_position: read a file by a position of its own, which begins where ``fd`` stands; else ``fd`` moves with it.
    """
    try:
        kept = duplicate(fd)  # this process may close its own meanwhile
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        yield None
        return
    flags, given = fcntl.fcntl(kept, fcntl.F_GETFL), None
    try:
        given = _file_anew(kept) if own_position else None
        given = _anew(kept, write) if given is None else given
        yield kept if given is None else given
    finally:
        if fcntl.fcntl(kept, fcntl.F_GETFL) != flags:
            fcntl.fcntl(kept, fcntl.F_SETFL, flags)
        os.close(kept)
        if given is not None:
            os.close(given)


def _anew(fd: int, write: bool) -> int | None:
    """A pipe or terminal on a description of its own, which waits; None for anything else, or where that is refused."""
    access = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    if access not in (os.O_WRONLY if write else os.O_RDONLY, os.O_RDWR):  # never for more than it is open for
        return None
    if not stat.S_ISFIFO(os.fstat(fd).st_mode) and not os.isatty(fd):
        return None
    own = opened_anew(fd, write=write)
    if own is not None:
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) & ~os.O_NONBLOCK)
    return own


def _file_anew(fd: int) -> int | None:
    """A regular file, to read from the same position on; None for anything else, or where that is refused."""
    if not stat.S_ISREG(os.fstat(fd).st_mode) or fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        return None
    try:
        own = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    os.lseek(own, os.lseek(fd, 0, os.SEEK_CUR), os.SEEK_SET)
    return own
