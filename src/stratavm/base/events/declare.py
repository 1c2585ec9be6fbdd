"""How event classes are declared, the register of them, and the events of the event system itself."""

from __future__ import annotations

from stratavm.base.events.construct import install_constructor
from stratavm.base.events.core import Event, failure_classes
from stratavm.base.forms import TYPE_CHECKING, Body, Final, TypeVar, annotations_of, dataclass_transform, unmade

E = TypeVar("E", bound=Event)

PLAIN: Final = ("int", "float", "str", "bool", "bytes", "int | None", "float | None", "str | None")
PLAIN_TUPLES: Final = tuple(f"tuple[{name}, ...]" for name in ("int", "float", "str", "bool", "bytes"))
ALL_PLAIN: Final = frozenset(PLAIN + PLAIN_TUPLES)
CLASSES: Final[dict[str, type[Event]]] = {}
"""Event classes by the name that recordings have for them."""
FIELDS: Final[dict[type, dict[str, tuple[str, object]]]] = {}
"""Type and default of each field, by class."""
MISSING: Final = object()


@dataclass_transform(frozen_default=True)
def event(cls: type[E]) -> type[E]:
    """Make a subclass of ``Event`` a frozen value with slots, and register it: a frozen dataclass that starts quickly.

    Fields are plain data (numbers, text, bytes, None, tuples of one of them), so that every event can be recorded.

    Raises:
        TypeError: a field is of another type, or the class is no Event.
    """
    body = Body.of(cls)
    if not any(issubclass(base, Event) for base in body.bases):
        raise TypeError(f"{body.name} is declared as an event, but is no subclass of Event")
    own = annotations_of(body.given)
    types = {name: annotation if type(annotation) is str else type_name(annotation) for name, annotation in own.items()}
    for name, written in types.items():
        if written not in ALL_PLAIN:
            raise TypeError(f"{body.name}.{name}: expected plain data, found {written}")
    inherited = next((FIELDS[c] for base in body.bases for c in base.__mro__ if c in FIELDS), {})
    declared = {**inherited, **{n: (written, body.given.get(n, MISSING)) for n, written in types.items()}}
    names = tuple([n for n in own if n not in inherited])
    made: type[E] = body.made(own, {"__slots__": names, "__match_args__": tuple(declared)})
    install_constructor(made, {name: default for name, (_, default) in declared.items()}, MISSING)
    FIELDS[made] = declared
    CLASSES[class_name(made)] = made
    return made


if not TYPE_CHECKING:
    event.unmade = unmade


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
    return {name: type_ for name, (type_, _) in FIELDS[cls].items()}


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
