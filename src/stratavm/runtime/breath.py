"""The one function of the runtime that must not be compiled."""


def breathe() -> None:
    """Do nothing, in Python: before a function's first instruction the interpreter's loop runs what is due, that is
    signal handlers (main thread), exceptions sent to this thread, and other threads that have waited for the GIL for
    a switch interval.
    """
