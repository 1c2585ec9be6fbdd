"""Metrics of engines, pools and plugins for Prometheus, by its official client library.

``pip install stratavm[prometheus]`` brings that.
Nothing is counted for it twice: a scrape reads ``Engine.metrics()``. Names follow the conventions of Prometheus: base
units, counters end in ``_total``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry, make_asgi_app, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from stratavm.base.numbers import whole
from stratavm.engine.engine import Engine
from stratavm.engine.metrics import EngineMetrics
from stratavm.pool.metrics import PoolMetrics

LAST_PORT: Final = 0xFFFF
Samples = Iterable[tuple[tuple[str, ...], float]]
C = TypeVar("C", bound=Collector)


@dataclass(frozen=True, slots=True)
class Row:
    """A metric: its name, what it is, its labels, and where its samples come from."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Any], Samples]


def _one(value: Callable[[Any], float]) -> Callable[[Any], Samples]:
    return lambda seen: [((), value(seen))]


def _by(values: Callable[[Any], Mapping[str, float]]) -> Callable[[Any], Samples]:
    return lambda seen: [((name,), value) for name, value in values(seen).items()]


def _collections(seen: EngineMetrics) -> Mapping[str, float]:
    """Looks at new objects, full collections in slices, and those in one pause."""
    minor, sliced = seen.gc["minors"], seen.gc["cycles"]
    return {"minor": minor, "sliced": sliced, "full": seen.gc["collections"] - minor - sliced}


def _tenants(seen: PoolMetrics) -> Samples:
    """Of declared tenants by name, of all others together: names of users would make a series for each."""
    declared = {name: tenant.cpu_seconds for name, tenant in seen.tenants.items() if tenant.is_declared}
    return [*(((name,), value) for name, value in declared.items()), (("",), seen.cpu_seconds - sum(declared.values()))]


ENGINE: Final[tuple[Row, ...]] = (
    Row("strata_modules_total", "counter", "Modules by outcome of loading.", ("outcome",), _by(lambda m: m.modules)),
    Row("strata_stores_total", "counter", "Stores made.", (), _one(lambda m: m.stores)),
    Row("strata_instances_total", "counter", "Instances made.", (), _one(lambda m: m.instances)),
    Row("strata_instances_poisoned_total", "counter", "Instances abandoned midway.", (), _one(lambda m: m.poisoned)),
    Row("strata_snapshots_total", "counter", "Snapshots taken.", (), _one(lambda m: m.snapshots)),
    Row("strata_clones_total", "counter", "Instances that began with one.", (), _one(lambda m: m.clones)),
    Row("strata_updates_total", "counter", "Updates of instances.", ("outcome",), _by(lambda m: m.updates)),
    Row("strata_calls_ended_total", "counter", "Calls that did not return, by how.", ("how",), _by(lambda m: m.calls)),
    Row("strata_traps_total", "counter", "Traps by kind.", ("kind",), _by(lambda m: m.traps)),
    Row("strata_limits_total", "counter", "Operations that a limit refused.", ("limit",), _by(lambda m: m.limits)),
    Row("strata_compiled_total", "counter", "Functions compiled, by level.", ("level",), _by(lambda m: m.compiled)),
    Row(
        "strata_compile_seconds_total", "counter", "Seconds that compiling took, by level.", ("level",),
        _by(lambda m: m.compile_seconds),
    ),
    Row("strata_fallbacks_total", "counter", "Functions that run on the oracle.", (), _one(lambda m: m.fallbacks)),
    Row("strata_cache_total", "counter", "Entries of the code cache.", ("outcome",), _by(lambda m: m.cache)),
    Row(
        "strata_cache_restored_bytes_total", "counter", "Bytes of code from the cache.", (),
        _one(lambda m: m.restored_bytes),
    ),
    Row("strata_memory_slots", "gauge", "Slots for memories in use.", (), _one(lambda m: m.memory_slots)),
    Row("strata_stacks", "gauge", "Stacks of asynchronous calls in use.", (), _one(lambda m: m.stacks)),
    Row("strata_waiters", "gauge", "Threads and calls that wait at shared memories.", (), _one(lambda m: m.waiters)),
    Row("strata_compile_threads", "gauge", "Threads that compile.", (), _one(lambda m: m.helpers["living"])),
    Row("strata_compile_queue", "gauge", "Jobs that wait for them.", (), _one(lambda m: m.helpers["queued"])),
    Row("strata_gc_heaps", "gauge", "Stores with a heap of objects.", (), _one(lambda m: m.gc["heaps"])),
    Row("strata_gc_used_bytes", "gauge", "Blocks of these heaps in use.", (), _one(lambda m: m.gc["used_bytes"])),
    Row("strata_gc_live_bytes", "gauge", "Bytes reachable when last seen.", (), _one(lambda m: m.gc["live_bytes"])),
    Row("strata_gc_collections_total", "counter", "Collections by kind.", ("kind",), _by(_collections)),
    Row("strata_gc_pauses_total", "counter", "Pauses of guests.", (), _one(lambda m: m.gc["pauses"])),
    Row("strata_gc_pause_seconds_total", "counter", "Seconds of pauses.", (), _one(lambda m: m.gc["stood_ns"] / 1e9)),
)  # fmt: skip
POOL: Final[tuple[Row, ...]] = (
    Row("strata_pool_limit", "gauge", "Calls that may run at once just now.", (), _one(lambda p: p.limit)),
    Row("strata_pool_running", "gauge", "Calls that run.", (), _one(lambda p: p.running)),
    Row("strata_pool_queued", "gauge", "Calls that wait for their first turn.", (), _one(lambda p: p.queued)),
    Row("strata_pool_outside", "gauge", "Calls that wait for room in the queue.", (), _one(lambda p: p.outside)),
    Row("strata_pool_ready", "gauge", "Instances made ahead.", (), _one(lambda p: p.ready)),
    Row(
        "strata_pool_calls_total", "counter", "Calls that ended, by how.", ("outcome",),
        _by(lambda p: {"completed": p.completed, "failed": p.failed, "cancelled": p.cancelled}),
    ),
    Row("strata_pool_rejected_total", "counter", "Calls not made.", ("reason",), _by(lambda p: p.rejected)),
    Row(
        "strata_pool_instances_total", "counter", "Instances made, used again, closed.", ("what",),
        _by(lambda p: {"made": p.made, "reused": p.reused, "discarded": p.discarded}),
    ),
    Row("strata_pool_cpu_seconds_total", "counter", "Processor time of guests.", ("tenant",), _tenants),
    Row(
        "strata_pool_busy_seconds_total", "counter", "Instance-seconds that belonged to calls.", (),
        _one(lambda p: p.busy_seconds),
    ),
    Row("strata_pool_capacity_seconds_total", "counter", "Instance-seconds.", (), _one(lambda p: p.capacity_seconds)),
    Row("strata_pool_wait_seconds_total", "counter", "Waits of calls.", ("what",), _by(lambda p: p.wait_seconds)),
)  # fmt: skip

PLUGIN: Final[tuple[Row, ...]] = (
    Row("strata_plugin_state", "gauge", "1 for the state that it is in.", ("state",), _by(lambda p: {p.state: 1})),
    Row("strata_plugin_calls_total", "counter", "Calls that ended, by how.", ("outcome",), _by(lambda p: p.calls)),
    Row("strata_plugin_failures_total", "counter", "Failures by type.", ("error",), _by(lambda p: p.failures)),
    Row("strata_plugin_updates_total", "counter", "Updates, made and refused.", ("kind",), _by(lambda p: p.updates)),
    Row("strata_plugin_probes_total", "counter", "Probes by what it said.", ("answer",), _by(lambda p: p.probes)),
    Row("strata_plugin_instances_total", "counter", "Instances made.", (), _one(lambda p: p.instances)),
    Row("strata_plugin_host_calls_total", "counter", "Calls of host functions.", (), _one(lambda p: p.host_calls)),
    Row(
        "strata_plugin_message_bytes_total", "counter", "Bytes of arguments and answers.", ("direction",),
        _by(lambda p: {"in": p.bytes_in, "out": p.bytes_out}),
    ),
    Row("strata_plugin_call_seconds_total", "counter", "Time in which it was called.", (), _one(lambda p: p.seconds)),
    Row("strata_plugin_fuel_total", "counter", "Units of fuel used.", (), _one(lambda p: p.fuel)),
    Row("strata_plugin_waiting", "gauge", "Calls that wait for their turn.", (), _one(lambda p: p.waiting)),
    Row("strata_plugin_memory_bytes", "gauge", "Bytes of its memories.", (), _one(lambda p: p.memory_bytes)),
    Row("strata_plugin_stored_bytes", "gauge", "Bytes that the host keeps for it.", (), _one(lambda p: p.stored_bytes)),
    Row("strata_plugin_owned", "gauge", "Entries of its ledger.", ("kind",), _by(lambda p: p.owned)),
)  # fmt: skip


class EngineCollector(Collector):
    """Gives a registry of Prometheus the metrics of engines when it is scraped.

    Args:
        engines: names and engines; the label ``engine`` has the name.
    """

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = dict(engines)
        for engine in self._engines.values():
            engine.metrics()  # counting begins now, not at the first scrape

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What the registry asks for at a scrape."""
        seen = {name: engine.metrics() for name, engine in self._engines.items()}
        for row in ENGINE:
            yield _family(row, ("engine",), [((name,), metrics) for name, metrics in seen.items()])
        pools = [((name, pool), found) for name, metrics in seen.items() for pool, found in metrics.pools.items()]
        for row in POOL:
            yield _family(row, ("engine", "pool"), pools)

    def describe(self) -> list[GaugeMetricFamily]:
        """A name for each engine, which is never collected: by it a registry refuses a second engine of that name."""
        encoded = (name.encode("utf-8", "surrogatepass").hex() for name in self._engines)
        return [GaugeMetricFamily(f"strata_engine_{name}", "An engine.") for name in encoded]


class HasPlugins(Protocol):
    """``stratavm.plugins.Plugins``, as far as it is seen from here."""

    def metrics(self) -> Mapping[str, Any]:
        """Of each plugin, by its name."""


class PluginCollector(Collector):
    """Gives a registry of Prometheus the metrics of plugins when it is scraped.

    Args:
        plugins: names and ``Plugins``; the label ``plugins`` has the name.
    """

    def __init__(self, plugins: Mapping[str, HasPlugins]) -> None:
        self._plugins = dict(plugins)

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """What the registry asks for at a scrape."""
        seen = [
            ((name, plugin), metrics)
            for name, plugins in self._plugins.items()
            for plugin, metrics in plugins.metrics().items()
        ]
        for row in PLUGIN:
            yield _family(row, ("plugins", "plugin"), seen)

    def describe(self) -> list[GaugeMetricFamily]:
        """A name for each of them, as for engines."""
        encoded = (name.encode("utf-8", "surrogatepass").hex() for name in self._plugins)
        return [GaugeMetricFamily(f"strata_plugins_{name}", "Plugins.") for name in encoded]


def register_plugins(
    plugins: HasPlugins, name: str = "default", registry: CollectorRegistry = REGISTRY
) -> PluginCollector:
    """Have a registry collect the metrics of plugins; ``registry.unregister`` ends it.

    Raises:
        TypeError: ``plugins`` is none, or ``name`` no string.
        ValueError: the registry has plugins of this name.
    """
    found = getattr(plugins, "metrics", None)
    if not callable(found) or not isinstance(found(), Mapping):
        raise TypeError(f"register_plugins: plugins must be Plugins, got {plugins!r:.60}")
    return _registered("register_plugins", PluginCollector, name, plugins, registry)


def _family(
    row: Row, labels: tuple[str, ...], seen: Iterable[tuple[tuple[str, ...], Any]]
) -> CounterMetricFamily | GaugeMetricFamily:
    type_ = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
    family = type_(row.name.removesuffix("_total"), row.help, labels=(*labels, *row.labels))
    for of, metrics in seen:
        for values, value in row.samples(metrics):
            family.add_metric((*of, *values), value)
    return family


def register(engine: Engine, name: str = "default", registry: CollectorRegistry = REGISTRY) -> EngineCollector:
    """Have a registry collect the metrics of an engine, with those of its pools; ``registry.unregister`` ends it.

    Raises:
        TypeError: ``engine`` is none, or ``name`` no string.
        ValueError: the registry has an engine of this name: a scrape would have each of its samples twice.
    """
    if not isinstance(engine, Engine):
        raise TypeError(f"register: engine must be an Engine, got {engine!r:.60}")
    return _registered("register", EngineCollector, name, engine, registry)


def _registered(
    what: str, collects: Callable[[dict[str, Any]], C], name: str, seen: Any, registry: CollectorRegistry
) -> C:
    """A collector of something that is seen under a name, which a registry has; ``what`` is called so."""
    if not isinstance(name, str):
        raise TypeError(f"{what}: name must be a string, got {name!r:.60}")
    collector = collects({name: seen})
    try:
        registry.register(collector)
    except ValueError:
        found = "an engine" if isinstance(collector, EngineCollector) else "plugins"
        raise ValueError(f"{what}: the registry has {found} called {name!r:.60}: give another name") from None
    return collector


def endpoint(engine: Engine, name: str = "default") -> Any:
    """An ASGI application that answers scrapes: mount it at ``/metrics`` of a server."""
    registry = CollectorRegistry()
    register(engine, name, registry)
    return make_asgi_app(registry)


def serve(engine: Engine, port: int, address: str = "127.0.0.1", name: str = "default") -> Callable[[], None]:
    """Answer scrapes in a thread of its own; what is returned ends it.

    Raises:
        TypeError, ValueError: ``port`` is no whole number from 0 (one that is free) to 65535.
        OSError: somebody has it.
    """
    whole("port", port, most=LAST_PORT)
    registry = CollectorRegistry()
    register(engine, name, registry)
    server, thread = start_http_server(port, address, registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return end
