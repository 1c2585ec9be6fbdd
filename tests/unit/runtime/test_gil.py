"""Claims about the GIL under a running guest: who computes lets go of it, who calls Python often keeps it, and nobody
is starved.
"""

import ctypes
import gc
import threading

import pytest

from stratavm import Engine, Interrupted, Linker, Module, Store
from stratavm.runtime.gil import gil_status

from .test_process import prints

SOURCE = """(module (import "env" "f" (func $f (param i32) (result i32)))
  (func $work (param $turns i32)
    (loop (br_if 0 (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func (export "talk") (param $calls i32) (param $turns i32)
    (loop
      (call $work (local.get $turns))
      (drop (call $f (local.get $calls)))
      (br_if 0 (local.tee $calls (i32.sub (local.get $calls) (i32.const 1))))))
  (func (export "talk_for_ever")
    (loop (call $work (i32.const 1000)) (drop (call $f (i32.const 1))) (br 0)))
  (func (export "compute") (param $turns i32) (call $work (local.get $turns))))
"""
TICKS = 3


def exports_with(function, **options):
    """Of a new store, with ``function`` as what the guest calls."""
    engine = Engine(tier="jit0")  # one that lifts functions is asked about them, which counts as a call of the host
    linker = Linker(engine)
    linker.define("env", "f", function)
    return linker.instantiate(Store(engine, **options), Module(SOURCE, engine)).exports


def in_a_new_thread(work):
    """What ``work()`` returns in a thread that has run no guest before."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join(60)
    return results[0]


@pytest.mark.parametrize("function", [lambda x: x, abs], ids=["python", "c"])
def test_a_guest_that_calls_the_host_often_keeps_the_gil(function):
    """Who wants the GIL gets it where the interpreter switches threads; to let go of it on top would cost a wait."""
    talk = exports_with(function).talk
    talk(1, 1)

    def work():
        while gil_status()["worked_ticks"] < TICKS:
            talk(400, 100_000)
        return gil_status()

    for _ in range(20):  # on a busy machine two ticks may come in a row, with no call between them
        status = in_a_new_thread(work)
        assert status["host_calls"] >= 400
        if status["releases"] == 0:
            return
    pytest.fail("the GIL was let go of each time")


def test_a_guest_that_computes_lets_go_of_the_gil():
    """At the first tick of each call, or before, in its turn."""
    compute = exports_with(abs).compute
    compute(1)  # compiles, which needs the GIL

    def work():
        turns = 1
        while gil_status()["releases"] < TICKS:
            turns = min(2 * turns, 1 << 24)
            compute(turns)
        return gil_status()

    status = in_a_new_thread(work)
    assert status["releases"] == status["worked_ticks"] + status["turns"]
    assert status["host_calls"] == 0


@pytest.mark.parametrize("function", [lambda x: x, abs], ids=["python", "c"])
def test_a_guest_that_talks_for_ever_starves_nobody(function):
    """Though functions in C give the interpreter no opportunity to switch threads: ticks do."""
    exports = exports_with(function)
    store = exports.talk.store

    def work():
        while not store.busy:
            pass
        for _ in range(100_000):
            pass
        store.interrupt()

    thread = threading.Thread(target=work)
    thread.start()
    with store.deadline(60), pytest.raises(Interrupted):
        exports.talk_for_ever()
    thread.join(60)


@pytest.fixture
def no_collection():
    """Nothing is collected by the way: an exception that comes inside a finaliser is lost."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.trace_slow  # what comes inside the tracer is lost
def test_an_exception_sent_to_a_thread_ends_its_guest(no_collection):
    """As it would end Python code, also where the host functions are in C."""
    exports = exports_with(abs)
    ended = []

    def work():
        try:
            with exports.talk.store.deadline(60):
                exports.talk_for_ever()
        except BaseException as error:
            ended.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    while not exports.talk.store.busy:
        pass
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(LookupError)) == 1
    thread.join(60)
    assert ended == [LookupError]


@pytest.mark.trace_slow  # at the recursion limit the tracer itself has no room
def test_a_tick_where_python_cannot_call_anything_more_is_left_out():
    """At the recursion limit there is no room for what a tick calls, and the guest is not to blame."""
    compute = exports_with(abs).compute
    tick = compute.store.request_tick
    begun, ended = [], []

    def dive():
        begun.append(tick())
        compute(1)
        ended.append(1)
        dive()

    with pytest.raises(RecursionError):
        dive()
    assert len(ended) == len(begun) > 100
    compute(1)


GUESTS = """
import sys, threading
from stratavm import Engine, Interrupted, Linker, Module, Store
from stratavm.runtime.gil import gil_status
from stratavm.runtime.ticker import ticker_status
engine = Engine(tier="jit0")
module = Module('(module (func (export "spin") (loop (br 0))) (func (export "work") (param i32) (loop'
    '(br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))', engine)
def guest():
    store = Store(engine)
    exports = Linker(engine).instantiate(store, module).exports
    exports.work(1)  # it is compiled
    return exports
"""
SLOWLY = """
sys.setswitchinterval(1.0)  # nobody asks for the GIL, and no tick comes, for a second
exports = guest()
exports.work.store.request_tick()
exports.work(1)  # the ticker has heard of that
"""
CHAIN = """
def spin(exports, seen):
    seen.append(ticker_status()["ticks"])
    try:
        with exports.spin.store.deadline(60):
            exports.spin()
    except Interrupted:
        pass
def waited(count):  # ticks, until so many threads that run for ever have all entered their guests
    guests, seen = [guest() for _ in range(count)], []
    threads = [threading.Thread(target=spin, args=(exports, seen)) for exports in guests]
    for thread in threads:
        thread.start()
    while not all(exports.spin.store.busy for exports in guests):
        pass
    for exports in guests:
        exports.spin.store.interrupt()
    for thread in threads:
        thread.join()
    return max(seen) - min(seen)
tries = (waited({count}) for _ in range(5))  # on a busy machine a second may pass
print(next((0 for ticks in tries if ticks == 0), "ticks"))
"""


@pytest.mark.trace_slow  # a tracer lets go of the GIL where nothing else does
@pytest.mark.parametrize("count", [2, 6])
def test_guests_in_other_threads_wait_for_no_tick(count):
    """Each that computes gives the next one its turn; they waited for one to two ticks each."""
    assert prints(GUESTS + SLOWLY + CHAIN.replace("{count}", str(count))) == "0"


def test_where_only_the_main_thread_runs_guests_nobody_is_watched():
    """Its entries cost what they did, and nobody else has a turn."""
    work = """
exports.work(1)
while ticker_status()["ticks"] < 5:
    exports.work(1_000_000)
print(ticker_status()["watches"], gil_status()["turns"], ticker_status()["state"])
"""
    assert prints(GUESTS + "exports = guest()\n" + work) == "0 0 ticking"


@pytest.mark.trace_slow  # a tracer lets go of the GIL where nothing else does
def test_turns_that_are_dear_are_left_out():
    """Beside a thread that runs Python all the time each costs a switch interval, which a call of a millisecond is not
    worth; beside one that rests they are free, and given again."""
    work = """
import time
exports, is_over, rests, wanted = guest(), False, False, lambda: False
def work():
    while not wanted():
        exports.work(n)
def beside():
    while not is_over:
        time.sleep(0.001) if rests else sum(range(100))
def phases():
    global wanted, rests, is_over
    wanted = lambda: gil_status()["left_out"] >= 4
    work()
    rests, turns = True, gil_status()["turns"]
    wanted = lambda: gil_status()["left_out"] == 0 and gil_status()["turns"] > turns
    work()
    is_over = True
n, begin = 500_000, time.thread_time()
exports.work(n)
n = int(n * 0.001 / (time.thread_time() - begin))  # a millisecond
threads = [threading.Thread(target=target) for target in (beside, phases)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("ok")
"""
    assert prints(GUESTS + work) == "ok"
