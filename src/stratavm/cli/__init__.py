"""The ``strata`` command, and what Ctrl-C does to its process: one line, never a traceback."""

import os  # and nothing that is not there already, for that takes time in which Ctrl-C is a traceback

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enumerations, whose making takes as long as ten imports

__all__ = ["command"]

INTERRUPTED = 130
"""128 and the number of SIGINT."""


def command() -> int:
    """Run the command line of this process, which ends with it; returns the exit code.

    Everything is imported in here: what comes before this call is Python's own start. While the
    command is imported Ctrl-C ends the process at once, since Python drops exceptions in some places of an import; when
    the command is done there is nothing left to interrupt.
    """
    import gc

    gc.disable()  # until the command begins its work: an import makes objects, and none that go
    try:
        ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if ours:
            signal.signal(signal.SIGINT, _leave)
        from stratavm.cli.main import command as run

        code = run(_answer if ours else _leave_as_it_is)
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        return code
    except KeyboardInterrupt:
        _say()
        return INTERRUPTED


def _answer() -> None:
    """From now on Ctrl-C is an exception."""
    signal.signal(signal.SIGINT, _interrupt)


def _leave_as_it_is() -> None:
    """Somebody else decides what Ctrl-C does: ``nohup``, say."""


def _interrupt(number: int, frame: object) -> None:
    """The first Ctrl-C is an exception; a second one, while that is reported, ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _leave(number: int, frame: object) -> None:
    """End this process."""
    _say()
    os._exit(INTERRUPTED)


def _say() -> None:
    try:
        os.write(2, b"strata: interrupted\n")
    except OSError:  # it is closed
        return
