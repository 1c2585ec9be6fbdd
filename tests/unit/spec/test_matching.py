"""Import matching: sizes, mutability, and subtyping where nothing can be written through."""

from __future__ import annotations

import pytest

from stratavm.spec.matching import describe, extern_kind, extern_matches
from stratavm.spec.types import (
    CONCRETE,
    EXTERNREF,
    FUNC,
    FUNCREF,
    I32,
    I64,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    ref,
)

TYPED = ref(CONCRETE + 3, nullable=False)


@pytest.mark.parametrize(
    ("found", "wanted", "fits"),
    [
        (MemoryType(Limits(2)), MemoryType(Limits(1)), True),
        (MemoryType(Limits(1)), MemoryType(Limits(2)), False),
        (MemoryType(Limits(1)), MemoryType(Limits(1, 4)), False),
        (MemoryType(Limits(1, 4)), MemoryType(Limits(1, 4)), True),
        (MemoryType(Limits(1, 5)), MemoryType(Limits(1, 4)), False),
        (MemoryType(Limits(1, is64=True)), MemoryType(Limits(1)), False),
        (MemoryType(Limits(1), page_shift=0), MemoryType(Limits(1)), False),
        (TableType(FUNCREF, Limits(1, 2)), TableType(FUNCREF, Limits(1)), True),
        (TableType(EXTERNREF, Limits(1)), TableType(FUNCREF, Limits(1)), False),
        (TableType(TYPED, Limits(1)), TableType(FUNCREF, Limits(1)), False),
        (GlobalType(I32), GlobalType(I32), True),
        (GlobalType(I32), GlobalType(I64), False),
        (GlobalType(I32, True), GlobalType(I32), False),
        (GlobalType(TYPED), GlobalType(FUNCREF), True),
        (GlobalType(ref(FUNC, nullable=False)), GlobalType(FUNCREF), True),
        (GlobalType(FUNCREF), GlobalType(ref(FUNC, nullable=False)), False),
        (GlobalType(TYPED, True), GlobalType(FUNCREF, True), False),
        (GlobalType(TYPED), GlobalType(EXTERNREF), False),
        (FuncType((I32,)), FuncType((I32,)), True),
        (FuncType((I32,)), FuncType(), False),
        (TagType(FuncType((I32,))), TagType(FuncType()), False),
        (TableType(FUNCREF, Limits(1)), MemoryType(Limits(1)), False),
    ],
)
def test_what_fits(found, wanted, fits):
    """Section 3.3.12, rule by rule; a mutable global and a table are invariant."""
    assert extern_matches(found, wanted) is fits


@pytest.mark.parametrize(
    ("type_", "kind", "text"),
    [
        (MemoryType(Limits(1, 4)), "memory", "memory 1 4"),
        (TableType(EXTERNREF, Limits(3)), "table", "table 3 externref"),
        (GlobalType(I32, True), "global", "global mut i32"),
        (FuncType((I32,), (I64,)), "func", "func [i32] -> [i64]"),
        (TagType(FuncType((I32,))), "tag", "tag (i32)"),
    ],
)
def test_a_type_is_described_in_a_few_words(type_, kind, text):
    """Kind first."""
    assert (extern_kind(type_), describe(type_)) == (kind, text)
