"""Meaning of vectors made of the meaning of numbers: what a function of lanes is as a function of vectors.

A vector is a value of the domain ``v128``, which can take it apart and put it together (``split``, ``join``; the lowest
lane first); ``d.at`` is the domain of lanes. A function of lanes is a semantic function: of a scalar row, or written
here and in ``ops/simd_arith.py`` by the same rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stratavm.base.forms import Any, Final, Literal, TypeAlias
from stratavm.spec.domain import WIDTHS, Domain, V

Meaning: TypeAlias = Callable[..., Any]
Part: TypeAlias = Literal["low", "high"]

LANES: Final = {"i8x16": "i8", "i16x8": "i16", "i32x4": "i32", "i64x2": "i64", "f32x4": "f32", "f64x2": "f64"}
"""The type of a shape's lanes."""
VECTOR: Final = WIDTHS["v128"]


def lanewise(function: Meaning, of: str, to: str = "", part: Part = "low") -> Meaning:
    """A function of lanes of type ``of``, done in each; its results are of type ``to``.

    Where results are wider, half of the lanes take part; where they are narrower, zeros fill the rest.
    """
    width, result = WIDTHS[of], WIDTHS[to or of]
    count = VECTOR // max(width, result)
    first = count if part == "high" else 0

    def vector(d: Domain, *operands: V) -> V:
        lanes = d.at(of)
        columns = [d.split(v, width)[first : first + count] for v in operands]
        found = [function(lanes, *each) for each in zip(*columns, strict=True)]
        return d.join([*found, *[d.at(to or of).const(0)] * (VECTOR // result - count)], result)

    vector.__doc__ = f"In each lane: {function.__doc__}"
    return vector


def truth(function: Meaning) -> Meaning:
    """A function of lanes that has all bits one where a scalar test says 1."""

    def mask(d: Domain, *operands: V) -> V:
        return d.fill(function(d, *operands))

    mask.__doc__ = f"All ones for {function.__doc__}"
    return mask


def shifted(function: Meaning, of: str) -> Meaning:
    """A scalar shift, done in each lane by the same count, which is an i32."""
    width = WIDTHS[of]

    def vector(d: Domain, a: V, count: V) -> V:
        lanes, n = d.at(of), d.at("i32").resize_u(count, of)
        return d.join([function(lanes, x, n) for x in d.split(a, width)], width)

    vector.__doc__ = f"In each lane: {function.__doc__}"
    return vector


def pairwise(function: Meaning, total: Meaning, of: str, to: str) -> Meaning:
    """A function of lanes, and the total of what it gives for two neighbours, as a lane that is twice as wide."""

    def vector(d: Domain, *operands: V) -> V:
        lanes = d.at(of)
        found = [function(lanes, *each) for each in zip(*[d.split(v, WIDTHS[of]) for v in operands], strict=True)]
        pairs = zip(found[::2], found[1::2], strict=True)
        return d.join([total(d, a, b) for a, b in pairs], WIDTHS[to])

    vector.__doc__ = f"Of two neighbours: {function.__doc__}"
    return vector


def widen(to: str, signed: bool) -> Meaning:
    """A lane as a wider one."""

    def extend(d: Domain, a: V) -> V:
        return d.resize_s(a, to) if signed else d.resize_u(a, to)

    extend.__doc__ = f"The integer, {'sign' if signed else 'zero'}-extended (extend)."
    return extend


def widened(function: Meaning, to: str, signed: bool) -> Meaning:
    """A function of wider lanes, of lanes that are extended for it."""
    extend = widen(to, signed)

    def wider(d: Domain, *operands: V) -> V:
        return function(d.at(to), *[extend(d, a) for a in operands])

    wider.__doc__ = f"Extended first: {function.__doc__}"
    return wider


def clamp(to: str, signed: bool) -> Meaning:
    """A signed integer as the nearest one of a narrower type."""
    bits = WIDTHS[to]
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def nearest(d: Domain, a: V) -> V:
        low, high = d.const(least), d.const(most)
        inside = d.select(d.lt_s(high, a), high, d.select(d.lt_s(a, low), low, a))
        return d.resize_u(inside, to)

    nearest.__doc__ = f"The nearest {'signed' if signed else 'unsigned'} integer of {bits} bits (narrow)."
    return nearest


def saturating(function: Meaning, of: str, signed: bool) -> Meaning:
    """A sum or difference that is clamped where it does not fit; it does fit into lanes that are twice as wide."""
    wide = f"i{2 * WIDTHS[of]}"
    exact, nearest = widened(function, wide, signed), clamp(of, signed)

    def saturated(d: Domain, a: V, b: V) -> V:
        return nearest(d.at(wide), exact(d, a, b))

    saturated.__doc__ = f"Clamped to what fits: {function.__doc__}"
    return saturated


def narrow(of: str, to: str, signed: bool) -> Meaning:
    """The lanes of two vectors, clamped, in one."""
    nearest = clamp(to, signed)

    def vector(d: Domain, a: V, b: V) -> V:
        lanes = d.at(of)
        return d.join([nearest(lanes, x) for v in (a, b) for x in d.split(v, WIDTHS[of])], WIDTHS[to])

    vector.__doc__ = f"In each lane: {nearest.__doc__}"
    return vector


def splat(of: str, operand: str) -> Meaning:
    """A number in every lane; of a wider one the low bits."""
    width = WIDTHS[of]

    def vector(d: Domain, a: V) -> V:
        lane = a if of == operand else d.at(operand).resize_u(a, of)
        return d.join([lane] * (VECTOR // width), width)

    vector.__doc__ = f"The {of} in every lane (splat)."
    return vector


def extract(of: str, result: str, signed: bool) -> Meaning:
    """The number in a lane."""
    extend = None if of == result else widen(result, signed)

    def scalar(d: Domain, a: V, lane: int) -> V:
        found = d.split(a, WIDTHS[of])[lane]
        return found if extend is None else extend(d.at(of), found)

    scalar.__doc__ = f"The {of} in a lane{'' if extend is None else ', ' + str(extend.__doc__)[13:-10]} (extract_lane)."
    return scalar


def replace(of: str, operand: str) -> Meaning:
    """The vector with another number in a lane."""

    def vector(d: Domain, a: V, x: V, lane: int) -> V:
        lanes = list(d.split(a, WIDTHS[of]))
        lanes[lane] = x if of == operand else d.at(operand).resize_u(x, of)
        return d.join(lanes, WIDTHS[of])

    vector.__doc__ = f"The vector with another {of} in a lane (replace_lane)."
    return vector


def shuffle(d: Domain, a: V, b: V, lanes: Sequence[int]) -> V:
    """Bytes of two vectors: each is chosen by a number below 32 (shuffle)."""
    both = [*d.split(a, 8), *d.split(b, 8)]
    return d.join([both[k] for k in lanes], 8)


def swizzle(d: Domain, a: V, b: V) -> V:
    """Bytes of the first vector, chosen by those of the second; from 16 on they choose zero (swizzle)."""
    lanes = d.at("i8")
    chosen = [
        lanes.select(lanes.lt_u(i, lanes.const(16)), byte, lanes.const(0))
        for i, byte in zip(d.split(b, 8), _bytes_at(d, a, b), strict=True)
    ]
    return d.join(chosen, 8)


def relaxed_swizzle(d: Domain, a: V, b: V) -> V:
    """Bytes of the first vector, chosen by the low four bits of those of the second; negative ones choose zero."""
    lanes = d.at("i8")
    chosen = [
        lanes.select(lanes.lt_s(i, lanes.const(0)), lanes.const(0), byte)
        for i, byte in zip(d.split(b, 8), _bytes_at(d, a, b), strict=True)
    ]
    return d.join(chosen, 8)


def _bytes_at(d: Domain, a: V, b: V) -> list[V]:
    """The bytes of a vector that the low four bits of another's bytes choose."""
    lanes, eight, fifteen = d.at("i8"), d.const(3), d.const(15)
    places = [d.shl(d.and_(lanes.resize_u(i, "v128"), fifteen), eight) for i in d.split(b, 8)]
    return [d.resize_u(d.shr_u(a, place), "i8") for place in places]


def all_true(of: str) -> Meaning:
    """1 if no lane is zero."""

    def scalar(d: Domain, a: V) -> V:
        lanes = d.at(of)
        zero = lanes.const(0)
        found, *others = [lanes.not_(lanes.eq(x, zero)) for x in d.split(a, WIDTHS[of])]
        for other in others:
            found = d.both(found, other)
        return d.bool_(found)

    scalar.__doc__ = "1 if no lane is zero (all_true)."
    return scalar


def bitmask(of: str) -> Meaning:
    """The sign bits of the lanes, the first lane's lowest."""

    def scalar(d: Domain, a: V) -> V:
        lanes, bits = d.at(of), d.at("i32")
        zero, found = lanes.const(0), bits.const(0)
        for i, x in enumerate(d.split(a, WIDTHS[of])):
            found = bits.or_(found, bits.shl(lanes.bool_(lanes.lt_s(x, zero)), bits.const(i)))
        return found

    scalar.__doc__ = "The sign bits of the lanes, the first lane's lowest (bitmask)."
    return scalar
