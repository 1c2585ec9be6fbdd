"""Claims about the GIL under a running guest: who computes lets go of it, who calls Python often keeps it, and nobody
is starved.
"""

import ctypes
import gc
import threading

import pytest

from stratavm import Engine, Interrupted, Linker, Module, Store
from stratavm.runtime.gil import gil_status

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
    """At the first tick of each call."""
    compute = exports_with(abs).compute
    compute(1)  # compiles, which needs the GIL

    def work():
        turns = 1
        while gil_status()["worked_ticks"] < TICKS:
            turns *= 2
            compute(turns)
        return gil_status()

    status = in_a_new_thread(work)
    assert status["releases"] == status["worked_ticks"]
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
