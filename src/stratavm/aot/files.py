"""Files that are whole whenever somebody looks: written beside their place, then renamed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from stratavm.base.forms import Final

ASIDE: Final = ".aside-"


def write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes], *, executable: bool = False) -> None:
    """Write a file, or nothing of it. Where a pipe or a device is, it is written to.

    Raises:
        OSError: it cannot be written; it names ``path``. What was there is there still.
    """
    try:
        _write_whole(path, pieces, executable)
    except OSError as error:  # of a file aside, which is nobody's business, or of none
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None


def _write_whole(path: str | os.PathLike[str], pieces: Iterable[bytes], executable: bool) -> None:
    target = os.path.realpath(path)  # the file that a link leads to, and not the link
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(target).st_mode):
            with open(target, "wb", buffering=0) as file:
                _write(file.fileno(), pieces)
            return
    folder, name = os.path.split(target)
    aside = os.path.join(folder, f"{ASIDE}{os.getpid()}-{os.urandom(8).hex()}")
    number = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o777 if executable else 0o666)
    try:
        try:
            _write(number, pieces)
            os.fsync(number)  # or a crash of the machine may leave an empty file in the place of what was there
        finally:
            os.close(number)
        os.rename(aside, os.path.join(folder, name))
    except BaseException:
        with suppress(OSError):
            os.unlink(aside)
        raise


def _write(number: int, pieces: Iterable[bytes]) -> None:
    for piece in pieces:
        view = memoryview(piece)
        while view:
            view = view[os.write(number, view) :]
