"""Strength reduction: i64 and negative divisors, products that are one address computation; by a theorem, by Z3 where
it can, against the oracle's row, and in machine code under both allocators."""

from __future__ import annotations

import random

import pytest

from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.linker import Linker
from stratavm.ir.evaluate import evaluate
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import IR_OPS, Ssa
from stratavm.ir.text import op_name, print_ssa
from stratavm.ir.verify import verify
from stratavm.ir.view import SsaView
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.spec.concrete import evaluate as evaluate_row
from stratavm.spec.ops import BY_MNEMONIC
from tests import needed
from tests.unit.ir.forms import build
from tests.unit.ir.terms import terms

PASSES = ("fold", "share", "strength")
NAMES = ("div_s", "div_u", "rem_s", "rem_u")
ONES = {32: 0xFFFF_FFFF, 64: 0xFFFF_FFFF_FFFF_FFFF}
RANDOM = random.Random(11)
POSITIVE = sorted(
    {3, 5, 6, 7, 9, 10, 11, 25, 60, 100, 641, 1000, 10_000, 1_000_003, 10**18, (1 << 63) - 1}
    | {n for k in range(2, 63, 5) for n in ((1 << k) - 1, (1 << k) + 1)}
    | {RANDOM.getrandbits(RANDOM.randrange(3, 64)) | 3 for _ in range(40)}
)


def form(name: str, bits: int, c: int, passes: tuple[str, ...] = PASSES) -> SsaView:
    """A division or product by a constant, after the pass."""
    text = f"(module (func (param i{bits}) (result i{bits}) (i{bits}.{name} (local.get 0) (i{bits}.const {c}))))"
    valid = validate(parse_module(text))
    before, after = Ssa(), Ssa()
    build(valid, 0, before)
    Pipeline(passes).run(before, after)
    verify(after)
    return after.dump()


def dividends(c: int, bits: int) -> list[int]:
    """Around multiples of the divisor and at both ends: where a wrong factor shows first."""
    ones, least = ONES[bits], 1 << bits - 1
    largest = {ones // abs(c) * c, (least - 1) // abs(c) * c, least // abs(c) * c, c, 2 * c, -c, 0}
    near = [n + d for n in sorted(largest) for d in (-1, 0, 1)]
    return [n & ones for n in (*near, least, least - 1, ones, *(RANDOM.getrandbits(bits) for _ in range(6)))]


@pytest.mark.parametrize("name", NAMES)
def test_division_of_an_i64_by_a_constant(name):
    """No division is left, and the result is the oracle's wherever rounding could go wrong."""
    row = BY_MNEMONIC[f"i64.{name}"]
    unsigned = {ONES[64], ONES[64] - 1, 1 << 63 | 1} if name.endswith("u") else set()
    for c in sorted({*POSITIVE, *unsigned}):
        view = form(name, 64, c)
        assert name not in print_ssa(view), c
        for n in dividends(c, 64):
            assert evaluate(view, None, [n]) == [evaluate_row(row, n, c)], (c, n)


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("name", ["div_s", "rem_s"])
def test_division_by_a_negative_constant(name, bits):
    """Powers of two among them; the least integer, its own opposite, and quotients by -1, which trap, stay."""
    row = BY_MNEMONIC[f"i{bits}.{name}"]
    for c in [-c for c in (*POSITIVE, 2, 4, 1 << 30) if c < 1 << bits - 1]:
        view = form(name, bits, c)
        assert name not in print_ssa(view), c
        for n in dividends(c, bits):
            assert evaluate(view, None, [n]) == [evaluate_row(row, n, c & ONES[bits])], (c, n)
    assert name in print_ssa(form(name, bits, -1 << bits - 1))
    assert (name in print_ssa(form(name, bits, -1))) == (name == "div_s")
    assert name != "rem_s" or evaluate(form(name, bits, -1), None, [1 << bits - 1]) == [0]


def constant_right_of(view: SsaView, name: str) -> int:
    """The right operand of the only node of a name."""
    [node] = [node for node in view.nodes if op_name(node[0]) == name]
    low, high = view.nodes[node[4]][3:5]
    return low | high << 32


@pytest.mark.parametrize("name", ["div_s", "div_u"])
def test_factors_satisfy_the_theorem(name):
    """Granlund and Montgomery, theorems 4.2, 5.1: 0 <= m*c - 2**(N+s) <= 2**s, signed 2**(s+1), is exact enough."""
    for c in POSITIVE:
        view = form(name, 64, c)
        names = [op_name(node[0]) for node in view.nodes]
        shift = 0
        if name == "div_s":
            factor = constant_right_of(view, "mulhi_s")
            shift = constant_right_of(view, "i64.shr_s") if "i64.shr_s" in names else 0
            assert 0 < factor * c - (1 << 64 + shift) <= 1 << shift + 1, c
            assert names.count("i64.add") == 1 + (factor >> 63), c
            continue
        factor, two_steps = constant_right_of(view, "mulhi_u"), "i64.sub" in names
        shifts = [i for i, found in enumerate(names) if found == "i64.shr_u"]
        if len(shifts) > two_steps:
            constant = view.nodes[view.nodes[shifts[-1]][4]]
            shift = constant[3] | constant[4] << 32
        shift += two_steps
        assert 0 <= (factor | two_steps << 64) * c - (1 << 64 + shift) <= 1 << shift, c


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("c", [3, 5, 9])
def test_a_product_that_is_one_address_computation(bits, c):
    """x * c is x + (x << k), for all x."""
    z3 = needed.module("z3")
    view = form("mul", bits, c)
    assert "mul" not in print_ssa(view)
    [product], _ = terms(view)
    solver = z3.Solver()
    solver.add(product != z3.BitVec("p0", bits) * c)
    assert solver.check() == z3.unsat


def test_without_the_pass_it_divides():
    """The flag alone decides; folding stays."""
    assert "i64.div_u" in print_ssa(form("div_u", 64, 10, ("fold", "share")))
    assert "i32.div_s" in print_ssa(form("div_s", 32, -7, ("fold", "share")))
    assert "i32.mul" in print_ssa(form("mul", 32, 5, ("fold", "share")))
    assert "i64.div_u" not in print_ssa(form("div_u", 64, 16, ("fold", "share")))


def test_a_search_names_the_pass():
    """Its rewrites are counted as its own."""
    text = "(module (func (param i64) (result i64) (i64.div_u (local.get 0) (i64.const 10))))"
    ssa = Ssa()
    build(validate(parse_module(text)), 0, ssa)
    assert Pipeline(PASSES).blame(ssa, 1)[0] == "strength"


@pytest.mark.parametrize("allocator", ["linear", "naive"])
def test_the_machine_code_agrees(allocator):
    """Three values stay alive across the products, which want rax and rdx."""
    divisors = (3, 7, 10, 641, (1 << 63) - 1, -10, -7)
    functions = "".join(
        f"""(func (export "{name}{i}") (param i64 i64 i64) (result i64)
          (i64.add (i64.{name} (local.get 0) (i64.const {c})) (i64.xor (local.get 1) (i64.add (local.get 2)
            (i64.{name} (local.get 1) (i64.const {c}))))))"""
        for i, c in enumerate(divisors)
        for name in NAMES
    )
    engine = Engine(Config(tier="jit1", strict=True, allocator=allocator))
    with Store(engine) as store:
        instance = Linker(engine).instantiate(store, Module(f"(module {functions})", engine=engine))
        for i, c in enumerate(divisors):
            for name in NAMES:
                row = BY_MNEMONIC[f"i64.{name}"]
                for n in dividends(c, 64)[:12]:
                    m = n * 3 & ONES[64]
                    one, two = (evaluate_row(row, x, c & ONES[64]) for x in (n, m))
                    expected = one + (m ^ (5 + two & ONES[64])) & ONES[64]
                    found = instance.exports[f"{name}{i}"].call_raw([n, m, 5])[0] & ONES[64]
                    assert found == expected, (name, c, n)


def test_the_names_of_the_products_are_the_irs_own():
    """No row of WebAssembly has them."""
    assert {"mulhi_u", "mulhi_s"} <= IR_OPS.keys()
