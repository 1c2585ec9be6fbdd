"""Frames from a guest: JSON that is looked at before it is read, and made into plain values. Nothing of it is trusted.

Length, depth and the number of items are bounded, each before what it bounds is spent.
"""

from __future__ import annotations

import binascii
import json
import re

from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.sandbox.python.results import Frame, Raised

ANSWER_BYTES: Final = 2 << 20
"""The longest answer of a driver that is read."""
NESTING: Final = 72
"""Of arrays and objects, those that a frame itself has included."""
ITEMS: Final = 220_000
"""Commas and brackets outside of strings: an item is some 60 bytes of the host's memory."""
SHORT_BYTES: Final = 2 * NESTING
"""A frame that cannot be too deep, nor have too many items."""
ITEM_BYTES: Final = 72
"""What an item may take of the host's memory, at most, besides its letters."""
TEXT_CHARS: Final = 1 << 17
NAME_CHARS: Final = 256
MOST_FRAMES: Final = 100
MOST_CODE: Final = (1 << 32) - 1
MOST_LINE: Final = (1 << 31) - 1
USUAL: Final = re.compile(rb'\{"n": ([1-9][0-9]{0,8}), "code": (0|[1-9][0-9]{0,2})\}')
"""An answer without value and error."""
STRINGS: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""A string, also one without an end: nothing is looked at twice."""
DECODE: Final = json.JSONDecoder().decode
STRUCTURE: Final = b"[]{},"
NO_STRUCTURE: Final = bytes(set(range(256)) - set(STRUCTURE))


class Malformed(Exception):
    """A frame that breaks the rules; the message says which."""


class Answer(NamedTuple):
    """What a driver says of a task; ``value`` as JSON has it."""

    task: int
    code: int
    value: Any
    is_repr: bool
    error: Raised | None


def parse(data: bytes, most: int = ITEMS) -> dict[str, Any]:
    """The object of a frame, of so many items at most.

    Raises:
        Malformed: it is none, or too deep, or has too many items.
    """
    if len(data) > SHORT_BYTES:
        _check_structure(data, most)
    try:  # of bytes the parser would guess the encoding, and in another one nothing of the structure was seen
        found = DECODE(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise Malformed(f"no JSON: {error!s:.100}") from None
    if not isinstance(found, dict):
        raise Malformed("no object")
    return found


def _check_structure(data: bytes, most: int) -> None:
    structure = STRINGS.sub(b"", data).translate(None, NO_STRUCTURE)
    if len(structure) > most:
        raise Malformed(f"more than {most} items")
    left = structure.replace(b",", b"")
    for _ in range(NESTING):
        left = left.replace(b"[]", b"").replace(b"{}", b"")
    if left:
        raise Malformed(f"deeper than {NESTING}, or not whole")


def weight(data: bytes) -> int:
    """How many bytes of the host's memory what is read of a frame takes, at most."""
    letters = len(data) if data.isascii() and b"\\u" not in data else 4 * len(data)
    return letters + ITEM_BYTES * (len(data) - len(data.translate(None, STRUCTURE)))


def answer_of(data: bytes) -> Answer:
    """A driver's answer.

    Raises:
        Malformed: it is none.
    """
    if usual := USUAL.fullmatch(data):
        return Answer(int(usual[1]), int(usual[2]), None, False, None)
    found = parse(data)
    task, code = found.get("n"), found.get("code")
    if type(task) is not int or type(code) is not int or not 0 <= code <= MOST_CODE:
        raise Malformed("no task, or no exit code")
    error = None if found.get("error") is None else _raised(found["error"])
    if error is not None and code != 1:
        raise Malformed("an error with an exit code of its own")
    said = found.get("repr")
    if said is not None:
        return Answer(task, code, text(said, TEXT_CHARS), True, error)
    return Answer(task, code, plain(found.get("value")), False, error)


def plain(value: Any) -> Any:
    """A value as the guest had it: bytes and odd keys stand under names that begin with a dollar.

    Raises:
        Malformed: what stands there is something else.
    """
    kind = type(value)
    if kind is str:
        return _whole_text(value)
    if kind is list:
        return [plain(item) for item in value]
    if kind is not dict:
        return value
    if not any(key[:1] == "$" for key in value):
        return {_whole_text(key): plain(item) for key, item in value.items()}
    if len(value) == 1 and "$bytes" in value:
        return _bytes(value["$bytes"])
    if len(value) == 1 and isinstance(value.get("$dict"), list):
        return dict(map(_item, value["$dict"]))
    raise Malformed("a name that begins with a dollar")


def _item(pair: Any) -> tuple[str, Any]:
    if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) is not str:
        raise Malformed("no pair of a string and a value")
    return _whole_text(pair[0]), plain(pair[1])


def _bytes(value: Any) -> bytes:
    if type(value) is not str:
        raise Malformed("bytes that are no string")
    try:
        return binascii.a2b_base64(value.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Malformed("bytes that are no base64") from None


def _whole_text(value: str) -> str:
    """A string that can be encoded: halves of surrogates are replaced."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def text(value: Any, most: int) -> str:
    """A string of at most so many characters.

    Raises:
        Malformed: it is none.
    """
    if type(value) is not str:
        raise Malformed("no string where one should be")
    return _whole_text(value[:most])


def _raised(found: Any) -> Raised:
    if type(found) is not dict:
        raise Malformed("an error that is no object")
    name, module = text(found.get("type"), NAME_CHARS), text(found.get("module", "builtins"), NAME_CHARS)
    frames = found.get("frames", [])
    if type(frames) is not list or len(frames) > MOST_FRAMES:
        raise Malformed("frames that are no short list")
    return Raised(
        name if module in ("builtins", "__main__") else f"{module}.{name}",
        text(found.get("message", ""), TEXT_CHARS),
        text(found.get("traceback", ""), TEXT_CHARS),
        tuple(map(_frame, frames)),
    )


def _frame(found: Any) -> Frame:
    if type(found) is not list or len(found) != 3:
        raise Malformed("a frame that is none")
    file, line, function = found
    if type(line) is not int or not 0 <= line <= MOST_LINE:
        line = 0
    return Frame(text(file, NAME_CHARS), line, text(function, NAME_CHARS))
