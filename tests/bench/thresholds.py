"""What an issue states about a figure, and whether this run met it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.intervals import Interval, median_interval


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure against its limit.

    Attributes:
        what: the figure, in words.
        figure: what counts.
        interval: 95 % around it, None of too few rounds.
        limit: the most that is allowed, or the least.
        unit: of figure and limit; ratios have none.
        least: whether the limit is the least that is allowed.
    """

    what: str
    figure: float
    interval: Interval | None
    limit: float
    unit: str = ""
    least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is within the limit."""
        return self.figure >= self.limit if self.least else self.figure <= self.limit

    def __str__(self) -> str:
        within = f" ({self.interval[0]:.3f} to {self.interval[1]:.3f})" if self.interval else ""
        side = "at least" if self.least else "at most"
        said = "met" if self.met else "MISSED"
        return f"{self.what}: {self.figure:.3f}{self.unit}{within}, {side} {self.limit}{self.unit}: {said}"


def of_median(what: str, samples: Sequence[float], limit: float, unit: str = "", least: bool = False) -> Verdict:
    """The median of rounds against a limit."""
    return Verdict(what, statistics.median(samples), median_interval(samples), limit, unit, least)


def missed(verdicts: Sequence[Verdict]) -> list[str]:
    """Those that the run did not meet, as lines."""
    return [str(verdict) for verdict in verdicts if not verdict.met]
