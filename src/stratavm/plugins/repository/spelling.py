"""JSON of one spelling: keys in order, no spaces, no key twice, so that equal things have equal bytes and digests."""

from __future__ import annotations

import json
from collections.abc import Callable

from stratavm.base.forms import Any, Final, NoReturn, TypeAlias
from stratavm.plugins.manifest import once

Refuse: TypeAlias = "Callable[[str, str, str], Exception]"
"""Of a reason, what was expected and what was found, the error."""
TRIES: Final = (ValueError, RecursionError, OverflowError)
KINDS: Final = {int: "a whole number", str: "a text", list: "a list", dict: "a table", type(None): "null"}


def spelt(value: Any) -> bytes:
    """The bytes of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def parsed(data: bytes, most: int, refuse: Refuse, exact: bool = True) -> dict[str, Any]:
    """The table that some bytes say.

    Args:
        data: the bytes; more than ``most`` are not looked at.
        refuse: makes the error.
        exact: they must be the one spelling; else any without a key twice.

    Raises:
        Exception: what ``refuse`` made: they are too many, no JSON, no table, or spelt otherwise.
    """
    if len(data) > most:
        raise refuse("size", f"at most {most} bytes", f"{len(data)}")
    try:
        value = json.loads(data.decode(), object_pairs_hook=once, parse_constant=_no_constant)
        again = spelt(value)
    except TRIES as error:
        raise refuse("form", "JSON", str(error) or type(error).__name__) from None
    if not isinstance(value, dict):
        raise refuse("form", "a table", type(value).__name__)
    if exact and again != data:
        raise refuse("form", "JSON of one spelling: keys in order, no spaces", "another spelling")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name}")


def having(table: Any, keys: dict[str, type | tuple[type, ...]], refuse: Refuse, where: str = "") -> dict[str, Any]:
    """A table that has these keys, each with a value of its type, and no others; those with ``?`` may be absent.

    Raises:
        Exception: what ``refuse`` made.
    """
    place = f" in {where}" if where else ""
    if not isinstance(table, dict):
        raise refuse("form", f"a table{place}", type(table).__name__)
    wanted = {key.removesuffix("?"): (kind, key.endswith("?")) for key, kind in keys.items()}
    for key in table:
        if key not in wanted:
            raise refuse("form", f"no key {key[:60]!r}{place}", "one")
    for key, (kind, may_be_absent) in wanted.items():
        if key not in table:
            if not may_be_absent:
                raise refuse("form", f"{key!r}{place}", "nothing")
        elif not isinstance(table[key], kind) or isinstance(table[key], bool):
            wanted_kinds = " or ".join(KINDS[one] for one in (kind if isinstance(kind, tuple) else (kind,)))
            raise refuse("form", f"{wanted_kinds} for {key!r}{place}", type(table[key]).__name__)
    return table
