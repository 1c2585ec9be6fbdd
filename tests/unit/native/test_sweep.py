"""Claims about compiling all of a module on several threads that know nothing of Python."""

import ctypes
import sys
import threading
import time

import pytest

import stratavm
from stratavm.base.budget import Budget
from stratavm.native.background import limit_threads
from stratavm.native.compile import DEFAULT
from stratavm.tiers.events import FunctionCompiled
from stratavm.tiers.jit.eager import sweep
from stratavm.tiers.jit.tier import JitModule
from tests.unit.native.test_queue import LEVEL_1, SOON, by_level, calls, program_of

COUNT = 600


@pytest.fixture(autouse=True)
def three_threads():
    """Two of them help, however many processors there are; not in the trace build."""
    if not limit_threads(2):
        pytest.skip("no thread without Python in this build")
    yield
    limit_threads(None)


def codes(module, indices):
    """Machine code by index."""
    sizes = {index: len(module.lazy.compiler.compile(index)) for index in indices}
    return {i: ctypes.string_at(module.lazy.table.code(i), size) for i, size in sizes.items()}


@by_level
def test_the_code_does_not_depend_on_the_number_of_threads(options):
    """It is what the functions have one by one."""
    found = []
    for threads in (1, 3):
        module = JitModule(program_of(calls(COUNT)), options, None)
        costs = module.compile_all(threads)
        assert len(costs.times_ns) == COUNT and costs.code_bytes == module.code_bytes
        found.append(codes(module, range(COUNT)))
    assert found[0] == found[1]
    assert found[0] == {i: module.lazy.compiler.compile(i).code for i in range(COUNT)}


def test_each_function_is_reported_once():
    """In the events as well."""
    module = stratavm.Module(calls(COUNT), engine=stratavm.Engine(threads=3))
    found = []
    module.engine.bus.subscribe(FunctionCompiled, lambda event: found.append(event.function))
    assert module.compile_all().functions == COUNT
    assert sorted(found) == list(range(COUNT))


@by_level
def test_nobody_asks_for_the_gil(options):
    """All is compiled and published beside a thread that never gives it up."""
    module = JitModule(program_of(calls(COUNT)), options, None)
    ready = threading.Event()

    def work():
        ready.set()
        sweep(module.lazy, range(COUNT), 3)

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(0.05)  # until it has begun
        thread.start()
        ready.wait()
        while not any(map(module.lazy.table.code, range(COUNT))):
            time.sleep(0)
        sys.setswitchinterval(4 * SOON)
        end = time.monotonic() + SOON
        while not all(map(module.lazy.table.code, range(COUNT))) and time.monotonic() < end:
            pass
        assert all(map(module.lazy.table.code, range(COUNT)))
    finally:
        sys.setswitchinterval(interval)
        thread.join()


def test_what_is_long_is_left():
    """The rest is published, and what is left is compiled behind it."""
    long = f"(func (param i32) (result i32) {'(drop (i32.const 1))' * 30_000} (i32.const 1))"
    module = JitModule(program_of(calls(COUNT, {7: long, 400: long})), DEFAULT, None)
    batch = sweep(module.lazy, range(COUNT), 3)
    assert sorted(batch.indices) == [7, 400]
    assert [i for i in range(COUNT) if not module.lazy.table.code(i)] == [7, 400]
    assert len(batch.times_ns) == COUNT - 2
    assert set(module.compile_all(3).times_ns) == {7, 400}


def test_an_end_in_the_middle_leaves_nobody_at_work():
    """What was published stays, and the rest is compiled afterwards."""
    module = JitModule(program_of(calls(COUNT)), LEVEL_1, None)
    for seconds in (0.0, 0.001, 0.01):
        try:
            with Budget(seconds):
                module.compile_all(3)
        except stratavm.DeadlineExceeded:
            before = module.lazy.table.n_compiled
            time.sleep(0.01)
            assert module.lazy.table.n_compiled == before
    module.compile_all(3)
    assert module.lazy.table.n_compiled == COUNT
