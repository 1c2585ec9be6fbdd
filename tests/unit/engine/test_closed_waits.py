"""Claims about the ends of stores, engines and loops while something waits at a shared memory: who waits is not lost,
and what it would have been told goes to the next one."""

import asyncio
import gc
import random
import threading
import weakref
from functools import partial

import pytest

from stratavm import Closed, Engine, Interrupted, Linker, Module, SharedMemory, Store, StoreBusy, load
from tests.alarms import alarm
from tests.shared import TIERS, Threads, guest, until
from tests.unit.engine.test_shared_waits import waiting

NATIVE = TIERS[1:]


@pytest.fixture(params=TIERS)
def engine(request):
    """One of each tier."""
    return Engine(tier=request.param)


@pytest.fixture
def memory(engine):
    """Of that engine."""
    return SharedMemory(engine, 1, 100)


def with_statement(g):
    """The end of a block, in another thread than that of the call."""
    with g.store:
        pass


def host_function(g):
    """By a host function that a guest of another store calls."""
    load('(module (import "h" "close" (func)) (start 0))', {"h": {"close": g.store.close}})


@pytest.mark.parametrize("way", [lambda g: g.store.close(), with_statement, host_function])
def test_whoever_closes_it_it_is_busy(engine, memory, way):
    """Nothing has changed for who waits, who is told afterwards; then it can be closed."""
    g = guest(engine, memory)
    threads = Threads(partial(g.exports.wait, 0, 0, -1))
    until(lambda: memory.waiters == 1)
    for _ in range(3):
        with pytest.raises(StoreBusy, match="while a call is inside"):
            way(g)
    assert memory.waiters == 1 and g.store.busy and not g.store.closed
    assert memory.notify(0) == 1 and threads.join() == [0]
    way(g)
    with pytest.raises(Closed):
        g.exports.load(0)


@pytest.mark.trace_slow  # what a handler raises may be raised where the tracer asks Python something, which forgets it
def test_its_own_thread_does_not_close_it_either(engine, memory):
    """In a signal's handler, while it waits: the error ends the wait, as any that a handler raises."""
    g = guest(engine, memory)

    def close():
        if memory.waiters:  # else it rang before the wait began: it rings again
            g.store.close()

    with pytest.raises(StoreBusy, match="while a call is inside"), alarm(0.05, 0.05, act=close):
        g.exports.wait(0, 0, -1)
    assert memory.waiters == 0 and not g.store.busy
    g.store.close()


def test_an_engine_that_is_closed_ends_no_wait(engine, memory):
    """What it made lives on: the guest is told, and goes on."""
    g = guest(engine, memory)
    threads = Threads(partial(g.exports.wait, 0, 0, -1))
    until(lambda: memory.waiters == 1)
    engine.close()
    assert memory.waiters == 1 and memory.notify(0) == 1 and threads.join() == [0]
    assert g.exports.wait(0, 0, 1000) == 2
    g.store.close()


def test_the_maker_of_the_memory_may_be_closed(engine):
    """Others wait at it, and in vain for nobody."""
    maker = Store(engine)
    made = Linker(engine).instantiate(maker, Module('(module (memory (export "m") 1 2 shared))', engine=engine))
    memory = made.exports.m
    g = guest_of(engine, memory)
    threads = Threads(partial(g.exports.wait, 0, 0, -1))
    until(lambda: memory.waiters == 1)
    maker.close()
    assert memory.waiters == 1 and memory.notify(0) == 1 and threads.join() == [0]


def guest_of(engine, memory):
    """A guest that takes a memory of two pages at most."""
    text = """(module (import "m" "memory" (memory 1 2 shared)) (func (export "wait") (param i32 i32 i64) (result i32)
        (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2))))"""
    linker = Linker(engine)
    linker.define("m", "memory", memory)
    return linker.instantiate(Store(engine), Module(text, engine=engine))


def test_a_store_that_nobody_has_lives_as_long_as_the_wait(engine, memory):
    """The call holds it; when that has ended it goes."""
    threads, gone = begin_and_forget(engine, memory)
    until(lambda: memory.waiters == 1)
    gc.collect()
    assert gone() is not None
    assert memory.notify(0) == 1 and threads.join() == [0]
    del threads
    until(lambda: gc.collect() is not None and gone() is None)


def begin_and_forget(engine, memory):
    """A thread that waits in a store of which only it knows, and a weak reference to that store."""
    g = guest(engine, memory)
    return Threads(partial(g.exports.wait, 0, 0, -1)), weakref.ref(g.store)


def test_a_store_can_be_closed_as_soon_as_an_interrupt_has_ended_the_wait(engine, memory):
    """And not before: whichever of the three comes first."""
    for _ in range(20):
        g = guest(engine, memory)
        threads = Threads(partial(g.exports.wait, 0, 0, -1))
        until(lambda: memory.waiters == 1)
        assert g.store.interrupt()
        until(partial(closes, g.store))
        [ended] = threads.join()
        assert isinstance(ended, Interrupted) and g.store.closed and memory.waiters == 0


def closes(store):
    """Whether it could be closed."""
    try:
        store.close()
    except StoreBusy:
        return False
    return True


@pytest.mark.parametrize("tier", NATIVE)
def test_closing_wakes_who_waits_on_a_loop_from_any_thread(tier):
    """Each of many ends with Closed, and the notification goes to one that is still open."""
    engine = Engine(tier=tier)
    memory = SharedMemory(engine, 1, 100)

    async def main():
        guests = [guest(engine, memory) for _ in range(6)]
        calls = [asyncio.create_task(g.exports.wait.call_async(0, 0, -1)) for g in guests]
        await waiting(memory, 6)
        for g in guests[:2]:
            g.store.close()
        closing = [threading.Thread(target=g.store.close) for g in guests[2:5]]
        for thread in closing:
            thread.start()
        ended = await asyncio.gather(*calls[:5], return_exceptions=True)
        assert [type(error) for error in ended] == [Closed] * 5
        for thread in closing:
            thread.join()
        assert memory.waiters == 1 and memory.notify(0, 9) == 1
        assert await asyncio.wait_for(calls[5], 60) == 0

    asyncio.run(main())


@pytest.mark.parametrize("seed", range(3))
def test_storms_of_cancellations_lose_no_notification(seed):
    """Some of those who are woken are cancelled before they hear of it: as many as were notified go on, or are left in
    the queue where somebody else was to be told."""
    engine = Engine(tier="jit1")
    memory = SharedMemory(engine, 1, 100)
    draw = random.Random(seed)
    told, sent = [], []

    async def one(g):
        assert await g.exports.wait.call_async(0, 0, -1) == 0
        told.append(g)

    async def main():
        for _ in range(25):
            tasks = [asyncio.ensure_future(one(guest(engine, memory))) for _ in range(12)]
            await waiting(memory, 12)
            sent.append(memory.notify(0, draw.randrange(1, 6)))
            cancelled = draw.sample(tasks, 4)
            for task in cancelled:
                if draw.random() < 0.5:
                    await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(*cancelled, return_exceptions=True)
            before = sum(sent)
            await until_told(before, told)
            left = memory.waiters
            assert left == len([task for task in tasks if not task.done()])
            sent.append(memory.notify(0))
            assert sent[-1] == left
            await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
            assert memory.waiters == 0 and len(told) == sum(sent)

    asyncio.run(main())


async def until_told(count, told):
    """As many as were notified have heard of it."""
    for _ in range(20_000):
        if len(told) >= count:
            return
        await asyncio.sleep(0.0005)
    raise AssertionError(f"{len(told)} of {count} notifications have come to somebody")
