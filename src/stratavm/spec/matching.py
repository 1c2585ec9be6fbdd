"""Whether an external value may be imported where a type is wanted.

Owns import matching for tables, memories and globals; types that values name are canonical ids here, and functions are
matched by theirs elsewhere.
Source: WebAssembly 3.0, sections 3.3.3 (reference types) and 3.3.12 (external types).
"""

from __future__ import annotations

from stratavm.spec.types import (
    CONCRETE,
    FUNC,
    REF_NULL,
    ExternType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    ValType,
    heap,
    is_ref,
    kind,
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


def value_matches(found: ValType, wanted: ValType) -> bool:
    """Subtyping of value types: the same type, or a reference that is not null or of a concrete function type."""
    if found == wanted:
        return True
    if not (is_ref(found) and is_ref(wanted)) or (kind(found) == REF_NULL and kind(wanted) != REF_NULL):
        return False
    return heap(found) == heap(wanted) or (heap(wanted) == FUNC and heap(found) >= CONCRETE)


def extern_matches(found: ExternType, wanted: ExternType) -> bool:
    """Whether a value of the found type satisfies an import of the wanted type."""
    if isinstance(found, TableType) and isinstance(wanted, TableType):
        return found.element == wanted.element and limits_match(found.limits, wanted.limits)
    if isinstance(found, MemoryType) and isinstance(wanted, MemoryType):
        return found.page_shift == wanted.page_shift and limits_match(found.limits, wanted.limits)
    if isinstance(found, GlobalType) and isinstance(wanted, GlobalType):
        immutable = not (found.mutable or wanted.mutable)  # a variable may be written through either type
        return found == wanted or (immutable and value_matches(found.value, wanted.value))
    return found == wanted


def _pages(type_: MemoryType) -> str:
    """What is not plain of a memory."""
    size = "" if type_.page_shift == 16 else f" (pagesize {1 << type_.page_shift})"
    return (" shared" if type_.limits.shared else "") + size


def describe(type_: ExternType) -> str:
    """The type in a few words for an error message."""
    match type_:
        case TableType() | MemoryType():
            most = "" if type_.limits.maximum is None else f" {type_.limits.maximum}"
            wide = "i64 " if type_.limits.is64 else ""
            rest = f" {type_name(type_.element)}" if isinstance(type_, TableType) else _pages(type_)
            return f"{extern_kind(type_)} {wide}{type_.limits.minimum}{most}{rest}"
        case GlobalType():
            return f"global {'mut ' if type_.mutable else ''}{type_name(type_.value)}"
        case TagType():
            return f"tag ({', '.join(map(type_name, type_.type.params))})"
        case _:
            return f"func {type_}"
