"""Claims about functions that are compiled many at a time: what comes out, and that nobody asks for the GIL."""

import ctypes
import sys
import threading
import time
import tracemalloc
from functools import partial

import pytest

import stratavm
from stratavm.base import switches
from stratavm.base.budget import Budget, Stopped
from stratavm.base.errors import DeadlineExceeded, Unsupported
from stratavm.ir.pipeline import LEVELS
from stratavm.module.decode import decode
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.reader import let_go_of
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, ModuleCompiler, Options, wasm_compiler
from stratavm.native.execmem import CodeOwner
from stratavm.tiers.jit import eager
from stratavm.tiers.jit.tier import JitModule
from stratavm.tiers.tier import CompileExecutor, ThreadExecutor
from tests.unit.ir import small_functions

pytestmark = pytest.mark.skipif(switches.CHECK.value() >= 2, reason="the checkers want the GIL for each function")

LEVEL_1 = Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])
SOON = 20
"""Seconds in which a batch is compiled, on a machine with other things to do."""
MANY = 300
"""Times that a batch has each function of a module: enough to be seen at work."""


by_level = pytest.mark.parametrize("options", [Options(), LEVEL_1], ids=["level 0", "level 1"])


def program(seed):
    """A valid module of small functions that call each other."""
    return validate(decode(parse_wat_to_bytes(small_functions.module(seed))))


class InPython:
    """A front end without a part that needs no GIL; it refuses a function."""

    def __init__(self, front, refuses=()):
        self.shape, self.size, self.body_size = front.shape, front.size, front.body_size
        self.inlines, self.leaves = front.inlines, front.leaves
        self._front, self._refuses = front, refuses

    def build(self, defined, ssa):
        if defined in self._refuses:
            raise Unsupported(f"function {defined} is not known")
        self._front.build(defined, ssa)


@by_level
def test_a_batch_has_the_code_of_functions_compiled_one_by_one(options):
    """At the addresses that it says, in the order in which it was asked for."""
    compiler = wasm_compiler(program(1), options)
    indices = [3, 0, 5, 1]
    owner = CodeOwner()
    with compiler.worker() as worker:
        assert compiler.compile_batch(indices, worker) == []
        made = worker.publish(owner, 0)
    assert [index for index, _, _, _ in made] == indices
    for index, address, size, ns in made:
        assert ctypes.string_at(address, size) == compiler.compile(index).code
        assert ns > 0


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
@pytest.mark.parametrize("seed", range(6))
def test_a_module_compiled_at_once_does_what_it_does_compiled_at_calls(tier, seed):
    """Traps have the same frames: the tables are those of the code."""

    def outcomes(at_once):
        engine = stratavm.Engine(tier=tier)
        module = stratavm.Module(small_functions.module(seed), engine=engine)
        if at_once:
            assert module.compile_all().functions == small_functions.FUNCTIONS + 2
        found = []
        for arguments in small_functions.ARGUMENTS:
            guest = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module)
            try:
                found.append(guest.exports.run(*arguments))
            except stratavm.Trap as trap:
                found.append((str(trap), trap.frames))
        return found

    assert outcomes(at_once=True) == outcomes(at_once=False)


def test_what_is_refused_is_left_over_and_the_rest_is_compiled():
    """A front end says so with an exception."""
    front = InPython(wasm_compiler(program(2)).front, refuses=(1, 4))
    compiler = ModuleCompiler(front)
    with compiler.worker() as worker:
        assert compiler.compile_batch([0, 1, 2, 4, 5], worker) == [1, 4]
        assert [made[0] for made in worker.publish(CodeOwner(), 0)] == [0, 2, 5]


def test_a_budget_ends_a_batch():
    """By its time, or because somebody ended it: nothing is left over, and the worker is not used again."""
    compiler = wasm_compiler(program(3))
    with pytest.raises(DeadlineExceeded), Budget(0.0), compiler.worker() as worker:
        compiler.compile_batch([0, 1, 2] * 10, worker)
    stopped = Budget()
    stopped.stop()
    with pytest.raises(Stopped), stopped, compiler.worker() as worker:
        compiler.compile_batch([0, 1, 2], worker)
    assert not compiler._idle


@pytest.mark.parametrize(
    ("count", "threads", "sizes"),
    [
        (70, 1, [64, 6]),
        (400, 1, [100] * 4),
        (1200, 1, [256] * 4 + [176]),
        (1200, 4, [75] * 16),
        (300, 4, [64] * 4 + [44]),
    ],
)
def test_batches_are_large_where_there_are_some_for_each_thread(monkeypatch, count, threads, sizes):
    """Behind each one, a thread may wait for the GIL as long as for many functions."""
    found, compiled = [], eager.compile_batch

    def compile_batch(lazy, indices):
        found.append(len(indices))
        return compiled(lazy, indices)

    monkeypatch.setattr(eager, "compile_batch", compile_batch)
    engine = stratavm.Engine(threads=threads, services={CompileExecutor: ThreadExecutor()})
    module = stratavm.Module("(module " + "(func)" * count + ")", engine=engine)
    assert module.compile_all().functions == count
    assert sorted(found) == sorted(sizes)


# ---- without the GIL ----


def watch(compiler, indices, patience):
    """Compile a batch on a thread, while this one keeps the GIL from the first function on; how many it saw done at the
    beginning and in the end."""
    ready = threading.Event()
    interval = sys.getswitchinterval()
    with compiler.worker() as worker:

        def work():
            ready.set()
            worker.compile_batch(compiler.front, indices)

        thread = threading.Thread(target=work)
        try:
            sys.setswitchinterval(4 * SOON)  # so long nobody is asked to give it up
            thread.start()
            ready.wait()
            first = worker.done
            end = time.monotonic() + patience
            while worker.done < len(indices) and time.monotonic() < end:
                pass
            return first, worker.done
        finally:
            sys.setswitchinterval(interval)
            thread.join()


@pytest.mark.trace_slow  # a trace function needs the GIL for each line
@by_level
def test_no_function_of_a_batch_asks_for_the_gil(options):
    """From its bytes to its code: beside a thread that never gives it up, all of them are compiled."""
    compiler = wasm_compiler(program(4), options)
    indices = list(range(small_functions.FUNCTIONS + 2)) * MANY
    for _ in range(50):  # on a busy machine all is done before this thread has its turn
        first, last = watch(compiler, indices, SOON)
        assert last == len(indices)
        if first < last:
            break
    assert first < last


@pytest.mark.trace_slow
def test_a_function_that_asks_for_the_gil_is_seen():
    """The watch itself: a front end in Python waits for whoever has it."""
    compiler = ModuleCompiler(InPython(wasm_compiler(program(4)).front))
    indices = list(range(small_functions.FUNCTIONS + 2)) * MANY
    first, last = watch(compiler, indices, 0.3)
    assert last <= first + 1 < len(indices)


def done_before_the_gil_is_let_go_of(compiler, count):
    """How many functions a thread compiles one by one before another one, which waits for the GIL, has it."""
    done, ready = [], threading.Event()

    def work():
        with compiler.worker() as worker:
            ready.set()
            for index in range(count):
                done.append(compiler.compile(index, worker))

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(4 * SOON)
        thread.start()
        ready.wait()  # for the GIL, too
        return len(done)
    finally:
        sys.setswitchinterval(interval)
        thread.join()


@pytest.mark.trace_slow
@by_level
def test_a_short_function_is_compiled_without_letting_go_of_the_gil(options):
    """What a guest meets at its first call does not wait for a thread that computes in Python."""
    compiler = wasm_compiler(program(5), options)
    assert done_before_the_gil_is_let_go_of(compiler, small_functions.FUNCTIONS) == small_functions.FUNCTIONS


@pytest.mark.trace_slow
@by_level
def test_a_short_function_that_takes_long_lets_go_of_the_gil(options):
    """A call of two bytes may move a thousand values."""
    values = "i32 " * 1000
    functions = f"(func (result {values}) (call $none) {'(call $all) ' * 200})" * 3
    text = f"""(module (type $all (func (param {values}) (result {values})))
      (import "" "all" (func $all (type $all))) (import "" "none" (func $none (result {values}))) {functions})"""
    compiler = wasm_compiler(validate(decode(parse_wat_to_bytes(text))), options)
    assert compiler.front.body_size(0) <= 512
    assert done_before_the_gil_is_let_go_of(compiler, 3) < 3


# ---- what is large is copied, published and given back while others have the GIL ----


def others_run_during(act):
    """Whether another thread runs Python while this one acts, which nobody asks to give the GIL up."""
    turns, ends, ready = [], [], threading.Event()

    def work():
        while not ends:
            turns.append(None)
            ready.set()
            time.sleep(0)

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    try:
        sys.setswitchinterval(4 * SOON)
        thread.start()
        ready.wait()
        before = len(turns)
        act()
        return len(turns) > before
    finally:
        ends.append(None)
        sys.setswitchinterval(interval)
        thread.join()


def large(loops=100_000):
    """The compiler of a module with a function of so many loops."""
    return wasm_compiler(valid_large(loops))


def valid_large(loops=100_000):
    """The module."""
    loop = b"\x02\x40\x03\x40\x0c\x01\x0b\x0b"
    code = b"\x00" + loop * loops + b"\x0b"
    parts = [(1, b"\x01\x60\x00\x00"), (3, b"\x01\x00"), (10, b"\x01" + leb(len(code)) + code)]
    return validate(decode(b"\0asm\1\0\0\0" + b"".join(bytes([n]) + leb(len(d)) + d for n, d in parts)))


def leb(number):
    """A number as the binary format writes it."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + leb(number >> 7)


class Large:
    """Code and a compiler's arrays that take milliseconds to publish and to give back."""

    def __init__(self):
        self.compiler = large()
        self.renew()

    def renew(self):
        """All of it is there."""
        self.owner, self.worker = CodeOwner(), self.compiler._new_worker()
        self.code = self.worker.compile(self.compiler.front, 0)

    def publish(self):
        """Copy the code to where it runs."""
        self.owner.publish(self.code.code, self.code.traps, self.code.returns, 0)

    def let_go_of_code(self):
        """Give its pages back."""
        self.owner = None

    def let_go_of_worker(self):
        """Give its arrays back."""
        self.worker = None


@pytest.mark.trace_slow
@pytest.mark.parametrize("act", ["publish", "let_go_of_code", "let_go_of_worker"])
def test_others_run_while_what_is_large_is_published_and_given_back(act):
    """On a busy machine the other thread is not there at once: then again."""
    one, end = Large(), time.monotonic() + 3 * SOON
    while time.monotonic() < end:
        if one.worker is None:
            one.renew()
        one.owner = CodeOwner()
        if act != "publish":
            one.publish()
        if others_run_during(getattr(one, act)):
            return
    pytest.fail("nobody ran")


def others_run_at_last(prepare):
    """Whether another thread runs Python while what ``prepare`` returns acts, in one of many times."""
    end = time.monotonic() + 3 * SOON
    while time.monotonic() < end:
        if others_run_during(prepare()):
            return True
    return False


@pytest.mark.trace_slow
def test_others_run_while_large_bytes_are_given_back():
    """Those that nobody else has; others stay what they are."""
    mine = b"\1" * (32 << 20)
    assert others_run_at_last(lambda: partial(let_go_of, [b"\1" * (32 << 20)]))
    things = [mine, "text", b"few", None]
    let_go_of(things)
    assert things == [] and mine == b"\1" * (32 << 20)


@pytest.mark.trace_slow
def test_others_run_while_code_is_packed_and_looked_at():
    """Of which there is one copy."""
    module = JitModule(valid_large(), Options(), None)
    module.compile_all(1)
    assert others_run_at_last(lambda: module.pack_code)
    tracemalloc.start()
    try:
        data = module.pack_code()
        assert tracemalloc.get_traced_memory()[1] < 1.1 * len(data)
    finally:
        tracemalloc.stop()
    assert others_run_at_last(lambda: partial(JitModule(module.valid, Options(), None).restore_code, data))
