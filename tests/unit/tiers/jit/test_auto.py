"""Claims about the tier that moves: what runs much is compiled again at level 1, and nobody stays on old code."""

import ctypes
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Store
from stratavm.contract import layout
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from stratavm.tiers.decision import Decision
from stratavm.tiers.jit.lazy import LazyCode
from stratavm.tiers.jit.lift_events import (
    FunctionLiftDropped,
    FunctionLifted,
    FunctionLiftPutOff,
    FunctionLiftQueued,
)
from stratavm.tiers.policy import NEVER, Policy, Thresholds
from tests.fuzz import generators
from tests.unit.tiers.jit.patience import long_enough

EVENTS = (FunctionLiftQueued, FunctionLiftPutOff, FunctionLifted, FunctionLiftDropped)
PROGRAM = """(module
  (type $t (func (param i32) (result i32)))
  (table $table (export "table") 2 funcref) (elem (i32.const 0) $square $twice)
  (func $square (export "square") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
  (func $twice (param i32) (result i32) (i32.add (local.get 0) (call $lone (local.get 0))))
  (func $lone (param i32) (result i32) (local.get 0))
  (func (export "through") (param i32 i32) (result i32)
    (call_indirect $table (type $t) (local.get 0) (local.get 1)))
  (func $sum (export "sum") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.add (local.get 1) (call $square (local.get 0))))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "spin") (param i32) (result i32) (local i32)
    (loop (local.set 1 (i32.xor (i32.mul (local.get 1) (i32.const 3)) (local.get 0)))
      (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get 1))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))
"""
LOOP = """(module (import "e" "f" (func $f)) (func (export "loop") (param i32)
  (loop (call $f) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
SQUARE, TWICE, LONE, THROUGH, SUM, SPIN, DIVIDE = range(7)


def world(policy=None, **options):
    """An engine of the tier with what its functions tell, the module, and an instance."""
    services = {} if policy is None else {Policy: policy}
    engine = Engine(tier="auto", services=services, **options)
    told = []
    for kind in EVENTS:
        engine.bus.subscribe(kind, told.append)
    module = Module(PROGRAM, engine=engine)
    return told, module, Linker(engine).instantiate(Store(engine), module)


def lifted_by(module, function, call):
    """Call until a function has code of level 1: a tick may come between two calls, on a busy machine for long."""
    end = time.monotonic() + 60
    while levels(module)[function] != 1:
        assert time.monotonic() < end, "nothing is found"
        call()


def levels(module):
    """The level of each function."""
    return [module.code.lazy.table.level(i) for i in range(len(module.model.functions))]


def test_a_function_is_lifted_at_exactly_so_many_calls():
    """No call earlier and none later, and the event has what was decided by."""
    told, module, instance = world(lift_after=5)
    for _ in range(4):
        instance.exports.square(3)
    assert levels(module)[SQUARE] == 0
    instance.exports.square(3)
    assert levels(module)[SQUARE] == 1
    assert [type(e) for e in told] == [FunctionLiftQueued, FunctionLifted]
    assert told[0].values() == (SQUARE, 5, 0, 0)
    assert module.code.verdicts()[0].calls == 5


def test_a_threshold_of_no_calls_makes_no_code_of_level_0():
    """Each function is compiled once, when it is first called."""
    told, module, instance = world(lift_after=0)
    assert instance.exports.sum(10) == 385
    assert levels(module) == [-1, -1, -1, -1, 1, -1, -1]  # what it calls is inlined
    assert instance.exports.square(3) == 9
    assert [e.function for e in told if isinstance(e, FunctionLifted)] == [SUM, SQUARE]


def test_functions_that_share_a_word_are_counted_apart():
    """One by one: each entry goes to the function that is entered."""
    n = 2 * layout.N_COUNTERS
    text = "".join(f'(func (export "f{i}"))' for i in range(n))
    engine = Engine(tier="auto", lift_after=3)
    module = Module(f"(module {text})", engine=engine)
    instance = Linker(engine).instantiate(Store(engine), module)
    for i in (0, n // 2, 0, n // 2, n // 2):
        instance.exports[f"f{i}"]()
    assert levels(module)[0] == 0
    assert levels(module)[n // 2] == 1
    assert module.code.lazy.table.tally(0) == (2, 0)


@pytest.mark.parametrize(("period", "off"), [(128, 10_000), (512, 16_000)])  # five times what is to be expected
def test_a_sample_is_fair(period, off):
    """Where words run out once in so many calls, two functions that share one get what they are called, about; calls in
    turn are not in step with it."""
    n = layout.N_COUNTERS
    text = "".join(f'(func (export "f{i}"))' for i in range(n + 1))
    engine = Engine(tier="auto", services={Policy: Thresholds(1 << 20, period, ticks=False)})
    module = Module(f"(module {text})", engine=engine)
    instance = Linker(engine).instantiate(Store(engine), module)
    often, seldom = instance.exports.f0, instance.exports[f"f{n}"]
    for _ in range(20_000):
        often(), often(), often(), seldom()
    first, last = (module.code.lazy.table.tally(i)[0] for i in (0, n))
    assert 80_000 - 2 * period < first + last <= 80_000
    assert abs(first - 60_000) < off


def test_who_calls_by_a_reference_does_not_stay_on_old_code():
    """A FuncRec of another store has the old address until a call by it counts; then it has the new one."""
    _told, module, instance = world(lift_after=4)
    other = Linker(module.engine).instantiate(Store(module.engine), module)
    assert other.exports.through(7, SQUARE) == 49
    for _ in range(4):
        instance.exports.square(2)
    assert levels(module)[SQUARE] == 1
    tally = module.code.lazy.table.tally
    before = tally(SQUARE)[0]
    for _ in range(10):
        assert other.exports.through(7, SQUARE) == 49
    assert tally(SQUARE)[0] == before + 1


def test_later_instances_have_their_functions_lifted_as_well():
    """They get their code from the first one, and what is asked about it too."""
    _told, module, instance = world(lift_after=4)
    other = Linker(module.engine).instantiate(Store(module.engine), module)
    for each in (other, instance, other, other):
        assert each.exports.square(3) == 9
    assert levels(module)[SQUARE] == 1


def test_who_has_a_function_that_its_module_does_not_name_gets_the_new_code():
    """Its FuncRec is an object of the host; it learns of the code when a call by it counts."""
    _told, module, instance = world(lift_after=4)
    lone = super(type(instance), instance).callee(LONE)
    assert lone.call_raw([5]) == [5]
    for _ in range(6):
        assert instance.exports.through(5, 1) == 10
    assert levels(module)[LONE] == 1
    tally = module.code.lazy.table.tally
    before = tally(LONE)[0]
    for _ in range(10):
        assert lone.call_raw([5]) == [5]
    assert tally(LONE)[0] <= before + 1


def test_a_loop_is_found_by_a_tick():
    """A function that is called once and runs for long is lifted for its next call."""
    n, expected = long_enough(world(lift_after=1 << 20)[2].exports.spin)
    told, module, instance = world()
    lifted_by(module, SPIN, lambda: instance.exports.spin(n))
    module.engine.bus.drain()
    asked = next(e for e in told if isinstance(e, FunctionLiftQueued) and e.function == SPIN)
    assert asked.ticks >= 1
    assert instance.exports.spin(n) == expected


@pytest.mark.parametrize("threads", [1, 2])
def test_calls_shorter_than_a_tick_are_found_as_well(threads):
    """By what of the time they run: a call of some 100 microseconds, again and again."""
    n, expected = long_enough(world(lift_after=1 << 20)[2].exports.spin, 0.0001)
    told, module, instance = world(threads=threads)
    lifted_by(module, SPIN, lambda: instance.exports.spin(n))
    module.engine.bus.drain()
    asked = next(e for e in told if isinstance(e, FunctionLiftQueued) and e.function == SPIN)
    assert asked.ticks >= 1 and asked.calls < 20_000
    assert instance.exports.spin(n) == expected


@pytest.mark.parametrize(
    ("policy", "is_asked"),
    [
        (Thresholds(4, 1, young_calls=False, young_ticks=1 << 20), False),
        (Thresholds(4, 1, young_calls=True, young_ticks=1 << 20), True),
        (Thresholds(4, 1, young_calls=False, young_ticks=0), True),
        (Thresholds(4, 1, False, young_calls=False, young_ticks=1 << 20), True),
    ],
)
def test_of_a_young_program_nobody_is_asked(policy, is_asked, monkeypatch):
    """What is met by chance does not leave native code; where no ticks come nobody is young. Ticks may come here."""
    found = []

    def lift(code, defined_index, calls, ticks):
        if is_asked or not ticks:
            found.append(calls)
        return next(due for due in (4, 8, NEVER) if due > calls)

    monkeypatch.setattr(LazyCode, "lift", lift)
    _, _, instance = world(policy)
    for _ in range(10):
        instance.exports.square(3)
    assert (8 in found) if is_asked else not found  # a tick may move the first time


@pytest.mark.parametrize("ticks", [False, True])
def test_who_may_wait_is_asked_about_with_others(ticks, monkeypatch):
    """When so many wait, about the one that is due then and all of them; or some ticks later. Ticks may come here."""
    asked = []
    monkeypatch.setattr(LazyCode, "lift", lambda code, index, calls, ticks: asked.append(index) or NEVER)
    engine = Engine(tier="auto", services={Policy: Thresholds(4, 1, ticks, young_ticks=0)})
    module = Module("".join(("(module ", *(f'(func (export "f{i}"))' for i in range(13)), ")")), engine=engine)
    exports = Linker(engine).instantiate(store := Store(engine), module).exports
    module.code.lazy.table.be_patient()
    for i in range(1 if ticks else 9):
        assert ticks or asked == []
        for _ in range(4):
            exports[f"f{i}"]()
    if ticks:
        for i in range(9, 13):
            store.request_sample()
            exports[f"f{i}"]()
        assert {0, 9, 10, 11} <= set(asked)
    else:
        assert asked == [8, 7, 6, 5, 4, 3, 2, 1, 0]


def test_who_waits_alone_is_asked_about_at_twice_its_calls(monkeypatch):
    """Calls that are shorter than a tick meet none, and nothing else may be due, for as long as the program runs."""
    asked = []
    monkeypatch.setattr(LazyCode, "lift", lambda code, index, calls, ticks: asked.append((index, calls)) or NEVER)
    engine = Engine(tier="auto", services={Policy: Thresholds(4, 1, False, young_ticks=0)})
    module = Module('(module (func) (func (export "f")))', engine=engine)
    call = Linker(engine).instantiate(Store(engine), module).exports.f
    module.code.lazy.table.be_patient()
    for _ in range(7):
        call()
    assert asked == []
    for _ in range(20):
        call()
    assert asked == [(1, 8)]


def test_a_sample_counts_for_the_function_that_polls_next():
    """In this call, or nowhere: a call that has ended takes it along. Policies without ticks see none."""
    for ticks, counted in ((True, 3), (False, 0)):
        _told, module, instance = world(Thresholds(1 << 20, 1, ticks, tick_bytes=0, tick_bytes_beside=0), threads=1)
        tally = module.code.lazy.table.tally
        instance.exports.through(7, 1)  # compiled
        for _ in range(3):
            instance.store.request_sample()
            assert instance.exports.through(7, 1) == 14
        found = [tally(function)[1] for function in (THROUGH, TWICE, LONE)]
        assert counted <= found[0] <= sum(found) <= counted + 3  # ticks come by themselves too, on a slow machine


@pytest.mark.parametrize(("bit", "made"), [("tick", 1), ("sample", 0)])
def test_a_sample_makes_no_code_for_a_loop(bit, made):
    """The call is short: the next one runs the better code that its function has by then."""
    engine = Engine(tier="auto", threads=1)
    module = Module(LOOP, engine=engine)
    store, lazy = Store(engine), module.code.lazy

    def found():
        if lazy.table.level(0) == 0:
            lazy.lifting()._lift_now(lazy, 0)
            ctypes.c_uint32.from_address(store.address + layout.EXEC.offset("pending")).value = layout.PENDING_BITS[bit]
            ctypes.c_uint64.from_address(store.address + layout.EXEC.offset("poll_limit")).value = (1 << 64) - 1

    linker = Linker(engine)
    linker.define_namespaces({"e": {"f": found}})
    linker.instantiate(store, module).exports.loop(5)
    assert lazy.table.level(0) == 1 and len(module.code.loops()) == made


def test_traps_say_the_same_before_and_after():
    """Kind and place."""
    _told, module, instance = world(lift_after=3)
    seen = set()
    for _ in range(6):
        with pytest.raises(stratavm.Trap) as trapped:
            instance.exports.divide(1, 0)
        seen.add((trapped.value.kind, tuple((f.func, f.offset) for f in trapped.value.frames)))
    assert levels(module)[DIVIDE] == 1
    assert len(seen) == 1


class Refusals(Thresholds):
    """Asks for everything at once, and keeps what it was asked."""

    def decide(self, seen):
        asked.append(seen)
        return Decision(False, False, seen.calls + 2, "few")


asked = []


def test_a_policy_of_the_embedder_decides():
    """It is asked when it wants to be, with what is known, and a function that it refuses stays."""
    asked.clear()
    told, module, instance = world(Refusals(1, 1, False))
    for _ in range(5):
        instance.exports.square(1)
    assert [(s.function, s.calls, s.ticks) for s in asked] == [(SQUARE, 1, 0), (SQUARE, 3, 0), (SQUARE, 5, 0)]
    assert asked[0].size == module.model.functions[SQUARE].end - module.model.functions[SQUARE].start
    assert levels(module)[SQUARE] == 0
    assert {type(e) for e in told} == {FunctionLiftPutOff}


def test_a_function_that_level_1_has_no_memory_for_stays_at_level_0(monkeypatch):
    """It is asked for once, and says why."""
    told, module, instance = world(lift_after=2)
    limit = stratavm.ResourceLimit("too large", limit="optimised_nodes")

    def refuse(*_):
        raise limit

    monkeypatch.setattr(module.code.lazy.lifting().upper(module.code.lazy), "compile", refuse)
    for _ in range(10):
        assert instance.exports.square(3) == 9
    assert [type(e) for e in told] == [FunctionLiftQueued, FunctionLiftDropped]
    assert levels(module)[SQUARE] == 0
    assert module.code.verdicts()[0].reason == "too large"


def test_an_interrupt_while_a_function_is_lifted_ends_the_call(monkeypatch):
    """What a handler of signals raises comes out of the call, as from any compilation."""
    _told, module, instance = world(lift_after=1)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module.code.lazy.lifting().upper(module.code.lazy), "compile", interrupted)
    with pytest.raises(KeyboardInterrupt):
        instance.exports.square(3)


@pytest.mark.parametrize("seed", range(0, 60, 12))
def test_code_that_does_not_count_is_what_it_was(seed):
    """A counter is 24 bytes in a function, and none where nobody asks for it."""
    for number in range(seed, seed + 12):
        valid = validate(decode(generators.smith(number), features=ALL), ALL)
        plain, counting = (wasm_compiler(valid, Options(counting=counts)) for counts in (False, True))
        word = bytes.fromhex("458b9f")  # mov r11d, [r15 + disp32]
        for index in range(len(valid.module.functions)):
            without, with_it = plain.compile(index), counting.compile(index)
            at = with_it.code.find(word)
            place = int.from_bytes(with_it.code[at + 3 : at + 7], "little")
            assert place == layout.EXEC.offset("counters") + 4 * (index % layout.N_COUNTERS)
            assert word + place.to_bytes(4, "little") not in without.code  # the number alone may be in a table of jumps
            assert len(without) < len(with_it) <= len(without) + 24 + 15 + 64 * 16


def test_where_the_program_waits_ticks_alone_say_what_runs_much():
    """Its functions do not count, unless a policy wants that; a tick finds a loop all the same."""
    told, module, instance = world(threads=1)
    assert not module.code.lazy.compiler.options.counting
    for options in ({"threads": 2}, {"threads": 1, "lift_after": 9}, {"threads": 1, "policy": Thresholds(9)}):
        assert world(**options)[1].code.lazy.compiler.options.counting
    n, expected = long_enough(world(lift_after=1 << 20)[2].exports.spin)
    lifted_by(module, SPIN, lambda: instance.exports.spin(n))
    assert instance.exports.spin(n) == expected
    assert levels(module)[SPIN] == 1
    module.engine.bus.drain()
    assert {e.calls for e in told if isinstance(e, FunctionLiftQueued)} == {0}


@pytest.mark.parametrize("after", [0, 1, 2, 7])
def test_fuel_does_not_depend_on_the_level(after):
    """Nor on when it changes."""
    rng = random.Random(after)
    calls = [("sum", rng.randrange(1, 30)) for _ in range(20)]

    def used(**options):
        engine = Engine(fuel=True, **options)
        store = Store(engine, fuel=1 << 20)
        instance = Linker(engine).instantiate(store, Module(PROGRAM, engine=engine))
        return [(instance.exports[name](n), store.fuel) for name, n in calls]

    assert used(tier="auto", lift_after=after) == used(tier="jit0")


LOADED = """
import sys
import stratavm
module = stratavm.Module('(module (func (export "f") (result i32) (i32.const 1)))', engine=stratavm.Engine(threads=2))
exports = stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module).exports
before = {*sys.modules}
exports.f()
module.code.lazy.lifting().upper(module.code.lazy).background_worker()
print(*sorted({*sys.modules} - before))
"""


def test_what_lifts_loads_no_tools():
    """The program waits for it: neither what prints forms, nor modules of Python that load a dozen others."""
    env = os.environ | {"PYTHONPATH": str(Path(stratavm.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", LOADED], env=env, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "stratavm.ir.pipeline" in loaded and "stratavm.ir.text" not in loaded
    assert [name for name in loaded if not name.startswith("stratavm.")] == []
