"""Calls from asyncio: cancelling the task stops the guest and waits for its end; nothing of it stays behind."""

import asyncio
import contextvars
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stratavm import DeadlineExceeded, InstancePoisoned, Store, Trap, load, to_thread

SOURCE = """(module (import "env" "wait" (func $wait))
  (func (export "spin") (loop (br 0)))
  (func (export "wait") (call $wait))
  (func (export "trap") unreachable)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""


def guest(wait=lambda: None, **options):
    """A store and the exports of an instance in it, compiled: a call that ends before that poisons nothing."""
    store = Store(**options)
    instance = load(SOURCE, {"env": {"wait": wait}}, store=store)
    instance.module.compile_all()
    return store, instance.exports


async def began(store):
    """Wait until a call is inside the store."""
    for _ in range(2000):
        if store.busy:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("no call began")


async def cancelled(task):
    """Cancel a task and see that it ended so, within a generous time."""
    task.cancel()
    (result,) = await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 60)
    assert isinstance(result, asyncio.CancelledError), result


def test_results_and_errors_come_back():
    """As from ``asyncio.to_thread``: values, traps, context variables, keyword arguments."""
    variable = contextvars.ContextVar("variable", default=0)

    async def main():
        store, exports = guest()
        assert await to_thread(store, exports.add, 2, 3) == 5
        with pytest.raises(Trap, match="unreachable"):
            await to_thread(store, exports.trap)
        variable.set(7)
        assert await to_thread(store, lambda *, name: (name, variable.get()), name="x") == ("x", 7)

    asyncio.run(main())


def test_cancelling_the_task_stops_the_guest_and_waits_for_its_end():
    """A loop without end. The instance is poisoned, the store is free."""

    async def main():
        store, exports = guest()
        task = asyncio.create_task(to_thread(store, exports.spin))
        await began(store)
        await cancelled(task)
        assert not store.busy
        with pytest.raises(InstancePoisoned):
            exports.add(1, 2)
        assert load(SOURCE, {"env": {"wait": print}}, store=store).exports.add(1, 2) == 3

    asyncio.run(main())


def test_a_guest_that_is_kept_can_be_called_after_the_cancelling():
    """``on_abort="keep"``; and no interrupt is left over for the next call."""

    async def main():
        store, exports = guest(on_abort="keep")
        for _ in range(20):
            task = asyncio.create_task(to_thread(store, exports.spin))
            await began(store)
            await cancelled(task)
            assert await to_thread(store, exports.add, 1, 2) == 3

    asyncio.run(main())


def test_cancelling_twice_does_not_leave_the_guest_behind():
    """A host function holds the end up; the second cancel comes meanwhile. It is waited for all the same."""
    inside, go_on = threading.Event(), threading.Event()

    def wait():
        inside.set()
        go_on.wait(60)

    async def main():
        store, exports = guest(wait)
        task = asyncio.create_task(to_thread(store, exports.wait))
        assert await asyncio.to_thread(inside.wait, 60)  # the host function has it, which nothing ends
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.03)
            assert store.busy and not task.done()
        go_on.set()
        await cancelled(task)
        assert not store.busy

    asyncio.run(main())


def test_a_call_that_no_thread_had_begun_is_never_made():
    """All threads of the executor are busy: cancelling does not wait for them."""
    go_on, made = threading.Event(), []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        first = loop.run_in_executor(None, go_on.wait, 60)
        store, _ = guest()
        task = asyncio.create_task(to_thread(store, made.append, 1))
        await asyncio.sleep(0.02)
        await cancelled(task)
        assert not first.done()
        go_on.set()
        await first

    asyncio.run(main())
    assert made == []


def test_python_between_guest_calls_is_interrupted_at_the_next_one():
    """A function that calls a guest again and again, most of the time outside of it."""
    calls = []

    async def main():
        store, exports = guest(on_abort="keep")

        def work():
            while True:
                calls.append(exports.add(1, 2))
                time.sleep(0.001)
                if len(calls) > 100_000:
                    raise AssertionError("nobody interrupted it")
                if len(calls) == 5:
                    exports.spin()

        task = asyncio.create_task(to_thread(store, work))
        while len(calls) < 5:
            await asyncio.sleep(0.001)
        await cancelled(task)
        assert not store.busy

    asyncio.run(main())


def test_a_timeout_and_a_deadline_end_the_call():
    """``asyncio.timeout`` cancels; the store's deadline raises in the call itself."""

    async def main():
        store, exports = guest(on_abort="keep")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await to_thread(store, exports.spin)
        with pytest.raises(DeadlineExceeded), store.deadline(0.05):
            await to_thread(store, exports.spin)
        assert not store.busy

    asyncio.run(main())


def test_what_the_function_raised_instead_is_not_reported_as_never_retrieved(caplog):
    """The end of an interrupted call is looked at, so that asyncio does not complain about it."""

    async def main():
        store, exports = guest()
        task = asyncio.create_task(to_thread(store, exports.spin))
        await began(store)
        await cancelled(task)
        del task

    asyncio.run(main())
    assert caplog.records == []


def test_what_is_no_store_is_refused_before_anything_is_called():
    """Nothing could stop the call, were its task cancelled."""
    called = []
    with pytest.raises(TypeError, match="to_thread needs the store whose guests are called, got NoneType"):
        asyncio.run(to_thread(None, called.append, 1))
    assert called == []
