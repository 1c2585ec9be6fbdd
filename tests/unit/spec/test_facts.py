"""What rows say about each other and about their results, proved on their semantic functions for all operands."""

from __future__ import annotations

import pytest

from stratavm.spec.declare import Declared
from stratavm.spec.domain import LETTER_TYPES, WIDTHS, bound_type
from stratavm.spec.ops import BY_ID, BY_MNEMONIC
from tests import needed
from tests.unit.ir.terms import Terms
from tests.unit.spec.test_proved import prove

z3 = needed.module("z3")

SWAPPED = str.maketrans("iI", "Ii")


def naming(fact: str) -> list[Declared]:
    """The rows that state a fact."""
    found = [row for row in BY_ID.values() if getattr(row, fact)]
    assert found, fact
    return found


def operands(row: Declared) -> list[z3.BitVecRef]:
    """A variable for each operand."""
    return [z3.BitVec(name, WIDTHS[LETTER_TYPES[letter]]) for name, letter in zip("abc", row.operands, strict=False)]


def result(row: Declared, *values: z3.BitVecRef) -> z3.BitVecRef:
    """What a row computes; of a lane, the second."""
    assert row.semantics is not None, row
    return row.semantics(Terms(bound_type(row)), *values, *([1] * len(row.imms)))


@pytest.mark.parametrize("row", naming("negation"), ids=lambda row: row.mnemonic)
def test_a_negation_is_one_where_the_row_is_zero(row):
    """For all operands; the negation's negation is the row."""
    other, (a, b) = BY_MNEMONIC[row.negation], operands(row)
    prove(result(other, a, b) == 1 - result(row, a, b))
    assert other.negation == row.mnemonic


@pytest.mark.parametrize("row", naming("mirror"), ids=lambda row: row.mnemonic)
def test_a_mirror_is_the_row_with_its_operands_exchanged(row):
    """For all operands."""
    a, b = operands(row)
    prove(result(BY_MNEMONIC[row.mirror], b, a) == result(row, a, b))
    assert not row.commutes


@pytest.mark.parametrize("row", naming("commutes"), ids=lambda row: row.mnemonic)
def test_operands_of_what_commutes_may_be_exchanged(row):
    """For all operands."""
    a, b = operands(row)
    prove(result(row, b, a) == result(row, a, b))


@pytest.mark.parametrize("row", naming("negation"), ids=lambda row: row.mnemonic)
def test_a_comparison_is_reflexive_or_never_holds_between_equals(row):
    """What has a negation says which: one half of the pairs is reflexive."""
    a, _ = operands(row)
    prove(result(row, a, a) == int(row.reflexive))
    assert row.kind == "compare"


@pytest.mark.parametrize("row", naming("twin"), ids=lambda row: row.mnemonic)
def test_a_twin_is_the_same_function_over_the_other_width(row):
    """One definition, declared for both; what a row says of itself, its twin says too."""
    twin = BY_MNEMONIC[row.twin]
    assert twin.semantics is row.semantics
    assert twin.twin == row.mnemonic
    assert twin.operands == row.operands.translate(SWAPPED)
    assert (twin.results == row.results) == (row.kind == "compare")
    assert (twin.kind, twin.commutes, twin.reflexive) == (row.kind, row.commutes, row.reflexive)
    for fact in ("negation", "mirror"):
        named = getattr(row, fact)
        assert getattr(twin, fact) == (BY_MNEMONIC[named].twin if named else "")


def test_every_integer_operation_of_both_widths_names_its_twin():
    """A row without one is over one width only, or extends from a width that the other does not have."""
    alone = {
        row.mnemonic for row in BY_ID.values() if row.semantics and set(row.signature) <= set("iI->") and not row.twin
    }
    extensions = {name for name in BY_MNEMONIC if ".extend" in name and name[0] == "i" and "x" not in name[:5]}
    wide = {row.mnemonic for row in BY_ID.values() if row.feature == "wide-arithmetic"}
    assert alone == extensions | wide | {"i32.wrap_i64"}


@pytest.mark.parametrize("row", naming("bits"), ids=lambda row: row.mnemonic)
def test_bits_above_those_of_a_result_are_zero(row):
    """For all operands; counts of bits are below 2**7 by the definition of the terms."""
    value = result(row, *operands(row))
    prove(z3.LShR(value, row.bits) == 0)


@pytest.mark.parametrize("row", naming("extends"), ids=lambda row: row.mnemonic)
def test_an_extension_repeats_the_sign_of_its_low_bits(row):
    """For all operands."""
    value = result(row, *operands(row))
    prove(value == z3.SignExt(value.size() - row.extends, z3.Extract(row.extends - 1, 0, value)))


def test_comparisons_give_one_or_zero():
    """Over integers proved; floats have no terms here, and ``bool_`` is the last thing that they do."""
    compared = [row for row in naming("kind") if row.kind == "compare"]
    for row in compared:
        assert row.results == "i", row
        if row.operands[0] in "iI":
            prove(z3.ULE(result(row, *operands(row)), 1))
    assert len(compared) == 34


def test_what_a_store_names_loads_what_it_left():
    """The same type and as many bytes, so that nothing is cut or extended."""
    for row in naming("reload"):
        load = BY_MNEMONIC[row.reload]
        assert row.access is not None
        assert load.access is not None
        assert row.access.store
        assert not load.access.store
        assert row.access.bytes == load.access.bytes == WIDTHS[LETTER_TYPES[load.results]] // 8
        assert row.operands[1:] == load.results
