"""What a pool has done so far: counters that it adds to, and the frozen figures that are made of them when asked."""

from __future__ import annotations

from collections.abc import Mapping

from stratavm.base.forms import Final, dataclass, field
from stratavm.base.frozendict import FrozenDict
from stratavm.pool.desk import Desk
from stratavm.pool.meter import Area

WAITS: Final = ("room", "queue", "instance", "turn", "host")
"""What a call may wait for: room in the queue; its first turn; an instance, made when it was wanted; a further turn;
the host."""
REASONS: Final = ("full", "overload", "timeout", "draining", "closed")


@dataclass(frozen=True, slots=True)
class TenantMetrics:
    """Of one tenant. ``cpu_seconds`` is processor time of the loop's thread while his guests ran; ``is_declared``: the
    pool was made with settings for him (others are forgotten when there are many)."""

    is_declared: bool
    running: int
    queued: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class PoolMetrics:
    """A pool at one moment. Counts are since it was made, times are in seconds.

    Attributes:
        limit: calls that may run at once just now.
        running: calls that do, those that wait for the host included.
        queued: calls that wait for their first turn.
        outside: calls that wait for room in the queue.
        ready: instances that were made ahead.
        completed, failed, cancelled: calls that ended with a result, an error, or their task cancelled.
        rejected: calls that were not made, by reason.
        made, reused, discarded: instances that were made, given to a further call, and closed.
        cpu_seconds: processor time of the loop's thread while guests ran.
        busy_seconds: time in which instances belonged to calls, added up over instances.
        capacity_seconds: time for which instances existed, added up over instances.
        wait_seconds: what calls have waited for: ``room`` in the queue, their first turn (``queue``), an ``instance``
            that had to be made, a further ``turn``, and the ``host``.
        tenants: by name.
    """

    limit: int
    running: int
    queued: int
    outside: int
    ready: int
    completed: int
    failed: int
    cancelled: int
    rejected: Mapping[str, int]
    made: int
    reused: int
    discarded: int
    cpu_seconds: float
    busy_seconds: float
    capacity_seconds: float
    wait_seconds: Mapping[str, float]
    tenants: Mapping[str, TenantMetrics]


@dataclass(slots=True)
class Counters:
    """What a pool counts."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    made: int = 0
    reused: int = 0
    discarded: int = 0
    rejected: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    waits: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WAITS, 0.0))
    busy: Area = field(default_factory=Area)
    capacity: Area = field(default_factory=Area)

    def metrics(self, desk: Desk, ready: int, now: float) -> PoolMetrics:
        """A frozen copy."""
        return PoolMetrics(
            limit=desk.limit,
            running=desk.running,
            queued=desk.queued,
            outside=sum(len(line.outside) for line in desk.lines()),
            ready=ready,
            completed=self.completed,
            failed=self.failed,
            cancelled=self.cancelled,
            rejected=FrozenDict(self.rejected),
            made=self.made,
            reused=self.reused,
            discarded=self.discarded,
            cpu_seconds=desk.cpu_ns / 1e9,
            busy_seconds=self.busy.upto(now),
            capacity_seconds=self.capacity.upto(now),
            wait_seconds=FrozenDict(self.waits),
            tenants=FrozenDict(
                {
                    line.tenant.name: TenantMetrics(
                        desk.is_declared(line), line.running, line.queued, line.cpu_ns / 1e9
                    )
                    for line in desk.lines()
                }
            ),
        )
