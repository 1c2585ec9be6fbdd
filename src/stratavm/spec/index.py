"""Look-ups over all rows: by stable id, by opcode, by mnemonic, by spelling. Owns no knowledge of its own.

The id of a row is its code behind the first id of its prefix: it stays when rows come and go. Generated enums
(``OP_I32_ADD``) hold ids, and tables by id have ``N_IDS`` places, some of them empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import stratavm.spec.ops  # noqa: F401  fills ROWS
from stratavm.spec.record import ROWS, Row

ID_RANGES: Final[Mapping[int, range]] = {
    0x00: range(0x100),
    0xFB: range(0x100, 0x140),
    0xFC: range(0x140, 0x180),
    0xFE: range(0x180, 0x200),
    0xFD: range(0x200, 0x400),
}
"""Ids by prefix, 0 for the opcodes of one byte."""
N_IDS: Final = max(ids.stop for ids in ID_RANGES.values())
NO_ID: Final = 0xFE
"""An id that is no row's, ever: of a prefix as if it were an opcode."""


def row_id(row: Row) -> int:
    """The stable id of a row; refuses one that has none."""
    ids = ID_RANGES.get(row.prefix)
    if ids is None:
        raise ValueError(f"{row.mnemonic} has the prefix {row.prefix:#x}, for which spec/index.py reserves no ids")
    if not 0 <= row.code < len(ids):
        raise ValueError(
            f"{row.mnemonic} has code {row.code:#x}, and behind {row.prefix:#x} spec/index.py reserves ids for codes "
            f"below {len(ids):#x} only: give the prefix a larger range"
        )
    return ids.start + row.code


def rows_by_id(rows: Iterable[Row]) -> dict[int, Row]:
    """Rows in order of their ids."""
    return dict(sorted((row_id(row), row) for row in rows))


PREFIXES: Final = frozenset(ID_RANGES) - {0}
"""First bytes that announce a LEB128 sub-opcode."""

BY_ID: Final[Mapping[int, Row]] = rows_by_id(ROWS.values())
"""Every row by id, in order."""

IDS: Final[Mapping[str, int]] = {row.mnemonic: number for number, row in BY_ID.items()}
"""Id by mnemonic."""

BY_CODE: Final[Mapping[tuple[int, int], Row]] = {(row.prefix, row.code): row for row in BY_ID.values()}
"""Row by (prefix, code)."""

BY_MNEMONIC: Final[Mapping[str, Row]] = {row.mnemonic: row for row in BY_ID.values()}
"""Row by mnemonic (unique: the typed select is ``select_t``)."""


def _by_spelling() -> dict[str, tuple[Row, ...]]:
    spellings: dict[str, tuple[Row, ...]] = {}
    for row in BY_ID.values():
        spellings[row.spelling] = (*spellings.get(row.spelling, ()), row)
    return spellings


BY_SPELLING: Final[Mapping[str, tuple[Row, ...]]] = _by_spelling()
"""Rows by their text: two for ``select``, ``ref.test``, ``ref.cast``; the parser chooses by what follows."""
