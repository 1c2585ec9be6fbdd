"""Claims about functions that are compiled ahead, on threads without Python: what comes out, who asks for the GIL, and
that nothing is lost with the module."""

import ctypes
import gc
import sys
import time

import pytest

import stratavm
from stratavm.ir.pipeline import LEVELS
from stratavm.module.decode import decode
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.validate import validate
from stratavm.native import execmem
from stratavm.native.background import limit_threads
from stratavm.native.compile import DEFAULT, MACHINE_LEVELS, Options, wasm_compiler
from stratavm.native.execmem import CodeOwner
from stratavm.native.queue import CallQueue
from stratavm.runtime import codemap
from stratavm.runtime.codetable import CodeTable
from stratavm.tiers.events import FunctionCompiled
from stratavm.tiers.jit import lazy
from tests.unit.ir import small_functions

LEVEL_1 = Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])
SOON = 60
"""Seconds in which some functions are compiled, on a machine with other things to do."""
TOO_LARGE = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 5)) (i32.const 3)))" * 30
"""Instructions of a function that is not inlined."""

by_level = pytest.mark.parametrize("options", [DEFAULT, LEVEL_1], ids=["level 0", "level 1"])


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """It compiles from the first call on, however many processors there are; not in the trace build."""
    monkeypatch.setattr(lazy, "BEGIN_AT", (1, 1))
    if not limit_threads(1):
        pytest.skip("no thread without Python in this build")
    yield
    limit_threads(None)


def calls(count, bodies=None):
    """A module whose function 0 calls all others; ``bodies``: other text for some of them."""
    bodies = bodies or {}
    head = f"(param i32) (result i32) {TOO_LARGE}"
    others = "".join(
        bodies.get(i, f'(func (export "f{i}") {head} (i32.mul (local.get 0) (i32.const {i})))') for i in range(1, count)
    )
    all_of_them = "".join(f"(drop (call {i} (local.get 0)))" for i in range(1, count))
    return f'(module (func (export "f0") (param i32) (result i32) {all_of_them} (i32.const 7)) {others})'


def program_of(text):
    """A valid module."""
    return validate(decode(parse_wat_to_bytes(text)))


def queue_of(text, options=DEFAULT):
    """A compiler, its queue, and the table that it fills."""
    valid = program_of(text)
    compiler, owner = wasm_compiler(valid, options), CodeOwner("m")
    table = CodeTable(len(valid.module.functions), owner.serial)
    return compiler, CallQueue(compiler._new_worker(), compiler.front, owner, table), table


def ask_for_callees(compiler, queue, index=0):
    """As at a first call."""
    with compiler.worker() as worker:
        compiler.compile(index, worker)
        return queue.add_callees(worker, index)


def until(condition):
    """Wait, without a pause for those who want the GIL."""
    end = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < end, "nobody compiles"


@by_level
def test_callees_have_the_code_that_they_have_at_their_first_call(options):
    """Published where the table says; each is told of once."""
    compiler, queue, table = queue_of(small_functions.module(3), options)
    for index in range(table.count):
        ask_for_callees(compiler, queue, index)
    known = set()
    for _ in range(3):
        until(lambda: queue.is_idle)
        for index, size, ns in queue.drain():
            assert index not in known and ns > 0
            known.add(index)
            assert ctypes.string_at(table.code(index), size) == compiler.compile(index).code
    assert known
    assert queue.drain() == [] and not queue.has_reports


@by_level
def test_nobody_asks_for_the_gil(options):
    """A whole queue is compiled and published while this thread never gives it up."""
    count = 300
    compiler, queue, table = queue_of(calls(count), options)
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(4 * SOON)
        assert queue.n_made == 0 and ask_for_callees(compiler, queue)
        until(lambda: queue.is_idle)
        assert queue.n_made == count - 1
    finally:
        sys.setswitchinterval(interval)
    assert all(table.code(index) for index in range(1, count))


def test_calls_of_calls_come_too_and_no_further():
    """Three levels of what is not called yet."""
    chain = "".join(f"(func (call {i + 1}) (call {i + 1}))" for i in range(6))
    compiler, queue, table = queue_of(f"(module {chain} (func))")
    ask_for_callees(compiler, queue)
    until(lambda: queue.is_idle)
    assert [i for i in range(7) if table.code(i)] == [1, 2, 3]


def test_long_functions_wait_for_their_call():
    """They may never be called."""
    long = f"(func (param i32) (result i32) {'(drop (i32.const 1))' * 2000} (i32.const 1))"
    compiler, queue, table = queue_of(calls(4, {2: long}))
    ask_for_callees(compiler, queue)
    until(lambda: queue.is_idle)
    assert [i for i in range(4) if table.code(i)] == [1, 3]


def test_nobody_is_woken_for_what_is_too_long():
    """Of the callees of one function all are, of those of another but one."""
    long = f"(func (param i32) (result i32) {'(drop (i32.const 1))' * 2000} (i32.const 1))"
    for count, bodies, woken in ((2, {1: long}, False), (3, {1: long, 2: long}, False), (3, {2: long}, True)):
        compiler, queue, table = queue_of(calls(count, bodies))
        assert ask_for_callees(compiler, queue) == woken
        until(lambda queue=queue: queue.is_idle)
        assert bool(table.code(1)) == woken


def test_it_stops_and_goes_on():
    """At any moment; what was asked for meanwhile is not forgotten."""
    compiler, queue, table = queue_of(calls(400))
    ask_for_callees(compiler, queue)
    for _ in range(20):
        queue.stop()
        made = queue.n_made
        time.sleep(0.001)
        assert queue.n_made == made, "it goes on after it was stopped"
        ask_for_callees(compiler, queue)
    until(lambda: queue.is_idle)
    assert all(table.code(i) for i in range(1, 400))


def test_the_first_result_wins():
    """Of two that compile the same function: nobody is told of the other."""
    compiler, queue, table = queue_of(calls(60))
    table.publish(5, 0, 0x1234)
    ask_for_callees(compiler, queue)
    until(lambda: queue.is_idle)
    assert table.code(5) == 0x1234
    assert sorted(index for index, _, _ in queue.drain()) == [i for i in range(1, 60) if i != 5]


def test_a_result_that_is_late_changes_nothing():
    """It was begun when nobody had one. Whose code is in a slot stays there, and who came late is not told of it."""
    late = 0
    for turn in range(200):
        compiler, queue, table = queue_of(calls(100))
        ask_for_callees(compiler, queue)
        for _ in range(turn % 20 * 200):
            pass  # so that it is anywhere in its work
        won = {i for i in range(1, 100) if table.publish(i, 0, 0x10000 + i) == 0x10000 + i}
        until(lambda queue=queue: queue.is_idle)
        assert all(table.code(i) == 0x10000 + i for i in won)
        made = [index for index, _, _ in queue.drain()]
        assert won.isdisjoint(made) and won | set(made) == set(range(1, 100))
        late += 0 < len(made) < 99
        if late == 5:  # both had their share so often
            break


def test_others_have_half_of_the_room_for_code():
    """No module meets its limit for what was compiled unasked."""
    compiler, queue, _ = queue_of(calls(20))
    others = [CodeOwner() for _ in range(4)]
    for owner in others:  # each takes a chunk; there is room for as many again, less one
        owner.publish(b"\xc3")
    try:
        execmem.limit_arena((2 * execmem.arena_usage()["chunks"] - 1) << 16)
        ask_for_callees(compiler, queue)
        until(lambda: queue.is_idle)
        assert queue.n_made == 0
    finally:
        execmem.limit_arena(None)


# ---- in an engine ----


def guest(text, **options):
    """A module and an instance of it."""
    module = stratavm.Module(text, engine=stratavm.Engine(**{"threads": 2, **options}))
    return module, stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module)


def is_done(module):
    """Whether all is compiled that was asked for."""
    return module.code.lazy._queue is None or module.code.lazy._queue.is_idle


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
@pytest.mark.parametrize("seed", range(4))
def test_results_and_traps_do_not_depend_on_who_compiled(tier, seed):
    """Nor do their frames and positions, nor the fuel."""

    def outcomes(threads):
        limit_threads(threads)
        module = stratavm.Module(small_functions.module(seed), engine=stratavm.Engine(tier=tier, fuel=True, threads=2))
        found = []
        for arguments in small_functions.ARGUMENTS:
            store = stratavm.Store(module.engine, fuel=1 << 40)
            guest = stratavm.Linker(module.engine).instantiate(store, module)
            try:
                found.append((guest.exports.run(*arguments), store.fuel))
            except stratavm.Trap as trap:
                found.append((str(trap), trap.frames, store.fuel))
            until(lambda: is_done(module))
        return found

    assert outcomes(1) == outcomes(0)


def test_small_programs_do_without(monkeypatch):
    """The first few functions begin nothing."""
    monkeypatch.setattr(lazy, "BEGIN_AT", (4, 4))
    module, instance = guest(calls(20))
    for i in (1, 2, 3):
        instance.exports[f"f{i}"](1)
        assert module.code.lazy._queue is None
    instance.exports.f0(1)
    assert module.code.lazy._queue is not None


def test_each_function_is_reported_once():
    """As an event and in the sum of bytes, whoever compiled it."""
    module, instance = guest(calls(200))
    found = []
    module.engine.bus.subscribe(FunctionCompiled, lambda event: found.append(event.function))
    for i in range(200):
        instance.exports[f"f{i}"](3)
    until(lambda: module.code.lazy._queue.is_idle)
    each = [module.code.lazy.table.code(i) for i in range(200)]
    assert all(each)
    total = module.code_bytes
    module.engine.bus.drain()
    assert sorted(found) == list(range(200))
    assert total == module.code_bytes > 0


@pytest.mark.parametrize("options", [{"threads": 1}, {"tier": "oracle"}])
def test_an_engine_of_one_thread_has_no_help(options):
    """Nor has one that compiles nothing."""
    module, instance = guest(calls(20), **options)
    assert instance.exports.f0(1) == 7
    assert "lazy" not in dir(module.code) or module.code.lazy._queue is None


def test_without_threads_nothing_is_compiled_unasked():
    """One processor, or a quota below two."""
    limit_threads(0)
    module, instance = guest('(module (func (export "f") (if (i32.const 0) (then (call 1)))) (func))')
    instance.exports.f()
    time.sleep(0.01)
    assert not module.code.lazy.table.code(1)


def test_a_module_goes_while_its_functions_are_compiled():
    """At once, or with a cycle that the collector finds: nothing of it is used afterwards."""
    owners = set(codemap.owners.keys())
    text = calls(300)
    for turn in range(30):
        module, instance = guest(text)
        instance.exports.f0(1)
        if turn % 3 == 0:
            cycle = [module, instance]
            cycle.append(cycle)
            del cycle
        if turn % 3 == 1:
            instance.store.close()
        del module, instance
        gc.collect()
    assert len(set(codemap.owners.keys()) - owners) <= 1


def test_few_modules_keep_a_worker_for_it():
    """The ones that began last."""
    guests = [guest(calls(10)) for _ in range(12)]
    for _, instance in guests:
        instance.exports.f0(1)
    assert sum(module.code.lazy._queue is not None for module, _ in guests) <= 8
    assert len({instance.exports.f9(2) for _, instance in guests}) == 1
