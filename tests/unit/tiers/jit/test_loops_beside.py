"""Claims about loops that a thread beside the program makes code of level 1 for: who is late, what ends it, and that
nothing of it shows in results."""

import ctypes
import gc
import os
import threading

import pytest

from stratavm import Engine, Linker, Module, Store
from stratavm.native.background import limit_threads
from stratavm.native.lift import FATES
from stratavm.testing import InlineExecutor
from stratavm.tiers.jit.lift_events import DROPS, LoopLiftDropped, LoopLifted, LoopLiftQueued
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from stratavm.tiers.tier import CompileExecutor
from tests import frozen
from tests.fuzz.whims import Beside
from tests.unit.native import drill
from tests.unit.native.drill import Drill, soon
from tests.unit.tiers.jit.test_osr import CALLS, PROGRAM

SPIN = 4
"""The function of the program that is a loop and nothing else."""
STEP = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 3)))"


@pytest.fixture(autouse=True)
def one_thread():
    """It compiles, however many processors there are; not in the trace build."""
    if not limit_threads(1):
        pytest.skip("no thread without Python in this build")
    yield
    limit_threads(None)


class Guest:
    """A module, an instance and what is told of its loops, which ask for better code at each poll, as at a tick.
    ``forced``: so that each run does the same."""

    def __init__(self, text=PROGRAM, forced=False, fuel=None, services=(), **options):
        policy = Thresholds(MOST_CALLS, ticks=False, polls=1 if forced else Beside(1))
        self.engine = Engine(
            tier="auto", threads=2, fuel=fuel is not None, services={Policy: policy, **dict(services)}, **options
        )
        self.told = []
        for kind in (LoopLiftQueued, LoopLifted, LoopLiftDropped):
            self.engine.bus.subscribe(kind, self.told.append)
        self.module = Module(text, engine=self.engine)
        self.lazy = self.module.code.lazy
        self.table = self.lazy.table
        self.store = Store(self.engine, fuel=fuel)
        self.exports = Linker(self.engine).instantiate(self.store, self.module).exports

    @property
    def queue(self):
        """What waits for a thread."""
        return self.lazy.lifting().queue(self.lazy)

    def events(self):
        """Their types and what they say besides the function."""
        self.lazy.note_published()
        self.engine.bus.drain()
        return [(type(e), DROPS[e.reason] if isinstance(e, LoopLiftDropped) else "") for e in self.told]

    def fates(self):
        """What became of what was asked for, by name; then nobody is told any more."""
        return [(index, FATES[fate], pc != 0) for index, _, _, _, fate, pc in self.queue.outcomes()]


def hold():
    """Keep the only thread; ``go_on`` lets it go."""
    job = Drill(drill.HOLD)
    assert job.submit() and soon(lambda: job.rounds)
    return job


def go_on(job, guest):
    """Let it do what waits."""
    job.job.left = 1
    assert soon(lambda: guest.queue.is_idle)


def test_the_program_goes_on_meanwhile():
    """In the old code; a poll that comes when there is better code leaves for that. It is asked for once."""
    guest, job = Guest(), hold()
    expected = guest.exports.spin(1000)
    assert guest.table.entries_made == [] and guest.queue.n_pending == 1
    assert guest.events() == [(LoopLiftQueued, "")]
    before = guest.module.code_bytes
    go_on(job, guest)
    assert guest.exports.spin(1000) == expected
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLifted, "")]
    [(pc, code, polls)] = guest.table.entries_made
    assert polls == 1 and guest.table.left_ns != []
    event = guest.told[1]
    assert event.function == SPIN and event.ns > 0
    assert event.thread not in {0, *(thread.native_id for thread in threading.enumerate())}
    assert guest.module.code_bytes - before == event.code_bytes > 0
    [loop] = guest.module.code.loops()
    assert (loop.function, loop.pc, loop.code, loop.reason) == (SPIN, pc, code, "")


def test_the_code_is_what_the_program_would_have_waited_for():
    """Byte for byte."""
    guest, job = Guest(), hold()
    for name, arguments in CALLS:
        guest.exports[name](*arguments)
    go_on(job, guest)
    guest.lazy.note_published()
    guest.engine.bus.drain()
    sizes = [e.code_bytes for e in guest.told if isinstance(e, LoopLifted)]
    loops = guest.module.code.loops()
    assert len(loops) == len(sizes) == 5
    for loop, size in zip(loops, sizes, strict=True):
        made, _ = guest.lazy.lifting()._loop_code(guest.lazy, loop.function, loop.pc)
        assert ctypes.string_at(loop.code, size) == made.code


@pytest.mark.parametrize("plan", ["guard", "bounded"])
def test_values_of_every_kind_arrive(plan):
    """Whenever a loop leaves, while others are made; with fuel, which is the same."""
    plain = Guest(forced=True, fuel=1 << 24, memory_plan=plan)
    assert plain.lazy.lifting().policy.polls
    for _ in range(3):
        guest = Guest(fuel=1 << 24, memory_plan=plan)
        for turn in range(4):
            assert turn < 3 or soon(lambda g=guest: g.queue.is_idle)  # at the latest then
            for name, arguments in CALLS:
                plain.store.fuel = guest.store.fuel
                assert guest.exports[name](*arguments) == plain.exports[name](*arguments)
                assert guest.store.fuel == plain.store.fuel
        assert sum(polls for _, _, polls in guest.table.entries_made) > 0


def test_who_is_late_changes_nothing():
    """The first entry stays, and who came later says so."""
    guest, job = Guest(), hold()
    expected = guest.exports.spin(10)
    [pc] = guest.lazy.lifting()._asked_loops
    guest.lazy.lifting()._lift_loop_now(guest.lazy, SPIN, pc)
    first = guest.table.entries_made
    assert len(first) == 1 and first[0][1] != 0
    go_on(job, guest)
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLifted, ""), (LoopLiftDropped, "late")]
    assert not any(guest.queue.stages_ns)  # it was not compiled for nothing
    guest.lazy.lifting()._lift_loop_now(guest.lazy, SPIN, pc)  # as if it had been begun before there was one
    assert guest.events()[3:] == [(LoopLiftDropped, "late")]
    assert guest.table.entries_made == first
    assert guest.exports.spin(10) == expected
    assert guest.table.entries_made[0][2] == 1


def test_of_two_entries_the_first_one_stays():
    """Whoever offers them."""
    table = Guest().table
    assert table.add_entry(0x10, 0x1000, 8, b"")
    assert not table.add_entry(0x10, 0x2000, 8, b"")
    assert table.add_entry(0x20, 0, 0, b"")
    assert table.entries_made == [(0x20, 0, 0), (0x10, 0x1000, 0)]


def test_a_loop_that_is_refused_stays_and_is_asked_for_once():
    """The allocator that keeps everything in slots does not say when values are alive."""
    guest = Guest(allocator="naive")
    for _ in range(3):
        guest.exports.spin(100)
        assert soon(lambda: guest.queue.is_idle)
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLiftDropped, "refused")]
    [loop] = guest.module.code.loops()
    assert (loop.function, loop.code, loop.reason) == (SPIN, 0, "refused")
    assert guest.table.entries_made == [(loop.pc, 0, 0)]


@pytest.mark.parametrize("how", ["gone", "closed"])
def test_nothing_is_made_for_no_instance(how):
    """When the last one is gone, or its store is closed, what waits is dropped; another one can have it again."""
    guest, job = Guest(), hold()
    expected = guest.exports.spin(10)
    if how == "closed":
        guest.store.close()
    del guest.exports, guest.store
    gc.collect()
    go_on(job, guest)
    assert guest.table.entries_made == []
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLiftDropped, "unwanted")]
    other = Linker(guest.engine).instantiate(Store(guest.engine), guest.module)
    assert other.exports.spin(10) == expected
    assert soon(lambda: guest.queue.is_idle)
    assert guest.events()[2:] == [(LoopLiftQueued, ""), (LoopLifted, "")]


def test_the_loop_in_flight_is_given_up_as_well():
    """When the last instance goes; within a moment, however long it takes to compile."""
    text = f"""(module (func (export "spin") (param i32) (result i32)
      (loop {STEP * 10_000} (br_if 0 (i32.eqz (local.get 0)))) (local.get 0)))"""
    gc.collect()
    gc.freeze()  # what other tests left would take longer to look through than the loop takes
    try:
        for _ in range(50):  # this thread may not have a processor in time
            guest = Guest(text)
            guest.exports.spin(1)
            queue = guest.queue
            assert soon(lambda q=queue: q.task_state() == drill.RUNNING or q.is_idle)
            del guest.exports, guest.store
            gc.collect()
            assert soon(lambda q=queue: q.is_idle)
            if queue.n_stopped:
                break
    finally:
        gc.unfreeze()
        frozen.again()
    assert queue.n_stopped == 1
    assert guest.fates() == [(0, "unwanted", True)]
    assert guest.table.entries_made == []


def test_a_closed_engine_has_nothing_made():
    """What waits stays, and open stores go on."""
    guest, job = Guest(), hold()
    expected = guest.exports.spin(10)
    guest.engine.close()
    job.job.left = 1
    assert guest.exports.spin(10) == expected
    assert guest.table.entries_made == [] or guest.table.entries_made[0][2] <= 1
    assert guest.events()[:2] == [(LoopLiftQueued, ""), (LoopLiftDropped, "unwanted")]


def test_it_goes_on_after_a_fork_on_both_sides():
    """The queue is memory like any other; a thread begins with the next question."""
    guest, job = Guest(), hold()
    expected = guest.exports.spin(10)
    job.job.left = 1
    child = os.fork()
    guest.lazy.note_published()
    good = soon(lambda: guest.queue.is_idle) and guest.exports.spin(10) == expected
    good = good and [polls for _, code, polls in guest.table.entries_made if code] == [1]
    if child == 0:
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert good


def test_loops_that_are_forced_to_leave_are_waited_for():
    """At every poll, or after so many: each run does the same."""
    guest, job = Guest(forced=True), hold()
    guest.exports.spin(10)
    assert [polls for _, _, polls in guest.table.entries_made] == [1]
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLifted, "")]
    assert guest.told[1].thread == threading.get_native_id()
    job.job.left = 1


def test_a_number_of_calls_asks_for_no_loop():
    """``lift_after`` has no ticks."""
    engine = Engine(tier="auto", lift_after=1, threads=2)
    module = Module(PROGRAM, engine=engine)
    exports = Linker(engine).instantiate(Store(engine), module).exports
    exports.spin(1 << 22)
    assert module.code.loops() == [] and module.code.lazy.table.entries_made == []


def test_an_executor_of_the_embedders_makes_it():
    """At once, on the thread that asks: the same poll leaves."""
    limit_threads(0)
    executor = InlineExecutor()
    guest = Guest(services={CompileExecutor: executor})
    guest.exports.spin(10)
    assert [polls for _, _, polls in guest.table.entries_made] == [1]
    assert guest.queue.has_maker and executor.submits >= 1
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLifted, "")]


def test_without_a_thread_the_program_waits():
    """As ever."""
    limit_threads(0)
    guest = Guest()
    guest.exports.spin(10)
    assert [polls for _, _, polls in guest.table.entries_made] == [1]
    assert guest.events() == [(LoopLiftQueued, ""), (LoopLifted, "")]
    assert guest.told[1].thread == threading.get_native_id()


def test_threads_that_meet_at_the_first_loop_share_what_compiles_it():
    """A thread without Python may be at work with it: what is made second does not take its place."""
    guest = Guest(forced=True)
    lifting, queue, compiler = guest.lazy.lifting(), guest.queue, guest.lazy.compiler
    found = []

    class Meets:
        """The compiler, whose worker takes another thread so long to make that this one is through."""

        front = compiler.front

        @staticmethod
        def background_worker():
            worker = compiler.background_worker()
            if not found:
                found.append(None)
                assert lifting._makes_loops(guest.lazy, queue)
                found.append(queue.maker)
            return worker

    guest.lazy.compiler = Meets
    try:
        assert lifting._makes_loops(guest.lazy, queue)
    finally:
        guest.lazy.compiler = compiler
    assert queue.maker is found[1] is not None
