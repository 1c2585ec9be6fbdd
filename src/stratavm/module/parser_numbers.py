"""Number literals of the text format, as raw bits. Floats are rounded exactly, once, to nearest even.

Source: WebAssembly 3.0, section 6.3.1 and 6.3.2 (integers, floating-point).
"""

from __future__ import annotations

import re
import struct

from stratavm.base.forms import Final, dataclass

_DIGITS: Final = r"[0-9](?:_?[0-9])*+"
_HEXITS: Final = r"[0-9a-fA-F](?:_?[0-9a-fA-F])*+"
_INT: Final = re.compile(rf"([+-]?)(?:0x({_HEXITS})|({_DIGITS}))")
_FLOAT: Final = re.compile(
    rf"([+-]?)(?:0x({_HEXITS})(?:\.({_HEXITS})?)?(?:[pP]([+-]?{_DIGITS}))?"
    rf"|({_DIGITS})(?:\.({_DIGITS})?)?(?:[eE]([+-]?{_DIGITS}))?"
    rf"|(inf)|nan(?::0x({_HEXITS}))?)"
)
_NUMBER: Final = re.compile(rf"{_FLOAT.pattern}|nan:(?:canonical|arithmetic)")
MAX_DIGITS: Final = 800
"""Significant digits that can decide a rounding to 64 bits (about 770), with room; more are one sticky digit."""


class OutOfRange(ValueError):
    """The literal is a number, but its type cannot hold it."""


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """An IEEE 754 binary format: ``precision`` counts the hidden bit."""

    bits: int
    precision: int

    @property
    def exponent_bits(self) -> int:
        """Width of the exponent field."""
        return self.bits - self.precision

    @property
    def least(self) -> int:
        """Exponent of the least subnormal."""
        return 3 - (1 << self.exponent_bits - 1) - self.precision

    @property
    def infinity(self) -> int:
        """Bits of positive infinity."""
        return (1 << self.exponent_bits) - 1 << self.precision - 1

    @property
    def quiet(self) -> int:
        """Bits of the canonical NaN."""
        return self.infinity | 1 << self.precision - 2


F32: Final = FloatFormat(32, 24)
F64: Final = FloatFormat(64, 53)


def is_number(token: str) -> bool:
    """Whether the token is any number literal."""
    return token[:1] in "+-0123456789in" and _NUMBER.fullmatch(token) is not None


def _magnitude(m: re.Match[str]) -> int:
    """The absolute value of a matched integer; more than 80 decimal digits are out of every range."""
    _, hexits, digits = m.groups()
    if hexits is not None:
        return int(hexits, 16)
    digits = digits.replace("_", "").lstrip("0") or "0"
    if len(digits) > 80:
        raise OutOfRange
    return int(digits)


def parse_natural(token: str, bits: int) -> int | None:
    """An unsigned integer without a sign; None where the token is no such literal."""
    if bits >= 32 and len(token) < 9 and token.isdigit() and token.isascii():
        return int(token)
    m = _INT.fullmatch(token)
    if m is None or m.group(1):
        return None
    value = _magnitude(m)
    if value >> bits:
        raise OutOfRange
    return value


def parse_integer(token: str, bits: int) -> int | None:
    """An integer constant as unsigned bits: from -2**(bits-1) up to 2**bits - 1."""
    m = _INT.fullmatch(token)
    if m is None:
        return None
    value = _magnitude(m)
    if m.group(1) == "-":
        if value > 1 << bits - 1:
            raise OutOfRange
        return -value & (1 << bits) - 1
    if value >> bits:
        raise OutOfRange
    return value


def parse_float(token: str, form: FloatFormat) -> int | None:
    """A float constant as IEEE bits; None where the token is no float literal."""
    m = _FLOAT.fullmatch(token)
    if m is None:
        return None
    sign, hexits, hex_fraction, binary, digits, fraction, decimal, infinity, payload = m.groups()
    negative = 1 << form.bits - 1 if sign == "-" else 0
    if hexits is not None:
        return negative | _hexadecimal(hexits, hex_fraction or "", binary or "0", form)
    if digits is not None:
        if form is F64:
            return negative | _decimal_f64(token.replace("_", "").lstrip("+-"))
        return negative | _decimal(digits, fraction or "", decimal or "0", form)
    if infinity is not None:
        return negative | form.infinity
    if payload is None:
        return negative | form.quiet
    value = int(payload, 16)
    if not 0 < value < 1 << form.precision - 1:
        raise OutOfRange
    return negative | form.infinity | value


def _decimal_f64(text: str) -> int:
    """Python's own conversion is exact for this format."""
    bits: int = struct.unpack("<Q", struct.pack("<d", float(text)))[0]
    if bits == F64.infinity:
        raise OutOfRange
    return bits


def _exponent(text: str) -> int:
    """An exponent, cut to what is far beyond every format."""
    text = text.replace("_", "")
    digits = text.lstrip("+-").lstrip("0")
    value = int(digits or "0") if len(digits) < 12 else 10**12
    return -value if text[0] == "-" else value


def _hexadecimal(whole: str, fraction: str, exponent: str, form: FloatFormat) -> int:
    """``whole.fraction * 2**exponent``."""
    fraction = fraction.replace("_", "")
    mantissa = int(whole.replace("_", "") + fraction, 16)
    power = _exponent(exponent) - 4 * len(fraction)
    size = mantissa.bit_length() + power  # the value is below 2**size
    if mantissa == 0 or size < form.least - 1:
        return 0
    if size > 1 << form.exponent_bits:
        raise OutOfRange
    return round_ratio(mantissa << max(power, 0), 1 << max(-power, 0), form)


def _decimal(whole: str, fraction: str, exponent: str, form: FloatFormat) -> int:
    """``whole.fraction * 10**exponent``."""
    fraction = fraction.replace("_", "")
    digits = (whole.replace("_", "") + fraction).lstrip("0")
    power = _exponent(exponent) - len(fraction)
    size = len(digits) + power  # the value is below 10**size
    if not digits or size < -400:
        return 0
    if size > 400:
        raise OutOfRange
    if len(digits) > MAX_DIGITS:
        power += len(digits) - MAX_DIGITS - 1
        digits = digits[:MAX_DIGITS] + ("1" if digits[MAX_DIGITS:].strip("0") else "0")
    return round_ratio(int(digits) * 10 ** max(power, 0), 10 ** max(-power, 0), form)


def round_ratio(numerator: int, denominator: int, form: FloatFormat) -> int:
    """The bits of ``numerator / denominator`` (both positive) rounded to nearest, ties to even."""
    hidden = 1 << form.precision - 1
    power = max(numerator.bit_length() - denominator.bit_length() - form.precision, form.least)
    while True:
        divisor = denominator << max(power, 0)
        quotient, rest = divmod(numerator << max(-power, 0), divisor)
        if quotient < 2 * hidden:
            break
        power += 1
    if 2 * rest > divisor or (2 * rest == divisor and quotient & 1):
        quotient += 1
    if quotient < hidden:
        return quotient  # subnormal: power is the least
    # A carry out of the significand moves into the exponent field by itself.
    bits = (power - form.least << form.precision - 1) + quotient
    if bits >= form.infinity:
        raise OutOfRange
    return bits
