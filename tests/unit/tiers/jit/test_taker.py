"""Claims about executors of an embedder's that do background work: what they do is done, what they fail to do is not
missed, and nothing waits for them."""

import concurrent.futures
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest

from stratavm import Engine, Linker, Module, Store
from stratavm.base.budget import Budget, Stopped, check
from stratavm.native import background
from stratavm.testing import InlineExecutor
from stratavm.tiers.jit import lazy
from stratavm.tiers.jit.lift_events import FunctionLifted
from stratavm.tiers.policy import Policy, Thresholds
from stratavm.tiers.tier import CompileExecutor, ThreadExecutor
from tests.torture.ahead import fork
from tests.unit.native import drill
from tests.unit.native.drill import soon
from tests.unit.native.test_queue import calls, queue_of

pytestmark = pytest.mark.skipif(not drill.POSSIBLE, reason="a piece in the trace build wants the GIL")

ROOT = Path(__file__).resolve().parents[4]
FUNCTIONS = 60


@pytest.fixture(autouse=True)
def no_helpers(monkeypatch):
    """Nobody but the executor does anything, from the first function on."""
    monkeypatch.setattr(lazy, "BEGIN_AT", (1, 1))
    background.limit_threads(0)
    yield
    background.limit_threads(None)


class Executor(ThreadExecutor):
    """Takes work, and does nothing with it. Attributes: ``works`` are those that it took."""

    def __init__(self):
        super().__init__()
        self.works = []

    def submit(self, work):
        """Keep it."""
        self.works.append(work)
        return True

    def do_all(self):
        """Call them all until nothing is left."""
        for work in self.works:
            while work():
                pass


class Raising(Executor):
    """Raises each time. Attributes: ``error`` is what."""

    error = ValueError

    def submit(self, work):
        """Raise it."""
        super().submit(work)
        raise self.error("no")


class Refusing(Executor):
    """Has no time."""

    def submit(self, work):
        """Not today."""
        super().submit(work)
        return False


class Forgetting(Executor):
    """Says nothing."""

    def submit(self, work):
        """A result is missing here."""
        self.works.append(work)


class Dropping(Executor):
    """Takes work and loses it. Attributes: ``count`` of it."""

    count = 0

    def submit(self, work):
        """Keep nothing."""
        self.count += 1
        return True


class Lying(Executor):
    """Does it, and says that it does not."""

    def submit(self, work):
        """Here."""
        while work():
            pass
        return False


class Twice(Executor):
    """Has it done by two threads at once, over and over."""

    def submit(self, work):
        """Here and there."""
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        self.works += [work, work]
        return True


class Pool(Executor):
    """A pool of threads. Attributes: ``threads`` are the kernel's numbers of those that worked."""

    def __init__(self):
        super().__init__()
        self.pool = concurrent.futures.ThreadPoolExecutor(2)
        self.threads = set()

    def submit(self, work):
        """One call, and behind what else the pool has to do another one."""
        self.pool.submit(self.turn, work)
        return True

    def turn(self, work):
        """A call."""
        self.threads.add(threading.get_native_id())
        if work():
            self.submit(work)


def guest(executor, text=None, after=2, **options):
    """A module whose functions are lifted after few calls, and an instance."""
    services = {CompileExecutor: executor, Policy: Thresholds(after, 1, False, calls_waited=after)}
    engine = Engine(**{"tier": "auto", "threads": 2, "services": services, **options})
    module = Module(text or calls(FUNCTIONS), engine=engine)
    return module, Linker(engine).instantiate(Store(engine), module)


def results(instance, rounds=4):
    """Of all functions, called often enough to be lifted."""
    return [[instance.exports[f"f{i}"](n) for i in range(FUNCTIONS)] for n in range(rounds)]


@pytest.fixture(scope="module")
def expected():
    """The same without anybody in the background."""
    background.limit_threads(0)
    engine = Engine(tier="jit0", threads=1)
    return results(Linker(engine).instantiate(Store(engine), Module(calls(FUNCTIONS), engine=engine)))


def levels(module):
    """Of all functions, -1 without code."""
    return [module.code.lazy.table.level(i) for i in range(FUNCTIONS)]


def all_lifted(module):
    """Whether all functions have code of level 1, once those who did it were heard."""
    module.code.lazy.note_published()
    return set(levels(module)) == {1}


# ---- that it is done ---------------------------------------------------------------------------


def test_a_pool_of_the_embedders_does_it(expected):
    """What is called next is compiled ahead, and what runs much again, on its threads and no others."""
    executor = Pool()
    before = background.helper_status()["starts"]
    module, instance = guest(executor)
    told = []
    module.engine.bus.subscribe(FunctionLifted, told.append)
    assert results(instance) == expected
    assert soon(lambda: all_lifted(module))
    module.engine.bus.drain()
    assert {event.thread for event in told} <= executor.threads and len(told) == FUNCTIONS
    assert threading.get_native_id() not in executor.threads
    assert background.helper_status()["starts"] == before
    assert results(instance) == expected


def test_callees_are_ready_when_an_executor_did_them_at_once():
    """On the thread that asked: nothing of it depends on time."""
    executor = InlineExecutor()
    module, instance = guest(executor, tier="jit0")
    assert instance.exports.f0(1) == 7 and executor.submits == 1
    assert levels(module) == [0] * FUNCTIONS


def test_a_verdict_says_what_was_made_before_it_was_called():
    """By whoever does background work, at level 0 ahead of a call and at level 1 beside it."""
    module, instance = guest(InlineExecutor())
    instance.exports.f0(1)
    origins = {verdict.origin for verdict in module.code.verdicts() if verdict.function}
    assert module.code.verdicts()[0].origin == "here" and origins == {"ahead"}
    instance.exports.f0(1)
    assert "beside" in {verdict.origin for verdict in module.code.verdicts() if verdict.level == 1}


def test_nobody_asks_for_the_gil_in_a_call():
    """Hundreds of functions are compiled and published in one while this thread never gives it up."""
    count, executor = 300, Executor()
    compiler, queue, table = queue_of(calls(count))
    begun = threading.Event()

    def work():
        begun.set()
        executor.do_all()

    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(200)
        with compiler.worker() as worker:
            compiler.compile(0, worker)
            assert queue.add_callees(worker, 0, executor.submit) and len(executor.works) == 1
        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()  # it has the GIL until it begins to compile
        end = time.monotonic() + 60
        while queue.n_made < count - 1:
            assert time.monotonic() < end, "nobody compiles"
    finally:
        sys.setswitchinterval(interval)
    thread.join(60)
    assert queue.is_idle and all(table.code(index) for index in range(1, count))


def test_work_may_be_left_to_the_threads_of_the_process(expected):
    """As an executor does that only wants to know of it; where there are none it is told so, and may do it itself."""

    class Counting(Executor):
        def submit(self, work):
            super().submit(work)
            return work.begin() or self.here(work)

        def here(self, work):
            self.did = True
            return not work()

    executor = Counting()
    background.limit_threads(1)
    module, instance = guest(executor)
    before = background.helper_status()["pieces"]
    assert results(instance) == expected
    assert soon(lambda: all_lifted(module))
    assert executor.works and background.helper_status()["pieces"] > before and not hasattr(executor, "did")
    background.limit_threads(0)
    module, instance = guest(executor, tier="jit0")
    assert instance.exports.f0(1) == 7 and executor.did
    assert levels(module) == [0] * FUNCTIONS


def test_an_executor_without_the_method_leaves_it_to_them(expected):
    """As those do that are older."""

    class Older:
        def run(self, work, threads):
            work()

    background.limit_threads(1)
    module, instance = guest(Older())
    assert module.code.lazy.taker is None
    assert results(instance) == expected
    assert soon(lambda: all_lifted(module))


def test_one_that_inherits_from_the_port_leaves_it_to_them():
    """Its own method says so."""

    class Mine(CompileExecutor):
        def run(self, work, threads):
            work()

    background.limit_threads(1)
    module, instance = guest(Mine(), tier="jit0")
    assert instance.exports.f0(1) == 7
    assert soon(lambda: levels(module) == [0] * FUNCTIONS)


def test_an_engine_of_one_thread_asks_nobody(expected):
    """Nor does one whose numbers of calls are exact."""
    for options in ({"threads": 1}, {"lift_after": 2, "services": {CompileExecutor: (executor := InlineExecutor())}}):
        executor = InlineExecutor() if "services" not in options else executor
        module, instance = guest(executor, **options)
        module.code.lazy._ahead = False
        assert results(instance) == expected
        assert executor.submits == 0 and all_lifted(module)


def test_a_budget_is_not_lost_to_work_that_is_done_in_it():
    """Nor does that end by it."""
    compiler, queue, _ = queue_of(calls(FUNCTIONS))
    executor = InlineExecutor()
    with Budget() as budget, compiler.worker() as worker:
        compiler.compile(0, worker)
        budget.stop()
        assert queue.add_callees(worker, 0, executor.submit)
        with pytest.raises(Stopped):
            check()
    assert queue.n_made == FUNCTIONS - 1


# ---- that nothing is missed --------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Executor, Dropping, Lying, Refusing, Twice, Pool])
@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_results_do_not_depend_on_an_executor(kind, tier, expected):
    """Whatever it does with the work, at once or afterwards, and whether or not its engine is open."""
    executor = kind()
    module, instance = guest(executor, tier=tier)
    assert results(instance) == expected
    executor.do_all()
    assert results(instance) == expected
    module.engine.close()
    executor.do_all()
    assert results(instance) == expected


def test_one_that_has_no_time_is_asked_again_and_the_program_waits_meanwhile(expected):
    """Each function is lifted where it is called, as on one processor."""
    executor = Refusing()
    module, instance = guest(executor)
    assert results(instance) == expected
    assert all_lifted(module)
    assert len(executor.works) > FUNCTIONS
    assert {verdict.beside for verdict in module.code.verdicts()} == {False}
    executor.do_all()  # what it kept of that does nothing
    assert module.code.lazy._queue.n_made == 0


@pytest.mark.parametrize(("kind", "error"), [(Raising, "no"), (Forgetting, "None")])
def test_one_that_raises_is_told_of_once_and_asked_no_more(kind, error, expected, monkeypatch):
    """Nothing of it comes to the guest."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    executor = kind()
    module, instance = guest(executor)
    assert results(instance) == expected and all_lifted(module)
    assert len(executor.works) == 1 and len(told) == 1
    assert error in str(told[0].exc_value) and told[0].object == executor.submit


@pytest.mark.parametrize("kind", [Raising, Forgetting])
def test_the_usual_hook_prints_what_one_raises(kind, expected, monkeypatch, capsys):
    """It takes an object of Python's own alone; nothing of that comes to the guest."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    module, instance = guest(kind())
    assert results(instance) == expected and all_lifted(module)
    assert capsys.readouterr().err.count("Exception ignored in: <bound method") == 1


def test_ctrl_c_in_an_executor_comes_out_and_nothing_is_lost(expected):
    """Whoever called the guest has it; the next call does what was left."""
    executor = Raising()
    executor.error = KeyboardInterrupt
    module, instance = guest(executor)
    for i in range(3):
        with pytest.raises(KeyboardInterrupt):
            instance.exports.f0(i)
    executor.error = ValueError
    executor.submit = None
    module.code.lazy.taker = InlineExecutor().submit
    assert results(instance) == expected and all_lifted(module)


def test_what_was_taken_is_not_asked_for_twice():
    """However much comes to it meanwhile; when it was called, or was lost, the next is asked for anew."""
    compiler, queue, _ = queue_of(calls(FUNCTIONS))
    executor, dropping = Executor(), Dropping()
    with compiler.worker() as worker:
        compiler.compile(0, worker)
        for _ in range(5):
            assert queue.add_callees(worker, 0, executor.submit)
        assert len(executor.works) == 1 and executor.works[0].waits
        executor.do_all()
        assert queue.n_made == FUNCTIONS - 1 and not executor.works[0].waits
        assert queue.add_callees(worker, 0, executor.submit) is False, "all of them are compiled"
        queue.look_after(executor.submit)
        assert len(executor.works) == 2
        executor.works.clear()
        for _ in range(3):
            assert queue.look_after(dropping.submit)
        assert dropping.count == 3


def test_what_is_given_up_is_not_begun_again_by_who_has_it():
    """Stopped work goes on where somebody asks for it."""
    compiler, queue, _ = queue_of(calls(FUNCTIONS))
    executor = Executor()
    with compiler.worker() as worker:
        compiler.compile(0, worker)
        queue.add_callees(worker, 0, executor.submit)
        queue.stop()
        assert not executor.works[0]() and queue.n_made == 0
        queue.look_after(executor.submit)
        executor.do_all()
    assert queue.n_made == FUNCTIONS - 1 and len(executor.works) == 2


def test_each_function_is_made_once_by_threads_that_call_at_once():
    """One of them does it, the others have nothing to do."""
    compiler, queue, _ = queue_of(calls(FUNCTIONS * 5))
    executor = Executor()
    with compiler.worker() as worker:
        compiler.compile(0, worker)
        queue.add_callees(worker, 0, executor.submit)
    threads = [threading.Thread(target=executor.do_all) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert sorted(index for index, _, _ in queue.drain()) == list(range(1, FUNCTIONS * 5))


# ---- that nothing waits for it -----------------------------------------------------------------


def test_work_keeps_nothing_alive():
    """Of a module that is gone nothing is left to do."""
    executor = Executor()
    module, instance = guest(executor, tier="jit0")
    assert instance.exports.f0(1) == 7
    [work] = executor.works
    code = module.code.lazy
    watched = [weakref.ref(each) for each in (code, code._queue, code.owner)]
    del module, instance, code
    gc.collect()
    assert [each() for each in watched] == [None] * 3
    assert not work() and not work.begin()


def test_closing_an_engine_ends_a_call_and_later_ones_do_nothing():
    """Within a moment, though a function of that length takes a while."""
    long = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 3)))" * 20_000
    text = f'(module (func (export "f0") (param i32) (result i32) {long} (local.get 0)))'
    executor = Executor()
    for _ in range(20):  # this thread may not have a processor in time
        module, instance = guest(executor, text)
        instance.exports.f0(1)
        queue = module.code.lazy.lifting().queue(module.code.lazy)
        assert queue.want(0, 1, True, taker=executor.submit)
        thread = threading.Thread(target=executor.do_all)
        thread.start()
        assert soon(lambda q=queue: q.task_state() in (drill.RUNNING, drill.IDLE))
        module.engine.close()
        thread.join(60)
        assert not thread.is_alive() and queue.is_idle
        executor.do_all()
        if queue.n_stopped:
            break
    assert queue.n_stopped == 1 and queue.n_made == 0


def test_a_forked_child_does_what_its_parent_had_taken(expected):
    """With the work that it finds, on a thread of its own; and asks anew, since no thread of the parent's is there."""
    executor = Executor()
    module, instance = guest(executor)
    assert instance.exports.f0(1) == 7 and len(executor.works) == 1

    def child():
        assert not executor.works[0].waits
        right = results(instance) == expected and len(executor.works) > 1
        executor.do_all()
        return right and all_lifted(module)

    fork(child)
    executor.do_all()
    assert results(instance) == expected


def test_forks_while_pools_work(expected):
    """Neither side misses anything."""
    for tier in ("jit0", "auto"):
        executor = Pool()
        for _ in range(10):
            _, instance = guest(executor, tier=tier)
            instance.exports.f0(1)
            fork(lambda instance=instance: results(instance) == expected)
            assert results(instance) == expected


@pytest.mark.parametrize("kind", ["Executor", "Pool", "Twice", "Endless", "Raising"])
def test_the_interpreter_ends_with_work_in_flight(kind):
    """And without a word, but for one that raises, whatever its threads do then."""
    code = f"""
import sys, threading
from tests.unit.tiers.jit import test_taker as tests

class Endless(tests.Executor):
    def submit(self, work):
        super().submit(work)
        if threading.active_count() < 4:
            threading.Thread(target=self.turn, daemon=True).start()
        return True

    def turn(self):
        while True:
            for work in self.works[-3:]:
                work()

tests.Endless = Endless
tests.background.limit_threads(0)
tests.lazy.BEGIN_AT = (1, 1)
sys.setswitchinterval(1e-5)
if "{kind}" == "Raising":
    sys.unraisablehook = lambda error: None
for tier in ("jit0", "auto"):
    module, instance = tests.guest(tests.{kind}(), tests.calls(150), tier=tier, after=1)
    for n in range(3):
        instance.exports.f0(n)
print("end")
"""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "STRATA_CACHE": "off"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
