"""The domain of numbers: values are raw bits in unsigned Python ints, conditions are bools.

It is the oracle's arithmetic and the constant folder's. Floats are computed with Python's (IEEE binary64):

- f32 through binary64: rounding a binary64 result again to binary32 gives the correctly rounded result for
  + - * / and sqrt, because 53 >= 2 * 24 + 2 (S. Figueroa, "When is double rounding innocuous?", 1995); sums,
  differences and products that are subnormal in binary32 are exact in binary64 before that one rounding.
- Every NaN that an operation makes is the positive canonical one. The specification always allows it; hardware may
  propagate payloads instead, so differential tests compare NaNs as a class. ``promote`` and ``demote`` do as processors
  do, since generators of programs that canonicalise NaNs leave those two alone: sign and payload stay, made quiet.
- ``fneg``, ``fabs``, ``fcopysign`` and ``reinterpret`` work on bits and keep NaNs as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from struct import Struct

from stratavm.base.errors import Trap
from stratavm.base.forms import Any, Final
from stratavm.spec.declare import Declared
from stratavm.spec.domain import WIDTHS, bound_type

LANES: Final = {8: Struct("<16B"), 16: Struct("<8H"), 32: Struct("<4I"), 64: Struct("<2Q")}
"""A vector's lanes by their width."""
_U32, _F32, _U64, _F64 = Struct("<I"), Struct("<f"), Struct("<Q"), Struct("<d")
CANONICAL_NAN: Final = {"f32": 0x7FC0_0000, "f64": 0x7FF8_0000_0000_0000}


def f64_value(raw: int) -> float:
    """The float that f64 bits stand for."""
    value: float = _F64.unpack(_U64.pack(raw))[0]
    return value


def f32_value(raw: int) -> float:
    """The float that f32 bits stand for, exact."""
    value: float = _F32.unpack(_U32.pack(raw))[0]
    return value


def f64_bits(value: float) -> int:
    """The f64 bits of a float; NaN becomes canonical."""
    if value != value:
        return CANONICAL_NAN["f64"]
    raw: int = _U64.unpack(_F64.pack(value))[0]
    return raw


def f32_bits(value: float) -> int:
    """The f32 bits of a float, rounded to nearest, ties to even; NaN becomes canonical."""
    if value != value:
        return CANONICAL_NAN["f32"]
    try:
        raw: int = _U32.unpack(_F32.pack(value))[0]
    except OverflowError:  # rounds beyond the greatest finite f32
        return 0x7F80_0000 if value > 0 else 0xFF80_0000
    return raw


def int_to_f32(value: int) -> int:
    """An integer's f32 bits, rounded once.

    An integer of more than 53 bits is first cut to 50 bits, rounded to odd: the lost bits leave a trace in the last
    place, so that the second rounding decides as if it had seen them all.
    """
    excess = abs(value).bit_length() - 50
    if excess <= 0:
        return f32_bits(float(value))
    magnitude = abs(value)
    odd = magnitude >> excess | (magnitude & (1 << excess) - 1 != 0)
    return f32_bits(math.ldexp(-odd if value < 0 else odd, excess))


def signed(value: int, bits: int) -> int:
    """Unsigned bits read as two's complement."""
    return value - (1 << bits) if value >> bits - 1 else value


class Numbers:
    """The primitives (see ``prims``) that do not depend on the bound type, and integer constants."""

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.bits = WIDTHS[type_]
        self.mask = (1 << self.bits) - 1

    def at(self, type_: str) -> Numbers:
        """See ``domain``."""
        return DOMAINS[type_]

    def const(self, value: int, to: str = "") -> int:
        return value & ((1 << WIDTHS[to]) - 1 if to else self.mask)

    def not_(self, a: bool) -> bool:
        return not a

    def both(self, a: bool, b: bool) -> bool:
        return a and b

    def either(self, a: bool, b: bool) -> bool:
        return a or b

    def bool_(self, a: bool) -> int:
        return 1 if a else 0

    def fill(self, a: int) -> int:
        return self.mask if a else 0

    def select(self, c: bool, a: int, b: int) -> int:
        return a if c else b

    def trap_if(self, c: bool, kind: str) -> None:
        if c:
            raise Trap(kind)

    def reinterpret(self, a: int, to: str) -> int:
        return a


class Ints(Numbers):
    """The primitives (see ``prims``) over integers of any width."""

    def add(self, a: int, b: int) -> int:
        return (a + b) & self.mask

    def sub(self, a: int, b: int) -> int:
        return (a - b) & self.mask

    def mul(self, a: int, b: int) -> int:
        return (a * b) & self.mask

    def mulhi_s(self, a: int, b: int) -> int:
        return signed(a, self.bits) * signed(b, self.bits) >> self.bits & self.mask

    def mulhi_u(self, a: int, b: int) -> int:
        return a * b >> self.bits

    def div_s(self, a: int, b: int) -> int:
        """See ``prims``; Python's division floors, so the magnitudes are divided."""
        x, y = signed(a, self.bits), signed(b, self.bits)
        if y == 0:
            return 0
        quotient = abs(x) // abs(y)
        return (quotient if (x < 0) == (y < 0) else -quotient) & self.mask

    def div_u(self, a: int, b: int) -> int:
        return a // b if b else 0

    def rem_s(self, a: int, b: int) -> int:
        x, y = signed(a, self.bits), signed(b, self.bits)
        if y == 0:
            return 0
        rest = abs(x) % abs(y)
        return (-rest if x < 0 else rest) & self.mask

    def rem_u(self, a: int, b: int) -> int:
        return a % b if b else 0

    def and_(self, a: int, b: int) -> int:
        return a & b

    def or_(self, a: int, b: int) -> int:
        return a | b

    def xor(self, a: int, b: int) -> int:
        return a ^ b

    def shl(self, a: int, b: int) -> int:
        return (a << b) & self.mask

    def shr_s(self, a: int, b: int) -> int:
        return (signed(a, self.bits) >> b) & self.mask

    def shr_u(self, a: int, b: int) -> int:
        return a >> b

    def clz(self, a: int) -> int:
        return self.bits - a.bit_length()

    def ctz(self, a: int) -> int:
        return (a & -a).bit_length() - 1 if a else self.bits

    def popcnt(self, a: int) -> int:
        return a.bit_count()

    def sext(self, a: int, width: int) -> int:
        return signed(a & (1 << width) - 1, width) & self.mask

    def eq(self, a: int, b: int) -> bool:
        return a == b

    def lt_s(self, a: int, b: int) -> bool:
        return signed(a, self.bits) < signed(b, self.bits)

    def lt_u(self, a: int, b: int) -> bool:
        return a < b

    def wrap(self, a: int) -> int:
        return a & 0xFFFF_FFFF

    def widen_s(self, a: int) -> int:
        return signed(a, 32) & 0xFFFF_FFFF_FFFF_FFFF

    def widen_u(self, a: int) -> int:
        return a

    def resize_s(self, a: int, to: str) -> int:
        return signed(a, self.bits) & (1 << WIDTHS[to]) - 1

    def resize_u(self, a: int, to: str) -> int:
        return a & (1 << WIDTHS[to]) - 1

    def from_int_s(self, a: int, to: str) -> int:
        """See ``prims``; Python's ``float`` of an int rounds once, ties to even."""
        value = signed(a, self.bits)
        return int_to_f32(value) if to == "f32" else f64_bits(float(value))

    def from_int_u(self, a: int, to: str) -> int:
        return int_to_f32(a) if to == "f32" else f64_bits(float(a))


class Vectors(Ints):
    """The primitives (see ``prims``) over 128 bits, and lanes of them."""

    def split(self, a: int, width: int) -> tuple[int, ...]:
        """See ``domain``."""
        return LANES[width].unpack(a.to_bytes(16, "little"))

    def join(self, lanes: Sequence[int], width: int) -> int:
        """See ``domain``."""
        return int.from_bytes(LANES[width].pack(*lanes), "little")


class Floats(Numbers):
    """The primitives (see ``prims``) over f32 or f64."""

    def __init__(self, type_: str) -> None:
        super().__init__(type_)
        self.sign = 1 << self.bits - 1
        self.value: Callable[[int], float] = f32_value if type_ == "f32" else f64_value
        self.raw: Callable[[float], int] = f32_bits if type_ == "f32" else f64_bits

    def fconst(self, value: float) -> int:
        return self.raw(value)

    def fadd(self, a: int, b: int) -> int:
        return self.raw(self.value(a) + self.value(b))

    def fsub(self, a: int, b: int) -> int:
        return self.raw(self.value(a) - self.value(b))

    def fmul(self, a: int, b: int) -> int:
        return self.raw(self.value(a) * self.value(b))

    def fdiv(self, a: int, b: int) -> int:
        """See ``prims``; Python refuses to divide by zero, IEEE does not."""
        x, y = self.value(a), self.value(b)
        if y == 0.0:
            if x == 0.0 or x != x:
                return self.raw(math.nan)
            return self.raw(math.copysign(math.inf, x) * math.copysign(1.0, y))
        return self.raw(x / y)

    def fsqrt(self, a: int) -> int:
        x = self.value(a)
        return self.raw(math.nan if x < 0.0 else math.sqrt(x))

    def fmin(self, a: int, b: int) -> int:
        x, y = self.value(a), self.value(b)
        if x != x or y != y:
            return self.raw(math.nan)
        return (a | b) if x == y else self.raw(min(x, y))  # equal values differ at most in the sign of zero

    def fmax(self, a: int, b: int) -> int:
        x, y = self.value(a), self.value(b)
        if x != x or y != y:
            return self.raw(math.nan)
        return (a & b) if x == y else self.raw(max(x, y))

    def _whole(self, a: int, rounding: Callable[[float], int]) -> int:
        """Round to an integer, keeping the sign of a zero; from 2**52 on every float is whole."""
        x = self.value(a)
        if not abs(x) < 4503599627370496.0:
            return self.raw(x)
        return self.raw(math.copysign(float(rounding(x)), x))

    def fceil(self, a: int) -> int:
        return self._whole(a, math.ceil)

    def ffloor(self, a: int) -> int:
        return self._whole(a, math.floor)

    def ftrunc(self, a: int) -> int:
        return self._whole(a, math.trunc)

    def fnearest(self, a: int) -> int:
        """See ``prims``; Python's ``round`` breaks ties to even."""
        return self._whole(a, round)

    def fneg(self, a: int) -> int:
        return a ^ self.sign

    def fabs(self, a: int) -> int:
        return a & ~self.sign

    def fcopysign(self, a: int, b: int) -> int:
        return a & ~self.sign | b & self.sign

    def feq(self, a: int, b: int) -> bool:
        return self.value(a) == self.value(b)

    def flt(self, a: int, b: int) -> bool:
        return self.value(a) < self.value(b)

    def fle(self, a: int, b: int) -> bool:
        return self.value(a) <= self.value(b)

    def promote(self, a: int, to: str) -> int:
        x = self.value(a)
        if x != x:
            return a >> 31 << 63 | CANONICAL_NAN["f64"] | (a & 0x7F_FFFF) << 29
        return f64_bits(x)

    def demote(self, a: int, to: str) -> int:
        x = self.value(a)
        if x != x:
            return a >> 63 << 31 | CANONICAL_NAN["f32"] | a >> 29 & 0x7F_FFFF
        return f32_bits(x)

    def to_int_s(self, a: int, to: str) -> int:
        """See ``prims``; anything for values that the semantic function has excluded."""
        x = self.value(a)
        return int(x) & (1 << WIDTHS[to]) - 1 if math.isfinite(x) else 0

    def to_int_u(self, a: int, to: str) -> int:
        return self.to_int_s(a, to)


DOMAINS: Final[dict[str, Ints | Floats]] = {
    "i8": Ints("i8"),
    "i16": Ints("i16"),
    "i32": Ints("i32"),
    "i64": Ints("i64"),
    "f32": Floats("f32"),
    "f64": Floats("f64"),
    "v128": Vectors("v128"),
}
"""The domain of each type of numbers, of lanes, and of vectors."""


def evaluate(row: Declared, *operands: Any) -> Any:
    """What a row with a semantic function gives on raw operands and immediates behind them, a tuple where it has
    several results; raises ``Trap``.
    """
    if row.semantics is None:
        raise ValueError(f"{row.mnemonic} has no semantic function")
    return row.semantics(DOMAINS[bound_type(row)], *operands)
