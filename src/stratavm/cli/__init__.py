"""The ``strata`` command, what Ctrl-C does to its process (one line, never a traceback), and how that ends."""

import os  # and nothing that is not there already, for that takes time in which Ctrl-C is a traceback
import sys

from stratavm import _leave

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
else:
    import _signal as signal  # without the enumerations, whose making takes as long as ten imports

__all__ = ["command"]

COMMANDS = ("strata", "stratavm")
"""The scripts that call it."""
LARGE_BYTES = 1 << 22
WORDS = 9
"""Of the command line, those before that one may name the program."""
AGAIN_S = 0.01
"""Behind a Ctrl-C that Python has dropped."""
INTERRUPTED = 130
"""128 and the number of SIGINT."""
_others = sys.__unraisablehook__
"""Who is told of all else that Python drops."""


def command(so_far: "Callable[[int, FrameType | None], None] | None" = None) -> int:
    """Run the command line of this process, which ends with it; returns the exit code. ``so_far``: what its first line
    has had done on Ctrl-C.

    Everything is imported in here: what comes before this call is Python's own start. While the
    command is imported Ctrl-C ends the process at once, since Python drops exceptions in some places of an import; when
    the command is done there is nothing left to interrupt.
    """
    import gc

    gc.disable()  # until the command begins its work: an import makes objects, and none that go
    try:
        known = signal.getsignal(signal.SIGINT)
        ours = known is not None and known in (signal.default_int_handler, so_far, _leave)
        if ours:
            signal.signal(signal.SIGINT, _leave)
        from stratavm import _hook

        hot = _hook.hot
        if hot is not None:  # before anything is imported that fills memory
            hot.keep_heap()
            if _reads_much() or not hot.gives_memory_back():
                hot.large_pages()
        from stratavm.cli.main import command as run

        code = run(_answer if ours else _leave_as_it_is)
        if ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if _is_the_process(sys._getframe(1)):
            _end(code)
        return code
    except KeyboardInterrupt:
        _say()
        return INTERRUPTED


def _reads_much() -> bool:
    """Whether one of the first words is a file of megabytes, a program as a rule: that touches thousands of pages, for
    which large ones pay even where they come slowly now and then."""
    for word in sys.argv[1:WORDS]:
        try:
            if os.stat(word).st_size >= LARGE_BYTES:
                return True
        except (OSError, ValueError):  # it is something else
            pass
    return False


def _is_the_process(caller: "FrameType") -> bool:
    """Whether the process has nothing to do but this command: our script or ``python -m stratavm``, undisturbed."""
    names: list[str] = []
    frame: FrameType | None = caller
    while frame is not None:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    script = os.path.basename(caller.f_code.co_filename) in COMMANDS and len(names) == 1
    module = caller.f_globals.get("__spec__") is not None and names[1:] == ["_run_code", "_run_module_as_main"]
    watched = sys.flags.inspect or sys.flags.dev_mode or sys.warnoptions or sys._xoptions or "threading" in sys.modules
    return (script or module) and not watched and sys.gettrace() is sys.getprofile() is None


def _end(code: int) -> None:
    """End the process as Python does, without looking through every object again: the system takes them back anyway.

    It returns where Python has something to say at the end: standard output cannot be written, or threads still run.
    """
    import atexit
    from _thread import _count

    if _count():
        return
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit(code & 0xFF)


def _answer() -> None:
    """From now on Ctrl-C is an exception."""
    global _others
    signal.signal(signal.SIGINT, _interrupt)
    if sys.unraisablehook is not _dropped:
        _others, sys.unraisablehook = sys.unraisablehook, _dropped


def _leave_as_it_is() -> None:
    """Somebody else decides what Ctrl-C does: ``nohup``, say."""


def _interrupt(number: int, frame: object) -> None:
    """The first Ctrl-C is an exception; a second one, while that is reported, ends the process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise KeyboardInterrupt


def _dropped(error: "sys.UnraisableHookArgs") -> None:
    """Python tells of an exception and goes on: of one in the callback of a weak reference, say, which its import
    system has behind each import. Ctrl-C comes again where that does not hold any more, for somebody waits for it."""
    if error.exc_type is not KeyboardInterrupt:
        _others(error)
        return
    from _thread import start_new_thread

    signal.signal(signal.SIGINT, _interrupt)
    start_new_thread(_again, ())


def _again() -> None:
    from time import sleep

    sleep(AGAIN_S)
    os.kill(os.getpid(), signal.SIGINT)


def _say() -> None:
    try:
        os.write(2, b"strata: interrupted\n")
    except OSError:  # it is closed
        return
