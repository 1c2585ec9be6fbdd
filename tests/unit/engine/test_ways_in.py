"""Claims about every way into a store: what ends a call ends it whichever way it came in.

The ways are those of ``docs/ideas/invariants.md``: through guest code, as a host function that a guest exports again,
out of a table, as a funcref that a call gave back or a global holds, as a start function, by raw bits, by a caller's
instance, from a host function of another store.
"""

import threading
import time

import pytest

from stratavm import (
    DeadlineExceeded,
    Engine,
    Func,
    InstancePoisoned,
    Interrupted,
    Linker,
    Module,
    OutOfFuel,
    Store,
    StoreBusy,
    StoreLimits,
    load,
)
from stratavm.engine.events import CallFailed
from stratavm.engine.host import HostSpec
from stratavm.spec.types import I32, FuncType
from tests.threads import past_deadline

TIERS = ("oracle", "jit0", "jit1")
LONG = 60  # seconds that nothing here takes unless it cannot be stopped
GUEST = """(module (import "e" "wait" (func $wait))
  (memory (export "memory") 1) (table (export "table") funcref (elem $wait))
  (global (export "global") funcref (ref.func $wait))
  (export "again" (func $wait))
  (func (export "inside") (call $wait))
  (func (export "give") (result funcref) (ref.func $wait))
  (func (export "ok") (result i32) (i32.const 7)))"""
START = '(module (import "e" "wait" (func $wait)) (memory (export "memory") 1) (start $wait))'
START_INSIDE = """(module (import "e" "wait" (func $wait)) (memory (export "memory") 1)
  (func $start (call $wait)) (start $start))"""


def wait(caller):
    """A host function that waits as one should: it asks whether it is to end."""
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        caller.memory.poll()
        time.sleep(0.001)
    raise AssertionError("nobody ended this")


def start(text):
    """Instantiate a module that waits at once."""

    def way(world):
        linker = Linker(world.store.engine)
        linker.define("e", "wait", world.function)
        linker.instantiate(world.store, Module(text, engine=world.store.engine))

    return way


WAYS = {
    "inside": lambda world: world.exports.inside(),
    "exported again": lambda world: world.exports.again(),
    "table": lambda world: world.exports.table[0](),
    "global": lambda world: world.exports.global_(),
    "result": lambda world: world.exports.give()(),
    "raw": lambda world: world.exports.again.call_raw([]),
    "native": lambda world: world.exports.again.native.call_raw([]),
    "start": start(START),
    "start inside": start(START_INSIDE),
}
NEW_INSTANCE = ("start", "start inside")


class World:
    """A store with the guest, whose import is ``function``."""

    def __init__(self, tier, function=wait, **options):
        self.function = function
        self.store = Store(Engine(tier=tier, fuel="fuel" in options), **options)
        self.instance = load(GUEST, {"e": {"wait": function}}, store=self.store)
        self.exports = Exports(self.instance.exports)


class Exports:
    """Exports, and what a global refers to."""

    def __init__(self, exports):
        self.all = exports

    def __getattr__(self, name):
        return self.all["global"].value if name == "global_" else self.all[name]


every_way = pytest.mark.parametrize("way", WAYS)
every_tier = pytest.mark.parametrize("tier", TIERS)


@every_tier
@every_way
def test_a_deadline_ends_it(tier, way):
    """While it waits; the instance concerned is poisoned, as after every call that was abandoned midway."""
    world = World(tier)
    past_deadline(world.store, lambda: WAYS[way](world), lambda: world.instance.poisoned or way in NEW_INSTANCE)
    assert not world.store.busy
    if way in NEW_INSTANCE:
        assert world.exports.ok() == 7
        return
    for next_way in (WAYS[way], lambda world: world.exports.ok()):
        with pytest.raises(InstancePoisoned):
            next_way(world)


@every_tier
@every_way
def test_a_deadline_that_has_passed_lets_it_not_begin(tier, way):
    """The host function does not run at all where it would run first."""
    ran = []
    world = World(tier, lambda: ran.append(1))
    with world.store.deadline(0), pytest.raises(DeadlineExceeded):
        WAYS[way](world)
    assert ran == []


@every_tier
@every_way
def test_an_interrupt_ends_it(tier, way):
    """From another thread, to which the store says that it is busy."""
    began = threading.Event()
    found = []

    def waits(caller):
        began.set()
        wait(caller)

    def stop():
        began.wait(LONG)
        found.append(world.store.busy)
        try:
            world.exports.ok()
        except StoreBusy as error:
            found.append(type(error))
        found.append(world.store.interrupt())

    world = World(tier, waits, on_abort="keep")
    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        WAYS[way](world)
    thread.join(LONG)
    assert found == [True, StoreBusy, True]
    assert world.exports.ok() == 7 and world.store.interrupt() is False


@every_tier
@every_way
def test_nothing_closes_under_it(tier, way):
    """Neither the store nor the instance."""
    errors = []

    def close(caller):
        for thing in (world.store, world.instance):
            try:
                thing.close()
            except StoreBusy as error:
                errors.append(error)

    world = World(tier, close)
    WAYS[way](world)
    assert len(errors) == 2 and world.exports.ok() == 7


@every_tier
@every_way
def test_an_exception_comes_out_and_is_told_of_once(tier, way):
    """Unchanged, and listeners hear of one failure."""

    def fail():
        raise LookupError("gone")

    world = World(tier, fail)
    heard = []
    world.store.engine.bus.subscribe(CallFailed, heard.append)
    with pytest.raises(LookupError, match="gone"):
        WAYS[way](world)
    assert len(heard) == (2 if way in NEW_INSTANCE else 1)  # an instantiation tells that it failed, too
    assert world.exports.ok() == 7


@every_tier
@every_way
def test_a_host_function_costs_no_fuel_itself(tier, way):
    """What guests use around it is what they use; without any left, guests do not begin and host functions do."""
    left = []
    world = World(tier, lambda: left.append(world.store.fuel), fuel=1000)
    WAYS[way](world)
    assert left == [1000 - world.store.fuel_used]
    world.store.fuel = 0
    if way in ("inside", "start inside", "result"):
        with pytest.raises(OutOfFuel):
            WAYS[way](world)
    else:
        WAYS[way](world)
        assert left[1:] == [0]


@every_tier
def test_a_thread_that_the_store_is_not_bound_to_gets_in_by_no_way(tier):
    """Neither by calls nor by making an instance."""
    world = World(tier, lambda: None, thread_bound=True)
    found = []

    def meddle():
        for way in WAYS.values():
            try:
                way(world)
            except StoreBusy:
                found.append(way)

    thread = threading.Thread(target=meddle)
    thread.start()
    thread.join(LONG)
    assert found == list(WAYS.values())


@every_tier
def test_a_spec_exported_again_is_ended_too(tier):
    """The form that WASI uses; it gets unsigned integers, and what it returns is checked."""
    answers = [3, None, -1]

    def spin(memory, number):
        assert number == 0xFFFF_FFFF
        if answers:
            return answers.pop(0)
        while True:
            memory.poll()

    spec = HostSpec(FuncType((I32,), (I32,)), spin)
    text = """(module (import "e" "f" (func $f (param i32) (result i32)))
      (memory (export "memory") 1) (export "f" (func $f)))"""
    instance = load(text, {"e": {"f": spec}}, store=Store(Engine(tier=tier)))
    assert instance.exports.f(-1) == 3
    with pytest.raises(TypeError):
        instance.exports.f(-1)
    with pytest.raises(OverflowError):
        instance.exports.f(-1)
    past_deadline(instance.store, lambda: instance.exports.f(-1), lambda: instance.poisoned)
    with pytest.raises(InstancePoisoned):
        instance.exports.f(-1)


@every_tier
def test_an_interrupt_reaches_what_a_host_function_runs_in_another_store(tier):
    """The inner guest loops for ever; the call that was interrupted is the outer one, and both end."""
    inner = Store(Engine(tier=tier))
    began = threading.Event()  # in the guest: a call that ends before guest code ran in it poisons nothing
    text = """(module (import "e" "began" (func $began))
      (func (export "spin") (call $began) (loop (br 0))))"""
    spin = load(text, {"e": {"began": began.set}}, store=inner).exports.spin
    world = World(tier, lambda: spin())

    def stop():
        assert began.wait(LONG)
        world.store.interrupt()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(Interrupted):
        world.exports.inside()
    thread.join(LONG)
    for function in (spin, world.exports.ok):
        with pytest.raises(InstancePoisoned):
            function()


@every_tier
def test_a_deadline_reaches_a_host_function_of_another_store(tier):
    """Called from a host function, past no guest of its own store."""
    inner = World(tier)
    world = World(tier, lambda: inner.exports.again())
    past_deadline(world.store, lambda: world.exports.again(), lambda: inner.instance.poisoned)
    with pytest.raises(InstancePoisoned):
        inner.exports.ok()


@every_tier
def test_a_limiter_and_a_listener_may_be_ended(tier):
    """They run inside of the guest's call, and can ask whether it is to end."""
    store = Store(Engine(tier=tier), limits=StoreLimits(limiter=lambda *_: spin()))
    grow = load(
        '(module (memory (export "memory") 1) (func (export "grow") (drop (memory.grow (i32.const 1)))))', store=store
    )

    def spin():
        while True:
            grow.exports.memory.poll()

    past_deadline(store, lambda: grow.exports.grow(), lambda: grow.poisoned)
    with pytest.raises(InstancePoisoned):
        grow.exports.grow()


def test_a_function_without_an_instance_poisons_none():
    """One that Python made: it is ended, and may be called again."""
    store = Store(Engine())
    calls = []

    def end():
        calls.append(store.interrupt())
        store.poll()

    function = Func.from_callable(store, FuncType((), ()), end)
    for _ in range(2):
        with pytest.raises(Interrupted):
            function()
    assert calls == [True, True]


@every_tier
def test_of_deadlines_inside_each_other_the_earliest_counts(tier):
    """A later one neither puts off nor takes away the one around it, set in a host function or beside it."""

    def waits(caller):
        with world.store.deadline(LONG):
            pass
        with world.store.deadline(None):
            wait(caller)

    world = World(tier, waits, on_abort="keep")
    with world.store.deadline(0.05), pytest.raises(DeadlineExceeded):
        world.exports.inside()
    with world.store.deadline(0.05):
        with world.store.deadline(LONG), pytest.raises(DeadlineExceeded):
            world.exports.inside()
        with pytest.raises(DeadlineExceeded):
            world.exports.again()
    assert world.exports.ok() == 7


@every_tier
def test_deadlines_end_in_any_order(tier):
    """Each takes away itself."""
    world = World(tier, on_abort="keep")
    passed, late = world.store.deadline(0), world.store.deadline(LONG)
    passed.__enter__()
    late.__enter__()
    with pytest.raises(DeadlineExceeded):
        world.exports.ok()
    passed.__exit__(None, None, None)
    assert world.exports.ok() == 7
    late.__exit__(None, None, None)
    assert world.exports.ok() == 7


@every_tier
def test_a_deadline_ends_though_another_thread_is_inside(tier):
    """It does not stay behind for later calls."""
    began = threading.Event()

    def waits(caller):
        began.set()
        wait(caller)

    def call():
        with pytest.raises((Interrupted, DeadlineExceeded)):
            world.exports.inside()

    world = World(tier, waits, on_abort="keep")
    thread = threading.Thread(target=call)
    with world.store.deadline(0.1):
        thread.start()
        began.wait(LONG)
    world.store.interrupt()
    thread.join(LONG)
    time.sleep(0.11)
    assert world.exports.ok() == 7


@every_tier
def test_a_deadline_reaches_a_store_that_is_entered_again(tier):
    """From a host function of the store with the deadline, which a host function of the first store has called; and
    no further than that call."""
    found = []

    def begin(caller):
        if not found:
            found.append("begun")
            past_deadline(inner.store, inner.exports.inside, lambda: inner.instance.poisoned)
            found.append(world.exports.ok())
        else:
            wait(caller)

    world = World(tier, begin, on_abort="keep")
    inner = World(tier, lambda: world.exports.inside())
    world.exports.inside()
    assert found == ["begun", 7]
    with pytest.raises(InstancePoisoned):
        inner.exports.ok()
