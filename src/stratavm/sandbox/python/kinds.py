"""Types of a tool's arguments, made from annotations: what JSON Schema says of them, and whether a value is one.

A check is a function that returns the value, as the tool shall have it, or raises ``Unfit``.
"""

from __future__ import annotations

import types
from collections.abc import Callable

from stratavm.base.forms import Any, Final, NamedTuple, TypeAlias
from stratavm.base.importing import typing

Check: TypeAlias = "Callable[[Any, str], Any]"


class Unfit(Exception):
    """A value that is not of its type; the message says where, and what was expected."""


class Kind(NamedTuple):
    """A type: as JSON Schema, and its check."""

    schema: dict[str, Any]
    check: Check


def _exactly(kind: type, words: str) -> Check:
    def check(value: Any, where: str) -> Any:
        if type(value) is not kind:
            raise Unfit(f"{where}: expected {words}, got {named(value)}")
        return value

    return check


def _float(value: Any, where: str) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise Unfit(f"{where}: expected a number, got {named(value)}")
    try:
        return float(value)
    except OverflowError:
        raise Unfit(f"{where}: expected a number that fits a float") from None


def _any(value: Any, where: str) -> Any:
    return value


SIMPLE: Final[dict[Any, Kind]] = {
    bool: Kind({"type": "boolean"}, _exactly(bool, "true or false")),
    int: Kind({"type": "integer"}, _exactly(int, "a whole number")),
    float: Kind({"type": "number"}, _float),
    str: Kind({"type": "string"}, _exactly(str, "a string")),
    bytes: Kind({"type": "string", "contentEncoding": "base64"}, _exactly(bytes, "bytes")),
    type(None): Kind({"type": "null"}, _exactly(type(None), "null")),
    None: Kind({"type": "null"}, _exactly(type(None), "null")),
    Any: Kind({}, _any),
    object: Kind({}, _any),
    list: Kind({"type": "array"}, _exactly(list, "an array")),
    dict: Kind({"type": "object"}, _exactly(dict, "an object")),
}
NAMES: Final = {
    type(None): "null",
    bool: "a truth value",
    int: "a whole number",
    float: "a number",
    str: "a string",
    bytes: "bytes",
    list: "an array",
    dict: "an object",
}


def named(value: Any) -> str:
    """What a guest's value is, in words."""
    return NAMES.get(type(value), "something else")


def kind_of(hint: Any, where: str) -> Kind:
    """The type behind an annotation.

    Raises:
        TypeError: a guest has no such values.
    """
    if hint is typing.Any:
        hint = object
    simple = SIMPLE.get(hint) if isinstance(hint, (type, type(None))) else None
    if simple is not None:
        return simple
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and len(args) == 1:
        return _array(kind_of(args[0], where), list)
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        return _array(kind_of(args[0], where), tuple)
    if origin is dict and len(args) == 2 and args[0] is str:
        return _object(kind_of(args[1], where))
    if origin is typing.Literal:
        return _literal(args, where)
    if origin in (typing.Union, types.UnionType):
        return _union([kind_of(arg, where) for arg in args])
    if origin is typing.Annotated:
        return kind_of(args[0], where)
    raise TypeError(
        f"{where}: guests have no values of the type {hint!r:.80}; they have bool, int, float, str, bytes, None, "
        "list[…], tuple[…, ...], dict[str, …], Literal, unions of these, and Any"
    )


def _array(item: Kind, into: type) -> Kind:
    def check(value: Any, where: str) -> Any:
        if type(value) is not list:
            raise Unfit(f"{where}: expected an array, got {named(value)}")
        return into([item.check(one, where) for one in value])

    return Kind({"type": "array", "items": item.schema}, check)


def _object(item: Kind) -> Kind:
    def check(value: Any, where: str) -> Any:
        if type(value) is not dict:
            raise Unfit(f"{where}: expected an object, got {named(value)}")
        return {key: item.check(one, where) for key, one in value.items()}

    return Kind({"type": "object", "additionalProperties": item.schema}, check)


def _literal(choices: tuple[Any, ...], where: str) -> Kind:
    if any(type(choice) not in (str, int, bool, type(None)) for choice in choices):
        raise TypeError(f"{where}: a Literal for guests has strings, whole numbers, truth values and None")
    known = {(type(choice), choice): choice for choice in choices}

    def check(value: Any, where: str) -> Any:
        if type(value) not in (str, int, bool, type(None)) or (type(value), value) not in known:
            raise Unfit(f"{where}: expected one of {', '.join(map(repr, choices))}")
        return value

    return Kind({"enum": list(choices)}, check)


def _union(members: list[Kind]) -> Kind:
    def check(value: Any, where: str) -> Any:
        reasons = []
        for member in members:
            try:
                return member.check(value, where)
            except Unfit as error:
                reasons.append(str(error).removeprefix(f"{where}: expected ").partition(", got ")[0])
        raise Unfit(f"{where}: expected {' or '.join(reasons)}, got {named(value)}")

    # What is a whole number is no float where both would do.
    members.sort(key=lambda member: member.check is _float)
    return Kind({"anyOf": [member.schema for member in members]}, check)
