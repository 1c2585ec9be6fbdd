"""Whether a guest ended for want of memory: requests that were refused, told from other traps."""

from __future__ import annotations

from stratavm.base.closing import Closing
from stratavm.base.events.core import Event
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.runtime.events import MemoryGrown, MemoryGrowthRefused
from stratavm.sandbox.ending import reason_of

if TYPE_CHECKING:
    from stratavm.engine.store import Store
    from stratavm.sandbox.completed import Reason

AFTER: Final = ", after memory was refused"
"""What is said of a trap whose reason is memory."""


class Watch(Closing):
    """Whether a store's latest request for memory was refused, while it is open.

    Attributes: ``refused`` is that request, or None.
    """

    def __init__(self, store: Store) -> None:
        self.refused: MemoryGrowthRefused | None = None
        self.refusals = 0
        self._sources: set[str] = set()
        self.follow(store)
        self._bus = store.bus
        self._heard = [
            store.bus.subscribe(kind, self._note, where=lambda event: event.source in self._sources)
            for kind in (MemoryGrown, MemoryGrowthRefused)
        ]

    def follow(self, store: Store) -> None:
        """Another store of the same guest: that of one of its threads."""
        self._sources.add(f"{store.source.label}-{store.source.number}")

    def _note(self, event: Event) -> None:
        self.refused = event if isinstance(event, MemoryGrowthRefused) else None
        self.refusals += self.refused is not None

    def reason(self, error: BaseException) -> Reason | None:
        """What ended the guest, if it was an error of its own."""
        self._bus.drain()
        found = reason_of(error)
        return "memory" if found == "trap" and self.refused else found

    def starved(self) -> bool:
        """Whether the latest request was refused."""
        self._bus.drain()
        return self.refused is not None

    def count(self) -> int:
        """How many requests were refused until now."""
        self._bus.drain()
        return self.refusals

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._heard:
            subscription.close()
