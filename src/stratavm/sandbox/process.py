"""Starting a process that ends with this one and inherits nothing but what it is given."""

from __future__ import annotations

import marshal
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from stratavm.base.forms import IO, Any, Final, TypeAlias

KEPT: Final = (
    "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "FORCE_COLOR", "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LINES",
    "NO_COLOR", "TERM", "TZ",
)  # fmt: skip
"""Variables that the process gets, with all whose names begin as in ``KEPT_FAMILIES``: none holds a secret."""
KEPT_FAMILIES: Final = ("LC_", "PYTHON", "STRATA_")

BOOT: Final = """\
import sys
root = sys.argv.pop(1)
sys.path.insert(0, root)
import stratavm
sys.path.remove(root)
from stratavm.sandbox.child import main
sys.exit(main())
"""
"""Finds this very package, and nothing else in its folder."""

Stream: TypeAlias = "int | IO[Any] | None"


def start(
    entry: str,
    data: Mapping[str, Any],
    *,
    streams: tuple[Stream, Stream, Stream] = (None, None, None),
    variables: Iterable[str] = (),
    pass_fds: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start a process that calls ``entry`` (``module:function``) with ``data`` and ends with its result.

    Args:
        entry: the function; it gets ``data``.
        data: plain data, as ``marshal`` takes it.
        streams: standard input, output and error, as ``subprocess.Popen`` takes them.
        variables: names of environment variables that it gets besides the usual ones.
        pass_fds: descriptors that it gets besides.

    Raises:
        OSError: it cannot be started.
        RuntimeError: this Python does not know its own interpreter.
    """
    if not sys.executable:
        raise RuntimeError("cannot start a process: this Python does not know its interpreter (sys.executable)")
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    with os.fdopen(os.memfd_create("strata-request", os.MFD_CLOEXEC), "w+b") as request:
        marshal.dump((entry, dict(data)), request)
        request.seek(0)
        number = request.fileno()
        command = [sys.executable, *_flags(), "-c", BOOT, root, str(os.getpid()), str(number)]
        stdin, stdout, stderr = streams
        child = None
        try:
            with _ctrl_c_later():
                child = subprocess.Popen(
                    command,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    env=environment(variables),
                    pass_fds=(number, *pass_fds),
                )
        except BaseException:  # the Ctrl-C that was held back: nobody else knows of the process yet
            if child is not None:
                with child:
                    child.kill()
            raise
        return child


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """A process that starts in here gets no Ctrl-C until it says so (``child.main``): Python's own start would answer
    with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def name_of(number: int) -> str:
    """The name of a signal: ``SIGTERM``; those for real time have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _flags() -> list[str]:
    """What this interpreter was told not to trust, the new one does not either: ``python -I`` reads no PYTHONPATH."""
    flags = {"-E": sys.flags.ignore_environment, "-s": sys.flags.no_user_site, "-S": sys.flags.no_site}
    return ["-P", *(flag for flag, given in flags.items() if given)]


def environment(more: Iterable[str] = ()) -> dict[str, str]:
    """The variables of this process that the new one gets: those it needs and those that are named."""
    wanted = {*KEPT, *more}
    return {k: v for k, v in os.environ.items() if k in wanted or k.startswith(KEPT_FAMILIES)}
