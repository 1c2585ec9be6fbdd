"""Claims about waiting at shared memories: who is woken, what ends a wait, and what waiting must not hold up."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from stratavm import (
    Closed,
    DeadlineExceeded,
    Engine,
    InstancePoisoned,
    Interrupted,
    Linker,
    Module,
    ResourceLimit,
    SharedMemory,
    Store,
    StoreBusy,
    Trap,
)
from tests.alarms import Enough, alarm
from tests.shared import TIERS, Threads, guest, until

NATIVE = TIERS[1:]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=TIERS)
def engine(request):
    """One of each tier."""
    return Engine(tier=request.param)


@pytest.fixture
def memory(engine):
    """Of that engine."""
    return SharedMemory(engine, 1, 100)


def test_results(engine, memory):
    """Of guests and of Python: another value, too late, woken."""
    exports = guest(engine, memory).exports
    assert exports.wait(8, 1, -1) == 1 and exports.wait(8, 0, 0) == 2 and exports.wait(8, 0, 1_000_000) == 2
    assert exports.wait64(8, 1 << 40, -1) == 1 and exports.wait64(8, 0, 1000) == 2
    assert memory.wait(8, 1) == "not-equal" and memory.wait(8, 0, 0.001) == "timed-out" == memory.wait(8, 0, 0)
    memory.store(8, -1, 8)
    assert memory.wait(8, -1, 0, 8) == "timed-out" and memory.wait(8, (1 << 64) - 1, 0, 8) == "timed-out"
    assert exports.wait64(8, -1, 0) == 2 and exports.wait(8, -1, 0) == 2
    threads = Threads(partial(exports.wait, 16, 0, -1), partial(memory.wait, 16, 0), partial(memory.wait, 16, 0, 30, 8))
    until(lambda: memory.waiters == 3)
    assert exports_notify(engine, memory, 16, -1) == 3 and memory.waiters == 0
    assert threads.join() == [0, "ok", "ok"]
    assert memory.notify(16) == 0


def has_waiters(memory, count):
    """So many wait."""
    return memory.waiters == count


def exports_notify(engine, memory, address, count):
    """By a guest of another store."""
    return guest(engine, memory).exports.notify(address, count)


def test_where_one_can_wait(engine, memory):
    """At multiples of the width inside the memory; the last ones are."""
    exports = guest(engine, memory).exports
    size = 1 << 16
    assert exports.wait(size - 4, 1, -1) == 1 and exports.wait64(size - 8, 1, -1) == 1
    assert exports.notify(size - 4, 1) == 0 == memory.notify(size - 4)
    for call, kind in (
        (partial(exports.wait, size, 0, -1), "memory_out_of_bounds"),
        (partial(exports.wait, -4, 0, -1), "memory_out_of_bounds"),
        (partial(exports.wait64, size - 4, 0, -1), "unaligned_atomic"),
        (partial(exports.wait, 2, 0, -1), "unaligned_atomic"),
        (partial(exports.wait, size + 1, 0, -1), "unaligned_atomic"),
        (partial(exports.notify, size, 1), "memory_out_of_bounds"),
        (partial(exports.notify, 1, 1), "unaligned_atomic"),
        (partial(memory.wait, size, 0), "memory_out_of_bounds"),
        (partial(memory.wait, 4, 0, None, 8), "unaligned_atomic"),
        (partial(memory.notify, 3), "unaligned_atomic"),
        (partial(memory.notify, 1 << 66), "memory_out_of_bounds"),
    ):
        with pytest.raises(Trap) as caught:
            call()
        assert caught.value.kind == kind
    for width in (1, 2, 16):
        with pytest.raises(ValueError, match="width must be 4 or 8 bytes"):
            memory.wait(0, 0, 1, width)
    with pytest.raises(TypeError, match="timeout must be a number of seconds"):
        memory.wait(0, 0, "1")


def test_the_first_comes_first(engine, memory):
    """Notifications go to those who have waited longest, at that address alone; a count may be huge."""
    woken = []
    threads = []
    for number in range(5):
        g = guest(engine, memory)
        threads.append(Threads(lambda g=g, number=number: woken.append((g.exports.wait(32, 0, -1), number))))
        until(partial(has_waiters, memory, number + 1))
    beside = Threads(partial(memory.wait, 36, 0))
    until(lambda: memory.waiters == 6)
    for number in range(3):
        assert memory.notify(32, 1) == 1
        until(lambda many=number + 1: len(woken) == many)
    assert woken == [(0, 0), (0, 1), (0, 2)] and memory.notify(32, 0) == 0
    assert exports_notify(engine, memory, 32, -1) == 2
    for thread in threads:
        thread.join()
    assert memory.waiters == 1 and memory.notify(36, 10**30) == 1 and beside.join() == ["ok"]


def test_a_thousand_waiters(memory):
    """All are woken, each once; more than the memory may have are refused by name."""
    threads = Threads(*[partial(memory.wait, 8 * (i % 50), 0) for i in range(1000)])
    until(lambda: memory.waiters == 1000)
    assert sum(memory.notify(8 * i, 7) for i in range(50)) == 350
    assert sum(memory.notify(8 * i) for i in range(50)) == 650
    assert threads.join() == ["ok"] * 1000 and memory.waiters == 0


def test_waiters_are_limited(engine):
    """By the memory; the error names the limit, of guests as well."""
    memory = SharedMemory(engine, 1, 100, waiters=2)
    threads = Threads(partial(memory.wait, 0, 0), partial(guest(engine, memory).exports.wait, 64, 0, -1))
    until(lambda: memory.waiters == 2)
    g = guest(engine, memory)
    for call in (partial(memory.wait, 0, 0), partial(g.exports.wait, 0, 0, -1)):
        with pytest.raises(ResourceLimit, match="2 threads and asynchronous calls wait") as caught:
            call()
        assert caught.value.limit == "waiters" and caught.value.needed == 3
    assert memory.notify(0) == 1
    assert g.exports.wait(0, 0, 1000) == 2, "there is room again, and the instance is as it was"
    assert memory.notify(64) == 1 and threads.join() == ["ok", 0]


def test_no_notification_is_lost(engine, memory):
    """Ping-pong of two guests without timeouts: one that got lost would hold both up for ever."""
    turns = 300 if engine.config.tier == "oracle" else 20_000
    guests = [guest(engine, memory) for _ in range(2)]
    assert Threads(*[partial(g.exports.ping, i, turns) for i, g in enumerate(guests)]).join() == [None, None]


def test_a_ping_pong_that_loses_a_wake_up_hangs():
    """The test above can fail: one that changes the number and forgets to notify leaves the other one waiting."""
    engine = Engine(tier="jit0")
    memory = SharedMemory(engine, 1, 100)
    threads = Threads(partial(guest(engine, memory).exports.ping, 1, 1))
    until(lambda: memory.waiters == 1)
    memory.store(192, 1)
    with pytest.raises(AssertionError, match="goes on"):
        threads.join(0.3)
    assert memory.waiters == 1 == memory.notify(192) and threads.join() == [None]


def test_spinning_guests_do_not_hold_each_other_up(engine, memory):
    """Two threads that never wait, only look again and again for what the other does: neither needs the GIL."""
    turns = 20 if engine.config.tier == "oracle" else 2_000
    guests = [guest(engine, memory) for _ in range(2)]
    threads = Threads(*[partial(g.exports.spin, i, turns) for i, g in enumerate(guests)])
    while any(t.is_alive() for t in threads.threads):  # Python runs beside them, if they have not ended by then
        time.sleep(0.002)
    assert threads.join() == [None, None]


# ---- what ends a wait ----


def test_an_interrupt_ends_a_wait(engine, memory):
    """Of a guest, or of a host function that it called, and soon; the waiter is gone from its queue."""
    g = guest(engine, memory)
    threads = Threads(partial(g.exports.wait, 0, 0, -1))
    until(lambda: memory.waiters == 1)
    time.sleep(0.05)
    begin = time.monotonic()
    assert g.store.interrupt()
    [error] = threads.join()
    assert type(error) is Interrupted and time.monotonic() - begin < 60
    assert memory.waiters == 0 and memory.notify(0) == 0
    with pytest.raises(InstancePoisoned):
        g.exports.load(0)

    text = '(module (import "h" "f" (func $f)) (func (export "g") (call $f)))'
    linker = Linker(engine)
    linker.define("h", "f", lambda: memory.wait(0, 0) and None)
    host = linker.instantiate(Store(engine), Module(text, engine=engine))
    threads = Threads(host.exports.g)
    until(lambda: memory.waiters == 1)
    host.store.interrupt()
    assert type(threads.join()[0]) is Interrupted and memory.waiters == 0


def test_an_interrupt_of_the_outer_store_ends_a_wait_in_the_inner_one(engine, memory):
    """A guest that a host function of another guest called, and so on."""
    inner = guest(engine, memory)
    text = '(module (import "h" "f" (func $f (result i32))) (func (export "g") (result i32) (call $f)))'
    linker = Linker(engine)
    linker.define("h", "f", lambda: inner.exports.wait(0, 0, -1))
    outer = linker.instantiate(Store(engine), Module(text, engine=engine))
    threads = Threads(outer.exports.g)
    until(lambda: memory.waiters == 1)
    outer.store.interrupt()
    assert type(threads.join()[0]) is Interrupted and memory.waiters == 0


def test_a_deadline_ends_a_wait(engine, memory):
    """When it is over, not before; an earlier end of the wait itself is no deadline."""
    g = guest(engine, memory)
    with g.store.deadline(60):
        assert g.exports.wait(0, 0, 10_000_000) == 2
    begin = time.monotonic()
    with g.store.deadline(0.15), pytest.raises(DeadlineExceeded):
        g.exports.wait(0, 0, -1)
    assert 0.14 < time.monotonic() - begin < 60 and memory.waiters == 0


@pytest.mark.trace_slow  # what a handler raises may be raised where the tracer asks Python something, which forgets it
def test_a_signal_s_handler_runs_while_the_main_thread_waits(engine, memory):
    """Without an end of the wait, or with one where it raises."""
    g = guest(engine, memory)
    seen = []

    def act():
        seen.append(memory.waiters)
        memory.notify(0, 1)

    with alarm(0.05, 0.05, act=act):  # again and again: on a busy machine it begins to wait late
        assert g.exports.wait(0, 0, -1) == 0 and seen[-1] == 1
    seen.clear()
    with alarm(0.05, 0.05, act=lambda: seen.append(0)):
        assert g.exports.wait(0, 0, 300_000_000) == 2 and seen
    with pytest.raises(Enough), alarm(0.05):  # in this order: on a busy machine it rings before the wait begins
        g.exports.wait(0, 0, -1)
    assert memory.waiters == 0
    with pytest.raises(Enough), alarm(0.05):
        memory.wait(0, 0)
    with alarm(0.05, 0.05, act=lambda: memory.notify(0)):
        assert memory.wait(0, 0) == "ok"
    assert memory.waiters == 0


def test_a_handler_may_call_and_wait_itself(engine, memory):
    """A wait inside a wait of the same thread, in the same store."""
    g = guest(engine, memory)
    results = []

    def act():
        if not results:  # else it rang while the first one waits, or before anybody did
            results.append(g.exports.wait(64, 0, 20_000_000))
            results.append(memory.wait(64, 0, 0.02))
        memory.notify(0)

    with alarm(0.05, 0.2, act=act):
        assert g.exports.wait(0, 0, -1) == 0
    assert results == [2, "timed-out"] and memory.waiters == 0


def test_a_store_is_not_closed_under_who_waits(engine, memory):
    """The call is inside; afterwards it is."""
    g = guest(engine, memory)
    threads = Threads(partial(g.exports.wait, 0, 0, -1))
    until(lambda: memory.waiters == 1)
    with pytest.raises(StoreBusy):
        g.store.close()
    with pytest.raises(StoreBusy):
        g.exports.load(0)
    assert memory.notify(0) == 1 and threads.join() == [0]
    g.store.close()


def test_a_notification_goes_to_the_next_where_a_call_ends():
    """Nobody waits in vain since the one who was woken had been interrupted: each turn both may come at once."""
    engine = Engine(tier="jit0")
    memory = SharedMemory(engine, 1, 100)
    for _ in range(200):
        g = guest(engine, memory)
        first = Threads(partial(g.exports.wait, 0, 0, -1))
        until(lambda: memory.waiters == 1)
        second = Threads(partial(memory.wait, 0, 0, 30))
        until(lambda: memory.waiters == 2)
        both = Threads(g.store.interrupt, partial(memory.notify, 0, 1))
        both.join()
        [ended] = first.join()
        if isinstance(ended, Interrupted):
            assert second.join() == ["ok"], "the notification was for one who waits"
        else:
            assert ended == 0 and memory.notify(0) == 1 and second.join() == ["ok"]


def test_the_memory_stays_while_somebody_waits():
    """Though nobody else has it."""
    memory = SharedMemory(Engine(), 1, 1)
    threads = Threads(partial(memory.wait, 0, 0, 0.2))
    [thread] = threads.threads
    until(lambda memory=memory: memory.waiters == 1 or not thread.is_alive())  # or it was over before anybody looked
    del memory
    gc.collect()
    assert threads.join() == ["timed-out"]


def test_a_finaliser_may_notify(engine, memory):
    """In whatever thread the collector runs it."""

    class Notifies:
        def __del__(self):
            memory.notify(0)

    threads = Threads(partial(guest(engine, memory).exports.wait, 0, 0, -1))
    until(lambda: memory.waiters == 1)
    cycle = [Notifies()]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert threads.join() == [0]


def test_a_start_function_may_wait(engine, memory):
    """At instantiation."""
    linker = Linker(engine)
    linker.define("m", "m", memory)
    text = """(module (import "m" "m" (memory 1 100 shared)) (start $s)
      (func $s (i32.store (i32.const 8) (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
        (i32.store (i32.const 12) (i32.const 1))))"""
    threads = Threads(partial(linker.instantiate, Store(engine), Module(text, engine=engine)))
    until(lambda: memory.waiters == 1)
    memory.notify(0)
    threads.join()
    assert memory.load(8) == 0 and memory.load(12) == 1


def test_python_runs_while_guests_wait(engine, memory):
    """They have let go of the GIL; on the main thread, too."""
    g = guest(engine, memory)
    beside = Threads(lambda: (until(lambda: memory.waiters == 1), sum(range(100_000)), memory.notify(0))[-1])
    assert g.exports.wait(0, 0, 20_000_000_000) == 0 and beside.join() == [1]


def test_an_unshared_memory_traps_and_is_not_notified(engine):
    """As before."""
    text = """(module (memory 1) (func (export "w") (result i32)
        (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 0)))
      (func (export "n") (result i32) (memory.atomic.notify (i32.const 0) (i32.const 1))))"""
    exports = Linker(engine).instantiate(Store(engine), Module(text, engine=engine)).exports
    assert exports.n() == 0
    with pytest.raises(Trap) as caught:
        exports.w()
    assert caught.value.kind == "not_shared"


def test_fuel_is_not_used_by_waiting():
    """However long it takes."""
    engine = Engine(fuel=True)
    memory = SharedMemory(engine, 1, 100)
    g = guest(engine, memory, Store(engine, fuel=100))
    assert g.exports.wait(0, 0, 50_000_000) == 2 and g.store.fuel > 80


# ---- the process ----


def prints(code):
    """What a fresh interpreter prints; it must end well, and soon."""
    prelude = """
import os, signal, sys, threading, time, warnings
from functools import partial
from stratavm import *
from tests.shared import guest, until, Threads
engine = Engine(tier="jit0")
memory = SharedMemory(engine, 1, 100)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", prelude + code],
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_an_interpreter_ends_with_threads_that_wait():
    """A hundred daemons, half of them in guests."""
    code = """
threads = Threads(*[partial(guest(engine, memory).exports.wait, 0, 0, -1) for _ in range(50)],
                  *[partial(memory.wait, 0, 0) for _ in range(50)])
until(lambda: memory.waiters == 100)
print(memory.waiters)
"""
    assert prints(code) == ["100"]


def test_a_fork_has_no_waiters_of_the_parent():
    """The child goes on: it waits, notifies and forks again; the parent's threads wait as before."""
    code = """
g = guest(engine, memory)
threads = Threads(*[partial(guest(engine, memory).exports.wait, 0, 0, -1) for _ in range(5)],
                  *[partial(memory.wait, 4 * i, 0) for i in range(5)])
until(lambda: memory.waiters == 10)
for turn in range(20):
    child = os.fork()
    if child == 0:
        ok = memory.waiters == 0 and memory.notify(0) == 0 and g.exports.wait(0, 0, 1000) == 2
        mine = Threads(partial(memory.wait, 0, 0))
        until(lambda: memory.waiters == 1)
        ok = ok and g.exports.notify(0, 9) == 1 and mine.join() == ["ok"]
        memory.store(0, 5)
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
assert memory.load(0) == 0, "what the child writes is its own"
print(memory.waiters, sum(memory.notify(4 * i) for i in range(5)), set(map(str, threads.join())) == {"0", "ok"})
"""
    assert prints(code) == ["10", "10", "True"]


def test_a_fork_while_others_wait_and_notify():
    """Whatever lock is held then, the child does not hang at it."""
    code = """
stop = False
def busy(me):
    while not stop:
        memory.wait(0, 0, 0.0001)
        memory.notify(0)
threads = Threads(*[partial(busy, i) for i in range(4)])
for turn in range(100):
    child = os.fork()
    if child == 0:
        memory.notify(0)
        memory.wait(0, 0, 0)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop = True
threads.join()
print("done")
"""
    assert prints(code) == ["done"]


def test_a_fork_in_a_handler_of_who_waits():
    """In the child the wait goes on, and can be notified there."""
    code = """
def act(*_):
    global child
    if memory.waiters == 0:  # the machine is busy
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return
    child = os.fork()
    if child == 0:
        threading.Thread(target=lambda: (time.sleep(0.1), memory.notify(0)), daemon=True).start()
    else:
        os.waitpid(child, 0)
        memory.notify(0)
signal.signal(signal.SIGALRM, act)
signal.setitimer(signal.ITIMER_REAL, 0.05)
result = guest(engine, memory).exports.wait(0, 0, -1)
if child == 0:
    os._exit(result)
print(result)
"""
    assert prints(code) == ["0"]


def test_ctrl_c_ends_a_wait():
    """In a guest, and in Python, of the main thread."""
    code = """
g = guest(engine, memory)
signal.signal(signal.SIGINT, signal.default_int_handler)
for wait in (partial(g.exports.wait, 0, 0, -1), partial(memory.wait, 0, 0)):
    threading.Thread(target=lambda: (until(lambda: memory.waiters == 1), time.sleep(0.05),
                                     os.kill(os.getpid(), signal.SIGINT))).start()
    try:
        wait()
    except KeyboardInterrupt:
        print("interrupted", memory.waiters)
"""
    assert prints(code) == ["interrupted", "0"] * 2


# ---- on an event loop ----


async def waiting(memory, count):
    """Until so many wait."""
    while memory.waiters != count:
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("tier", NATIVE)
def test_an_asynchronous_call_waits_on_its_loop(tier):
    """Others go on meanwhile, and may be those that notify; so may threads."""
    engine = Engine(tier=tier)
    memory = SharedMemory(engine, 1, 100)

    async def main():
        calls = [asyncio.create_task(guest(engine, memory).exports.wait.call_async(0, 0, -1)) for _ in range(10)]
        await waiting(memory, 10)
        assert memory.notify(0, 3) == 3
        assert await asyncio.to_thread(memory.notify, 0, 3) == 3
        assert await guest(engine, memory).exports.notify.call_async(0, 3) == 3
        assert await asyncio.to_thread(guest(engine, memory).exports.notify, 0, 3) == 1
        assert await asyncio.gather(*calls) == [0] * 10 and memory.waiters == 0
        g = guest(engine, memory)
        begin = time.monotonic()
        assert await g.exports.wait.call_async(0, 0, 50_000_000) == 2 and time.monotonic() - begin > 0.04
        assert await g.exports.wait.call_async(0, 1, -1) == 1 and await g.exports.wait.call_async(0, 0, 0) == 2
        pair = [asyncio.create_task(guest(engine, memory).exports.ping.call_async(i, 200)) for i in range(2)]
        assert await asyncio.gather(*pair) == [None, None]

    asyncio.run(main())


@pytest.mark.parametrize("tier", NATIVE)
def test_what_ends_an_asynchronous_wait(tier):
    """Cancelling, a deadline, an interrupt, the end of its store; nobody waits afterwards."""
    engine = Engine(tier=tier)
    memory = SharedMemory(engine, 1, 100)

    async def ends(error, act, deadline=None):
        g = guest(engine, memory)
        with g.store.deadline(deadline):
            call = asyncio.create_task(g.exports.wait.call_async(0, 0, -1))
            await waiting(memory, 1)
            act(g, call)
            with pytest.raises(error):
                await call
        assert memory.waiters == 0

    async def main():
        await ends(asyncio.CancelledError, lambda g, call: call.cancel())
        await ends(DeadlineExceeded, lambda g, call: None, 0.1)
        await ends(Interrupted, lambda g, call: g.store.interrupt())
        await ends(Interrupted, lambda g, call: threading.Thread(target=g.store.interrupt).start())
        await ends(Closed, lambda g, call: g.store.close())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await guest(engine, memory).exports.wait.call_async(0, 0, -1)
        assert memory.waiters == 0

    asyncio.run(main())


def test_an_asynchronous_wait_that_nobody_awaits_any_more_leaves_its_queue():
    """Its driver was closed, or its loop: what it would have been told goes to the next one."""
    engine = Engine(tier="jit0")
    memory = SharedMemory(engine, 1, 100)
    g = guest(engine, memory)

    async def begin():
        task = asyncio.ensure_future(g.exports.wait.call_async(0, 0, -1))
        await waiting(memory, 1)
        return task

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    assert memory.waiters == 1
    loop.close()
    assert memory.notify(0) == 1, "the loop is closed: nobody is told"
    g.store.close()
    gc.collect()
    assert memory.waiters == 0


def test_signals_and_limits_of_asynchronous_waits():
    """Too many are refused by name, and the guest can go on."""
    engine = Engine(tier="jit0")
    memory = SharedMemory(engine, 1, 100, waiters=1)

    async def main():
        first = asyncio.create_task(guest(engine, memory).exports.wait.call_async(0, 0, -1))
        await waiting(memory, 1)
        g = guest(engine, memory)
        with pytest.raises(ResourceLimit) as caught:
            await g.exports.wait.call_async(0, 0, -1)
        assert caught.value.limit == "waiters"
        memory.notify(0)
        assert await first == 0 and await g.exports.wait.call_async(0, 0, 1000) == 2

    asyncio.run(main())


def test_a_notification_goes_on_from_a_call_that_is_cancelled_before_it_hears_of_it():
    """The next one, on the same loop, is told."""
    engine = Engine(tier="jit0")
    memory = SharedMemory(engine, 1, 100)

    async def main():
        calls = [asyncio.create_task(guest(engine, memory).exports.wait.call_async(0, 0, -1)) for _ in range(2)]
        await waiting(memory, 2)
        assert memory.notify(0, 1) == 1
        calls[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        assert await asyncio.wait_for(calls[1], 10) == 0

    asyncio.run(main())
