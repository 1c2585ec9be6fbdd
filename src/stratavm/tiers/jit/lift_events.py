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
class LoopLiftQueued(Event):
    """A loop that runs for long in code of level 0 is to have code of level 1 to go on in. A thread makes it beside the
    program, or the program waits for it."""

    function: int


@event
class LoopLifted(Event):
    """A loop of a function at level 0 has code of level 1 to go on in, which took ``ns`` to make: the next poll of it
    that a tick finds leaves for there. ``thread`` as in ``FunctionLifted``."""

    function: int
    ns: int
    code_bytes: int
    thread: int


@event
class LoopLiftDropped(Event):
    """A loop has no code of level 1 by this: ``reason`` is a number of ``DROPS``, ``thread`` as in ``FunctionLifted``.
    It is asked for again where it was not refused."""

    function: int
    reason: int
    thread: int


@event
class FunctionLiftDropped(Event):
    """A function stays at level 0: ``reason`` is a number of ``DROPS``, ``thread`` as in ``FunctionLifted``."""

    function: int
    reason: int
    thread: int


EVENTS: Final = (
    FunctionLiftQueued,
    FunctionLiftPutOff,
    FunctionLifted,
    FunctionLiftDropped,
    LoopLiftQueued,
    LoopLifted,
    LoopLiftDropped,
)


@dataclass(frozen=True, slots=True)
class LiftRecorder:
    """Where a module reports what becomes of its functions and loops."""

    source: Source
    kinds: tuple[int, ...]

    @classmethod
    def of(cls, bus: Bus, source: Source) -> LiftRecorder:
        """One for a new module."""
        return cls(source, tuple(map(bus.kind, EVENTS)))

    def decided(self, lift: bool, function: int, calls: int, ticks: int, waiting: int) -> None:
        """Record a decision with what it was made by."""
        self.source.bus.record(self.source, self.kinds[0 if lift else 1], function, calls, ticks, waiting)

    def lifted(self, function: int, ns: int, code_bytes: int, thread: int) -> None:
        """Record code of level 1."""
        self.source.bus.record(self.source, self.kinds[2], function, ns, code_bytes, thread)

    def dropped(self, function: int, reason: str, thread: int) -> None:
        """Record that there will be none."""
        self.source.bus.record(self.source, self.kinds[3], function, DROPS.index(reason), thread)

    def wants_loop(self, function: int) -> None:
        """Record that a loop is to have code of level 1."""
        self.source.bus.record(self.source, self.kinds[4], function)

    def entered(self, function: int, ns: int, code_bytes: int, thread: int) -> None:
        """Record code of level 1 for a loop."""
        self.source.bus.record(self.source, self.kinds[5], function, ns, code_bytes, thread)

    def left_loop(self, function: int, reason: str, thread: int) -> None:
        """Record that a loop has none by this."""
        self.source.bus.record(self.source, self.kinds[6], function, DROPS.index(reason), thread)
