"""``Engine.metrics()``: counts of what an engine has done, kept from the moment that somebody asks for them first.

Nothing is counted before: the events that are counted here are not even made while nobody hears them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping

from stratavm.base.events.core import Bus, Event
from stratavm.base.forms import TYPE_CHECKING, Any, Final, cast, dataclass
from stratavm.base.frozendict import FrozenDict
from stratavm.engine.codecache import CodeKept, CodeNotKept, CodeRestored, SkeletonRestored
from stratavm.engine.events import (
    CallFailed,
    GuestExited,
    InstanceCreated,
    LimitReached,
    ModuleLoaded,
    ModuleRefused,
    SnapshotTaken,
    StoreCreated,
    Trapped,
)
from stratavm.engine.update_events import InstanceSwapped, InstanceUpdated, UpdateFailed, UpdateUndone
from stratavm.native.background import helper_status
from stratavm.runtime.events import InstancePoisoned
from stratavm.runtime.stacks import stack_status
from stratavm.runtime.waits import waiter_count
from stratavm.tiers.events import FunctionCompiled, FunctionFellBack
from stratavm.tiers.jit.lift_events import FunctionLifted, LoopLifted

if TYPE_CHECKING:
    from stratavm.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class EngineMetrics:
    """An engine at one moment. Counts are since its metrics were first asked for.

    Attributes:
        modules: modules by outcome: ``loaded``, ``refused``.
        stores, instances, poisoned: stores and instances that were made, instances that are not usable any more.
        snapshots, clones: snapshots that were taken, and of the instances those that began with one.
        updates: of instances, by outcome: ``patched``, ``swapped``, ``failed``, ``undone``.
        calls: calls of guests that did not simply return: ``trapped``, ``exited``, ``failed`` (another exception).
        traps: by kind.
        limits: operations that a limit refused, by limit.
        compiled: functions compiled by level, ``"0"`` and ``"1"`` (all of ``tier="jit1"``, hot ones of ``"auto"``);
            ``"loop"``: loops that went on at level 1.
        compile_seconds: time that took, by level.
        fallbacks: functions that run on the oracle.
        cache: entries of the code cache: ``restored``, ``kept``, ``refused``; ``skeletons`` of modules restored.
        restored_bytes: machine code that came from the cache.
        memory_slots: the engine's slots for memories that are in use; 0 without any.
        stacks: stacks of asynchronous calls in use, of the whole process.
        waiters: threads and asynchronous calls that wait at shared memories, of the whole process.
        helpers: threads that compile, of the whole process, and what waits for them: ``living``, ``queued``.
        pools: what each ``Pool`` of the engine does (``PoolMetrics``), by its name.
        gc: the heaps of guests' objects of all stores together, since the first was made: ``heaps`` that live, their
            ``used_bytes`` and ``live_bytes`` as of the last pause of each, ``collections``, of these ``minors`` (new
            objects only) and ``cycles`` (full ones, in slices), ``pauses``, ``stood_ns`` and ``longest_ns`` of these.
    """

    modules: Mapping[str, int]
    stores: int
    instances: int
    poisoned: int
    snapshots: int
    clones: int
    updates: Mapping[str, int]
    calls: Mapping[str, int]
    traps: Mapping[str, int]
    limits: Mapping[str, int]
    compiled: Mapping[str, int]
    compile_seconds: Mapping[str, float]
    fallbacks: int
    cache: Mapping[str, int]
    restored_bytes: int
    memory_slots: int
    stacks: int
    waiters: int
    helpers: Mapping[str, int]
    pools: Mapping[str, Any]
    gc: Mapping[str, int]


GC_FIGURES: Final = (
    "heaps", "used_bytes", "live_bytes", "collections", "minors", "cycles", "pauses", "stood_ns", "longest_ns",
)  # fmt: skip
COUNTED: Final[tuple[tuple[type[Event], Callable[[Any], tuple[str, str]]], ...]] = (
    (ModuleLoaded, lambda e: ("modules", "loaded")),
    (ModuleRefused, lambda e: ("modules", "refused")),
    (StoreCreated, lambda e: ("stores", "")),
    (InstancePoisoned, lambda e: ("poisoned", "")),
    (SnapshotTaken, lambda e: ("snapshots", "")),
    (InstanceUpdated, lambda e: ("updates", "patched")),
    (InstanceSwapped, lambda e: ("updates", "swapped")),
    (UpdateFailed, lambda e: ("updates", "failed")),
    (UpdateUndone, lambda e: ("updates", "undone")),
    (GuestExited, lambda e: ("calls", "exited")),
    (CallFailed, lambda e: ("calls", "failed")),
    (LimitReached, lambda e: ("limits", e.limit)),
    (FunctionFellBack, lambda e: ("fallbacks", "")),
    (CodeKept, lambda e: ("cache", "kept")),
    (CodeNotKept, lambda e: ("cache", "refused")),
    (SkeletonRestored, lambda e: ("cache", "skeletons")),
)
"""Events that are counted, and as what."""


class Tally:
    """Counts the events of one bus; ``first``: the level at which functions are compiled first."""

    def __init__(self, bus: Bus, first: str) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._sums: Counter[tuple[str, str]] = Counter()
        for type_, key in COUNTED:
            self._count(bus, type_, key)
        self._hear(bus, InstanceCreated, self._created)
        self._hear(bus, Trapped, self._trapped)
        self._hear(bus, CodeRestored, self._restored)
        for type_, level in ((FunctionCompiled, first), (FunctionLifted, "1"), (LoopLifted, "loop")):
            self._time(bus, type_, level)

    def _hear(self, bus: Bus, type_: type[Event], listener: Callable[[Any], None]) -> None:
        bus.subscribe(type_, listener, name="metrics")

    def _count(self, bus: Bus, type_: type[Event], key: Callable[[Any], tuple[str, str]]) -> None:
        def count(event: Any) -> None:
            self._counts[key(event)] += 1

        self._hear(bus, type_, count)

    def _time(self, bus: Bus, type_: type[Event], level: str) -> None:
        def count(event: Any) -> None:
            self._counts["compiled", level] += 1
            self._sums["compiled", level] += event.ns

        self._hear(bus, type_, count)

    def _created(self, event: InstanceCreated) -> None:
        self._counts["instances", ""] += 1
        self._counts["clones", ""] += event.clone

    def _trapped(self, event: Trapped) -> None:
        self._counts["calls", "trapped"] += 1
        self._counts["traps", event.kind] += 1

    def _restored(self, event: CodeRestored) -> None:
        self._counts["cache", "restored"] += 1
        self._sums["cache", "restored"] += event.bytes

    def by(self, what: str, *known: str) -> Mapping[str, int]:
        """Counts of a kind; those that are known are there from the start."""
        found = dict.fromkeys(known, 0)
        found |= {name: count for (kind, name), count in list(self._counts.items()) if kind == what}
        return FrozenDict(found)

    def one(self, what: str) -> int:
        """A count that has no kinds."""
        return self._counts[what, ""]

    def sum(self, what: str, name: str) -> int:
        """What was added up."""
        return self._sums[what, name]


def tally(engine: Engine) -> Tally:
    """Begin to count."""
    return Tally(engine.bus, "1" if engine.config.tier == "jit1" else "0")


def snapshot(engine: Engine, counts: Tally) -> EngineMetrics:
    """The metrics of an engine now."""
    levels = counts.by("compiled", "0", "1", "loop")
    helpers = helper_status()
    return EngineMetrics(
        modules=counts.by("modules", "loaded", "refused"),
        stores=counts.one("stores"),
        instances=counts.one("instances"),
        poisoned=counts.one("poisoned"),
        snapshots=counts.one("snapshots"),
        clones=counts.one("clones"),
        updates=counts.by("updates", "patched", "swapped", "failed", "undone"),
        calls=counts.by("calls", "trapped", "exited", "failed"),
        traps=counts.by("traps"),
        limits=counts.by("limits"),
        compiled=levels,
        compile_seconds=FrozenDict({level: counts.sum("compiled", level) / 1e9 for level in levels}),
        fallbacks=counts.one("fallbacks"),
        cache=counts.by("cache", "restored", "kept", "refused", "skeletons"),
        restored_bytes=counts.sum("cache", "restored"),
        memory_slots=cast(int, getattr(engine.runtime.allocator, "in_use", 0)),
        stacks=stack_status()["taken"],
        waiters=waiter_count(),
        helpers=FrozenDict({name: helpers[name] for name in ("living", "queued")}),
        pools=FrozenDict(living(engine)),
        gc=FrozenDict(heaps(engine)),
    )


def heaps(engine: Engine) -> dict[str, int]:
    """What the heaps of the engine's stores come to."""
    descriptors = engine.runtime.descriptors
    return dict.fromkeys(GC_FIGURES, 0) if descriptors is None else descriptors.totals


def living(engine: Engine) -> list[tuple[str, Any]]:
    """Names and metrics of the pools that are there; a name that another one has gets a number."""
    engine.pools[:] = [known for known in engine.pools if known() is not None]
    found: dict[str, Any] = {}
    for known in engine.pools:
        pool = known()
        if pool is not None:
            name, number = pool.name, 1
            while name in found:
                number += 1
                name = f"{pool.name}-{number}"
            found[name] = pool.metrics()
    return list(found.items())
