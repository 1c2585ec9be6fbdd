"""Equal values that level 0 computes once: which, how far, and that nothing else changes."""

from __future__ import annotations

import random

import pytest

from stratavm.base.errors import Trap
from stratavm.ir.evaluate import evaluate
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import wasm_compiler
from tests.unit.ir import programs
from tests.unit.ir.forms import build

HEAD = "(param $a i32) (param $b i32) (result i32) (local $s i32)"
AGAIN = "(i32.mul (i32.add (local.get $a) (i32.const 8)) (local.get $b))"
PUT = f"(local.set $s (i32.xor (local.get $s) {AGAIN}))"


def forms(body: str, head: str = HEAD) -> tuple[Ssa, Ssa]:
    """A function as the passes of level 1 get it, and as level 0 does."""
    valid = validate(parse_module(f"(module (memory 1) (func $f) (func {head} {body}))"))
    plain, shared = Ssa(), Ssa()
    build(valid, 1, plain)
    shared.sharing = True
    build(valid, 1, shared)
    verify(shared)  # the counts of uses too
    return plain, shared


@pytest.mark.parametrize(
    ("body", "products", "left"),
    [
        (PUT + PUT, 2, 1),
        # into the arm that only this block leads to; the other arm lies behind that, and a join begins anew
        (PUT + f"(if (local.get $a) (then {PUT}) (else {PUT}))", 3, 2),
        (f"(if (local.get $a) (then {PUT}) (else {PUT})) {PUT}", 3, 3),
        # a loop, and what follows it
        (f"{PUT} (loop $l {PUT} (br_if $l (local.tee $a (i32.sub (local.get $a) (i32.const 1)))) {PUT})", 3, 3),
        (f"{PUT} (loop $l {PUT} {PUT} (br_if $l (local.tee $b (i32.sub (local.get $b) (i32.const 1)))) )", 3, 2),
        # memory may change, a sum does not
        (f"{PUT} (i32.store8 (i32.const 0) (local.get $b)) {PUT}", 2, 1),
        # nothing stays in a register over a call
        (f"{PUT} (call $f) {PUT}", 2, 2),
        (f"{PUT} (local.set $b (i32.const 3)) {PUT}", 2, 2),
        ("(local.set $s (i32.mul (local.get $b) (local.get $a))) (local.set $s (i32.mul (local.get $a) (local.get $b)))"
         "(local.set $s (i32.add (i32.mul (local.get $b) (local.get $a)) (local.get $s)))", 2, 2),
    ],
)  # fmt: skip
def test_what_was_computed_before_is_not_computed_again(body, products, left):
    """In the same block, or in one that only leads on from there."""
    plain, shared = forms(f"{body} (local.get $s)")
    assert print_ssa(plain).count("i32.mul") == products
    assert print_ssa(shared).count("i32.mul") == left
    if "call" not in body and "store" not in body:
        for arguments in ((0, 1), (1, 7), (5, 3), (0xFFFF_FFF8, 2)):
            if "loop" not in body or 0 < arguments[0] < 9:
                assert evaluate(shared, None, [*arguments]) == evaluate(plain, None, [*arguments])


@pytest.mark.parametrize(
    "value",
    [
        "(i32.div_u (local.get $a) (local.get $b))",
        "(i32.lt_s (local.get $a) (local.get $b))",  # each fuses with a branch
        "(i32.eqz (local.get $a))",
        "(memory.size)",
        "(global.get $g)",
    ],
)
def test_what_may_differ_or_trap_or_stays_in_the_flags_is_not_shared(value):
    """Traps, state, comparisons. Loads: ``test_known_loads``."""
    valid = validate(
        parse_module(f"(module (memory 1) (global $g (mut i32) (i32.const 1)) (func {HEAD} (i32.add {value} {value})))")
    )
    plain, shared = Ssa(), Ssa()
    shared.sharing = True
    build(valid, 0, plain)
    build(valid, 0, shared)
    assert len(shared.dump().nodes) == len(plain.dump().nodes)


def test_the_first_node_of_a_function_is_not_taken_for_itself():
    """A function without parameters may begin with a constant."""
    plain, shared = forms("(i32.add (i32.const 5) (i32.add (i32.const 5) (i32.const 2)))", "(result i32)")
    assert print_ssa(shared).count("const 5") == 1
    assert evaluate(shared, None, []) == evaluate(plain, None, []) == [12]


def test_only_the_level_without_passes_shares():
    """The passes of level 1 have the better view: they get the form as it was built."""
    valid = validate(parse_module(f"(module (func {HEAD} {PUT} {PUT} (local.get $s)))"))
    with wasm_compiler(valid).worker() as worker:
        assert worker.input.sharing
        worker.build(wasm_compiler(valid).front, 0)
        assert print_ssa(worker.input).count("i32.mul") == 1


@pytest.mark.parametrize("seed", range(60))
def test_random_functions_do_what_they_did(seed):
    """Over all control flow."""
    text = f"(module {programs.Generator(random.Random(seed)).function()})"
    valid = validate(parse_module(text))
    plain, shared = Ssa(), Ssa()
    shared.sharing = True
    build(valid, 0, plain)
    build(valid, 0, shared)
    verify(shared)
    for arguments in ((0, 0), (3, 9), (0xFFFF_FFFF, 1)):
        results = []
        for ssa in (plain, shared):
            try:
                results.append(evaluate(ssa, None, [*arguments]))
            except Trap as trap:
                results.append(trap.kind)
        assert results[0] == results[1]
