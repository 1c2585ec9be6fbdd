"""Claims about the gate: one at a time, in order, and nobody waits for himself or for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest

from stratavm.plugins import PluginBusy
from stratavm.plugins.gate import Gate
from tests.unit.plugins.conftest import until, until_async


def test_threads_come_in_the_order_in_which_they_asked():
    """And never two at once."""
    gate, order, threads = Gate("g", 10), [], []
    gate.enter(0)
    for number in range(5):

        def run(number=number):
            gate.enter(60)
            order.append(number)
            gate.leave()

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        until(lambda number=number: gate.waiting == number + 1)
    gate.leave()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    gate.enter(0)


def test_a_thread_does_not_wait_for_itself():
    """It would, for ever."""
    gate = Gate("g", 10)
    gate.enter(0)
    assert gate.is_held_here()
    with pytest.raises(PluginBusy, match="inside a call of its own"):
        gate.enter(60)
    gate.leave()
    assert not gate.is_held_here()


def test_waiting_ends_with_the_time():
    """And the place in the row is gone."""
    gate = Gate("g", 10)
    threading.Thread(target=gate.enter, args=(0,)).start()
    until(lambda: gate._holder is not None)
    with pytest.raises(PluginBusy, match="was not free within"):
        gate.enter(0.01)
    assert gate.waiting == 0


def test_no_more_wait_than_may():
    """Who is too many is told so at once."""
    gate = Gate("g", 0)
    threading.Thread(target=gate.enter, args=(0,)).start()
    until(lambda: gate._holder is not None)
    with pytest.raises(PluginBusy, match="0 calls wait"):
        gate.enter(60)


def test_tasks_and_threads_share_it():
    """In order; a task that is cancelled while it waits is passed over, one whose turn has just come hands it on."""

    async def main():
        gate, order = Gate("g", 10), []
        await gate.enter_async(0)
        with pytest.raises(PluginBusy):  # the loop's thread would wait for a task of its own
            gate.enter(60)
        with pytest.raises(PluginBusy):
            await gate.enter_async(60)

        async def one(number):
            await gate.enter_async(60)
            order.append(number)
            gate.leave()

        tasks = [asyncio.create_task(one(number)) for number in range(3)]
        await asyncio.sleep(0)
        thread = asyncio.create_task(asyncio.to_thread(in_thread, gate, order))
        await until_async(lambda: gate.waiting >= 4)
        tasks[0].cancel()
        await asyncio.sleep(0)
        gate.leave()  # the second task's turn has come
        tasks[1].cancel()  # and it ends before it knows
        await asyncio.gather(*tasks, thread, return_exceptions=True)
        assert order == [2, "thread"]
        await gate.enter_async(0)

    asyncio.run(main())


def in_thread(gate, order):
    """Wait, as a thread does."""
    gate.enter(60)
    order.append("thread")
    gate.leave()


def test_waiting_of_a_task_ends_with_the_time():
    """As of a thread."""

    async def main():
        gate = Gate("g", 10)
        await asyncio.to_thread(gate.enter, 0)
        with pytest.raises(PluginBusy, match="was not free within"):
            await gate.enter_async(0.01)
        assert gate.waiting == 0

    asyncio.run(main())


def test_a_closed_loop_does_not_keep_the_turn():
    """Who waited there waits no more: the turn goes to the next."""

    def closed():
        raise RuntimeError("Event loop is closed")

    gate, woken = Gate("g", 10), threading.Event()
    elsewhere = threading.Thread(target=gate.enter, args=(0,))
    elsewhere.start()
    elsewhere.join()
    owner = gate._holder._replace(thread=-1)
    assert gate._queue(owner, closed) and gate._queue(owner, woken.set)
    gate.leave()
    assert woken.is_set() and gate.waiting == 0 and gate._holder is owner
