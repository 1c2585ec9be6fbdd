"""What callers give, checked where it comes in: what is of another kind is refused by its parameter's name."""

from __future__ import annotations

import os


def check(name: str, value: object, kinds: type | tuple[type, ...], expected: str) -> None:
    """Look at an argument.

    Args:
        name: the parameter's.
        value: what was given.
        kinds: what it must be an instance of.
        expected: that, for people.

    Raises:
        TypeError: it is not; it says what is expected, and what was found.
    """
    if not isinstance(value, kinds):
        raise TypeError(f"{name} must be {expected}, got {value!r:.60}")


def path_of(name: str, value: object) -> str:
    """The text of a path.

    Raises:
        TypeError: it is none.
    """
    check(name, value, (str, os.PathLike), "a path")
    found = os.fspath(value)  # type: ignore[call-overload]
    check(name, found, str, "a path of text")
    return str(found)
