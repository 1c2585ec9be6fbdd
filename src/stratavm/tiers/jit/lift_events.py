"""Events of functions on their way to level 1. They happen on behalf of a guest: recorded, and delivered later."""

from __future__ import annotations

from stratavm.base.events.core import Bus, Event, Source
from stratavm.base.events.declare import event
from stratavm.base.forms import Final, dataclass

DROPS: Final = ("refused", "late", "unwanted", "no room", "crowded out")
"""``FunctionLiftDropped.reason``: the compiler refused the function, or made level 0 of it; other code was there first;
no instance was left that could call it, or its engine was closed; there was no room for code; others that wait were
worth more."""


@event
class FunctionLiftQueued(Event):
    """A function is to be compiled at level 1, as the policy decided by this: ``calls`` and ``ticks`` that were seen of
    it, and how many functions were ``waiting``."""

    function: int
    calls: int
    ticks: int
    waiting: int


@event
class FunctionLiftPutOff(Event):
    """A function stays at level 0 for now, as the policy decided by this."""

    function: int
    calls: int
    ticks: int
    waiting: int


@event
class FunctionLifted(Event):
    """A function has code of level 1, which took ``ns`` to make: who calls it from now on runs that. ``thread`` is the
    kernel's number of the thread that made it: one beside the program, or the one that runs it."""

    function: int
    ns: int
    code_bytes: int
    thread: int


@event
class LoopLifted(Event):
    """A loop of a function at level 0 has code of level 1 to go on in, which took ``ns`` to make: the poll that asked
    for it, and each that comes later, leaves for there."""

    function: int
    ns: int
    code_bytes: int


@event
class FunctionLiftDropped(Event):
    """A function stays at level 0: ``reason`` is a number of ``DROPS``, ``thread`` as in ``FunctionLifted``."""

    function: int
    reason: int
    thread: int


@dataclass(frozen=True, slots=True)
class LiftRecorder:
    """Where a module reports what becomes of its functions."""

    source: Source
    kinds: tuple[int, int, int, int, int]

    @classmethod
    def of(cls, bus: Bus, source: Source) -> LiftRecorder:
        """One for a new module."""
        events = (FunctionLiftQueued, FunctionLiftPutOff, FunctionLifted, FunctionLiftDropped, LoopLifted)
        queued, put_off, lifted, dropped, entered = map(bus.kind, events)
        return cls(source, (queued, put_off, lifted, dropped, entered))

    def decided(self, lift: bool, function: int, calls: int, ticks: int, waiting: int) -> None:
        """Record a decision with what it was made by."""
        self.source.bus.record(self.source, self.kinds[0 if lift else 1], function, calls, ticks, waiting)

    def lifted(self, function: int, ns: int, code_bytes: int, thread: int) -> None:
        """Record code of level 1."""
        self.source.bus.record(self.source, self.kinds[2], function, ns, code_bytes, thread)

    def dropped(self, function: int, reason: str, thread: int) -> None:
        """Record that there will be none."""
        self.source.bus.record(self.source, self.kinds[3], function, DROPS.index(reason), thread)

    def entered(self, function: int, ns: int, code_bytes: int) -> None:
        """Record code of level 1 for a loop."""
        self.source.bus.record(self.source, self.kinds[4], function, ns, code_bytes)
