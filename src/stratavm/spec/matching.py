"""Whether an external value may be imported where a type is wanted. Subtyping of values is equality here.

Source: WebAssembly 3.0, section 3.3.12 (external types), as far as 2.0 needs it.
"""

from __future__ import annotations

from stratavm.spec.types import (
    ExternType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    type_name,
)

_KINDS = {FuncType: "func", TableType: "table", MemoryType: "memory", GlobalType: "global", TagType: "tag"}


def extern_kind(type_: ExternType) -> str:
    """``func``, ``table``, ``memory``, ``global`` or ``tag``."""
    return _KINDS[type(type_)]


def limits_match(found: Limits, wanted: Limits) -> bool:
    """``found.minimum`` is the present size. The found maximum may not exceed the wanted one."""
    if (found.is64, found.shared) != (wanted.is64, wanted.shared) or found.minimum < wanted.minimum:
        return False
    if wanted.maximum is None:
        return True
    return found.maximum is not None and found.maximum <= wanted.maximum


def extern_matches(found: ExternType, wanted: ExternType) -> bool:
    """Whether a value of the found type satisfies an import of the wanted type."""
    if isinstance(found, TableType) and isinstance(wanted, TableType):
        return found.element == wanted.element and limits_match(found.limits, wanted.limits)
    if isinstance(found, MemoryType) and isinstance(wanted, MemoryType):
        return found.page_shift == wanted.page_shift and limits_match(found.limits, wanted.limits)
    return found == wanted


def describe(type_: ExternType) -> str:
    """The type in a few words for an error message."""
    match type_:
        case TableType() | MemoryType():
            most = "" if type_.limits.maximum is None else f" {type_.limits.maximum}"
            return f"{extern_kind(type_)} {type_.limits.minimum}{most}"
        case GlobalType():
            return f"global {'mut ' if type_.mutable else ''}{type_name(type_.value)}"
        case TagType():
            return f"tag {type_.type}"
        case _:
            return f"func {type_}"
