"""Numbers in references, as Python has them."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.base.numbers import integer, shown
from stratavm.spec.types import I31_BITS, I31_TAG

SIGN: Final = 1 << 30


class I31(int):
    """A number of 31 bits in a reference (``i31``), signed, from -2**30 to 2**31 - 1: what is above 2**30 - 1 is the
    negative number of the same bits. It is an ``int``, and a guest that gets it gets the reference again, also as an
    ``externref``, where any other ``int`` is an object of Python.

    Raises:
        OverflowError: it does not fit.
        TypeError: it is no whole number.
    """

    __slots__ = ()

    def __new__(cls, number: int) -> I31:
        given = integer("an i31", int(number) if isinstance(number, bool) else number)  # as for an i32
        if not -SIGN <= given < 2 * SIGN:
            raise OverflowError(f"{shown(given)} does not fit i31")
        return i31_of(given)

    @property
    def raw(self) -> int:
        """The reference, as raw bits."""
        return I31_TAG | self & I31_BITS

    def __reduce__(self) -> tuple[type[I31], tuple[int]]:
        return I31, (int(self),)


def i31_of(raw: int) -> I31:
    """The number in a reference."""
    return int.__new__(I31, ((raw & I31_BITS) ^ SIGN) - SIGN)
