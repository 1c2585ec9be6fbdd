"""Loop-invariant code motion: what leaves a loop, what stays, and where it goes."""

from __future__ import annotations

import pytest

from stratavm.ir.evaluate import evaluate
from stratavm.ir.passes.licm import Licm
from stratavm.ir.passes.unroll import Unroll
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import node_text, print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.unit.ir.forms import build

HEAD = "(param $n i32) (param $m i32) (result i32) (local $i i32) (local $s i32)"
NEXT = "(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))"


def optimised(body: str, head: str = HEAD) -> tuple[list[str], Ssa]:
    """The blocks of the function after the pass, as text."""
    text = f"(module (memory 1) (global $g (mut i32) (i32.const 3)) (func {head} {body}))"
    before, after = Ssa(), Ssa()
    build(validate(parse_module(text)), 0, before)
    Pipeline(("licm",)).run(before, after)
    verify(after)
    for n, m in ((0, 0), (5, 7), (3, 0xFFFF_FFFF)):
        if not any(word in body for word in ("global", "memory", "load", "div", "trunc")):
            assert evaluate(before, None, [n, m]) == evaluate(after, None, [n, m])
    return print_ssa(after).split("\nb"), after


def loop(code: str) -> str:
    """A loop that adds up an expression."""
    return f"(loop $l (local.set $s (i32.add (local.get $s) {code})) {NEXT}) (local.get $s)"


def test_an_invariant_goes_to_the_block_before_the_loop():
    """It is computed once."""
    blocks, _ = optimised(loop("(i32.mul (local.get $n) (local.get $m))"))
    assert "i32.mul" in blocks[1]
    assert "i32.mul" not in "".join(blocks[2:])


def test_a_chain_moves_together():
    """A node whose operands moved can move too."""
    blocks, _ = optimised(loop("(i32.clz (i32.mul (i32.mul (local.get $n) (local.get $m)) (i32.const 9)))"))
    assert "i32.clz" in blocks[1]


def test_what_depends_on_the_loop_stays():
    """Its operand is a parameter of the loop."""
    blocks, _ = optimised(loop("(i32.mul (local.get $i) (local.get $m))"))
    assert "i32.mul" not in blocks[1]


@pytest.mark.parametrize(
    "code",
    [
        "(i32.div_u (local.get $n) (local.get $m))",
        "(i32.load (local.get $n))",
        "(global.get $g)",
        "(memory.size)",
        "(i32.trunc_f64_u (f64.convert_i32_u (local.get $n)))",
    ],
)
def test_what_may_trap_or_reads_stays(code):
    """The loop polls before it; and a poll may end the program, or let others write."""
    blocks, _ = optimised(loop(code))
    name = code.split()[0].strip("()")
    assert name not in blocks[1]
    assert name in "".join(blocks[2:])


def test_a_node_leaves_two_loops_at_once():
    """Up to the outermost that its operands allow."""
    inner = f"(local.set $i (i32.const 0)) {loop('(i32.mul (local.get $n) (local.get $m))')} drop"
    blocks, _ = optimised(f"(loop $o {inner} (br_if $o (i32.and (local.get $s) (i32.const 0)))) (local.get $s)")
    assert "i32.mul" in blocks[1]


def test_a_loop_keeps_room_for_its_own_registers():
    """Ten invariants: a few leave."""
    terms = "(i32.const 0)"
    for i in range(10):
        invariant = f"(i32.popcnt (i32.mul (local.get $m) (i32.const {i + 5})))"
        terms = f"(i32.xor {terms} (i32.mul (local.get $i) {invariant}))"
    blocks, _ = optimised(loop(terms))
    assert blocks[1].count("i32.popcnt") + blocks[1].count("i32.mul") == 6


def test_an_operation_of_one_cycle_stays():
    """A register through the whole loop would cost more."""
    blocks, _ = optimised(loop("(i32.xor (local.get $n) (local.get $m))"))
    assert "i32.xor" not in blocks[1]


@pytest.mark.parametrize("make", [Licm, Unroll])
@pytest.mark.parametrize(
    "code", ["(i32.popcnt (local.get $n))", loop("(i32.xor (local.get $n) (call 0 (local.get $m) (local.get $i)))")]
)
def test_without_anything_to_do_the_input_is_the_result(make, code):
    """``rewrite`` gives it back, ``run`` copies it; a function without loops is not even looked through."""
    ssa, out = Ssa(), Ssa()
    build(validate(parse_module(f"(module (func {HEAD} {code}))")), 0, ssa)
    stage = make()
    stage.budget = 0  # such a loop may well be unrolled
    before = ssa.dump()
    assert stage.rewrite(ssa, out) is ssa
    stage.run(ssa, out)
    assert out.dump() == before == ssa.dump()
    assert (stage.spent, stage.last) == (0, ("", -1))


def test_with_something_to_do_the_output_is_the_result():
    """And the input stays as it was."""
    ssa, out = Ssa(), Ssa()
    build(validate(parse_module(f"(module (func {HEAD} {loop('(i32.mul (local.get $n) (local.get $m))')}))")), 0, ssa)
    before = ssa.dump()
    assert Licm().rewrite(ssa, out) is out
    assert ssa.dump() == before != out.dump()


def test_a_budget_stops_it():
    """And the last rewrite is known."""
    code = loop("(i32.mul (local.get $n) (local.get $m))")
    ssa, out = Ssa(), Ssa()
    build(validate(parse_module(f"(module (func {HEAD} {code}))")), 0, ssa)
    licm = Licm()
    licm.run(ssa, out)
    assert (licm.spent, licm.hoisted, licm.last[0]) == (1, 1, "licm")
    view = ssa.dump()
    assert "i32.mul" in node_text(view, licm.last[1])
    licm.budget = 0
    licm.run(ssa, out)
    assert licm.spent == 0
    assert licm.last == ("", -1)
