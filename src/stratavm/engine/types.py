"""Extern types as people read them."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING
from stratavm.base.words import counted
from stratavm.runtime.typenames import Told, spelled_in
from stratavm.runtime.values import signature
from stratavm.spec.types import (
    ExternType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    names_types,
    type_name,
    with_values,
)

if TYPE_CHECKING:
    from stratavm.module.model import Module


def describe_extern(type_: ExternType, module: Module | None = None) -> str:
    """``(i32, i32) -> i64``, ``memory 1..16 pages``, ``table 2.. funcref``, ``mut i32``. Types of the module by name,
    if they have one."""
    if module is not None and names_types(type_):
        type_ = with_values(type_, lambda t: Told.of(t, lambda plain: spelled_in(plain, module)))
    if isinstance(type_, FuncType):
        return signature("", type_)
    if isinstance(type_, MemoryType):
        size = " pages" if type_.page_shift == 16 else f" pages of {counted(1 << type_.page_shift, 'byte')}"
        return f"memory {_limits(type_.limits)}{size}{' shared' if type_.limits.shared else ''}"
    if isinstance(type_, TableType):
        return f"table {_limits(type_.limits)} {type_name(type_.element)}"
    if isinstance(type_, GlobalType):
        return f"{'mut ' if type_.mutable else ''}{type_name(type_.value)}"
    return f"tag {signature('', type_.type)}"


def _limits(limits: Limits) -> str:
    wide = "i64 " if limits.is64 else ""
    return f"{wide}{limits.minimum}..{'' if limits.maximum is None else limits.maximum}"
