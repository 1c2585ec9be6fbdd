"""Claims about what a closed store refuses, and about what the limits of a store count."""

import gc

import pytest

import stratavm
from stratavm import (
    Caller,
    Closed,
    Config,
    Engine,
    Global,
    Linker,
    Memory,
    Module,
    ResourceLimit,
    Store,
    StoreLimits,
    Table,
)
from stratavm.spec.types import FUNCREF, I32, FuncType
from stratavm.testing import ModuleBuilder

GIVER = """(module (import "host" "f" (func $host (result i32))) (export "host" (func $host))
 (func (export "own") (result i32) (i32.const 4))
 (func (export "calls") (result i32) (i32.add (call $host) (i32.const 1)))
 (table (export "table") 1 funcref) (elem (i32.const 0) func $host))"""
TAKER = """(module (import "giver" "own" (func $own (result i32))) (import "giver" "calls" (func $calls (result i32)))
 (import "giver" "host" (func $host (result i32))) (import "giver" "table" (table 1 funcref))
 (func (export "own") (result i32) (call $own)) (func (export "calls") (result i32) (call $calls))
 (func (export "host") (result i32) (call $host))
 (func (export "table") (result i32) (call_indirect (result i32) (i32.const 0))))"""
GUEST = ModuleBuilder().memory(1, 3).table(2, 4).global_("level", "i32", 5).build()


@pytest.mark.parametrize(
    "use",
    [
        lambda e: e.level.value,
        lambda e: setattr(e.level, "value", 1),
        lambda e: e.level.bits,
        lambda e: e.table.grow(1),
        lambda e: e.table[0],
        lambda e: e.table.__setitem__(0, None),
        lambda e: e.memory.grow(1),
        lambda e: e.memory[0],
        lambda e: e.memory.read(0, 1),
        lambda e: e.memory.read(0, 1),
        lambda e: e.memory.write(0, b"x"),
        lambda e: e.memory.grow(1),
    ],
)
def test_what_belongs_to_a_closed_store_says_so(use):
    """Globals and tables as well as memories and functions."""
    instance = stratavm.load(GUEST)
    exports = instance.exports
    use(exports)
    instance.store.close()
    with pytest.raises(Closed):
        use(exports)


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
def test_what_guests_hold_of_a_closed_instance_is_theirs(tier):
    """A function of it, one that calls a host function for it, and that host function itself, by import or by table;
    the host may call none."""
    engine = Engine(Config(tier=tier))
    store, linker = Store(engine), Linker(engine)

    def told(caller: Caller) -> int:
        return 7

    linker.define("host", "f", told)
    giver = linker.instantiate(store, Module(GIVER, engine))
    linker.define_instance("giver", giver)
    taker = linker.instantiate(store, Module(TAKER, engine))
    giver.close()
    assert [taker.exports[name]() for name in ("own", "calls", "host", "table")] == [4, 8, 7, 7]
    for name in ("own", "calls", "host"):
        with pytest.raises(Closed, match="instance of this function"):
            giver.exports[name]()


def test_nothing_is_made_in_a_closed_store():
    """Neither memories nor instances nor host functions."""
    store = Store()
    store.close()
    for make in (
        lambda: Memory.new(store, 1),
        lambda: Table.new(store, FUNCREF, 1),
        lambda: Global.new(store, I32, 1),
        lambda: stratavm.Func.from_callable(store, FuncType((), ()), print),
        lambda: Linker().instantiate(store, stratavm.Module(GUEST)),
    ):
        with pytest.raises(Closed):
            make()


def test_objects_of_a_closed_store_have_a_repr():
    """It raises nothing."""
    instance = stratavm.load(GUEST)
    level, table, memory = instance.exports.level, instance.exports.table, instance.exports.memory
    shown = repr(level)
    instance.store.close()
    assert shown == "<Global mut i32 = 5>"
    assert repr(level) == "<Global mut i32 = ?>"
    assert "Table 2" in repr(table) and "Memory" in repr(memory)
    assert repr(instance.exports) == "<Exports memory, table, level>" and "nothing" not in instance.exports


def test_a_deadline_ends_with_its_block_although_the_store_was_closed_in_it():
    """The end of the block changes nothing that is gone."""
    store = Store()
    with store.deadline(5):
        store.close()


def test_the_limits_of_a_store_count_what_lives():
    """Memories and tables that nobody refers to any more make room; those that live do not."""
    store = Store(limits=StoreLimits(memories=2, tables=2))
    for _ in range(10):
        Memory.new(store, 1)
        Table.new(store, FUNCREF, 1)
    kept = Memory.new(store, 1), Memory.new(store, 1), Table.new(store, FUNCREF, 1), Table.new(store, FUNCREF, 1)
    for make in (lambda: Memory.new(store, 1), lambda: Table.new(store, FUNCREF, 1)):
        with pytest.raises(ResourceLimit, match="2 "):
            make()
    assert kept[1].number == 11, "numbers are not used twice: events tell memories apart by them"
    del kept
    gc.collect()
    Memory.new(store, 1)


def test_what_could_not_be_made_is_not_counted():
    """A memory that the kernel or a limit refuses takes no place for ever."""
    store = Store(stratavm.Engine(max_memory_bytes=1 << 16), limits=StoreLimits(memories=1, tables=1))
    for _ in range(3):
        with pytest.raises(ResourceLimit):
            Memory.new(store, 2)
        with pytest.raises(ResourceLimit):
            Table.new(store, FUNCREF, 20_000_000)
    Memory.new(store, 1)
    Table.new(store, FUNCREF, 1)


def test_a_store_in_a_cycle_of_garbage_is_counted_in_to_the_end():
    """The collector clears what is in a cycle in any order; memories and tables still find their store."""
    slots = {name: getattr(type(None), name) for name in ("__getattribute__", "__setattr__", "__hash__", "__repr__")}
    for _ in range(20):
        instance = stratavm.load(GUEST)
        instance.store.reporter = instance.exports  # store → exports → functions and memories → store
        del instance
        gc.collect()
    assert hasattr(None, "__class__") and all(getattr(type(None), name) == slot for name, slot in slots.items())


def test_a_new_store_takes_nothing_over_from_one_that_is_gone():
    """Objects are made where others were: nothing of their state may be left."""
    engine = stratavm.Engine()
    pre = stratavm.Linker(engine).instantiate_pre(stratavm.Module('(module (memory (export "m") 1))', engine=engine))
    places = set()
    for _ in range(3):
        for spoil in (True, False):
            store = stratavm.Store(engine, thread_bound=spoil, on_abort="keep" if spoil else "poison")
            instance = pre.instantiate(store)
            memory = instance.exports.m
            state = (store.closed, store.keep_on_abort, instance.closed, instance.poisoned)
            assert state == (False, spoil, False, False)
            assert (store.n_memories, memory.number, memory.exports) == (1, 0, 0)
            assert instance.number == 0 and store.extern_from_raw(0) is None
            assert bytes(instance.exports.m[:4]) == bytes(4)
            places.add(id(store))
            if spoil:
                instance.exports.m[0] = 1
                store.extern_to_raw(store)
                instance.poison()
                instance.close()
                store.set_deadline(0)
                store.request_tick()
            store.close()
            del store, instance, memory
            gc.collect()
    assert len(places) < 6  # at least one was made where another had been
