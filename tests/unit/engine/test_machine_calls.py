"""Claims about the machine code of calls: it agrees with the generic path, counts exactly, gives way to what is
unusual, and is not used where CPython is not what it takes for granted."""

import gc
import math
import os
import random
import struct
import sys
import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stratavm
from stratavm.engine import func as func_module
from stratavm.engine import pyfacts
from stratavm.runtime.events import MemoryGrowthRefused
from stratavm.spec.types import F32, F64, I32, I64, type_name
from tests.threads import interrupting, past_deadline

CALLS = 64  # calls after which a function has machine code
NUMBERS = (I32, I64, F32, F64)


def signatures(seed: int, count: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Types of parameters, and which of them come back: few and many, beyond the registers too."""
    rng = random.Random(seed)
    found = [((), ())] + [((t,), (0,)) for t in NUMBERS]
    while len(found) < count:
        params = tuple(rng.choice(NUMBERS) for _ in range(rng.choice((1, 2, 3, 6, 12, 16))))
        if len(found) == 6:
            params = (I64,) * 9 + (I32,) * 7
        if len(found) == 7:
            params = (F64, F32) * 8
        back = rng.choice((0, 1, 1, 2, len(params)))
        found.append((params, tuple(rng.randrange(len(params)) for _ in range(min(back, len(params))))))
    return found


SIGNATURES = signatures(1, 28)


def text() -> str:
    """One function per signature: it returns some of its parameters."""
    lines = ['(func (export "trap") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))']
    for i, (params, back) in enumerate(SIGNATURES):
        types = " ".join(type_name(t) for t in params)
        results = " ".join(type_name(params[b]) for b in back)
        body = " ".join(f"(local.get {b})" for b in back)
        lines.append(f'(func (export "f{i}") (param {types}) (result {results}) {body})')
    return f"(module {' '.join(lines)})"


def zeros(params: tuple[int, ...]) -> list[int | float]:
    """Arguments that every path takes."""
    return [0 if t in (I32, I64) else 0.0 for t in params]


def warm(function: stratavm.Func, *arguments: object) -> stratavm.Func:
    """Call until there is machine code."""
    for _ in range(CALLS):
        function(*arguments)
    assert function.path == "machine"
    return function


@pytest.fixture(scope="module")
def both():
    """The same functions with machine code of their own and without."""
    source = text()
    machine = stratavm.load(source).exports
    generic = stratavm.load(source, calls="generic").exports
    for i, (params, _) in enumerate(SIGNATURES):
        warm(machine[f"f{i}"], *zeros(params))
        for _ in range(CALLS):
            generic[f"f{i}"](*zeros(params))
        assert generic[f"f{i}"].path == "quick"
    return machine, generic


def outcome(function: stratavm.Func, arguments: list[object]) -> object:
    """What a call does, as something to compare: floats by their bits."""
    try:
        got = function(*arguments)
    except Exception as error:
        return type(error), str(error)
    values = got if isinstance(got, tuple) else (got,)
    return type(got), [(type(v), struct.pack("<d", v) if isinstance(v, float) else v) for v in values]


class Index:
    """Says what it is."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __float__(self) -> float:
        return self.value + 0.5


class Int(int):
    """A subclass."""


class Float(float):
    """A subclass."""


EDGES = [s * (1 << b) + d for b in (0, 8, 15, 29, 30, 31, 32, 59, 60, 63, 64) for s in (1, -1) for d in (-1, 0, 1)]
INTS = st.one_of(st.integers(-6, 260), st.integers(-(1 << 31), (1 << 32) - 1), st.sampled_from(EDGES))
FLOATS = st.one_of(st.floats(), st.sampled_from([0.1, -0.0, math.nan, math.inf, 1e300, 1e-320, 3.4028236e38]))
ODD = st.one_of(
    st.booleans(), st.none(), st.just("1"), st.just(b"x" * 16), st.integers(-9, 9).map(Index),
    st.integers(-9, 9).map(Int), st.floats(-9, 9).map(Float), INTS, FLOATS, st.just(1j),
)  # fmt: skip


@given(st.data())
def test_both_paths_do_the_same(both, data):
    """Results to the bit, types of results, classes and texts of errors; over signatures and arguments."""
    i = data.draw(st.integers(0, len(SIGNATURES) - 1))
    params, _ = SIGNATURES[i]
    odd = data.draw(st.integers(0, 3)) == 0
    arguments = [data.draw(ODD if odd else INTS if t in (I32, I64) else FLOATS) for t in params]
    if data.draw(st.integers(0, 9)) == 0:
        arguments = arguments[1:] if data.draw(st.booleans()) else [*arguments, 1]
    machine, generic = both
    assert outcome(machine[f"f{i}"], arguments) == outcome(generic[f"f{i}"], arguments)


@given(st.sampled_from(range(4)), st.data())
def test_one_number_comes_back_to_the_bit(both, which, data):
    """Every int of either range, signed; every float, rounded where it is an f32."""
    t = NUMBERS[which]
    value = data.draw(FLOATS if t in (F32, F64) else INTS)
    expected = outcome(both[1][f"f{which + 1}"], [value])
    assert outcome(both[0][f"f{which + 1}"], [value]) == expected
    if t == I32 and -(1 << 31) <= value < 1 << 31:
        assert both[0].f1(value) == value


def test_keywords_and_ways_of_calling(both):
    """Keywords are refused in the same words; ``map``, ``*``, ``__call__`` and ``partial`` go the same way."""
    machine, generic = both
    for e in both:
        with pytest.raises(TypeError, match="takes no keyword arguments"):
            e.f1(0, x=1)
        assert list(map(e.f1, (1, 2))) == [1, 2] and e.f1(*[3]) == e.f1.__call__(4) - 1 == 3
    assert machine.f0() is generic.f0() is None


def test_counts_are_exact(both):
    """Arguments, results, None, small and large ints, the function itself: after thousands of calls as before."""
    machine, _ = both
    big, small, real = 1 << 20, 200, 1234.5
    watched = (machine.f0, machine.f1, machine.f2, machine.f4, big, small, real)

    def calls() -> None:
        for _ in range(2000):
            machine.f0()
            machine.f1(big)
            machine.f2(small)
            machine.f4(real)
            for wrong in ((), (1, 2), ("x",), (1 << 32,)):
                try:
                    machine.f1(*wrong)
                except (TypeError, OverflowError):
                    continue
                raise AssertionError(wrong)

    calls()
    gc.collect()
    before, nones = [sys.getrefcount(w) for w in watched], sys.getrefcount(None)
    calls()
    assert [sys.getrefcount(w) for w in watched] == before
    assert abs(sys.getrefcount(None) - nones) < 50
    result = machine.f1(123_456)
    assert sys.getrefcount(result) == 2  # its name and the argument


def test_a_function_gets_machine_code_when_it_is_warm():
    """``path`` says where it is: cold, then machine; generic where the engine says so, slow for references and
    the oracle."""
    source = '(module (func (export "f") (param i32)) (func (export "r") (param externref)))'
    exports = stratavm.load(source).exports
    for _ in range(CALLS - 1):
        exports.f(1)
    assert exports.f.path == "cold"
    exports.f(1)
    assert exports.f.path == "machine" and exports.r.path == "slow"
    assert stratavm.load(source, tier="oracle").exports.f.path == "slow"
    with pytest.raises(ValueError, match="calls must be one of machine, generic, got 'x'"):
        stratavm.Config(calls="x")


def test_a_function_that_is_called_while_it_gets_its_machine_code_has_it_afterwards(monkeypatch):
    """To make it runs Python, and so other threads."""
    function = stratavm.load('(module (func (export "f")))', store=stratavm.Store(stratavm.Engine())).exports.f
    stubs, calls = type(function.store.runtime.stubs), []
    make = stubs.python_entry

    def python_entry(*arguments):
        calls.append(function())
        return make(*arguments)

    monkeypatch.setattr(stubs, "python_entry", python_entry)
    for _ in range(100):
        function()
    assert calls == [None] and function.path == "machine"


def test_traps_come_out_and_leave_nothing_behind(both):
    """The exception, its frames, and a store that is free."""
    trap = warm(both[0].trap, 1)
    for _ in range(200):
        with pytest.raises(stratavm.Trap, match="div") as caught:
            trap(0)
        assert [f.name for f in caught.value.frames] == ["trap"]
        assert trap(1) == 1 and not trap.store.busy


HOST = """(module (import "e" "f" (func $f (param i32) (result i32))) (memory (export "memory") 1 4)
  (func (export "host") (param i32) (result i32) (i32.add (i32.const 1) (call $f (local.get 0))))
  (func (export "id") (param i32) (result i32) (local.get 0))
  (func (export "grow") (result i32) (memory.grow (i32.const 1)))
  (func (export "spin") (param i32) (result i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 9)))"""


def test_host_functions_may_call_back_and_fail():
    """A nested call takes the generic path; an exception comes out unchanged; the next call is quick again."""

    def host(x: int) -> int:
        if x < 0:
            raise LookupError(x)
        return exports.id(x) * 2 if x else exports.host(1)

    exports = stratavm.load(HOST, imports={"e": {"f": host}}).exports
    warm(exports.id, 1)
    warm(exports.host, 3)
    assert exports.host(0) == 4 and exports.host(5) == 11
    with pytest.raises(LookupError, match="-7"):
        exports.host(-7)
    assert exports.host(5) == 11 and not exports.host.store.busy


def test_events_of_a_call_are_delivered_when_it_ends():
    """What a guest recorded reaches listeners before the caller goes on."""
    instance = stratavm.load(HOST, imports={"e": {"f": abs}})
    heard: list[str] = []
    grow = instance.exports.grow
    for _ in range(CALLS):
        grow()
    assert grow.path == "machine" and grow() == -1
    instance.store.bus.subscribe(MemoryGrowthRefused, lambda event: heard.append(type(event).__name__))
    assert grow() == -1
    assert heard == ["MemoryGrowthRefused"]


def test_other_threads_forks_and_closing():
    """A thread that has never been inside, a forked child, a closed instance, a closed store."""
    instance = stratavm.load(HOST, imports={"e": {"f": abs}})
    id_ = warm(instance.exports.id, 1)
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.extend(id_(i) for i in range(100))) for _ in range(4)]
    for t in threads:
        t.start()
        t.join(60)
    assert len(got) == 400
    child = os.fork()
    if child == 0:
        os._exit(0 if id_(42) == 42 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    instance.close()
    with pytest.raises(stratavm.Closed, match="instance"):
        id_(1)
    again = stratavm.load(HOST, imports={"e": {"f": abs}})
    other = warm(again.exports.id, 1)
    again.store.close()
    with pytest.raises(stratavm.Closed, match="store"):
        other(1)


def test_overlap_is_refused():
    """While one thread is inside, machine code of another call does not enter either."""
    inside, leave = threading.Event(), threading.Event()

    def host(x: int) -> int:
        if x == 77:
            inside.set()
            assert leave.wait(60)
        return x

    exports = stratavm.load(HOST, imports={"e": {"f": host}}).exports
    warm(exports.host, 1)
    warm(exports.id, 1)
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(exports.host(77)))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(stratavm.StoreBusy):
        exports.id(1)
    leave.set()
    thread.join(60)
    assert ended == [78] and exports.id(1) == 1


def test_interrupts_deadlines_and_ticks():
    """A long call is stopped, ticked while it runs, and the store is as before."""
    instance = stratavm.load(HOST, imports={"e": {"f": abs}}, store=stratavm.Store(on_abort="keep"))
    spin, store = warm(instance.exports.spin, 1), instance.store
    assert spin(30_000_000) == 9  # some ticks: the GIL was released and taken back
    with store.deadline(0.05), pytest.raises(stratavm.DeadlineExceeded):
        spin(-1)
    thread = interrupting(store)
    with pytest.raises(stratavm.Interrupted):
        spin(-1)
    thread.join()
    for _ in range(3):
        store.request_tick()
        assert spin(3) == 9
    assert spin(1) == 9 and not store.busy


def test_an_aborted_instance_is_poisoned():
    """The default: its functions refuse, machine code or not."""
    instance = stratavm.load(HOST, imports={"e": {"f": abs}})
    spin, id_ = warm(instance.exports.spin, 1), warm(instance.exports.id, 1)
    past_deadline(instance.store, lambda: spin(-1), lambda: instance.poisoned)
    with pytest.raises(stratavm.InstancePoisoned):
        id_(1)


WIDE = f"""(module (import "e" "f" (func $f (param i64))) (memory 1 1)
  (func (export "all") (param {"i64 " * 9}{"f32 " * 9}) (result {"i64 " * 9}{"f32 " * 9})
    {" ".join(f"(local.get {i})" for i in range(18))})
  (func (export "wide") (param {"i64 " * 8}{"f32 " * 8}) (result {"i64 " * 8}{"f32 " * 8})
    (call $f (local.get 0)) (drop (memory.grow (i32.const 1)))
    (drop (i64.div_s (i64.const 1) (local.get 7)))
    {" ".join(f"(local.get {i})" for i in range(16))})
  (func (export "f32") (param f32) (result f32) (drop (memory.grow (i32.const 1))) (local.get 0))
  (func (export "f64") (param f64) (result f64) (drop (memory.grow (i32.const 1))) (local.get 0))
  (func (export "none") (drop (memory.grow (i32.const 1)))))"""


def test_unusual_ends_of_wide_calls():
    """Stack arguments and results: events to deliver, a trap, an exception, and the usual end, many times."""

    def host(x: int) -> None:
        if x == 13:
            raise LookupError

    instance = stratavm.load(WIDE, imports={"e": {"f": host}})
    exports = instance.exports
    arguments = [*range(1, 8), 1 << 40, *(i + 0.5 for i in range(8))]
    wide = warm(exports.wide, *arguments)
    assert exports["all"].path == "slow"  # beyond what any quick path takes
    warm(exports.f32, 0.5)
    warm(exports.f64, 0.5)
    warm(exports.none)
    heard: list[MemoryGrowthRefused] = []
    for listening in (False, True):
        if listening:
            instance.store.bus.subscribe(MemoryGrowthRefused, heard.append)
        for _ in range(20):
            assert wide(*arguments) == tuple(arguments)
            assert (exports.f32(1.25), exports.f64(0.1), exports.none()) == (1.25, 0.1, None)
            with pytest.raises(stratavm.Trap, match="divide"):
                wide(*arguments[:7], 0, *arguments[8:])
            with pytest.raises(LookupError):
                wide(13, *arguments[1:])
    assert len(heard) == 20 * 5 and not instance.store.busy
    assert exports["all"](*range(9), *([0.5] * 9)) == (*range(9), *([0.5] * 9))


# ---- what is taken for granted of CPython ----


def test_this_python_is_what_machine_code_takes_for_granted():
    """The tested versions: heads of ints and floats, small ints, counts. Nothing to complain about."""
    assert sys.version_info[:2] in pyfacts.TESTED
    assert func_module.COMPLAINTS == () == tuple(pyfacts.complaints(pyfacts.python_layout()))
    layout = pyfacts.python_layout()
    assert layout["tagged"] == layout["immortal"] == (sys.version_info >= (3, 12))
    assert layout["none"] == id(None) and layout["int_type"] == id(int) and layout["float_type"] == id(float)
    assert [id(n) for n in range(-5, 257)] == [layout["small_ints"] + 32 * i for i in range(262)]


@given(st.integers(-(1 << 66), 1 << 66))
def test_ints_of_one_digit_are_read_as_they_are(value):
    """And no others."""
    expected = value if abs(value) < 1 << 30 else None
    assert pyfacts.one_digit_value(value, pyfacts.python_layout()) == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"type_at": 0}, "type of 1 is not where"),
        ({"int_digit_at": 20}, "reads as"),
        ({"int_head_at": 0}, "reads as"),
        ({"small_ints": 64}, "row of small ints"),
        ({"small_int_bytes": 48}, "row of small ints"),
        ({"immortal": sys.version_info < (3, 12)}, "three more references to 7"),
        ({"float_value_at": 8}, "the float 1.5 is not where"),
        ({"int_type": 1}, "type of 1 is not where"),
    ],
)
def test_a_wrong_layout_is_noticed(change, complaint):
    """Each single assumption, when it is wrong."""
    found = pyfacts.complaints(pyfacts.python_layout() | change)
    assert any(complaint in c for c in found), found


def test_an_untested_version_is_said_loudly_and_goes_the_generic_way(monkeypatch):
    """A warning says why, and calls work."""
    found = pyfacts.complaints(pyfacts.python_layout(), (3, 99))
    assert found == ["Python 3.99 is not among those tested"]
    with pytest.warns(RuntimeWarning, match=r"generic path.*Python 3\.99 is not among"):
        pyfacts.report(found)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pyfacts.report([])
    monkeypatch.setattr(func_module, "FACTS", None)
    function = stratavm.load('(module (func (export "f") (param i32) (result i32) (local.get 0)))').exports.f
    assert [function(i) for i in range(CALLS + 9)] == list(range(CALLS + 9)) and function.path == "quick"


def test_without_code_memory_calls_stay_generic():
    """The arena is full: no error, the quick path."""
    from stratavm.native import execmem

    source = '(module (func (export "f") (param i32 i64 i32 i64 f32) (result i32) (local.get 0)))'
    function = stratavm.load(source).exports.f
    function(1, 2, 3, 4, 5.0)
    filler = [execmem.CodeOwner("filler")]
    execmem.limit_arena(execmem.arena_usage()["chunks"] * 65536)
    try:
        with pytest.raises(stratavm.ResourceLimit):
            for _ in range(100):
                filler[0].publish_many([(b"\xf4" * 4096, b"", b"", None)] * 4)
        stubs = function.store.runtime.stubs
        taken = stubs._owner
        with pytest.raises(stratavm.ResourceLimit):
            for _ in range(2000):
                taken.publish_many([(b"\xf4", b"", b"", None)])
        for _ in range(CALLS):
            function(1, 2, 3, 4, 5.0)
        assert function.path == "quick"
    finally:
        execmem.limit_arena(None)


# ---- what a trap costs, and brings ----


@pytest.mark.parametrize("calls", ["machine", "generic"])
def test_a_trap_knows_its_frames_when_everything_else_is_gone(calls):
    """They are found out late, so the exception keeps the code; its traceback has no frames of the machinery."""
    source = """(module (func $inner (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0)))
      (func (export "outer") (param i32) (result i32) (i32.add (i32.const 1) (call $inner (local.get 0)))))"""
    instance = stratavm.load(source, calls=calls)
    outer = instance.exports.outer
    for _ in range(CALLS):
        outer(1)
    assert outer.path == ("machine" if calls == "machine" else "quick")
    for _ in range(8):  # a call that finds something to do first, as a thread's end, is left to the generic path
        with pytest.raises(stratavm.Trap) as caught:
            outer(0)
        names = [entry.name for entry in caught.traceback]
        assert names[0] == "test_a_trap_knows_its_frames_when_everything_else_is_gone"
        if len(names) == 1:
            break
    assert len(names) == (1 if calls == "machine" else 2)
    error = caught.value
    del instance, outer, caught
    gc.collect()
    assert [f.name for f in error.frames] == ["inner", "outer"] and error.frames is error.frames
