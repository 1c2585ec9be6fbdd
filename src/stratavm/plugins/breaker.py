"""When a plugin that failed is started again, and when not any more. Numbers in, decision out."""

from __future__ import annotations

from collections import deque

from stratavm.base.forms import dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import seconds, whole
from stratavm.services.lifecycle import Restart

RESTART = Restart(first_s=0.1, longest_s=30.0, attempts=5)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What follows a failure.

    Attributes:
        restart: the delays before a new instance, which grow while failures follow each other; after ``attempts`` of
            them in a row the plugin is quarantined.
        unwell: after so many probes in a row that say it is not well, it has failed.
        most: so many failures ``within_s`` seconds end in quarantine too, with good calls in between or not.
    """

    _decorate = checks_keywords

    restart: Restart = RESTART
    most: int = 20
    within_s: float = 600.0
    unwell: int = 3

    def __post_init__(self) -> None:
        if not isinstance(self.restart, Restart):
            raise TypeError(f"Recovery: restart must be a Restart, got {self.restart!r:.60}")
        object.__setattr__(self, "most", whole("Recovery: most", self.most, 1))
        object.__setattr__(self, "unwell", whole("Recovery: unwell", self.unwell, 1))
        object.__setattr__(self, "within_s", seconds("Recovery: within_s", self.within_s))


class Breaker:
    """The failures of one plugin.

    Attributes: ``in_a_row`` counts those since the last good call; before ``retry_at`` nothing is tried.
    """

    def __init__(self, recovery: Recovery) -> None:
        self._recovery = recovery
        self._times: deque[float] = deque(maxlen=recovery.most)
        self.in_a_row = 0
        self.retry_at = 0.0

    def good(self) -> None:
        """A call went well."""
        self.in_a_row = 0

    def failed(self, now: float, chance: float) -> str:
        """One more failure: why the plugin is to be quarantined, or nothing, and ``retry_at`` says when to go on."""
        self.in_a_row += 1
        self._times.append(now)
        restart, most = self._recovery.restart, self._recovery.most
        self.retry_at = now + restart.delay_s(self.in_a_row, chance)
        if self.in_a_row >= restart.attempts:
            return f"it failed {self.in_a_row} times in a row"
        if len(self._times) == most and now - self._times[0] <= self._recovery.within_s:
            return f"it failed {most} times within {self._recovery.within_s:g} s"
        return ""

    def forget(self) -> None:
        """Begin anew."""
        self._times.clear()
        self.in_a_row, self.retry_at = 0, 0.0
