"""Claims about probes: what a plugin says of its health, what follows, and a thread that asks."""

from __future__ import annotations

import threading
import time

import pytest

from stratavm import Trap
from stratavm.plugins import (
    Grant,
    ManifestError,
    PluginError,
    PluginRefused,
    Plugins,
    Policy,
    Recovery,
    State,
    Timeouts,
    health,
)
from stratavm.plugins.events import PluginFailed, PluginProbed
from tests.unit.plugins.guests import COUNT, ECHO, HOST, TRAP, manifest, module

HEALTH = """(global $ill (mut i32) (i32.const 0)) (data (i32.const 16) "tired")
  (func (export "plugin_health") (param i32 i32) (result i64) (local $at i32)
    (if (i32.eq (global.get $ill) (i32.const 2)) (then unreachable))
    (if (i32.eqz (global.get $ill)) (then (return (i64.const 0))))
    (local.set $at (call $alloc (i32.const 5))) (memory.copy (local.get $at) (i32.const 16) (i32.const 5))
    (call $pack (local.get $at) (i32.const 0x80000005)))
  (func (export "ill") (param i32 i32) (result i64) (global.set $ill (i32.const 1)) (i64.const 0))
  (func (export "well") (param i32 i32) (result i64) (global.set $ill (i32.const 0)) (i64.const 0))
  (func (export "dead") (param i32 i32) (result i64) (global.set $ill (i32.const 2)) (i64.const 0))"""
KINDS = dict.fromkeys(("ill", "well", "dead"), "none -> none")


def probed(host):
    """What probes said since the last time."""
    found = []
    host.plugins.engine.bus.subscribe(PluginProbed, lambda e: found.append((e.is_well, e.reason)))
    return found


def test_a_plugin_that_is_unwell_too_often_has_failed(host):
    """In its own words; a good answer in between begins the count anew."""
    plugin = host.load(HEALTH, **KINDS)
    said = probed(host)
    assert plugin.probe() is True
    plugin.call("ill")
    assert [plugin.probe(), plugin.probe()] == [False, False] and plugin.state is State.ACTIVE
    plugin.call("well")
    assert plugin.probe() is True
    plugin.call("ill")
    assert [plugin.probe() for _ in range(3)] == [False] * 3
    assert plugin.state is State.FAILED
    failed = host.events.one(PluginFailed)
    assert (failed.where, failed.reason) == ("health", "Unwell: it was not well 3 times in a row: tired")
    assert said == [(True, ""), (False, "tired"), (False, "tired"), (True, ""), *[(False, "tired")] * 3]
    assert plugin.metrics().probes == {"well": 2, "unwell": 5}
    assert plugin.probe() is None  # its time has not come
    host.now += 100
    assert plugin.probe() is True and plugin.state is State.ACTIVE


def test_a_trap_is_a_failure_at_once_and_too_many_are_quarantine(host):
    """As in a call."""
    plugin = host.load(HEALTH, **KINDS)
    for _ in range(5):
        assert plugin.state is State.ACTIVE
        plugin._life.instance.exports.dead(0, 0)
        assert plugin.probe() is False
        if plugin.state is State.FAILED:
            host.now += 100
            assert plugin.probe() is True
    assert plugin.state is State.QUARANTINED and plugin.probe() is None
    assert plugin.metrics().failures == {"Trap": 5}


def test_who_says_nothing_is_asked_nothing(host):
    """Nor one that is called, rests or is not loaded; a name of its life is no function's."""
    plain = host.load(ECHO, COUNT, echo="text -> text")
    found = host.add(HEALTH, name="found", **KINDS)
    assert host.plugins.probe() == {"guest": None, "found": None}
    found.load()
    assert host.plugins.probe() == {"guest": None, "found": True}
    found._life.gate.enter(1)
    assert found.probe() is None
    found._life.leave()
    found.suspend()
    assert found.probe() is None
    assert plain.metrics().probes == {}
    with pytest.raises(
        ManifestError, match=r"none of plugin_alloc, plugin_free, plugin_start, plugin_stop, plugin_health"
    ):
        manifest(functions={"plugin_health": "none -> none"})
    with pytest.raises(PluginRefused, match=r"expected plugin_health\(i32, i32\) -> i64"):
        host.load('(func (export "plugin_health"))', name="odd")


def test_another_version_begins_anew(host):
    """What the one before said does not count."""
    plugin = host.load(HEALTH, **KINDS)
    plugin.call("ill")
    assert [plugin.probe(), plugin.probe()] == [False, False]
    plugin.update_to(plugin.manifest, plugin._life.package.data, how="swap", fresh=True)
    plugin.call("ill")
    assert [plugin.probe(), plugin.probe()] == [False, False] and plugin.state is State.ACTIVE


def test_what_a_host_function_raises_in_a_start_keeps_no_other_plugin_from_its_probe(host):
    """A guest may make it raise: that is told as its failure, and the others are asked all the same."""
    start = '(func (export "plugin_start") (param i32 i32) (result i64) (call $ask (i32.const 0) (i32.const 0)))'
    odd = host.load(start, TRAP, imports=HOST, trap="none -> none")
    host.load(HEALTH, name="other", **KINDS)

    def refuse(text):
        raise KeyError(text)

    with pytest.raises(Trap):
        odd.call("trap")
    host.ask, host.now = refuse, host.now + 100
    assert host.plugins.probe() == {"guest": None, "other": True}
    assert odd.state is State.FAILED and odd.metrics().failures == {"Trap": 1, "KeyError": 1}


def test_what_an_instance_said_does_not_count_for_the_next(host):
    """After a trap that begins anew."""
    plugin = host.load(HEALTH, TRAP, trap="none -> none", **KINDS)
    plugin.call("ill")
    assert [plugin.probe(), plugin.probe()] == [False, False]
    with pytest.raises(Trap):
        plugin.call("trap")
    host.now += 100
    plugin.revive()
    plugin.call("ill")
    assert [plugin.probe(), plugin.probe()] == [False, False] and plugin.state is State.ACTIVE


ASKS = """(func (export "plugin_health") (param i32 i32) (result i64) (call $ask (i32.const 0) (i32.const 0)))"""


def test_who_ends_a_probe_gives_the_instance_up(host):
    """Ctrl-C, or a function of the host that ends the process: it goes on, and nobody knows what is in that memory."""
    plugin = host.load(ASKS, imports=HOST)

    def end(text):
        raise SystemExit(3)

    host.ask = end
    said = probed(host)
    with pytest.raises(SystemExit):
        plugin.probe()
    assert plugin.state is State.FAILED and said == [(False, "SystemExit: 3")]
    assert plugin._life.breaker.in_a_row == 0


def test_a_thread_goes_on_where_a_plugin_would_end_it(hosts):
    """The others are asked."""
    host = hosts()
    odd = host.load(ASKS, imports=HOST)
    host.load(HEALTH, name="other", **KINDS)
    asked = threading.Event()

    def end(text):
        raise SystemExit(3)

    def hear(event):
        if event.plugin == "other" and odd.state is State.FAILED:
            asked.set()

    host.ask = end
    host.plugins.engine.bus.subscribe(PluginProbed, hear)
    with host.plugins.probing(period_s=0.005):
        assert asked.wait(60)


def test_a_thread_asks_until_it_is_closed(hosts):
    """And starts again what failed; the end of the host is its end."""
    host = hosts(recovery=Recovery(unwell=1))
    plugin = host.load(HEALTH, TRAP, trap="none -> none", **KINDS)
    again = threading.Event()

    def hear(event):
        if event.is_well and plugin.metrics().instances > 1:
            again.set()

    host.plugins.engine.bus.subscribe(PluginProbed, hear)
    with host.plugins.probing(period_s=0.005):
        with pytest.raises(Trap):
            plugin.call("trap")
        host.now += 100
        assert again.wait(60)
    names = [thread.name for thread in threading.enumerate()]
    assert "strata-health" not in names
    host.plugins.probing(period_s=0.005)
    host.plugins.close()
    assert "strata-health" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(ValueError, match="period_s"):
        host.plugins.probing(period_s=-1)
    with pytest.raises(ValueError, match="unwell"):
        Recovery(unwell=0)


def test_threads_that_are_closed_are_forgotten(hosts):
    """However many there were."""
    host = hosts()
    for _ in range(20):
        host.plugins.probing(1000).close()
    with host.plugins.probing(1000) as last:
        assert host.plugins._probing == [last]


def test_a_probe_that_the_host_holds_is_not_waited_for_longer_than_so(hosts, monkeypatch, held):
    """By ``close`` of the thread and of the host, which says so."""
    monkeypatch.setattr(health, "CLOSE_S", 0.05)
    host = hosts(timeouts=Timeouts(stop=0.05))
    host.ask = held
    host.load(ASKS, imports=HOST)
    probing = host.plugins.probing(0.001)
    try:
        held.has_come()
        begun = time.monotonic()
        probing.close()
        with pytest.raises(PluginError, match="guest"):
            host.plugins.close()
        assert time.monotonic() - begun < 30  # and not for as long as the function takes
        assert probing.is_over and probing._thread.is_alive()
    finally:
        held.go_on.set()
        probing._thread.join(60)
    host.plugins.close()
    assert not probing._thread.is_alive()


def test_a_listener_may_close_the_host_of_the_thread():
    """Which does not wait for itself."""
    closed = threading.Event()
    plugins = Plugins(Policy({}, Grant()))
    plugins.add(manifest(functions=KINDS), module(HEALTH)).load()

    def close(event):
        plugins.close()
        closed.set()

    plugins.engine.bus.subscribe(PluginProbed, close)
    plugins.probing(period_s=0.005)
    assert closed.wait(60)
    for thread in threading.enumerate():
        if thread.name == "strata-health":
            thread.join(60)
