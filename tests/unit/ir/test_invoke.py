"""Claims about exceptional edges in the SSA form: what the builder makes, what passes leave alone, what is refused."""

import pytest

from stratavm.ir.pipeline import PASSES
from stratavm.ir.ssa import IR_OPS, Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import SsaError, verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.unit.ir.forms import build, pipeline_of

TEXT = """(module (memory 1) (tag $e (param i32 f64)) (tag $t) (global $g (mut i32) (i32.const 0))
  (func $small (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $throws (param i32) (result i32) (if (local.get 0) (then (throw $t))) (i32.const 2))
  (func (param $n i32) (result i32) (local $x i32)
    (block $h (result i32 f64 exnref)
      (try_table (catch_ref $e $h)
        (local.set $x (i32.const 7))
        (local.set $x (call $small (local.get $n)))
        (local.set $x (call $throws (local.get $x))))
      (return (local.get $x)))
    (drop) (drop) (i32.add (local.get $x)))
  (func (param $n i32) (result i32)
    (loop $again
      (global.set $g (i32.add (global.get $g) (i32.const 1)))
      (if (i32.eq (local.get $n) (i32.const 3)) (then (throw $t)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (global.get $g))
  (func (result i32) (local $sum i32)
    (block $h (result i32 f64)
      (try_table (catch $e $h) (throw $e (i32.const 4) (f64.const 0.5))) (unreachable))
    (drop)))"""
CATCHES, LOOPS, DIRECT = 2, 3, 4


def form(defined, passes=()):
    """A function's verified form."""
    valid, ssa = validate(parse_module(TEXT)), Ssa()
    build(valid, defined, ssa)
    if passes:
        plain, ssa = ssa, Ssa()
        pipeline_of(valid, passes).run(plain, ssa)
    verify(ssa)
    return ssa


def count(ssa, name):
    """Nodes of an operation."""
    return sum(node[0] == IR_OPS[name] for node in ssa.dump().nodes)


def test_a_call_in_a_try_has_two_ways_out():
    """What nobody uses of the exception is not asked for: no reference to it is made."""
    ssa = form(CATCHES)
    assert [count(ssa, name) for name in ("invoke", "caught", "tag", "exn", "throw_ref")] == [2, 2, 1, 0, 1]
    assert " cold" not in print_ssa(ssa)


def test_small_functions_are_not_inlined_into_a_try():
    """Nor what throws anywhere; the call behind a try's end is."""
    ssa = form(CATCHES, tuple(PASSES))
    assert count(ssa, "invoke") == 2
    assert print_ssa(ssa).count(" = call ") == 2


def test_a_loop_that_throws_keeps_no_global_in_a_register():
    """Whoever catches it reads the global."""
    ssa = form(LOOPS, ("promote",))
    assert print_ssa(ssa).count("global.set") == 1


def test_what_the_same_function_catches_for_sure_is_a_branch():
    """No exception is made."""
    assert count(form(DIRECT), "throw") == count(form(DIRECT), "invoke") == 0


def invoke_of(view):
    """The first block that ends so, and that node's index."""
    return next(
        (number, last - 1)
        for number, (_, last, *_) in enumerate(view.blocks)
        if view.nodes[last - 1][0] == IR_OPS["invoke"]
    )


def test_what_a_call_gives_is_not_used_where_it_ended_with_an_exception():
    """Though its block dominates what follows there."""
    view = form(CATCHES).dump()
    _, at = invoke_of(view)
    call, lands = view.nodes[at][3], view.nodes[at][5]
    _, start, n = view.edges[lands]
    args = view.args[start : start + n]
    i32 = next(k for k, v in enumerate(args) if view.nodes[v][1] == view.nodes[call][1])
    view.args[start + i32] = call
    with pytest.raises(SsaError, match="where its call has ended with an exception"):
        verify(view)


def test_nothing_stands_between_a_call_and_its_ways_out():
    """Not even what computes nothing: an allocator moves values there."""
    view = form(CATCHES).dump()
    _, at = invoke_of(view)
    op, type_, flags, call, *edges = view.nodes[at]
    view.nodes[at] = (op, type_, flags, call - 1, *edges)
    with pytest.raises(SsaError, match="does not stand behind"):
        verify(view)
