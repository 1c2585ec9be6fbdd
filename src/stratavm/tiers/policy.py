"""Whether a function is compiled again at level 1, and when the question comes up again: numbers in, a decision out."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Final, Protocol, dataclass
from stratavm.base.importing import importing

if TYPE_CHECKING:
    from stratavm.tiers.decision import Decision, Seen

NEVER: Final = 0xFFFFFFFF
"""``Decision.ask_at`` of a function that is not asked about again (``NEVER_AGAIN`` of ``CodeTable``)."""
MOST_CALLS: Final = NEVER - 1
"""The most calls that are counted of a function."""
MOST_BYTES: Final = 1 << 32
"""No body is as long."""
PERIOD: Final = 512
"""Calls between two that are seen, on average, where calls are sampled."""
CALLS_BESIDE: Final = 20_000
"""Calls after which a function is compiled again beside its program, by a thread that compiles as well what will be
called next, and that somebody pays for."""
CALLS: Final = 50_000
"""Calls after which a function is compiled again while its program waits: that takes some microseconds for each byte of
it, and a call may gain a tenth of a nanosecond for each."""
CALL_BYTES: Final = 1024
"""Bytes of a body that one call runs, at most: a longer one has to be called more often by as much."""
TICK_BYTES: Final = 256
"""Bytes of a body for which one tick is enough: a tick is five milliseconds, of which a quarter might be saved."""
TICK_BYTES_BESIDE: Final = 512
"""The same beside the program."""
YOUNG_TICKS: Final = 30
"""A program of which ticks have found so few functions may be about to end: it would load the passes and make code that
pays for nothing. What two ticks have found in one function, half of all at least, is worth it."""
MOST_WAITING: Final = 64
"""Functions that wait for a thread at once: what is asked for behind them was hot long ago when its turn comes."""


class Policy(Protocol):
    """Decides for all functions of an engine; an embedder may give another one.

    Attributes:
        calls: calls at which it is asked about a function for the first time; 0: before the first call.
        period: calls between two that are seen, on average, 1 to 1024; 1 sees them all.
        ticks: whether it is asked about functions that a tick finds.
        counts_alone: whether functions count their calls where no thread compiles beside the program; where they do
            not, it is asked about what ticks find.
        polls: of a loop at level 0, after which it goes on at level 1, as often as that is possible: for tests. 0:
            where a tick finds it, and its function was lifted.
    """

    @property
    def calls(self) -> int:
        """Calls at which it is asked for the first time."""

    @property
    def period(self) -> int:
        """Calls between two that are seen."""

    @property
    def ticks(self) -> bool:
        """Whether ticks count."""

    @property
    def counts_alone(self) -> bool:
        """Whether calls are counted where no thread compiles beside the program."""

    @property
    def polls(self) -> int:
        """Polls after which a loop goes on at level 1."""

    def decide(self, seen: Seen) -> Decision:
        """What to do with a function. Does nothing, and depends on nothing but its argument."""
        ...


@dataclass(frozen=True, slots=True)
class Thresholds:
    """After ``calls`` beside the program, ``calls_waited`` where it waits, times what of the body is beyond
    ``call_bytes``; or one tick for each ``tick_bytes_beside`` of it, or ``tick_bytes``. Of the first ``young_ticks``
    two are wanted, and half of all; calls do nothing before those unless ``young_calls``. Later where ``most_waiting``
    functions wait already."""

    calls: int = CALLS_BESIDE
    period: int = PERIOD
    ticks: bool = True
    most_waiting: int = MOST_WAITING
    calls_waited: int = CALLS
    tick_bytes: int = TICK_BYTES
    call_bytes: int = CALL_BYTES
    tick_bytes_beside: int = TICK_BYTES_BESIDE
    young_ticks: int = YOUNG_TICKS
    polls: int = 0
    counts_alone: bool = True
    young_calls: bool = True

    def is_young(self, all_ticks: int) -> bool:
        """Whether a program may be about to end. Where no ticks come nobody knows."""
        return self.ticks and all_ticks < self.young_ticks

    def is_stray(self, ticks: int, all_ticks: int) -> bool:
        """Whether ticks have found a function too seldom for a young program: it may be done with it."""
        return self.is_young(all_ticks) and (ticks <= 1 or 2 * ticks < all_ticks)

    def young_until(self, part: int = 1) -> tuple[int, int]:
        """Ticks, and calls of a function, from which on ``is_chance`` may be False whatever else is seen; ``part``:
        where a program is young for that part of the ticks. 0 ticks: from the first call on."""
        ticks = -(-self.young_ticks // part) if self.ticks else 0
        return min(ticks, NEVER), min(self.calls, self.calls_waited) if self.young_calls else NEVER

    def is_chance(self, calls: int, ticks: int, all_ticks: int, size: int) -> bool:
        """Whether ``decide`` finds nothing to do for what was seen in a young program, whoever compiles: it need not be
        asked. The numbers are those of ``Seen``."""
        if not self.is_young(all_ticks) or (self.young_calls and calls >= min(self.calls, self.calls_waited)):
            return False
        return self.is_stray(ticks, all_ticks) or ticks * max(self.tick_bytes, self.tick_bytes_beside) < size

    @staticmethod
    def again(calls: int, least: int) -> int:
        """When it is asked about a function again that was called so often, of those that are called often enough."""
        return min(max(2 * calls, least, 1), MOST_CALLS)

    def decide(self, seen: Seen) -> Decision:
        """What to do with a function."""
        with importing:
            from stratavm.tiers.decision import Decision

        calls = self.calls if seen.beside else self.calls_waited
        again = self.again(seen.calls, calls)
        tick_bytes = self.tick_bytes_beside if seen.beside else self.tick_bytes
        is_young = self.is_young(seen.all_ticks)
        is_stray = self.is_stray(seen.ticks, seen.all_ticks)
        if self.ticks and seen.ticks and not is_stray and seen.ticks * tick_bytes >= seen.size:
            return Decision(True, True, again, "ticks")
        if seen.calls < calls * max(1, seen.size // self.call_bytes):
            return Decision(False, False, again, "few")
        if is_young and not self.young_calls:
            return Decision(False, False, again, "young")
        if seen.waiting >= self.most_waiting:
            return Decision(False, False, again, "full")
        return Decision(True, False, again, "calls")


DEFAULT_POLICY: Final = Thresholds(counts_alone=False, young_calls=False)
"""Where the program waits for the compiler, ticks alone say what runs much: counting costs as much as that may gain."""


def policy_of(after: int | None) -> Thresholds:
    """The policy of an engine: after exactly ``after`` calls, or (None) by what it costs."""
    return DEFAULT_POLICY if after is None else Thresholds(after, 1, False, MOST_CALLS, after, call_bytes=MOST_BYTES)
