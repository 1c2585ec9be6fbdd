"""Unrolling: what is copied and how often, that values leave the loop right, and that nothing but speed changes."""

from __future__ import annotations

from typing import Any

import pytest

from stratavm.base.errors import Trap
from stratavm.ir.evaluate import evaluate
from stratavm.ir.passes.unroll import Unroll
from stratavm.ir.pipeline import PASSES
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module, parse_wat_to_bytes
from stratavm.module.validate import validate
from tests.oracle.wast import OracleHost
from tests.unit.ir import programs
from tests.unit.ir.forms import build, pipeline_of
from tests.unit.ir.ssa_host import SsaHost, SsaProgram

HEAD = "(param $n i32) (param $m i32) (result i32) (local $i i32) (local $s i32)"
STEP = "(local.set $i (i32.add (local.get $i) (i32.const 1)))"
MORE = "(i32.lt_u (local.get $i) (local.get $n))"
AGAIN = f"(br_if $l {MORE})"
ADD = "(local.set $s (i32.add (local.get $s) (i32.xor (local.get $i) (local.get $m))))"
ARGUMENTS = [(n, m) for n in (0, 1, 2, 3, 4, 5, 7, 8, 9, 13) for m in (0, 9)]


def unrolled(body: str, passes: tuple[str, ...] = ("cfg", "unroll")) -> str:
    """A function after the pass; it does what it did."""
    before, after = Ssa(), Ssa()
    memory = "1 1 shared" if "atomic" in body else "1"
    valid = validate(parse_module(f"(module (memory {memory}) (func $f) (func {HEAD} {body}))"))
    build(valid, 1, before)
    pipeline_of(valid, passes).run(before, after)
    verify(after)
    if "call" not in body and "load" not in body and "atomic" not in body:
        for arguments in ARGUMENTS:
            assert evaluate(before, None, [*arguments]) == evaluate(after, None, [*arguments]), (body, arguments)
    return print_ssa(after)


@pytest.mark.parametrize(
    ("body", "copies"),
    [
        (f"(loop $l {STEP} {AGAIN}) (local.get $i)", 4),
        (f"(block $x (loop $l (br_if $x (i32.eqz {MORE})) {STEP} (br $l))) (local.get $i)", 4),
        (f"(loop $l {STEP} {ADD * 9} {AGAIN}) (local.get $s)", 2),
        (f"(loop $l {STEP} {ADD * 19} {AGAIN}) (local.get $s)", 1),
        (f"(loop $l {STEP} (call $f) {AGAIN}) (local.get $i)", 1),
        (f"(loop $l {STEP} (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))) {AGAIN}) (local.get $i)", 4),
        (f"(loop $l {STEP} (drop (memory.atomic.notify (i32.const 0) (i32.const 1))) {AGAIN}) (local.get $i)", 1),
        (f"(loop $l {STEP} (drop (memory.atomic.wait32 (i32.const 0) (i32.const 1) (i64.const 1))) {AGAIN})"
         "(local.get $i)", 1),
        # two ways out, to different places, with a value that both would need
        (f"(block $x (loop $l {STEP} (br_if $x (i32.gt_u (local.get $i) (i32.const 6))) {AGAIN})"
         "(return (i32.add (local.get $i) (i32.const 100)))) (local.get $i)", 1),
        # two ways out, and nothing to take along
        (f"(block $x (loop $l {STEP} (br_if $x (i32.gt_u (local.get $i) (i32.const 6))) {AGAIN})"
         "(return (i32.const 100))) (local.get $m)", 4),
        # the way around the loop and the way out of it meet
        (f"(if (local.get $n) (then (loop $l {STEP} {AGAIN}))) (local.get $i)", 4),
        # a way out by a return
        (f"(loop $l {STEP} (if (i32.eq (local.get $i) (i32.const 5)) (then (return (i32.const 77)))) {AGAIN})"
         "(local.get $i)", 4),
        # two ways back
        (f"(loop $l {STEP} (br_if $l (i32.eq (local.get $i) (local.get $m))) {AGAIN}) (local.get $i)", 4),
        # a choice inside, and a table that goes everywhere
        (f"(loop $l {STEP} (if (i32.and (local.get $i) (i32.const 1)) (then {ADD})) {AGAIN}) (local.get $s)", 4),
        (f"(block $x (loop $l {STEP} (block $y (br_table $y $x $y (local.get $i))) {AGAIN})) (local.get $i)", 4),
        # an outer loop is not copied
        (f"(loop $o (local.set $i (i32.const 0)) (loop $l {STEP} {AGAIN})"
         "(local.set $m (i32.shr_u (local.get $m) (i32.const 1))) (br_if $o (local.get $m))) (local.get $i)", 4),
        # a loop without end but by a trap
        ("(loop $l (drop (i32.load (local.tee $i (i32.sub (i32.shl (local.get $i) (i32.const 1)) (i32.const 1)))))"
         "(br $l)) (local.get $i)", 4),
    ],
)  # fmt: skip
def test_how_often_a_loop_stands(body, copies):
    """By its size, where it can be left."""
    code = unrolled(body)
    plain = unrolled(body, ("cfg",))
    assert code.count(" poll") == plain.count(" poll")
    counted = "i32.load" if "i32.load" in body else "i32.add"
    first = plain.count(counted) - ("i32.const 100" in body and "return (i32.add" in body)
    extra = 1 if "$o" in body else first
    assert code.count(counted) - plain.count(counted) == (copies - 1) * min(extra, first)


def test_growth_is_bounded_and_a_budget_stops_it():
    """Hundreds of loops: some are copied; one rewrite each."""
    loops = f"(local.set $i (i32.const 0)) (loop $l {STEP} {ADD} (br_if $l {MORE}))" * 300
    ssa, out = Ssa(), Ssa()
    build(validate(parse_module(f"(module (func {HEAD} {loops} (local.get $s)))")), 0, ssa)
    unroll = Unroll()
    unroll.run(ssa, out)
    verify(out)
    assert 0 < unroll.unrolled < 300
    assert out.counts()[0] <= 2 * ssa.counts()[0] + 200 + 600
    unroll.budget = 1
    unroll.run(ssa, out)
    verify(out)
    assert (unroll.spent, unroll.last[0]) == (1, "unroll")
    unroll.budget = 0
    unroll.run(ssa, out)
    assert print_ssa(out) == print_ssa(ssa)
    assert unroll.last == ("", -1)


def outcome(host: OracleHost, instance: Any, export: str, arguments: tuple[int, ...]) -> Any:
    """Results, or the trap's kind."""
    try:
        return list(host.invoke(instance, export, arguments))
    except Trap as trap:
        return trap.kind


@pytest.mark.parametrize("passes", [("unroll",), tuple(PASSES)])
def test_the_evaluator_agrees_with_the_oracle(passes, monkeypatch):
    """Random control flow, after the pass alone and after all."""
    monkeypatch.setattr(SsaProgram, "passes", passes)
    for seed in range(150):
        binary = parse_wat_to_bytes(programs.program(seed))
        hosts = OracleHost(), SsaHost()
        instances = [host.instantiate(host.load(binary)) for host in hosts]
        for export in instances[0].exports:
            for arguments in ((0,), (3,), (0xFFFF_FFFF,)):
                count = len(instances[0].exports[export].type.params)
                values = (arguments * count)[:count]
                expected, found = (outcome(h, i, export, values) for h, i in zip(hosts, instances, strict=True))
                assert found == expected, (seed, export)
