"""Simplification of the graph: what goes, what stays, and that nothing changes its meaning."""

from __future__ import annotations

import pytest

from stratavm.ir.evaluate import evaluate
from stratavm.ir.passes.cfg import Cfg
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.unit.ir.forms import build

HEAD = "(param $n i32) (param $m i32) (result i32) (local $i i32) (local $s i32)"
ARGUMENTS = ((0, 0), (1, 2), (5, 7), (200, 3))


def built(body: str) -> Ssa:
    """A function's SSA form."""
    ssa = Ssa()
    build(validate(parse_module(f"(module (func {HEAD} {body}))")), 0, ssa)
    return ssa


def simplified(body: str) -> str:
    """The function after the pass; verified, and the same for some arguments."""
    before, after = built(body), Ssa()
    Pipeline(("cfg",)).run(before, after)
    verify(after)
    for n, m in ARGUMENTS:
        assert evaluate(before, None, [n, m]) == evaluate(after, None, [n, m])
    return print_ssa(after)


def test_a_branch_on_a_constant_is_decided_and_what_it_missed_goes_away():
    """The other arm is not reached; everything is one block."""
    text = simplified(
        "(if (result i32) (i32.const 0) (then (i32.mul (local.get 0) (local.get 1))) (else (i32.const 9)))"
    )
    assert "br_if" not in text
    assert "i32.mul" not in text
    assert "b1(" not in text


@pytest.mark.parametrize(("index", "value"), [(0, 10), (1, 11), (2, 12), (99, 12)])
def test_a_table_on_a_constant_is_decided(index, value):
    """An index beyond the table takes the default."""
    text = simplified(
        f"(block $c (block $b (block $a (br_table $a $b $c (i32.const {index}))) (return (i32.const 10)))"
        "(return (i32.const 11))) (i32.const 12)"
    )
    assert "br_table" not in text
    assert f"const {value}" in text


def test_a_choice_between_the_same_places_is_none():
    """Both arms are empty."""
    text = simplified("(if (local.get 0) (then) (else)) (local.get 1)")
    assert "br_if" not in text


def test_a_parameter_that_is_always_one_value_goes_away():
    """A loop that assigns a local its own value, and a join to which both arms bring the same."""
    text = simplified(
        "(local.set $s (local.get $m))"
        "(loop $l (local.set $s (local.get $s))"
        "(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))"
        "(i32.add (local.get $s) (local.get $i))"
    )
    header = next(line for line in text.splitlines() if "loop" in line)
    assert header.count(":i32") == 1


def test_a_parameter_that_is_always_one_constant_goes_away():
    """Each arm makes the constant anew; after the pass the join does."""
    text = simplified(
        "(if (local.get 0) (then (local.set $s (i32.const 7)) (local.set $n (i32.const 1)))"
        "(else (local.set $s (i32.const 7)) (local.set $n (i32.const 2)))) (i32.add (local.get $s) (local.get $n))"
    )
    join = text.split("\nb3(")[1]
    assert join.splitlines()[0].count(":i32") == 1
    assert "const 7" in join


def test_a_loop_whose_parameter_is_a_constant_polls_first():
    """The constant is made behind the poll."""
    text = simplified(
        "(loop $l (local.set $s (i32.const 0))"
        "(br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))"
        "(i32.add (local.get $s) (local.get $i))"
    )
    assert next(line for line in text.splitlines() if "loop" in line).count(":i32") == 1


def test_loops_keep_what_changes():
    """Swapped parameters of a loop: neither is the other."""
    text = simplified(
        "(loop $l (local.set $i (local.get $n)) (local.set $n (local.get $m)) (local.set $m (local.get $i))"
        "(br_if $l (i32.lt_u (local.tee $s (i32.add (local.get $s) (i32.const 1))) (i32.const 3))))"
        "(i32.sub (local.get $n) (local.get $m))"
    )
    assert next(line for line in text.splitlines() if "loop" in line).count(":i32") == 3


def test_every_budget_gives_a_right_program():
    """As ``strata bisect`` needs it: any number of rewrites, the same results; the last one is named."""
    ssa = built(
        "(block $out (loop $l (br_if $out (i32.eqz (local.get $n)))"
        "(if (i32.const 1) (then (local.set $s (i32.add (local.get $s) (local.get $m))))"
        "(else (local.set $s (i32.const 0))))"
        "(if (i32.and (local.get $n) (i32.const 1)) (then) (else))"
        "(br_if $l (local.tee $n (i32.shr_u (local.get $n) (i32.const 1)))))) (local.get $s)"
    )
    cfg, out = Cfg(), Ssa()
    cfg.run(ssa, out)
    total = cfg.spent
    assert total > 3
    assert cfg.last[0] == "cfg"
    for budget in range(total + 1):
        cfg.budget = budget
        cfg.run(ssa, out)
        verify(out)
        assert cfg.spent == budget
        for n, m in ARGUMENTS:
            assert evaluate(ssa, None, [n, m]) == evaluate(out, None, [n, m])
