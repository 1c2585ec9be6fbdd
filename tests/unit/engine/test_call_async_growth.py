"""``table.grow`` of guests on fibers: the new elements are written at turns of the loop, and the length comes last."""

import asyncio

import pytest

from stratavm import Closed, Engine, InstancePoisoned, Interrupted, Store, StoreLimits, Table, load
from stratavm.runtime.fibers import count_polls
from tests.unit.engine.async_guests import TIERS, run, stacks_given_back

MANY = 1_200_000
SOURCE = """(module (import "e" "t" (table $t 0 4000000 externref))
  (func (export "grow") (param externref i32) (result i32) (table.grow $t (local.get 0) (local.get 1)))
  (func (export "twice") (param externref i32) (result i32)
    (drop (table.grow $t (local.get 0) (local.get 1)))
    (table.grow $t (ref.null extern) (i32.const 200000)))
  (func (export "size") (result i32) (table.size $t))
  (func (export "get") (param i32) (result externref) (table.get $t (local.get 0))))"""


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


@pytest.fixture(autouse=True)
def no_ticks():
    """Bytes are the clock of bulk operations, and nothing else suspends guests on fibers."""
    before = count_polls(1 << 40, 0)
    yield
    count_polls(before, 0)


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


class Thing:
    """What is in the table."""


def world(tier="jit0", fuel=None, **limits):
    """A table and the exports of a guest that grows it, in a store of its own."""
    limits.setdefault("table_elements", 4_000_000)
    store = Store(Engine(tier=tier, fuel=fuel is not None), limits=StoreLimits(**limits), fuel=fuel)
    table = Table.new(store, "externref", 0, 4_000_000)
    return table, load(SOURCE, {"e": {"t": table}}, store=store).exports


async def begun(exports, thing, count=MANY, name="grow"):
    """A growth that waits for its first turn."""
    call = asyncio.create_task(exports[name].call_async(thing, count))
    await asyncio.sleep(0)
    assert exports.size.store.parked is not None and not call.done()
    return call


def elements(table, at=0):
    """What stands in some places."""
    return {table[i] for i in (at, at + 1, (at + len(table)) // 2, len(table) - 1)}


def test_a_growth_has_turns_and_the_length_comes_last(tier):
    """Parts of 4 MiB, each behind a turn of the loop; nobody sees a part of it."""
    table, exports = world(tier)
    thing = Thing()

    async def main():
        call, turns = await begun(exports, thing), 1
        while not call.done():
            assert len(table) == 0
            await asyncio.sleep(0)
            turns += 1
        assert await call == 0 and turns == 5
        assert len(table) == MANY and elements(table) == {thing}
        assert await exports.grow.call_async(thing, 10) == MANY  # at one go
        assert await exports.grow.call_async(None, 1_000_000) == MANY + 10
        assert table[MANY + 9] is thing and elements(table, MANY + 10) == {None}

    run(main())


def test_who_grows_it_meanwhile_comes_first(tier):
    """The host's elements are what it says, and the guest's come behind them."""
    for between in (None, Thing()):
        table, exports = world(tier)
        thing = Thing()

        async def main(table=table, exports=exports, thing=thing, between=between):
            call = await begun(exports, thing)
            await asyncio.sleep(0)
            assert table.grow(700_000, between) == 0 and elements(table) == {between}
            assert await call == 700_000
            assert len(table) == MANY + 700_000 and elements(table, 700_000) == {thing} and table[699_999] is between

        run(main())


def test_a_limiter_is_asked_once_and_before_anything_is_written(tier):
    """It may say no, or raise."""
    asked = []

    def limiter(kind, now, wanted):
        asked.append((kind, now, wanted))
        if wanted > 2 * MANY:
            raise LookupError(kind)
        return wanted <= MANY

    table, exports = world(tier, limiter=limiter)
    asked.clear()
    held = exports.size.store.bytes_held

    async def main():
        assert await exports.grow.call_async(Thing(), MANY + 1) == -1
        assert asked == [("table", 0, MANY + 1)] and exports.size.store.bytes_held <= held + 4096
        assert await exports.grow.call_async(Thing(), MANY) == 0
        assert asked[1:] == [("table", 0, MANY)]
        with pytest.raises(LookupError):
            await exports.grow.call_async(Thing(), 2 * MANY)
        assert asked[2:] == [("table", MANY, 3 * MANY)] and len(table) == MANY

    run(main())


def test_what_a_limiter_said_to_a_growth_that_never_came_counts_for_nobody_else(tier):
    """A call that was cancelled; the next one asks again."""
    asked = []
    table, exports = world(tier, limiter=lambda kind, now, wanted: asked.append(wanted) or len(asked) <= 1)
    asked.clear()

    async def main():
        call = await begun(exports, Thing())
        call.cancel()
        await asyncio.wait([call])
        assert asked == [MANY] and table.grow(MANY, Thing()) == -1 and asked == [MANY, MANY]
        assert len(table) == 0

    run(main())


def test_a_budget_that_is_full_refuses_it(tier):
    """Nothing is held then."""
    table, exports = world(tier, total_bytes=4 << 20)
    held = exports.size.store.bytes_held

    async def main():
        assert await exports.grow.call_async(Thing(), MANY) == -1
        assert await exports.grow.call_async(Thing(), 4_000_001) == -1
        assert len(table) == 0 and exports.size.store.bytes_held <= held + 4096

    run(main())


def test_fuel_is_taken_once(tier):
    """As by a synchronous call."""
    left = []
    for is_async in (False, True):
        _, exports = world(tier, fuel=5_000_000)
        if is_async:
            run(exports.grow.call_async(Thing(), MANY))
        else:
            exports.grow(Thing(), MANY)
        left.append(exports.size.store.fuel)
    assert left[0] == left[1] <= 5_000_000 - MANY


@pytest.mark.parametrize("how", ["cancel", "close", "interrupt"])
def test_a_growth_ends_midway(tier, how):
    """The table has its old length; who grows it by null afterwards sees nulls."""
    table, exports = world(tier)
    store = exports.size.store

    async def main():
        call = await begun(exports, Thing())
        await asyncio.sleep(0)
        {"cancel": call.cancel, "close": store.close, "interrupt": store.interrupt}[how]()
        await asyncio.wait([call])
        if how == "cancel":
            assert call.cancelled()
        else:
            assert isinstance(call.exception(), {"close": Closed, "interrupt": Interrupted}[how])
        if how == "close":
            return
        with pytest.raises(InstancePoisoned):
            exports.size()
        assert len(table) == 0
        other = load(SOURCE, {"e": {"t": table}}, store=store).exports
        if how == "interrupt":
            assert table.grow(MANY) == 0 and {table[i] for i in range(0, MANY, 500)} == {None}
        else:
            assert await other.grow.call_async(None, MANY) == 0
            assert {table[i] for i in range(0, MANY, 500)} == {None}

    run(main())


def test_two_growths_of_one_call(tier):
    """One of a reference, the other of null."""
    table, exports = world(tier)
    thing = Thing()

    async def main():
        call = await begun(exports, thing, MANY, "twice")
        assert await call == MANY
        assert len(table) == MANY + 200_000 and table[MANY - 1] is thing and elements(table, MANY) == {None}

    run(main())
