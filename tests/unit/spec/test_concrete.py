"""The domain of numbers against other arithmetic: numpy, exact fractions, big integers."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stratavm
from stratavm.base.errors import Trap
from stratavm.spec.concrete import CANONICAL_NAN, DOMAINS, evaluate, f32_bits, f32_value, int_to_f32
from stratavm.spec.domain import WIDTHS, bound_type
from stratavm.spec.ops import BY_ID, BY_MNEMONIC
from stratavm.spec.prims import PRIMS

EDGES32 = [0, 1, 2, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFF]
EDGES64 = [*EDGES32, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1, 0x8000_0000_FFFF_FFFF]
FLOATS32 = [0, 1, 0x7F_FFFF, 0x80_0000, 0x3F80_0000, 0x3F00_0000, 0x3FC0_0000, 0x4B00_0000, 0x4B80_0000, 0x4F00_0000]
FLOATS32 += [0x4EFF_FFFF, 0x5F00_0000, 0x7F7F_FFFF, 0x7F80_0000, 0x7FC0_0000, 0x7FA0_0000, 0x7FFF_FFFF, 0x3F7F_FFFF]
FLOATS32 += [f | 1 << 31 for f in FLOATS32]
u32 = st.integers(0, (1 << 32) - 1) | st.sampled_from(EDGES32)
u64 = st.integers(0, (1 << 64) - 1) | st.sampled_from(EDGES64)
f32 = st.integers(0, (1 << 32) - 1) | st.sampled_from(FLOATS32)
f64 = st.integers(0, (1 << 64) - 1) | st.floats(width=64).map(lambda x: struct.unpack("<Q", struct.pack("<d", x))[0])


def run(mnemonic: str, *operands: int) -> int | str:
    """The result, or the kind of trap."""
    try:
        return evaluate(BY_MNEMONIC[mnemonic], *operands)
    except Trap as trap:
        return trap.kind


def test_every_primitive_has_numbers():
    """What prims.py names, the concrete domains have."""
    numbers = {name for d in DOMAINS.values() for name in dir(d) if not name.startswith("_")}
    assert set(PRIMS) <= numbers


class Opaque:
    """A value that nobody may look at."""

    def __bool__(self) -> bool:
        raise TypeError("a semantic function may not branch on a value: use d.select or d.trap_if")


class Recorder:
    """A domain of opaque values; remembers the traps that were asked for."""

    def __init__(self, type_: str) -> None:
        self.type, self.bits = type_, WIDTHS[type_]
        self.traps: list[str] = []

    def at(self, type_: str) -> Recorder:
        other = Recorder(type_)
        other.traps = self.traps
        return other

    def split(self, a: Opaque, width: int) -> list[Opaque]:
        assert self.type == "v128"
        assert isinstance(a, Opaque)
        return [Opaque() for _ in range(128 // width)]

    def join(self, lanes: list[Opaque], width: int) -> Opaque:
        assert self.type == "v128"
        assert [type(lane) for lane in lanes] == [Opaque] * (128 // width)
        return Opaque()

    def __getattr__(self, name: str):
        prim = PRIMS[name]

        def call(*args):
            operands = prim.signature.partition("->")[0]
            assert len(operands) <= len(args) <= len(operands) + len(prim.static), name
            assert all(isinstance(a, Opaque) for a in args[: len(operands)]), name
            assert not any(isinstance(a, Opaque) for a in args[len(operands) :]), name
            if name == "trap_if":
                self.traps.append(args[1])
            return Opaque()

        return call


IMMEDIATES = {"lane": 1, "lanes16": range(16)}


def test_semantic_functions_call_only_primitives_and_trap_as_their_rows_say():
    """Every function runs on opaque values, with the right number of operands, and declares all of its traps."""
    rows = [row for row in BY_ID.values() if row.semantics is not None]
    assert len(rows) == 123 + 5 + 8 + 4 + 233  # 0x45 … 0xBF, sign extensions, saturating truncations, 128 bits, vectors
    for row in rows:
        d = Recorder(bound_type(row))
        assert row.semantics is not None
        found = row.semantics(d, *(Opaque() for _ in row.operands), *(IMMEDIATES[kind] for kind in row.imms))
        found = found if len(row.results) > 1 else (found,)
        assert [type(result) for result in found] == [Opaque] * len(row.results), row.mnemonic
        assert set(d.traps) == set(row.traps), row.mnemonic
        assert list(dict.fromkeys(d.traps)) == list(row.traps), f"{row.mnemonic}: order"


NUMPY_INT = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor,
}  # fmt: skip


@given(u32, u32, u64, u64)
@settings(max_examples=300, deadline=None)
def test_integers_agree_with_numpy(a, b, x, y):
    """Wrap-around arithmetic, shifts and comparisons on machine integers."""
    for t, p, q, unsigned, sign in (("i32", a, b, np.uint32, np.int32), ("i64", x, y, np.uint64, np.int64)):
        bits = 32 if t == "i32" else 64
        u, v = np.array([p], unsigned), np.array([q], unsigned)
        s, w = u.view(sign), v.view(sign)
        for name, function in NUMPY_INT.items():
            assert run(f"{t}.{name}", p, q) == int(function(u, v)[0]), name
        count = np.array([q % bits], unsigned)
        assert run(f"{t}.shl", p, q) == int((u << count)[0])
        assert run(f"{t}.shr_u", p, q) == int((u >> count)[0])
        assert run(f"{t}.shr_s", p, q) == int((s >> count.view(sign)).view(unsigned)[0])
        assert run(f"{t}.lt_s", p, q) == int((s < w)[0]) and run(f"{t}.ge_s", p, q) == int((s >= w)[0])
        assert run(f"{t}.gt_s", p, q) == int((s > w)[0]) and run(f"{t}.le_s", p, q) == int((s <= w)[0])
        assert run(f"{t}.lt_u", p, q) == int(p < q) and run(f"{t}.ge_u", p, q) == int(p >= q)
        assert run(f"{t}.gt_u", p, q) == int(p > q) and run(f"{t}.le_u", p, q) == int(p <= q)
        assert run(f"{t}.eq", p, q) == int(p == q) and run(f"{t}.ne", p, q) == int(p != q)
        if q and not (p == 1 << bits - 1 and q == (1 << bits) - 1):
            assert run(f"{t}.div_s", p, q) == int(Fraction(int(s[0]), int(w[0])).__trunc__()) % (1 << bits)
            assert run(f"{t}.rem_s", p, q) == int(np.fmod(s, w).view(unsigned)[0])
            assert run(f"{t}.div_u", p, q) == p // q and run(f"{t}.rem_u", p, q) == p % q


def test_division_traps_on_zero_first_and_on_the_one_overflow():
    """INT_MIN / 0 is a division by zero; INT_MIN % -1 is 0."""
    for t, least in (("i32", 1 << 31), ("i64", 1 << 63)):
        minus_one = 2 * least - 1
        assert run(f"{t}.div_s", least, 0) == run(f"{t}.div_u", 1, 0) == "div_by_zero"
        assert run(f"{t}.rem_s", least, 0) == run(f"{t}.rem_u", 1, 0) == "div_by_zero"
        assert run(f"{t}.div_s", least, minus_one) == "int_overflow"
        assert run(f"{t}.rem_s", least, minus_one) == 0
        assert run(f"{t}.div_u", least, minus_one) == 0


def test_counts_of_bits_at_the_edges():
    """Zero counts as all leading and all trailing zeros."""
    assert [run("i32.clz", a) for a in (0, 1, 1 << 31)] == [32, 31, 0]
    assert [run("i64.ctz", a) for a in (0, 1, 1 << 63)] == [64, 0, 63]
    assert [run("i64.popcnt", a) for a in (0, 0xF0F0, (1 << 64) - 1)] == [0, 8, 64]
    assert [run("i64.extend32_s", a) for a in (0x1_7FFF_FFFF, 0x8000_0000)] == [0x7FFF_FFFF, 0xFFFF_FFFF_8000_0000]


FLOAT_OPS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}


def same_float(t: str, raw: int | str, expected: np.ndarray) -> bool:
    """The same bits, or canonical where the expectation is any NaN."""
    if np.isnan(expected[0]):
        return raw == CANONICAL_NAN[t]
    return raw == int(expected.view(np.uint32 if t == "f32" else np.uint64)[0])


@given(f32, f32, f64, f64)
@settings(max_examples=500, deadline=None)
def test_floats_agree_with_numpy(a, b, x, y):
    """Arithmetic, roots, rounding and comparison, f32 in true single precision."""
    with np.errstate(all="ignore"):
        for t, p, q, raw, kind in (("f32", a, b, np.uint32, np.float32), ("f64", x, y, np.uint64, np.float64)):
            u, v = np.array([p], raw).view(kind), np.array([q], raw).view(kind)
            for name, function in FLOAT_OPS.items():
                assert same_float(t, run(f"{t}.{name}", p, q), function(u, v)), (name, hex(p), hex(q))
            for name, function in (("sqrt", np.sqrt), ("ceil", np.ceil), ("floor", np.floor), ("trunc", np.trunc)):
                assert same_float(t, run(f"{t}.{name}", p), function(u)), (name, hex(p))
            assert same_float(t, run(f"{t}.nearest", p), np.rint(u)), hex(p)
            for name, function in (("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal)):
                assert run(f"{t}.{name}", p, q) == int(function(u, v)[0])
            assert run(f"{t}.gt", p, q) == int((u > v)[0]) and run(f"{t}.ge", p, q) == int((u >= v)[0])
            if p != q and u[0] != v[0]:
                assert same_float(t, run(f"{t}.min", p, q), np.minimum(u, v))
                assert same_float(t, run(f"{t}.max", p, q), np.maximum(u, v))
        narrow = np.array([x], np.uint64).view(np.float64).astype(np.float32)
        assert run("f32.demote_f64", x) == int(narrow.view(np.uint32)[0])
        wide = np.array([a], np.uint32).view(np.float32).astype(np.float64)
        assert run("f64.promote_f32", a) == int(wide.view(np.uint64)[0])


@given(st.integers(0, (1 << 24) - 1), st.integers(0, (1 << 24) - 1), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=500, deadline=None)
def test_subnormal_products_and_quotients_are_rounded_once(m, n, e, f):
    """Results below the normal range are where rounding twice could show."""
    a, b = m | e << 23 & 0x7F80_0000, n | f << 23 & 0x7F80_0000
    with np.errstate(all="ignore"):
        u, v = np.array([a], np.uint32).view(np.float32), np.array([b], np.uint32).view(np.float32)
        assert same_float("f32", run("f32.mul", a, b), u * v)
        big = f32_bits(f32_value(b) * 2.0**126)
        assert same_float("f32", run("f32.div", a, big), u / np.array([big], np.uint32).view(np.float32))


def test_minimum_and_maximum_order_zeros_and_prefer_nan():
    """-0 is below +0; a NaN of either side wins and comes out quiet."""
    plus, minus, signalling, one = 0, 1 << 31, 0x7FA0_0000, 0x3F80_0000
    assert run("f32.min", plus, minus) == run("f32.min", minus, plus) == minus
    assert run("f32.max", plus, minus) == run("f32.max", minus, plus) == plus
    assert run("f32.min", minus, minus) == run("f32.max", minus, minus) == minus
    for operands in ((signalling, one), (one, signalling)):
        assert run("f32.min", *operands) == run("f32.max", *operands) == CANONICAL_NAN["f32"]


def test_bit_operations_keep_a_signalling_nan():
    """neg, abs, copysign and reinterpret never quiet."""
    snan = 0xFFA0_0001
    assert run("f32.neg", snan) == 0x7FA0_0001 and run("f32.abs", snan) == 0x7FA0_0001
    assert run("f32.copysign", 0x7FA0_0001, 1 << 31) == snan
    assert run("i32.reinterpret_f32", snan) == run("f32.reinterpret_i32", snan) == snan


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("payload", [0x40_0000, 0x00_0001, 0x7F_FFFF, 0x5A_5A5A])
def test_nans_of_other_widths_keep_sign_and_payload(sign, payload):
    """As the processor's own conversions do it, so that every tier agrees to the bit."""
    single = sign << 31 | 0x7F80_0000 | payload
    double = run("f64.promote_f32", single)
    assert double == sign << 63 | 0x7FF8 << 48 | payload << 29
    assert run("f32.demote_f64", double) == single | 0x40_0000
    exports = stratavm.load(
        """(module (func (export "up") (param f32) (result f64) (f64.promote_f32 (local.get 0)))
        (func (export "down") (param f64) (result f32) (f32.demote_f64 (local.get 0))))"""
    ).exports
    assert exports.up.call_raw([single]) == [double]
    assert exports.down.call_raw([double | 1]) == [single | 0x40_0000]


def test_rounding_keeps_the_sign_of_zero():
    """ceil(-0.5), nearest(-0.5) and trunc(-0.9) are -0."""
    half, most = f32_bits(-0.5), f32_bits(-0.9)
    assert run("f32.ceil", half) == run("f32.nearest", half) == run("f32.trunc", most) == 1 << 31
    assert run("f32.nearest", f32_bits(2.5)) == f32_bits(2.0) and run("f32.nearest", f32_bits(3.5)) == f32_bits(4.0)


@given(
    u64
    | st.integers(24, 63).flatmap(lambda n: st.integers(-3, 3).map(lambda d: ((1 << n) + (1 << n - 24) + d) % 2**64))
)
@settings(max_examples=500, deadline=None)
def test_integers_become_floats_with_one_rounding(x):
    """The nearest f32 by exact fractions; ties go to the even neighbour."""
    for value in (x, x - (1 << 64) if x >> 63 else x):
        raw = int_to_f32(value)
        magnitude = raw & 0x7FFF_FFFF
        gap = abs(Fraction(f32_value(raw)) - value)
        for neighbour in (magnitude - 1, magnitude + 1) if magnitude else ():
            other = abs(Fraction(f32_value(neighbour | raw & 1 << 31)) - value)
            assert gap < other or (gap == other and magnitude % 2 == 0)
    assert run("f64.convert_i64_u", x) == struct.unpack("<Q", struct.pack("<d", float(x)))[0]


@given(f32, f64)
@settings(max_examples=500, deadline=None)
def test_truncation_traps_or_saturates_by_the_exact_value(a, x):
    """Against exact fractions, for every pair of types."""
    for source, raw in (("f32", a), ("f64", x)):
        value = DOMAINS[source].value(raw)
        for bits in (32, 64):
            for suffix, least, most in (("s", -(1 << bits - 1), (1 << bits - 1) - 1), ("u", 0, (1 << bits) - 1)):
                trapping = run(f"i{bits}.trunc_{source}_{suffix}", raw)
                saturating = run(f"i{bits}.trunc_sat_{source}_{suffix}", raw)
                if value != value:
                    assert (trapping, saturating) == ("invalid_conversion", 0)
                elif abs(value) == float("inf") or not least <= int(value) <= most:
                    assert (trapping, saturating) == ("int_overflow", (most if value > 0 else least) % (1 << bits))
                else:
                    assert trapping == saturating == int(value) % (1 << bits)


def test_a_row_without_meaning_is_refused():
    """Loads and control have no function; saying so beats an attribute error."""
    with pytest.raises(ValueError, match=r"i32\.load has no semantic function"):
        evaluate(BY_MNEMONIC["i32.load"], 0)
