"""Claims about calls: values in and out, errors in words, what follows failures, and who waits for whom."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from stratavm import DeadlineExceeded, Interrupted, OutOfFuel, Trap
from stratavm.plugins import (
    Capability,
    ErrorAnswer,
    Grant,
    HostFunction,
    PluginBusy,
    PluginLimits,
    PluginUnavailable,
    Recovery,
    State,
    key_values,
    log,
)
from stratavm.plugins.convention import ConventionBroken, Signature, decode, encode
from stratavm.plugins.events import PluginCalled, PluginFailed
from stratavm.services.lifecycle import Restart
from stratavm.testing import EventRecorder
from tests.unit.plugins.conftest import until
from tests.unit.plugins.guests import ASK, COUNT, ECHO, ERROR, HOST, SPIN, TRAP, manifest, module


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bytes", b"\0\xff"), ("text", "hällo"), ("json", {"a": [1, None, "ü"]}), ("none", None), ("text", "")],
)
def test_values_go_in_and_come_out(host, kind, value):
    """Of each kind; the plugin's memory is free again."""
    plugin = host.load(ECHO, '(func (export "live") (result i32) (global.get $live))', echo=f"{kind} -> {kind}")
    for _ in range(3):
        assert plugin.call("echo", value) == value
    assert plugin._life.instance.exports.live() == 0
    metrics = plugin.metrics()
    assert metrics.calls == {"answered": 3, "error": 0, "failed": 0}
    assert metrics.bytes_in == metrics.bytes_out == 3 * len(encode(kind, value))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("bytes", "x"), ("text", b"x"), ("json", object()), ("json", float("nan")), ("none", 1), ("text", "\ud800")],
)
def test_a_value_of_another_kind_is_refused_before_the_call(host, kind, value):
    """The plugin never hears of it."""
    plugin = host.load(ECHO, echo=f"{kind} -> none")
    with pytest.raises((TypeError, ValueError)):
        plugin.call("echo", value)
    assert plugin.state is State.ACTIVE and plugin.metrics().calls["failed"] == 0


def test_a_function_that_there_is_not_is_told_with_those_that_are_near(host):
    """As everywhere."""
    plugin = host.load(ECHO, echo="text -> text")
    with pytest.raises(AttributeError, match=r"plugin guest has no function 'ecko'; did you mean 'echo'\?"):
        plugin.call("ecko")
    with pytest.raises(ValueError, match="an argument may have 1048576"):
        plugin.call("echo", "x" * (1 << 20) + "x")


def test_an_error_answer_is_no_failure(host):
    """The same instance goes on."""
    plugin = host.load(ERROR, COUNT, refuse="none -> none", count="none -> text")
    for _ in range(3):
        with pytest.raises(ErrorAnswer, match=r"^not today"):
            plugin.call("refuse")
    assert plugin.call("count") == "1"
    assert plugin.metrics().instances == 1 and plugin.metrics().calls["error"] == 3


@pytest.mark.parametrize(
    ("packed", "gives", "words"),
    [
        ("0xffff_ffff_0000_0010", "bytes", "speaks of 16 bytes at 0xffffffff"),
        ("0x0000_1000_7fff_ffff", "bytes", "answers 2147483647 bytes, it may have"),
        ("0x0000_0000_0000_0004", "none", "expected no answer, found 4 bytes"),
        ("0x0000_0040_0000_0002", "text", "expected text, found"),
        ("0x0000_0040_0000_0002", "json", "expected json, found"),
    ],
)
def test_an_answer_that_breaks_the_convention_is_a_failure(host, packed, gives, words):
    """Outside of its memory, too long, or not of its kind."""
    lie = f'(data (i32.const 64) "\\ff\\fe") (func (export "lie") (param i32 i32) (result i64) (i64.const {packed}))'
    plugin = host.load(lie, lie=f"none -> {gives}")
    with pytest.raises(ConventionBroken, match=words):
        plugin.call("lie")
    assert plugin.state is State.FAILED


@pytest.mark.parametrize("at", ["0", "65000", "-1"])
def test_an_allocator_that_lies_is_a_failure(host, at):
    """No room, or an address where the argument does not fit."""
    text = module(ECHO).replace(b"(local.get $at))\n  (func $free", f"(i32.const {at}))\n  (func $free".encode())
    plugin = host.plugins.add(manifest(functions={"echo": "text -> text"}), text)
    plugin.load()
    with pytest.raises(ConventionBroken):
        plugin.call("echo", "x" * 1000)
    assert plugin.state is State.FAILED


@pytest.mark.parametrize("data", [b"\xff", b"[" * 100_000, b"NaN", b"1" * 10_000, b'{"a"'])
def test_what_is_no_json_is_said_to_be_none(data):
    """Depths, lengths and words that a parser might take, or break at."""
    with pytest.raises(ConventionBroken):
        decode("json", data)


def test_signatures():
    """Two kinds and an arrow, nothing else."""
    assert str(Signature.parse("json -> bytes")) == "json -> bytes"
    assert [Signature.parse(text) for text in ("json->bytes", "a -> b", "text", "", 3, None)] == [None] * 6


# ---- what follows failures ----


def test_a_failed_plugin_gets_a_new_instance_at_the_first_call_after_its_time(host):
    """Until then calls are refused at once. Delays grow while failures follow each other."""
    plugin = host.load(TRAP, COUNT, trap="none -> none", count="none -> text")
    assert plugin.call("count") == "1"
    host.events.clear()
    for failures, delay in ((1, 0.1), (2, 0.2), (3, 0.4)):
        with pytest.raises(Trap):
            plugin.call("trap")
        failed = host.events.of(PluginFailed)[-1]
        assert (failed.where, failed.failures) == ("call", failures)
        assert failed.retry_s == pytest.approx(delay)
        with pytest.raises(PluginUnavailable, match="it is started again in") as caught:
            plugin.call("count")
        assert caught.value.retry_s == pytest.approx(delay)
        host.now += delay
    assert plugin.call("count") == "1"
    assert host.said[-4:] == ["Restarted", "Instantiated", "Starting", "Activated"]
    with pytest.raises(Trap):
        plugin.call("trap")
    assert host.events.of(PluginFailed)[-1].failures == 1
    assert plugin.metrics().failures == {"Trap": 4}


def test_too_many_failures_in_a_row_end_in_quarantine(host):
    """From where only somebody lets it out."""
    plugin = host.load(TRAP, ECHO, trap="none -> none", echo="text -> text")
    for _ in range(5):
        with pytest.raises(Trap):
            plugin.call("trap")
        host.now += 60
    assert plugin.state is State.QUARANTINED
    with pytest.raises(PluginUnavailable, match="is quarantined") as caught:
        plugin.call("echo", "x")
    assert caught.value.retry_s is None
    assert [event.reason for event in host.events.events if "Quarantined" in type(event).__name__] == [
        "it failed 5 times in a row, last Trap: unreachable"
    ]
    plugin.release()
    plugin.load()
    assert plugin.call("echo", "x") == "x"


def test_too_many_failures_in_a_while_end_in_quarantine(hosts):
    """With good calls in between; those of long ago do not count."""
    host = hosts(recovery=Recovery(Restart(first_s=1, attempts=100), most=3, within_s=100))
    plugin = host.load(TRAP, ECHO, trap="none -> none", echo="text -> text")
    for wait, state in ((0, State.FAILED), (150, State.FAILED), (10, State.FAILED), (10, State.QUARANTINED)):
        host.now += wait
        assert plugin.call("echo", "x") == "x"
        with pytest.raises(Trap):
            plugin.call("trap")
        assert plugin.state is state
        if state is State.FAILED:
            host.now += 2


def test_a_restart_that_fails_is_one_more_failure(host):
    """The time until the next one grows."""
    broken = []
    host.ask = lambda text: (_ for _ in ()).throw(ErrorAnswer("not now")) if broken else ""
    start = '(func (export "plugin_start") (param i32 i32) (result i64) (call $ask (i32.const 0) (i32.const 0)))'
    plugin = host.load(start, TRAP, imports=HOST, trap="none -> none")
    with pytest.raises(Trap):
        plugin.call("trap")
    broken.append(True)
    host.now += 1
    with pytest.raises(ErrorAnswer, match="not now"):
        plugin.call("trap")
    failed = host.events.of(PluginFailed)
    assert [(event.where, event.failures) for event in failed] == [("call", 1), ("activate", 2)]


def test_what_a_host_function_raises_costs_the_instance_and_no_more(host):
    """It comes out as it is; the plugin is started again at once, and never quarantined for it."""

    def ask(text):
        raise LookupError("the database is down")

    plugin = host.load(ASK, COUNT, imports=HOST, ask="text -> text", count="none -> text")
    assert plugin.call("count") == "1"
    host.ask = ask
    for _ in range(10):
        with pytest.raises(LookupError, match="the database is down"):
            plugin.call("ask", "x")
        assert plugin.state is State.FAILED
    assert plugin.call("count") == "1"
    assert plugin.metrics().failures == {"LookupError": 10}


def test_what_another_plugin_does_is_not_this_one_s_fault(host):
    """A capability that calls one: its trap, or that it takes no calls, comes through and blames nobody else."""
    other = host.load(TRAP, name="other", trap="none -> none")
    host.ask = lambda text: other.call("trap")
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    for error in (Trap, PluginUnavailable, PluginUnavailable, PluginUnavailable, PluginUnavailable, PluginUnavailable):
        with pytest.raises(error):
            plugin.call("ask", "x")
    assert host.events.of(PluginFailed)[-1].failures == 0
    assert (plugin.state, other.state) == (State.FAILED, State.FAILED)
    host.ask = lambda text: text
    assert plugin.call("ask", "x") == "x"


def test_a_host_function_answers_with_an_error_in_words(host):
    """The plugin hears it, and hands it on or not."""

    def ask(text):
        raise ErrorAnswer("no such key")

    host.ask = ask
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    with pytest.raises(ErrorAnswer, match="no such key"):
        plugin.call("ask", "x")
    assert plugin.state is State.ACTIVE


# ---- who waits for whom ----


def test_a_plugin_is_not_called_from_inside_its_own_call(host):
    """Its memory is in the middle of something. Another plugin may be called."""
    seen = []

    def ask(text):
        with pytest.raises(PluginBusy, match="inside a call of its own"):
            plugin.call("ask", "y")
        seen.append(other.call("echo", text))
        return "z"

    host.ask = ask
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    other = host.load(ECHO, name="other", echo="text -> text")
    assert plugin.call("ask", "x") == "z" and seen == ["x"]


def test_threads_wait_for_each_other(host):
    """No call is lost, and none meets another."""
    inside, most = [0], [0]

    def ask(text):
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        inside[0] -= 1
        return text

    host.ask = ask
    plugin = host.load(ASK, imports=HOST, ask="text -> text")
    answers = []

    def run(number):
        for index in range(50):
            answers.append(plugin.call("ask", f"{number}.{index}") == f"{number}.{index}")

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [True] * 200 and most == [1]


def test_waiting_counts_as_the_call_s_time(hosts):
    """Who gets no turn in time is told so, and the plugin is well."""
    host = hosts(grant=Grant(limits=PluginLimits(call_s=0.05)))
    plugin = host.load(ECHO, echo="text -> text")
    elsewhere = threading.Thread(target=plugin._life.gate.enter, args=(0,))
    elsewhere.start()
    elsewhere.join()
    with pytest.raises(PluginBusy, match=r"was not free within 0\.05 s"):
        plugin.call("echo", "x")
    with pytest.raises(PluginBusy, match=r"was not free within 0\.05 s"):
        asyncio.run(plugin.call_async("echo", "x"))
    assert plugin.state is State.ACTIVE and plugin.metrics().waiting == 0
    plugin._life.leave()


def test_tasks_wait_for_each_other_and_for_the_host(hosts):
    """Host functions may be ``async def``; the loop goes on meanwhile."""

    async def slow(text):
        for _ in range(3):
            await asyncio.sleep(0)
        return text.upper()

    host = hosts(Capability("slow", {"ask": HostFunction("text -> text", slow)}), grant=Grant(capabilities=["slow"]))
    said = manifest(capabilities=["slow"], functions={"ask": "text -> text"})
    plugin = host.plugins.add(said, module(ASK, imports=HOST.replace('"host"', '"slow"')))

    async def main():
        await plugin.load_async()
        turns = []

        async def tick():
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        answers = await asyncio.gather(*(plugin.call_async("ask", f"x{number}") for number in range(20)))
        ticking.cancel()
        assert answers == [f"X{number}" for number in range(20)]
        assert len(turns) > 20

    asyncio.run(main())
    with pytest.raises(Exception, match="call_async"):
        plugin.call("ask", "x")
    assert plugin.metrics().owned.get("instance") is None


def test_a_cancelled_call_costs_the_instance_and_no_more(host):
    """The next call has a new one, at once."""
    plugin = host.load(SPIN, COUNT, spin="none -> none", count="none -> text")

    async def main():
        assert await plugin.call_async("count") == "1"
        for _ in range(7):
            task = asyncio.create_task(plugin.call_async("spin"))
            waiting = asyncio.create_task(plugin.call_async("count"))
            await asyncio.sleep(0.005)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await waiting == "1"

    asyncio.run(main())
    assert plugin.state is State.ACTIVE
    assert plugin.metrics().failures == {"CancelledError": 7}


def test_a_task_of_a_capability_ends_with_the_instance(hosts):
    """Cancelled at the first failure; unloading waits for nobody."""
    ended = []

    def functions(context):
        async def for_ever():
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(context.plugin)

        async def begin(text):
            context.spawn(for_ever(), "watch")
            await asyncio.sleep(0)
            return text

        return {"ask": HostFunction("text -> text", begin)}

    host = hosts(Capability("host2", functions), grant=Grant(capabilities=["host2"]))
    said = manifest(capabilities=["host2"], functions={"ask": "text -> text", "trap": "none -> none"})
    plugin = host.plugins.add(said, module(ASK, TRAP, imports=HOST.replace('"host"', '"host2"')))

    async def main():
        await plugin.load_async()
        await plugin.call_async("ask", "x")
        await plugin.call_async("ask", "x")
        assert plugin.metrics().owned["task"] == 2
        with pytest.raises(Trap):
            await plugin.call_async("trap")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert ended == ["guest", "guest"] and "task" not in plugin.metrics().owned
        host.now += 1
        await plugin.call_async("ask", "x")
        await plugin.unload_async()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(ended) == 3 and plugin.metrics().owned == {}
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


# ---- limits and what comes with them ----


def test_fuel_is_for_each_call(hosts):
    """The same call costs the same; one that takes more ends, and the next has all again."""
    limits = PluginLimits(fuel=10_000)
    host = hosts(grant=Grant(limits=limits))
    plugin = host.load(SPIN, ECHO, spin="none -> none", echo="text -> text")
    for _ in range(3):
        plugin.call("echo", "x")
    used = plugin.metrics().fuel
    assert used and used % 3 == 0
    with pytest.raises(OutOfFuel):
        plugin.call("spin")
    assert plugin.metrics().fuel > used + 9_000
    host.now += 1
    assert plugin.call("echo", "x") == "x"


def test_a_call_has_its_time(hosts):
    """It ends, and the plugin has failed."""
    host = hosts(grant=Grant(limits=PluginLimits(call_s=0.05)))
    plugin = host.load(SPIN, spin="none -> none")
    with pytest.raises(DeadlineExceeded):
        plugin.call("spin")
    assert plugin.state is State.FAILED

    async def main():
        host.now += 1
        with pytest.raises(DeadlineExceeded):
            await plugin.call_async("spin")

    asyncio.run(main())


def test_calls_are_told(host):
    """Each, when it has ended, and nobody is inside: a listener may call the plugin."""
    plugin = host.load(ECHO, ERROR, TRAP, echo="text -> text", refuse="none -> none", trap="none -> none")
    answers = []
    bus = host.plugins.engine.bus
    with (
        EventRecorder(bus, PluginCalled) as calls,
        bus.subscribe(PluginCalled, lambda e: answers.append(plugin.call("echo", "x")), where=lambda e: not answers),
    ):
        plugin.call("echo", "x")
        for name, error in (("refuse", ErrorAnswer), ("trap", Trap)):
            with pytest.raises(error):
                plugin.call(name)
    assert answers == ["x"]
    found = [(event.function, event.outcome) for event in calls.events]
    assert found == [("echo", "answered"), ("echo", "answered"), ("refuse", "error"), ("trap", "failed")]


def test_a_plugin_keeps_values_for_as_long_as_it_is_loaded(hosts):
    """A new instance finds them; a new life does not. They count, and are bounded."""
    host = hosts(key_values(), grant=Grant(capabilities=["kv"], limits=PluginLimits(stored_bytes=300)))
    ways = {"get": "text -> bytes", "set": "json -> none", "delete": "text -> none", "keys": "none -> json"}
    imports = "".join(f'(import "kv" "{name}" (func ${name} (param i32 i32) (result i64)))' for name in ways)
    bodies = [
        f'(func (export "{name}") (param i32 i32) (result i64) (call ${name} (local.get 0) (local.get 1)))'
        for name in ways
    ]

    def load():
        said = manifest(capabilities=["kv"], functions={**ways, "trap": "none -> none"})
        plugin = host.plugins.add(said, module(*bodies, TRAP, imports=imports))
        plugin.load()
        return plugin

    plugin = load()
    plugin.call("set", ["a", "1"])
    plugin.call("set", ["b", "2" * 100])
    assert plugin.metrics().stored_bytes == 64 + 2 + 64 + 101
    with pytest.raises(ErrorAnswer, match="may have 300 bytes stored"):
        plugin.call("set", ["c", "3" * 100])
    for wrong in ([1, 2], ["a"], {}, ["k" * 2000, ""], ["\n", ""]):
        with pytest.raises(ErrorAnswer):
            plugin.call("set", wrong)
    with pytest.raises(Trap):
        plugin.call("trap")
    host.now += 1
    assert (plugin.call("get", "a"), plugin.call("keys")) == (b"1", ["a", "b"])
    plugin.call("delete", "b")
    plugin.call("delete", "b")
    with pytest.raises(ErrorAnswer, match="no value of b"):
        plugin.call("get", "b")
    assert plugin.metrics().stored_bytes == 66
    plugin.unload()
    assert load().call("keys") == []


def test_lines_of_a_log_are_made_safe(hosts):
    """Whose they are is said with them."""
    lines = []
    host = hosts(log(lambda plugin, line: lines.append((plugin, line))), grant=Grant(capabilities=["log"]))
    text = HOST.replace('"host" "ask"', '"log" "write"')
    said = manifest(capabilities=["log"], functions={"ask": "text -> none"})
    plugin = host.plugins.add(said, module(ASK, imports=text))
    plugin.load()
    plugin.call("ask", "hello\x1b[2J\nstrata: all is well")
    assert lines == [("guest", "hello\\x1b[2J\\x0astrata: all is well")]


def test_a_world_has_what_was_asked_for_and_granted(hosts, tmp_path):
    """Folders and variables, and no others."""
    (tmp_path / "data").mkdir()
    grant = Grant(
        wasi=True, folders={"/data": tmp_path / "data", "/more": (str(tmp_path), "rw")}, env={"LANG": "C", "HOME": "/"}
    )
    imports = """(import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))"""
    body = """(func (export "look") (param i32 i32) (result i64)
      (drop (call $sizes (i32.const 0) (i32.const 4)))
      (i32.store (i32.const 8) (call $prestat (i32.const 3) (i32.const 32)))
      (i32.store (i32.const 12) (call $prestat (i32.const 4) (i32.const 32)))
      (call $copy))
      (func $copy (result i64) (local $at i32)
        (local.set $at (call $alloc (i32.const 16)))
        (memory.copy (local.get $at) (i32.const 0) (i32.const 16))
        (call $pack (local.get $at) (i32.const 16)))"""
    host = hosts(grant=grant)
    said = manifest(wasi=True, folders={"/data": "ro"}, env=["LANG"], functions={"look": "none -> bytes"})
    plugin = host.plugins.add(said, module(body, imports=imports))
    plugin.load()
    numbers = plugin.call("look")
    variables, first, second = (int.from_bytes(numbers[at : at + 4], "little") for at in (0, 8, 12))
    assert (variables, first) == (1, 0) and second != 0


def test_interrupted_is_nobody_s_fault(host):
    """A plugin that somebody stops is not blamed."""
    plugin = host.load(SPIN, ECHO, spin="none -> none", echo="text -> text")
    store = plugin._life.store

    thread = threading.Thread(target=until, args=(store.interrupt,))  # false: it has not begun
    thread.start()
    with pytest.raises(Interrupted):
        plugin.call("spin")
    thread.join()
    assert plugin.call("echo", "x") == "x"


def test_a_start_does_not_use_up_the_time_of_the_call_that_asks_for_it(host, monkeypatch):
    """It has times of its own: a plugin that starts slowly comes back."""
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], perf_counter=time.perf_counter)
    monkeypatch.setattr("stratavm.plugins.plugin.time", clock)
    start = '(func (export "plugin_start") (param i32 i32) (result i64) (call $ask (i32.const 0) (i32.const 0)))'

    def ask(text):
        now[0] += 1000
        return text

    host.ask = ask
    plugin = host.load(ECHO, TRAP, start, imports=HOST, echo="text -> text", trap="none -> none")
    for call in (plugin.call, lambda *given: asyncio.run(plugin.call_async(*given))):
        with pytest.raises(Trap):
            plugin.call("trap")
        host.now += 1000
        assert call("echo", "x") == "x"
