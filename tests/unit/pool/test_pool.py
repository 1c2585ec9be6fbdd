"""The pool in an event loop: calls, instances, rejections, draining, cancelling at every point; no clock is read."""

import asyncio
import gc
import weakref
from types import SimpleNamespace

import pytest

import stratavm
from stratavm import (
    Closed,
    DeadlineExceeded,
    Engine,
    Interrupted,
    Linker,
    Module,
    Policy,
    Pool,
    Rejected,
    ResourceLimit,
    StoreLimits,
    StrataError,
    Tenant,
    Trap,
)
from stratavm.pool.desk import SHORT_TICKS, Ticket
from stratavm.pool.nursery import keeps_nothing
from stratavm.pool.seat import Seat
from stratavm.runtime.stacks import stack_status
from stratavm.testing import run_seeded

SOURCE = """(module
  (import "e" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "call") (param i32) (result i32)
    (i32.store (i32.const 0) (i32.const 1)) (i32.add (call $f (local.get 0)) (i32.const 1)))
  (func (export "calls") (param i32)
    (loop (drop (call $f (local.get 0))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "count") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (i32.load (i32.const 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "trap") unreachable)
  (func (export "spin") (loop (br 0))))"""
PURE = """(module (import "e" "f" (func (param i32) (result i32))) (global i32 (i32.const 3))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "spin") (loop (br 0))) (func (export "trap") unreachable))"""
STEADY = Policy(min_running=2, max_running=2, spare=0)
"""Two at once, whatever was seen."""


async def nap(x):
    """A host function that waits for two turns of the loop."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return x


def pre_of(f=nap, source=SOURCE, engine=None):
    """A module with its host function."""
    engine = engine or Engine()
    linker = Linker(engine)
    linker.define("e", "f", f)
    return linker.instantiate_pre(Module(source, engine))


def pool_of(f=nap, source=SOURCE, **options):
    """A pool of such instances. Its processor clock stands still unless the test moves it."""
    options.setdefault("cpu_clock", lambda: 0)
    return Pool(pre_of(f, source), **options)


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Every stack of a fiber comes back."""
    before = stack_status()["taken"]
    yield
    gc.collect()
    assert stack_status()["taken"] == before


def consistent(pool):
    """A pool in which nothing happens counts nothing, and grants nobody a turn."""
    figures = pool.metrics()
    assert pool.is_at_rest and not figures.outside and pool._floor.holder is None and not pool._guests
    assert figures.made == figures.discarded + figures.ready
    assert figures.ready <= max(1, pool.policy.max_ready)
    return figures


# ---- calls ----


def test_calls_run_on_instances_of_their_own():
    """Nothing of one is seen by the next, whether they come one by one or at once."""

    async def main():
        async with pool_of() as pool:
            assert await pool.call("add", 1, 2) == 3
            assert [await pool.call("count") for _ in range(3)] == [1, 1, 1]
            assert await asyncio.gather(*(pool.call("count") for _ in range(50))) == [1] * 50
            assert await asyncio.gather(*(pool.call("call", i) for i in range(200))) == list(range(1, 201))
            assert consistent(pool).completed == 254

    asyncio.run(main())


def test_an_instance_is_lent_for_several_calls():
    """Its state stays; it is gone afterwards, and says so."""

    async def main():
        async with pool_of() as pool:
            async with pool.instance(tenant="a") as guest:
                assert [await guest.call("count") for _ in range(3)] == [1, 2, 3]
                assert guest.exports.memory.read(0, 1) == b"\3" and guest.tenant == "a"
                assert await pool.call("count") == 1
            with pytest.raises(Closed, match="given back"):
                await guest.call("count")
            consistent(pool)

    asyncio.run(main())


def test_two_calls_of_one_guest_at_once_are_refused():
    """They come one after another."""

    async def main():
        async with pool_of() as pool, pool.instance() as guest:
            first = asyncio.create_task(guest.call("call", 1))
            await asyncio.sleep(0)
            with pytest.raises(StrataError, match="one after another"):
                await guest.call("count")
            assert await first == 2

    asyncio.run(main())


def test_what_guests_and_callers_do_wrong_comes_out():
    """Traps, exceptions of host functions, names that there are not; and the pool goes on."""

    async def fails(x):
        raise KeyError(x)

    async def main():
        async with pool_of(fails) as pool:
            with pytest.raises(Trap, match="unreachable"):
                await pool.call("trap")
            with pytest.raises(KeyError):
                await pool.call("call", 1)
            with pytest.raises(AttributeError, match="did you mean 'spin'"):
                await pool.call("spine")
            with pytest.raises(AttributeError, match="memory"):
                await pool.call("memory")
            with pytest.raises(TypeError):
                await pool.call("add", 1)
            assert await pool.call("add", 1, 2) == 3
            figures = consistent(pool)
            assert (figures.completed, figures.failed, figures.cancelled) == (1, 5, 0)

    asyncio.run(main())


def test_a_guest_that_never_ends_is_ended_by_its_time_and_keeps_nobody_waiting():
    """Others have their turns meanwhile; the time counts from the arrival."""

    async def main():
        async with pool_of() as pool:
            spins = [asyncio.create_task(pool.call("spin", tenant="bad", timeout=0.2)) for _ in range(3)]
            for i in range(5):
                assert await pool.call("call", i, tenant="good") == i + 1
            found = await asyncio.gather(*spins, return_exceptions=True)
            assert all(isinstance(error, (DeadlineExceeded, Rejected)) for error in found)
            assert any(isinstance(error, DeadlineExceeded) for error in found)
            consistent(pool)

    asyncio.run(main())


def test_behind_a_tick_the_loop_goes_round_before_guests_that_compute_go_on():
    """Four times: what was to be read is a call by then, and has its turn first."""

    async def main():
        async with pool_of() as pool:
            ticket = Ticket(pool.desk.line("eve"), 0, 0.0)
            assert pool.desk.begin_at_once(ticket)
            pool._floor.house.holder = ticket
            pool._floor.rest(ticket, 0.0)
            pool.desk.want_to_compute(ticket)
            pool._floor.pass_on()
            for _ in range(3):
                assert pool._floor.holder is None
                assert await pool.call("add", 1, 2) == 3
                await asyncio.sleep(0)
            while pool._floor.holder is None:
                await asyncio.sleep(0)
            pool._floor.house.holder = None
            pool.desk.leave(ticket)
            consistent(pool)

    asyncio.run(main())


def test_a_short_call_keeps_its_turn_behind_a_tick_and_the_loop_goes_round_once():
    """Nobody rests for it; one that goes on for long does rest."""

    async def main():
        pool = pool_of()
        pool._here()
        ticket = Ticket(pool.desk.line("ann"), 0, 0.0)
        assert pool.desk.begin_at_once(ticket)
        pool._floor.house.holder = ticket
        seat, call = Seat(pool._floor, ticket), SimpleNamespace(seconds_left=None)
        seat.begin()
        for _ in range(SHORT_TICKS):
            tick = asyncio.create_task(seat._others_first(call))
            await asyncio.sleep(0)
            assert pool._floor.holder is ticket and not tick.done() and not pool.desk.rests
            await tick
            assert seat.holds
        tick = asyncio.create_task(seat._others_first(call))
        await asyncio.sleep(0)
        assert pool._floor.holder is None and pool.desk.rests
        await tick
        seat.end()
        pool.desk.leave(ticket)
        consistent(pool)
        pool.close()

    asyncio.run(main())


def test_a_single_guest_that_never_ends_lets_the_loop_run():
    """Also where nobody else wants a turn when a tick ends its own."""

    async def main():
        async with pool_of() as pool:
            spin = asyncio.create_task(pool.call("spin"))
            for i in range(3):
                await asyncio.sleep(0)
                assert await pool.call("call", i) == i + 1
            spin.cancel()
            await asyncio.wait([spin])
            consistent(pool)

    asyncio.run(main())


def test_a_guest_whose_time_is_over_while_it_waits_for_a_turn_does_not_run_again():
    """Its deadline is looked at when its turn comes: nothing else would, since it waits for nobody."""

    async def main():
        async with pool_of() as pool, pool.instance() as guest:
            waits = asyncio.create_task(guest.call("call", 1))
            with guest.store.deadline(0.03):
                await asyncio.sleep(0)
                pool._floor.house.holder = held = Ticket(pool.desk.line("x"), 0, 0.0)  # somebody has the turn for long
                await asyncio.sleep(0.06)
                pool._floor.release(held)
                with pytest.raises(DeadlineExceeded):
                    await waits

    asyncio.run(main())


def test_a_turn_that_was_granted_to_a_call_that_is_cancelled_goes_to_the_next():
    """Though its guest is kept: the block goes on."""

    async def main():
        async with pool_of(policy=Policy(interval=3600)) as pool, pool.instance() as guest:
            pool._floor.house.holder = held = Ticket(pool.desk.line("x"), 0, 0.0)
            first = asyncio.create_task(guest.call("add", 1, 2))
            await asyncio.sleep(0)
            second = asyncio.create_task(pool.call("add", 3, 4))
            await asyncio.sleep(0)
            pool._floor.release(held)
            first.cancel()
            async with asyncio.timeout(10):
                assert await second == 7
            assert first.cancelled()

    asyncio.run(main())


def test_a_call_that_is_cancelled_when_its_first_turn_was_granted_gives_its_slot_back():
    """It had both, and never learnt of them. The pool is not drained: that would wait for ever for a lost slot."""

    async def main():
        pool = pool_of(policy=Policy(min_running=1, max_running=1, spare=0, interval=3600))
        pool._here()
        pool._floor.house.holder = held = Ticket(pool.desk.line("x"), 0, 0.0)
        first = asyncio.create_task(pool.call("add", 1, 2))
        await asyncio.sleep(0)
        pool._floor.release(held)
        assert pool.desk.running == 1
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled() and pool.desk.running == 0
        assert await pool.call("add", 3, 4) == 7
        consistent(pool)
        pool.close()

    asyncio.run(main())


# ---- who may come in ----


def test_calls_wait_for_a_slot_and_come_by_priority():
    """One runs, the others in the order of their numbers."""
    order = []

    async def main():
        gate = asyncio.get_running_loop().create_future()

        async def f(x):
            order.append(x)
            await gate
            return x

        async with pool_of(f, policy=Policy(min_running=1, max_running=1, spare=0)) as pool:
            first = asyncio.create_task(pool.call("call", 0))
            await asyncio.sleep(0)
            rest = [asyncio.create_task(pool.call("call", 10 + i, priority=i)) for i in range(4)]
            await asyncio.sleep(0)
            assert (pool.metrics().running, pool.metrics().queued) == (1, 4)
            gate.set_result(None)
            await asyncio.gather(first, *rest)
            assert order == [0, 13, 12, 11, 10]

    asyncio.run(main())


def test_a_full_queue_rejects_with_a_reason_where_calls_are_shed():
    """And counts it; who may wait waits."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        policy = Policy(min_running=1, max_running=1, spare=0, max_queued=2, overload="shed")
        async with pool_of(lambda x: gate, policy=policy) as pool:
            tasks = [asyncio.create_task(pool.call("call", i, tenant="t")) for i in range(5)]
            await asyncio.sleep(0)
            gate.set_result(7)
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert found[:3] == [8, 8, 8]
            assert [(e.reason, e.tenant) for e in found[3:]] == [("full", "t")] * 2
            assert consistent(pool).rejected["full"] == 2

    asyncio.run(main())


def test_where_callers_wait_a_full_queue_holds_them_up():
    """Back-pressure: all are made in the end, and the queue stays bounded."""

    async def main():
        policy = Policy(min_running=1, max_running=1, spare=0, max_queued=3)
        async with pool_of(policy=policy) as pool:
            tasks = [asyncio.create_task(pool.call("call", i)) for i in range(40)]
            most = 0
            while not all(task.done() for task in tasks):
                most = max(most, pool.metrics().queued)
                await asyncio.sleep(0)
            assert most == 3 and [task.result() for task in tasks] == list(range(1, 41))
            assert consistent(pool).wait_seconds["room"] > 0

    asyncio.run(main())


@pytest.mark.parametrize("policy", [STEADY, Policy(min_running=1, max_running=1, spare=0, max_queued=1)])
def test_a_call_whose_time_is_over_before_its_turn_is_rejected(policy):
    """In the queue and outside of it; no guest code ran."""
    ran = []

    async def main():
        gate = asyncio.get_running_loop().create_future()
        async with pool_of(lambda x: ran.append(x) or gate, policy=policy) as pool:
            tasks = [asyncio.create_task(pool.call("call", i)) for i in range(2)]
            await asyncio.sleep(0)
            late = [asyncio.create_task(pool.call("call", 9, tenant="b", timeout=0.001)) for _ in range(2)]
            for error in await asyncio.gather(*late, return_exceptions=True):
                assert isinstance(error, Rejected) and error.reason == "timeout"
            gate.set_result(0)
            await asyncio.gather(*tasks)
            assert 9 not in ran and consistent(pool).rejected["timeout"] == 2

    asyncio.run(main())


def test_tenants_have_times_and_limits_of_their_own():
    """The call's own time counts before the tenant's, and that before the policy's."""
    tenants = [Tenant("small", limits=StoreLimits(memory_bytes=1 << 16)), Tenant("quick", timeout=0.05)]

    async def main():
        async with pool_of(tenants=tenants, policy=Policy(min_ready=1, timeout=60)) as pool:
            assert await pool.call("grow", 1) == 1
            assert await pool.call("grow", 1, tenant="small") == -1
            with pytest.raises(DeadlineExceeded):
                await pool.call("spin", tenant="quick")
            consistent(pool)

    asyncio.run(main())


def test_a_module_that_does_not_fit_into_a_store_fails_the_call_only():
    """The error of making an instance comes out of the call that wanted it."""

    async def main():
        async with pool_of(limits=StoreLimits(memory_bytes=100)) as pool:
            for _ in range(3):
                with pytest.raises(ResourceLimit):
                    await pool.call("add", 1, 2)
            assert consistent(pool).failed == 3

    asyncio.run(main())


# ---- instances ----


@pytest.mark.parametrize(
    ("fields", "is_kept"),
    [
        ('(func (export "f"))', True),
        ("(global i64 (i64.const 1))", True),
        ("(memory 1)", False),
        ("(memory 0)", False),
        ("(table 0 funcref)", False),
        ("(global (mut i32) (i32.const 1))", False),
        ("(global externref (ref.null extern))", False),
        ('(import "e" "g" (global i32))', True),
        ('(import "e" "g" (global (mut i32)))', False),
        ('(import "e" "m" (memory 1))', False),
        ('(import "e" "t" (table 1 funcref))', False),
        ("(func $f) (elem declare func $f)", False),
        ('(data "x")', False),
    ],
)
def test_only_instances_that_can_keep_nothing_are_used_again(fields, is_kept):
    """Whatever can be written to, or dropped, makes each call's instance a new one."""
    assert keeps_nothing(Module(f"(module {fields})").model) is is_kept


def test_an_instance_that_can_keep_nothing_serves_further_calls():
    """Also behind a trap; not where it was abandoned midway."""

    async def main():
        async with pool_of(source=PURE, policy=Policy(interval=3600)) as pool:  # none is made ahead
            for i in range(10):
                assert await pool.call("add", i, 1) == i + 1
                with pytest.raises(Trap):
                    await pool.call("trap")
            assert pool.metrics().made == 1 and pool.metrics().reused == 19
            with pytest.raises(DeadlineExceeded):
                await pool.call("spin", timeout=0.01)
            assert await pool.call("add", 1, 1) == 2
            assert pool.metrics().made == 2
            consistent(pool)

    asyncio.run(main())


def test_instances_are_made_ahead_and_dropped_when_nobody_wants_them():
    """As many as the policy always wants, then those that arrivals call for, then the same again."""

    async def main():
        async with pool_of(policy=Policy(min_ready=2, max_ready=5, interval=0.01)) as pool:
            assert pool.metrics().ready == 2
            await asyncio.gather(*(pool.call("call", i) for i in range(100)))
            while pool._timer is not None:
                await asyncio.sleep(0.01)
            assert consistent(pool).ready == 2
        assert pool.metrics().ready == 0

    run_seeded(main, 1)


def test_a_function_can_make_the_instances_with_a_world_beside_each():
    """What it returns beside the instance is lent with it, and closed with it."""
    closed = []

    class World:
        def __init__(self, store):
            self.store = store

        def close(self):
            closed.append(self)

    pre = pre_of()

    def make(store):
        return pre.instantiate(store), World(store)

    async def main():
        async with Pool(make, engine=pre.module.engine) as pool:
            async with pool.instance() as guest:
                assert guest.beside.store is guest.store
            assert closed == [guest.beside]
            assert await pool.call("add", 1, 2) == 3
        assert len(closed) == pool.metrics().made

    asyncio.run(main())


@pytest.mark.parametrize("given", [None, 3, (1, 2, 3)])
def test_what_makes_no_instance_is_refused(given):
    """By name, for each call."""

    async def main():
        async with Pool(lambda store: given) as pool:
            with pytest.raises(TypeError, match="must return an Instance"):
                await pool.call("f")
            consistent(pool)

    asyncio.run(main())


def test_an_instance_of_another_store_is_refused():
    """It would not be closed with the one that the pool made."""
    pre = pre_of()
    other = stratavm.Store(pre.module.engine)

    async def main():
        async with Pool(lambda store: pre.instantiate(other), engine=pre.module.engine) as pool:
            with pytest.raises(ValueError, match="in the store that it is given"):
                await pool.call("add", 1, 2)

    asyncio.run(main())


def test_start_functions_may_wait_for_the_host():
    """Instances of such modules are made beside the loop, and ahead."""
    source = SOURCE.replace(
        '(func (export "trap")', '(func $start (drop (call $f (i32.const 1)))) (start $start) (func (export "trap")'
    )

    async def main():
        async with pool_of(source=source, policy=Policy(min_ready=2)) as pool:
            assert pool.metrics().ready == 2
            assert await asyncio.gather(*(pool.call("add", i, 1) for i in range(10))) == list(range(1, 11))
            await pool.drain()
            consistent(pool)

    asyncio.run(main())


# ---- the end ----


def test_draining_lets_all_end_and_takes_no_more():
    """Those that wait, too."""

    async def main():
        async with pool_of(policy=STEADY) as pool:
            tasks = [asyncio.create_task(pool.call("call", i)) for i in range(20)]
            await asyncio.sleep(0)
            drained = asyncio.create_task(pool.drain())
            await asyncio.sleep(0)
            with pytest.raises(Rejected) as caught:
                await pool.call("add", 1, 2)
            assert caught.value.reason == "draining"
            assert await drained is True
            assert [task.result() for task in tasks] == list(range(1, 21))
            consistent(pool)

    asyncio.run(main())


def test_draining_with_a_time_ends_the_rest():
    """Those that run are interrupted, those that wait rejected; nothing is dropped without an error."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        pool = pool_of(lambda x: gate, policy=STEADY)
        tasks = [asyncio.create_task(pool.call("call", i)) for i in range(3)]
        tasks.append(asyncio.create_task(pool.call("spin")))
        await asyncio.sleep(0)
        assert await pool.drain(timeout=0.01) is False
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in found] == [Interrupted, Interrupted, Rejected, Rejected]
        assert {error.reason for error in found[2:]} == {"closed"}
        with pytest.raises(Rejected, match="closed"):
            await pool.call("add", 1, 2)
        consistent(pool)

    asyncio.run(main())


def test_an_error_in_the_block_ends_what_runs():
    """It does not wait for guests that would never end; and the loop is clean behind it."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        tasks = []
        with pytest.raises(KeyError):
            async with pool_of(lambda x: gate) as pool:
                tasks.append(asyncio.create_task(pool.call("call", 1)))
                await asyncio.sleep(0)
                raise KeyError
        assert isinstance((await asyncio.gather(*tasks, return_exceptions=True))[0], Interrupted)
        consistent(pool)

    asyncio.run(main())


@pytest.mark.parametrize("how", ["error", "drain", "close"])
@pytest.mark.parametrize("inside", [False, True])
def test_blocks_that_wait_for_something_else_end_with_the_pool(how, inside):
    """Nobody would wake them: they are cancelled where they wait, and say why. A call is interrupted first."""
    asked, held, said = [], [], []

    async def hold(pool, gate):
        async with pool.instance() as guest:
            held.append(guest)
            if inside:
                with pytest.raises(Interrupted):
                    await guest.call("call", 1)
                said.append("interrupted")
            await gate

    async def main():
        gate = asyncio.get_running_loop().create_future()
        gates = [asyncio.get_running_loop().create_future() for _ in range(3)]
        pool = pool_of(lambda x: asked.append(x) or gate)
        tasks = []
        with pytest.raises(KeyError):
            async with pool:
                tasks += [asyncio.create_task(hold(pool, one)) for one in gates]
                while len(asked if inside else held) < 3:
                    await asyncio.sleep(0)
                if how == "drain":
                    assert await pool.drain(timeout=0.01) is False
                elif how == "close":
                    pool.close()
                raise KeyError
        for error in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(error, Rejected) and error.reason == "closed"
        assert [task.cancelling() for task in tasks] == [0, 0, 0]
        assert said == ["interrupted"] * 3 * inside
        consistent(pool)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_who_cancels_a_block_beside_the_pool_is_heard():
    """The task is cancelled then, as by ``asyncio.timeout``."""

    async def hold(pool):
        async with pool.instance():
            await asyncio.get_running_loop().create_future()

    async def main():
        async with pool_of() as pool:
            task = asyncio.create_task(hold(pool))
            while not pool._guests:
                await asyncio.sleep(0)
            pool.close()
            task.cancel()
            await asyncio.wait((task,))
            assert task.cancelled()
            consistent(pool)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_an_error_is_not_held_up_by_what_its_own_task_has_not_left():
    """That could not end before the error is out; a pool that is closed from within a block does not cancel it."""

    async def main():
        with pytest.raises(KeyError):
            async with pool_of() as pool:
                block = pool.instance()
                guest = await block.__aenter__()
                raise KeyError
        with pytest.raises(Rejected):
            await guest.call("add", 1, 2)
        await block.__aexit__(None, None, None)
        consistent(pool)
        async with pool_of() as pool, pool.instance() as guest:
            pool.close()
            await asyncio.sleep(0)
        consistent(pool)

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_pool_belongs_to_one_loop():
    """And says so in another one."""
    pool = pool_of()

    async def main():
        return await pool.call("add", 1, 2)

    assert asyncio.run(main()) == 3
    with pytest.raises(StrataError, match="another event loop"):
        asyncio.run(main())


def test_a_pool_that_was_drained_is_garbage():
    """Nothing keeps it, its instances or its engine."""

    async def main():
        async with pool_of() as pool:
            await asyncio.gather(*(pool.call("call", i) for i in range(10)))
        return weakref.ref(pool)

    found = asyncio.run(main())
    gc.collect()
    assert found() is None


def test_a_pool_that_was_drained_needs_no_collector():
    """So what it ran is let go at once: a collection would do that in the middle of somebody else's turn."""

    async def main():
        async with pool_of() as pool:
            await asyncio.gather(*(pool.call("call", i) for i in range(10)))
        found = weakref.ref(pool)
        del pool
        return found()

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(main()) is None
    finally:
        gc.enable()


def test_of_the_instances_that_are_ready_the_newest_is_taken():
    """The others stay as they are: the garbage collector has nothing new to look at."""
    given = []

    async def main():
        async with pool_of(policy=Policy(min_ready=8, interval=3600)) as pool:
            first = set(pool._nursery.ready)
            for _ in range(20):
                async with pool.instance() as guest:
                    given.append(guest._made)
                await asyncio.sleep(0)
            assert len(first & set(pool._nursery.ready)) == 7 and len(first & set(given)) == 1

    asyncio.run(main())


# ---- cancelling ----


async def bursts(pool):
    """Calls of several kinds at once: some wait outside, some in the queue, some for the host, some for a turn."""
    calls = [pool.call("calls", 3, tenant=str(i % 3), priority=i % 2) for i in range(6)]
    found = await asyncio.gather(*calls, pool.call("trap"), return_exceptions=True)
    assert [f for f in found if f is not None and not isinstance(f, (Trap, Rejected))] == []


@pytest.mark.parametrize("overload", ["wait", "shed"])
def test_a_call_cancelled_at_any_step_leaves_the_pool_as_it_was(overload):
    """At each step of the loop in turn, until there are none left to cancel; several seeds each."""
    policy = Policy(min_running=1, max_running=1, spare=1, max_queued=2, overload=overload, interval=1e6)
    cancelled = 0
    for seed in range(3):
        for step in range(200):
            ended = []

            async def main(step=step, ended=ended):
                async with pool_of(policy=policy) as pool:
                    others = asyncio.create_task(bursts(pool))
                    victim = asyncio.create_task(pool.call("calls", 3, tenant="victim"))
                    for _ in range(step):
                        await asyncio.sleep(0)
                    ended.append(victim.done())
                    victim.cancel()
                    await asyncio.wait([victim])
                    await others
                    assert await pool.call("add", 1, 2) == 3
                    await pool.drain()
                    figures = consistent(pool)
                    assert figures.cancelled <= victim.cancelled()  # fewer: cancelled before it began
                    return figures.cancelled

            cancelled += run_seeded(main, seed)
            if ended == [True]:
                break
        else:
            raise AssertionError("the call never ends")
    assert cancelled > 10


def test_cancelling_the_block_of_an_instance_gives_it_back():
    """While its guest waits for the host."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        async with pool_of(lambda x: gate) as pool:

            async def session():
                async with pool.instance() as guest:
                    await guest.call("call", 1)

            task = asyncio.create_task(session())
            await asyncio.sleep(0)
            assert pool.metrics().running == 1
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert consistent(pool).cancelled == 1

    asyncio.run(main())


# ---- figures ----


def test_figures_say_what_was_waited_for_and_used():
    """By a clock of the loop that a seed drives, and a processor clock of the test's."""
    ticks = iter(range(0, 10**9, 1000))

    async def slow(x):
        await asyncio.sleep(2)
        return x

    async def main():
        pool = pool_of(
            slow, policy=Policy(min_running=1, max_running=1, spare=0, interval=100), cpu_clock=lambda: next(ticks)
        )
        await asyncio.gather(*(pool.call("call", i, tenant="ab"[i]) for i in range(2)))
        figures = pool.metrics()
        assert figures.wait_seconds["host"] == 4 and figures.wait_seconds["queue"] == 2
        assert figures.busy_seconds == 4 and figures.capacity_seconds >= 4
        assert min(figures.tenants["a"].cpu_seconds, figures.tenants["b"].cpu_seconds) > 0  # ticks read the clock, too
        assert figures.cpu_seconds == sum(t.cpu_seconds for t in figures.tenants.values())
        pool.close()
        assert "closed" in repr(pool)

    run_seeded(main, 0)


# ---- making instances under limits ----

ENDLESS = """(module (import "e" "f" (func (param i32) (result i32)))
  (func $s (loop (br 0))) (func (export "add")) (start $s))"""


def hangs(store):
    """A maker that never comes back, but to who cancels it."""
    return asyncio.get_running_loop().create_future()


async def hanging(store):
    """The same, as the pool knows it."""
    await hangs(store)


def pools_that_make_nothing():
    """Instances whose start function does not end, and whose maker does not."""
    return pool_of(source=ENDLESS), Pool(hanging, engine=Engine())


@pytest.mark.parametrize("which", [0, 1], ids=["start", "maker"])
def test_making_an_instance_is_part_of_a_calls_time(which):
    """And its slot is free afterwards."""

    async def main():
        pool = pools_that_make_nothing()[which]
        with pytest.raises(DeadlineExceeded):
            await pool.call("add", timeout=0.02)
        assert await pool.drain()
        assert consistent(pool).failed == 1

    asyncio.run(main())


@pytest.mark.parametrize("which", [0, 1], ids=["start", "maker"])
@pytest.mark.parametrize("way", ["close", "drain"])
def test_instances_in_the_making_end_with_the_pool(which, way):
    """Whoever waits for one is told why."""

    async def main():
        pool = pools_that_make_nothing()[which]
        call = asyncio.create_task(pool.call("add"))
        while not pool._nursery._limits_of_made:
            await asyncio.sleep(0)
        if way == "close":
            pool.close()
        else:
            assert not await pool.drain(timeout=0.01)
        with pytest.raises(Rejected, match="closed"):
            await call
        consistent(pool)

    asyncio.run(main())


def test_a_maker_that_computes_for_ever_holds_up_threads_until_their_time_is_over():
    """``Pool.map`` has no loop that could end it."""
    engine = Engine()
    module = Module('(module (func (export "spin") (loop (br 0))))', engine)

    def make(store):
        instance = Linker(engine).instantiate(store, module)
        instance.exports.spin()

    with pytest.raises(DeadlineExceeded):
        list(Pool(make, engine=engine).map("spin", [()], timeout=0.02))


def test_instances_made_ahead_are_closed_where_one_cannot_be_made():
    """The block was not entered, so nobody else would."""
    engine, stores = Engine(), []
    module = Module("(module)", engine)

    def make(store):
        stores.append(store)
        if len(stores) == 3:
            raise ValueError("no third one")
        return Linker(engine).instantiate(store, module)

    async def main():
        with pytest.raises(ValueError, match="no third"):
            async with Pool(make, engine=engine, policy=Policy(min_ready=5)):
                raise AssertionError
        assert len(stores) == 3 and all(store.closed for store in stores)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"limits": 5}, TypeError, "limits must be StoreLimits or None, got 5"),
        ({"policy": {"max_running": 1}}, TypeError, "policy must be a Policy or None, got {'max_running': 1}"),
        ({"policy": {}}, TypeError, "policy must be a Policy or None, got {}"),
        ({"tenants": ["a"]}, TypeError, "tenants must be an iterable of Tenant, got 'a' in it"),
        ({"tenants": 5}, TypeError, "tenants must be an iterable of Tenant, got 5"),
        ({"tenants": [Tenant("a", limits=5)]}, TypeError, "limits of a Tenant must be StoreLimits or None, got 5"),
        ({"tenants": (Tenant("a"), Tenant("b"), Tenant("a"))}, ValueError, "different names, got two called 'a'"),
    ],
)
def test_a_pool_is_not_made_of_what_it_cannot_use(options, kind, words):
    """Its first call would say so, in other words, or nobody would."""
    with pytest.raises(kind) as caught:
        pool_of(**options)
    assert str(caught.value).startswith("Pool: ") and words in str(caught.value)


def test_an_engine_forgets_pools_that_are_gone():
    """Also where nobody asks for its metrics."""
    engine = Engine()
    pre = pre_of(engine=engine)
    kept = [Pool(pre) for _ in range(3)]
    for _ in range(100):
        Pool(pre)
    gc.collect()
    assert [known() for known in engine.pools] == kept


def test_results_that_end_with_the_call_are_refused():
    """A guest's struct, alone or beside others; within a block it can be read."""
    source = """(module (type $p (struct (field i32))) (memory 1)
      (func (export "one") (result (ref $p)) (struct.new $p (i32.const 5)))
      (func (export "two") (result i32 anyref) (i32.const 1) (struct.new $p (i32.const 6)))
      (func (export "number") (result anyref) (ref.i31 (i32.const 7))))"""
    home = Engine()

    async def main():
        async with Pool(Linker(home).instantiate_pre(Module(source, home))) as pool:
            for name in ("one", "two"):
                with pytest.raises(ValueError, match=f"{name}: the result is a guest's struct"):
                    await pool.call(name)
            assert await pool.call("number") == 7
            async with pool.instance() as guest:
                assert list(await guest.call("one")) == [5]
            assert (pool.metrics().completed, pool.metrics().failed) == (2, 2)

    asyncio.run(main())
