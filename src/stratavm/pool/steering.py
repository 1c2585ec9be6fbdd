# strata: hot
"""What a pool sees between two decisions about its size; the decisions are the policy's."""

import math

import cython
from cython.cimports.stratavm.pool.desk import Desk

from stratavm.pool.policy import QUIET_S, Policy, Seen, is_rested, next_limit, ready_wanted


@cython.cclass
class Steering:
    """Collects one interval.

    Attributes:
        ready: instances that should be ready, as decided last.
    """

    def __init__(self, policy: Policy):
        self.policy = policy
        self.ready = policy.min_ready
        self.begin(0.0, 0)

    def begin(self, now: float, cpu_ns: int) -> None:
        """An interval begins."""
        self.since, self.cpu_ns = now, cpu_ns
        self.turn_delay = self.lag = math.inf
        self.peak = self.starts = 0

    def began(self, running):
        """A call has got its first turn; so many run now."""
        self.starts += 1
        self.peak = max(self.peak, running)
        return 0

    def went_on(self, delay):
        """A guest has got a further turn after so many seconds."""
        self.turn_delay = min(self.turn_delay, delay)
        return 0

    def was_late(self, seconds: float) -> None:
        """The loop did something so much later than it was to."""
        self.lag = min(self.lag, seconds)

    def decide(self, now: float, cpu_ns: int, desk: Desk, make_seconds: float) -> int:
        """An interval is over: how many calls may run from now on."""
        seconds: cython.double = max(now - self.since, 1e-9)
        seen: object = Seen(
            seconds=seconds,
            turn_delay=least_seen(self.turn_delay),
            lag=least_seen(self.lag),
            busy=(cpu_ns - self.cpu_ns) / 1e9 / seconds,
            peak=max(self.peak, desk.running),
            starts=self.starts,
            make_seconds=make_seconds,
        )
        self.ready = ready_wanted(seen, self.policy)
        return next_limit(desk.limit, seen, self.policy)

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


@cython.cfunc
def least_seen(least: cython.double) -> cython.double:
    """The least of what was seen; nothing was: 0."""
    return 0.0 if least == math.inf else least


class Rest:
    """Rounds of the loop behind a turn that a tick has ended. What guests take meanwhile is not the loop's time.

    Times are of the processor: on a busy machine the loop is owed as much of it as the guest had.

    Args:
        now: what the loop's thread has run so far, in seconds.
        guests: what guests have taken so far, as ``round`` is told.
        turn: seconds that the turn took.
    """

    def __init__(self, now: float, guests: float, turn: float):
        self._now, self._guests, self._turn = now, guests, turn
        self._rounds = self._quiet = 0
        self._rested = 0.0

    def round(self, now: float, guests: float) -> None:
        """The loop has been round."""
        own = (now - self._now) - (guests - self._guests)
        self._now, self._guests = now, guests
        self._rounds += 1
        self._rested += max(own, 0.0)
        self._quiet = self._quiet + 1 if own < QUIET_S else 0

    @property
    def is_over(self) -> bool:
        """As the policy says."""
        return is_rested(self._rounds, self._quiet, self._rested, self._turn)
