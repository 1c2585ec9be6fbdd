"""Look-ups over all rows: by stable id, by opcode, by mnemonic, by spelling. Owns no knowledge of its own: the rows are
those of ``spec/ops`` as ``make gen`` wrote them down, so that who reads facts loads no semantic function.

A program that is right asks for no row at all: what was written down is loaded for the first one.
"""

from __future__ import annotations

from _collections_abc import Callable, Iterator, Mapping

from stratavm.base.errors import DecodeError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, TypeVar
from stratavm.base.importing import cache, importing
from stratavm.base.leb import read_uleb
from stratavm.spec.ids import PREFIXES

if TYPE_CHECKING:
    from stratavm.spec.record import Row

K = TypeVar("K")
V = TypeVar("V")

_made: Final[dict[int, Row]] = {}


@cache
def _facts() -> dict[int, tuple[Any, ...]]:
    """What was written down, by id."""
    with importing:
        from stratavm.spec._gen_rows import FACTS

    return FACTS


class Known(Mapping[K, V]):
    """A value by a key that stands for an id. The ids are found when the first value is asked for."""

    __slots__ = ("_find", "_ids", "_value")

    def __init__(self, find: Callable[[], Mapping[K, int]], value: Callable[[int], V]) -> None:
        self._find, self._value = find, value
        self._ids: Mapping[K, int] | None = None

    def ids(self) -> Mapping[K, int]:
        """Ids by key."""
        if self._ids is None:
            self._ids = self._find()
        return self._ids

    def __getitem__(self, key: K) -> V:
        return self._value(self.ids()[key])

    def __contains__(self, key: object) -> bool:
        return key in self.ids()

    def __iter__(self) -> Iterator[K]:
        return iter(self.ids())

    def __len__(self) -> int:
        return len(self.ids())


def row_of(number: int) -> Row:
    """The row of an id that is one; made when it is first asked for: most programs ask for none."""
    row = _made.get(number)
    if row is None:
        row = _made[number] = _row(*_facts()[number])
    return row


def _row(
    mnemonic: str, prefix: int, code: int, access: tuple[Any, ...], effects: tuple[Any, ...], others: tuple[Any, ...]
) -> Row:
    """A row of what was written down; empty tuples stand for what it does not say."""
    with importing:
        from stratavm.spec.record import Access, Effects, Row

    named = dict(others)
    if access:
        named["access"] = Access(*access)
    if effects:
        reads, writes, *may = effects
        named["effects"] = Effects(frozenset(reads), frozenset(writes), *may)
    return Row(mnemonic, prefix, code, **named)


def _by_mnemonic() -> dict[str, int]:
    return {facts[0]: number for number, facts in _facts().items()}


IDS: Final[Mapping[str, int]] = Known(_by_mnemonic, int)
"""Id by mnemonic."""

BY_ID: Final[Mapping[int, Row]] = Known(lambda: {number: number for number in _facts()}, row_of)
"""Every row by id, in order."""

BY_CODE: Final[Mapping[tuple[int, int], Row]] = Known(
    lambda: {(facts[1], facts[2]): number for number, facts in _facts().items()}, row_of
)
"""Row by (prefix, code)."""

BY_MNEMONIC: Final[Mapping[str, Row]] = Known(_by_mnemonic, row_of)
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
