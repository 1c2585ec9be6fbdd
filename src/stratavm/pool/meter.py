"""Processor time of turns. Asking the kernel for it takes a microsecond, the clock on the wall a twentieth of that."""

from __future__ import annotations

import time
from collections.abc import Callable

from stratavm.base.forms import Final

LONG_NS: Final = 200_000
"""A turn that takes longer by the wall may have been interrupted by other threads: then the kernel is asked."""


class Meter:
    """Measures turns of one thread, one after the other.

    Args:
        cpu_clock: its processor time in nanoseconds, for both clocks; None: those of the system.
    """

    def __init__(self, cpu_clock: Callable[[], int] | None) -> None:
        self.wall_ns = cpu_clock or time.perf_counter_ns
        self.cpu_ns = cpu_clock or time.thread_time_ns
        self._asked_ns = 0

    def taken(self, began_ns: int) -> int:
        """What a turn took that began then by ``wall_ns``, in nanoseconds.

        It took no more than has passed, and no more than the thread has run since the kernel was asked last.
        """
        took = self.wall_ns() - began_ns
        if took > LONG_NS:
            asked_ns, self._asked_ns = self._asked_ns, self.cpu_ns()
            took = min(took, self._asked_ns - asked_ns)
        return took
