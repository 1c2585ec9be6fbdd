"""The calling convention: bytes, text and JSON between host and guest, in either direction, and errors.

A function of the convention is ``(param i32 i32) (result i64)``: address and size of its argument, both 0 where there
is none. It returns ``address << 32 | size`` of its answer, 0 for none; bit 31 says that the answer is an error, in
words. The guest exports ``plugin_alloc(size) -> address`` (0: no room) and ``plugin_free(address, size)``. Whoever
calls frees the argument, and whoever gets an answer frees that; on either side memory is the guest's, so a host
function's answer is allocated by ``plugin_alloc`` and freed by the guest.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Generator
from math import isinf

from stratavm.base.errors import Trap
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, TypeAlias, cast
from stratavm.base.text import printable
from stratavm.plugins.errors import PluginError
from stratavm.spec.types import I32, I64, FuncType

if TYPE_CHECKING:
    from stratavm.engine.exports import Exports

ABI: Final = 1
ALLOC: Final = "plugin_alloc"
FREE: Final = "plugin_free"
START: Final = "plugin_start"
STOP: Final = "plugin_stop"
HEALTH: Final = "plugin_health"
FUNCTION: Final = FuncType((I32, I32), (I64,))
NEEDED: Final[dict[str, FuncType]] = {ALLOC: FuncType((I32,), (I32,)), FREE: FuncType((I32, I32), ())}
OPTIONAL: Final[dict[str, FuncType]] = {START: FUNCTION, STOP: FUNCTION, HEALTH: FUNCTION}
KINDS: Final = ("none", "bytes", "text", "json")
LOW: Final = 0xFFFF_FFFF
IS_ERROR: Final = 1 << 31


class ErrorAnswer(PluginError):
    """The answer of a call is an error, in words: raised by a plugin's function, it comes out of the call; raised by a
    host function, it is the answer that the plugin gets. Not a failure: the plugin goes on."""


class ConventionBroken(PluginError):
    """A plugin gave what the convention does not allow, an address outside of its memory or no text."""


class Signature(NamedTuple):
    """What a function takes and gives, each one of ``KINDS``."""

    takes: str
    gives: str

    @classmethod
    def parse(cls, text: object) -> Signature | None:
        """From ``text -> json``; None where that is none."""
        parts = text.split() if isinstance(text, str) else []
        if len(parts) != 3 or parts[1] != "->" or parts[0] not in KINDS or parts[2] not in KINDS:
            return None
        return cls(parts[0], parts[2])

    def __str__(self) -> str:
        return f"{self.takes} -> {self.gives}"


def encode(kind: str, value: Any) -> bytes:
    """A value as bytes.

    Raises:
        TypeError, ValueError: it is not of this kind.
    """
    if kind == "none":
        if value is not None:
            raise TypeError(f"expected None, got {value!r:.60}")
        return b""
    if kind == "json":
        try:
            return _utf8(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
        except RecursionError:
            raise ValueError("lists or tables that are nested too deeply") from None
    if kind == "text":
        if not isinstance(value, str):
            raise TypeError(f"expected a string, got {value!r:.60}")
        return _utf8(value)
    if not isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"expected bytes, got {value!r:.60}")
    return bytes(value)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"half of a surrogate pair at {error.start}, which has no UTF-8") from None


def decode(kind: str, data: bytes) -> Any:
    """A value from bytes.

    Raises:
        ConventionBroken: they are none of this kind.
    """
    if kind == "none":
        if data:
            raise ConventionBroken(f"expected no answer, found {len(data)} bytes")
        return None
    if kind == "bytes":
        return data
    try:
        text = data.decode()
        return text if kind == "text" else json.loads(text, parse_constant=_no_number, parse_float=_number)
    except (ValueError, RecursionError) as error:
        raise ConventionBroken(f"expected {kind}, found {data[:40]!r}: {error}") from None


def _number(text: str) -> float:
    """One that ``encode`` takes as well."""
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text:.20} is out of range")
    return number


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


Step: TypeAlias = "tuple[Any, tuple[int, ...]]"
"""A function of the guest, and what it is to be called with."""
Exchange: TypeAlias = "Generator[Step, Any, bytes]"


def exchange(guest: Exports, name: str, data: bytes, most: int) -> Exchange:
    """The steps of a call of the convention; the answer's bytes.

    Raises:
        ErrorAnswer: the answer is an error.
        ConventionBroken: the guest does not keep to the convention, or the answer has more than ``most`` bytes.
    """
    at = (yield from put(guest, data)) if data else 0
    packed = (yield guest[name], (at, len(data))) & ((1 << 64) - 1)
    address, size = packed >> 32, packed & (IS_ERROR - 1)
    if size > most:
        raise ConventionBroken(f"{name} answers {size} bytes, it may have {most}")
    answer = take(guest, name, address, size)
    if size and address != at:
        yield guest[FREE], (_signed(address), size)
    if data:
        yield guest[FREE], (_signed(at), len(data))
    if packed & IS_ERROR:
        raise ErrorAnswer(printable(answer.decode(errors="replace")))
    return answer


def put(guest: Exports, data: bytes) -> Generator[Step, Any, int]:
    """The steps of writing bytes to where the guest has room for them; the address."""
    at = (yield guest[ALLOC], (len(data),)) & LOW
    if not at:
        raise ConventionBroken(f"the plugin has no room for {len(data)} bytes")
    try:
        guest.memory.write(at, data)
    except Trap as error:
        raise ConventionBroken(f"{ALLOC} gave {at:#x} for {len(data)} bytes: {error}") from None
    return cast(int, at)


def take(guest: Exports, name: str, address: int, size: int) -> bytes:
    """Bytes out of a guest's memory."""
    if not size:
        return b""
    try:
        return cast(bytes, guest.memory.read(address, size))
    except Trap as error:
        raise ConventionBroken(f"{name} speaks of {size} bytes at {address:#x}: {error}") from None


def packed_at(address: int, size: int, is_error: bool = False) -> int:
    """The i64 that stands for an answer, as signed as guests have it."""
    value = address << 32 | size | (IS_ERROR if is_error else 0)
    return value - (1 << 64) if value >> 63 else value


def _signed(address: int) -> int:
    return address - (1 << 32) if address >> 31 else address


def drive(steps: Generator[Step, Any, Any]) -> Any:
    """Take the steps of a call in this thread."""
    try:
        function, arguments = next(steps)
        while True:
            function, arguments = steps.send(function(*arguments))
    except StopIteration as end:
        return end.value


async def drive_async(steps: Generator[Step, Any, Any], call: Callable[..., Awaitable[Any]]) -> Any:
    """Take the steps of a call in a task; ``call(function, arguments)`` awaits one of them."""
    try:
        function, arguments = next(steps)
        while True:
            function, arguments = steps.send(await call(function, arguments))
    except StopIteration as end:
        return end.value
