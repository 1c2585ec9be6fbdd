"""Look-ups over all rows: by stable id, by opcode, by mnemonic, by spelling. Owns no knowledge of its own: the rows are
those of ``spec/ops`` as ``make gen`` wrote them down, so that who reads facts loads no semantic function.
"""

from __future__ import annotations

from _collections_abc import Iterator, Mapping

from stratavm.base.errors import DecodeError
from stratavm.base.forms import Any, Final, TypeVar
from stratavm.base.leb import read_uleb
from stratavm.spec._gen_rows import FACTS
from stratavm.spec.record import PREFIXES, Access, Effects, Row

K = TypeVar("K")

_made: Final[dict[int, Row]] = {}


class Rows(Mapping[K, Row]):
    """Rows by a key that stands for an id. A row is made when it is first asked for: most programs ask for a few."""

    __slots__ = ("_ids",)

    def __init__(self, ids: Mapping[K, int]) -> None:
        self._ids = ids

    def __getitem__(self, key: K) -> Row:
        number = self._ids[key]
        row = _made.get(number)
        if row is None:
            row = _made[number] = _row(*FACTS[number])
        return row

    def __contains__(self, key: object) -> bool:
        return key in self._ids

    def __iter__(self) -> Iterator[K]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def _row(
    mnemonic: str, prefix: int, code: int, access: tuple[Any, ...], effects: tuple[Any, ...], others: tuple[Any, ...]
) -> Row:
    """A row of what was written down; empty tuples stand for what it does not say."""
    named = dict(others)
    if access:
        named["access"] = Access(*access)
    if effects:
        reads, writes, *may = effects
        named["effects"] = Effects(frozenset(reads), frozenset(writes), *may)
    return Row(mnemonic, prefix, code, **named)


IDS: Final[Mapping[str, int]] = {facts[0]: number for number, facts in FACTS.items()}
"""Id by mnemonic."""

BY_ID: Final[Mapping[int, Row]] = Rows({number: number for number in FACTS})
"""Every row by id, in order."""

BY_CODE: Final[Mapping[tuple[int, int], Row]] = Rows({(facts[1], facts[2]): number for number, facts in FACTS.items()})
"""Row by (prefix, code)."""

BY_MNEMONIC: Final[Mapping[str, Row]] = Rows(IDS)
"""Row by mnemonic (unique: the typed select is ``select_t``)."""


def opcode_at(data: bytes, at: int, end: int | None = None) -> tuple[int, int, int]:
    """Prefix and code of the opcode at ``at``, and the position behind it."""
    first, behind = data[at], at + 1
    return (first, *read_uleb(data, behind, 32, end)) if first in PREFIXES else (0, first, behind)


def row_at(data: bytes, at: int, end: int) -> tuple[Row, int]:
    """The row of the opcode at ``at``, and the position behind it."""
    prefix, code, behind = opcode_at(data, at, end)
    row = BY_CODE.get((prefix, code))
    if row is None:
        raise DecodeError(
            f"illegal opcode {prefix:02x} {code:02x}" if prefix else f"illegal opcode {code:02x}", offset=at
        )
    return row, behind


def by_spelling() -> dict[str, tuple[Row, ...]]:
    """Rows by their text: two for ``select``, ``ref.test``, ``ref.cast``; the parser chooses by what follows."""
    spellings: dict[str, tuple[Row, ...]] = {}
    for row in BY_ID.values():
        spellings[row.spelling] = (*spellings.get(row.spelling, ()), row)
    return spellings
