"""``Engine.metrics()``: counts from the first time that somebody asks, of what the engine's events tell."""

import asyncio
import dataclasses
import gc
from functools import partial

import pytest

import stratavm
from stratavm import Engine, Linker, MemorySlots, Module, Pool, SharedMemory, Store
from stratavm.engine.codecache import CodeKept, CodeNotKept, CodeRestored, SkeletonRestored
from stratavm.engine.events import (
    CallFailed,
    GuestExited,
    InstanceCreated,
    LimitReached,
    ModuleLoaded,
    ModuleRefused,
    SnapshotTaken,
    StoreCreated,
    Trapped,
)
from stratavm.runtime.events import InstancePoisoned
from stratavm.tiers.events import FunctionCompiled, FunctionFellBack
from stratavm.tiers.jit.lift_events import FunctionLifted, LoopLifted
from tests.shared import Threads, guest, until

SOURCE = """(module (func (export "trap") unreachable) (func (export "one") (result i32) (i32.const 1))
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))"""


def test_nothing_is_heard_before_somebody_asks():
    """So nothing is paid for."""
    engine = Engine()
    assert not engine.source.hears(Trapped) and not engine.source.hears(StoreCreated)
    engine.metrics()
    assert engine.source.hears(Trapped)


def test_what_calls_do_is_counted():
    """Traps by kind, instances, functions that were compiled; all from the first question on."""
    engine = Engine()
    module = Module(SOURCE, engine)
    before = engine.metrics()
    assert before.modules == {"loaded": 0, "refused": 0} and before.traps == {}
    exports = Linker(engine).instantiate(Store(engine), module).exports
    for name, arguments in (("trap", ()), ("trap", ()), ("div", (0,))):
        with pytest.raises(stratavm.Trap):
            exports[name](*arguments)
    with pytest.raises(stratavm.ModuleError):
        Module(b"\0asm", engine)
    seen = engine.metrics()
    assert seen.traps == {"unreachable": 2, "div_by_zero": 1} and seen.calls["trapped"] == 3
    assert (seen.stores, seen.instances, seen.modules["refused"]) == (1, 1, 1)
    assert seen.compiled["0"] >= 2 and seen.compile_seconds["0"] > 0
    assert before.traps == {} and before.stores == 0


@pytest.mark.parametrize(("tier", "level"), [("jit0", "0"), ("jit1", "1"), ("auto", "0")])
def test_what_is_compiled_counts_under_its_level(tier, level):
    """Which is 1 from the start on, where the engine has that one only."""
    engine = Engine(tier=tier)
    engine.metrics()
    exports = Linker(engine).instantiate(Store(engine), Module(SOURCE, engine)).exports
    with pytest.raises(stratavm.Trap):
        exports.trap()
    seen = engine.metrics()
    assert [name for name, count in seen.compiled.items() if count] == [level]
    assert [name for name, seconds in seen.compile_seconds.items() if seconds] == [level]


def told(kind, /, **known):
    """An event of a kind; what is not given is 0."""
    return kind(*(known.get(name, 0) for name in kind.__match_args__))


ONE_OF_EACH = {
    "modules.loaded": told(ModuleLoaded),
    "modules.refused": told(ModuleRefused),
    "stores": told(StoreCreated),
    "instances": told(InstanceCreated),
    "clones": told(InstanceCreated, clone=True),
    "snapshots": told(SnapshotTaken),
    "poisoned": told(InstancePoisoned),
    "calls.trapped": told(Trapped, kind="unreachable"),
    "calls.exited": told(GuestExited),
    "calls.failed": told(CallFailed),
    "limits.fuel": told(LimitReached, limit="fuel"),
    "fallbacks": told(FunctionFellBack),
    "compiled.0": told(FunctionCompiled, ns=3_000_000_000),
    "compiled.1": told(FunctionLifted, ns=3_000_000_000),
    "compiled.loop": told(LoopLifted, ns=3_000_000_000),
    "cache.restored": told(CodeRestored, bytes=77),
    "cache.kept": told(CodeKept),
    "cache.refused": told(CodeNotKept),
    "cache.skeletons": told(SkeletonRestored),
}
BESIDES = {"clones": {"instances": 1}, "calls.trapped": {"traps.unreachable": 1}}
BESIDES |= {"cache.restored": {"restored_bytes": 77}}
BESIDES |= {f"compiled.{level}": {f"compile_seconds.{level}": 3.0} for level in ("0", "1", "loop")}


def flat(metrics):
    """Figures that are not 0, by their place."""
    found = {}
    for field in dataclasses.fields(metrics):
        value = getattr(metrics, field.name)
        many = hasattr(value, "items")
        found |= {f"{field.name}.{key}": v for key, v in value.items()} if many else {field.name: value}
    return {
        name: value for name, value in found.items() if value and not name.startswith(("helpers", "stacks", "waiters"))
    }


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_each_event_is_counted_where_it_belongs_and_nowhere_else(name):
    """Twice: it adds up."""
    engine = Engine()
    before = flat(engine.metrics())
    assert before == {}
    for _ in range(2):
        engine.source.emit(ONE_OF_EACH[name])
    once = {name: 1} | BESIDES.get(name, {})
    assert flat(engine.metrics()) == {key: 2 * value for key, value in once.items()}


def test_what_is_in_use_just_now_is_asked_for_when_the_metrics_are():
    """Slots for memories, and stacks of guests that wait."""
    engine = Engine(memory_slots=MemorySlots(3))
    linker, gate = Linker(engine), []
    linker.define("e", "f", lambda: gate[0])
    source = '(module (import "e" "f" (func $f)) (memory 1) (func (export "wait") (call $f)))'
    pre = linker.instantiate_pre(Module(source, engine))
    assert engine.metrics().memory_slots == 0
    stacks = engine.metrics().stacks

    async def main():
        gate.append(asyncio.get_running_loop().create_future())
        calls = [asyncio.create_task(pre.instantiate(Store(engine)).exports.wait.call_async()) for _ in range(2)]
        await asyncio.sleep(0)
        assert (engine.metrics().memory_slots, engine.metrics().stacks) == (2, stacks + 2)
        gate[0].set_result(None)
        await asyncio.gather(*calls)

    asyncio.run(main())
    assert engine.metrics().stacks == stacks


def test_who_waits_at_shared_memories_is_counted():
    """Threads and calls on a loop, whatever engine they are of."""
    engine = Engine(tier="jit0")
    memory = SharedMemory(engine, 1, 100)
    before = engine.metrics().waiters
    threads = Threads(*[partial(guest(engine, memory).exports.wait, at, 0, -1) for at in (0, 0, 64)])
    until(lambda: memory.waiters == 3)

    async def main():
        call = asyncio.create_task(guest(engine, memory).exports.wait.call_async(128, 0, -1))
        await asyncio.sleep(0)
        until(lambda: memory.waiters == 4)
        assert Engine().metrics().waiters == before + 4
        memory.notify(128)
        await call

    asyncio.run(main())
    assert engine.metrics().waiters == before + 3
    memory.notify(0), memory.notify(64)
    assert threads.join() == [0, 0, 0] and engine.metrics().waiters == before


def test_metrics_are_frozen():
    """They are what was, whatever comes."""
    seen = Engine().metrics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.stores = 3
    with pytest.raises(TypeError):
        seen.traps["x"] = 1


def test_pools_of_an_engine_are_in_its_metrics_as_long_as_they_live():
    """By name; two of one name are told apart."""
    engine = Engine()
    pre = Linker(engine).instantiate_pre(Module(SOURCE, engine))
    pools = [Pool(pre, name="scripts"), Pool(pre, name="scripts"), Pool(pre)]
    seen = engine.metrics().pools
    assert list(seen) == ["scripts", "scripts-2", "pool"] and seen["pool"].running == 0
    del pools[1:]
    gc.collect()
    assert list(engine.metrics().pools) == ["scripts"]


def test_an_engine_that_counts_is_garbage_when_nobody_has_it():
    """What counts does not keep it."""
    import weakref

    engine = Engine()
    engine.metrics()
    bus = weakref.ref(engine.tally)
    del engine
    gc.collect()
    assert bus() is None
