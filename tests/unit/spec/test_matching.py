"""Import matching: sizes, mutability, and subtyping where nothing can be written through."""

from __future__ import annotations

import pytest

from stratavm.spec.matching import describe, extern_kind, extern_matches, value_matches
from stratavm.spec.types import (
    ANY,
    ARRAY,
    ARRAY_ID,
    EQ,
    EXN,
    EXTERN,
    EXTERNREF,
    FUNC,
    FUNCREF,
    I31,
    I32,
    I64,
    NOEXN,
    NOEXTERN,
    NOFUNC,
    NONE,
    RESOLVED,
    STRUCT,
    STRUCT_ID,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    TableType,
    TagType,
    holds_handles,
    holds_objects,
    ref,
)

TYPED = ref(RESOLVED + 3, nullable=False)


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


FUNCTION, STRUCTURE, SEQUENCE = RESOLVED + 3, RESOLVED + (STRUCT_ID | 4), RESOLVED + (ARRAY_ID | 5)
BELOW = {
    ANY: {EQ, I31, STRUCT, ARRAY, NONE, STRUCTURE, SEQUENCE},
    EQ: {I31, STRUCT, ARRAY, NONE, STRUCTURE, SEQUENCE},
    I31: {NONE},
    STRUCT: {NONE, STRUCTURE},
    ARRAY: {NONE, SEQUENCE},
    STRUCTURE: {NONE},
    SEQUENCE: {NONE},
    FUNC: {NOFUNC, FUNCTION},
    FUNCTION: {NOFUNC},
    EXTERN: {NOEXTERN},
    EXN: {NOEXN},
}
"""Below each heap type, itself aside."""
HEAPS = sorted({*BELOW, NONE, NOFUNC, NOEXTERN, NOEXN})


@pytest.mark.parametrize("wanted", HEAPS)
def test_references_match_upwards_in_their_hierarchy(wanted):
    """All pairs of heap types, and a null where none is wanted."""
    for found in HEAPS:
        fits = found == wanted or found in BELOW.get(wanted, ())
        assert value_matches(ref(found), ref(wanted)) is fits, (found, wanted)
        assert value_matches(ref(found, False), ref(wanted)) is fits
        assert not value_matches(ref(found), ref(wanted, False))


def test_defined_types_match_as_the_engine_says():
    """It knows which of them is declared below which."""
    deeper = RESOLVED + (STRUCT_ID | 9)
    assert not value_matches(ref(deeper), ref(STRUCTURE))
    assert value_matches(ref(deeper), ref(STRUCTURE), lambda a, b: (a, b) == (STRUCT_ID | 9, STRUCT_ID | 4))
    below = (GlobalType(ref(deeper)), GlobalType(ref(STRUCTURE)))
    assert extern_matches(*below, lambda a, b: True)
    assert not extern_matches(*below)


def test_what_holds_what():
    """Handles are of objects, of exceptions and of what came from outside; functions have addresses."""
    objects = {h for h in HEAPS if holds_objects(ref(h))}
    assert objects == {ANY, EQ, I31, STRUCT, ARRAY, NONE, STRUCTURE, SEQUENCE}
    assert {h for h in HEAPS if holds_handles(ref(h))} == objects | {EXTERN, NOEXTERN, EXN, NOEXN}
    assert not holds_handles(I32)
