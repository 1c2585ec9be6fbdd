"""What ended a guest, in a word: the words of ``Completed.reason``, for errors and for requests that were refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from stratavm.base.errors import DeadlineExceeded, Interrupted, ModuleError, OutOfFuel, ResourceLimit, Trap
from stratavm.base.events import Event
from stratavm.runtime.events import MemoryGrown, MemoryGrowthRefused

if TYPE_CHECKING:
    from stratavm.engine import Store
    from stratavm.sandbox.completed import Reason

STOPS: Final[tuple[tuple[type[Trap], Reason], ...]] = (
    (DeadlineExceeded, "timeout"),
    (OutOfFuel, "fuel"),
    (Interrupted, "interrupt"),
    (Trap, "trap"),
)
"""What traps are called; the first that fits counts."""
AFTER: Final = ", after memory was refused"
"""What is said of a trap whose reason is memory."""


class Watch:
    """Whether a store's latest request for memory was refused, while it is open.

    Attributes: ``refused`` is that request, or None.
    """

    def __init__(self, store: Store) -> None:
        self.refused: MemoryGrowthRefused | None = None
        source = f"{store.source.label}-{store.source.number}"
        self._bus = store.bus
        self._heard = [
            store.bus.subscribe(kind, self._note, where=lambda event: event.source == source)
            for kind in (MemoryGrown, MemoryGrowthRefused)
        ]

    def _note(self, event: Event) -> None:
        self.refused = event if isinstance(event, MemoryGrowthRefused) else None

    def reason(self, error: BaseException) -> Reason | None:
        """What ended the guest, if it was an error of its own."""
        self._bus.drain()
        found = reason_of(error)
        return "memory" if found == "trap" and self.refused else found

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._heard:
            subscription.close()


def reason_of(error: BaseException) -> Reason | None:
    """What an error that ended a guest is called; None for errors that end none."""
    if isinstance(error, Trap):
        return next(reason for kind, reason in STOPS if isinstance(error, kind))
    starved = isinstance(error, (ResourceLimit, MemoryError)) and not isinstance(error, ModuleError)
    return "memory" if starved else None
