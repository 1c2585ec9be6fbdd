"""Whether an external value may be imported where a type is wanted.

Owns import matching for tables, memories and globals; types that values name are canonical ids here, and functions are
matched by theirs elsewhere.
Source: WebAssembly 3.0, sections 3.3.3 (reference types) and 3.3.12 (external types).
"""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.forms import TypeAlias
from stratavm.spec.types import (
    ABOVE,
    FUNC,
    NOFUNC,
    NONE,
    REF_NULL,
    RESOLVED,
    ExternType,
    FuncType,
    GlobalType,
    HeapType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    ValType,
    abstract_of,
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


Below: TypeAlias = Callable[[int, int], bool]
"""Whether the type with a canonical id is that with another one, or below it."""


def value_matches(found: ValType, wanted: ValType, below: Below = int.__eq__) -> bool:
    """Subtyping of value types as they are outside of modules."""
    if found == wanted:
        return True
    if not (is_ref(found) and is_ref(wanted)) or (kind(found) == REF_NULL and kind(wanted) != REF_NULL):
        return False
    return heap_matches(heap(found), heap(wanted), below)


def heap_matches(found: HeapType, wanted: HeapType, below: Below) -> bool:
    """The same for heap types."""
    if found == wanted:
        return True
    if wanted >= RESOLVED:
        if found >= RESOLVED:
            return below(found - RESOLVED, wanted - RESOLVED)
        return found == (NOFUNC if abstract_of(wanted) == FUNC else NONE)
    nearest = abstract_of(found)
    return wanted == nearest or wanted in ABOVE.get(nearest, ())


def extern_matches(found: ExternType, wanted: ExternType, below: Below = int.__eq__) -> bool:
    """Whether a value of the found type satisfies an import of the wanted type."""
    if isinstance(found, TableType) and isinstance(wanted, TableType):
        return found.element == wanted.element and limits_match(found.limits, wanted.limits)
    if isinstance(found, MemoryType) and isinstance(wanted, MemoryType):
        return found.page_shift == wanted.page_shift and limits_match(found.limits, wanted.limits)
    if isinstance(found, GlobalType) and isinstance(wanted, GlobalType):
        immutable = not (found.mutable or wanted.mutable)  # a variable may be written through either type
        return found == wanted or (immutable and value_matches(found.value, wanted.value, below))
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
