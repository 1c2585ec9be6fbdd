"""One linker for many worlds: functions find theirs by the store."""

import gc
import weakref

import pytest

import stratavm
from stratavm.wasi import MemoryTree, Wasi, bystore, namespaces_by_store
from stratavm.wasi.p1 import functions
from tests.fuzz.wasi import module

WRITES = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 16) "hello")
  (func (export "write") (result i32) (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))
  (func (export "time") (result i32) (call $time (i32.const 1) (i64.const 0) (i32.const 64)))
  (func (export "prestat") (result i32) (call $prestat (i32.const 3) (i32.const 64))))"""


def test_instances_of_one_linker_have_the_worlds_of_their_stores():
    """Outputs, directories, and what was noted; in the order in which they call."""
    made = stratavm.Module(WRITES)
    linker = stratavm.Linker(made.engine)
    linker.define_namespaces(namespaces_by_store())
    pre = linker.instantiate_pre(made)
    found = []
    for number in range(4):
        output, store = bytearray(), stratavm.Store(made.engine)
        preopens = {MemoryTree(): "/" + "x" * number} if number else {}
        world = Wasi(preopens=preopens, stdout=output)
        world.bind(store)
        world.bind(store)
        found.append((output, world, pre.instantiate(store), store))
    for number, (output, world, instance, _) in enumerate([*found, *found]):
        assert instance.exports.write() == instance.exports.time() == 0
        assert instance.exports.prestat() == (0 if number % 4 else 8)
        assert bytes(output) == b"hello" * (1 + number // 4)
        assert set(world.freeze().called) == {"clock_time_get", "fd_prestat_get"}
    found[0][1].close()
    assert found[0][2].exports.write() == 8, "its world is closed"
    assert found[1][2].exports.write() == 0


def test_all_functions_are_there_with_their_short_ways(monkeypatch):
    """As those of one world: what has a short way takes it."""
    made = module()
    general = []
    linker = stratavm.Linker(made.engine)
    linker.define_namespaces(namespaces_by_store())
    clock = functions()["clock_time_get"]
    original = type(clock).bound

    def bound(function, ctx):
        found = original(function, ctx)
        if function.short is None:
            return found
        return function.short(lambda *arguments: general.append(function.name) or 0, ctx)

    monkeypatch.setattr(type(clock), "bound", bound)
    with Wasi(args=["x"]) as world, stratavm.Store(made.engine) as store:
        world.bind(store)
        exports = linker.instantiate(store, made).exports
        assert {name for name in functions() if callable(exports[name])} == set(functions())
        assert exports.clock_time_get(1, 0, 64) == exports.args_sizes_get(0, 4) == 0
        assert general == []
        assert exports.clock_time_get(9, 0, 64) == 0
        assert general == ["clock_time_get"]


def test_a_store_without_a_world_is_refused_by_name():
    """And one that has another; and what is no store."""
    made = stratavm.Module(WRITES)
    linker = stratavm.Linker(made.engine)
    linker.define_namespaces(namespaces_by_store())
    with stratavm.Store(made.engine) as store, Wasi() as world, Wasi() as other:
        with pytest.raises(stratavm.LinkError, match="fd_write belongs to the store's world, and there is none"):
            linker.instantiate(store, made)
        world.bind(store)
        with pytest.raises(ValueError, match="another world already"):
            other.bind(store)
        assert linker.instantiate(store, made).exports.write() == 0
        with pytest.raises(TypeError, match="bound to a Store"):
            world.bind(made)


def test_a_store_that_goes_leaves_nothing():
    """No entry of it stays, and no world, also where the world's own callables know the store."""
    gc.collect()
    before = len(bystore._worlds)
    engine = stratavm.Engine()
    made = stratavm.Module(WRITES, engine)
    linker = stratavm.Linker(engine)
    linker.define_namespaces(namespaces_by_store())
    worlds = []
    for _ in range(50):
        store = stratavm.Store(engine)
        world = Wasi(stdout=lambda data, store=store: None)
        world.bind(store)
        linker.instantiate(store, made)
        worlds.append(weakref.ref(world._context))
    del store, world
    gc.collect()
    assert [world() for world in worlds] == [None] * 50
    assert len(bystore._worlds) == before


def test_clones_of_a_snapshot_have_worlds_of_their_own():
    """One pre-linked snapshot, a world for each clone that goes on where the first one was frozen."""
    made = stratavm.Module(WRITES)
    linker = stratavm.Linker(made.engine)
    linker.define_namespaces(namespaces_by_store())
    with stratavm.Store(made.engine) as store, Wasi(preopens={MemoryTree(): "/"}) as world:
        world.bind(store)
        first = linker.instantiate(store, made)
        assert first.exports.time() == first.exports.prestat() == 0
        state = world.freeze()
        pre = first.snapshot().instantiate_pre(linker)
    for _ in range(3):
        output = bytearray()
        with (
            stratavm.Store(made.engine) as store,
            Wasi(preopens={MemoryTree(): "/"}, stdout=output, resumes=state) as world,
        ):
            world.bind(store)
            clone = pre.instantiate(store)
            before = clone.exports.memory.unpack("<Q", 64)[0]
            assert clone.exports.write() == clone.exports.time() == 0
            assert output == b"hello"
            assert clone.exports.memory.unpack("<Q", 64)[0] > state.monotonic_ns >= before & 0xFFFFFFFF
