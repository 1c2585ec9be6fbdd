"""Calls of tools within one turn: the guest's requests, which are hostile, and their answers. Owns the protocol of the
guest's module ``host.tools``, limits, and the record.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from functools import partial

from stratavm.base.forms import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias
from stratavm.base.importing import asyncio, inspect
from stratavm.sandbox.python.frames import Malformed, parse, plain, weight
from stratavm.sandbox.python.helpers import Forsaken, Helpers, Late, in_a_loop
from stratavm.sandbox.python.kinds import Unfit
from stratavm.sandbox.python.results import Outcome, ToolCall
from stratavm.sandbox.python.tools import PROTOCOL, ToolDenied, ToolError, form

if TYPE_CHECKING:
    from stratavm.sandbox.python.tools import Tool, Toolbox

Gate: TypeAlias = "Callable[[str, dict[str, Any]], bool | Awaitable[bool]]"
"""``gate(tool, arguments)`` lets a call through by True alone; a ``ToolDenied`` says why not, which the guest reads."""

REQUEST_BYTES: Final = 1 << 20
RESPONSE_BYTES: Final = 16 << 20
MESSAGE_CHARS: Final = 4096
MOST_RECORDED: Final = 1000
RECORDED_BYTES: Final = 64 << 20
"""What arguments and values that are kept in the record may take of the host's memory; of further calls it keeps their
outcome alone."""
MOST_ID: Final = (1 << 53) - 1
UNREAD: Final = 1000
"""Requests in a turn that are no calls: listings, and what is malformed."""
GRACE_S: Final = 0.01
"""How long after its time a cancelled ``async`` tool is waited for."""
PLAIN: Final = frozenset((type(None), bool, int, float, str, bytes, list, dict, tuple))
"""What nobody waits for."""
ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
REFUSED: Final = "the call was refused"
PASS_ON: Final = (KeyboardInterrupt, GeneratorExit)
"""What ends the host's own call, whoever raises it."""
KINDS: Final[dict[str, Outcome]] = {
    "protocol": "refused",
    "unknown_tool": "refused",
    "invalid_arguments": "refused",
    "denied": "denied",
    "tool_error": "error",
    "timeout": "timeout",
    "too_large": "limit",
    "budget_exceeded": "limit",
}
"""What the guest's module calls failures, and what the record does."""


class Failed(Exception):
    """A call that has no value: what the guest is told, and what the record says."""

    def __init__(self, kind: str, message: str, error: str = "") -> None:
        self.kind, self.message, self.error = kind, message[:MESSAGE_CHARS], error or message
        super().__init__(message)


class Request(NamedTuple):
    """A call as the guest wants it."""

    number: int | None
    tool: Tool
    arguments: dict[str, Any]
    size: int


class Calls:
    """The tools of one turn.

    Args:
        box: the tools.
        gate: who may refuse calls.
        most: how many calls there may be.
        until: when the turn must end, by ``time.monotonic()``; infinity for never.
        helpers: threads for calls that must not hold up the turn.
        waits: whether the turn is on an event loop, which goes on while a tool runs.

    Attributes: ``record`` has what was called, ``limited`` says that there were too many calls.
    """

    request_bytes = REQUEST_BYTES

    def __init__(
        self, box: Toolbox, gate: Gate | None, most: int, until: float, helpers: Helpers, *, waits: bool
    ) -> None:
        self.box, self.gate, self.until, self.helpers, self.waits = box, gate, until, helpers, waits
        self.record: list[ToolCall] = []
        self.limited = False
        self._left, self._unread, self._room = most, UNREAD, RECORDED_BYTES
        self._asks_later = inspect.iscoroutinefunction(gate)

    def too_long(self, size: int) -> bytes:
        """The answer to a request that is refused unread."""
        return self._refused(None, "", Failed("too_large", f"a request of {size} bytes; at most {REQUEST_BYTES}"))

    def answer(self, request: bytes) -> bytes | Awaitable[bytes]:
        """The answer to a request, or what to await for it."""
        number, name = None, ""
        try:
            found = parse(request)
            number = _number(found)
            if found.get("op") == "list":
                return self._list(number)
            name = found["tool"] if isinstance(found.get("tool"), str) else ""
            return self._call(self._wanted(found, number, weight(request)))
        except Malformed as error:
            return self._refused(number, name, Failed("protocol", f"the request is malformed: {error}"))
        except Failed as failed:
            return self._refused(number, name, failed)

    def _list(self, number: int | None) -> bytes:
        self._unread -= 1
        if self._unread < 0:
            raise Failed("budget_exceeded", "too many requests that are no calls")
        head = json.dumps({"v": PROTOCOL, "id": number, "ok": True}).encode()
        return head[:-1] + b', "tools": ' + self.box.listing + b"}"

    def _wanted(self, found: dict[str, Any], number: int | None, size: int) -> Request:
        """The call that is wanted."""
        if found.get("v") != PROTOCOL or found.get("op") != "call" or not isinstance(found.get("tool"), str):
            raise Failed("protocol", f"expected a call of a tool in protocol {PROTOCOL}, or a listing")
        tool, arguments = self.box.tools.get(found["tool"]), plain(found.get("args", {}))
        if tool is None:
            raise Failed("unknown_tool", f"there is no such tool; there are: {', '.join(self.box.tools)}")
        if not isinstance(arguments, dict):
            raise Failed("invalid_arguments", f"{tool.name}: the arguments are no object")
        try:
            return Request(number, tool, tool.fitting(arguments), size)
        except Unfit as error:
            raise Failed("invalid_arguments", f"{tool.name}: {error}") from None

    def _call(self, request: Request) -> bytes | Awaitable[bytes]:
        if self._left <= 0:
            self.limited = True
            raise Failed("budget_exceeded", "there were as many calls as this run may make")
        self._left -= 1
        if self.helpers.is_full:
            raise Failed("tool_error", "tools are refused: too many of them have not returned")
        begin = time.monotonic()
        if self.waits:
            return self._later(request, begin)
        try:
            value = self._directly(request)
        except Failed as failed:
            return self._failed(request, failed, begin)
        return self._said(request, value, begin)

    # ---- running the tool -------------------------------------------------------------------------

    def _seconds(self, tool: Tool) -> float:
        """What a call may take; infinity for any time."""
        own = math.inf if tool.timeout is None else tool.timeout
        return min(own, self.until - time.monotonic())

    def _directly(self, request: Request) -> Any:
        """Call it, and wait for it in this thread."""
        tool, seconds = request.tool, self._seconds(request.tool)
        if seconds == math.inf and not tool.is_async and not self._asks_later:
            return self._guarded(tool, partial(self._invoked, request))
        try:
            return self._guarded(tool, partial(self.helpers.call, partial(self._invoked, request), seconds + GRACE_S))
        except Late:
            raise Failed("timeout", f"{tool.name} timed out", "it has not returned") from None

    def _invoked(self, request: Request) -> Any:
        """Ask the gate, then call: in whatever thread."""
        tool = request.tool
        if self.gate is not None:
            self._let_through(self._awaited(tool, self.gate(tool.name, dict(request.arguments))))
        return self._awaited(tool, tool.function(**request.arguments))

    def _awaited(self, tool: Tool, value: Any) -> Any:
        """What a function returned, or what comes of awaiting it."""
        if type(value) in PLAIN or not inspect.isawaitable(value):
            return value
        seconds = self._seconds(tool)
        return in_a_loop(_as_coroutine(value), None if math.isinf(seconds) else max(seconds, 0.0))

    async def _later(self, request: Request, begin: float) -> bytes:
        """Call it while the loop goes on."""
        try:
            value = await self._guarded_later(request)
        except Failed as failed:
            return self._failed(request, failed, begin)
        return self._said(request, value, begin)

    async def _guarded_later(self, request: Request) -> Any:
        """Its value; it has a task of its own, which is abandoned where it does not end although it was cancelled."""
        tool, seconds = request.tool, self._seconds(request.tool)
        task = asyncio.ensure_future(self._contained(request))
        try:
            if await _ended(task, None if math.isinf(seconds) else max(seconds, 0.0)):
                return task.result()
            task.cancel()
            if not await _ended(task, GRACE_S):
                self.helpers.give_up(Forsaken(task))
        except asyncio.CancelledError:
            task.cancel()
            if not await _ended(task, GRACE_S):
                self.helpers.give_up(Forsaken(task))
            raise
        raise Failed("timeout", f"{tool.name} timed out", "it has not returned in time")

    async def _contained(self, request: Request) -> Any:
        """Call it; what it raises stays in its task. A cancellation that nobody asked for is the tool's own."""
        try:
            return await self._invoked_later(request)
        except (Failed, *PASS_ON):
            raise
        except BaseException as error:
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            raise _failure(request.tool, error) from None

    async def _invoked_later(self, request: Request) -> Any:
        tool = request.tool
        if self.gate is not None:
            verdict = self.gate(tool.name, dict(request.arguments))
            self._let_through(await verdict if inspect.isawaitable(verdict) else verdict)
        call = partial(tool.function, **request.arguments)
        value = call() if tool.is_async else await self.helpers.call_async(call)
        return await value if inspect.isawaitable(value) else value

    def _let_through(self, verdict: Any) -> None:
        """What is not True is closed: None is what a gate returns that forgot a case."""
        if verdict is None:
            raise Failed("denied", REFUSED, "the gate returned None: it lets a call through by True")
        if verdict is not True:
            raise ToolDenied(REFUSED)

    def _guarded(self, tool: Tool, call: Callable[[], Any]) -> Any:
        """What it returns; what it raises stays here."""
        try:
            return call()
        except (Failed, Late, *PASS_ON):
            raise
        except BaseException as error:
            raise _failure(tool, error) from None

    # ---- answering, and the record ----------------------------------------------------------------

    def _said(self, request: Request, value: Any, begin: float) -> bytes:
        try:
            said, number = form(value), "null" if request.number is None else request.number
            text = str(said) if type(said) is int else ENCODE(said)
            answer = f'{{"v":{PROTOCOL},"id":{number},"ok":true,"value":{text}}}'.encode()
            if len(answer) > RESPONSE_BYTES:
                raise Failed("too_large", f"{request.tool.name}: what it returned has more than {RESPONSE_BYTES} bytes")
        except Failed as failed:
            return self._failed(request, failed, begin)
        except Exception as error:  # also what methods of the value raise
            said = f"what it returned cannot be said: {_described(error)}"
            return self._failed(request, Failed("tool_error", f"{request.tool.name} failed", said), begin)
        self._keep(request, "ok", value, "", begin, len(answer))
        return answer

    def _failed(self, request: Request, failed: Failed, begin: float) -> bytes:
        self._keep(request, KINDS[failed.kind], None, failed.error, begin, 0)
        return _error(request.number, failed)

    def _refused(self, number: int | None, name: str, failed: Failed) -> bytes:
        """Of a request that led to no call."""
        self._unread -= 1
        if len(self.record) < MOST_RECORDED:
            self.record.append(ToolCall(name[:64], None, KINDS[failed.kind], None, failed.error[:MESSAGE_CHARS], 0.0))
        return _error(number, failed)

    def _keep(self, request: Request, outcome: Outcome, value: Any, error: str, begin: float, size: int) -> None:
        if len(self.record) >= MOST_RECORDED:
            return
        self._room -= request.size + size
        kept = self._room >= 0
        arguments = request.arguments if kept else None
        seconds = time.monotonic() - begin
        self.record.append(
            ToolCall(request.tool.name, arguments, outcome, value if kept else None, error[:MESSAGE_CHARS], seconds)
        )


async def _ended(task: asyncio.Future[Any], seconds: float | None) -> bool:
    """Whether it has ended in time."""
    return bool((await asyncio.wait({task}, timeout=seconds))[0])


async def _as_coroutine(value: Awaitable[Any]) -> Any:
    return await value


def _number(found: dict[str, Any]) -> int | None:
    number = found.get("id")
    return number if type(number) is int and 0 <= number <= MOST_ID else None


def _error(number: int | None, failed: Failed) -> bytes:
    told = {"kind": failed.kind, "message": failed.message}
    return json.dumps({"v": PROTOCOL, "id": number, "ok": False, "error": told}).encode()


def _failure(tool: Tool, error: BaseException) -> Failed:
    """What the guest learns of an exception: the words of a ``ToolError``, of others that there was one."""
    if isinstance(error, ToolDenied):
        return Failed("denied", _words(error), _described(error))
    if isinstance(error, ToolError):
        return Failed("tool_error", _words(error), _described(error))
    if isinstance(error, TimeoutError):
        return Failed("timeout", f"{tool.name} timed out", _described(error))
    return Failed("tool_error", f"{tool.name} failed", _described(error))


def _words(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except Exception:
        return "it failed"


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {_words(error)}"
