"""Signals of the clock whose handlers do something in the middle of what a test runs."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Enough(Exception):
    """What a handler raises."""


def enough() -> None:
    """Raise it."""
    raise Enough


@contextmanager
def alarm(seconds: float, again: float = 0.0, act: Callable[[], object] = enough) -> Iterator[None]:
    """``act`` is called by a signal handler after so many seconds, and then in such intervals, until the block ends."""
    before = signal.signal(signal.SIGALRM, lambda *_: act())
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds, again)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
