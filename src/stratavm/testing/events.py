"""What was emitted, for assertions."""

from __future__ import annotations

from stratavm.base.closing import Closing
from stratavm.base.events.core import Bus, Event
from stratavm.base.forms import Any, TypeVar

E = TypeVar("E", bound=Event)


class EventRecorder(Closing):
    """Keeps every event of a bus while it is open; a context manager.

    Args:
        bus: the bus.
        type_: only events of this class and its subclasses.
    """

    def __init__(self, bus: Bus, type_: type[Event] = Event) -> None:
        self.events: list[Event] = []
        self._subscription = bus.subscribe(type_, self.events.append, name="recorder")

    def of(self, type_: type[E]) -> list[E]:
        """Events of a class, in order."""
        return [e for e in self.events if isinstance(e, type_)]

    def one(self, type_: type[E], **fields: Any) -> E:
        """The one event of a class whose fields have these values; AssertionError unless there is exactly one."""
        found = [e for e in self.of(type_) if all(getattr(e, k) == v for k, v in fields.items())]
        if len(found) != 1:
            raise AssertionError(f"expected one {type_.__name__} with {fields}, found {found} among {self.events}")
        return found[0]

    @property
    def names(self) -> list[str]:
        """Class names, in order."""
        return [type(e).__name__ for e in self.events]

    def clear(self) -> None:
        """Forget what was recorded so far."""
        self.events.clear()

    def close(self) -> None:
        """Stop."""
        self._subscription.close()
