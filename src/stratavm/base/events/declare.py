"""How event classes are declared, the register of them, and the events of the event system itself."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, TypeVar, dataclass_transform

from stratavm.base.events.construct import install_constructor
from stratavm.base.events.core import Event, failure_classes

E = TypeVar("E", bound=Event)

PLAIN: Final = ("int", "float", "str", "bool", "bytes", "int | None", "float | None", "str | None")
PLAIN_TUPLES: Final = tuple(f"tuple[{name}, ...]" for name in ("int", "float", "str", "bool", "bytes"))
CLASSES: Final[dict[str, type]] = {}


@dataclass_transform(frozen_default=True)
def event(cls: type[E]) -> type[E]:
    """Make a subclass of ``Event`` a frozen dataclass with slots, and register it.

    Fields are plain data (numbers, text, bytes, None, tuples of one of them), so that every event can be recorded.

    Raises:
        TypeError: a field is of another type, or the class is no Event.
    """
    if not issubclass(cls, Event):
        raise TypeError(f"{cls.__name__} is declared as an event, but is no subclass of Event")
    made: type[Any] = dataclass(frozen=True, slots=True)(cls)
    for field in fields(made):
        if type_name(field.type) not in PLAIN + PLAIN_TUPLES:
            raise TypeError(f"{cls.__name__}.{field.name}: expected plain data, found {type_name(field.type)}")
    install_constructor(made, {f.name: f.default for f in fields(made)}, MISSING)
    CLASSES[class_name(made)] = made
    return made


def type_name(annotation: object) -> str:
    """An annotation as written."""
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def class_name(cls: type) -> str:
    """How recordings name an event class."""
    return f"{cls.__module__}:{cls.__qualname__}"


def field_types(cls: type) -> dict[str, str]:
    """Fields of an event class and their types, as written."""
    return {f.name: type_name(f.type) for f in fields(cls)}


def registered(package: str) -> list[type]:
    """Event classes declared so far in a package, by module and name."""
    found = {cls for cls in CLASSES.values() if f"{cls.__module__}.".startswith(f"{package}.")}
    return sorted(found, key=class_name)


@event
class ListenerFailed(Event):
    """A listener raised an Exception; the other listeners were called all the same.

    Attributes:
        listener: its name, ``event``: the class of the event, ``error``: type and message, ``traceback``: in full.
    """

    listener: str
    event: str
    error: str
    traceback: str


@event
class EventsDropped(Event):
    """An async listener's queue was full, and events were thrown away as its overflow rule says.

    Attributes:
        listener: its name, ``total``: how many it lost so far.
    """

    listener: str
    total: int


failure_classes.append(ListenerFailed)
