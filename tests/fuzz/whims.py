"""A policy of tiers that no program could guess."""

from __future__ import annotations

import random

from stratavm.base.forms import dataclass
from stratavm.tiers.decision import Decision, Seen


@dataclass(frozen=True, slots=True)
class Whims:
    """A policy without reason: a function changes its level at its first call, at a later one or never."""

    calls: int = 0
    period: int = 3
    ticks: bool = True
    polls: int = 0
    counts_alone: bool = True

    def decide(self, seen: Seen) -> Decision:
        """By a number that everything seen has a part in."""
        whim = random.Random(f"{seen.function} {seen.size} {seen.calls} {seen.ticks}").randrange(4)
        return Decision(whim == 0, whim == 1, seen.calls + 1, "whim")


class Beside(int):
    """``Policy.polls`` that the machine code counts, though each run need not do the same: asked, it is none, and so
    threads beside the program make the code of its loops."""

    def __bool__(self) -> bool:
        return False
