"""Versions of plugins, the order in which they are, and ranges of them: ``>=1.2, <2``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache

from stratavm.base.forms import Any, Final

EARLY: Final = r"(?:0|[1-9][0-9]*|[0-9]*[a-z][0-9a-z]*)"
"""A part behind the hyphen; as in the specification of semantic versions, a number has no zero before it."""
VERSION: Final = re.compile(rf"(?:0|[1-9][0-9]{{0,8}})(?:\.(?:0|[1-9][0-9]{{0,8}})){{2}}(?:-{EARLY}(?:\.{EARLY})*)?\Z")
PART: Final = re.compile(
    r"(>=|<=|==|!=|>|<)\s*((?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){0,2})(-[0-9a-z.-]+)?\Z"
)
ANY: Final = "*"
LONGEST: Final = 200
LONGEST_VERSION: Final = 100
COMPARED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
A_RANGE: Final = "a range of versions such as '>=1.2, <2', or '*'"


def is_version(text: object) -> bool:
    """Whether this is a version, as manifests write it."""
    return isinstance(text, str) and len(text) <= LONGEST_VERSION and VERSION.match(text) is not None


def precedence(version: str) -> tuple[Any, ...]:
    """What versions are compared by: numbers as such, and whatever has a hyphen before what has none."""
    numbers, _, early = version.partition("-")
    parts = [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in early.split(".")] if early else []
    return tuple(map(int, numbers.split("."))), not early, parts


def is_range(text: object) -> bool:
    """Whether this is a range: comparisons with commas between them, which all hold, or ``*``."""
    return isinstance(text, str) and len(text) <= LONGEST and (text == ANY or all(map(_part, text.split(","))))


@lru_cache(1000)
def is_within(version: str, wanted: str | None) -> bool:
    """Whether a version is in a range; none is in no range. Numbers that a bound leaves out are 0."""
    if wanted is None:
        return False
    if wanted == ANY:
        return True
    found = precedence(version)
    return all(compare(found, bound) for compare, bound in filter(None, map(_part, wanted.split(","))))


def _part(text: str) -> tuple[Callable[[Any, Any], bool], tuple[Any, ...]] | None:
    """A comparison, and what with."""
    match = PART.match(text.strip())
    if match is None:
        return None
    sign, numbers, early = match.groups()
    full = numbers + ".0" * (2 - numbers.count(".")) + (early or "")
    return (COMPARED[sign], precedence(full)) if VERSION.match(full) else None
