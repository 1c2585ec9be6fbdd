"""How opcodes are numbered, and what bulk operations cost: what runs need to know of rows without any row.

The id of a row is its code behind the first id of its prefix: it stays when rows come and go. Generated enums
(``OP_I32_ADD``) hold ids, and tables by id have ``N_IDS`` places, some of them empty.
"""

from __future__ import annotations

from _collections_abc import Mapping

from stratavm.base.forms import Final

BULK_FUEL_SHIFT: Final = 3
"""Bulk operations on memories cost one unit per ``1 << BULK_FUEL_SHIFT`` bytes, those on tables one per element."""

ID_RANGES: Final[Mapping[int, range]] = {
    0x00: range(0x100),
    0xFB: range(0x100, 0x140),
    0xFC: range(0x140, 0x180),
    0xFE: range(0x180, 0x200),
    0xFD: range(0x200, 0x400),
}
"""Ids by prefix, 0 for the opcodes of one byte."""
N_IDS: Final = max(ids.stop for ids in ID_RANGES.values())
PREFIXES: Final = frozenset(ID_RANGES) - {0}
"""First bytes that announce a LEB128 sub-opcode."""
NO_ID: Final = 0xFE
"""An id that is no row's, ever: of a prefix as if it were an opcode."""
