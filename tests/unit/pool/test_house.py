"""Pools of one event loop share its thread; bulk operations of their guests do, too."""

import asyncio
import ctypes

import pytest

from stratavm import Engine, Linker, Module, Pool
from stratavm.contract import layout
from stratavm.pool.desk import Ticket
from stratavm.pool.house import SAVED_NS
from tests.unit.pool.test_pool import consistent, pool_of

# ---- several pools of one loop ----


def test_pools_of_one_loop_grant_one_turn_at_a_time():
    """Whoever has it, the others wait; then it is theirs."""

    async def main():
        async with pool_of() as first, pool_of() as second:
            assert first._here() is second._here() and first._floor.house is second._floor.house
            first._floor.house.holder = held = Ticket(first.desk.line("x"), 0, 0.0)
            call = asyncio.create_task(second.call("add", 1, 2))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not call.done() and second.desk.queued == 1
            first._floor.release(held)
            assert await call == 3
            consistent(first), consistent(second)

    asyncio.run(main())


def test_guests_that_compute_rest_in_all_pools_of_a_loop():
    """A tick of one is the loop's share for all: else the loop would have less, the more pools there are."""

    async def main():
        first, second = pool_of(), pool_of()
        await first.call("add", 1, 2), await second.call("add", 1, 2)
        tickets = [Ticket(pool.desk.line("eve"), 0, 0.0) for pool in (first, second)]
        for pool, ticket in zip((first, second), tickets, strict=True):
            assert pool.desk.begin_at_once(ticket)
        second.desk.want_to_compute(tickets[1])
        first._floor.house.holder = tickets[0]
        second._floor.pass_on()
        first._floor.rest(tickets[0], 0.0)
        first.desk.want_to_compute(tickets[0])
        first._floor.pass_on()
        for _ in range(3):
            assert first.desk.rests and second.desk.rests and first._floor.holder is None
            await asyncio.sleep(0)
        had = []
        while len(had) < 2:
            holder = first._floor.holder
            if holder is not None:
                had.append(holder)
                pool = (first, second)[tickets.index(holder)]
                pool._floor.charge(holder, 1_000_000)
                pool.desk.leave(holder)
                pool._floor.release(holder)
            await asyncio.sleep(0)
        assert sorted(map(id, had)) == sorted(map(id, tickets))
        consistent(first), consistent(second)
        first.close(), second.close()

    asyncio.run(main())


@pytest.mark.parametrize("calls", [1, 5])
def test_pools_of_one_loop_have_equal_shares(calls):
    """However many calls each has: the one that has used least is next."""
    used = [0, 0]

    async def main():
        pools = [pool_of(), pool_of()]
        house = [pool._here() and pool._floor.house for pool in pools].pop()
        owners = {}
        for number, count in enumerate((1, calls)):
            tickets = [Ticket(pools[number].desk.line(str(i)), 0, 0.0) for i in range(count)]
            owners |= dict.fromkeys(tickets, number)
            assert all(pools[number].desk.begin_at_once(ticket) for ticket in tickets)
        for ticket, number in owners.items():
            pools[number].desk.want_to_compute(ticket)
            pools[number]._floor.pass_on()
        for _ in range(1000):
            ticket = house.holder
            number = owners[ticket]
            used[number] += 1
            pools[number]._floor.charge(ticket, 1_000_000)
            pools[number].desk.want_to_compute(ticket)
            pools[number]._floor.release(ticket)
        house.holder = None
        for ticket, number in owners.items():
            pools[number].desk.withdraw(ticket, 0.0)
            pools[number].desk.leave(ticket)
        for pool in pools:
            pool.close()

    asyncio.run(main())
    assert abs(used[0] - used[1]) <= 2


def test_a_pool_that_comes_back_has_a_small_claim_only():
    """It wanted nothing while the other ran."""
    pools = [pool_of(), pool_of()]

    async def main():
        for pool in pools:
            pool._here()
        house, (busy, idle) = pools[0]._floor.house, (pool._floor for pool in pools)
        ticket = Ticket(pools[0].desk.line("a"), 0, 0.0)
        assert pools[0].desk.begin_at_once(ticket)
        for _ in range(10):
            pools[0].desk.want_to_compute(ticket)
            busy.pass_on()
            busy.charge(ticket, 1_000_000_000)
            busy.release(ticket)
        house.wants(idle)
        # Who is next is seen when a turn is granted: the busy one's last turn was not charged by then.
        assert busy.used_ns - idle.used_ns == 1_000_000_000 + SAVED_NS
        pools[0].desk.leave(ticket)
        for pool in pools:
            pool.close()

    asyncio.run(main())


class Clock:
    """The processor time of a loop's thread, which a test moves."""

    def __init__(self):
        self.ns = 0

    def __call__(self):
        return self.ns


async def resting(turn):
    """Two pools of this loop and their clock; a guest of the first has computed for so many seconds, and rests."""
    clock = Clock()
    first, second = pools = [pool_of(cpu_clock=clock) for _ in range(2)]
    for pool in pools:
        pool._here()
    slow = Ticket(first.desk.line("eve"), 0, 0.0)
    assert first.desk.begin_at_once(slow)
    first._floor.house.holder = slow
    first._floor.rest(slow, turn)
    first.desk.want_to_compute(slow)
    first._floor.pass_on()
    assert first._floor.holder is None
    return clock, first, second, slow


def end(pools, tickets):
    """Their slots are free, and the pools closed."""
    pools[0]._floor.house.holder = None
    for pool, ticket in zip(pools, tickets, strict=False):
        pool.desk.withdraw(ticket, 0.0)
        pool.desk.leave(ticket)
        consistent(pool)
    for pool in pools:
        pool.close()


def test_a_pool_that_comes_in_the_middle_of_a_rest_rests_with_the_others():
    """What it computes would be no less in the loop's way; and it does not rest on when the others go on."""

    async def main():
        _, first, second, slow = await resting(0.0)
        late = Ticket(second.desk.line("ann"), 0, 0.0)
        assert second.desk.begin_at_once(late)
        second.desk.want_to_compute(late)
        second._floor.pass_on()
        for _ in range(3):
            assert second.desk.rests and second._floor.holder is None
            await asyncio.sleep(0)
        while first._floor.holder is None:
            await asyncio.sleep(0)
        assert not second.desk.rests
        end((first, second), (slow, late))

    asyncio.run(main())


def test_a_pool_that_left_during_a_rest_does_not_rest_when_it_comes_back():
    """It wanted nothing when the rest ended, so it was not told."""

    async def main():
        _, first, second, slow = await resting(0.0)
        gone = Ticket(second.desk.line("ann"), 0, 0.0)
        assert second.desk.begin_at_once(gone)
        second.desk.want_to_compute(gone)
        second._floor.pass_on()
        second.desk.withdraw(gone, 0.0)
        second._floor.pass_on()
        while first._floor.holder is None:
            await asyncio.sleep(0)
        assert second.desk.rests
        second.desk.want_to_compute(gone)
        second._floor.pass_on()
        assert not second.desk.rests
        first._floor.house.holder = None
        first.desk.withdraw(slow, 0.0)
        second._floor.pass_on()
        assert first._floor.holder is gone
        end((first, second), (slow, gone))

    asyncio.run(main())


def test_what_guests_take_during_a_rest_is_not_the_loops_share():
    """Of 5 ms that the loop is owed it has 0.2 ms in each round, whatever guests of another pool have meanwhile."""

    async def main():
        clock, first, second, slow = await resting(0.005)
        quick = Ticket(second.desk.line("ann"), 0, 0.0)
        assert second.desk.begin_at_once(quick)
        rounds = 0
        while first.desk.rests:
            clock.ns += 200_000 + 10_000_000
            second._floor.charge(quick, 10_000_000)
            await asyncio.sleep(0)
            rounds += 1
        assert 24 <= rounds <= 27
        assert first._floor.house.cpu_ns == rounds * 10_000_000
        end((first, second), (slow, quick))

    asyncio.run(main())


# ---- bulk operations ----

FILL = """(module (import "h" "tick" (func $tick)) (memory (export "memory") 512)
  (func (export "fill") (call $tick) (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x2000000))))"""


def test_what_is_left_of_a_bulk_operation_is_done_in_turns_of_the_guest():
    """It is paid for, and no part of it is done while somebody else has the turn."""
    engine, ticks = Engine(), iter(range(0, 10**12, 3_000_000))
    stores = []

    def make(store):
        stores.append(store)
        linker = Linker(engine)
        linker.define("h", "tick", lambda: tick_of(store))
        return linker.instantiate(store, module)

    def tick_of(store):
        pending, limit = (store.address + layout.EXEC.offset(name) for name in ("pending", "poll_limit"))
        ctypes.c_uint32.from_address(pending).value |= layout.PENDING_BITS["tick"]
        ctypes.c_uint64.from_address(limit).value = 0xFFFFFFFFFFFFFFFF

    def done(instance):
        memory = memoryview(instance.exports.memory)
        return sum(memory[at] for at in range(0, 512 << 16, 1 << 20)) // 7

    module = Module(FILL, engine)

    async def main():
        async with Pool(make, engine=engine, cpu_clock=lambda: next(ticks)) as pool, pool.instance() as guest:
            call = asyncio.create_task(guest.call("fill"))
            while not pool.desk.slow:
                assert not call.done()
                await asyncio.sleep(0)
            pool._floor.house.holder = held = Ticket(pool.desk.line("x"), 0, 0.0)
            before = done(guest)
            for _ in range(20):
                await asyncio.sleep(0)
            assert done(guest) == before < 32 and not call.done()
            pool._floor.release(held)
            await call
            assert done(guest) == 32
            assert pool.metrics().cpu_seconds >= 7 * 0.003

    asyncio.run(main())
