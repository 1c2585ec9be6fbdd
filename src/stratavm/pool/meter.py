# strata: hot
"""Processor time of turns. Asking the kernel for it takes a microsecond, the clock on the wall a twentieth of that."""

import time

import cython

LONG_NS = 200_000  # a turn that takes longer by the wall may have been interrupted: the kernel is asked


@cython.cclass
class Meter:
    """Measures turns of one thread, one after the other.

    Args:
        cpu_clock: its processor time in nanoseconds, for both clocks; None: those of the system.
    """

    def __init__(self, cpu_clock: object):
        self.wall_ns = cpu_clock or time.perf_counter_ns
        self.cpu_ns = cpu_clock or time.thread_time_ns

    def taken(self, began_ns):
        """What a turn took that began then by ``wall_ns``, in nanoseconds.

        It took no more than has passed, and no more than the thread has run since the kernel was asked last.
        """
        took: cython.longlong = self.wall_ns() - began_ns
        if took > LONG_NS:
            before: cython.longlong = self.asked_ns
            self.asked_ns = self.cpu_ns()
            took = min(took, self.asked_ns - before)
        return took

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


@cython.cclass
class Area:
    """How many of something there were, added up over time."""

    def __init__(self, since: float = 0.0):
        self.since = since

    def add(self, change, now):
        """So many more."""
        self.seconds += self.count * (now - self.since)
        self.since = now
        self.count += change
        return 0

    def upto(self, now: float) -> float:
        """Seconds until now."""
        return self.seconds + self.count * (now - self.since)

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")
