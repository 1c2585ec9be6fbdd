"""How often functions of a module were called at level 0, and found there by ticks, summed over starts, as an entry of
the cache.

A program that ends before anything in it is hot never has code of level 1, however often it is started: here its calls
add up, and what its next starts would gain is weighed against what compiling takes once (ADR-0037). The entry is
believed as all of the cache; its numbers are checked nevertheless.
"""

from __future__ import annotations

from _collections_abc import Callable, Iterable, Mapping

from stratavm.base.forms import Final, dataclass, field
from stratavm.base.importing import struct

FORM: Final = 2
HEAD: Final = struct.Struct("<III")
"""Form, starts, rows."""
ROW: Final = struct.Struct("<III")
"""Index of a function, calls, ticks; rows are in the order of indices."""
MOST_ROWS: Final = 4096
"""Functions that are kept: those that ran most."""
LEAST_CALLS: Final = 128
"""Calls of one start that count: fewer are not seen for sure."""
MOST_CALLS: Final = (1 << 32) - 1
MOST_STARTS: Final = 5
"""Starts that are summed: what is not worth it by then is left to the tier, and nothing is written any more."""
FIRST_STARTS: Final = 2
"""After so many what is hot is asked for from the first instance on; a second start, which may be the last one, and of
whose length the first one says nothing, for that compiled, is asked to be long itself."""
CALL_NS: Final = 0.03
"""Nanoseconds that a call may gain by level 1 for each byte of the body, of which it runs ``CALL_BYTES`` at most."""
CALL_BYTES: Final = 1024
TICK_NS: Final = 500_000
"""What may be gained for each tick that found a function: a tenth of the time between two."""
COST_NS: Final = 300
"""What level 1 takes for each byte of a body, beside a program that runs."""
BEGIN_NS: Final = 10_000_000
"""What it takes to begin: a program waits for the passes, and shares its caches and a processor with a thread."""
STARTS_TO_COME: Final = 16
"""Starts that have something from what is compiled now, since code is kept."""


@dataclass(frozen=True, slots=True)
class KeptProfile:
    """Calls and ticks by index of the function, of so many starts."""

    starts: int = 0
    seen: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    def hot(self, size_of: Callable[[int], int], is_done: Callable[[int], bool]) -> list[int]:
        """The functions that shall be optimised, those first that give most for the compiler's time; none where all
        together are not worth the passes that have to be loaded.

        Args:
            size_of: bytes of a function's body; ``is_done``: it is optimised already, and counts nothing.
        """
        found = []
        worth = 0.0
        for index, (calls, ticks) in self.seen.items():
            size = size_of(index)
            gain = gain_ns(size, calls, ticks) * STARTS_TO_COME / self.starts
            cost = COST_NS * size
            if gain > cost and not is_done(index):
                found.append((-gain / cost if cost else 0.0, index))
                worth += gain - cost
        return [index for _, index in sorted(found)] if worth >= BEGIN_NS else []

    def having(self, seen: Iterable[tuple[int, int, int]]) -> KeptProfile:
        """This one with the calls and ticks of another start."""
        sums = dict(self.seen)
        for index, calls, ticks in seen:
            before = sums.get(index, (0, 0))
            sums[index] = min(before[0] + calls, MOST_CALLS), min(before[1] + ticks, MOST_CALLS)
        most = sorted(sums, key=lambda i: (-gain_ns(CALL_BYTES, *sums[i]), i))[:MOST_ROWS]
        return KeptProfile(self.starts + 1, {i: sums[i] for i in sorted(most)})

    def pack(self) -> bytes:
        """As ``unpack`` takes it."""
        rows = b"".join(ROW.pack(i, *row) for i, row in self.seen.items())
        return HEAD.pack(FORM, self.starts, len(self.seen)) + rows


def gain_ns(size: int, calls: int, ticks: int) -> float:
    """What a function of level 0 may gain by level 1 that is called and found by ticks so often."""
    return max(calls * min(size, CALL_BYTES) * CALL_NS, float(ticks * TICK_NS))


def unpack(data: bytes, behind: int, first: int = 0) -> KeptProfile:
    """What was kept of a module whose own functions have indices from ``first`` on and below ``behind``; of the last
    start no rows, which nobody wants.

    Raises:
        ValueError: it is something else.
    """
    if len(data) < HEAD.size:
        raise ValueError("a profile that ends early")
    form, starts, count = HEAD.unpack_from(data)
    if form != FORM or count > MOST_ROWS or not 0 < starts <= MOST_STARTS or len(data) != HEAD.size + count * ROW.size:
        raise ValueError("a profile of another form")
    seen: dict[int, tuple[int, int]] = {}
    if starts == MOST_STARTS:
        return KeptProfile(starts)
    last = first - 1
    for index, calls, ticks in ROW.iter_unpack(data[HEAD.size :]):
        if not last < index < behind:
            raise ValueError("a profile of another module")
        seen[index] = calls, ticks
        last = index
    return KeptProfile(starts, seen)
