"""Claims about the life of a plugin: every edge is driven, and a fault on its way leaves the plugin where it was."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from stratavm import DeadlineExceeded, Interrupted, LinkError, Trap, UpdateRefused, ValidationError
from stratavm.base.forms import replace
from stratavm.engine.update import Patience
from stratavm.plugins import (
    Capability,
    ErrorAnswer,
    Grant,
    HostFunction,
    PluginBusy,
    PluginError,
    PluginRefused,
    Plugins,
    PluginUnavailable,
    Policy,
    State,
    Timeouts,
)
from stratavm.plugins.edges import EDGES
from stratavm.plugins.events import EdgeRefused, PluginFailed, PluginLoading, PluginUnloaded, PluginUpdated
from stratavm.plugins.states import MOVES
from stratavm.plugins.updating import Attempt, Order
from tests.unit.plugins.conftest import PATIENT, until, until_async
from tests.unit.plugins.guests import ASK, COUNT, ECHO, HOST, SPIN, TRAP, manifest, module

BIRTH = ["Verified", "Resolved", "Instantiated", "Starting", "Activated"]
FAULTS = (OSError("broken"), Trap("unreachable"), MemoryError(), KeyboardInterrupt(), asyncio.CancelledError())
GIVEN = {"fail": ("test", "no reason", 0.0), "quarantine": ("no reason",)}


def at(host, state, name="guest", former=False):
    """A plugin in a state, brought there by its own edges; with a version to go back to where that is wanted."""
    plugin = host.add(ECHO, TRAP, name=name, echo="text -> text", trap="none -> none")
    life = plugin._life
    ways = {
        State.DISCOVERED: (),
        State.VERIFIED: ("verify",),
        State.RESOLVED: ("verify", "resolve"),
        State.INSTANTIATED: ("verify", "resolve", "instantiate"),
        State.STARTING: ("verify", "resolve", "instantiate", "start"),
    }
    ways[State.ACTIVE] = (*ways[State.STARTING], "activate")
    ways[State.DRAINING] = (*ways[State.ACTIVE], "drain")
    ways[State.SUSPENDED] = (*ways[State.DRAINING], "suspend")
    ways[State.STOPPING] = (*ways[State.SUSPENDED], "stop")
    ways[State.UNLOADED] = (*ways[State.STOPPING], "unload")
    ways[State.FAILED] = (*ways[State.ACTIVE], "fail")
    ways[State.QUARANTINED] = (*ways[State.ACTIVE], "quarantine")
    for name in ways[state]:
        take(life, name)
        if former and name == "activate":
            take(life, "update")
    life.flush()
    host.events.clear()
    return plugin


def given_to(life, name):
    """What an edge is given elsewhere."""
    if name == "update":
        return (Attempt.of(life, life.package, Order(how="swap", fresh=True), Patience("now", None)),)
    return GIVEN.get(name, ())


def take(life, name):
    """Take an edge with what it is given elsewhere."""
    life.take(EDGES[name], *given_to(life, name))


EVERY = [(move.name, source) for move in MOVES for source in move.sources]


@pytest.mark.parametrize(("name", "source"), EVERY, ids=lambda value: getattr(value, "value", value))
def test_every_edge_leads_where_it_says(host, name, source):
    """With one event, its own; what belongs to an instance is there where there is one, and nowhere else."""
    plugin = at(host, source, former=name == "rollback")
    move = EDGES[name].move
    take(plugin._life, name)
    plugin._life.flush()
    assert plugin.state is move.target
    assert [type(event) for event in host.events.events] == [EDGES[name].event]
    owned = plugin.metrics().owned
    has_instance = move.target in (
        State.INSTANTIATED, State.STARTING, State.ACTIVE, State.DRAINING, State.SUSPENDED, State.STOPPING,
    )  # fmt: skip
    assert ("instance" in owned) is has_instance
    assert not (move.target is State.UNLOADED and owned)


@pytest.mark.parametrize("name", EDGES)
def test_no_edge_begins_elsewhere(host, name):
    """And the plugin stays, with what it has, and without a word."""
    for source in set(State) - set(EDGES[name].move.sources):
        plugin = at(host, source, f"guest-{source.value}")
        before = dict(plugin.metrics().owned)
        with pytest.raises(PluginRefused, match=f"{name}: it is {source.value}"):
            take(plugin._life, name)
        plugin._life.flush()
        assert plugin.state is source and dict(plugin.metrics().owned) == before and host.said == []


@pytest.mark.parametrize(("name", "source"), EVERY, ids=lambda value: getattr(value, "value", value))
def test_a_fault_on_an_edge_leaves_the_plugin_where_it_was(host, name, source):
    """What the edge has made by then is gone; the next attempt takes it."""
    for number, (where, fault) in enumerate(itertools.product(("guard", "action", "behind"), FAULTS)):
        plugin = at(host, source, f"guest-{number}", name == "rollback")
        before = dict(plugin.metrics().owned)
        with pytest.raises(type(fault)):
            plugin._life.take(broken(EDGES[name], where, fault), *given_to(plugin._life, name))
        plugin._life.flush()
        assert plugin.state is source
        assert [(type(e), e.edge) for e in host.events.events] == [(EdgeRefused, name)]
        after = dict(plugin.metrics().owned)
        if where == "behind" and name in ("fail", "retry", "quarantine", "unload"):  # what is closed stays closed
            assert set(after) <= set(before)
        else:
            assert after == before
        take(plugin._life, name)
        assert plugin.state is EDGES[name].move.target


def broken(edge, where, fault):
    """An edge with a fault in its guard, before its action, or behind that."""

    def fall(life, *ignored):
        raise fault

    def action(life, seconds, *given):
        if where == "behind":
            edge.action(life, seconds, *given)
        if edge.move.name != "unload":  # behind that nothing can be owned
            life.ledger.own("thing", "half", lambda: None)
        raise fault

    return edge._replace(guard=fall) if where == "guard" else edge._replace(action=action)


@pytest.mark.parametrize("name", [move.name for move in MOVES if Timeouts().of(move.name) is not None])
def test_an_edge_that_takes_too_long_is_not_taken(host, name):
    """Its clock is looked at behind the action; what it made is gone."""
    edge = EDGES[name]
    plugin = at(host, edge.move.sources[-1])
    before = dict(plugin.metrics().owned)

    def slow(life, seconds, *given):
        host.now += seconds + 1
        return edge.action(life, seconds, *given)

    with pytest.raises(PluginRefused, match="it took more than"):
        plugin._life.take(edge._replace(action=slow))
    assert plugin.state is edge.move.sources[-1] and dict(plugin.metrics().owned) == before


def test_a_whole_life(host):
    """From a manifest to nothing, with its calls in between."""
    plugin = host.load(COUNT, count="none -> text")
    assert host.said == ["Discovered", *BIRTH]
    assert [plugin.call("count") for _ in range(3)] == ["1", "2", "3"]
    plugin.suspend()
    assert (plugin.state, host.said) == (State.SUSPENDED, ["Draining", "Suspended"])
    with pytest.raises(PluginUnavailable, match="plugin guest is suspended"):
        plugin.call("count")
    plugin.resume()
    assert plugin.call("count") == "4"
    plugin.unload()
    plugin.unload()
    assert host.said == ["Resumed", "Draining", "Stopping", "Unloaded"]
    with pytest.raises(PluginUnavailable, match="is unloaded"):
        plugin.call("count")
    assert list(host.plugins) == []
    assert host.load(COUNT, count="none -> text").call("count") == "1"


def test_a_plugin_is_configured_and_says_goodbye(host):
    """By ``plugin_start`` and ``plugin_stop``."""
    heard = []
    host.ask = lambda text: heard.append(text) or ""
    start = """(func (export "plugin_start") (param i32 i32) (result i64)
        (drop (call $ask (local.get 0) (local.get 1))) (i64.const 0))
      (data (i32.const 16) "bye")
      (func (export "plugin_stop") (param i32 i32) (result i64)
        (drop (call $ask (i32.const 16) (i32.const 3))) (i64.const 0))"""
    host.load(start, imports=HOST, config={"level": 3}).unload()
    assert heard == ['{"level":3}', "bye"]
    with pytest.raises(PluginRefused, match="it takes no configuration"):
        host.load(ECHO, config={"level": 3})
    with pytest.raises(TypeError):
        host.add(ECHO, name="other", config={"level": object()})


def test_a_goodbye_that_fails_holds_nobody_up(host):
    """It is told."""
    host.load('(func (export "plugin_stop") (param i32 i32) (result i64) unreachable)').unload()
    stopping = host.events.events[-2]
    assert stopping.problem.startswith("Trap: unreachable") and host.events.names[-1] == "PluginUnloaded"


def test_a_start_that_refuses_is_a_failure(host):
    """In the plugin's own words."""
    start = """(data (i32.const 16) "no!") (func (export "plugin_start") (param i32 i32) (result i64)
      (local $at i32) (local.set $at (call $alloc (i32.const 3)))
      (memory.copy (local.get $at) (i32.const 16) (i32.const 3)) (call $pack (local.get $at) (i32.const 0x80000003)))"""
    plugin = host.add(start)
    with pytest.raises(ErrorAnswer, match=r"^no!$"):
        plugin.load()
    assert plugin.state is State.FAILED
    failed = host.events.one(PluginFailed)
    assert (failed.where, failed.reason) == ("activate", "ErrorAnswer: no!")


@pytest.mark.parametrize(
    ("change", "edge", "words"),
    [
        ({"capabilities": ["fly"]}, "verify", "it asks for fly, which it is not granted; there is no capability fly"),
        ({"capabilities": ["gone"]}, "verify", "there is no capability gone"),
        ({"wasi": True}, "verify", "it asks for WASI"),
        ({"folders": {"/x": "ro"}}, "verify", "without WASI"),
        ({"limits": {"memory_bytes": 1 << 30}}, "verify", "memory_bytes = 1073741824, it is granted 16777216"),
        ({"limits": {"fuel": 5}}, "verify", "which the engine does not count"),
        ({"digest": "sha256:" + "0" * 64}, "verify", "the manifest names sha256:0000"),
        ({"functions": {"fly": "none -> none"}}, "resolve", "it exports no fly, expected fly(i32, i32) -> i64"),
        ({"functions": {"memory": "none -> none"}}, "resolve", "found a memory"),
        ({"functions": {"memory": "none -> none"}}, "resolve", "found a memory"),
    ],
)
def test_a_manifest_that_asks_too_much_or_lies_is_refused(hosts, change, edge, words):
    """With the reason, and nothing left."""
    host = hosts(grant=Grant(capabilities=["host", "gone"]))
    plugin = host.plugins.add(manifest(**change), module(ECHO))
    with pytest.raises(PluginRefused) as caught:
        plugin.load()
    assert caught.value.edge == edge and words in caught.value.reason
    assert plugin.state is State.FAILED
    assert host.events.one(PluginFailed).retry_s is None
    plugin.unload()
    assert plugin.metrics().owned == {}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (b"\0asm\1\0\0\0\7", ValueError, ""),
        (b"(module (func (result i32)))", ValidationError, ""),
        (b'(module (memory (export "memory") 1))', PluginRefused, "it exports no plugin_alloc"),
        (module(ECHO).replace(b'"memory"', b'"mem"'), PluginRefused, "no memory called 'memory'"),
        (module(ECHO).replace(b"i32 i32)\n    (global.set $live (i32.sub", b"i32)\n    (global.set $live (i32.sub"),
         PluginRefused, "expected plugin_free(i32, i32), found plugin_free(i32)"),
        (module(imports=HOST), PluginRefused, "it imports host.ask, which is of no capability that it asks for"),
        (module(imports='(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))'), PluginRefused,
         "it imports WASI (sched_yield), and does not ask for it: wasi = true"),
        (b"\x7fELF", PluginRefused, "is neither a WebAssembly binary nor an image"),
    ],
)  # fmt: skip
def test_a_module_that_is_not_what_it_should_be_is_refused(host, text, error, words):
    """Malformed, invalid, without the convention, or with imports that it did not ask for."""
    name = "guest.wat" if text[:1] == b"(" else "guest.wasm"
    plugin = host.plugins.add(manifest(module=name), text)
    expected = (error, PluginError) if error is PluginRefused else Exception
    with pytest.raises(expected) as caught:
        plugin.load()
    assert words in str(caught.value)
    assert plugin.state is State.FAILED
    plugin.unload()


def test_an_import_of_another_type_or_name_does_not_link(host):
    """It was asked for, but there is no such function."""
    cases = (
        (HOST.replace("i64", "i32"), PluginRefused, r"host.ask: expected ask\(i32, i32\) -> i64, found .* -> i32"),
        (HOST.replace('"ask"', '"answer"'), LinkError, "host.answer"),
        ('(import "host" "ask" (memory 1))', PluginRefused, "host.ask: capabilities have functions alone"),
    )
    for text, error, words in cases:
        plugin = host.add(ECHO, imports=text)
        with pytest.raises(error, match=words):
            plugin.load()
        assert plugin.state is State.FAILED and "store" not in plugin.metrics().owned
        plugin.unload()


@pytest.mark.parametrize(
    ("body", "error"),
    [("(func $s (loop (br 0))) (start $s)", DeadlineExceeded), ("(func $s unreachable) (start $s)", Trap),
     ('(func (export "_initialize") (loop (br 0)))', DeadlineExceeded)],
)  # fmt: skip
def test_a_start_function_has_its_time(hosts, body, error):
    """A module that spins or traps before anybody calls it."""
    host = hosts(timeouts=Timeouts(instantiate=0.05))
    plugin = host.add(body)
    with pytest.raises(error):
        plugin.load()
    assert plugin.state is State.FAILED and "store" not in plugin.metrics().owned


def test_more_memory_than_granted_is_no_instance(hosts):
    """It is refused before one is made."""
    host = hosts()
    with pytest.raises(PluginRefused, match="its memory begins with 65536000 bytes, it may have 16777216"):
        host.plugins.add(manifest(), module(ECHO, pages=1000)).load()


def test_a_listener_may_veto(host):
    """Before anything of the plugin is read."""

    def no(question):
        raise RuntimeError("not on my watch")

    with host.plugins.engine.bus.subscribe(PluginLoading, no):
        plugin = host.add(ECHO)
        with pytest.raises(PluginRefused, match="not on my watch"):
            plugin.load()
    plugin.load()
    assert plugin.state is State.ACTIVE


def test_the_grant_may_pin_the_module(hosts):
    """Since a name is only a claim."""
    host = hosts(grant=Grant(digests=["sha256:" + "1" * 64]))
    with pytest.raises(PluginRefused, match="which the grant does not name"):
        host.load(ECHO)


def test_no_grant_no_plugin():
    """Nothing is granted by default."""
    with Plugins(Policy({"other": Grant()})) as plugins:
        plugin = plugins.add(manifest(), module(ECHO))
        with pytest.raises(PluginRefused, match="no grant names it"):
            plugin.load()


def test_names_are_taken_once(host):
    """Until the plugin is unloaded."""
    first = host.load(ECHO)
    with pytest.raises(PluginRefused, match="there is a plugin of this name"):
        host.add(ECHO)
    first.unload()
    host.load(ECHO)


def test_what_cannot_be_closed_is_told(hosts):
    """And does not keep the rest."""

    def own(context):
        context.own("file", "stuck", lambda: 1 / 0)
        return {}

    host = hosts(Capability("files", own))
    plugin = host.plugins.add(manifest(capabilities=["files"]), module(ECHO))
    plugin.load()
    plugin.unload()
    assert host.events.one(PluginUnloaded).problems == ("file stuck: ZeroDivisionError: division by zero",)
    assert plugin.metrics().owned == {}


def test_the_context_of_an_instance_that_is_gone_owns_nothing(hosts):
    """A capability that kept it gets an error, and its thing is closed."""
    contexts, gone = [], []
    host = hosts(Capability("keep", lambda context: contexts.append(context) or {}))
    plugin = host.plugins.add(manifest(capabilities=["keep"], functions={"trap": "none -> none"}), module(TRAP))
    plugin.load()
    with pytest.raises(Trap):
        plugin.call("trap")
    with pytest.raises(Exception, match="nothing belongs to it"):
        contexts[0].own("thing", "late", lambda: gone.append("late"))
    assert gone == ["late"]
    host.now += 10
    with pytest.raises(Trap):
        plugin.call("trap")
    assert len(contexts) == 2


def test_quarantine_ends_what_runs_until_somebody_releases_it(host):
    """A call under way is interrupted; released, it begins anew."""
    plugin = host.load(ECHO, '(func (export "spin") (param i32 i32) (result i64) (loop (br 0)) (i64.const 0))',
                       spin="none -> none", echo="text -> text")  # fmt: skip
    ended = []

    def spin():
        try:
            plugin.call("spin")
        except BaseException as error:
            ended.append(type(error).__name__)

    thread = threading.Thread(target=spin)
    thread.start()
    until(lambda: plugin._life.gate._holder is not None)
    plugin.quarantine("it looks odd")
    thread.join()
    assert (plugin.state, ended) == (State.QUARANTINED, ["Interrupted"])
    assert "instance" not in plugin.metrics().owned
    with pytest.raises(PluginUnavailable, match="is quarantined"):
        plugin.call("echo", "x")
    plugin.release()
    plugin.load()
    assert plugin.call("echo", "x") == "x"


def test_a_plugin_cannot_be_unloaded_from_inside(host):
    """Not by a host function that it calls: that would wait for itself. Nothing changes."""
    ends = []

    def ask(text):
        for end in (plugin.unload, lambda: plugin.quarantine("x"), plugin.suspend):
            with pytest.raises((PluginBusy, PluginRefused)):
                end()
        ends.append(plugin.state)
        return text

    host.ask = ask
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    assert plugin.call("ask", "x") == "x"
    assert ends == [State.ACTIVE] and plugin.state is State.ACTIVE


def test_a_call_that_does_not_end_keeps_a_plugin_from_its_rest(hosts, held):
    """Until its time is over: then it takes calls again."""
    host = hosts(timeouts=Timeouts(suspend=0.05))
    host.ask = held
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    thread = threading.Thread(target=plugin.call, args=("ask", "x"))
    thread.start()
    held.has_come()
    with pytest.raises(PluginBusy):
        plugin.suspend()
    assert plugin.state is State.ACTIVE
    assert host.said[-3:] == ["Draining", "EdgeRefused", "Resumed"]
    held.go_on.set()
    thread.join()
    plugin.suspend()


def test_async_ways(host):
    """Loading, resting and unloading from a loop, with a call that is interrupted."""

    async def main():
        plugin = host.add(ECHO, '(func (export "spin") (param i32 i32) (result i64) (loop (br 0)) (i64.const 0))',
                          echo="text -> text", spin="none -> none")  # fmt: skip
        await plugin.load_async()
        await plugin.suspend_async()
        plugin.resume()
        assert await plugin.call_async("echo", "x") == "x"
        spinning = asyncio.create_task(plugin.call_async("spin"))
        await asyncio.sleep(0.01)
        with pytest.raises(PluginBusy):
            plugin.unload()  # would wait for a task of its own thread
        assert plugin.state is State.ACTIVE
        await plugin.unload_async(0.01)
        assert plugin.state is State.UNLOADED and plugin.metrics().owned == {}
        with pytest.raises(Trap):
            await spinning

    asyncio.run(main())


def test_unloading_from_inside_is_refused_at_once(hosts):
    """Nothing is interrupted: the call goes on."""
    plugin = None

    async def ask(text):
        with pytest.raises(PluginBusy, match="is under way in this task"):
            await plugin.unload_async()
        return text

    host = hosts(Capability("host2", {"ask": HostFunction("text -> text", ask)}), timeouts=Timeouts(stop=60))
    said = manifest(functions={"ask": "text -> text"}, capabilities=["host2"])
    plugin = host.plugins.add(said, module(ASK, imports=HOST.replace('"host"', '"host2"')))
    plugin.load()
    assert asyncio.run(plugin.call_async("ask", "x")) == "x"
    assert plugin.state is State.ACTIVE


def test_unloading_beside_a_full_queue_lets_the_loop_go_on(hosts):
    """Else no call could end."""
    host = hosts(grant=Grant(limits=replace(PATIENT, waiting=1)))
    plugin = host.load(SPIN, spin="none -> none")

    async def main():
        calls = [asyncio.create_task(plugin.call_async("spin")) for _ in range(2)]
        await until_async(lambda: plugin._life.gate.waiting)
        await plugin.unload_async(60)
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = asyncio.run(main())
    assert plugin.state is State.UNLOADED and plugin.metrics().owned == {}
    assert isinstance(outcomes[0], Interrupted) and isinstance(outcomes[1], Trap | PluginUnavailable)


def test_loading_can_be_cancelled(host):
    """The start function ends, and nothing is left."""

    async def main():
        plugin = host.add("(func $s (loop (br 0))) (start $s)")
        task = asyncio.create_task(plugin.load_async())
        await until_async(lambda: plugin._life.store is not None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert plugin.state is State.FAILED and "store" not in plugin.metrics().owned

    asyncio.run(main())


def test_a_raw_host_function_has_numbers(hosts):
    """Of the import's type."""
    host = hosts(Capability("math", {"add": HostFunction("raw", lambda a, b: a + b)}))
    imports = '(import "math" "add" (func $add (param i32 i32) (result i32)))'
    body = """(func (export "f") (param i32 i32) (result i64)
      (i64.extend_i32_u (call $add (i32.const 2) (i32.const -2))))"""
    said = manifest(capabilities=["math"], functions={"f": "none -> none"})
    plugin = host.plugins.add(said, module(body, imports=imports))
    plugin.load()
    assert plugin.call("f") is None
    assert plugin.metrics().host_calls == 1


def test_a_plugin_goes_on_with_another_version(host, tmp_path):
    """Its state stays; a new instance is one of the new version."""
    plugin = host.load(COUNT, TRAP, count="none -> text", trap="none -> none")
    assert plugin.call("count") == "1"
    newer = COUNT.replace("(i32.const 48)", "(i32.const 64)")
    said = manifest(version="1.1.0", functions={"count": "none -> bytes", "trap": "none -> none"})
    host.events.clear()
    plugin.update_to(said, module(newer, TRAP))
    updated = host.events.one(PluginUpdated)
    assert (updated.version, plugin.manifest.version, plugin.state) == ("1.1.0", "1.1.0", State.ACTIVE)
    assert plugin.call("count") == b"B"  # the second call
    with pytest.raises(Trap):
        plugin.call("trap")
    host.now += 1
    assert plugin.call("count") == b"A"
    (tmp_path / "plugin.json").write_bytes(manifest(functions={"count": "none -> text"}).as_json())
    (tmp_path / "guest.wat").write_bytes(module(COUNT, TRAP))
    with pytest.raises(PluginRefused, match=r"1\.0\.0 is older than 1\.1\.0, which runs: downgrade=True"):
        plugin.update(tmp_path)
    assert plugin.update(tmp_path, downgrade=True).kind == "patch"
    assert plugin.call("count") == "2"


@pytest.mark.parametrize(
    ("change", "body", "error", "words"),
    [
        ({"name": "other"}, COUNT, PluginRefused, "it has another name"),
        ({"limits": {"call_s": 1}}, COUNT, UpdateRefused, "no export-state: what it holds would be lost"),
        ({"capabilities": ["fly"]}, COUNT, PluginRefused, "it asks for fly, which it is not granted"),
        ({"version": "0.9.0"}, COUNT, PluginRefused, r"0\.9\.0 is older than 1\.0\.0"),
        ({"functions": {"fly": "none -> none"}}, COUNT, PluginRefused, "it exports no fly"),
        ({"digest": "sha256:" + "0" * 64}, COUNT, PluginRefused, "the manifest names"),
        ({}, COUNT + "(global $more i32 (i32.const 0))", UpdateRefused, "guest cannot go on with 2.0.0: .* no export-"),
        ({}, COUNT + "(func (result i32))", ValidationError, "i32"),
    ],
)
def test_an_update_that_is_refused_changes_nothing(host, change, body, error, words):
    """Neither code nor manifest nor state."""
    plugin = host.load(COUNT, count="none -> text")
    assert plugin.call("count") == "1"
    said = {"version": "2.0.0", "functions": {"count": "none -> bytes"}} | change
    with pytest.raises(error, match=words):
        plugin.update_to(manifest(**said), module(body))
    assert (plugin.state, plugin.manifest.version) == (State.ACTIVE, "1.0.0")
    assert plugin.call("count") == "2"
    assert host.events.events[-1].edge == "update"
