"""Claims about operations that something overtakes, between a look at a state and what is done about it: a finaliser
that the collector runs there, a number or an allocation of the embedder's, an initialiser that fails midway."""

import asyncio
import gc
import os
import signal
import sys
from contextlib import suppress

import pytest

from stratavm import (
    Closed,
    DeadlineExceeded,
    Engine,
    Global,
    Memory,
    MemorySlots,
    ResourceLimit,
    SlotsExhausted,
    Store,
    StoreLimits,
    Table,
    load,
)
from stratavm.runtime.allocator import MemoryAllocator
from stratavm.runtime.host import HostFunction
from stratavm.spec.types import EXTERNREF, FUNCREF, FuncType, GlobalType, Limits, TableType
from tests.unit.engine.async_guests import World, run
from tests.unit.engine.test_allocator import Allocator, Own

SLOTS = Engine(memory_slots=MemorySlots(1))
THRESHOLDS = range(1, 9)
"""At which allocation of a collected object the collector runs."""
LONGEST_S = 60
"""More than any of them takes where nothing hangs."""
COLLECTED_IN_C = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="from CPython 3.12 on the collector runs between bytecodes only"
)
PAGE = 1 << 16


class Last:
    """Garbage whose end does something."""

    def __init__(self, act):
        self.act, self.me = act, self

    def __del__(self):
        self.act()


def overtaken(operation, act, threshold):
    """An operation, in whose middle the collector runs ``act``."""
    kept = [*([] for _ in range(200)), *({} for _ in range(200)), *((i,) * n for n in (1, 2, 3) for i in range(2500))]
    gc.collect()
    Last(act)
    gc.set_threshold(threshold)
    gc.enable()
    try:
        return operation()
    finally:
        gc.disable()
        kept.clear()


def in_a_process(function, *arguments):
    """What a function returned, as text; or how the process ended."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(LONGEST_S)
        gc.freeze()  # what all the other tests left is not looked at again
        try:
            found = str(function(*arguments))
        except BaseException as error:
            found = repr(error)
        os.write(writing, found.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        found = said.read()
    status = os.waitpid(process, 0)[1]
    return f"ended with status {status}" if status else found


def at_each_allocation(function):
    """What comes of it where the collector runs at the first, the second … allocation."""
    gc.disable()
    try:
        return {in_a_process(function, threshold) for threshold in THRESHOLDS}
    finally:
        gc.enable()


# ---- the collector --------------------------------------------------------------------------------


def take_the_last_slot(threshold):
    """Two want the only slot: how many got one."""
    allocator, made = SLOTS.runtime.allocator, []

    def take():
        try:  # no `suppress`, whose objects would be counted
            made.append(allocator.allocate(PAGE, PAGE, False))
        except SlotsExhausted:
            made.append(None)

    overtaken(take, take, threshold)
    gc.collect()
    return len(made), made.count(None)


@COLLECTED_IN_C
@pytest.mark.trace_slow  # the tracer makes objects as well: the thresholds mean other places
def test_one_slot_is_never_given_to_two():
    """Also where what the collector runs takes it while it is being given to somebody else."""
    assert at_each_allocation(take_the_last_slot) == {"(2, 1)"}


def abandon_and_close(threshold):
    """A call that waits is cancelled, and meanwhile its store is closed."""

    class Endless:
        def __await__(self):
            while True:
                yield

    async def main():
        task = asyncio.ensure_future(world.exports.call.call_async(1))
        await asyncio.sleep(0)
        coroutine = task.get_coro()
        overtaken(coroutine.close, world.store.close, threshold)
        task.cancel()
        with suppress(asyncio.CancelledError, RuntimeError):
            await task
        world.store.close()
        return world.store.busy, world.store.parked

    world = World(lambda x: Endless())
    return asyncio.run(main())


@COLLECTED_IN_C
@pytest.mark.trace_slow
def test_a_call_that_is_abandoned_while_its_store_is_closed_is_abandoned_once():
    """What poisons its instances may run the collector."""
    assert at_each_allocation(abandon_and_close) == {"(False, None)"}


def begin_two_deadlines(threshold):
    """One begins while another one does."""
    store = Store()
    spin = load('(module (func (export "spin") (loop (br 0))))', store=store).exports.spin
    with store.deadline(2000):
        overtaken(lambda: store.begin_deadline(1000.0), lambda: store.begin_deadline(0.0), threshold)
        gc.collect()
        with suppress(DeadlineExceeded):
            spin()


@COLLECTED_IN_C
@pytest.mark.trace_slow
def test_no_deadline_is_lost_that_begins_while_another_one_does():
    """The earlier one ends a guest that would not end by itself."""
    assert at_each_allocation(begin_two_deadlines) == {"None"}


# ---- what fails midway ----------------------------------------------------------------------------


def fail_to_begin_a_table():
    """A table that the limits do not allow, and that somebody has kept."""
    table = Table.__new__(Table)
    with pytest.raises(ResourceLimit):
        table.__init__(Store(limits=StoreLimits(tables=0)), TableType(FUNCREF, Limits(1, 10)))
    return table.grow(1), len(table)


def fail_to_begin_a_global():
    """A global that cannot be a root, and that somebody has kept."""

    class Unhashable(Global):
        __hash__ = None

    variable = Unhashable.__new__(Unhashable)
    with pytest.raises(TypeError):
        variable.__init__(Store(), GlobalType(EXTERNREF, True))
    return variable.bits


def test_what_was_not_initialised_to_the_end_reaches_nowhere():
    """It has no elements, and cannot get any; or it is null."""
    assert in_a_process(fail_to_begin_a_table) == "(-1, 0)"
    assert in_a_process(fail_to_begin_a_global) == "0"


def test_a_host_function_is_initialised_once():
    """Guests rely on the type that it had when they were linked."""
    function = HostFunction(Store(), FuncType((), ()), lambda raws: [])
    with pytest.raises(TypeError, match="initialised once"):
        function.__init__(function.store, FuncType((), (FUNCREF,)), lambda raws: [0])


# ---- what belongs to the embedder -----------------------------------------------------------------


def test_arguments_of_an_asynchronous_call_may_close_the_instance():
    """Arguments are converted first, as in a synchronous call."""

    class Closing:
        def __index__(self):
            world.instance.close()
            return 1

    world = World()
    with pytest.raises(Closed):
        run(world.exports.add.call_async(Closing(), 1))
    assert not world.store.busy


@pytest.mark.parametrize("how", ["closes the store", "fails", "grows the memory"])
def test_an_allocation_that_is_asked_for_more_may_do_anything(how):
    """A closed memory gets no size, one that has grown is not shrunk, and the budget knows how much there is."""

    class Odd(Own):
        def commit(self, size):
            if acts.pop():
                acts.append(False)
                if how == "fails":
                    raise RuntimeError("no")
                store.close() if how == "closes the store" else memory.grow(1)
            acts.append(False)
            return super().commit(max(size, self.committed))

        committed = 0

    acts = [False]
    store = Store(Engine(services={MemoryAllocator: Allocator(Odd)}))
    memory = load('(module (memory (export "m") 1 5))', store=store).exports.m
    before = store.bytes_held - PAGE
    acts[:] = [True]
    with suppress(Closed, RuntimeError):
        assert memory.grow(1) == -1
    acts[:] = [False]
    assert store.bytes_held - before == len(memory) == {"c": 0, "f": PAGE, "g": 2 * PAGE}[how[0]]


def test_a_table_for_which_there_was_no_room_holds_nothing_later():
    """The store would not see what it keeps alive."""
    store = Store(limits=StoreLimits(total_bytes=1 << 20))
    memory, table = Memory.new(store, 14), Table.__new__(Table)
    with pytest.raises(ResourceLimit):
        table.__init__(store, TableType(EXTERNREF, Limits(50_000, 100_000)))
    del memory
    gc.collect()
    assert store.bytes_held == 0
    assert table.grow(4, "kept") == -1 and len(table) == 0
