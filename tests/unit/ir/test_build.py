"""The SSA builder on shapes that break builders, by hand and at random; every function is verified."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.base.errors import ResourceLimit, Trap
from stratavm.ir.evaluate import OutOfSteps, evaluate
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import node_text, print_ssa
from stratavm.ir.verify import LOOP_HEADER, SsaError, extents, successors, verify
from stratavm.ir.view import SsaView
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.oracle.state import Store, instantiate
from tests.unit.ir.forms import build
from tests.unit.ir.programs import program
from tests.unit.ir.ssa_host import SsaHost


def view_of(text: str, index: int = 0, prune: bool = True) -> SsaView:
    """A function's verified SSA form."""
    ssa = Ssa()
    build(validate(parse_module(text)), index, ssa, prune=prune)
    verify(ssa)
    return ssa.dump()


def run(text: str, *args: int) -> list[int]:
    """The first function on the evaluator, checked against the oracle."""
    module = parse_module(text)
    expected = instantiate(Store(), module).functions[0].call_raw(list(args))
    found = evaluate(view_of(text), instantiate(Store(), module), list(args))
    assert found == expected
    return found


def params(view: SsaView) -> list[int]:
    """Parameters per block."""
    return [block[2] for block in view.blocks]


def test_loop_parameters_swap() -> None:
    """Two locals exchanged at every back edge: the edge's arguments are read before the parameters are written."""
    text = """(module (func (param i32 i32 i32) (result i32 i32) (local i32)
      (loop $l
        (local.set 3 (local.get 0)) (local.set 0 (local.get 1)) (local.set 1 (local.get 3))
        (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
        (br_if $l (local.get 2)))
      (local.get 0) (local.get 1)))"""
    assert run(text, 7, 9, 3) == [9, 7]
    assert run(text, 7, 9, 4) == [7, 9]


def test_the_pruner_counts_uses() -> None:
    """Operands and arguments of edges count; what is dead uses nothing. The verifier counts again, everywhere."""
    text = """(module (func (param i32 i32) (result i32) (local i32)
      (local.set 2 (i32.mul (local.get 1) (local.get 1)))
      (loop $l
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $l (local.get 0)))
      (i32.add (local.get 1) (local.get 1))))"""
    ssa = Ssa()
    build(validate(parse_module(text)), 0, ssa, prune=False)
    assert not ssa.counted
    build(validate(parse_module(text)), 0, ssa)
    assert ssa.counted
    verify(ssa)
    texts = [node_text(ssa.dump(), i) for i in range(ssa.counts()[0])]
    counts = {text.split(" = ")[-1]: n for text, n in zip(texts, ssa.use_counts(), strict=True)}
    assert counts["param [0]"] == 1 and counts["param [1]"] == 2
    assert [n for text, n in counts.items() if text.startswith("i32.sub")] == [2]


def test_a_lost_copy_is_not_lost() -> None:
    """The value before the last increment is used after the loop."""
    text = """(module (func (param i32) (result i32) (local i32 i32)
      (loop $l
        (local.set 2 (local.get 1))
        (local.set 1 (i32.add (local.get 1) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get 1) (local.get 0))))
      (local.get 2)))"""
    assert run(text, 5) == [4]


def test_stack_values_live_over_back_edges() -> None:
    """Operands below a loop and loop parameters on the stack."""
    text = """(module (func (param i32) (result i32)
      (i32.const 100)
      (i32.const 1)
      (loop $l (param i32) (result i32)
        (i32.const 2) (i32.mul)
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $l (local.get 0)))
      (i32.add)))"""
    assert run(text, 5) == [132]


def test_br_table_with_results_shares_arguments_by_label() -> None:
    """Repeated targets have edges of their own but one list of arguments."""
    text = """(module (func (param i32) (result i32)
      (block $a (result i32)
        (block $b (result i32)
          (i32.const 10) (br_table $a $b $a $b $a (local.get 0)))
        (i32.const 1) (i32.add))))"""
    assert [run(text, i)[0] for i in range(6)] == [10, 11, 10, 11, 10, 10]
    view = view_of(text)
    table = next(n for n in view.nodes if n[0] == 0x8012)
    assert table[5] == 5


def test_br_table_to_loop_and_function() -> None:
    """A backward label, a forward one and the function's own in one table."""
    text = """(module (func (param i32) (result i32) (local i32)
      (block $out
        (loop $again
          (local.set 1 (i32.add (local.get 1) (i32.const 1)))
          (if (i32.gt_u (local.get 1) (i32.const 4)) (then (return (local.get 1))))
          (br_table $again $out $again (local.get 0))))
      (i32.add (local.get 1) (i32.const 50))))"""
    assert [run(text, i)[0] for i in range(3)] == [5, 51, 5]


@pytest.mark.parametrize(
    "body",
    [
        "(block (br 0) (local.set 0 (i32.const 9)) (loop (br 0)))",
        "(loop (if (local.get 0) (then (local.set 0 (i32.const 0)) (br 1) (unreachable))))",
        "(if (local.get 0) (then (return (i32.const 3)) (drop (i32.add))) (else (nop)))",
        "(if (local.get 0) (then (nop)) (else (return (i32.const 4)) (block (loop (if (i32.const 1) (then)))) ))",
        "(if (local.get 0) (then (br 0) (unreachable)) (else (br 0) (unreachable)))",
        "(block (block (br 1) (block (loop)) ) (local.set 0 (i32.const 5)))",
        "(block (loop (br 1)) (local.set 0 (i32.const 6)))",
        "(block (br_table 0 0 (local.get 0)) (local.set 0))",
        "(block (br 0) (br_table 0 (i32.const 0)))",
        "(drop (block (result i32) (br 0 (i32.const 1)) (loop (result i32) (br_if 0 (i32.const 0)) (i32.const 1))))",
    ],
)
def test_dead_code_in_every_frame_kind(body: str) -> None:
    """Dead code makes no nodes; a join revives only if a live edge arrives."""
    text = f"(module (func (param i32) (result i32) {body} (local.get 0)))"
    for value in (0, 1, 2):
        run(text, value)


def test_a_frame_that_is_never_left_leaves_no_block() -> None:
    """After a loop without exit nothing is built, not even the return."""
    view = view_of("(module (func (result i32) (block (loop (br 0)) (nop)) (i32.const 1)))")
    assert len(view.blocks) == 2
    assert "return" not in print_ssa(view)


def test_a_join_takes_only_what_differs() -> None:
    """Of many locals set before and inside, the join's parameters are those whose values differ between the edges."""
    text = """(module (func (param i32) (result i32) (local i32 i32 i32 i32)
      (local.set 1 (i32.const 1))
      (if (local.get 0)
        (then (local.set 2 (i32.const 5)) (local.set 3 (local.get 1)))
        (else (local.set 3 (local.get 1)) (local.set 4 (i32.const 8))))
      (i32.add (local.get 2) (i32.add (local.get 3) (local.get 4)))))"""
    assert run(text, 1) == [6]
    assert run(text, 0) == [9]
    assert params(view_of(text)) == [1, 0, 0, 2]


def test_an_if_without_else_passes_its_parameters_on() -> None:
    """The missing arm hands the parameters to the join."""
    text = """(module (func (param i32) (result i32)
      (i32.const 7) (local.get 0)
      (if (param i32) (result i32) (then (i32.const 1) (i32.add)))))"""
    assert run(text, 0) == [7]
    assert run(text, 1) == [8]


def test_values_that_nothing_needs_are_pruned() -> None:
    """A loop-carried local that is never read, pure arithmetic, a parameter of a join: gone. What may trap stays."""
    text = """(module (memory 1) (func (param i32) (result i32) (local i32 i32)
      (loop $l
        (local.set 1 (i32.add (local.get 1) (i32.const 3)))
        (drop (i32.load (i32.const 8)))
        (drop (i32.div_u (local.get 0) (i32.const 3)))
        (drop (i32.mul (local.get 0) (i32.const 3)))
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (if (local.get 0) (then (local.set 2 (i32.const 9))))
      (local.get 0)))"""
    assert params(view_of(text, prune=False)) == [1, 2, 0, 0, 1]
    pruned = view_of(text)
    assert params(pruned) == [1, 1, 0, 0, 0]
    printed = print_ssa(pruned)
    assert "i32.load" in printed and "i32.div_u" in printed
    assert "i32.mul" not in printed and "i32.add" not in printed
    assert run(text, 3) == [0]


def test_every_loop_header_polls_and_knows_its_depth() -> None:
    """A poll behind the parameters; depth counts loops only."""
    view = view_of(
        "(module (func (local i32) (loop (block (loop (local.set 0 (i32.const 1)) (br_if 0 (local.get 0)))))))"
    )
    headers = [block for block in view.blocks if block[5] & 1]
    assert [block[4] for block in headers] == [1, 2]
    assert all(view.nodes[first + n][0] == 0x8006 for first, _, n, *_ in headers)


def test_multi_value_calls_have_result_nodes() -> None:
    """The call is its first result; the others follow it directly."""
    text = """(module (func (result i32) (call $three) (drop) (i32.add))
                      (func $three (result i32 i32 i64) (i32.const 1) (i32.const 2) (i64.const 3)))"""
    view = view_of(text)
    at = next(i for i, n in enumerate(view.nodes) if n[2] & 1)
    assert [n[0] for n in view.nodes[at + 1 : at + 3]] == [0x8005, 0x8005]
    host = SsaHost()
    instance = host.instantiate(host.load(parse_module(text[:8] + '(export "f" (func 0))' + text[8:]).binary))
    assert host.invoke(instance, "f", []) == [3]


def test_the_text_is_stable() -> None:
    """The printer's form is a golden format."""
    text = (
        "(module (memory 1) (func (param i32) (result i32) "
        "(i32.load offset=8 (i32.add (local.get 0) (i32.const 70000)))))"
    )
    assert print_ssa(view_of(text)) == (
        "func 0 -> [i32] {\n"
        "b0(v0:i32): ; preds 0, depth 0\n"
        "  v1:i32 = const 0x11170\n"
        "  v2:i32 = i32.add v0 v1\n"
        "  v3:i32 = i32.load v2 [8]\n"
        "  return v3\n"
        "}\n"
    )


def test_a_view_survives_the_arrays() -> None:
    """``load`` is the inverse of ``dump``."""
    view = view_of(program(3))
    ssa = Ssa()
    ssa.load(view)
    assert ssa.dump() == view


def test_the_verifier_sees_broken_forms() -> None:
    """A use before its definition, a wrong argument count, a missing terminator, a wrong type."""
    good = view_of(
        "(module (func (param i32) (result i32) (local i32)"
        "(loop (br_if 0 (local.tee 1 (i32.sub (local.get 1) (local.get 0))))) (local.get 1)))"
    )
    verify(good)

    def broken(**changes: object) -> SsaView:
        copy = SsaView(**{name: getattr(good, name) for name in SsaView.__slots__})
        for name, value in changes.items():
            setattr(copy, name, value)
        return copy

    sub = next(i for i, n in enumerate(good.nodes) if n[0] < 0x8000)
    later = [*good.nodes]
    op, type_, flags, _, b, c = later[sub]
    later[sub] = (op, type_, flags, sub, b, c)
    retyped = [*good.nodes]
    retyped[sub] = (op, 2, flags, *good.nodes[sub][3:])
    for view in (
        broken(nodes=later),
        broken(nodes=retyped),
        broken(edges=[(target, args, 0) for target, args, _ in good.edges]),
        broken(nodes=good.nodes[:-1], positions=good.positions[:-1]),
        broken(blocks=[(*block[:3], block[3] + 1, *block[4:]) for block in good.blocks]),
    ):
        with pytest.raises(SsaError):
            verify(view)


def test_the_verifier_looks_into_the_tables() -> None:
    """Words of constants, patterns and memory arguments are there; a shuffle is printed with its pattern."""
    pattern = " ".join(str(31 - i) for i in range(16))
    good = view_of(
        f"""(module (memory 1) (func (result v128) (i8x16.shuffle {pattern} (v128.load (i32.const 0))
          (v128.const i64x2 1 2))))"""
    )
    verify(good)
    assert any(f"[{pattern}]" in node_text(good, i) for i in range(len(good.nodes)))
    for missing in ({"constants": good.constants[:-1]}, {"constants": []}, {"memargs": []}):
        tables = {name: getattr(good, name) for name in SsaView.__slots__} | missing
        with pytest.raises(SsaError, match="names"):
            verify(SsaView(**tables))


@pytest.mark.parametrize("target", [4, 5, 6, 7])
def test_the_verifier_sees_edges_into_loops(target: int) -> None:
    """From before a loop an edge leads to its header, and over it, but not to a block inside, a header or not."""
    view = view_of(
        "(module (func (param i32) (if (local.get 0) (then))"
        "(loop (if (local.get 0) (then (loop (br_if 0 (local.get 0)))))"
        "(br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"
    )
    verify(view)
    edge = next(e for e in successors(view, 0) if view.edges[e][0] == 2)
    view.edges[edge] = (target, *view.edges[edge][1:])
    for block, more in ((2, -1), (target, 1)):
        first, last, params, preds, depth, flags = view.blocks[block]
        view.blocks[block] = (first, last, params, preds + more, depth, flags)
    with pytest.raises(SsaError, match=r"enters the loop .* from outside"):
        verify(view)


def test_behind_its_last_way_back_a_loop_is_over() -> None:
    """An edge over a way back, into what its construct also holds, comes from no outside; a loop that begins before
    the way back is all inside."""
    view = view_of(
        "(module (func (param i32) (block $out (loop $l (if (local.get 0) (then (br $out)))"
        "(br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))) (nop) (loop $m (br_if $m (local.get 0)))))))"
    )
    verify(view)
    header, second = (b for b, block in enumerate(view.blocks) if block[5] & LOOP_HEADER)
    ends = extents(view)
    assert view.blocks[ends[header]][4] == 1
    assert ends[header] < second < ends[second]
    crossed = view_of(
        "(module (func (param i32) (loop $l (loop $m (br_if $l (local.get 0))"
        "(br_if $m (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))))"
    )
    outer, inner = (b for b, block in enumerate(crossed.blocks) if block[5] & LOOP_HEADER)
    assert extents(crossed)[outer] == extents(crossed)[inner] == inner + 2


def outcome(action):  # type: ignore[no-untyped-def]
    """A result, or the kind of a trap."""
    try:
        return action()
    except Trap as trap:
        return trap.kind


def compare(text: str) -> None:
    """Oracle and evaluator agree on a random program for several arguments."""
    module = parse_module(text)
    views = view_of(text), view_of(text, prune=False)
    for args in ([0, 0], [1, 2], [3, 1], [7, 0xFFFFFFFF]):
        oracle = outcome(lambda a=args: instantiate(Store(), module).functions[0].call_raw(list(a)))
        for view in views:
            found = outcome(lambda a=args, v=view: evaluate(v, instantiate(Store(), module), list(a)))
            assert found == oracle, (args, text)


@pytest.mark.trace_slow
@given(st.integers(0, 1 << 48))
@settings(max_examples=300, deadline=None)
def test_random_control_flow_means_the_same_in_ssa_form(seed: int) -> None:
    """Programs of frames, branches, locals and dead code."""
    compare(program(seed))


@pytest.mark.parametrize("seed", range(12))
def test_a_few_random_programs_mean_the_same_in_ssa_form(seed: int) -> None:
    """The same with fixed seeds, few enough for the slowest build."""
    compare(program(seed))


def test_the_generator_makes_every_shape() -> None:
    """A generator that stopped making loops with results would let the test above pass for nothing."""
    texts = [program(seed) for seed in range(200)]
    for needle in (
        "loop (param i32)",
        "br_table",
        "(br_if",
        "else",
        "(return)",
        "(drop (i32.add))",
        "(result i32 i32)",
    ):
        assert sum(needle in text for text in texts) > 5, needle


def test_threads_build_the_same_as_one() -> None:
    """Many functions at once, each thread with an ``Ssa`` of its own: the same forms."""
    functions = "".join(program(seed)[len("(module ") : -1].replace('(export "f") ', "") for seed in range(120))
    valid = validate(parse_module(f"(module {functions})"))

    def one(index: int) -> SsaView:
        ssa = Ssa()
        build(valid, index, ssa)
        return ssa.dump()

    expected = [one(i) for i in range(120)]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            assert list(pool.map(one, range(120))) == expected


def test_an_endless_evaluation_runs_out_of_fuel() -> None:
    """The evaluator always comes back."""
    text = "(module (func (loop (br 0))))"
    with pytest.raises(OutOfSteps):
        evaluate(view_of(text), instantiate(Store(), parse_module(text)), [], steps=1000)


@pytest.mark.trace_slow
def test_exits_times_locals_is_a_resource_limit() -> None:
    """A branch after each of thousands of assignments to as many locals: every edge would carry them all."""
    n = 4000
    body = "".join(f"(local.set {i + 1} (local.get 0)) (br_if 0 (local.get 0))" for i in range(n))
    with pytest.raises(ResourceLimit):
        view_of(f"(module (func (param i32) (local {'i32 ' * n}) (block {body})))")


def test_a_body_out_of_proportion_is_a_resource_limit() -> None:
    """Loops nested in loops around thousands of assignments need their product in parameters: refused, not endured."""
    n = 2000
    sets = "".join(f"(local.set {i} (i32.const {i}))" for i in range(n))
    text = f"(module (func (local {'i32 ' * n}) {'(loop ' * n} {sets} {')' * n}))"
    with pytest.raises(ResourceLimit):
        view_of(text)


def test_the_text_shows_every_shape_of_node() -> None:
    """Calls, tables, bulk operations, branches, traps, references."""
    text = """(module (memory 1) (table 4 funcref) (global (mut i64) (i64.const 0))
      (type $t (func (param i32) (result i32)))
      (elem declare func 0) (data $d "abc")
      (func (param i32) (result i32)
        (global.set 0 (i64.const 0x1_0000_0000))
        (memory.fill (i32.const 1) (local.get 0) (i32.const 2))
        (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1))
        (table.set (i32.const 0) (ref.func 0))
        (drop (memory.grow (i32.const 1)))
        (block (block (br_table 0 1 0 (local.get 0))) (unreachable))
        (call_indirect (type $t) (select (i32.const 3) (i32.const 4) (local.get 0)) (i32.const 0))))"""
    assert print_ssa(view_of(text)) == (
        "func 0 -> [i32] {\n"
        "b0(v0:i32): ; preds 0, depth 0\n"
        "  v1:i64 = const 0x100000000\n"
        "  global.set v1 [0]\n"
        "  v3:i32 = const 1\n"
        "  v4:i32 = const 2\n"
        "  memory.fill v3 v0 v4 [0 0]\n"
        "  v6:i32 = const 0\n"
        "  v7:i32 = const 0\n"
        "  v8:i32 = const 1\n"
        "  memory.init v6 v7 v8 [0 0]\n"
        "  v10:i32 = const 0\n"
        "  v11:ref = ref.func [0]\n"
        "  table.set v10 v11 [0]\n"
        "  v13:i32 = const 1\n"
        "  v14:i32 = memory.grow v13 [0]\n"
        "  br_table v0 b1() b2() b1()\n"
        "b1(): ; preds 2, depth 0\n"
        "  trap unreachable\n"
        "b2(): ; preds 1, depth 0\n"
        "  v17:i32 = const 3\n"
        "  v18:i32 = const 4\n"
        "  v19:i32 = select v17 v18 v0\n"
        "  v20:i32 = const 0\n"
        "  v21:i32 = call_indirect v19 v20 [0 0]\n"
        "  return v21\n"
        "}\n"
    )
