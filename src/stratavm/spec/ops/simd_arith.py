"""Vector arithmetic, comparisons and conversions.

Each line of the table is a shape, the first code, and names for consecutive codes; ``-`` skips a code. What a row means
is found by its name: where a scalar row says what is done in each lane, it is that row's meaning (``lane`` names it).
Source: WebAssembly 3.0, sections 4.3.5 (vector operations) and 5.4.8 (vector instructions) of the binary format.

A relaxed row has the one meaning, of those that the specification allows, that ADR-0051 states: the same on every
processor, and one instruction of SSE4.2 wherever there is one.
"""

from __future__ import annotations

from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.spec import lanes
from stratavm.spec.declare import ROWS, op
from stratavm.spec.domain import WIDTHS, Domain, V
from stratavm.spec.lanes import LANES, Meaning, lanewise, pairwise, saturating, shifted, truth, widen, widened
from stratavm.spec.ops import convert as _convert  # noqa: F401  # the scalar rows are declared first
from stratavm.spec.ops import float as _float  # noqa: F401
from stratavm.spec.ops import int as _int  # noqa: F401

_TABLE = """
i8x16   14 swizzle
i8x16   35 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
i16x8   45 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
i32x4   55 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
f32x4   65 eq ne lt gt le ge
f64x2   71 eq ne lt gt le ge
v128    77 not and andnot or xor bitselect any_true
f32x4   94 demote_f64x2_zero
f64x2   95 promote_low_f32x4
i8x16   96 abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u
f32x4  103 ceil floor trunc nearest
i8x16  107 shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u
f64x2  116 ceil floor
i8x16  118 min_s min_u max_s max_u
f64x2  122 trunc
i8x16  123 avgr_u
i16x8  124 extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u
i32x4  126 extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u
i16x8  128 abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u
i16x8  135 extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u
i16x8  139 shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u
f64x2  148 nearest
i16x8  149 mul min_s min_u max_s max_u - avgr_u
i16x8  156 extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u
i32x4  160 abs neg - all_true bitmask
i32x4  167 extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u
i32x4  171 shl shr_s shr_u add - - sub - - - mul min_s min_u max_s max_u dot_i16x8_s
i32x4  188 extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u
i64x2  192 abs neg - all_true bitmask
i64x2  199 extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u
i64x2  203 shl shr_s shr_u add - - sub - - - mul eq ne lt_s gt_s le_s ge_s
i64x2  220 extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u
f32x4  224 abs neg - sqrt add sub mul div min max pmin pmax
f64x2  236 abs neg - sqrt add sub mul div min max pmin pmax
i32x4  248 trunc_sat_f32x4_s trunc_sat_f32x4_u
f32x4  250 convert_i32x4_s convert_i32x4_u
i32x4  252 trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero
f64x2  254 convert_low_i32x4_s convert_low_i32x4_u
i8x16  256 relaxed_swizzle
i32x4  257 relaxed_trunc_f32x4_s relaxed_trunc_f32x4_u relaxed_trunc_f64x2_s_zero relaxed_trunc_f64x2_u_zero
f32x4  261 relaxed_madd relaxed_nmadd
f64x2  263 relaxed_madd relaxed_nmadd
i8x16  265 relaxed_laneselect
i16x8  266 relaxed_laneselect
i32x4  267 relaxed_laneselect
i64x2  268 relaxed_laneselect
f32x4  269 relaxed_min relaxed_max
f64x2  271 relaxed_min relaxed_max
i16x8  273 relaxed_q15mulr_s relaxed_dot_i8x16_i7x16_s
i32x4  275 relaxed_dot_i8x16_i7x16_add_s
"""

# ---- functions of one lane that no scalar row has ----------------------------------------------------


def abs_(d: Domain, a: V) -> V:
    """The integer without its sign; the least one stays (iabs)."""
    return d.select(d.lt_s(a, d.const(0)), d.sub(d.const(0), a), a)


def neg(d: Domain, a: V) -> V:
    """The integer with the other sign, modulo 2**N (ineg)."""
    return d.sub(d.const(0), a)


def min_s(d: Domain, a: V, b: V) -> V:
    """The lesser of two signed integers (imin_s)."""
    return d.select(d.lt_s(b, a), b, a)


def min_u(d: Domain, a: V, b: V) -> V:
    """The lesser of two unsigned integers (imin_u)."""
    return d.select(d.lt_u(b, a), b, a)


def max_s(d: Domain, a: V, b: V) -> V:
    """The greater of two signed integers (imax_s)."""
    return d.select(d.lt_s(a, b), b, a)


def max_u(d: Domain, a: V, b: V) -> V:
    """The greater of two unsigned integers (imax_u)."""
    return d.select(d.lt_u(a, b), b, a)


def average(d: Domain, a: V, b: V) -> V:
    """Half of the sum, rounded up; without overflow: what both have, and half of what one of them has (iavgr)."""
    return d.sub(d.or_(a, b), d.shr_u(d.xor(a, b), d.const(1)))


def rounded_product(d: Domain, a: V, b: V) -> V:
    """The product of two fractions of 15 bits, as one of 16, rounded half up (iq15mulr)."""
    wide = d.at("i32")
    product = wide.mul(d.resize_s(a, "i32"), d.resize_s(b, "i32"))
    return wide.shr_s(wide.add(product, wide.const(0x4000)), wide.const(15))


def q15mulr_sat(d: Domain, a: V, b: V) -> V:
    """The rounded product of two fractions of 15 bits, clamped (iq15mulrsat)."""
    return lanes.clamp("i16", True)(d.at("i32"), rounded_product(d, a, b))


def q15mulr_wrap(d: Domain, a: V, b: V) -> V:
    """The rounded product of two fractions of 15 bits; -1 by itself is -1 (irelaxed_q15mulr)."""
    return d.at("i32").resize_u(rounded_product(d, a, b), "i16")


def pmin(d: Domain, a: V, b: V) -> V:
    """The second if it is less, else the first (fpmin)."""
    return d.select(d.flt(b, a), b, a)


def pmax(d: Domain, a: V, b: V) -> V:
    """The second if it is greater, else the first (fpmax)."""
    return d.select(d.flt(a, b), b, a)


def madd(d: Domain, a: V, b: V, c: V) -> V:
    """A product and a sum, each rounded (frelaxed_madd)."""
    return d.fadd(d.fmul(a, b), c)


def nmadd(d: Domain, a: V, b: V, c: V) -> V:
    """The last less the product, each rounded (frelaxed_nmadd)."""
    return d.fsub(c, d.fmul(a, b))


def relaxed_trunc(d: Domain, a: V) -> V:
    """Toward zero; what is no i32 is the least one (irelaxed_trunc_s)."""
    whole = d.ftrunc(a)
    fits = d.both(d.fle(d.fconst(-(2.0**31)), whole), d.flt(whole, d.fconst(2.0**31)))
    return d.select(fits, d.to_int_s(whole, "i32"), d.const(1 << 31, "i32"))


# ---- functions of whole vectors ----------------------------------------------------------------------


def not_(d: Domain, a: V) -> V:
    """The other bits (inot)."""
    return d.xor(a, d.const(-1))


def andnot(d: Domain, a: V, b: V) -> V:
    """Bits of the first that the second has not (iandnot)."""
    return d.and_(a, not_(d, b))


def bitselect(d: Domain, a: V, b: V, c: V) -> V:
    """Bits of the first where the third has ones, of the second where it has zeros (ibitselect)."""
    return d.or_(d.and_(a, c), d.and_(b, not_(d, c)))


def any_true(d: Domain, a: V) -> V:
    """1 if any bit is one (vvtestop any_true)."""
    return d.bool_(d.not_(d.eq(a, d.const(0))))


def _sum(wide: str) -> Meaning:
    """The sum of two lanes of a type, in the domain of vectors."""
    return lambda d, a, b: d.at(wide).add(a, b)


def _saturated_sum(d: Domain, a: V, b: V) -> V:
    wide = d.at("i32")
    return lanes.clamp("i16", True)(wide, wide.add(a, b))


def _mixed_product(d: Domain, a: V, b: V) -> V:
    """The product of a signed and an unsigned byte; the sum is clamped (irelaxed_dot)."""
    return d.at("i32").mul(d.resize_s(a, "i32"), d.resize_u(b, "i32"))


_relaxed_dot = pairwise(_mixed_product, _saturated_sum, "i8", "i16")
_add_pairs = pairwise(widen("i32", True), _sum("i32"), "i16", "i32")
_add_i32 = lanewise(lambda d, a, b: d.add(a, b), "i32")


def relaxed_dot_add(d: Domain, a: V, b: V, c: V) -> V:
    """The relaxed dot product, its neighbours added, and the last vector added to them (irelaxed_dot_add)."""
    return _add_i32(d, _add_pairs(d, _relaxed_dot(d, a, b)), c)


# ---- rows --------------------------------------------------------------------------------------------


class Means(NamedTuple):
    """What a row means, and the scalar row that says what is done in each lane, if one does."""

    semantics: Meaning
    lane: str = ""
    commutes: bool = False


_ORDERS: Final = ("lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u")
_OWN: Final[dict[str, tuple[Meaning, bool]]] = {
    "abs": (abs_, False), "neg": (neg, False), "avgr_u": (average, True),
    "min_s": (min_s, True), "min_u": (min_u, True), "max_s": (max_s, True), "max_u": (max_u, True),
}  # fmt: skip
"""Functions of integer lanes, and whether their operands may be exchanged."""
_FLOATS: Final = ("abs", "neg", "sqrt", "ceil", "floor", "trunc", "nearest", "add", "sub", "mul", "div", "min", "max")
_FLOAT_TESTS: Final = ("eq", "ne", "lt", "gt", "le", "ge")
_OWN_FLOATS: Final[dict[str, Meaning]] = {
    "pmin": pmin, "pmax": pmax, "relaxed_min": pmin, "relaxed_max": pmax, "relaxed_madd": madd, "relaxed_nmadd": nmadd,
}  # fmt: skip
_HALVES: Final = {"i16x8": "i8x16", "i32x4": "i16x8", "i64x2": "i32x4"}
"""The shape with lanes of half the width."""


def _scalar(mnemonic: str) -> Meaning:
    """What a scalar row means."""
    found = ROWS[mnemonic].semantics
    assert found is not None, mnemonic
    return found


def _from_scalar(mnemonic: str, made: Meaning) -> Means:
    return Means(made, mnemonic, ROWS[mnemonic].commutes)


def _integers(shape: str) -> dict[str, Means]:
    """What is done in lanes of integers of one width."""
    of = LANES[shape]
    scalar = "i64" if of == "i64" else "i32"
    rows = {name: (f"{scalar}.{name}", _scalar(f"{scalar}.{name}")) for name in ("add", "sub", "mul", "popcnt")}
    found = {name: _from_scalar(row, lanewise(f, of)) for name, (row, f) in rows.items()}
    for name in ("eq", "ne", *_ORDERS):
        row = f"{scalar}.{name}"
        found[name] = _from_scalar(row, lanewise(truth(_scalar(row)), of))
    for name in ("shl", "shr_s", "shr_u"):
        found[name] = Means(shifted(_scalar(f"{scalar}.{name}"), of), f"{scalar}.{name}")
    for name, (function, commutes) in _OWN.items():
        found[name] = Means(lanewise(function, of), commutes=commutes)
    found |= {"all_true": Means(lanes.all_true(of)), "bitmask": Means(lanes.bitmask(of))}
    found["relaxed_laneselect"] = Means(bitselect)
    return found


def _saturated(shape: str) -> dict[str, Means]:
    """Sums and differences that are clamped."""
    of = LANES[shape]
    return {
        f"{name}_sat_{sign}": Means(
            lanewise(saturating(_scalar(f"i32.{name}"), of, sign == "s"), of), "", name == "add"
        )
        for name in ("add", "sub")
        for sign in "su"
    }


def _from_halves(shape: str) -> dict[str, Means]:
    """What makes wider lanes, and what makes narrower ones of two vectors."""
    narrow = _HALVES[shape]
    of, to = LANES[narrow], LANES[shape]
    found = dict[str, Means]()
    for sign in "su":
        extend, product = widen(to, sign == "s"), widened(_scalar("i32.mul"), to, sign == "s")
        for part in ("low", "high"):
            found[f"extend_{part}_{narrow}_{sign}"] = Means(lanewise(extend, of, to, part))
            made = lanewise(product, of, to, part)
            found[f"extmul_{part}_{narrow}_{sign}"] = Means(made, commutes=True)
        found[f"extadd_pairwise_{narrow}_{sign}"] = Means(pairwise(extend, _sum(to), of, to))
    return found


def _floats(shape: str) -> dict[str, Means]:
    """What is done in lanes of floats."""
    of = LANES[shape]
    found = {name: _from_scalar(f"{of}.{name}", lanewise(_scalar(f"{of}.{name}"), of)) for name in _FLOATS}
    for name in _FLOAT_TESTS:
        found[name] = _from_scalar(f"{of}.{name}", lanewise(truth(_scalar(f"{of}.{name}")), of))
    return found | {name: Means(lanewise(function, of)) for name, function in _OWN_FLOATS.items()}


def _conversions() -> dict[str, dict[str, Means]]:
    """Between integers and floats, and between floats."""
    found: dict[str, dict[str, Means]] = {"i32x4": {}, "f32x4": {}, "f64x2": {}}
    for sign in "su":
        for to, name, row in (
            ("i32x4", f"trunc_sat_f32x4_{sign}", f"i32.trunc_sat_f32_{sign}"),
            ("i32x4", f"trunc_sat_f64x2_{sign}_zero", f"i32.trunc_sat_f64_{sign}"),
            ("f32x4", f"convert_i32x4_{sign}", f"f32.convert_i32_{sign}"),
            ("f64x2", f"convert_low_i32x4_{sign}", f"f64.convert_i32_{sign}"),
        ):
            of = row.rsplit("_", 2)[-2]
            found[to][name] = _from_scalar(row, lanewise(_scalar(row), of, LANES[to]))
    relaxed = {"s": relaxed_trunc, "u": None}
    for sign, function in relaxed.items():
        for of, source, end in (("f32", "f32x4", ""), ("f64", "f64x2", "_zero")):
            name = f"{source}_{sign}{end}"
            same = found["i32x4"][f"trunc_sat_{name}"]
            made = same if function is None else Means(lanewise(function, of, "i32"))
            found["i32x4"][f"relaxed_trunc_{name}"] = made
    found["f32x4"]["demote_f64x2_zero"] = _from_scalar(
        "f32.demote_f64", lanewise(_scalar("f32.demote_f64"), "f64", "f32")
    )
    found["f64x2"]["promote_low_f32x4"] = _from_scalar(
        "f64.promote_f32", lanewise(_scalar("f64.promote_f32"), "f32", "f64")
    )
    return found


def _meanings() -> dict[str, dict[str, Means]]:
    """What rows mean, by shape and name; more than there are rows."""
    found = {shape: _integers(shape) if shape[0] == "i" else _floats(shape) for shape in LANES}
    for shape in ("i8x16", "i16x8"):
        found[shape] |= _saturated(shape)
    for shape, narrow in _HALVES.items():
        found[shape] |= _from_halves(shape)
        for sign in "su":
            found[narrow][f"narrow_{shape}_{sign}"] = Means(lanes.narrow(LANES[shape], LANES[narrow], sign == "s"))
    for shape, more in _conversions().items():
        found[shape] |= more
    product = widened(_scalar("i32.mul"), "i32", True)
    found["i32x4"]["dot_i16x8_s"] = Means(pairwise(product, _sum("i32"), "i16", "i32"), commutes=True)
    found["i32x4"]["relaxed_dot_i8x16_i7x16_add_s"] = Means(relaxed_dot_add)
    found["i16x8"] |= {
        "q15mulr_sat_s": Means(lanewise(q15mulr_sat, "i16"), commutes=True),
        "relaxed_q15mulr_s": Means(lanewise(q15mulr_wrap, "i16"), commutes=True),
        "relaxed_dot_i8x16_i7x16_s": Means(_relaxed_dot),
    }
    found["i8x16"] |= {"swizzle": Means(lanes.swizzle), "relaxed_swizzle": Means(lanes.relaxed_swizzle)}
    bits = {name: _from_scalar(f"i64.{name}", _scalar(f"i64.{name}")) for name in ("and", "or", "xor")}
    others: dict[str, Meaning] = {"not": not_, "andnot": andnot, "bitselect": bitselect, "any_true": any_true}
    found["v128"] = bits | {name: Means(function) for name, function in others.items()}
    return found


_UNARY = (
    *("not", "abs", "neg", "popcnt", "sqrt", "ceil", "floor", "trunc", "nearest"),
    *("promote_low_f32x4", "demote_f64x2_zero"),
)
_UNARY_STARTS = ("extend_", "extadd_", "trunc_sat", "convert_", "relaxed_trunc")
_TERNARY = ("bitselect", "relaxed_madd", "relaxed_nmadd", "relaxed_laneselect", "relaxed_dot_i8x16_i7x16_add_s")


def _signature(name: str) -> str:
    """Operands and results by the operation's name."""
    if name in ("any_true", "all_true", "bitmask"):
        return "v->i"
    if name in ("shl", "shr_s", "shr_u"):
        return "vi->v"
    if name in _TERNARY:
        return "vvv->v"
    return "v->v" if name in _UNARY or name.startswith(_UNARY_STARTS) else "vv->v"


def _declare(code: int, shape: str, name: str, means: Means) -> None:
    """One row; several may have the same meaning."""
    facts: dict[str, Any] = {"feature": "relaxed-simd" if name.startswith("relaxed_") else "simd", "shape": shape}
    facts |= {"lane": means.lane, "commutes": means.commutes}
    facts |= {"bits": WIDTHS["v128"] // WIDTHS[LANES[shape]]} if name == "bitmask" else {}
    facts |= {"bits": 1} if name in ("any_true", "all_true") else {}
    op(code, f"{shape}.{name}", _signature(name), prefix=0xFD, **facts)(means.semantics)


_known = _meanings()
for _line in _TABLE.split("\n")[1:-1]:
    _shape, _first, *_names = _line.split()
    for _i, _name in enumerate(_names):
        if _name != "-":
            _declare(int(_first) + _i, _shape, _name, _known[_shape][_name])
