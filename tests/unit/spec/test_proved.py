"""Integer definitions proved on Z3 terms: the semantic function equals the solver's own operation for all operands."""

from __future__ import annotations

import pytest

from stratavm.spec.ops import BY_MNEMONIC
from tests import needed
from tests.unit.ir.terms import Terms

z3 = needed.module("z3")


def meaning(mnemonic: str):
    """Operand terms, the row's result, and the domain with its traps."""
    row = BY_MNEMONIC[mnemonic]
    bits = 32 if row.operands[0] == "i" else 64
    d = Terms(f"i{bits}")
    operands = z3.BitVecs("a b", bits)[: len(row.operands)]
    return *operands, row.semantics(d, *operands), d


def prove(claim) -> None:
    """The negation has no model."""
    solver = z3.Solver()
    solver.set("timeout", 20_000)
    solver.add(z3.Not(claim))
    assert solver.check() == z3.unsat, solver


@pytest.mark.parametrize("bits", [32, 64])
def test_rotations_are_rotations(bits):
    """Built from two shifts and an or, for every count, 0 and multiples of the width included."""
    a, b, left, _ = meaning(f"i{bits}.rotl")
    prove(left == z3.RotateLeft(a, b))
    a, b, right, _ = meaning(f"i{bits}.rotr")
    prove(right == z3.RotateRight(a, b))


@pytest.mark.parametrize("bits", [32, 64])
def test_shift_counts_are_taken_modulo_the_width(bits):
    """Z3 shifts out everything from the width on; WebAssembly does not."""
    for name, function in (("shl", lambda a, b: a << b), ("shr_u", z3.LShR), ("shr_s", lambda a, b: a >> b)):
        a, b, result, _ = meaning(f"i{bits}.{name}")
        prove(result == function(a, z3.URem(b, z3.BitVecVal(bits, bits))))


@pytest.mark.parametrize("bits", [32, 64])
def test_comparisons_from_three_primitives(bits):
    """All ten come from equality and the two kinds of less."""
    one = z3.BitVecVal(1, 32)
    claims = {
        "ne": lambda a, b: a != b, "lt_s": lambda a, b: a < b, "gt_s": lambda a, b: a > b,
        "le_s": lambda a, b: a <= b, "ge_s": lambda a, b: a >= b, "lt_u": z3.ULT, "gt_u": z3.UGT, "le_u": z3.ULE,
        "ge_u": z3.UGE, "eq": lambda a, b: a == b,
    }  # fmt: skip
    for name, claim in claims.items():
        a, b, result, _ = meaning(f"i{bits}.{name}")
        prove((result == one) == claim(a, b))


@pytest.mark.parametrize("bits", [32, 64])
def test_division_traps_exactly_when_the_quotient_does_not_exist(bits):
    """By zero, and where the true quotient does not fit; the remainder never overflows."""
    a, b, _, d = meaning(f"i{bits}.div_s")
    prove(z3.Or(*d.traps["div_by_zero"]) == (b == 0))
    prove(z3.Or(*d.traps["int_overflow"]) == z3.Not(z3.BVSDivNoOverflow(a, b)))
    _, b, _, d = meaning(f"i{bits}.rem_s")
    assert set(d.traps) == {"div_by_zero"}


def test_narrow_sign_extension_is_a_pair_of_shifts():
    """What a target without the instruction would emit."""
    for bits, width in ((32, 8), (32, 16), (64, 8), (64, 16), (64, 32)):
        a, result, _ = meaning(f"i{bits}.extend{width}_s")
        prove(result == (a << bits - width) >> bits - width)


def test_wrapping_undoes_extending():
    """wrap(extend(a)) is a for both extensions."""
    d = Terms("i32")
    a = z3.BitVec("a", 32)
    for mnemonic in ("i64.extend_i32_s", "i64.extend_i32_u"):
        prove(d.wrap(BY_MNEMONIC[mnemonic].semantics(d, a)) == a)
