"""Claims about level 1 beside the program: in which order it is made, by whom, what ends it, and that nothing of it
shows in results."""

import ctypes
import gc
import os
import sys
import threading
import time

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Store
from stratavm.native import execmem
from stratavm.native.background import limit_threads
from stratavm.native.lift import FATES
from stratavm.tiers.decision import Decision
from stratavm.tiers.jit.lift_events import DROPS, FunctionLiftDropped, FunctionLifted, FunctionLiftQueued
from stratavm.tiers.policy import Policy, Thresholds
from tests import frozen
from tests.unit.native import drill
from tests.unit.native.drill import Drill, soon

STEP = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 3)))"
FUNCTIONS = 300


@pytest.fixture(autouse=True)
def one_thread():
    """It compiles, however many processors there are; not in the trace build."""
    if not limit_threads(1):
        pytest.skip("no thread without Python in this build")
    yield
    limit_threads(None)


class Never(Thresholds):
    """Lifts nothing: the tests ask for it."""

    def decide(self, seen):
        return Decision(False, False, 1 << 30, "few")


def program(steps=4, count=FUNCTIONS):
    """Functions that are alike but for a number."""
    functions = "".join(
        f'(func (export "f{i}") (param i32) (result i32) {STEP * steps} (i32.add (local.get 0) (i32.const {i})))'
        for i in range(count)
    )
    return f"(module {functions})"


def guest(text=None, policy=Never, **options):
    """What a module's functions tell, the module, and an instance."""
    engine = Engine(tier="auto", threads=2, services={Policy: policy()}, **options)
    told = []
    for kind in (FunctionLiftQueued, FunctionLifted, FunctionLiftDropped):
        engine.bus.subscribe(kind, told.append)
    module = Module(text or program(), engine=engine)
    return told, module, Linker(engine).instantiate(Store(engine), module)


def queue_of(module):
    """What waits for a thread to be compiled at level 1, or None."""
    return module.code.lazy.lifting().queue(module.code.lazy)


def at_level_1(module, index):
    """Machine code of a function, made here."""
    return module.code.lazy.lifting().upper(module.code.lazy).compile(index).code


def level(module, index):
    """The level of a function's code."""
    return module.code.lazy.table.level(index)


def call_all(instance, count=FUNCTIONS):
    """So that each has code of level 0."""
    return [instance.exports[f"f{i}"](1) for i in range(count)]


def hold():
    """Keep the only thread; ``left = 1`` lets it go on."""
    job = Drill(drill.HOLD)
    assert job.submit() and soon(lambda: job.rounds)
    return job


def fates(queue):
    """What became of functions, by name."""
    return [(index, FATES[fate]) for index, _, _, _, fate, _ in queue.outcomes()]


def test_what_a_tick_has_found_comes_first_and_then_what_was_called_most():
    """And what waits moves up when more is known of it."""
    _, module, instance = guest()
    call_all(instance, 8)
    queue = queue_of(module)
    job = hold()
    for index, calls, first in ((0, 10, False), (1, 30, False), (2, 20, False), (3, 1, True), (4, 5, False)):
        assert queue.want(index, calls, first)
    assert queue.want(4, 25, False)  # once more
    assert queue.want(0, 2, True)
    job.job.left = 1
    assert soon(lambda: queue.is_idle)
    assert fates(queue) == [(index, "published") for index in (0, 3, 1, 4, 2)]
    assert [level(module, i) for i in range(6)] == [1, 1, 1, 1, 1, 0]


def test_what_nobody_looks_after_does_not_wait():
    """Whoever took the first look may be gone at the second: then it is not made twice, by who asks and by who comes
    later. What waits beside it stays."""
    _, module, instance = guest()
    call_all(instance, 4)
    queue = queue_of(module)
    assert queue.want(0, 5, False, taker=lambda work: True)  # who forgets it
    answers = [True, False, False]
    assert not queue.want(1, 5, False, taker=lambda work: answers.pop(0))
    assert answers == [] and queue.n_pending == 1
    assert queue.want(2, 1, False)
    assert soon(lambda: queue.is_idle)
    assert fates(queue) == [(0, "published"), (2, "published")]
    assert [level(module, i) for i in range(4)] == [1, 0, 1, 0]


def test_who_takes_back_what_he_asked_for_has_somebody_look_after_the_rest():
    """It was out of the list for a moment, in which whoever looked after it may have ended."""
    _, module, instance = guest()
    call_all(instance, 2)
    queue = queue_of(module)
    assert queue.want(0, 5, False, taker=lambda work: True)  # who forgets it
    works, answers = [], [True, False, True]

    def taker(work):
        taken = answers.pop(0)
        works[:] = [work] if taken and not answers else []
        return taken

    assert not queue.want(1, 5, False, taker=taker)
    (work,) = works
    while work():
        pass
    assert fates(queue) == [(0, "published")] and queue.is_idle
    assert [level(module, i) for i in range(2)] == [1, 0]


def test_what_was_expected_keeps_nobody_out_that_is_counted():
    """It has room of its own, before the thread has made it and after."""
    told, module, instance = guest(policy=lambda: Thresholds(2, 1, False, 2, call_bytes=1 << 20))
    call_all(instance, 6)
    lazy = module.code.lazy
    job = hold()
    module.code.expect(range(6))
    ask_at = [lazy.lift(index, 2, 0) for index in (6, 7, 8)]
    assert [(e.function, e.waiting) for e in drained(module, told)] == [(6, 0), (7, 1)]  # the third one found it full
    assert [level(module, i) for i in range(9)] == [0] * 6 + [-1] * 3 and ask_at == [4, 4, 4]
    job.job.left = 1
    assert soon(lambda: queue_of(module).is_idle)
    assert lazy.lift(8, 2, 0) == 4 and drained(module, told)[-1].waiting == 0


def drained(module, told):
    """What its functions have told: who was queued."""
    module.engine.bus.drain()
    return [e for e in told if isinstance(e, FunctionLiftQueued)]


def test_the_code_is_what_the_program_would_have_waited_for():
    """Byte for byte."""
    _, module, instance = guest()
    lazy = module.code.lazy
    before = call_all(instance)
    queue = queue_of(module)
    asked = range(0, 200, 7)
    for index in asked:
        queue.want(index, index, False)
    assert soon(lambda: queue.is_idle)
    sizes = {index: size for index, size, _, _, fate, _ in queue.outcomes() if FATES[fate] == "published"}
    assert sorted(sizes) == list(asked)
    for index, size in sizes.items():
        assert ctypes.string_at(lazy.table.code(index), size) == at_level_1(module, index)
    assert call_all(instance) == before


def test_nobody_asks_for_the_gil():
    """Functions are lifted while this thread never gives it up."""
    _, module, instance = guest()
    call_all(instance)
    queue = queue_of(module)
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(200)
        for index in range(100):
            assert queue.want(index, 1, False)
        end = time.monotonic() + 50
        while not queue.is_idle:
            assert time.monotonic() < end, "nobody compiles"
    finally:
        sys.setswitchinterval(interval)
    assert all(level(module, index) == 1 for index in range(100))


def test_few_functions_wait():
    """What is worth least makes room, whatever a policy asks for."""
    _, module, instance = guest()
    call_all(instance)
    queue = queue_of(module)
    job = hold()
    for index in range(FUNCTIONS):
        queue.want(index, 1000 + index, False)
    job.job.left = 1
    assert soon(lambda: queue.is_idle)
    found = fates(queue)
    assert [index for index, fate in found if fate == "crowded out"] == list(range(FUNCTIONS - 256))
    assert [index for index, fate in found if fate == "published"] == list(range(FUNCTIONS - 1, FUNCTIONS - 257, -1))


def test_who_is_late_changes_nothing():
    """Of two that lift the same function the first one wins."""
    _, module, instance = guest()
    call_all(instance, 3)
    lazy = module.code.lazy
    queue = queue_of(module)
    job = hold()
    queue.want(1, 5, False)
    lazy.lifting()._lift_now(lazy, 1)
    first = lazy.table.code(1)
    job.job.left = 1
    assert soon(lambda: queue.is_idle)
    assert fates(queue) == [(1, "late")]
    assert lazy.table.code(1) == first


def test_what_is_seen_of_a_function_that_waits_is_not_why_it_is_lifted():
    """The report says what it was asked for by, not what was thought of it at the last question."""
    _, module, instance = guest(policy=lambda: Thresholds(100, 1, False, most_waiting=1))
    call_all(instance, 3)
    lazy, job = module.code.lazy, hold()
    lifting = lazy.lifting()
    lifting.lift(lazy, 1, 100, 0)
    lifting.expect(lazy, [2])
    lifting.begin(lazy)
    for index, calls in ((1, 200), (2, 5)):
        lifting.lift(lazy, index, calls, 0)
    assert [v.reason for v in module.code.verdicts()] == ["few", "waits", "waits"]
    job.job.left = 1
    assert soon(lambda: queue_of(module).is_idle)
    assert [v.reason for v in module.code.verdicts()] == ["few", "calls", "profile"]


def test_a_function_of_which_level_1_is_not_made_is_given_up():
    """It is asked for once, and says so."""
    long = "(drop (i32.const 1))" * (1 << 17)
    policy = Thresholds(1, 1, False, call_bytes=1 << 30)
    told, module, instance = guest(f'(module (func (export "f0") {long}))', policy=lambda: policy)
    for _ in range(4):
        instance.exports.f0()
        assert soon(lambda: queue_of(module).is_idle)
    module.code.lazy.note_published()
    module.engine.bus.drain()
    assert [type(event) for event in told] == [FunctionLiftQueued, FunctionLiftDropped]
    assert DROPS[told[1].reason] == "refused"
    assert module.code.verdicts()[0].reason == "refused"


def test_others_have_half_of_the_room_for_code():
    """No module meets its limit for code that it could do without."""
    _, module, instance = guest()
    call_all(instance, 3)
    queue = queue_of(module)
    others = [execmem.CodeOwner() for _ in range(4)]
    for owner in others:  # each takes a chunk
        owner.publish(b"\xc3")
    try:
        execmem.limit_arena((2 * execmem.arena_usage()["chunks"] - 1) << 16)
        queue.want(1, 1, False)
        assert soon(lambda: queue.is_idle)
        assert fates(queue) == [(1, "no room")]
    finally:
        execmem.limit_arena(None)


# ---- what ends it ----


@pytest.mark.parametrize("how", ["gone", "closed"])
def test_nothing_is_made_for_no_instance(how):
    """When the last one is gone, or its store is closed, what waits is dropped; another one can have it again."""
    told, module, instance = guest()
    other = Linker(module.engine).instantiate(Store(module.engine), module)
    call_all(instance, 20)
    queue = queue_of(module)
    job = hold()
    for index in range(20):
        assert queue.want(index, 1, False)
    for each in (instance, other):
        if how == "closed":
            each.store.close()
    del instance, other, each
    gc.collect()
    job.job.left = 1
    assert soon(lambda: queue.is_idle)
    module.code.lazy.note_published()
    module.engine.bus.drain()
    assert {DROPS[event.reason] for event in told} == {"unwanted"} and len(told) == 20
    third = Linker(module.engine).instantiate(Store(module.engine), module)
    assert queue.want(3, 1, False)
    assert soon(lambda: queue.is_idle)
    assert level(module, 3) == 1 and third.exports.f3(1) is not None


def test_the_function_in_flight_is_given_up_as_well():
    """When the last instance goes; within a moment, however long it takes to compile."""
    text = f'(module (func (export "f0") (param i32) (result i32) {STEP * 20_000} (local.get 0)))'
    gc.collect()
    gc.freeze()  # what other tests left would take longer to look through than the function takes
    try:
        for _ in range(50):  # this thread may not have a processor in time
            _, module, instance = guest(text)
            instance.exports.f0(1)
            queue = queue_of(module)
            assert queue.want(0, 1, True)
            assert soon(lambda q=queue: q.task_state() == drill.RUNNING or q.is_idle)
            del instance
            gc.collect()
            assert soon(lambda q=queue: q.is_idle)
            if queue.n_stopped:
                break
    finally:
        gc.unfreeze()
        frozen.again()
    assert queue.n_stopped == 1
    assert fates(queue) == [(0, "unwanted")]


def test_a_closed_engine_has_nothing_made():
    """What waits stays at level 0, and open stores go on."""
    told, module, instance = guest(policy=lambda: Thresholds(1, 1, False))
    job = hold()
    before = call_all(instance, 10)
    assert queue_of(module).n_pending == 10
    assert {verdict.reason for verdict in module.code.verdicts()} == {"waits"}
    module.engine.close()
    job.job.left = 1
    assert call_all(instance, 10) == before
    module.engine.bus.drain()
    assert [level(module, i) for i in range(10)] == [0] * 10
    assert [DROPS[e.reason] for e in told if isinstance(e, FunctionLiftDropped)] == ["unwanted"] * 10


def test_a_module_goes_while_its_functions_are_lifted():
    """At once, or in a cycle that the collector finds."""
    text = program(40, 60)
    for turn in range(20):
        _, module, instance = guest(text, policy=lambda: Thresholds(1, 1, False))
        call_all(instance, 60)
        if turn % 2:
            cycle = [module, instance]
            cycle.append(cycle)
            del cycle
        del module, instance
        gc.collect()


def test_it_goes_on_after_a_fork_on_both_sides():
    """The queue is memory like any other; a thread begins with the next question."""
    _, module, instance = guest()
    call_all(instance, 50)
    lazy = module.code.lazy
    queue = queue_of(module)
    job = hold()
    for index in range(50):
        assert queue.want(index, 1, False)
    job.job.left = 1
    child = os.fork()
    lazy.note_published()
    good = soon(lambda: queue.is_idle) and all(level(module, i) == 1 for i in range(50))
    if child == 0:
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert good


# ---- in a program ----


def test_a_function_that_is_called_often_is_lifted_beside_the_program():
    """By another thread, which its events name; later calls run the new code."""
    told, module, instance = guest(policy=lambda: Thresholds(100, 1, False))
    expected = instance.exports.f1(1)
    for _ in range(100):
        assert instance.exports.f1(1) == expected
    assert soon(lambda: level(module, 1) == 1)
    assert soon(lambda: queue_of(module).is_idle)
    assert instance.exports.f1(1) == expected
    module.code.lazy.note_published()
    module.engine.bus.drain()
    assert [type(event) for event in told] == [FunctionLiftQueued, FunctionLifted]
    assert told[0].values() == (1, 100, 0, 0)
    assert told[1].function == 1 and told[1].code_bytes > 0 and told[1].ns > 0
    verdict = module.code.verdicts()[0]
    assert (verdict.function, verdict.level, verdict.reason, verdict.beside) == (1, 1, "calls", True)
    assert told[1].thread not in {0, *(thread.native_id for thread in threading.enumerate())}


def test_the_bytes_of_lifted_code_are_counted_once():
    """In the module's sum."""
    _, module, instance = guest()
    call_all(instance, 4)
    before, queue = module.code_bytes, queue_of(module)
    queue.want(2, 1, False)
    assert soon(lambda: queue.is_idle)
    grown = module.code_bytes - before
    assert grown == len(at_level_1(module, 2)) == module.code_bytes - before


def test_without_a_thread_the_program_waits():
    """And the policy knows."""
    limit_threads(0)
    seen = []

    class Asked(Thresholds):
        def decide(self, known):
            seen.append(known)
            return super().decide(known)

    told, module, instance = guest(policy=lambda: Asked(2, 1, False, calls_waited=4))
    for _ in range(5):
        instance.exports.f1(1)
    assert [(s.calls, s.beside) for s in seen] == [(2, False), (4, False)]
    module.engine.bus.drain()
    assert level(module, 1) == 1
    assert told[-1].thread == threading.get_native_id()


def test_a_number_of_calls_is_that_number_with_threads_as_well():
    """``lift_after`` waits for each function."""
    engine = Engine(tier="auto", lift_after=3, threads=2)
    module = Module(program(4, 2), engine=engine)
    instance = Linker(engine).instantiate(Store(engine), module)
    for _ in range(2):
        instance.exports.f1(1)
    assert level(module, 1) == 0
    instance.exports.f1(1)
    assert level(module, 1) == 1
    assert queue_of(module) is None


def test_few_modules_have_a_worker_for_it():
    """The ones that asked last; what waited for the others stays at level 0 for the time being."""
    guests = [guest(program(1, 2), policy=lambda: Thresholds(1, 1, False)) for _ in range(12)]
    for _, _, instance in guests:
        instance.exports.f0(1)
    assert sum(module.code.lazy.lifting()._queue is not None for _, module, _ in guests) <= 8
    for _, module, instance in guests:
        for _ in range(4):
            instance.exports.f0(1)
        assert soon(lambda m=module: level(m, 0) == 1)


@pytest.mark.parametrize("seed", range(3))
def test_results_traps_and_fuel_do_not_depend_on_when(seed):
    """Functions change their level in the middle of a program."""
    from tests.unit.ir import small_functions

    def outcomes(**options):
        engine = Engine(fuel=True, threads=2, **options)
        module = Module(small_functions.module(seed), engine=engine)
        found = []
        for arguments in small_functions.ARGUMENTS * 3:
            store = Store(engine, fuel=1 << 40)
            exports = Linker(engine).instantiate(store, module).exports
            try:
                found.append((exports.run(*arguments), store.fuel))
            except stratavm.Trap as trap:
                found.append((str(trap), trap.frames, store.fuel))
        return found

    assert outcomes(tier="auto", services={Policy: Thresholds(1, 1, False)}) == outcomes(tier="jit0")
