"""Every numeric rule, run: constants, the same register, registers and slots, against the semantics of the row."""

from __future__ import annotations

import itertools
import random

import pytest

from stratavm.base.errors import Trap
from stratavm.spec.concrete import evaluate
from stratavm.spec.ops import BY_MNEMONIC
from stratavm.spec.types import F32, F64, I32, I64, FuncType
from stratavm.targets.x64 import rules_float, rules_int
from stratavm.targets.x64.plan import ModulePlan, host_features
from stratavm.targets.x64.regs import ALLOCATABLE, CPU_FEATURES, STARVED
from stratavm.targets.x64.target import X64
from tests.unit.targets.x64.ssa_build import LETTER, Draft, Runner, compile_draft, module_of

INTS = [0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x12345678]
EDGES = {
    I32: [*INTS, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0xFFFFFF80, 0xFFFF8000],
    I64: [*INTS, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1025, (1 << 64) - 1,
          0x8000000000000401, 0xFFFFFFFF80000000, 0xFFFFFFFF7FFFFFFF, 0x0020000000000001],
    F32: [0, 1, 0x3F800000, 0x3F000000, 0x3FC00000, 0x40200000, 0x4B000000, 0x4EFFFFFF, 0x4F000000, 0x4F7FFFFF,
    0x4F800000,
          0x5EFFFFFF, 0x5F000000, 0x5F7FFFFF, 0x5F800000, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, 0x7FA00000,
          0x3F7FFFFF, 0x447A0000],
    F64: [0, 1, 0x3FF0000000000000, 0x3FE0000000000000, 0x3FF8000000000000, 0x4004000000000000, 0x41DFFFFFFFC00000,
          0x41DFFFFFFFFFFFFF, 0x41E0000000000000, 0x41E0000000200000, 0x41E00000001FFFFF, 0x41EFFFFFFFE00000,
          0x41EFFFFFFFFFFFFF, 0x41F0000000000000, 0x43DFFFFFFFFFFFFF, 0x43E0000000000000, 0x43EFFFFFFFFFFFFF,
          0x43F0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF8000000000000, 0x7FF4000000000000,
          0x3FEFFFFFFFFFFFFF, 0x36A0000000000000, 0x47EFFFFFF0000000],
}  # fmt: skip
EDGES[F32] = EDGES[F32] + [v | 1 << 31 for v in EDGES[F32]]
EDGES[F64] = EDGES[F64] + [v | 1 << 63 for v in EDGES[F64]]
RULES = [rule.op for rule in (*rules_int.RULES, *rules_float.RULES)]
EVERYTHING = sum(1 << n for n in ALLOCATABLE)
FEW = sum(1 << n for n in STARVED)


def is_nan(value: int, type_: int) -> bool:
    return (value & 0x7FFFFFFF) > 0x7F800000 if type_ == F32 else (value & (1 << 63) - 1) > 0x7FF0000000000000


def same(got: int, expected: int, type_: int, exact: bool) -> bool:
    """Equal bits, or two quiet NaNs (which payload arrives is not specified)."""
    if not exact and type_ in (F32, F64) and is_nan(expected, type_):
        return is_nan(got, type_) and bool(got & (1 << 22 if type_ == F32 else 1 << 51))
    return got == expected


def meaning(op: str, operands: tuple[int, ...]) -> int | None:
    """What the row says, None for a trap."""
    try:
        return evaluate(BY_MNEMONIC[op], *operands)
    except Trap:
        return None


def signature(op: str) -> tuple[list[int], int]:
    left, right = BY_MNEMONIC[op].signature.split("->")
    return [LETTER[c] for c in left], LETTER[right]


def samples(op: str, seed: int = 0, limit: int = 120) -> list[tuple[int, ...]]:
    """Operand tuples that do not trap: edges, then random ones."""
    types, _ = signature(op)
    rng = random.Random(f"{op}{seed}")
    found = list(itertools.product(*(EDGES[t] for t in types)))
    rng.shuffle(found)
    found = found[:limit]
    found += [tuple(rng.getrandbits(32 if t in (I32, F32) else 64) for t in types) for _ in range(20)]
    return [operands for operands in found if meaning(op, operands) is not None]


EXACT = ("abs", "neg", "copysign", "reinterpret")


def check(op: str, operands: tuple[int, ...], got: int) -> None:
    expected = meaning(op, operands)
    assert expected is not None
    exact = any(word in op for word in EXACT)
    assert same(got, expected, signature(op)[1], exact), (
        f"{op} {[hex(v) for v in operands]}: {got:#x}, expected {expected:#x}"
    )


def arguments_function(op: str) -> Draft:
    """The operands are parameters."""
    types, result = signature(op)
    draft = Draft(FuncType(tuple(types), (result,)))
    draft.ret(draft.op(op, result, *draft.params))
    return draft


@pytest.mark.parametrize("op", RULES)
@pytest.mark.parametrize("registers", [EVERYTHING, FEW], ids=["all", "starved"])
def test_operands_in_parameters(op, registers):
    """Edges and random operands give the row's result."""
    draft, runner = arguments_function(op), Runner()
    rec = runner.add(compile_draft(draft, registers=registers), draft.type)
    for operands in samples(op):
        status, (got,) = runner.world.call(rec, draft.type, list(operands))
        assert status == 0
        check(op, operands, got)


@pytest.mark.parametrize("op", RULES)
def test_constant_operands(op):
    """Each operand as a constant in turn, then all of them: immediates, mirrored comparisons, powers of two."""
    types, result = signature(op)
    runner = Runner()
    for operands in samples(op, 1, 25):
        for constants in range(1, 1 << len(types)):
            params = tuple(t for i, t in enumerate(types) if not constants >> i & 1)
            draft = Draft(FuncType(params, (result,)))
            rest = iter(draft.params)
            values = [draft.const(t, operands[i]) if constants >> i & 1 else next(rest) for i, t in enumerate(types)]
            draft.ret(draft.op(op, result, *values))
            given = [v for i, v in enumerate(operands) if not constants >> i & 1]
            check(op, operands, runner.run(draft, given)[0])


@pytest.mark.parametrize("op", [op for op in RULES if len(signature(op)[0]) == 2 and len(set(signature(op)[0])) == 1])
def test_the_same_operand_twice(op):
    """x op x."""
    types, result = signature(op)
    draft = Draft(FuncType((types[0],), (result,)))
    draft.ret(draft.op(op, result, draft.params[0], draft.params[0]))
    runner = Runner()
    rec = runner.add(compile_draft(draft), draft.type)
    for value in EDGES[types[0]]:
        if meaning(op, (value, value)) is not None:
            check(op, (value, value), runner.world.call(rec, draft.type, [value])[1][0])


@pytest.mark.parametrize("op", RULES)
def test_operands_survive_the_operation(op):
    """Inputs that live on are not overwritten, even with many other values alive."""
    types, result = signature(op)
    others = (I64,) * 9 + (F64,) * 9
    draft = Draft(FuncType((*types, *others), (result, *types, *others)))
    value = draft.op(op, result, *draft.params[: len(types)])
    draft.ret(value, *draft.params)
    runner = Runner()
    rec = runner.add(compile_draft(draft), draft.type)
    extra = [0x1000 + i for i in range(18)]
    for operands in samples(op, 2, 12):
        status, results = runner.world.call(rec, draft.type, [*operands, *extra])
        check(op, operands, results[0])
        assert (status, results[1:]) == (0, [*operands, *extra])


COMPARISONS = [rule.op for rule in (*rules_int.RULES, *rules_float.RULES) if rule.cc]


@pytest.mark.parametrize("negations", [0, 1, 2])
@pytest.mark.parametrize("op", COMPARISONS)
def test_a_comparison_fused_into_a_branch_and_a_select(op, negations):
    """Flags instead of a number: branch, integer select, float select, each also negated."""
    types, _ = signature(op)

    def condition(draft):
        value = draft.op(op, I32, *draft.params)
        for _ in range(negations):
            value = draft.op("i32.eqz", I32, value)
        return value

    branch = Draft(FuncType(tuple(types), (I32,)))
    branch.br_if(condition(branch), (1,), (2, branch.const(I32, 20)))
    branch.open()
    branch.ret(branch.const(I32, 10))
    branch.open()
    branch.ret(*branch.block_params(I32))
    drafts = [branch]
    for kind, first, second in ((I32, 10, 20), (I64, 10, 20), (F64, 10, 20)):
        select = Draft(FuncType(tuple(types), (kind,)))
        one, other = select.const(kind, first), select.const(kind, second)
        select.ret(select.op("select", kind, one, other, condition(select)))
        drafts.append(select)
    runner = Runner()
    for draft in drafts:
        rec = runner.add(compile_draft(draft), draft.type)
        for operands in samples(op, 3, 30):
            expected = (10, 20) if negations % 2 == 0 else (20, 10)
            got = runner.world.call(rec, draft.type, list(operands))[1][0]
            assert got == expected[0 if meaning(op, operands) else 1], [hex(v) for v in operands]


@pytest.mark.parametrize(
    "op", ["i32.clz", "i64.clz", "i32.ctz", "i64.ctz", "i32.shl", "i64.shr_s", "i64.shr_u", "i32.shr_u"]
)
def test_a_processor_without_the_extensions(op):
    """x86-64-v2 alone: bit scans and shifts by cl."""
    draft, runner = arguments_function(op), Runner()
    plan = ModulePlan(module_of(draft.type), features={"sse42", "popcnt"})
    rec = runner.add(compile_draft(draft, plan), draft.type)
    for operands in samples(op):
        check(op, operands, runner.world.call(rec, draft.type, list(operands))[1][0])


@pytest.mark.parametrize("features", [{"sse42", "popcnt"}, host_features()], ids=["old", "this processor"])
@pytest.mark.parametrize("op", ["i32.rotl", "i32.rotr", "i64.rotl", "i64.rotr", "i32.shl", "i64.shr_s"])
def test_a_shift_by_a_constant_whose_input_lives_on(op, features):
    """Every count, and more than the width: what is shifted is returned too."""
    (kind, _), _ = signature(op)
    bits = 32 if kind == I32 else 64
    runner = Runner()
    for count in [*range(65), (1 << bits) - 1]:
        draft = Draft(FuncType((kind,), (kind, kind)))
        (value,) = draft.params
        draft.ret(draft.op(op, kind, value, draft.const(kind, count)), value)
        plan = ModulePlan(module_of(draft.type), features=features)
        rec = runner.add(compile_draft(draft, plan), draft.type)
        operand = 0x9234_5678_9ABC_DEF1 & (1 << bits) - 1
        assert runner.world.call(rec, draft.type, [operand])[1] == [meaning(op, (operand, count)), operand]


def test_the_extensions_matter():
    """The two variants are different code (or the test above would test nothing)."""
    for op in ("i32.clz", "i64.ctz", "i32.shl"):
        draft = arguments_function(op)
        old, new = (ModulePlan(module_of(draft.type), features=f) for f in ({"sse42", "popcnt"}, set(CPU_FEATURES[1:])))
        assert compile_draft(draft, new).code != compile_draft(draft, old).code


def test_machine_ir_has_readable_names_that_can_be_read_back():
    """Every row, pseudo operation and row behind a context pointer; no two share a name."""
    from stratavm.machine.mfunc import op_name, op_number
    from stratavm.targets.x64._gen_pseudo import PSEUDO
    from stratavm.targets.x64.encodings import MOP

    numbers = [*MOP.values(), *(n for name, n in PSEUDO.items() if name != "via")]
    numbers += [PSEUDO["via"] + n for n in MOP.values()]
    names = [op_name(n, X64) for n in numbers]
    assert [op_number(name, X64) for name in names] == numbers
    assert len(set(names)) == len(names)
    assert {"jcc", "call_indirect", "via.mov_rm", "add_rr"} <= set(names)
