"""Which edges leave a node: what passes, verifier and printer ask in one place."""

import pytest

from stratavm.ir.ssa import FIRST_TERMINATOR, IR_OPS, LAST_TERMINATOR, NOTHING, edges_out
from stratavm.spec.index import BY_ID

CASES = {
    "br": ((NOTHING, NOTHING, 7), [7]),
    "br_if": ((1, 9, 4), [9, 4]),
    "invoke": ((1, 5, 6), [5, 6]),
    "br_table": ((1, 3, 4), [3, 4, 5, 6]),
    "return": ((NOTHING, 3, 2), []),
    "trap": ((NOTHING, NOTHING, 1), []),
}


@pytest.mark.parametrize("name", CASES)
def test_edges_stand_where_the_form_says(name):
    """In the order in which they are written; a branch's that is taken first comes first."""
    fields, expected = CASES[name]
    assert list(edges_out((IR_OPS[name], 0, 0, *fields))) == expected


def test_every_terminator_is_known_here_and_nothing_else_has_edges():
    """A new one needs a case above; a tail call is a row, and leads nowhere."""
    terminators = {name for name, op in IR_OPS.items() if FIRST_TERMINATOR <= op <= LAST_TERMINATOR}
    assert terminators == CASES.keys()
    others = [op for name, op in IR_OPS.items() if name not in terminators] + list(BY_ID)
    assert [op for op in others if len(edges_out((op, 0, 0, 1, 2, 3)))] == []
