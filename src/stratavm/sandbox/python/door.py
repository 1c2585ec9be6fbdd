"""The import ``host.call`` of one interpreter: requests of its guest, none of them trusted, and where answers go."""

from __future__ import annotations

import marshal
from collections.abc import Awaitable, Callable

from stratavm.base.forms import TYPE_CHECKING, Any, Final, Protocol, cast
from stratavm.base.importing import asyncio
from stratavm.sandbox.python.frames import ANSWER_BYTES, Answer, Malformed, answer_of

if TYPE_CHECKING:
    from stratavm.runtime.memory import Memory

NO_HOST: Final = 0xFFFFFFFF
"""-1: nobody answers such requests."""
FAULT: Final = 0xFFFFFFFE
"""-2: the request cannot be read, or the answer has no room."""
DRIVER, TASK, ANSWER = b"\0d", b"\0t", b"\0a"
MARSHAL_FORM: Final = 2
"""Which every Python reads."""
SHORT: Final = 256
"""A request of no more bytes is read at once."""
LONG: Final = 1 << 14
"""A request or an answer of more bytes takes so long that a loop goes on before the guest does: a guest is given no
tick while the host works for it."""


class Tools(Protocol):
    """Who answers requests for tools."""

    request_bytes: int

    def answer(self, request: bytes) -> bytes | Awaitable[bytes]:
        """The answer, or what to await for it."""
        ...

    def too_long(self, size: int) -> bytes:
        """The answer to a request that is refused unread."""
        ...


class Door:
    """What one guest asks of its host.

    Attributes:
        driver: the driver's text.
        tools: who answers requests for tools, or None.
        answer: the driver's answer to the task at hand, or None.
        faults: how many frames broke the rules in this turn.
        allocate: the guest's ``host_alloc``.
        waits: whether the turn is on an event loop.
    """

    def __init__(self, driver: bytes) -> None:
        self.driver = driver
        self.tools: Tools | None = None
        self.answer: Answer | None = None
        self.faults = 0
        self.allocate: Callable[[int], int] | None = None
        self._task: dict[str, Any] | None = None
        self._number = 0
        self._inside = self.waits = False

    def begin(self, task: dict[str, Any]) -> None:
        """A turn begins, with this task; it gets a number."""
        self._number += 1
        self._task, task["n"] = task, self._number
        self.answer, self.faults = None, 0

    def end(self) -> None:
        """The turn is over: there is no task."""
        self._task, self.tools = None, None

    def call(self, memory: Memory, request: int, size: int, where: int, length: int) -> int | Awaitable[int]:
        """The import."""
        if self._inside:  # a ``host_alloc`` that asks again
            self.faults += 1
            return FAULT
        self._inside = True
        done = True
        try:
            found: bytes | int | Awaitable[bytes | int] = self._asked(memory, request, size)
            if isinstance(found, (bytes, int)):
                if not self.waits or max(size, len(found) if isinstance(found, bytes) else 0) <= LONG:
                    return self._give(memory, found, where, length)
                found = _after_others(found)
            done = False
            return self._later(memory, found, where, length)
        finally:
            if done:
                self._inside = False

    async def _later(self, memory: Memory, found: Awaitable[bytes | int], where: int, length: int) -> int:
        try:
            return self._give(memory, await found, where, length)
        finally:
            self._inside = False

    def _asked(self, memory: Memory, request: int, size: int) -> bytes | int | Awaitable[bytes | int]:
        """An answer, the number of a refusal, or what to await."""
        tools = self.tools
        most = ANSWER_BYTES if tools is None else max(ANSWER_BYTES, tools.request_bytes)
        if size > most or request + size > len(memory):
            self.faults += 1
            return FAULT
        frame = head = bytes(memory.read(request, size if size <= SHORT else 2))
        if head[:1] != b"\0":
            return self._for_tools(memory, request, size)
        if size > SHORT:
            frame = bytes(memory.read(request, size))
        if frame == DRIVER:
            return self.driver
        if self._task is None:
            self.faults += 1
            return NO_HOST
        if frame == TASK:
            return marshal.dumps(self._task, MARSHAL_FORM)
        if head[:2] == ANSWER:
            self._take(frame[2:])
            return b""
        self.faults += 1
        return NO_HOST

    def _for_tools(self, memory: Memory, request: int, size: int) -> bytes | int | Awaitable[bytes | int]:
        tools = self.tools
        if tools is None:
            return NO_HOST
        if size > tools.request_bytes:
            self.faults += 1
            return tools.too_long(size)
        return tools.answer(bytes(memory.read(request, size)))

    def _take(self, frame: bytes) -> None:
        """The first answer counts."""
        try:
            answer = answer_of(frame)
        except Malformed:
            self.faults += 1
            return
        if self.answer is not None or answer.task != self._number:
            self.faults += 1
            return
        self.answer = answer

    def _give(self, memory: Memory, found: bytes | int, where: int, length: int) -> int:
        """Put an answer where the guest's allocator says, which is called within the call."""
        if isinstance(found, int):
            return found
        address = cast("Callable[[int], int]", self.allocate)(max(len(found), 1)) & 0xFFFFFFFF
        size = len(memory)  # the allocator may have made it grow
        if not address or address + len(found) > size or where + 4 > size or length + 4 > size:
            self.faults += 1
            return FAULT
        memory.write(address, found)
        memory.write(where, address.to_bytes(4, "little"))
        memory.write(length, len(found).to_bytes(4, "little"))
        return 0


async def _after_others(found: bytes | int) -> bytes | int:
    """An answer, once others of the loop have had their turn."""
    await asyncio.sleep(0)
    return found
