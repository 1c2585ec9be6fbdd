"""Bulk operations of guests on fibers: they leave behind a part, or at a tick, and the loop does what is left."""

import asyncio
import ctypes

import pytest

from stratavm import Closed, Engine, InstancePoisoned, Store, StoreLimits, load
from stratavm.contract import layout
from stratavm.runtime.fibers import count_polls
from tests.unit.engine.async_guests import TIERS, run, stacks_given_back

PAGES = 512
SIZE = PAGES << 16
SOURCE = f"""(module
  (import "h" "tick" (func $tick))
  (memory (export "memory") {PAGES}) (table $t 1200000 funcref) (elem declare func $f) (func $f)
  (func (export "mark") (param $every i32) (local $at i32)
    (loop (i32.store (local.get $at) (i32.mul (local.get $at) (i32.const 0x9E3779B1)))
      (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (local.get $every))) (i32.const {SIZE})))))
  (func (export "fill") (param i32 i32 i32) (call $tick) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "copy") (param i32 i32 i32) (call $tick) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "table_fill") (call $tick) (table.fill $t (i32.const 3) (ref.func $f) (i32.const 1199990)))
  (func (export "table_copy") (call $tick) (table.copy (i32.const 1) (i32.const 3) (i32.const 1199990)))
  (func (export "is_null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0)))))"""


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


def exports_of(tier, ticks=True):
    """A guest with a large memory in a store of its own, which meets a tick in its operations, or none."""

    def tick():
        if not ticks:
            return
        pending, limit = (store.address + layout.EXEC.offset(name) for name in ("pending", "poll_limit"))
        ctypes.c_uint32.from_address(pending).value |= layout.PENDING_BITS["tick"]
        ctypes.c_uint64.from_address(limit).value = 0xFFFFFFFFFFFFFFFF

    store = Store(Engine(tier=tier), limits=StoreLimits(table_elements=2_000_000))
    return load(SOURCE, {"h": {"tick": tick}}, store=store)


OPERATIONS = {
    "fill": ("fill", (5, 0x1AB, SIZE - 11)),
    "fill of a part": ("fill", (1, 7, (9 << 20) + 3)),
    "copy forwards": ("copy", (3, 70_000, SIZE - 70_001)),
    "copy backwards": ("copy", (70_000, 3, SIZE - 70_001)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_that_is_suspended_does_the_same(tier, name):
    """Byte for byte what it does at one go, and the loop had turns."""
    function, arguments = OPERATIONS[name]
    plain, other = exports_of(tier).exports, exports_of(tier)
    turns = 0

    async def main():
        nonlocal turns
        call = asyncio.create_task(other.exports[function].call_async(*arguments))
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        await call

    for exports in (plain, other.exports):
        exports.mark(4093)
    plain[function](*arguments)
    run(main())
    assert turns >= 3
    assert bytes(plain.memory.view()) == bytes(other.exports.memory.view())


PARTS = {  # 4 MiB each, where bytes are the clock: one by the guest, the others by turns of the loop
    "fill": ("fill", (0, 1, SIZE), 8),
    "copy": ("copy", (0, SIZE // 2, SIZE // 2), 4),
    "copy backwards": ("copy", (1, 0, SIZE // 2), 4),
    "table.fill": ("table_fill", (), 3),
    "table.copy": ("table_copy", (), 3),
    "what is short": ("fill", (0, 1, 4 << 20), 1),
}


@pytest.fixture
def no_ticks():
    """Bytes are the clock of bulk operations, and nothing else suspends guests on fibers."""
    before = count_polls(1 << 40, 0)
    yield
    count_polls(before, 0)


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.usefixtures("no_ticks")
def test_the_loop_has_a_turn_behind_each_part(tier, name):
    """Without any tick."""
    function, arguments, parts = PARTS[name]

    async def main():
        call = asyncio.create_task(exports_of(tier, ticks=False).exports[function].call_async(*arguments))
        turns = 0
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        await call
        return turns

    assert run(main()) == (parts + 1 if parts > 1 else 1)  # and one in which the guest goes on


def test_operations_on_tables_are_suspended_too(tier):
    """Filling and copying references."""

    async def main():
        instance = exports_of(tier)
        store = instance.exports.memory.store
        for function in ("table_fill", "table_copy"):
            call = asyncio.create_task(instance.exports[function].call_async())
            await asyncio.sleep(0)
            assert store.parked is not None
            await call
        for at, is_null in ((0, 1), (1, 0), (600_000, 0), (1_199_992, 0), (1_199_993, 1)):
            assert instance.exports.is_null(at) == is_null

    run(main())


@pytest.mark.parametrize("how", ["cancel", "close", "interrupt"])
@pytest.mark.usefixtures("no_ticks")
def test_an_operation_ends_midway(tier, how):
    """Its instance is poisoned; nothing is written any more."""

    async def main():
        instance = exports_of(tier, ticks=False)
        store = instance.exports.memory.store
        call = asyncio.create_task(instance.exports.fill.call_async(0, 1, SIZE))
        await asyncio.sleep(0)
        {"cancel": call.cancel, "close": store.close, "interrupt": store.interrupt}[how]()
        ended = (await asyncio.gather(call, return_exceptions=True))[0]
        if how == "close":
            assert isinstance(ended, Closed)
            return
        assert type(ended).__name__ == {"cancel": "CancelledError", "interrupt": "Interrupted"}[how]
        written = bytes(instance.exports.memory.read(0, SIZE)).count(1)
        assert 0 < written < SIZE and written % (4 << 20) == 0
        with pytest.raises(InstancePoisoned):
            instance.exports.fill(0, 0, 1)

    run(main())
