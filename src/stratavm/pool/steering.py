"""What a pool sees between two decisions about its size; the decisions are the policy's."""

from __future__ import annotations

from stratavm.pool.desk import Desk
from stratavm.pool.policy import Policy, Seen, next_limit, ready_wanted


class Steering:
    """Collects one interval.

    Attributes:
        ready: instances that should be ready, as decided last.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.ready = policy.min_ready
        self.begin(0.0, 0)

    def begin(self, now: float, cpu_ns: int) -> None:
        """An interval begins."""
        self._since, self._cpu_ns = now, cpu_ns
        self._queue_delay: float | None = None
        self._turn_delay: float | None = None
        self._peak = self._starts = 0

    def began(self, delay: float, running: int) -> None:
        """A call has got its first turn, after so many seconds; so many run now."""
        self._starts += 1
        self._queue_delay = delay if self._queue_delay is None else min(self._queue_delay, delay)
        self._peak = max(self._peak, running)

    def went_on(self, delay: float) -> None:
        """A guest has got a further turn after so many seconds."""
        self._turn_delay = delay if self._turn_delay is None else min(self._turn_delay, delay)

    def decide(self, now: float, cpu_ns: int, desk: Desk, make_seconds: float) -> int:
        """An interval is over: how many calls may run from now on."""
        seconds = max(now - self._since, 1e-9)
        waits = self._queue_delay
        if waits is None:
            waits = seconds if desk.queued else 0.0  # they have all waited since it began, or come later: it is near
        seen = Seen(
            seconds=seconds,
            queue_delay=waits,
            turn_delay=self._turn_delay or 0.0,
            busy=(cpu_ns - self._cpu_ns) / 1e9 / seconds,
            peak=max(self._peak, desk.running),
            starts=self._starts,
            make_seconds=make_seconds,
        )
        self.ready = ready_wanted(seen, self._policy)
        return next_limit(desk.limit, seen, self._policy)
