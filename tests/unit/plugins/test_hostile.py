"""Claims about plugins that wish others ill: a good one beside them never notices."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from stratavm import DeadlineExceeded, ResourceLimit, StackOverflow, StrataError, Trap
from stratavm.plugins import Grant, PluginLimits, Recovery, State
from stratavm.services.lifecycle import Restart
from tests.unit.plugins.guests import ASK, ECHO, HOST, SPIN, manifest, module

FLOOD = """(func (export "flood") (param i32 i32) (result i64)
  (loop (drop (call $ask (i32.const 0) (i32.const 0))) (br 0)) (i64.const 0))"""
GROW = """(func (export "grow") (param i32 i32) (result i64)
  (loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable))"""
DEEP = '(func $deep (export "deep") (param i32 i32) (result i64) (call $deep (local.get 0) (local.get 1)))'
WIDE = """(func (export "wide") (param i32 i32) (result i64)
  (loop (drop (call $alloc (i32.const 1000000))) (br 0)) (i64.const 0))"""
LONG = """(func (export "long") (param i32 i32) (result i64)
  (drop (call $ask (i32.const 0) (i32.const 60000))) (i64.const 0))"""
FREE = """(func (export "free") (param i32 i32) (result i64)
  (call $pack (i32.const 65530) (i32.const 6)))"""
ATTACKS = {
    "spin": (SPIN, DeadlineExceeded),
    "flood": (FLOOD, ResourceLimit),
    "grow": (GROW, Trap),
    "deep": (DEEP, StackOverflow),
    "wide": (WIDE, DeadlineExceeded),
    "long": (LONG, ResourceLimit),
}
"""What each does, and what it ends with."""


def limits(seconds):
    """Little of everything."""
    return PluginLimits(call_s=seconds, memory_bytes=1 << 20, host_calls=1000, message_bytes=10_000)


@pytest.fixture
def pair(hosts):
    """A host whose guests have little, and a good plugin."""
    host = hosts(
        grant=Grant(capabilities=["host"], limits=limits(100)),
        recovery=Recovery(Restart(first_s=0, jitter=0, attempts=1000), most=1000),
    )
    for name in ("spin", "wide"):  # time is what ends these
        host.plugins._shared.policy._grants[name] = Grant(limits=limits(0.1))
    return host, host.load(ECHO, name="good", echo="text -> text")


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends_and_the_neighbour_goes_on(pair, name):
    """The attacker has failed, with its limit as the reason; what it had is gone."""
    host, good = pair
    body, error = ATTACKS[name]
    bad = host.load(body, imports=HOST if "$ask" in body else "", name=name, **{name: "none -> none"})
    for _ in range(3):
        with pytest.raises(error):
            bad.call(name)
        assert bad.state is State.FAILED
        assert {"store", "instance", "context"}.isdisjoint(bad.metrics().owned)
        assert good.call("echo", "x") == "x"
    assert good.metrics().calls == {"answered": 3, "error": 0, "failed": 0}
    assert good.metrics().instances == 1


def test_a_neighbour_is_called_while_others_attack(pair):
    """All attacks at once, each in a thread; not one call of the good plugin fails, and its state stays."""
    host, good = pair
    over, strange = threading.Event(), []

    def attack(name):
        body, _ = ATTACKS[name]
        bad = host.load(body, imports=HOST if "$ask" in body else "", name=name, **{name: "none -> none"})
        while not over.is_set():
            try:
                bad.call(name)
                strange.append(f"{name} came back")
            except StrataError:
                pass
            except BaseException as error:
                strange.append(error)

    threads = [threading.Thread(target=attack, args=(name,)) for name in ATTACKS]
    for thread in threads:
        thread.start()
    until, calls = time.monotonic() + 2, 0
    try:
        while time.monotonic() < until or calls < 20:
            assert good.call("echo", f"{calls}") == f"{calls}"
            calls += 1
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert strange == []
    assert good.metrics().calls == {"answered": calls, "error": 0, "failed": 0}
    assert good.metrics().instances == 1


@pytest.mark.parametrize("size", ["0", "4"])
def test_an_allocator_that_asks_the_host_for_memory_ends(pair, size):
    """Each answer of the host wants room in the guest, which asks the host."""
    host, good = pair
    host.ask = lambda text: "more"
    text = module(ASK, imports=HOST).replace(
        b"(local $at i32)\n    (local.set $at (global.get $top))",
        (
            f"(local $at i32)\n    (drop (call $ask (i32.const 0) (i32.const {size})))\n    "
            "(local.set $at (global.get $top))"
        ).encode(),
    )
    said = manifest("nested", capabilities=["host"], functions={"ask": "text -> text"})
    bad = host.plugins.add(said, text)
    bad.load()
    with pytest.raises((StrataError, RecursionError)):
        bad.call("ask", "x")
    assert bad.state is State.FAILED and "store" not in bad.metrics().owned
    assert good.call("echo", "x") == "x"


def test_names_of_others_cannot_be_taken(pair):
    """A manifest that claims to be the good one is refused, and the good one goes on."""
    host, good = pair
    with pytest.raises(StrataError, match="there is a plugin of this name"):
        host.add(SPIN, name="good", spin="none -> none")
    assert good.call("echo", "x") == "x"


def test_values_of_one_are_not_another_s(hosts):
    """Each has a store of its own; nothing that one exports can be imported by another."""
    host = hosts()
    host.load(ECHO, name="good", echo="text -> text")
    spy = host.plugins.add(
        manifest("spy", capabilities=["host"]), module(imports='(import "good" "memory" (memory 1))')
    )
    with pytest.raises(StrataError, match=r"it imports good\.memory, which is of no capability"):
        spy.load()


def test_a_plugin_cannot_free_what_is_not_its_own(pair):
    """An answer that it does not own is its own trouble."""
    host, good = pair
    bad = host.load(FREE, name="bad", free="none -> bytes")
    assert bad.call("free") == bytes(6)
    assert good.call("echo", "x") == "x"


STARVED = """
import resource, sys
from stratavm import StrataError
from stratavm.plugins import Grant, Plugins, Policy, State
from tests.unit.plugins.guests import COUNT, ECHO, manifest, module

def room():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()

def limit(more):
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY if more is None else room() + more, -1))

with Plugins(Policy({}, Grant())) as plugins:
    one = plugins.add(manifest("one", {"count": "none -> text"}), module(COUNT))
    two = plugins.add(manifest("two", {"echo": "text -> text"}), module(ECHO))
    one.load()
    assert one.call("count") == "1"
    two.check()
    limit(32 << 20)
    for _ in range(3):
        try:
            two.load()
        except (StrataError, MemoryError, OSError) as error:
            found = type(error).__name__
        else:
            raise AssertionError("there was memory")
        assert two.state in (State.FAILED, State.RESOLVED), two.state
        assert not set(two.metrics().owned) & {"instance", "store", "context"}, two.metrics().owned
        one.call("count")
    limit(None)
    two.load()
    assert two.call("echo", "x") == "x" and one.call("count") == "5"
print(found)
"""


def test_where_there_is_no_memory_an_edge_is_not_taken(root):
    """Of the whole process: nothing is left of the attempt, its neighbour goes on, and so does it with more of it."""
    command = [sys.executable, "-c", STARVED]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}, cwd=root,
                          capture_output=True, text=True, timeout=100)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("ResourceLimit", "MemoryError"), done.stdout
