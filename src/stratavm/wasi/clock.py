"""Time for the guest: the system's clocks, or a fixed time that only sleeping moves."""

from __future__ import annotations

import time

from stratavm.base.forms import Final
from stratavm.base.numbers import whole
from stratavm.engine.ports import Clock as Clock

FARTHEST_NS: Final = (1 << 62) - 1
"""Some 146 years: a time that the guest's interface can still say."""


class SystemClock:
    """The host's clocks. The monotonic one starts at zero, so that the guest learns nothing of the host's uptime.

    Args:
        monotonic_ns: where it starts instead.
        cpu_ns: the same of processor time.

    Attributes: ``start_ns`` and ``cpu_start_ns`` are what is taken off the host's monotonic time and processor time.
    """

    virtual = False

    def __init__(self, monotonic_ns: int = 0, cpu_ns: int = 0) -> None:
        self.start_ns = time.monotonic_ns() - whole("monotonic_ns", monotonic_ns, 0, FARTHEST_NS, "nanoseconds")
        self.cpu_start_ns = time.process_time_ns() - whole("cpu_ns", cpu_ns, 0, FARTHEST_NS, "nanoseconds")

    def realtime_ns(self) -> int:
        """Since 1970."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Since this clock was made."""
        return time.monotonic_ns() - self.start_ns

    def cpu_ns(self) -> int:
        """Processor time of the host process since this clock was made."""
        return time.process_time_ns() - self.cpu_start_ns

    def resolution_ns(self) -> int:
        """One nanosecond is what the interface can say and Linux claims."""
        return 1

    def sleep(self, ns: int) -> None:
        """Sleep for real."""
        time.sleep(ns / 1e9)


class FixedClock:
    """A clock for reproducible runs: each reading adds ``step_ns``, sleeping adds its time and does not wait."""

    virtual = True

    def __init__(self, realtime_ns: int = 1_600_000_000_000_000_000, step_ns: int = 0) -> None:
        self._start = whole("realtime_ns", realtime_ns, -FARTHEST_NS, FARTHEST_NS, "nanoseconds")
        self._passed = 0
        self._step = whole("step_ns", step_ns, 0, FARTHEST_NS, "nanoseconds")

    def _read(self) -> int:
        now = self._passed
        self._passed += self._step
        return now

    def realtime_ns(self) -> int:
        """The fixed time and what has passed."""
        return self._start + self._read()

    def monotonic_ns(self) -> int:
        """What has passed."""
        return self._read()

    def cpu_ns(self) -> int:
        """What has passed."""
        return self._read()

    def resolution_ns(self) -> int:
        """The step, at least one."""
        return max(self._step, 1)

    def sleep(self, ns: int) -> None:
        """Pass at once."""
        self._passed += ns


class ContinuedClock:
    """Another clock for a guest that has read later times before: what it says goes on from there.

    Args:
        clock: the clock, which is not changed, and first read when the guest does.
        monotonic_ns: the greatest time that the guest has read.
        cpu_ns: the greatest processor time.
    """

    def __init__(self, clock: Clock, monotonic_ns: int, cpu_ns: int) -> None:
        self.clock, self.virtual = clock, clock.virtual
        self._last = {"monotonic": monotonic_ns, "cpu": cpu_ns}
        self._ahead: dict[str, int] = {}

    def realtime_ns(self) -> int:
        """As the clock says."""
        return self.clock.realtime_ns()

    def monotonic_ns(self) -> int:
        """Never less than the guest has read."""
        return self._later("monotonic", self.clock.monotonic_ns())

    def cpu_ns(self) -> int:
        """Never less than the guest has read."""
        return self._later("cpu", self.clock.cpu_ns())

    def resolution_ns(self) -> int:
        """As the clock says."""
        return self.clock.resolution_ns()

    def sleep(self, ns: int) -> None:
        """As the clock does."""
        self.clock.sleep(ns)

    def _later(self, which: str, now: int) -> int:
        return now + self._ahead.setdefault(which, max(self._last[which] - now, 0))
