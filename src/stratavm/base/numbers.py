"""Numbers that somebody gives, checked where they come in: what is none is refused by the name of its argument."""

from __future__ import annotations

import _operator as operator

from stratavm.base.forms import Any, Final

LONGEST_S: Final = 1e9
"""Thirty years: no time is longer, and as nanoseconds it fits 64 bits."""
SHOWN_BITS: Final = 256


def integer(name: str, value: Any, unit: str = "") -> int:
    """A whole number as it is: one of a subclass may compare, or add up, as it likes.

    Raises:
        TypeError: it is none; a truth value, or 1.5, counted as 1.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        of = f" of {unit}" if unit else ""
        raise TypeError(f"{name} must be a whole number{of}, got {value!r:.60}")
    return int.__add__(operator.index(value), 0)


def whole(name: str, value: Any, least: int = 0, most: int | None = None, unit: str = "") -> int:
    """``integer`` within bounds.

    Raises:
        TypeError: it is none.
        ValueError: it is not between ``least`` and ``most``.
    """
    number = integer(name, value, unit)
    if number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        of = unit.removesuffix("s") if most is None and least == 1 else unit
        raise ValueError(f"{name} must be {bounds}{' ' + of if of else ''}, got {shown(number)}")
    return number


def whole_or_none(name: str, value: Any, least: int = 0, most: int | None = None, unit: str = "") -> int | None:
    """``whole``, where None stands for no limit."""
    return None if value is None else whole(name, value, least, most, unit)


def shown(number: int) -> str:
    """A whole number in an error: Python refuses to print very long ones, and nobody reads them."""
    bits = number.bit_length()
    return str(number) if bits <= SHOWN_BITS else f"a {'negative ' if number < 0 else ''}number of {bits} bits"


def truth(name: str, value: Any, hint: str = "") -> bool:
    """True or False, and nothing that only counts as one of them; ``hint`` ends the error.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r:.60}{hint}")
    return value


def real(name: str, value: Any, of: str = "") -> float:
    """A real number as a float, an infinity where floats do not reach.

    Raises:
        TypeError: it is none, or a truth value.
        ValueError: it is not a number (nan).
    """
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{name} must be a number{of}, got {value!r:.60}")
    try:
        found = float(value)
    except OverflowError:
        found = float("inf") if value > 0 else float("-inf")
    if found != found:
        raise ValueError(f"{name} must be a number{of}, got nan")
    return found


def seconds(name: str, value: Any) -> float:
    """A time in seconds. None is longer than ``LONGEST_S``, so that infinity is as good as no limit; 0, and what is
    negative because it has passed, is over at once.

    Raises:
        TypeError, ValueError: it is no number.
    """
    return min(max(real(name, value, " of seconds"), 0.0), LONGEST_S)


def seconds_or_none(name: str, value: Any) -> float | None:
    """``seconds``, where None stands for no limit."""
    if value is None or (type(value) is float and 0.0 <= value <= LONGEST_S):  # as nearly all are
        return value
    return seconds(name, value)
