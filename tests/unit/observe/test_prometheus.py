"""Metrics for Prometheus: names, labels, scrapes over HTTP."""

import asyncio
import re
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest

from stratavm import Engine, Linker, Module, Pool, Rejected, Tenant, Trap
from stratavm.plugins import Grant, Plugins, Policy
from tests import needed
from tests.unit.plugins.guests import ECHO, TRAP, manifest, module

prometheus_client = needed.module("prometheus_client")
prometheus = needed.module("stratavm.observe.prometheus")
text_string_to_metric_families = needed.module("prometheus_client.parser").text_string_to_metric_families

PAGE = Path(__file__).parents[3] / "docs/how-to/metrics.md"
SOURCE = """(module (func (export "trap") unreachable)
  (func (export "one") (result i32) (i32.const 1)))"""


@pytest.fixture
def engine():
    return Engine()


def pool_of(engine, **options):
    return Pool(Linker(engine).instantiate_pre(Module(SOURCE, engine)), **options)


def samples(text):
    """Sample name and labels → value."""
    families = text_string_to_metric_families(text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_a_scrape_has_what_engine_and_pools_did(engine):
    """By engine, pool, kind and tenant; of tenants without settings there is one series."""
    registry = prometheus_client.CollectorRegistry()
    prometheus.register(engine, "main", registry)

    async def main():
        async with pool_of(engine, name="scripts", tenants=[Tenant("ann")]) as pool:
            for tenant in ("ann", "user 1", "user 2"):
                assert await pool.call("one", tenant=tenant) == 1
            with pytest.raises(Trap):
                await pool.call("trap")
            await pool.drain()
            with pytest.raises(Rejected):
                await pool.call("one")
            return samples(prometheus_client.generate_latest(registry).decode())

    found = asyncio.run(main())
    of = (("engine", "main"), ("pool", "scripts"))
    assert found["strata_traps_total", ("engine", "main"), ("kind", "unreachable")] == 1
    assert found[("strata_pool_calls_total", *sorted((*of, ("outcome", "completed"))))] == 3
    assert found[("strata_pool_rejected_total", *sorted((*of, ("reason", "draining"))))] == 1
    tenants = [dict(key[1:])["tenant"] for key in found if key[0] == "strata_pool_cpu_seconds_total"]
    assert sorted(tenants) == ["", "ann"]


def test_counters_never_fall(engine):
    """Between two scrapes, whatever is forgotten."""
    registry = prometheus_client.CollectorRegistry()
    prometheus.register(engine, registry=registry)

    async def main():
        seen = []
        async with pool_of(engine) as pool:
            for i in range(20):
                await pool.call("one", tenant=f"user {i}")
                seen.append(samples(prometheus_client.generate_latest(registry).decode()))
        return seen

    seen = asyncio.run(main())
    for before, after in pairwise(seen):
        assert all(after[key] >= value for key, value in before.items() if key[0].endswith("_total"))


def test_several_engines_are_told_apart_by_name(engine):
    """In one registry, a family each."""
    registry = prometheus_client.CollectorRegistry()
    registry.register(prometheus.EngineCollector({"a": engine, "b": Engine()}))
    text = prometheus_client.generate_latest(registry).decode()
    assert 'strata_stores_total{engine="a"} 0.0' in text and 'strata_stores_total{engine="b"} 0.0' in text


def test_a_name_is_of_one_engine_until_that_is_unregistered(engine):
    """A scrape with the same sample twice is dropped whole; other names are free."""
    registry = prometheus_client.CollectorRegistry()
    first = prometheus.register(engine, "a", registry)
    prometheus.register(Engine(), "b c", registry)
    for other in (engine, Engine()):
        with pytest.raises(ValueError, match="has an engine called 'a': give another name"):
            prometheus.register(other, "a", registry)
    lines = prometheus_client.generate_latest(registry).decode().splitlines()
    assert sorted(line for line in lines if line.startswith("strata_stores_total{")) == [
        'strata_stores_total{engine="a"} 0.0', 'strata_stores_total{engine="b c"} 0.0',
    ]  # fmt: skip
    registry.unregister(first)
    prometheus.register(engine, "a", registry)


@pytest.mark.parametrize(("given", "words"), [((5, "b"), "engine must be an Engine, got 5"), ((None, "b"), "got None")])
def test_only_engines_are_registered(given, words):
    """And by text."""
    with pytest.raises(TypeError, match=words):
        prometheus.register(*given, prometheus_client.CollectorRegistry())
    with pytest.raises(TypeError, match="name must be a string, got 5"):
        prometheus.register(Engine(), 5, prometheus_client.CollectorRegistry())


def test_a_scrape_has_what_plugins_did():
    """By the names of the host and the plugin; one that is unloaded keeps its counts, and has nothing."""
    registry = prometheus_client.CollectorRegistry()
    with Plugins(Policy({}, Grant())) as plugins:
        prometheus.register_plugins(plugins, "main", registry)
        with pytest.raises(ValueError, match="has plugins called 'main'"):
            prometheus.register_plugins(plugins, "main", registry)
        for odd, name, words in ((3, "x", "must be Plugins"), (plugins, 3, "must be a string")):
            with pytest.raises(TypeError, match=words):
                prometheus.register_plugins(odd, name, registry)
        plugin = plugins.add(manifest(functions={"echo": "text -> text", "trap": "none -> none"}), module(ECHO, TRAP))
        plugin.load()
        plugin.call("echo", "four")
        with pytest.raises(Trap):
            plugin.call("trap")
        plugin.update_to(plugin.manifest, module(ECHO, TRAP))

        def value(name, **labels):
            of = {"plugins": "main", "plugin": "guest"} | labels
            found = samples(prometheus_client.generate_latest(registry).decode())
            return found.get((name, *sorted(of.items())))

        assert value("strata_plugin_state", state="active") == 1
        assert value("strata_plugin_calls_total", outcome="answered") == 1
        assert value("strata_plugin_failures_total", error="Trap") == 1
        assert value("strata_plugin_updates_total", kind="swap") == 1
        assert value("strata_plugin_message_bytes_total", direction="in") == 4
        assert value("strata_plugin_instances_total") == 2
        assert value("strata_plugin_owned", kind="instance") == 1
        assert value("strata_plugin_memory_bytes") == 65536
        plugin.unload()
        assert value("strata_plugin_state", state="unloaded") == 1
        assert value("strata_plugin_owned", kind="instance") is None and value("strata_plugin_instances_total") == 2


def test_metrics_can_be_served_over_http(engine):
    """By a thread of its own, until it is ended."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    end = prometheus.serve(engine, port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            assert b"strata_modules_total" in answer.read()
    finally:
        end()


@pytest.mark.parametrize(("port", "error"), [(99999, ValueError), (-1, ValueError), ("9464", TypeError)])
def test_what_is_no_port_is_not_served(engine, port, error):
    """It is said before anything begins."""
    with pytest.raises(error, match=r"port must be (a whole number|between 0 and 65535)"):
        prometheus.serve(engine, port)


def test_an_asgi_application_answers_scrapes(engine):
    """For a server that there is."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(prometheus.endpoint(engine)(scope, receive, send))
    assert sent[0]["status"] == 200 and b"strata_stacks" in sent[1]["body"]


def test_the_documentation_has_every_name_with_its_labels():
    """And no other."""
    rows = dict(re.findall(r"^\| `(strata_\w+)` \| ([^|]*) \|", PAGE.read_text(), re.M))
    known = {row.name: row.labels for row in (*prometheus.ENGINE, *prometheus.POOL, *prometheus.PLUGIN)}
    assert {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows.items()} == known
