"""Rows that are no node of their own are expanded by their meaning: several results, four operands, or no rule."""

from __future__ import annotations

import itertools

import pytest

from stratavm.base.errors import ValidationError
from stratavm.ir.evaluate import evaluate
from stratavm.ir.pipeline import LEVELS
from stratavm.ir.ssa import IR_OPS, Ssa
from stratavm.ir.text import op_name, print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.printer import disassemble, to_wat
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.spec.concrete import evaluate as evaluate_row
from stratavm.spec.declare import Declared
from stratavm.spec.index import IDS
from stratavm.spec.ops import BY_ID, BY_MNEMONIC
from stratavm.spec.types import F32, F64, I32, I64, FuncType
from tests.oracle.state import Store, instantiate
from tests.unit.ir.forms import build, pipeline_of
from tests.unit.targets.x64.ssa_build import Draft, Runner
from tools import gen_ops
from tools.gen_expand import CannotExpand, Template, is_expanded, record, templates

WIDE = ("i64.add128", "i64.sub128", "i64.mul_wide_s", "i64.mul_wide_u")
EXPANDED = {"i64.add128", "i64.sub128", "i64.mul_wide_s", "i64.mul_wide_u"}
"""Rows that are expanded today. A row with one result leaves this list when it gets a rule; none may come back."""
M = (1 << 64) - 1
SAMPLES = {
    "i": (0, 1, 2, 31, 32, 33, 0x80, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF),
    "I": (0, 1, 2, 63, 64, 0x8000_0000, 0xFFFF_FFFF, (1 << 63) - 1, 1 << 63, M),
    "f": (0, 0x8000_0000, 0x3F80_0000, 0xBF80_0000, 0x7F80_0000, 0x7FC0_0000, 1),
    "F": (0, 1 << 63, 0x3FF0 << 48, 0xBFF0 << 48, 0x7FF0 << 48, 0x7FF8 << 48, 1),
}
WORDS = (0, 1, 2, M, M - 1, 1 << 63, (1 << 63) - 1, 0x0123_4567_89AB_CDEF)


def function(name: str) -> str:
    """A module whose only function is the row."""
    n = len(BY_MNEMONIC[name].operands)
    gets = " ".join(f"(local.get {i})" for i in range(n))
    return f'(module (func (export "f") (param{" i64" * n}) (result i64 i64) ({name} {gets})))'


def expected(name: str, operands: tuple[int, ...]) -> list[int]:
    """By Python's integers of any size."""
    if name.startswith("i64.mul"):
        a, b = ((n - (1 << 64) if n >> 63 and name.endswith("s") else n) for n in operands)
        result = a * b
    else:
        a, b = operands[0] | operands[1] << 64, operands[2] | operands[3] << 64
        result = a + b if name == "i64.add128" else a - b
    return [result & M, result >> 64 & M]


def samples(name: str):
    """All operands from the words, thinned out where there are four."""
    everything = list(itertools.product(WORDS, repeat=len(BY_MNEMONIC[name].operands)))
    return everything if len(everything) < 100 else everything[::37]


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("level", [0, 1])
def test_a_row_with_two_results_becomes_a_node_for_each(name, level):
    """Every node has one result, and together they compute what the row means; before and after the passes."""
    valid = validate(parse_module(function(name)))
    ssa, out = Ssa(), Ssa()
    build(valid, 0, ssa)
    pipeline_of(valid, LEVELS[level]).run(ssa, out)
    verify(out)
    view = out.dump()
    assert name not in {op_name(node[0]) for node in view.nodes}
    assert "result" not in {op_name(node[0]) for node in view.nodes}
    for operands in samples(name):
        assert evaluate(view, None, list(operands)) == expected(name, operands), operands
        assert list(evaluate_row(BY_MNEMONIC[name], *operands)) == expected(name, operands)


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("level", [0, 1])
def test_machine_code_gives_both_results(name, level):
    """The same on the processor."""
    valid = validate(parse_module(function(name)))
    options = Options(allocator="splitting" if level else "linear", passes=LEVELS[level], machine=MACHINE_LEVELS[level])
    code = wasm_compiler(valid, options).compile(0)
    runner, n = Runner(), len(BY_MNEMONIC[name].operands)
    type_ = FuncType((I64,) * n, (I64, I64))
    rec = runner.add(code, type_)
    for operands in samples(name):
        status, results = runner.world.call(rec, type_, list(operands))
        assert (status, [r & M for r in results]) == (0, expected(name, operands)), operands


@pytest.mark.parametrize("name", WIDE)
def test_the_oracle_gives_both_results(name):
    """The low half below the high one."""
    instance = instantiate(Store(), parse_module(function(name)))
    for operands in samples(name):
        assert [r & M for r in instance.call("f", *operands)] == expected(name, operands), operands


def test_the_validator_takes_four_operands_and_gives_two_results():
    """Each in its place; a missing or a wrong one is named."""
    ok = "(module (func (result i64) (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4) i64.add128 drop))"
    validate(parse_module(ok))
    for bad in (ok.replace("(i64.const 1)", ""), ok.replace("i64.const 2", "i32.const 2"), ok.replace("drop", "")):
        with pytest.raises(ValidationError):
            validate(parse_module(bad))


@pytest.mark.parametrize("name", WIDE)
def test_text_and_binary_carry_the_row(name):
    """Printed and read again, folded and flat."""
    module = parse_module(function(name))
    for folded in (False, True):
        assert parse_module(to_wat(module, folded=folded)).binary == module.binary
    assert name in disassemble(module, 0)


# ---- any row ---------------------------------------------------------------------------------------


def draft_of(template: Template) -> Draft:
    """A function that is the template."""
    types = {"i": I32, "I": I64, "f": F32, "F": F64}
    names = {"i32": I32, "i64": I64, "f32": F32, "f64": F64}
    row = template.row
    draft = Draft(FuncType(tuple(types[c] for c in row.operands), tuple(types[c] for c in row.results)))
    values = list(draft.params)
    for step in template.steps:
        if step.op == "const":
            values.append(draft.const(names[step.type], step.word))
        else:
            op = IR_OPS.get(step.op, IDS.get(step.op))
            values.append(draft.node(op, names[step.type], *(values[n] for n in step.operands)))
    draft.ret(*(values[n] for n in template.results))
    return draft


def expandable() -> list[Template]:
    """Templates of every row that nodes of other rows can stand for."""
    found = []
    for row in BY_ID.values():
        if row.semantics is not None:
            try:
                found.append(record(row))
            except CannotExpand:
                continue
    return found


@pytest.mark.parametrize("template", expandable(), ids=lambda template: template.row.mnemonic)
def test_an_expansion_means_what_the_row_means(template):
    """On all samples: a target without the rule would run it right."""
    row = template.row
    draft = draft_of(template)
    for operands in list(itertools.product(*(SAMPLES[letter] for letter in row.operands)))[:2000]:
        found = evaluate(draft.view, None, list(operands))
        result = evaluate_row(row, *operands)
        assert found == (list(result) if isinstance(result, tuple) else [result]), operands


def test_what_needs_a_rule_of_its_own_is_known():
    """Operations that are primitives, and those that may trap; a new target must have rules for these."""
    names = {template.row.mnemonic for template in expandable()}
    assert {"i32.rotl", "i64.rotr", "i32.ne", "i64.ge_u", "i32.gt_s", "f32.gt", "f64.ne", "i64.eqz"} <= names
    assert not {"i32.add", "i32.eq", "i32.div_s", "f32.add", "i32.trunc_f32_s"} & names


def test_a_row_without_a_rule_is_expanded():
    """Were there no rule for a rotation, the builder would have a template; control and loads never have one."""
    ruled = frozenset(row.mnemonic for row in BY_ID.values() if row.semantics)
    assert not is_expanded(BY_MNEMONIC["i32.rotl"], ruled)
    assert is_expanded(BY_MNEMONIC["i32.rotl"], ruled - {"i32.rotl"})
    assert not is_expanded(BY_MNEMONIC["i32.load"], frozenset())
    assert not is_expanded(BY_MNEMONIC["memory.copy"], frozenset())
    assert print_ssa(draft_of(record(BY_MNEMONIC["i32.rotl"])).view).count("i32.sh") == 2


def test_the_list_of_expanded_rows_only_shrinks():
    """It is committed here: a new row without a rule must be added by hand, and a rule takes its row off."""
    assert {template.row.mnemonic for template in templates()} == EXPANDED


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            Declared("x.five", 0xFC, 40, signature="IIIII->I"),
            r"x\.five has 5 operands, and OP_SIGNATURE holds 4 in its nibbles",
        ),
        (Declared("x.out", 0xFC, 40, signature="I->IIIII"), r"x\.out has 5 results, and OP_SIGNATURE holds 4"),
    ],
)
def test_what_the_tables_cannot_hold_is_refused(row, said):
    """By the generator, with the row and the limit."""
    with pytest.raises(SystemExit, match=said):
        gen_ops.signature(row)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            Declared("x.two", 0xFC, 40, signature="II->II"),
            r"x\.two has 2 operands and 2 results and no semantic function .* at most 3 operands and one result",
        ),
        (
            Declared("x.trap", 0xFC, 40, signature="i->i", semantics=lambda d, a: d.trap_if(d.eq(a, a), "div_by_zero")),
            r"x\.trap may trap, which no node does by a condition",
        ),
        (
            Declared("i32.add", 0, 0x6A, signature="ii->i", semantics=lambda d, a, b: d.add(a, b)),
            r"i32\.add is defined by itself: it needs a selection rule",
        ),
        (
            Declared("x.vector", 0xFC, 40, signature="v->i", semantics=lambda d, a: d.bool_(d.eq(a, a))),
            r"x\.vector is of vectors, which no nodes take apart",
        ),
        (
            Declared("x.int", 0xFC, 40, signature="f->i", semantics=lambda d, a: d.to_int_s(a, "i32")),
            r"x\.int needs to_int_s, which no node does",
        ),
        (
            Declared("x.wrong", 0xFC, 40, signature="i->I", semantics=lambda d, a: d.not_(a)),
            r"x\.wrong gives \['i32'\], its signature says i->I",
        ),
    ],
)
def test_what_nodes_cannot_stand_for_is_refused(row, said):
    """With the row and the reason."""
    with pytest.raises(CannotExpand, match=said):
        record(row)


def test_a_scratch_row_with_two_results_and_four_operands_has_a_template():
    """Any such row with a meaning, not only those of the proposal."""

    def swap(d, a, b, c, e):
        return d.select(d.lt_u(a, b), c, e), d.xor(a, d.const(5))

    template = record(Declared("x.swap", 0xFC, 41, signature="iiii->ii", semantics=swap))
    assert evaluate(draft_of(template).view, None, [1, 2, 30, 40]) == [30, 1 ^ 5]
    assert evaluate(draft_of(template).view, None, [2, 2, 30, 40]) == [40, 2 ^ 5]
    assert gen_ops.signature(template.row) == 0x1_1111_1 | 1 << 20


@pytest.mark.parametrize("sign", ["s", "u"])
def test_the_upper_half_of_a_product_of_i32_has_a_template(sign):
    """The IR's own nodes for it are of i64: taken for i32, they gave 0."""
    row = Declared("x.high", 0xFC, 41, signature="ii->i", semantics=lambda d, a, b: getattr(d, f"mulhi_{sign}")(a, b))
    view = draft_of(record(row)).view
    for a, b in itertools.product(SAMPLES["i"], repeat=2):
        assert evaluate(view, None, [a, b]) == [evaluate_row(row, a, b)], (a, b)
