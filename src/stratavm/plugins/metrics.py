"""What a plugin has done so far: counters, and the frozen figures that are made of them when asked."""

from __future__ import annotations

from collections.abc import Mapping

from stratavm.base.forms import TYPE_CHECKING, dataclass, field
from stratavm.base.frozendict import FrozenDict

if TYPE_CHECKING:
    from stratavm.plugins.ledger import Ledger


@dataclass(frozen=True, slots=True)
class PluginMetrics:
    """A plugin at one moment. Counts are since it was found.

    Attributes:
        state: where it is in its life.
        calls: calls that have ended: ``answered``, ``error`` (its own words), ``failed``.
        failures: failures by the type of the error.
        updates: updates that were made: ``patch``, ``swap``, ``none`` (the same module), and ``refused`` ones.
        probes: answers to whether it is well: ``well`` and ``unwell``.
        instances: instances that were made for it.
        host_calls: calls of host functions.
        bytes_in, bytes_out: arguments and answers.
        seconds: time in which it was called.
        fuel: units that it has used, where fuel counts.
        waiting: calls that wait for their turn.
        memory_bytes: what its memories have now, those of a version to roll back to included.
        stored_bytes: what the host keeps for it.
        owned: entries of its ledger, by kind.
    """

    state: str
    calls: Mapping[str, int]
    failures: Mapping[str, int]
    updates: Mapping[str, int]
    probes: Mapping[str, int]
    instances: int
    host_calls: int
    bytes_in: int
    bytes_out: int
    seconds: float
    fuel: int
    waiting: int
    memory_bytes: int
    stored_bytes: int
    owned: Mapping[str, int]


@dataclass(slots=True)
class Counters:
    """What is counted."""

    calls: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("answered", "error", "failed"), 0))
    failures: dict[str, int] = field(default_factory=dict)
    updates: dict[str, int] = field(default_factory=dict)
    probes: dict[str, int] = field(default_factory=dict)
    instances: int = 0
    host_calls: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    fuel: int = 0

    def failed(self, error: BaseException) -> None:
        """One more failure."""
        name = type(error).__name__
        self.failures[name] = self.failures.get(name, 0) + 1

    def updated(self, kind: str) -> None:
        """One more update, or one that was refused."""
        self.updates[kind] = self.updates.get(kind, 0) + 1

    def probed(self, is_well: bool) -> None:
        """One more probe."""
        name = "well" if is_well else "unwell"
        self.probes[name] = self.probes.get(name, 0) + 1

    def metrics(self, state: str, waiting: int, memory_bytes: int, ledger: Ledger) -> PluginMetrics:
        """A frozen copy."""
        return PluginMetrics(
            state=state,
            calls=FrozenDict(self.calls),
            failures=FrozenDict(self.failures),
            updates=FrozenDict(self.updates),
            probes=FrozenDict(self.probes),
            instances=self.instances,
            host_calls=self.host_calls,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            seconds=self.seconds,
            fuel=self.fuel,
            waiting=waiting,
            memory_bytes=memory_bytes,
            stored_bytes=ledger.bytes_stored,
            owned=FrozenDict(ledger.counts()),
        )
