"""Extern types as people read them."""

from __future__ import annotations

from typing import Final

from stratavm.base.words import did_you_mean
from stratavm.engine.values import signature
from stratavm.spec.types import (
    EXTERNREF,
    F32,
    F64,
    FUNCREF,
    I32,
    I64,
    V128,
    ExternType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    ValType,
    type_name,
)

BY_NAME: Final[dict[str, ValType]] = {type_name(t): t for t in (I32, I64, F32, F64, V128, FUNCREF, EXTERNREF)}
"""Types of values that Python can give."""


def value_type(given: int | str, *, reference: bool = False) -> ValType:
    """A value type by its constant or its name; only reference types where ``reference`` is wanted.

    Raises:
        ValueError: there is no such type, or Python cannot give its values.
    """
    allowed = {name: t for name, t in BY_NAME.items() if not reference or t in (FUNCREF, EXTERNREF)}
    found = allowed.get(given) if isinstance(given, str) else given
    if found is not None and found in allowed.values():
        return found
    near = did_you_mean(given, allowed) if isinstance(given, str) else ""
    raise ValueError(f"{given!r} is no type here; {near or 'types: ' + ', '.join(allowed)}")


def describe_extern(type_: ExternType) -> str:
    """``(i32, i32) -> i64``, ``memory 1..16 pages``, ``table 2.. funcref``, ``mut i32``."""
    if isinstance(type_, FuncType):
        return signature("", type_)
    if isinstance(type_, MemoryType):
        return f"memory {_limits(type_.limits)} pages"
    if isinstance(type_, TableType):
        return f"table {_limits(type_.limits)} {type_name(type_.element)}"
    if isinstance(type_, GlobalType):
        return f"{'mut ' if type_.mutable else ''}{type_name(type_.value)}"
    return f"tag {signature('', type_.type)}"


def _limits(limits: Limits) -> str:
    return f"{limits.minimum}..{'' if limits.maximum is None else limits.maximum}"
