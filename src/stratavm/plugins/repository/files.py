"""Files that nobody is believed about: read only where they are plain and short, and written all at once."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Container
from contextlib import suppress
from shlex import quote

from stratavm.base.files import read_part
from stratavm.base.forms import Final
from stratavm.base.importing import fcntl
from stratavm.base.text import printable
from stratavm.plugins.repository.spelling import Refuse
from stratavm.services.diskcache import FLAGS, aside, write_all

PATIENCE_S: Final = 30.0
KINDS: Final = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFLNK: "a link",
    stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip
WAIT_S: Final = 0.01
"""Between two looks at a lock that somebody has."""


def read_plain(
    path: str,
    most: int,
    refuse: Refuse,
    expected: str,
    *,
    at: int | None = None,
    owners: Container[int] | None = None,
    forbidden: int = 0,
) -> bytes:
    """The bytes of a plain file.

    Args:
        path: of the file; in the folder ``at`` where that is given.
        most: bytes that it may have.
        refuse: makes the error.
        expected: what it must be, for people.
        at: a descriptor of a folder.
        owners: users of whom it may be; None: of any.
        forbidden: bits of a mode, none of which it may have.

    Raises:
        OSError: there is none, or it is a link.
        Exception: what ``refuse`` made: it is no plain file, another's, open to others, or too long.
    """
    number = os.open(path, os.O_RDONLY | FLAGS, dir_fd=at)
    try:
        now = os.fstat(number)
        mode = now.st_mode
        if not stat.S_ISREG(mode):
            raise refuse("file", expected, KINDS.get(stat.S_IFMT(mode), "something else"))
        if (owners is not None and now.st_uid not in owners) or mode & forbidden:
            raise refuse("file", expected, mode_of(now))
        if now.st_size > most:
            raise refuse("size", f"at most {most} bytes", str(now.st_size))
        data: bytes = read_part(number, 0, now.st_size)
        return data
    finally:
        os.close(number)


def permitted(command: str, path: str, found: str) -> str:
    """What mends what ``read_plain`` has refused for its mode: a command of the shell. Nothing where it would not: of
    what is no plain file, or another user's.

    Args:
        command: the command.
        path: of the file, or of the folder.
        found: what was said to be found.
    """
    return (
        f"{command} {quote(printable(path))}" if found.startswith("mode") and found.endswith(_of(os.geteuid())) else ""
    )


def mode_of(now: os.stat_result) -> str:
    """Who may do what with a file, and whose it is, for people."""
    return f"mode {stat.S_IMODE(now.st_mode):04o}{_of(now.st_uid)}"


def _of(user: int) -> str:
    return f", user {user}"


def replace_in(at: int, name: str, *pieces: bytes) -> None:
    """Write a file of a folder, all at once, so that it outlives a loss of power.

    Raises:
        OSError: it cannot be written; nothing has changed then.
    """
    with aside(at) as (file, temporary):
        write_all(file, *pieces)
        os.fsync(file)
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
    os.fsync(at)


def lock(number: int, alone: bool, wait_s: float, check: Callable[[], None] = lambda: None) -> bool:
    """Lock what a descriptor is of, against other threads and processes; whether that could be in so many seconds.

    Args:
        number: the descriptor.
        alone: nobody else has it meanwhile; else others may who do not want it alone.
        wait_s: how long to wait.
        check: called while it waits; may raise.
    """
    end = time.monotonic() + wait_s
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(number, kind | fcntl.LOCK_NB)
            return True
        if time.monotonic() >= end:
            return False
        time.sleep(WAIT_S)
        check()
