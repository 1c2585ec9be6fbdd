"""What a pool may do and how it decides: frozen numbers, and functions of them that have no state and read no clock."""

from __future__ import annotations

import math

from stratavm.base.forms import TYPE_CHECKING, Final, Literal, TypeAlias, dataclass, replace
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import LONGEST_S, real, seconds_or_none, shown, whole, whole_or_none

if TYPE_CHECKING:
    from stratavm.runtime.limits import StoreLimits

Overload: TypeAlias = Literal["wait", "shed"]

BUSY: Final = 0.9
"""Share of the time in which the loop's thread has to run for the processor to count as what calls wait for."""
USUAL_RUNNING: Final = 4
"""Calls that may always run, where nobody says how many."""
ROUNDS: Final = 4
QUIET_S: Final = 0.0001
"""A round of the loop that takes less has run hardly anything."""
AHEAD: Final = 4.0
"""Instances are made ahead for what arrives in so many times the time that it takes to make one."""
LEAST_AHEAD_S: Final = 0.002
"""And at least for what arrives in this time: a turn of the loop or two."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Numbers by which a pool decides. Times are in seconds.

    Attributes:
        max_running: calls that run at once, those that wait for the host included. There are fewer while those that run
            wait for the processor: then more of them would only wait there instead of in the queue.
        min_running: as many may always run; None: 4, or ``max_running`` where that is less.
        spare: calls beyond ``max_running``, for tenants that have none running.
        max_queued: calls that wait for their first turn.
        overload: what happens where calls come faster than they end. ``wait``: who calls waits, outside of the queue
            where that is full; nothing is refused but for its own ``timeout``. ``shed``: a call that finds the queue
            full is refused, and so are calls of a tenant whose calls have all waited for longer than ``target_delay``
            for an ``interval``, more and more of them (CoDel, RFC 8289, for each tenant).
        target_delay: what waiting may take, in the queue and of guests for turns, lasting peaks aside.
        interval: how long it is looked at before something is changed.
        quantum: processor time that a tenant of weight 1 gets at a time, where others want it too.
        min_ready: instances that are always ready, without a call.
        max_ready: instances that are made ahead at most.
        timeout: seconds from its arrival after which a call ends, where neither it nor its tenant says; None: never.
    """

    _decorate = checks_keywords

    max_running: int = 256
    min_running: int | None = None
    spare: int = 16
    max_queued: int = 1000
    overload: Overload = "wait"
    target_delay: float = 0.005
    interval: float = 0.1
    quantum: float = 0.005
    min_ready: int = 0
    max_ready: int = 64
    timeout: float | None = None

    def __post_init__(self) -> None:
        least = {"max_running": 1, "spare": 0, "max_queued": 0, "min_ready": 0, "max_ready": 0}
        for name, at_least in least.items():
            object.__setattr__(self, name, whole(f"Policy: {name}", getattr(self, name), at_least))
        object.__setattr__(self, "min_running", whole_or_none("Policy: min_running", self.min_running, 1))
        for name in ("target_delay", "interval", "quantum"):
            value = real(f"Policy: {name}", getattr(self, name), " of seconds")
            if not 0 < value <= LONGEST_S:
                raise ValueError(
                    f"Policy: {name} must be more than 0 and at most {LONGEST_S:.0f} seconds, got {value!r}"
                )
            object.__setattr__(self, name, value)
        object.__setattr__(self, "timeout", seconds_or_none("Policy: timeout", self.timeout))
        if self.overload not in ("wait", "shed"):
            raise ValueError(f"Policy: overload must be 'wait' or 'shed', got {self.overload!r:.60}")
        for low, high in (("min_running", "max_running"), ("min_ready", "max_ready")):
            lower = getattr(self, low)
            if lower is not None and lower > getattr(self, high):
                raise ValueError(f"Policy: {low} must be at most {high}, got {shown(lower)}")


@dataclass(frozen=True, slots=True)
class Tenant:
    """Somebody whose guests a pool runs, with limits of his own.

    Attributes:
        name: what calls name him by.
        weight: his share of the processor by that of others, where all want more than there is.
        max_running: calls of his that run at once; None: as many as the pool allows.
        max_queued: calls of his that wait; None: as many as the pool allows.
        timeout: seconds from its arrival after which a call of his ends; None: the policy's.
        limits: what the store of each of his guests may hold; None: the pool's. With limits of his own his instances
            are made when they are wanted, not ahead.
    """

    _decorate = checks_keywords

    name: str
    weight: float = 1.0
    max_running: int | None = None
    max_queued: int | None = None
    timeout: float | None = None
    limits: StoreLimits | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"Tenant: name must be a string, got {self.name!r:.60}")
        weight = real("Tenant: weight", self.weight)
        if not 0.001 <= weight <= 1000:
            raise ValueError(f"Tenant: weight must be between 0.001 and 1000, got {weight!r}")
        object.__setattr__(self, "weight", weight)
        object.__setattr__(self, "max_running", whole_or_none("Tenant: max_running", self.max_running, 1))
        object.__setattr__(self, "max_queued", whole_or_none("Tenant: max_queued", self.max_queued))
        object.__setattr__(self, "timeout", seconds_or_none("Tenant: timeout", self.timeout))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a pool has seen in an interval.

    Attributes:
        seconds: how long it was.
        turn_delay: the least time that a running guest waited to go on.
        lag: the least time by which the loop was late.
        busy: share of it in which the loop's thread ran.
        peak: most calls that ran at once.
        starts: calls that began to run.
        make_seconds: what making an instance took.
    """

    seconds: float
    turn_delay: float = 0.0
    lag: float = 0.0
    busy: float = 0.0
    peak: int = 0
    starts: int = 0
    make_seconds: float = 0.0


def next_limit(limit: int, seen: Seen, policy: Policy) -> int:
    """How many calls may run at once from now on.

    An eighth less than did, where those that run wait for the processor; twice as many, where it is idle at times: then
    a call that waits in the queue waits for nothing.
    """
    wanted = limit
    if max(seen.turn_delay, seen.lag) > policy.target_delay:
        wanted = min(limit, seen.peak) * 7 // 8
    elif seen.busy < BUSY:
        wanted = limit * 2
    least = min(USUAL_RUNNING, policy.max_running) if policy.min_running is None else policy.min_running
    return max(least, min(policy.max_running, wanted))


def ready_wanted(seen: Seen, policy: Policy) -> int:
    """How many instances should be ready: what arrives while some are made, and one more while anything arrives."""
    if not seen.starts:
        return policy.min_ready
    ahead = max(LEAST_AHEAD_S, AHEAD * seen.make_seconds)
    wanted = 1 + math.ceil(seen.starts / max(seen.seconds, 1e-9) * ahead)
    return max(policy.min_ready, min(policy.max_ready, wanted))


def is_rested(rounds: int, quiet: int, rested: float, turn: float) -> bool:
    """Whether guests that compute may go on behind a turn that a tick has ended.

    Each turn gives the loop a chance: to read a request, make a task of it and call takes three rounds, so there are
    four. If the loop has more to do it gets as long as the turn took; it has nothing to do where rounds are quiet.

    Args:
        rounds: how often the loop has been round since.
        quiet: the last rounds in which it did hardly anything.
        rested: processor time of the loop since, without that of guests, in seconds.
        turn: what the turn took, in seconds.
    """
    return rounds >= ROUNDS and (quiet >= ROUNDS or rested >= turn)


@dataclass(frozen=True, slots=True)
class Codel:
    """Where the control law of CoDel stands for one queue. Times are those of the caller's clock, in seconds.

    Attributes:
        over_at: when delays will have been above the target for an interval; None: the last one was below it.
        sheds: it is shedding.
        next_at: when it sheds next.
        count: so many were shed since it began.
    """

    over_at: float | None = None
    sheds: bool = False
    next_at: float = 0.0
    count: int = 0


def codel(state: Codel, delay: float, now: float, policy: Policy, is_last: bool) -> tuple[Codel, bool]:
    """One call leaves its queue after ``delay``: the new state, and whether the call is to be shed (RFC 8289, 5).

    ``is_last``: no other call waits behind it, so the queue does not stand.
    """
    if delay < policy.target_delay or is_last:
        return replace(state, over_at=None, sheds=False), False
    if state.over_at is None:
        return replace(state, over_at=now + policy.interval, sheds=False), False
    if now < state.over_at:
        return state, False
    if state.sheds:
        if now < state.next_at:
            return state, False
        count = state.count + 1
        return replace(state, count=count, next_at=state.next_at + policy.interval / math.sqrt(count)), True
    soon = now - state.next_at < 16 * policy.interval
    count = state.count - 2 if soon and state.count > 2 else 1
    return replace(state, sheds=True, count=count, next_at=now + policy.interval / math.sqrt(count)), True
