"""Numbers that somebody gives as a limit: what is none is refused, since it would limit something else."""

from __future__ import annotations

import math
import operator
from typing import Any


def whole(name: str, value: Any, least: int = 0, most: int | None = None, unit: str = "") -> int:
    """A whole number as it is: one of a subclass may compare, or add up, as it likes.

    Raises:
        TypeError: it is none; a truth value, or 1.5, counted as 1.
        ValueError: it is not between ``least`` and ``most``.
    """
    of = f" of {unit}" if unit else ""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be a whole number{of}, got {value!r:.60}")
    number = int.__add__(operator.index(value), 0)
    if number < least or (most is not None and number > most):
        bounds = f"at least {least}" if most is None else f"between {least} and {most}"
        raise ValueError(f"{name} must be {bounds}{' ' + unit if unit else ''}, got {number}")
    return number


def whole_or_none(name: str, value: Any, least: int = 0, most: int | None = None, unit: str = "") -> int | None:
    """``whole``, where None stands for no limit."""
    return None if value is None else whole(name, value, least, most, unit)


def seconds(name: str, value: Any, least: float = 0.0) -> float | None:
    """A time limit in seconds; None is none.

    Raises:
        TypeError, ValueError: it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise TypeError(f"{name} must be a number of seconds, got {value!r:.60}")
    try:
        number = float(value)
    except OverflowError:  # an integer beyond the range of floats
        number = math.inf if value > 0 else -math.inf
    if math.isnan(number):
        raise ValueError(f"{name} must be a number, got nan")
    if number < least:
        raise ValueError(f"{name} must be a number of seconds from {least:g} on, or None, got {value!r:.60}")
    return number
