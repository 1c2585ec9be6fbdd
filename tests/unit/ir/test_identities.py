"""Identities of level 1: each is proved by Z3 for all operands, on the pass's own output; divisions by a theorem."""

from __future__ import annotations

import itertools
import random

import pytest

from stratavm.ir.evaluate import evaluate
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import op_name, print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.spec.concrete import evaluate as evaluate_row
from stratavm.spec.ops import BY_MNEMONIC
from tests import needed
from tests.unit.ir.forms import build
from tests.unit.ir.terms import terms

z3 = needed.module("z3")

ONES = {32: 0xFFFF_FFFF, 64: 0xFFFF_FFFF_FFFF_FFFF}
X = "(local.get 0)"
"""The i32 parameter; ``Y`` is another, ``W`` and ``V`` are i64."""
Y, W, V = "(local.get 1)", "(local.get 2)", "(local.get 3)"
BINARY = [
    "add",
    "sub",
    "mul",
    "and",
    "or",
    "xor",
    "shl",
    "shr_s",
    "shr_u",
    "rotl",
    "rotr",
    "eq",
    "ne",
    "lt_s",
    "lt_u",
    "gt_s",
    "gt_u",
    "le_s",
    "le_u",
    "ge_s",
    "ge_u",
]
COMPARISONS = BINARY[11:]


def forms(expression: str, result: str) -> tuple[Ssa, Ssa]:
    """A function of one expression, before and after the pass."""
    head = f"(param i32 i32 i64 i64) (result {result})"
    valid = validate(parse_module(f"(module (memory 1) (func {head} {expression}))"))
    before, after = Ssa(), Ssa()
    build(valid, 0, before)
    Pipeline(("fold", "share")).run(before, after)
    verify(after)
    return before, after


def prove(expression: str, result: str) -> bool:
    """Input and output are equal for all operands, traps included; says whether the pass did anything."""
    before, after = forms(expression, result)
    if print_ssa(before) == print_ssa(after):
        return False
    ([old], old_trap), ([new], new_trap) = terms(before.dump()), terms(after.dump())
    solver = z3.Solver()
    solver.set("timeout", 20_000)
    solver.add(z3.Or(old_trap != new_trap, z3.And(z3.Not(old_trap), old != new)))
    assert solver.check() == z3.unsat, (expression, solver)
    return True


def const(bits: int, value: int) -> str:
    """A constant as text."""
    return f"(i{bits}.const {value & ONES[bits]:#x})"


def result_of(name: str, bits: int) -> str:
    """The type of an operation's result."""
    return "i32" if name in COMPARISONS else f"i{bits}"


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", BINARY)
def test_one_constant(name, bits):
    """x op c, c op x and x op x, for constants at which rules begin and end."""
    x = X if bits == 32 else W
    values = (0, 1, 2, 3, 8, 31, bits - 1, bits, 0xFF, 0xFFFF, 0x7FFF_FFFF, 1 << bits - 1, -1, -2, -8, 0xFFFF_FFFF)
    for value in values:
        prove(f"(i{bits}.{name} {x} {const(bits, value)})", result_of(name, bits))
        prove(f"(i{bits}.{name} {const(bits, value)} {x})", result_of(name, bits))
    prove(f"(i{bits}.{name} {x} {x})", result_of(name, bits))


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("names", list(itertools.product(BINARY[:9], BINARY[:9])), ids="-".join)
def test_two_constants(names, bits):
    """(x op c) op d: reassociation, shifts of shifts, masks and extensions made of shifts."""
    if "mul" in names and names != ("mul", "mul"):
        return  # no rule looks through these; the solver would work hard to say so
    x = X if bits == 32 else W
    pairs = (
        (1, 1),
        (8, 24),
        (24, 24),
        (16, 16),
        (56, 56),
        (48, 48),
        (32, 32),
        (40, 40),
        (31, 2),
        (0xFF, 0xF0),
        (3, -3),
    )
    for c, d in pairs:
        inner = f"(i{bits}.{names[0]} {x} {const(bits, c)})"
        prove(f"(i{bits}.{names[1]} {inner} {const(bits, d)})", f"i{bits}")


NARROW = {
    32: [
        "(i32.load8_u {x})",
        "(i32.load8_s {x})",
        "(i32.load16_u {x})",
        "(i32.load16_s {x})",
        "(i32.eqz {x})",
        "(i32.lt_s {x} {y})",
        "(i64.ge_u {w} {v})",
        "(i32.and {x} (i32.const 0xff))",
        "(i32.shr_u {x} (i32.const 24))",
        "(i32.extend8_s {x})",
        "(i32.extend16_s {x})",
        "(i32.clz {x})",
        "(i32.wrap_i64 (i64.load16_u {x}))",
        "(i32.wrap_i64 (i64.shr_u {w} (i64.const 40)))",
        "(i32.sub {x} {y})",
        "(i32.xor {x} {y})",
    ],
    64: [
        "(i64.load8_u {x})",
        "(i64.load32_u {x})",
        "(i64.load32_s {x})",
        "(i64.extend_i32_u {x})",
        "(i64.extend_i32_s {x})",
        "(i64.extend_i32_u (i32.load8_u {x}))",
        "(i64.shr_u {w} (i64.const 32))",
        "(i64.and {w} (i64.const 0xffffffff))",
        "(i64.and {w} (i64.const 0x7fff))",
        "(i64.extend8_s {w})",
        "(i64.extend32_s {w})",
        "(i64.popcnt {w})",
        "(i64.xor {w} {v})",
    ],
}
OVER = {
    32: ["i32.eqz", "i32.extend8_s", "i32.extend16_s", "i64.extend_i32_s", "i64.extend_i32_u", "i32.clz"],
    64: ["i64.eqz", "i64.extend8_s", "i64.extend16_s", "i64.extend32_s", "i32.wrap_i64", "i64.ctz"],
}


@pytest.mark.trace_slow
@pytest.mark.parametrize("bits", [32, 64])
def test_conversions_and_tests_of_what_is_narrow(bits):
    """Every conversion and negation over every value whose width is known, twice over; comparisons and masks of it."""
    did = 0
    for text in NARROW[bits]:
        inner = text.format(x=X, y=Y, w=W, v=V)
        for name in OVER[bits]:
            result = "i32" if name.startswith("i32") or name == "i64.eqz" else "i64"
            did += prove(f"({name} {inner})", result)
            over = 32 if result == "i32" else 64
            for second in OVER[over]:
                last = "i32" if second.startswith("i32") or second == "i64.eqz" else "i64"
                did += prove(f"({second} ({name} {inner}))", last)
        for name in ("and", "shr_u", *COMPARISONS):
            for c in (0, 1, 8, 0xFF, 0x100, 0xFFFF_FFFF):
                did += prove(f"(i{bits}.{name} {inner} {const(bits, c)})", result_of(name, bits))
    assert did > 100


def test_comparisons_of_widened_values():
    """Two zero-extended values compare as i32."""
    for name in COMPARISONS:
        prove(f"(i64.{name} (i64.extend_i32_u {X}) (i64.extend_i32_u {Y}))", "i32")
    assert "i64.e" not in print_ssa(forms(f"(i64.eq (i64.extend_i32_u {X}) (i64.extend_i32_u {Y}))", "i32")[1])


def test_selects():
    """Equal arms, and conditions that are negations."""
    assert prove(f"(select {W} {V} (i32.eqz {X}))", "i64")
    assert prove(f"(select {W} {V} (i32.ne {X} (i32.const 0)))", "i64")
    assert prove(f"(select {W} {W} {X})", "i64")
    assert prove(f"(select {X} {Y} (i32.eqz (i32.eqz {X})))", "i32")


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", ["div_s", "div_u", "rem_s", "rem_u"])
def test_division_by_powers_of_two(name, bits):
    """Exact for all dividends, and nothing divides any more; division by zero still traps."""
    x = X if bits == 32 else W
    for k in (0, 1, 2, 5, bits - 2):
        expression = f"(i{bits}.{name} {x} {const(bits, 1 << k)})"
        assert prove(expression, f"i{bits}")
        assert name not in print_ssa(forms(expression, f"i{bits}")[1])
    assert name in print_ssa(forms(f"(i{bits}.{name} {x} {const(bits, 0)})", f"i{bits}")[1])


DIVISORS = sorted(
    {3, 5, 6, 7, 9, 10, 11, 13, 14, 19, 21, 25, 28, 60, 100, 107, 274, 625, 641, 1000, 60_000, 1_000_000, 1_000_003}
    | {0xFFFF_FFFE, 0xFFFF_FFFF}
    | {n for k in range(2, 32) for n in ((1 << k) - 1, (1 << k) + 1)}
    | {random.Random(7).randrange(3, 1 << 31) for _ in range(100)}
)


def dividends(c: int, rng: random.Random) -> list[int]:
    """Around multiples of the divisor and at both ends: where a wrong factor shows first."""
    near = [k * c + d for k in (0, 1, 2, 0x7FFF_FFFF // c, 0xFFFF_FFFF // c, 0x8000_0000 // c) for d in (-1, 0, 1)]
    return [
        n & ONES[32]
        for n in (*near, 0x7FFF_FFFF, 0x8000_0000, -1, -c, 1 - c, -1 - c, *rng.choices(range(1 << 32), k=8))
    ]


@pytest.mark.parametrize("name", ["div_s", "div_u", "rem_s", "rem_u"])
def test_division_of_an_i32_by_a_constant(name):
    """No division is left, and the result is the oracle's at every place where rounding could go wrong."""
    rng = random.Random(name)
    row = BY_MNEMONIC[f"i32.{name}"]
    for c in DIVISORS:
        if c >> 31 and name.endswith("s"):
            continue  # negative
        _, after = forms(f"(i32.{name} {X} {const(32, c)})", "i32")
        text = print_ssa(after)
        assert name not in text, text
        view = after.dump()
        for n in dividends(c, rng):
            assert evaluate(view, None, [n, 0, 0, 0]) == [evaluate_row(row, n, c)], (name, n, c)


@pytest.mark.parametrize("name", ["div_s", "div_u"])
def test_factors_satisfy_the_theorem(name):
    """Granlund and Montgomery, theorem 4.2: 2**(N+s) <= m*c <= 2**(N+s) + 2**s makes every quotient exact."""
    for c in (c for c in DIVISORS if not c >> 31):
        view = forms(f"(i32.{name} {X} {const(32, c)})", "i32")[1].dump()
        names = [op_name(node[0]) for node in view.nodes]

        def operand(mnemonic, names=names, nodes=view.nodes):
            """The constant on the right of the last such operation."""
            node = nodes[nodes[len(names) - 1 - names[::-1].index(mnemonic)][4]]
            return node[3] | node[4] << 32

        factor = operand("i64.mul")
        if name == "div_s":
            shift = operand("i64.shr_s") - 32
            assert 0 < factor * c - (1 << 32 + shift) <= 1 << shift + 1, c
        else:
            two_steps = "i32.sub" in names  # then bit 32 of the factor is implied
            shift = operand("i32.shr_u") + 1 if two_steps else operand("i64.shr_u") - 32
            assert 0 <= (factor | two_steps << 32) * c - (1 << 32 + shift) <= 1 << shift, c
