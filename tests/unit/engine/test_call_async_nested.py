"""Calls that host functions make of the guest that waits for them, in tasks of their own, and what nobody awaits."""

import asyncio
import gc
import threading
import warnings

import pytest

from stratavm import Closed, InstancePoisoned, StoreBusy
from stratavm.engine import asynchronous
from tests.unit.engine.async_guests import World, clean, nap, run, stacks_given_back


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


@pytest.mark.parametrize("how", ["wait_for", "task", "timeout"])
def test_a_call_of_the_host_function_may_be_awaited_by_a_task_of_its_own(how):
    """As ``asyncio.wait_for`` does in Python 3.11: who made the call counts, not who awaits it."""

    async def f(x):
        if x == 0:
            return await nap(4)
        call = world.exports.call.call_async(0)
        if how == "wait_for":
            return await asyncio.wait_for(call, 60)
        if how == "task":
            return await asyncio.create_task(call)
        async with asyncio.timeout(60):
            return await call

    async def main():
        assert await world.exports.steps.call_async(3) == 15
        clean(world)
        assert world.exports.add(1, 1) == 2

    world = World(f)
    run(main())


def test_such_a_call_ends_with_its_task():
    """A timeout of it is an error of the host function; the instance that both use is poisoned."""

    async def f(x):
        if x == 0:
            await asyncio.sleep(3600)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(world.exports.call.call_async(0), 0.01)
        return 1

    async def main():
        assert await world.exports.call.call_async(1) == 2
        with pytest.raises(InstancePoisoned):
            world.exports.add(1, 1)
        clean(world)

    world = World(f)
    run(main())


def test_a_call_that_was_made_in_an_earlier_wait_may_not_enter():
    """The guest has gone on meanwhile, and waits for something else."""
    made = []

    async def f(x):
        if x == 2:
            made.append(world.exports.add.call_async(1, 1))
            return 0
        with pytest.raises(StoreBusy):
            await asyncio.create_task(made.pop())
        return 0

    async def main():
        assert await world.exports.steps.call_async(2) == 0

    world = World(f)
    run(main())


def test_another_task_gets_no_way_in_by_a_call_that_begins():
    """While it runs, and after it."""
    refused = []

    async def f(x):
        if x == 0:
            refused.append((await asyncio.gather(other(), return_exceptions=True))[0])
            return 1
        await asyncio.wait_for(world.exports.call.call_async(0), 60)
        refused.append((await asyncio.gather(other(), return_exceptions=True))[0])
        return 1

    async def other():
        return world.exports.add(1, 1)

    async def main():
        assert await world.exports.call.call_async(1) == 2

    world = World(f)
    run(main())
    assert [type(error) for error in refused] == [StoreBusy, StoreBusy]


def test_a_store_whose_host_function_has_called_the_guest_is_not_closed():
    """Not even what waits in it ends."""

    def inner(x):
        with pytest.raises(StoreBusy):
            world.store.close()
        return x

    def f(x):
        return inner(x) if x == 0 else outer(x)

    async def outer(x):
        return world.exports.call(0)

    async def main():
        assert await world.exports.call.call_async(1) == 2

    world = World(f)
    run(main())


def test_a_call_is_given_up_when_what_its_host_function_calls_has_ended():
    """Its task is ended from there: it never goes on, and its instance is poisoned, but the inner call ends first."""

    made, calls = [], []

    def inner(x):
        calls[0].close()
        return x + 1

    def f(x):
        return inner(x) if x == 0 else outer()

    async def outer():
        made.append(asyncio.create_task(world.exports.call.call_async(0)))
        await made[0]

    async def main():
        calls.append(world.exports.call.call_async(1))
        with pytest.raises(RuntimeError, match="already awaited"):
            await asyncio.create_task(calls[0])
        assert await made[0] == 2
        with pytest.raises(InstancePoisoned):
            world.exports.add(1, 1)
        clean(world)

    world = World(f)
    run(main())


def test_a_call_that_is_never_awaited_is_named_as_users_know_it():
    """The warning of Python says what was forgotten."""
    world = World(nap)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        world.exports.add.call_async(1, 1)
        gc.collect()
    assert [str(w.message) for w in caught] == ["coroutine 'Func.call_async' was never awaited"]


@pytest.mark.parametrize("how", ["a synchronous call", "an asynchronous call"])
def test_a_store_that_is_closed_while_it_sees_who_calls_lets_nobody_in(how, monkeypatch):
    """To ask for the running task runs Python, and so other threads: one of them may close the store just then."""
    task, seen = asynchronous.current_task, []

    def closes():
        world.store.close()
        return task()

    async def f(x):
        monkeypatch.setattr(asynchronous, "current_task", closes)
        try:
            seen.append(await world.exports.add.call_async(1, 1) if how[:2] == "an" else world.exports.add(1, 1))
        except Closed:
            seen.append((world.store.busy, world.store.parked))
        finally:
            monkeypatch.undo()

    async def main():
        with pytest.raises(Closed):
            await world.exports.call.call_async(1)
        assert seen == [(False, None)]

    world = World(f)
    run(main())


def test_a_store_is_closed_when_the_thread_of_what_waits_in_it_has_ended():
    """A call, and one that its host function has made; who closes the store takes nothing from that thread."""
    loop, tasks = asyncio.new_event_loop(), []

    async def f(x):
        if x == 0:
            loop.stop()
            await asyncio.sleep(3600)
        return await world.exports.call.call_async(0)

    def runs():
        tasks.append(loop.create_task(world.exports.call.call_async(1)))
        loop.run_forever()

    world = World(f)
    thread = threading.Thread(target=runs)
    thread.start()
    thread.join()
    assert world.store.busy and world.store.parked is not None
    world.store.close()
    assert not world.store.busy and world.store.parked is None
    with pytest.raises(Closed):
        loop.run_until_complete(tasks[0])
    loop.close()
