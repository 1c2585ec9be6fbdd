"""Look-ups over all rows: by stable id, by opcode, by mnemonic, by spelling. Owns no knowledge of its own.

The id of a row is its position in order of (prefix, code, mnemonic): what generated enums (``OP_I32_ADD``) hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import stratavm.spec.ops  # noqa: F401  fills ROWS
from stratavm.spec.record import ROWS, Row

BY_ID: Final[tuple[Row, ...]] = tuple(sorted(ROWS.values(), key=lambda r: (r.prefix, r.code, r.mnemonic)))
"""Every row by id."""

IDS: Final[Mapping[str, int]] = {row.mnemonic: i for i, row in enumerate(BY_ID)}
"""Id by mnemonic."""

BY_CODE: Final[Mapping[tuple[int, int], Row]] = {(row.prefix, row.code): row for row in BY_ID}
"""Row by (prefix, code)."""

BY_MNEMONIC: Final[Mapping[str, Row]] = {row.mnemonic: row for row in BY_ID}
"""Row by mnemonic (unique: the typed select is ``select_t``)."""

PREFIXES: Final[frozenset[int]] = frozenset(row.prefix for row in BY_ID if row.prefix)
"""First bytes that announce a LEB128 sub-opcode."""


def _by_spelling() -> dict[str, tuple[Row, ...]]:
    spellings: dict[str, tuple[Row, ...]] = {}
    for row in BY_ID:
        spellings[row.spelling] = (*spellings.get(row.spelling, ()), row)
    return spellings


BY_SPELLING: Final[Mapping[str, tuple[Row, ...]]] = _by_spelling()
"""Rows by their text: two for ``select``, ``ref.test``, ``ref.cast``; the parser chooses by what follows."""


def row_id(row: Row) -> int:
    """The stable id of a row."""
    return IDS[row.mnemonic]
