"""Asynchronous calls beside threads, children, greenlets, signals, other loops, and the end of the interpreter."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

from stratavm import (
    DeadlineExceeded,
    StoreBusy,
    Trap,
)
from stratavm.runtime.stacks import stack_status
from stratavm.runtime.ticker import ticker_status
from tests import needed
from tests.unit.engine.async_guests import TIERS, World, clean, nap, run, stacks_given_back


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


# ---- threads, processes, the end of the interpreter ----


class Step:
    """An awaitable that yields once to whoever drives the coroutine."""

    def __await__(self):
        yield "waits"
        return 9


def send(coroutine):
    """One step, as an event loop does it: what it yields, or (its result,). Turns of the loop, at ticks, are passed by:
    a slow machine has some."""
    try:
        while (yielded := coroutine.send(None)) is None:
            pass
        return yielded
    except StopIteration as end:
        return (end.value,)


def elsewhere(function, *arguments):
    """Call in a thread of its own, and wait."""
    found = []

    def target():
        try:
            found.append(function(*arguments))
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    return found[0]


def test_a_call_goes_on_in_another_thread(tier):
    """Traps are met there, stacks measured there; a store that is bound to its thread refuses."""
    world = World(lambda x: Step(), tier)
    call = world.exports.steps.call_async(3)
    assert elsewhere(send, call) == "waits"
    assert send(call) == "waits"
    assert elsewhere(send, call) == "waits"
    assert send(call) == (27,)
    call = world.exports.read.call_async(-1)
    assert elsewhere(send, call) == "waits"
    with pytest.raises(Trap):
        send(call)
    bound = World(lambda x: Step(), tier, thread_bound=True)
    call = bound.exports.call.call_async(3)
    assert send(call) == "waits"
    assert isinstance(elsewhere(send, call), StoreBusy)
    clean(bound)


def test_a_child_process_goes_on_with_a_guest_that_waits():
    """Or drops it; the parent's goes on, too."""
    world = World(lambda x: Step())
    call = world.exports.steps.call_async(2)
    assert send(call) == "waits"
    for drop in (False, True):
        child = os.fork()
        if child == 0:
            try:
                if drop:
                    call.close()
                    os._exit(0 if not world.store.busy else 1)
                os._exit(0 if send(call) == "waits" and send(call) == (18,) else 1)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert send(call) == "waits" and send(call) == (18,)


@pytest.mark.parametrize("end", ["close", "interrupt", "deadline", "forget"])
def test_a_loop_may_be_closed_under_guests_that_wait(end):
    """Nobody cancels them, and nothing that is told to them later reaches anybody; their stacks come back."""
    taken = stack_status()["taken"]
    worlds = [World(nap) for _ in range(3)]

    async def main():
        for world in worlds:
            world.store.set_deadline(60.0)
            tasks.append(asyncio.ensure_future(world.exports.steps.call_async(1 << 30)))
        await asyncio.sleep(0)

    loop, tasks = asyncio.new_event_loop(), []
    loop.run_until_complete(main())
    loop.set_exception_handler(lambda *_: None)  # it tells of tasks that nobody ended
    loop.close()
    assert all(world.store.busy for world in worlds) and stack_status()["taken"] == taken + 3
    for world in worlds:
        if end == "close":
            world.store.close()
        elif end == "interrupt":
            world.store.interrupt()
        elif end == "deadline":
            world.store.set_deadline(0.0)
    tasks.clear()
    worlds.clear()
    del world
    gc.collect()
    assert stack_status()["taken"] == taken
    asyncio.run(World(nap).exports.call.call_async(3))


def test_guests_wait_beside_greenlets():
    """One that waits in its await does not mind; over a guest that waits in another greenlet none goes on."""
    greenlet = needed.module("greenlet")
    world = World(lambda x: Step())
    call = world.exports.call.call_async(1)
    assert send(call) == "waits"
    hub = greenlet.getcurrent()
    sync = World(lambda x: hub.switch(x))
    inside = greenlet.greenlet(lambda: sync.exports.call(1))
    inside.switch()
    with pytest.raises(StoreBusy, match="greenlet"):
        send(call)
    assert inside.switch(5) == 6
    clean(world)


PROFILED = """
import asyncio, ctypes, os, signal, stratavm
libc = ctypes.CDLL(None)
class Action(ctypes.Structure):  # a handler that runs on whatever stack is there
    _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_uint64 * 16), ("flags", ctypes.c_int)]
action = Action(ctypes.cast(libc.abs, ctypes.c_void_p).value, (ctypes.c_uint64 * 16)(), 0)
assert libc.sigaction(signal.SIGPROF, ctypes.byref(action), None) == 0
source = '''(module (import "h" "f" (func $f))
  (func $deep (export "deep") (param i64 i64 i64 i64) (result i64)
    (i64.add (call $deep (local.get 1) (local.get 2) (local.get 3) (local.get 0)) (local.get 0)))
  (func (export "spin") (param i32) (call $f)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))'''
async def f():
    await asyncio.sleep(0)
async def main():
    exports = stratavm.load(source, {"h": {"f": f}}, store=stratavm.Store()).exports
    signal.setitimer(signal.ITIMER_PROF, 0.0002, 0.0002)
    for _ in range(30):
        try:
            await exports.deep.call_async(1, 2, 3, 4)
        except stratavm.StackOverflow:
            pass
        await exports.spin.call_async(1_000_000)
asyncio.run(main())
print("end")
"""


def test_signals_are_handled_while_guests_are_on_fibers():
    """A profiler's handler without a stack of its own finds room below the guest, also where that uses up its stack."""
    done = subprocess.run([sys.executable, "-c", PROFILED], capture_output=True, text=True, timeout=100, env=os.environ)
    assert (done.stdout, done.returncode) == ("end\n", 0), done.stderr


ON_FIBER = """
import asyncio, ctypes, stratavm
from stratavm.contract.layout import EXEC
at = EXEC.offset("gate")
def f():
    if plant:  # the gate that stays on the guest's stack
        ctypes.c_uint64.from_address(store.address + at).value = gate
plant = False
store = stratavm.Store()
gate = ctypes.c_uint64.from_address(store.address + at).value
source = '(module (import "h" "f" (func $f)) (func (export "g") (call $f) (call $f)))'
exports = stratavm.load(source, {"h": {"f": f}}, store=store).exports
asyncio.run(exports.g.call_async())
plant = True
try:
    asyncio.run(exports.g.call_async())
except AssertionError as error:
    print(error)
"""


def test_the_checks_see_a_host_function_on_a_fiber():
    """``STRATA_CHECK=1``: the gate that does not switch stacks is found out."""
    done = subprocess.run(
        [sys.executable, "-c", ON_FIBER],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "STRATA_CHECK": "1"},
    )
    assert done.stdout == "a host function was called on the stack of a fiber\n", done.stderr


def test_uvloop_runs_guests():
    """Only public functions of loops are used."""
    uvloop = needed.module("uvloop")

    async def long(x):
        await asyncio.sleep(3600 if x == 7 else 0)
        return x

    async def main():
        world = World(long)
        assert await world.exports.steps.call_async(3) == 6
        with world.store.deadline(0.01), pytest.raises(DeadlineExceeded):
            await world.exports.call.call_async(7)
        world = World(long)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await world.exports.call.call_async(7)
        clean(world)

    uvloop.run(main(), debug=True)


EXIT = """
import asyncio, sys, stratavm
async def forever():
    await asyncio.get_running_loop().create_future()
kept = []
async def main():
    for _ in range(3):
        store = stratavm.Store()
        source = '(module (import "h" "f" (func $f)) (func (export "g") (call $f)))'
        kept.append(stratavm.load(source, {"h": {"f": forever}}, store=store).exports.g.call_async())
        kept[-1].send(None)
if sys.argv[1] == "loop":
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
else:
    asyncio.run(main())
print("end")
"""


@pytest.mark.parametrize("how", ["loop", "run"])
def test_the_interpreter_ends_with_guests_that_wait(how):
    """Without a word."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", EXIT, how], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert (done.stdout, done.returncode) == ("end\n", 0), done.stderr
    assert "Traceback" not in done.stderr, done.stderr


# ---- an answer whose conversion runs Python ----

CLOSES = """
import asyncio
from stratavm import Closed, Engine, Linker, Module, Store

WAT = '''(module (import "h" "w" (func $w (param i32) (result i32 i32)))
  (func (export "go") (param i32) (result i32) (call $w (local.get 0)) (drop)))'''


class Closes:
    def __index__(self):
        store.close()
        return 7


async def main():
    global store
    never = asyncio.get_running_loop().create_future()

    async def w(x: int):
        await (asyncio.sleep(0) if x else never)
        return 1, Closes()

    engine = Engine(tier="jit0")
    linker, module = Linker(engine), Module(WAT, engine=engine)
    linker.define("h", "w", w)
    others = []
    for _ in range(64):  # all stacks of a slab: that of the next call is given back to the kernel
        exports = linker.instantiate(Store(engine), module).exports
        others.append(asyncio.create_task(exports.go.call_async(0)))
    await asyncio.sleep(0.01)
    others.pop().cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for _ in range(2):
        store = Store(engine)
        instance = linker.instantiate(store, module)
        others.append(asyncio.create_task(linker.instantiate(Store(engine), module).exports.go.call_async(0)))
        await asyncio.sleep(0.01)
        try:
            await instance.exports.go.call_async(1)
        except Closed:
            print("closed")
    for other in others:
        other.cancel()


asyncio.run(main())
"""


def test_an_answer_may_close_the_store_while_it_is_converted():
    """Nothing is written to a stack that was given back."""
    ended = subprocess.run([sys.executable, "-c", CLOSES], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (0, "closed\nclosed\n"), ended.stderr


# ---- the ticker ----


@pytest.fixture
def interval():
    """What sets Python's interval for switches; it is set back, and the ticker has seen that."""
    before = sys.getswitchinterval()
    yield sys.setswitchinterval
    sys.setswitchinterval(before)
    until(lambda: one_turn() and ticker_status()["period_ns"] == before * 1e9)


def one_turn():
    """Seconds in which a guest that computes for ever is suspended."""

    async def main(call):
        task, began = asyncio.create_task(call), time.monotonic()
        await asyncio.sleep(0)
        took = time.monotonic() - began
        task.cancel()
        return took

    return run(main(World().exports.forever.call_async()))


def until(condition):
    """Wait for what will come."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_ticker_looks_more_often_at_guests_on_fibers(interval):
    """A loop waits for them: from when it hears of one until it parks; no more than once in a millisecond."""
    for seconds, pause_ns in ((0.006, 2_000_000), (0.005, 1_666_667), (0.002, 1_000_000), (0.001, 1_000_000)):
        interval(seconds)
        until(lambda: ticker_status()["state"] != "ticking")
        world = World()
        world.exports.add(1, 1)
        assert ticker_status()["pause_ns"] == ticker_status()["period_ns"] == seconds * 1e9
        assert run(world.exports.add.call_async(1, 1)) == 2
        assert ticker_status()["pause_ns"] == pause_ns and ticker_status()["period_ns"] == seconds * 1e9


def test_a_guest_that_begins_in_the_middle_of_a_pause_is_looked_at_soon(interval):
    """The ticker, which sleeps for a whole interval, is told of it, and sleeps no longer than till a third is over."""
    seen = []

    def status(_):
        """In the guest: when the ticker looks next, once it has heard of it."""
        until(lambda: ticker_status()["look_ns"] != before)
        seen.append(ticker_status()["look_ns"] - before)
        return 0

    for _ in range(5):  # where the machine has no processor for it so long that the pause is over first
        until(lambda: ticker_status()["state"] != "ticking")
        interval(1.0)
        World().exports.add(1, 1)
        until(lambda: ticker_status()["state"] == "ticking" and ticker_status()["look_ns"] > time.monotonic_ns())
        before = ticker_status()["look_ns"]
        run(World(status).exports.call.call_async(1))
        interval(0.001)
        one_turn()
        if seen[-1] < 0:
            return
    raise AssertionError(f"{seen} ns later than it would have looked anyway")


def test_a_tick_has_the_ticker_follow_pythons_interval(interval):
    """It needs not be woken for that."""

    for seconds in (0.004, 0.003):
        interval(seconds)
        until(lambda: one_turn() and ticker_status()["period_ns"] == seconds * 1e9)  # noqa: B023
