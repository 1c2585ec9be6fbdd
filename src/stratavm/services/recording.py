"""Recordings: events to a file of JSON lines and back. The format has a version; files are checked, not trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from pathlib import Path

from stratavm.base.closing import Closing
from stratavm.base.errors import StrataError
from stratavm.base.events.core import Bus, Event
from stratavm.base.events.declare import CLASSES, class_name, field_types
from stratavm.base.forms import Any, Final

FORMAT: Final = "strata-events"
VERSION: Final = 1
MAX_LINE_BYTES: Final = 1 << 24
SCALARS: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "bytes": (bytes,),
    "None": (type(None),),
}


class RecordingError(StrataError):
    """A recording cannot be read: ``line`` says where."""

    def __init__(self, message: str, line: int) -> None:
        self.line = line
        super().__init__(f"line {line}: {message}")


class Recorder(Closing):
    """Writes every event of a bus to a file until it is closed; a context manager.

    Args:
        bus: the bus.
        path: the file; it is replaced.
        type_: only events of this class and its subclasses.
    """

    def __init__(self, bus: Bus, path: str | PathLike[str], type_: type = Event) -> None:
        self._file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._file.write(json.dumps({"format": FORMAT, "version": VERSION}) + "\n")
        self._subscription = bus.subscribe(type_, self._write, name=f"recorder of {path}")
        self.count = 0

    def _write(self, event: Event) -> None:
        self._file.write(encode(event) + "\n")
        self.count += 1

    def close(self) -> None:
        """Stop and close the file; may be called twice."""
        self._subscription.close()
        self._file.close()


def encode(event: Event) -> str:
    """An event as one line of JSON."""
    cls = type(event)
    values = {name: _pack(getattr(event, name)) for name in field_types(cls)}
    line = {"event": class_name(cls), "source": event.source, "sequence": event.sequence, "fields": values}
    return json.dumps(line, separators=(",", ":"), ensure_ascii=True)


def read(path: str | PathLike[str]) -> Iterator[Event]:
    """The events of a recording, with their recorded origin. Their classes must be imported: a file loads no code.

    Raises:
        RecordingError: not a recording, of another version, or an event that does not fit its class.
    """
    with Path(path).open("rb") as file:
        header = _object(file.readline(MAX_LINE_BYTES), 1)
        if header.get("format") != FORMAT or header.get("version") != VERSION:
            raise RecordingError(f"expected {FORMAT} version {VERSION}, found {str(header)[:80]}", 1)
        number = 1
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            yield decode(line, number)


def replay(path: str | PathLike[str], bus: Bus) -> int:
    """Emit the events of a recording on a bus, with their recorded sources and numbers. Returns how many."""
    count = 0
    for event in read(path):
        bus.emit(event)
        count += 1
    return count


def decode(line: bytes | str, number: int = 1) -> Event:
    """The event of one line."""
    record = _object(line, number)
    cls = CLASSES.get(str(record.get("event")))
    if cls is None:
        raise RecordingError(f"unknown event {str(record.get('event'))[:200]!r}", number)
    fields, wanted = record.get("fields"), field_types(cls)
    if not isinstance(fields, dict) or fields.keys() != wanted.keys():
        raise RecordingError(
            f"{cls.__name__} has the fields {', '.join(wanted) or '(none)'}, found {str(fields)[:200]}", number
        )
    values = {name: _unpack(value, number) for name, value in fields.items()}
    for name, value in values.items():
        if not fits(value, wanted[name]):
            raise RecordingError(f"{cls.__name__}.{name}: expected {wanted[name]}, found {str(value)[:80]!r}", number)
    made: Event = cls(**values)
    source, sequence = record.get("source"), record.get("sequence")
    if not isinstance(source, str) or not isinstance(sequence, int) or not 0 < sequence < 1 << 64:
        raise RecordingError(f"expected a source and its number, found {source!r} and {sequence!r}", number)
    try:
        made.stamp(source, sequence)
    except (ValueError, OverflowError) as error:
        raise RecordingError(str(error), number) from None
    return made


def fits(value: object, type_name: str) -> bool:
    """Whether a value is of a type that events may have, by the type's name."""
    if type_name.startswith("tuple["):
        item = type_name.removeprefix("tuple[").removesuffix(", ...]")
        return isinstance(value, tuple) and all(fits(v, item) for v in value)
    allowed = tuple(t for name in type_name.split(" | ") for t in SCALARS[name])
    return isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool))


def _object(line: bytes | str, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise RecordingError("not JSON, or cut off", number) from None
    if not isinstance(found, dict):
        raise RecordingError(f"expected an object, found {str(found)[:80]}", number)
    return found


def _pack(value: object) -> object:
    """JSON for a field: bytes and tuples are marked."""
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, tuple):
        return {"tuple": [_pack(v) for v in value]}
    return value


def _unpack(value: object, number: int, nested: bool = False) -> object:
    if not isinstance(value, (dict, list)):
        return value
    match value:
        case {"bytes": str(text)} if len(value) == 1:
            try:
                return bytes.fromhex(text)
            except ValueError:
                raise RecordingError(f"not hexadecimal: {text[:80]!r}", number) from None
        case {"tuple": list(items)} if len(value) == 1 and not nested:
            return tuple(_unpack(v, number, nested=True) for v in items)
    raise RecordingError(f"expected plain data, found {str(value)[:80]}", number)
