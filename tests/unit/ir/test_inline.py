"""Inlining: what is inlined and what is not, that nothing but speed changes, and that traps show the same frames."""

from __future__ import annotations

from typing import Any

import pytest

from stratavm.base.budget import Budget
from stratavm.base.errors import DeadlineExceeded, ResourceLimit, Trap, Unsupported
from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.linker import Linker
from stratavm.front.wasm.front import WasmFront
from stratavm.ir.callees import Callees
from stratavm.ir.passes.inline import Inline
from stratavm.ir.pipeline import PASSES, Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from tests.oracle.wast import OracleHost
from tests.threads import past_deadline
from tests.unit.ir import small_functions
from tests.unit.ir.forms import build, pipeline_of
from tests.unit.ir.ssa_host import SsaHost, SsaProgram

SEEDS = range(60)


def inlined(text: str, func: int) -> str:
    """A defined function's SSA form after the pass alone, verified."""
    valid = validate(parse_module(text))
    before, after = Ssa(), Ssa()
    build(valid, func, before)
    pipeline_of(valid, ("inline",)).run(before, after)
    verify(after)
    return print_ssa(after)


def test_a_tiny_function_takes_the_place_of_its_call():
    """Arguments are parameters, the result is the call's."""
    code = inlined(
        """(module (func $f (param i32 i32) (result i32) (i32.sub (local.get 1) (local.get 0)))
        (func (param i32) (result i32) (call $f (i32.const 5) (local.get 0))))""",
        1,
    )
    assert "call" not in code
    assert "i32.sub v0 v1" in code


def test_branches_and_returns_come_along():
    """Two returns meet behind the call."""
    code = inlined(
        """(module (func $f (param i32) (result i32)
          (if (i32.eqz (local.get 0)) (then (return (i32.const 7)))) (i32.clz (local.get 0)))
        (func (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1))))""",
        1,
    )
    assert "call" not in code
    assert code.count("return") == 1
    assert "preds 2" in code


def test_several_results():
    """Each finds its user."""
    code = inlined(
        """(module (func $f (param i32) (result i32 i32) (i32.clz (local.get 0)) (i32.ctz (local.get 0)))
        (func (param i32) (result i32) (i32.sub (call $f (local.get 0)))))""",
        1,
    )
    assert "call" not in code
    assert "result" not in code
    assert "i32.sub v1 v2" in code


LARGE = " ".join("(local.set 0 (i32.mul (i32.popcnt (local.get 0)) (local.get 0)))" for _ in range(8))
IN_LOOP = "(loop (br_if 0 (call $f (local.get 0))))"


@pytest.mark.parametrize(
    ("callee", "caller", "stays"),
    [
        (f"{LARGE} (local.get 0)", "(call $f (local.get 0))", True),  # outside of loops only the tiny
        (f"{LARGE} (local.get 0)", f"{IN_LOOP} (i32.const 0)", False),
        (f"{LARGE} {LARGE} {LARGE} (local.get 0)", f"{IN_LOOP} (i32.const 0)", True),
        ("unreachable", "(call $f (local.get 0))", True),  # cold
        ("(call $f (local.get 0))", "(call $f (local.get 0))", True),  # calls itself
        ("(call $g (local.get 0))", "(call $f (local.get 0))", True),  # calls its caller
    ],
)
def test_what_is_inlined(callee, caller, stays):
    """Small functions that return, and nothing recursive."""
    text = f"""(module (func $f (param i32) (result i32) {callee})
      (func $g (param i32) (result i32) {caller}))"""
    code = inlined(text, 1)
    assert ("= call" in code) == stays


def test_an_imported_function_stays_a_call():
    """It has no body here."""
    code = inlined('(module (import "a" "b" (func $f)) (func (call $f)))', 0)
    assert "call" in code


def test_growth_is_bounded():
    """A function of a thousand calls grows by a part of its size, whatever the callee."""
    callee = "(func $f (param i32) (result i32) " + LARGE + "(local.get 0))"
    calls = "(local.set 0 (call $f (local.get 0)))" * 1000
    valid = validate(parse_module(f"(module {callee} (func (param i32) (loop {calls})))"))
    before, after = Ssa(), Ssa()
    build(valid, 1, before)
    inline = Inline()
    assert inline.prepare(before, Callees(WasmFront(valid)), 3)
    inline.run(before, after)
    verify(after)
    assert 0 < inline.inlined < 1000
    assert after.counts()[0] < 3 * before.counts()[0] + 300


def test_so_many_functions_are_inlined_into_one_at_most():
    """A caller of a hundred thousand keeps no more of them at hand; which ones does not depend on who asked before."""
    callees = "".join(f"(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))" for i in range(4100))
    calls = "".join(f"call {i} " for i in range(4100))
    text = f"(module {callees} (func (param i32) (result i32) local.get 0 {calls}))"
    assert inlined(text, 4100).count("= call") == 4


class CountingFront:
    """A front end in Python over another one: knows which functions were built."""

    def __init__(self, front):
        self.shape, self.inlines, self.body_size = front.shape, front.inlines, front.body_size
        self.front, self.builds, self.error = front, [], None

    def build(self, defined, ssa):
        """As the port says."""
        self.builds.append(defined)
        if self.error:
            raise self.error
        self.front.build(defined, ssa)


def test_a_form_that_was_dropped_is_made_again():
    """A module has more small functions than there is room for: the last are kept, and every one stays what it was."""
    functions = "".join(f"(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))" for i in range(6))
    front = CountingFront(WasmFront(validate(parse_module(f"(module {functions})"))))
    callees, first, again = Callees(front, 4), Ssa(), Ssa()
    assert callees.form(0, 1, 6, first)
    assert callees.form(0, 1, 6, again)
    assert front.builds == [0]
    for other in range(1, 6):
        assert callees.form(other, 1, 6, again)
    assert callees.form(0, 1, 6, again)
    assert front.builds == [0, 1, 2, 3, 4, 5, 0]
    assert print_ssa(again) == print_ssa(first)


@pytest.mark.parametrize("kept", [1, 2, 5])
def test_what_is_found_does_not_depend_on_what_was_asked_before(kept):
    """Each thread has a table of its own. Here forms are dropped while others are made of them."""
    body = "(i32.mul (call ${} (local.get 0)) (call ${} (i32.const {})))"
    functions = "".join(
        f"(func ${i} (param i32) (result i32) {body.format(max(i - 1, 0), max(i - 2, 0), i)})" for i in range(1, 12)
    )
    text = f"(module (func $0 (param i32) (result i32) (i32.ctz (local.get 0))) {functions})"
    front = WasmFront(validate(parse_module(text)))
    asked = [(func, depth, caller) for func in range(12) for depth in (1, 2, 3) for caller in (3, 12)]

    def forms(callees, asked):
        found = {}
        for ask in asked:
            ssa = Ssa()
            found[ask] = print_ssa(ssa) if callees.form(*ask, ssa) else None
            if found[ask]:
                verify(ssa)
        return found

    every = forms(Callees(front), asked)
    assert forms(Callees(front, kept), reversed(asked)) == every
    assert len(set(every.values())) > 20


def test_a_function_that_its_front_end_refuses_stays_a_call():
    """And nothing else does: an error of the front end's own is seen."""
    text = "(module (func $f (param i32) (result i32) (local.get 0)))"
    front = CountingFront(WasmFront(validate(parse_module(text))))
    for error in (Unsupported("no", feature="simd"), ResourceLimit("no", limit="ssa_work")):
        front.error = error
        assert not Callees(front).form(0, 1, 1, Ssa())
    front.error = ValueError("a fault")
    with pytest.raises(ValueError, match="a fault"):
        Callees(front).form(0, 1, 1, Ssa())


def test_what_a_caller_may_take_says_nothing_about_its_callees():
    """A small function that was met when a large caller had used up its memory is inlined into others all the same."""
    text = "(module (func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))"
    callees = Callees(WasmFront(validate(parse_module(text))))
    with pytest.raises(ResourceLimit) as refused, Budget(size=100):
        callees.form(0, 1, 1, Ssa())
    assert refused.value.limit == "compile_bytes"
    assert callees.form(0, 1, 1, Ssa())


def test_a_deadline_ends_the_search_for_small_functions():
    """Each is made in no time, but a function may call a million."""
    callees = "".join("(func (param i32) (result i32) (local.get 0))" for _ in range(40))
    calls = "".join(f"call {i} " for i in range(40))
    valid = validate(parse_module(f"(module {callees} (func (param i32) (result i32) local.get 0 {calls}))"))
    before = Ssa()
    build(valid, 40, before)
    with pytest.raises(DeadlineExceeded), Budget(0.0):
        Inline().prepare(before, Callees(WasmFront(valid)), 3)


def test_a_budget_stops_it():
    """And the last rewrite is known."""
    valid = validate(parse_module("(module (func $f) (func (call $f) (call $f)))"))
    before, after = Ssa(), Ssa()
    build(valid, 1, before)
    inline = Inline()
    assert inline.prepare(before, Callees(WasmFront(valid)), 1)
    inline.budget = 1
    inline.run(before, after)
    assert (inline.spent, *inline.last) == (1, "inline", 0)
    assert print_ssa(after).count("call") == 1
    assert pipeline_of(valid, ("inline",)).blame(before, 2)[0] == "inline"


def test_inlining_needs_the_module():
    """A function alone does not say what it calls."""
    with pytest.raises(ValueError, match="needs the module"):
        Pipeline(("inline",))


# ---- nothing but speed changes -----------------------------------------------------------------


def outcome(host: OracleHost, instance: Any, args: tuple[int, int]) -> tuple[Any, bytes, int]:
    """Results or the trap's kind, and the state that is left."""
    try:
        result: Any = list(host.invoke(instance, "run", args))
    except Trap as trap:
        result = trap.kind
    memory = instance.memories[0]
    return result, memory.read(0, len(memory)), host.read_global(instance, "global")


@pytest.mark.parametrize("passes", [("inline",), tuple(PASSES)])
def test_the_evaluator_agrees_with_the_oracle(passes, monkeypatch):
    """Random modules of small functions: results, traps, memory and globals, after the pass alone and after all."""
    monkeypatch.setattr(SsaProgram, "passes", passes)
    traps = 0
    for seed in SEEDS:
        binary = parse_wat_to_bytes(small_functions.module(seed))
        hosts = OracleHost(), SsaHost()
        instances = [host.instantiate(host.load(binary)) for host in hosts]
        for args in small_functions.ARGUMENTS:
            expected, found = (outcome(h, i, args) for h, i in zip(hosts, instances, strict=True))
            assert found == expected, (seed, args)
            traps += isinstance(expected[0], str)
    assert traps > 20


def history(text: str, config: Config) -> list[Any]:
    """Results, or kind and frames of the trap, of each call."""
    engine = Engine(config)
    seen: list[Any] = []
    with Store(engine) as store:
        instance = Linker(engine).instantiate(store, Module(text, engine=engine))
        for args in small_functions.ARGUMENTS:
            try:
                seen.append(instance.exports["run"].call_raw(list(args)))
            except Trap as trap:
                seen.append((trap.kind, [(frame.func, frame.offset) for frame in trap.frames]))
    return seen


def test_traps_show_the_same_frames():
    """Function and offset of every level, as the oracle knows them, inlined or not."""
    frames = 0
    for seed in SEEDS:
        text = small_functions.module(seed)
        expected = history(text, Config(tier="oracle"))
        assert history(text, Config(tier="jit1")) == expected, seed
        assert history(text, Config(tier="jit1", passes=("inline",), memory_plan="bounded")) == expected, seed
        frames = max([frames, *(len(seen[1]) for seen in expected if isinstance(seen, tuple))])
    assert frames >= 4


def test_a_poll_in_an_inlined_loop_shows_its_frames():
    """A deadline that ends a loop of a callee."""
    text = """(module (func $spin (param i32) (loop (br_if 0 (local.get 0))))
      (func (export "run") (param i32) (call $spin (local.get 0))))"""
    engine = Engine(Config(tier="jit1"))
    with Store(engine) as store:
        instance = Linker(engine).instantiate(store, Module(text, engine=engine))
        error = past_deadline(store, lambda: instance.exports["run"](1), lambda: instance.poisoned)
    assert [frame.func for frame in error.frames] == [0, 1]


def test_endless_mutual_recursion_overflows_the_stack():
    """Inlined levels do not hide it."""
    text = """(module (func $a (param i32) (call $b (i32.add (local.get 0) (i32.const 1))))
      (func $b (param i32) (call $a (local.get 0)))
      (func (export "run") (call $a (i32.const 0))))"""
    engine = Engine(Config(tier="jit1"))
    with Store(engine) as store:
        instance = Linker(engine).instantiate(store, Module(text, engine=engine))
        with pytest.raises(Trap) as caught:
            instance.exports["run"]()
    assert caught.value.kind == "stack_overflow"
    assert len(caught.value.frames) == 128


def test_code_does_not_depend_on_who_asks_first():
    """Small functions are built once and shared; forwards or backwards, bytes and tables are the same."""
    for seed in range(12):
        module = parse_module(small_functions.module(seed))
        found = []
        for order in (1, -1):
            valid = validate(module)
            compiler = wasm_compiler(valid, Options(passes=tuple(PASSES)))
            codes = {i: compiler.compile(i) for i in list(range(len(valid.bodies)))[::order]}
            found.append([(c.code, c.traps, c.returns, c.sites) for _, c in sorted(codes.items())])
        assert found[0] == found[1], seed
