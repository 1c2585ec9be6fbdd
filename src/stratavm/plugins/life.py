"""The life of one plugin: what it has, where it is, and how it gets from one state to the next.

``take`` is the one way to move: guard, action within its time, then the new state and its event, or a roll back to
where it was. Whoever takes an edge has the plugin's turn at the gate, but for two that do nothing (``turn``). What they
do is in ``edges.py``; who calls plugins is in ``plugin.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from threading import Lock

from stratavm.base.errors import StrataError
from stratavm.base.events.core import Event, Source
from stratavm.base.forms import TYPE_CHECKING, Any, NamedTuple
from stratavm.plugins.breaker import Breaker, Recovery
from stratavm.plugins.errors import PluginRefused
from stratavm.plugins.events import EdgeRefused, PluginEvent
from stratavm.plugins.gate import Gate
from stratavm.plugins.ledger import INSTANCE, MODULE, Ledger
from stratavm.plugins.limits import PluginLimits
from stratavm.plugins.metrics import Counters
from stratavm.plugins.states import Move, State, Timeouts
from stratavm.plugins.version import Body, Version

if TYPE_CHECKING:
    from stratavm.engine.engine import Engine
    from stratavm.engine.instance import Instance
    from stratavm.engine.module import Module
    from stratavm.engine.store import Store
    from stratavm.plugins.capability import Capability, Context
    from stratavm.plugins.manifest import Manifest
    from stratavm.plugins.policy import Policy
    from stratavm.plugins.sources import Package


class Shared(NamedTuple):
    """What the plugins of a host have in common."""

    engine: Engine
    policy: Policy
    capabilities: Mapping[str, Capability]
    timeouts: Timeouts
    recovery: Recovery
    clock: Callable[[], float]
    chance: Callable[[], float]
    source: Source
    lives: Callable[[], Mapping[str, Life]]
    joining: Lock


class Edge(NamedTuple):
    """A move and what it does.

    Attributes:
        event: the class of its event.
        guard: why it cannot be taken now, or nothing.
        action: called with the seconds that it has and what ``take`` was given; gives the facts of the event. All that
            it makes is in the ledger, so that a roll back closes what is new there.
    """

    move: Move
    event: type[PluginEvent]
    guard: Callable[[Life], str]
    action: Callable[..., tuple[Any, ...]]


class Life:
    """A plugin from the inside.

    Attributes:
        edges: what it moves along, by name.
        version: the one that it goes on with; ``before``: the one that a rollback goes back to.
        making: the body of one that is about to begin.
        joins: the manifest of one that nothing stands against, until it has begun or not.
        trial: the context of one whose writes are taken back where it does not begin.
        state: where it is.
        config: what it is configured with; None: nothing.
        unwell: how many probes in a row said that it is not well.
    """

    def __init__(self, package: Package, shared: Shared, edges: Mapping[str, Edge], config: Any = None) -> None:
        self.shared, self.edges, self.config = shared, edges, config
        self.name = package.manifest.name
        self.state = State.DISCOVERED
        self.bodies = self.unwell = 0
        self.version = Version(package, self.new_body())
        self.before: Version | None = None
        self.counters, self.ledger = Counters(), Ledger()
        self.breaker, self.gate = Breaker(shared.recovery), Gate(self.name, self.limits.waiting)
        self.making: Body | None = None
        self.joins: Manifest | None = None
        self.trial: Context | None = None
        self._moving = ""
        self._lock = Lock()
        self._unsaid: deque[Event] = deque()

    # ---- what it is now ----

    @property
    def package(self) -> Package:
        """Its manifest, and where its module is."""
        return self.version.package

    @property
    def manifest(self) -> Manifest:
        """What it says of itself."""
        return self.version.package.manifest

    @property
    def limits(self) -> PluginLimits:
        """What it may use."""
        return self.version.limits

    @property
    def module(self) -> Module | None:
        """Since it was resolved."""
        return self.version.body.module

    @property
    def store(self) -> Store | None:
        """Since it was instantiated."""
        return self.version.body.store

    @property
    def instance(self) -> Instance | None:
        """Since it was instantiated."""
        return self.version.body.instance

    @property
    def context(self) -> Context | None:
        """Since it was instantiated."""
        return self.version.body.context

    def new_body(self, data: bytes = b"", module: Module | None = None) -> Body:
        """A body for another version."""
        self.bodies += 1
        return Body(self.bodies, data, module)

    def go_on(self, version: Version, before: Version | None) -> None:
        """From here on it is this one, under its limits."""
        if version is not self.version:
            self.unwell = 0
        self.version, self.before = version, before
        self.ledger.most, self.gate.most = version.limits.stored_bytes, version.limits.waiting

    def retire(self) -> list[str]:
        """Close what belongs to versions that nobody can go back to; what went wrong, in words."""
        kept = {0, self.version.body.number, *([] if self.before is None else [self.before.body.number])}
        return self.ledger.release(scopes=(INSTANCE, MODULE), goes=lambda entry: entry.version not in kept)

    # ---- how it moves ----

    def take(self, edge: Edge, *given: Any) -> None:
        """Move along an edge, or stay.

        Raises:
            PluginRefused: it does not begin here, its guard is against it, or it took too long.
            Exception: what its action raised.
        """
        name = edge.move.name
        self._begin(edge.move)
        mark, begun, most_s = self.ledger.mark(), self.shared.clock(), self.shared.timeouts.of(name)
        was = self.version, self.before, self.module
        running = None if self.instance is None else self.version.body.number
        try:
            reason = edge.guard(self)
            if reason:
                raise PluginRefused(self.name, name, reason)
            facts = edge.action(self, most_s, *given)
            if most_s is not None and self.shared.clock() - begun > most_s:
                raise PluginRefused(self.name, name, f"it took more than {most_s:g} s")
        except BaseException as error:
            problems = list[str]()
            try:
                self._settle(False)
            except Exception as worse:  # a capability of the host's own takes back what it wrote
                problems.append(reason_of(worse))
            problems += [*self._restore(*was), *self.ledger.release(mark, goes=lambda e: e.version != running)]
            self._moving = ""
            self.tell(EdgeRefused, name, "; ".join([reason_of(error), *problems]))
            raise
        self.state = edge.move.target
        self._settle(True)
        self._moving = ""  # from here on others may begin
        self.tell(edge.event, *facts)

    def _settle(self, has_begun: bool) -> None:
        """What was about to begin has, or has not: then what it wrote is taken back."""
        trial, self.trial, self.joins = self.trial, None, None
        if trial is not None:
            trial.settle(has_begun)

    def _restore(self, version: Version, before: Version | None, module: Module | None) -> list[str]:
        """The version is the one that it was, also where it was patched; what went wrong, in words."""
        self.go_on(version, before)
        instance = version.body.instance
        if instance is None or module is None or instance.store.closed or instance.module is module:
            return []
        try:
            instance.rollback()
        except StrataError as error:
            return [reason_of(error)]
        version.body.module = instance.module
        return []

    def turn(self, edge: Edge) -> None:
        """Move along an edge that does nothing, which needs no turn at the gate.

        Raises:
            PluginRefused: it does not begin here, or another one is being taken.
        """
        with self._lock:
            self._check(edge.move)
            self.state = edge.move.target
        self.tell(edge.event)

    def _begin(self, move: Move) -> None:
        with self._lock:
            self._check(move)
            self._moving = move.name

    def _check(self, move: Move) -> None:
        if self._moving:
            raise PluginRefused(self.name, move.name, f"it is about to {self._moving}")
        if self.state not in move.sources:
            raise PluginRefused(self.name, move.name, f"it is {self.state.value}")

    def tell(self, type_: Callable[..., Event], *facts: Any) -> None:
        """Say something of this plugin, when nobody is inside."""
        if self.shared.source.hears(type_):  # type: ignore[arg-type]
            self._unsaid.append(type_(self.name, *facts))

    def flush(self) -> None:
        """Say what is not said yet; listeners may call the plugin."""
        while True:
            try:
                event = self._unsaid.popleft()
            except IndexError:  # nothing is left, or another thread has said the last one
                return
            self.shared.source.emit(event)

    def leave(self) -> None:
        """Nobody is inside any more."""
        self.gate.leave()
        self.flush()

    def interrupt(self) -> None:
        """End what runs in its instance, and in one that is about to begin."""
        store = self.store
        if store is not None:
            store.interrupt()
        self.interrupt_making()

    def interrupt_making(self) -> None:
        """End what runs in an instance that is about to begin."""
        making = self.making
        store = None if making is None else making.store
        if store is not None:
            store.interrupt()


def reason_of(error: BaseException) -> str:
    """An error in a line."""
    if isinstance(error, PluginRefused):
        return error.reason
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
