"""Simplification of the graph: what goes, what stays, and that nothing changes its meaning."""

from __future__ import annotations

import re

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


BOTH = "(if (result i32) (local.get $n) (then (i32.lt_s (local.get $m) (i32.const 3))) (else (i32.const 0)))"
"""Whether both hold, as expressions say it."""
ROUND = (
    "(loop $l (local.set $s (i32.add (local.get $s) (local.get $m)))"
    "(local.set $i (i32.add (local.get $i) (i32.const 1)))"
)


def questions(text: str) -> int:
    """How many blocks only ask what they are brought: their parameter, or that it is zero, decides their branch."""
    return len(re.findall(r"^b\d+\((v\d+):i32\): .*\n(?:  .* = i32.eqz \1\n)?  br_(?:if|table) ", text, re.MULTILINE))


@pytest.mark.parametrize(
    "body",
    [
        f"(if (result i32) {BOTH} (then (i32.const 10)) (else (i32.const 20)))",
        f"(if (result i32) (i32.eqz {BOTH}) (then (i32.const 10)) (else (i32.const 20)))",
        f"(block $out (result i32) (drop (br_if $out (i32.add (local.get $n) (local.get $m)) {BOTH})) (i32.const 5))",
        "(if (result i32) (if (result i32) (local.get $n) (then (i32.const 1)) (else (local.get $m)))"
        "(then (i32.const 10)) (else (i32.const 20)))",
        f"{ROUND}(br_if $l (if (result i32) (i32.lt_u (local.get $i) (local.get $n))"
        "(then (i32.lt_s (local.get $s) (i32.const 50))) (else (i32.const 0))))) (local.get $s)",
        f"{ROUND}(br_if $l (if (result i32) (i32.lt_u (local.get $i) (i32.const 3))"
        "(then (i32.const 1)) (else (i32.lt_u (local.get $i) (local.get $n)))))) (local.get $s)",
        "(block $c (block $b (block $a (br_table $a $b $c (if (result i32) (local.get $n) (then (local.get $m))"
        "(else (i32.const 1))))) (return (i32.const 10))) (return (i32.const 11))) (i32.const 12)",
    ],
)
def test_who_brings_a_constant_to_a_question_knows_the_answer(body):
    """No block is left that only asks for what it is brought; who does not know asks by itself."""
    text = simplified(body)
    assert not questions(text)


def test_a_question_whose_value_is_used_again_is_asked():
    """The local has the result; so has the constant that leads there, in another local."""
    text = simplified(
        f"(if (local.tee $s {BOTH}) (then (return (i32.add (local.get $s) (i32.const 2))))) (local.get $s)"
    )
    assert questions(text) == 1
    text = simplified(
        "(if (if (result i32) (local.get $n)"
        "(then (local.set $i (local.get $m)) (i32.lt_s (local.get $m) (i32.const 3)))"
        "(else (local.tee $i (i32.const 0)))) (then (return (i32.const 4)))) (local.get $i)"
    )
    assert "br_if" in text


def test_every_way_into_a_question_has_its_own_arguments():
    """Two ways lead past the question to one block with two parameters, a third one asks."""
    text = simplified(
        "(local.set $s (i32.const 7)) (block $out (loop $l (br_if $out (i32.eqz (if (result i32) (local.get $n)"
        "(then (if (result i32) (i32.lt_u (local.get $m) (i32.const 5)) (then (i32.ne (local.get $n) (local.get $m)))"
        "(else (i32.const 0)))) (else (i32.const 0)))))"
        "(local.set $s (i32.add (local.get $s) (local.get $m)))"
        "(local.set $n (i32.sub (local.get $n) (i32.const 1))) (br $l))) (i32.add (local.get $s) (local.get $n))"
    )
    assert not questions(text)


def test_every_budget_gives_a_right_program():
    """As ``strata bisect`` needs it: any number of rewrites, the same results; the last one is named."""
    ssa = built(
        "(block $out (loop $l (br_if $out (i32.eqz (local.get $n)))"
        "(if (i32.const 1) (then (local.set $s (i32.add (local.get $s) (local.get $m))))"
        "(else (local.set $s (i32.const 0))))"
        "(if (i32.and (local.get $n) (i32.const 1)) (then) (else))"
        "(if (if (result i32) (local.get $m) (then (i32.lt_s (local.get $s) (i32.const 9))) (else (i32.const 0)))"
        "(then (local.set $s (i32.add (local.get $s) (i32.const 3)))))"
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
