"""What a pool tells of its calls: one beginning, one end for each, in order, whatever becomes of it."""

import asyncio

import pytest

from stratavm import Engine, Interrupted, Linker, Module, Policy, Pool, Rejected, Tenant, Trap
from stratavm.pool import events
from stratavm.pool.desk import Ticket
from stratavm.pool.metrics import TenantMetrics
from stratavm.testing import EventRecorder, run_seeded
from tests.unit.pool.test_pool import consistent, hanging, nap, pre_of

ENDS = (events.CallRejected, events.CallFinished)


def heard(f=nap, **options):
    """A pool and who hears it."""
    options.setdefault("cpu_clock", lambda: 0)
    pool = Pool(pre_of(f), **options)
    return pool, EventRecorder(pool._engine.bus)


def of(recorder, *kinds):
    """Events of pools, or of some kinds of them."""
    ours = [event for event in recorder.events if type(event).__module__ == events.__name__]
    return [event for event in ours if isinstance(event, kinds or object)]


def test_a_call_is_submitted_admitted_started_and_finished():
    """By its number; the source is the pool."""

    async def main():
        pool, recorder = heard(policy=Policy(min_ready=1, interval=3600))
        async with pool:
            assert await pool.call("add", 1, 2, tenant="ann", priority=3) == 3
            with pytest.raises(Trap):
                await pool.call("trap", tenant="eve")
        first, second = ([e for e in of(recorder) if getattr(e, "call", 0) == number] for number in (1, 2))
        assert first[0] == events.CallSubmitted(1, "ann", 3)
        assert isinstance(first[1], events.CallAdmitted) and 0 <= first[1].waited_s < 3600
        assert first[2:] == [events.CallStarted(1, "ann", True), events.CallFinished(1, "ann", "completed", "")]
        assert second[2:] == [events.CallStarted(2, "eve", False), events.CallFinished(2, "eve", "failed", "Trap")]
        assert of(recorder)[-2:] == [events.PoolDrained(True), events.PoolClosed()]
        assert {event.source for event in of(recorder)} == {"pool-1"}

    asyncio.run(main())


def test_how_long_a_call_waited_stands_in_its_admission():
    """By the loop's clock."""

    async def slow(x):
        await asyncio.sleep(2)
        return x

    async def main():
        pool, recorder = heard(slow, policy=Policy(min_running=1, max_running=1, spare=0, interval=100))
        await asyncio.gather(pool.call("call", 0), pool.call("call", 1))
        assert [event.waited_s for event in of(recorder, events.CallAdmitted)] == [0, 2]
        pool.close()

    run_seeded(main, 0)


def test_a_call_that_is_not_made_is_rejected_for_a_reason():
    """In the full queue, by its time, while the pool drains, and when it is closed; no guest of it was started."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        policy = Policy(min_running=1, max_running=1, spare=0, max_queued=1, overload="shed", interval=3600)
        pool, recorder = heard(lambda x: gate, policy=policy)
        runs = asyncio.create_task(pool.call("call", 1))
        await asyncio.sleep(0)
        with pytest.raises(Rejected):
            await pool.call("call", 2, timeout=0.001)
        waits = asyncio.create_task(pool.call("call", 3))
        await asyncio.sleep(0)
        with pytest.raises(Rejected):
            await pool.call("call", 4)
        assert not await pool.drain(timeout=0.001)
        with pytest.raises(Rejected):
            await pool.call("call", 5)
        with pytest.raises(Interrupted):
            await runs
        with pytest.raises(Rejected):
            await waits
        await pool.drain()
        pool.close()
        rejected = [(event.call, event.reason) for event in of(recorder, events.CallRejected)]
        assert sorted(rejected) == [(2, "timeout"), (3, "closed"), (4, "full"), (5, "closed")]
        assert [event.call for event in of(recorder, events.CallStarted)] == [1]
        assert of(recorder, events.CallFinished) == [events.CallFinished(1, "default", "failed", "Interrupted")]
        assert of(recorder, events.PoolDrained, events.PoolClosed) == [events.PoolClosed(), events.PoolDrained(False)]

    asyncio.run(main())


def test_a_pool_tells_how_many_may_run():
    """Where that changes."""

    async def main():
        pool, recorder = heard(policy=Policy(min_running=2, max_running=8, interval=0.01))
        pool._floor.desk.set_limit(2)
        await pool.call("add", 1, 2)
        while not of(recorder, events.PoolResized):
            await asyncio.sleep(0.01)
        assert of(recorder, events.PoolResized)[0] == events.PoolResized(2, 4)
        pool.close()

    run_seeded(main, 0)


@pytest.mark.parametrize("seed", range(30))
def test_every_call_has_one_beginning_and_one_end(seed):
    """Arrivals, cancels and closing at a step of the seed's; and the counts are those of the metrics."""

    async def main():
        policy = Policy(min_running=1, max_running=3, spare=1, max_queued=3, overload=("wait", "shed")[seed % 2])
        pool, recorder = heard(policy=policy)
        tasks = [asyncio.create_task(pool.call("calls", 1 + i % 4, tenant=str(i % 4))) for i in range(20)]
        for i in range(seed * 3):
            await asyncio.sleep(0)
            if i % 7 == 6:
                tasks[i % 20].cancel()
        if seed % 3 == 0:
            pool.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pool.drain()
        pool.close()
        figures = consistent(pool)
        never = sum(task.cancelled() for task in tasks) - figures.cancelled  # cancelled before they began
        assert figures.completed + figures.failed + figures.cancelled + sum(figures.rejected.values()) + never == 20
        submitted = [event.call for event in of(recorder, events.CallSubmitted)]
        ended = [event.call for event in of(recorder, *ENDS)]
        assert submitted == list(range(1, len(submitted) + 1)) and sorted(ended) == submitted
        outcomes = [event.outcome for event in of(recorder, events.CallFinished)]
        counts = (figures.completed, figures.failed, figures.cancelled)
        assert tuple(map(outcomes.count, ("completed", "failed", "cancelled"))) == counts
        assert len(of(recorder, events.CallRejected)) == sum(figures.rejected.values())
        place = {id(event): at for at, event in enumerate(of(recorder))}
        for kinds in ((events.CallSubmitted, events.CallAdmitted), (events.CallAdmitted, events.CallStarted)):
            before, after = ({e.call: place[id(e)] for e in of(recorder, kind)} for kind in kinds)
            assert all(before[call] < at for call, at in after.items())

    run_seeded(main, seed)


def test_a_call_whose_instance_was_in_the_making_when_the_pool_was_closed_is_rejected_only():
    """It did not fail besides."""

    async def main():
        pool = Pool(hanging, engine=Engine())
        recorder = EventRecorder(pool._engine.bus)
        call = asyncio.create_task(pool.call("add"))
        while not pool._nursery._limits_of_made:
            await asyncio.sleep(0)
        pool.close()
        with pytest.raises(Rejected):
            await call
        assert of(recorder, *ENDS) == [events.CallRejected(1, "default", "closed")]
        figures = consistent(pool)
        assert (figures.failed, figures.rejected["closed"]) == (0, 1)

    asyncio.run(main())


@pytest.mark.parametrize("kind", [events.CallAdmitted, events.CallStarted])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_what_a_listener_raises_costs_the_pool_nothing(kind, error):
    """Such an error comes out of the call, and slot, turn and instance go back."""

    async def main():
        pool, _ = heard(policy=Policy(min_running=1, max_running=1, spare=0, interval=3600))

        def fails(event):
            raise error

        with pool._engine.bus.subscribe(kind, fails):
            try:
                await pool.call("add", 1, 2)
            except BaseException as raised:
                assert type(raised) is error
            else:
                raise AssertionError
        assert await pool.call("add", 1, 2) == 3
        consistent(pool)
        pool.close()

    asyncio.run(main())


def test_a_guest_of_a_closed_pool_makes_no_further_calls():
    """Also one that was not inside when it was closed, by a listener or anybody."""

    async def main():
        pool, _ = heard()
        async with pool.instance() as guest:
            assert await guest.call("add", 1, 2) == 3
            pool.close()
            with pytest.raises(Rejected, match="closed"):
                await guest.call("add", 1, 2)
        consistent(pool)
        pool, _ = heard()
        with pool._engine.bus.subscribe(events.CallStarted, lambda _: pool.close()), pytest.raises(Rejected):
            await pool.call("spin")
        consistent(pool)

    asyncio.run(main())


def test_a_call_that_waits_for_its_turn_when_the_pool_is_closed_does_not_begin():
    """It was not inside, where an interrupt would have found it; it would have run for ever."""

    async def main():
        pool, _ = heard()
        async with pool.instance() as guest:
            pool._floor.house.holder = held = Ticket(pool.desk.line("x"), 0, 0.0)
            spin = asyncio.create_task(guest.call("spin"))
            while not pool.desk.turns:
                await asyncio.sleep(0)
            pool.close()
            pool._floor.release(held)
            with pytest.raises(Interrupted):
                await spin
        consistent(pool)

    asyncio.run(main())


def test_a_pool_without_listeners_makes_no_events():
    """It asks first."""
    engine = Engine()
    pool = Pool(Linker(engine).instantiate_pre(Module('(module (func (export "f")))', engine)))
    told = []
    pool._tell = told.append
    asyncio.run(pool.call("f"))
    assert told == []


def test_the_metrics_tell_who_runs_who_waits_and_who_waits_outside():
    """Of the pool and of each tenant; closed instances are no capacity any more."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        policy = Policy(min_running=2, max_running=2, spare=0, max_queued=1, interval=3600)
        pool, _ = heard(lambda x: gate, policy=policy, tenants=[Tenant("ann", weight=2.0)])
        calls = [asyncio.create_task(pool.call("call", i, tenant="ann")) for i in range(5)]
        while pool.metrics().running < 2:  # a tick may have suspended the first one
            await asyncio.sleep(0)
        seen = pool.metrics()
        assert (seen.running, seen.queued, seen.outside) == (2, 1, 2)
        assert seen.tenants == {"ann": TenantMetrics(True, 2, 1, 0.0)}
        assert not pool.desk.is_declared(pool.desk.line("eve")) and not pool.metrics().tenants["eve"].is_declared
        gate.set_result(1)
        await asyncio.gather(*calls)
        pool.close()
        assert pool.counters.capacity.count == pool.counters.busy.count == 0

    asyncio.run(main())


def test_waiting_for_room_is_not_waiting_in_the_queue():
    """By the loop's clock: of three calls of two seconds one runs, one is queued, and one waits outside at first."""

    async def slow(x):
        await asyncio.sleep(2)
        return x

    async def main():
        policy = Policy(min_running=1, max_running=1, spare=0, max_queued=1, interval=100)
        pool, _ = heard(slow, policy=policy)
        await asyncio.gather(*(pool.call("call", i) for i in range(3)))
        assert pool.metrics().wait_seconds == {"room": 2, "queue": 4, "instance": 0, "turn": 0, "host": 6}
        assert pool.metrics().capacity_seconds == pool.metrics().busy_seconds == 6
        pool.close()

    run_seeded(main, 0)
