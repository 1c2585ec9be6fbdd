"""Divisions by constants at level 0: a product where there is one, and always the quotient and the remainder."""

from __future__ import annotations

import random

import pytest

from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.linker import Linker
from stratavm.engine.stages import dump_stage
from stratavm.spec.concrete import evaluate as evaluate_row
from stratavm.spec.ops import BY_MNEMONIC
from tests.unit.ir.test_strength import dividends

ONES = {32: 0xFFFF_FFFF, 64: 0xFFFF_FFFF_FFFF_FFFF}
NAMES = ("div_u", "rem_u", "div_s", "rem_s")


def divisors(bits: int) -> list[int]:
    """Small ones, those around powers of two, and some of any size; each as it is and as the opposite of one."""
    rng = random.Random(bits)
    near = [(1 << k) + d for k in range(1, bits) for d in (-1, 0, 1)]
    some = [rng.getrandbits(rng.randrange(2, bits)) | 1 for _ in range(40)]
    return sorted({c & ONES[bits] for c in (*range(1, 30), 641, 1000, 10**9, *near, *some, -1, -7)} - {0})


@pytest.mark.parametrize("allocator", ["linear", "naive"])
@pytest.mark.parametrize("bits", [32, 64])
def test_quotients_and_remainders_of_all_kinds_of_divisors(bits, allocator):
    """By each divisor, of what shows a factor that is too large or too small by one; the dividend is used again, and
    may be in memory."""
    found = divisors(bits)
    engine = Engine(Config(strict=True, allocator=allocator))
    functions = "".join(
        f'(func (export "{name}{c}") (param $n i{bits}) (result i{bits}) (i{bits}.add (local.get $n)'
        f"(i{bits}.{name} (local.get $n) (i{bits}.const {c}))))"
        for c in found
        for name in NAMES
    )
    with Store(engine) as store:
        instance = Linker(engine).instantiate(store, Module(f"(module {functions})", engine=engine))
        for c in found:
            for name in NAMES:
                call, row = instance.exports[f"{name}{c}"].call_raw, BY_MNEMONIC[f"i{bits}.{name}"]
                for n in dividends(c, bits):
                    if name != "div_s" or (n, c) != (1 << bits - 1, ONES[bits]):
                        expected = n + evaluate_row(row, n, c) & ONES[bits]
                        assert call([n])[0] & ONES[bits] == expected, (name, c, n)


@pytest.mark.parametrize(
    ("row", "c", "divides"),
    [
        ("i32.div_u", 10, False),
        ("i32.div_u", 7, False),  # a factor of 33 bits
        ("i32.rem_u", 10, False),
        ("i32.div_s", 10, False),
        ("i32.rem_s", 1_000_000_007, False),
        ("i64.div_u", 10, False),
        ("i64.rem_u", 7, False),
        ("i32.div_u", 8, False),
        ("i32.div_u", 0x8000_0001, True),
        ("i32.div_s", -10, True),
        ("i64.div_s", 10, True),
        ("i32.rem_s", 1, True),
        ("i32.rem_u", 0, True),
    ],
)
def test_which_divisions_need_no_division(row, c, divides):
    """By what is above one and positive, but for the signed ones of 64 bits."""
    t = row[:3]
    module = Module(f"(module (func (param $n {t}) (result {t}) ({row} (local.get $n) ({t}.const {c}))))")
    assert ("div " in dump_stage(module, 0, "asm")) == divides


QUOTIENT = "(local.set $q ({t}.div_u (local.get $n) ({t}.const 10)))"


@pytest.mark.parametrize(
    ("code", "products"),
    [
        (QUOTIENT, 1),
        (QUOTIENT + "(local.set $n ({t}.rem_u (local.get $n) ({t}.const 10)))", 2),  # one takes the tens away
        (QUOTIENT + "(local.set $n ({t}.rem_u (local.get $n) ({t}.const 11)))", 3),
        (QUOTIENT + "(local.set $n ({t}.rem_u (local.get $q) ({t}.const 10)))", 3),
    ],
)
@pytest.mark.parametrize("t", ["i32", "i64"])
def test_a_pair_of_quotient_and_remainder_has_one_product_for_both(t, code, products):
    """As in whatever prints numbers; not for another divisor or dividend."""
    head = f'(func (export "f") (param $n {t}) (result {t} {t}) (local $q {t})'
    module = Module(f"(module {head} {code.format(t=t)} (local.get $q) (local.get $n)))")
    text = dump_stage(module, 0, "asm")
    assert text.count("mul ") == products
    with Store() as store:
        q, n = Linker().instantiate(store, module).exports["f"](12_345)
        assert q == 1234
        assert n == {1: 12_345, 2: 5, 3: {True: 12_345 % 11, False: 4}["11" in code]}[products]
