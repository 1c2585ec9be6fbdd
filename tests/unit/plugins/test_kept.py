"""Claims about what outlives an instance: values through failures and restarts, events of threads; long files."""

from __future__ import annotations

import threading
import tracemalloc
from collections import deque

import pytest

from stratavm.plugins import Capability, Grant, HostFunction, PluginError, key_values
from stratavm.plugins.events import PluginCalled
from stratavm.plugins.sources import MOST_MODULE, read_file
from tests.unit.plugins.conftest import PATIENT
from tests.unit.plugins.guests import ECHO, TRAP, manifest, module

WAYS = {"get": "text -> bytes", "set": "json -> none"}
IMPORTS = "".join(f'(import "kv" "{name}" (func ${name} (param i32 i32) (result i64)))' for name in WAYS)
BODIES = [
    f'(func (export "{name}") (param i32 i32) (result i64) (call ${name} (local.get 0) (local.get 1)))' for name in WAYS
]


@pytest.fixture
def keeper(hosts):
    """A host with values, and with a function that the start function of its plugin calls; and what that raises."""
    raised: list[Exception] = []

    def begin():
        while raised:
            raise raised.pop()

    grant = Grant(capabilities=["kv", "at"], limits=PATIENT)
    host = hosts(key_values(), Capability("at", {"begin": HostFunction("none -> none", begin)}), grant=grant)
    start = "(func $s (drop (call $begin (i32.const 0) (i32.const 0)))) (start $s)"
    imports = f'{IMPORTS}(import "at" "begin" (func $begin (param i32 i32) (result i64)))'
    said = manifest(capabilities=["kv", "at"], functions={**WAYS, "trap": "none -> none"})
    return host, raised, host.plugins.add(said, module(*BODIES, TRAP, start, imports=imports))


def fail(host, plugin):
    """Its instance is given up, and the time for a new one comes."""
    with pytest.raises(Exception, match="unreachable"):
        plugin.call("trap")
    host.now += 100


def test_values_are_one_thing_however_often_it_begins(keeper):
    """A new instance finds them, and adds nothing to what the plugin has."""
    host, _, plugin = keeper
    plugin.load()
    plugin.call("set", ["a", "1"])
    owned = plugin.metrics().owned
    for _ in range(3):
        fail(host, plugin)
        assert plugin.call("get", "a") == b"1"
    assert plugin.metrics().owned == owned


def test_values_of_a_beginning_that_failed_are_made_anew(keeper):
    """They went with what was rolled back; the next beginning has some. Those that were there stay."""
    host, raised, plugin = keeper
    raised.append(RuntimeError("not yet"))
    with pytest.raises(RuntimeError, match="not yet"):
        plugin.load()
    plugin.load()
    plugin.call("set", ["a", "1"])
    fail(host, plugin)
    raised.append(RuntimeError("not now"))
    with pytest.raises(RuntimeError, match="not now"):
        plugin.call("get", "a")
    host.now += 100
    assert plugin.call("get", "a") == b"1"
    plugin.call("set", ["b", "2"])
    assert plugin.metrics().owned["values"] == 1


def test_an_event_that_another_thread_has_said_meanwhile_is_missed_by_nobody(host):
    """Between a look at what is not said yet and taking it, another thread may take it: the call goes well."""
    plugin = host.load(ECHO, echo="text -> text")
    seen = threading.Event()
    host.plugins.engine.bus.subscribe(PluginCalled, lambda event: seen.set())

    class Late(deque):
        """As one looks at it, there is something."""

        def __bool__(self):
            return True

    plugin._life._unsaid = Late()
    assert plugin.call("echo", "x") == "x"
    assert seen.is_set()


def test_a_file_that_says_that_it_is_long_is_not_read(tmp_path):
    """One that is all holes takes no room on a disk."""
    path = tmp_path / "m.wasm"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    tracemalloc.start()
    try:
        with pytest.raises(PluginError, match=f"more than {MOST_MODULE} bytes"):
            read_file(str(path), MOST_MODULE)
        assert tracemalloc.get_traced_memory()[1] < MOST_MODULE // 16
    finally:
        tracemalloc.stop()
