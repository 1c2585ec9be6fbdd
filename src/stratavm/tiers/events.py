"""Events of compilers. Those of a first call happen on behalf of a guest: they are recorded, and delivered later."""

from __future__ import annotations

from stratavm.base.events.core import Bus, Event, Source
from stratavm.base.events.declare import event
from stratavm.base.forms import dataclass


@event
class FunctionCompiled(Event):
    """A function was compiled; the source is its module, ``function`` its index, ``ns`` how long it took."""

    function: int
    ns: int


@event
class FunctionFellBack(Event):
    """A function cannot be compiled: it runs on the oracle."""

    function: int


@dataclass(frozen=True, slots=True)
class CompileRecorder:
    """Where a module's compiler reports to: a source, and the kinds of its events in the ring."""

    source: Source
    compiled_kind: int
    fallback_kind: int

    @classmethod
    def of(cls, bus: Bus) -> CompileRecorder:
        """One for a new module."""
        return cls(bus.source("module"), bus.kind(FunctionCompiled), bus.kind(FunctionFellBack))

    def compiled(self, function: int, ns: int) -> None:
        """Record a compilation."""
        self.source.bus.record(self.source, self.compiled_kind, function, ns)

    def fell_back(self, function: int) -> None:
        """Record a function that stays on the oracle."""
        self.source.bus.record(self.source, self.fallback_kind, function)
