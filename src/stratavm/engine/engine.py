"""The engine: configuration, the tier that runs functions, and what modules and stores share."""

from __future__ import annotations

from stratavm.base.closing import Closing
from stratavm.base.events.core import Bus
from stratavm.base.forms import TYPE_CHECKING, Any, NoReturn, Unpack, replace
from stratavm.base.importing import importing
from stratavm.engine.composition import Replacements, composition
from stratavm.engine.config import Config, Options, check_options
from stratavm.engine.events import EngineClosed, EngineCreated
from stratavm.engine.ports import GrowthLimiter, NoLimiter
from stratavm.runtime.core import Runtime
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.template import StoreTemplate
from stratavm.services.di import Container
from stratavm.tiers.tier import Tier

if TYPE_CHECKING:
    from _collections_abc import Callable

    from stratavm.engine.metrics import EngineMetrics, Tally
    from stratavm.services.lifecycle import Lifecycle


class Engine(Closing):
    """What modules, stores and instances have in common.

    Args:
        config: options; keyword arguments change single ones, by their names in ``Config``: ``Engine(tier="oracle")``.
        services: services of the host to use instead of the usual ones, by type: ``{Clock: FixedClock()}``.

    Attributes:
        services: the container that the engine was wired with.
        bus: where its events go: ``engine.bus.subscribe(Trapped, print)``.
        template: what stores without limits of their own have in common; None once the engine is closed.
        pools: weak references to the pools of its instances; they add themselves.
        tally: what counts for ``metrics``; None before the first call.
    """

    __slots__ = (
        "_last", "bus", "config", "pools", "runtime", "services", "source", "tally", "template", "tier",
    )  # fmt: skip

    config: Config
    services: Container
    bus: Bus
    runtime: Runtime
    tier: Tier

    def __init__(
        self, config: Config | None = None, *, services: Replacements | None = None, **changes: Unpack[Options]
    ) -> None:
        if config is not None and not isinstance(config, Config):
            raise TypeError(f"Engine() takes a Config or options by name, got {config!r:.60}")
        check_options("Engine()", changes, "services")
        self.config = (config or Config()).having(**changes)
        self.services = composition().compose(self.config, services)
        self.bus = self.services[Bus]
        self.source = self.bus.source("engine")
        self.runtime = self.services[Runtime]
        self.tier = self.services.get(Tier)
        self.tally: Tally | None = None
        self.pools: list[Callable[[], Any]] = []
        self._last: tuple[StoreLimits | None, StoreTemplate | None] = None, None
        self.template: StoreTemplate | None = self.template_for(StoreLimits())
        if self.source.hears(EngineCreated):  # a bus that was given may have listeners already
            self.source.emit(EngineCreated(self.config.tier, self.config.memory_plan))

    def __reduce__(self) -> NoReturn:
        raise TypeError("an engine cannot be pickled: its config can")

    def template_for(self, limits: StoreLimits) -> StoreTemplate:
        """What stores with these limits, and this engine's cap on memories, have in common.

        Raises:
            Closed: the engine is closed.
        """
        if not isinstance(limits, StoreLimits):
            raise TypeError(f"limits must be StoreLimits, got {limits!r:.60}")
        given, template = self._last
        if given is not limits:
            made = self._completed(limits), self.config.fuel, self.config.memory_plan, self.config.gc
            template = StoreTemplate(self.runtime, *made)
            if limits.limiter is None and limits.admit is None:  # callables are not kept alive here
                self._last = limits, template
        assert template is not None
        return template

    def _completed(self, limits: StoreLimits) -> StoreLimits:
        limiter = self.services.get(GrowthLimiter)
        if limits.limiter is None and not isinstance(limiter, NoLimiter):
            limits = replace(limits, limiter=limiter.allows)
        cap = self.config.max_memory_bytes
        return limits if cap is None else replace(limits, memory_bytes=min(cap, limits.memory_bytes))

    def close(self) -> None:
        """Clean the engine's services up; may be called twice. Stores that are open go on, no new ones can be made."""
        if not self.services.closed:
            self.template = None
            self._last = None, None
            self.services.close()
            if self.source.hears(EngineClosed):
                self.source.emit(EngineClosed())

    def metrics(self) -> EngineMetrics:
        """What the engine has done since this was called first, and does now, as numbers that do not change.

        Nothing is counted before the first call.
        """
        return composition().metrics(self)

    def lifecycle(self) -> Lifecycle:
        """The life cycle of those services that have coroutine methods ``start`` and ``stop``.

        ``async with engine.lifecycle():`` starts them in the order of their needs, watches those that have
        ``healthy``, and stops them. Their ``restart``, where they have one, says when they are started again.
        """
        with importing:
            from stratavm.services.lifecycle import Lifecycle, services_of

        return Lifecycle(services_of(self.services), self.bus)

    def __repr__(self) -> str:
        return f"<Engine {self.config.tier}{' closed' if self.services.closed else ''}>"


_default: list[Engine] = []


def default_engine() -> Engine:
    """The engine that is used where none is given; made at the first call."""
    if not _default:
        _default.append(Engine())
    return _default[0]


def engine_of(given: Engine | None, hint: str = "") -> Engine:
    """The engine that was given, or the default one; ``hint`` is said behind what is wrong.

    Raises:
        TypeError: it is none.
    """
    if given is None:
        return default_engine()
    if not isinstance(given, Engine):
        raise TypeError(f"engine must be an Engine, got {given!r:.60}{hint}")
    return given
