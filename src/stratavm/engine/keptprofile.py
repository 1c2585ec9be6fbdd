"""What functions of a module were called at level 0, summed over starts, as an entry of the cache.

A program that ends before anything in it is hot never has code of level 1, however often it is started: here its calls
add up. The entry is believed as all of the cache; its numbers are checked nevertheless.
"""

from __future__ import annotations

from _collections_abc import Iterable, Mapping

from stratavm.base.forms import Final, dataclass, field
from stratavm.base.importing import struct

FORM: Final = 1
HEAD: Final = struct.Struct("<III")
"""Form, starts, rows."""
ROW: Final = struct.Struct("<II")
"""Index of a function, calls; rows are in the order of indices."""
MOST_ROWS: Final = 4096
"""Functions that are kept: those that were called most."""
LEAST_CALLS: Final = 128
"""Calls of one start that count: fewer are not seen for sure."""
MOST_CALLS: Final = (1 << 32) - 1
HOT_CALLS: Final = 5000
"""Calls, of all starts together, that make a function hot: a quarter of what the tier asks of one start (ADR-0037)."""
MOST_STARTS: Final = 16
"""Starts that are summed: what is not hot by then is left to the tier, and nothing is written any more."""


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """Calls by index of the function, of so many starts."""

    starts: int = 0
    calls: Mapping[int, int] = field(default_factory=dict)

    def hot(self) -> list[int]:
        """The functions that are hot, those first that were called most."""
        return sorted((i for i, n in self.calls.items() if n >= HOT_CALLS), key=lambda i: (-self.calls[i], i))

    def having(self, seen: Iterable[tuple[int, int]]) -> KeptProfile:
        """This one with the calls of another start."""
        calls = dict(self.calls)
        for index, count in seen:
            calls[index] = min(calls.get(index, 0) + count, MOST_CALLS)
        most = sorted(calls, key=lambda i: (-calls[i], i))[:MOST_ROWS]
        return KeptProfile(self.starts + 1, {i: calls[i] for i in sorted(most)})

    def pack(self) -> bytes:
        """As ``unpack`` takes it."""
        rows = b"".join(ROW.pack(*row) for row in self.calls.items())
        return HEAD.pack(FORM, self.starts, len(self.calls)) + rows


def unpack(data: bytes, behind: int) -> KeptProfile:
    """What was kept of a module whose functions have indices below ``behind``.

    Raises:
        ValueError: it is something else.
    """
    if len(data) < HEAD.size:
        raise ValueError("a profile that ends early")
    form, starts, count = HEAD.unpack_from(data)
    if form != FORM or count > MOST_ROWS or not 0 < starts <= MOST_STARTS or len(data) != HEAD.size + count * ROW.size:
        raise ValueError("a profile of another form")
    calls: dict[int, int] = {}
    last = -1
    for index, n in ROW.iter_unpack(data[HEAD.size :]):
        if not last < index < behind:
            raise ValueError("a profile of another module")
        calls[index] = n
        last = index
    return KeptProfile(starts, calls)
