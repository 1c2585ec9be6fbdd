"""Vector rows proved on Z3 terms: in each lane they are what is said of it here, in words of the solver's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stratavm.spec.domain import LETTER_TYPES, WIDTHS
from stratavm.spec.ops import BY_MNEMONIC
from tests import needed
from tests.unit.ir.terms import Terms
from tests.unit.spec.test_proved import prove

z3 = needed.module("z3")

INTS = {"i8x16": 8, "i16x8": 16, "i32x4": 32, "i64x2": 64}
WIDER = {"i16x8": "i8x16", "i32x4": "i16x8", "i64x2": "i32x4"}


def lanes(vector: Any, width: int) -> list[Any]:
    """The lanes, the lowest first."""
    return [z3.Extract(at + width - 1, at, vector) for at in range(0, 128, width)]


def meaning(mnemonic: str, *immediates: Any) -> tuple[Any, ...]:
    """Operand terms and the row's result."""
    row = BY_MNEMONIC[mnemonic]
    operands = [z3.BitVec(n, WIDTHS[LETTER_TYPES[t]]) for n, t in zip("abc", row.operands, strict=False)]
    assert row.semantics is not None
    domain: Any = Terms("v128")
    return *operands, row.semantics(domain, *operands, *immediates)


def prove_lanes(mnemonic: str, width: int, statement: Callable[..., Any], to: int = 0) -> None:
    """Each lane of the result is what the statement says of the lanes of the operands."""
    *operands, result = meaning(mnemonic)
    wanted = [statement(*each) for each in zip(*(lanes(v, width) for v in operands), strict=True)]
    prove(result == z3.Concat(*reversed(wanted)))


def resize(a: Any, width: int, signed: bool) -> Any:
    """The number in more bits."""
    return (z3.SignExt if signed else z3.ZeroExt)(width - a.size(), a)


def clamped(a: Any, width: int, signed: bool) -> Any:
    """A signed number as the nearest one of fewer bits."""
    least, most = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    return z3.Extract(width - 1, 0, z3.If(a < least, least, z3.If(a > most, most, a)))


def bits(condition: Any, width: int) -> Any:
    """All ones, or zero."""
    return z3.SignExt(width - 1, z3.If(condition, z3.BitVecVal(1, 1), z3.BitVecVal(0, 1)))


ORDERS = {
    "eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt_s": lambda a, b: a < b, "gt_s": lambda a, b: a > b,
    "le_s": lambda a, b: a <= b, "ge_s": lambda a, b: a >= b, "lt_u": z3.ULT, "gt_u": z3.UGT, "le_u": z3.ULE,
    "ge_u": z3.UGE,
}  # fmt: skip


@pytest.mark.parametrize("shape", INTS)
def test_comparisons_fill_their_lanes(shape):
    """Ten orders, of which the widest lanes have the signed ones."""
    names = [name for name in ORDERS if f"{shape}.{name}" in BY_MNEMONIC]
    assert len(names) == (6 if shape == "i64x2" else 10)
    for name in names:
        prove_lanes(f"{shape}.{name}", INTS[shape], lambda a, b, name=name: bits(ORDERS[name](a, b), a.size()))


@pytest.mark.parametrize("shape", INTS)
def test_sums_differences_and_their_kin(shape):
    """Modulo the width of a lane; the least number is its own absolute value."""
    prove_lanes(f"{shape}.add", INTS[shape], lambda a, b: a + b)
    prove_lanes(f"{shape}.sub", INTS[shape], lambda a, b: a - b)
    prove_lanes(f"{shape}.neg", INTS[shape], lambda a: -a)
    prove_lanes(f"{shape}.abs", INTS[shape], lambda a: z3.If(a >= 0, a, -a))
    if shape != "i8x16":
        prove_lanes(f"{shape}.mul", INTS[shape], lambda a, b: a * b)
    if shape != "i64x2":
        prove_lanes(f"{shape}.min_s", INTS[shape], lambda a, b: z3.If(a < b, a, b))
        prove_lanes(f"{shape}.max_s", INTS[shape], lambda a, b: z3.If(a < b, b, a))
        prove_lanes(f"{shape}.min_u", INTS[shape], lambda a, b: z3.If(z3.ULT(a, b), a, b))
        prove_lanes(f"{shape}.max_u", INTS[shape], lambda a, b: z3.If(z3.ULT(a, b), b, a))


@pytest.mark.parametrize("shape", ["i8x16", "i16x8"])
def test_saturation_is_where_the_exact_result_does_not_fit(shape):
    """By the solver's own predicates of overflow; averages are rounded up."""
    n = INTS[shape]
    least, most, ones = z3.BitVecVal(1 << n - 1, n), z3.BitVecVal((1 << n - 1) - 1, n), z3.BitVecVal(-1, n)

    def add_s(a, b):
        fits = z3.And(z3.BVAddNoOverflow(a, b, True), z3.BVAddNoUnderflow(a, b))
        return z3.If(fits, a + b, z3.If(a < 0, least, most))

    def sub_s(a, b):
        fits = z3.And(z3.BVSubNoOverflow(a, b), z3.BVSubNoUnderflow(a, b, True))
        return z3.If(fits, a - b, z3.If(a < 0, least, most))

    prove_lanes(f"{shape}.add_sat_s", n, add_s)
    prove_lanes(f"{shape}.sub_sat_s", n, sub_s)
    prove_lanes(f"{shape}.add_sat_u", n, lambda a, b: z3.If(z3.BVAddNoOverflow(a, b, False), a + b, ones))
    prove_lanes(f"{shape}.sub_sat_u", n, lambda a, b: z3.If(z3.UGE(a, b), a - b, 0))
    prove_lanes(
        f"{shape}.avgr_u",
        n,
        lambda a, b: z3.Extract(n - 1, 0, z3.LShR(resize(a, n + 1, False) + resize(b, n + 1, False) + 1, 1)),
    )


@pytest.mark.parametrize("shape", INTS)
def test_all_lanes_are_shifted_by_the_same_count(shape):
    """Modulo the width of a lane."""
    n = INTS[shape]
    for name, function in (("shl", lambda a, k: a << k), ("shr_u", z3.LShR), ("shr_s", lambda a, k: a >> k)):
        a, count, result = meaning(f"{shape}.{name}")
        k = z3.URem(count, n)
        k = z3.Extract(n - 1, 0, k) if n < 32 else resize(k, n, False)
        prove(result == z3.Concat(*reversed([function(x, k) for x in lanes(a, n)])))


@pytest.mark.parametrize("shape", WIDER)
@pytest.mark.parametrize("sign", "su")
def test_wider_lanes_are_made_of_halves_and_of_neighbours(shape, sign):
    """Extension, products, sums of two; and back."""
    narrow, n = WIDER[shape], INTS[shape]
    for at, part in enumerate(("low", "high")):
        a, result = meaning(f"{shape}.extend_{part}_{narrow}_{sign}")
        wide = [resize(x, n, sign == "s") for x in lanes(a, n // 2)]
        first = at * len(wide) // 2
        prove(result == z3.Concat(*reversed(wide[first : first + len(wide) // 2])))
        a, b, result = meaning(f"{shape}.extmul_{part}_{narrow}_{sign}")
        pairs = list(zip(lanes(a, n // 2), lanes(b, n // 2), strict=True))[first : first + len(wide) // 2]
        products = [resize(x, n, sign == "s") * resize(y, n, sign == "s") for x, y in pairs]
        prove(result == z3.Concat(*reversed(products)))
    if shape != "i64x2":
        a, result = meaning(f"{shape}.extadd_pairwise_{narrow}_{sign}")
        wide = [resize(x, n, sign == "s") for x in lanes(a, n // 2)]
        prove(result == z3.Concat(*reversed([x + y for x, y in zip(wide[::2], wide[1::2], strict=True)])))
        a, b, result = meaning(f"{narrow}.narrow_{shape}_{sign}")
        both = lanes(a, n) + lanes(b, n)
        prove(result == z3.Concat(*reversed([clamped(x, n // 2, sign == "s") for x in both])))


def fraction(a: Any, b: Any) -> Any:
    """The rounded product of two fractions of 15 bits, in 32."""
    return (resize(a, 32, True) * resize(b, 32, True) + 0x4000) >> 15


def test_products_of_fractions_differ_in_the_one_that_does_not_fit():
    """-1 by -1 is clamped, and wraps in the relaxed row."""
    prove_lanes("i16x8.q15mulr_sat_s", 16, lambda a, b: clamped(fraction(a, b), 16, True))
    prove_lanes("i16x8.relaxed_q15mulr_s", 16, lambda a, b: z3.Extract(15, 0, fraction(a, b)))
    a, b = z3.BitVecs("a b", 16)
    prove(z3.Or(clamped(fraction(a, b), 16, True) == z3.Extract(15, 0, fraction(a, b)), z3.And(a == b, a == 0x8000)))


def test_dot_products():
    """Of signed lanes, the sum modulo 2**32; the relaxed one of a signed and an unsigned byte, the sum clamped."""
    a, b, result = meaning("i32x4.dot_i16x8_s")
    products = [resize(x, 32, True) * resize(y, 32, True) for x, y in zip(lanes(a, 16), lanes(b, 16), strict=True)]
    prove(result == z3.Concat(*reversed([x + y for x, y in zip(products[::2], products[1::2], strict=True)])))
    a, b, relaxed = meaning("i16x8.relaxed_dot_i8x16_i7x16_s")
    products = [resize(x, 32, True) * resize(y, 32, False) for x, y in zip(lanes(a, 8), lanes(b, 8), strict=True)]
    sums = [clamped(x + y, 16, True) for x, y in zip(products[::2], products[1::2], strict=True)]
    prove(relaxed == z3.Concat(*reversed(sums)))
    a, b, c, result = meaning("i32x4.relaxed_dot_i8x16_i7x16_add_s")
    wide = [resize(x, 32, True) for x in lanes(relaxed, 16)]
    totals = [x + y + z for x, y, z in zip(wide[::2], wide[1::2], lanes(c, 32), strict=True)]
    prove(result == z3.Concat(*reversed(totals)))


def test_bits_of_vectors():
    """Bit by bit; a relaxed choice between lanes is one between bits."""
    a, b, result = meaning("v128.andnot")
    prove(result == a & ~b)
    a, result = meaning("v128.not")
    prove(result == ~a)
    for name in ("v128.bitselect", *(f"{shape}.relaxed_laneselect" for shape in INTS)):
        a, b, c, result = meaning(name)
        prove(result == (a & c) | (b & ~c))
    a, result = meaning("v128.any_true")
    prove((result == 1) == (a != 0))
    prove(z3.ULE(result, 1))


@pytest.mark.parametrize("shape", INTS)
def test_what_is_asked_of_all_lanes(shape):
    """None is zero; the sign bits, the first lane's lowest."""
    n = INTS[shape]
    a, result = meaning(f"{shape}.all_true")
    prove((result == 1) == z3.And(*[x != 0 for x in lanes(a, n)]))
    a, result = meaning(f"{shape}.bitmask")
    signs = z3.Concat(*reversed([z3.Extract(n - 1, n - 1, x) for x in lanes(a, n)]))
    prove(result == resize(signs, 32, False))


SCALARS = {"i8x16": 32, "i16x8": 32, "i32x4": 32, "i64x2": 64, "f32x4": 32, "f64x2": 64}


@pytest.mark.parametrize("shape", SCALARS)
def test_lanes_are_put_in_and_taken_out(shape):
    """Every lane of every shape; a lane that was not named stays."""
    n = int(shape[1:].partition("x")[0])
    x, result = meaning(f"{shape}.splat")
    prove(result == z3.Concat(*[z3.Extract(n - 1, 0, x)] * (128 // n)))
    for lane in range(128 // n):
        a, x, replaced = meaning(f"{shape}.replace_lane", lane)
        wanted = lanes(a, n)
        wanted[lane] = z3.Extract(n - 1, 0, x)
        prove(replaced == z3.Concat(*reversed(wanted)))
        for suffix in ("_s", "_u") if n < 32 else ("",):
            a, found = meaning(f"{shape}.extract_lane{suffix}", lane)
            prove(found == resize(lanes(a, n)[lane], SCALARS[shape], suffix == "_s"))


def test_bytes_are_chosen():
    """By the immediates of a shuffle, by a vector, and where that says what there is not."""
    chosen = (31, 0, 15, 16, 7, 7, 30, 1, 2, 17, 23, 8, 9, 24, 3, 28)
    a, b, result = meaning("i8x16.shuffle", chosen)
    both = lanes(a, 8) + lanes(b, 8)
    prove(result == z3.Concat(*reversed([both[i] for i in chosen])))

    def byte(a: Any, i: Any) -> Any:
        found = z3.BitVecVal(0, 8)
        for k, x in enumerate(lanes(a, 8)):
            found = z3.If(i == k, x, found)
        return found

    for k in (0, 6, 15):  # a lane's proof takes half a second, and they are alike
        a, b, result = meaning("i8x16.swizzle")
        i = lanes(b, 8)[k]
        prove(lanes(result, 8)[k] == byte(a, i))
        a, b, result = meaning("i8x16.relaxed_swizzle")
        prove(lanes(result, 8)[k] == z3.If(i < 0, z3.BitVecVal(0, 8), byte(a, i & 15)))
