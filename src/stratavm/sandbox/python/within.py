"""The worker's end of ``apart``: an interpreter's module and library are opened before the wall stands, code runs
behind it.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable

from stratavm.base.errors import SnapshotRefused
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.sandbox.arguments import Folder
from stratavm.sandbox.python import guests
from stratavm.sandbox.python import opened as loaded
from stratavm.sandbox.python.apart import CALL, LENGTH_BYTES, TOO_LONG, refusal, result
from stratavm.sandbox.python.asked import Asked, Limits, Offer, limits
from stratavm.sandbox.python.calls import REQUEST_BYTES
from stratavm.sandbox.python.helpers import Helpers
from stratavm.sandbox.python.interpreter import Begins, Frame
from stratavm.sandbox.python.keeping import unpacked
from stratavm.sandbox.python.outcome import Once, run_once
from stratavm.sandbox.python.results import ToolCall
from stratavm.sandbox.python.session import Session
from stratavm.sandbox.python.warm import NOTHING, Recipe, Warm
from stratavm.sandbox.ways import DIRECTLY, Way, stepped

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.interpreter import Kept

Ask = Callable[[bytes], bytes]


def prepare(data: dict[str, Any]) -> Callable[[bytes, Ask], bytes]:
    """Open the guest, and what its interpreters begin with; returns what answers requests. No guest code runs here."""
    opened = loaded.opened(guests.find(data["module"]))
    module = stepped(opened.module(DIRECTLY, data["fuel"]))
    warm = Given(opened, unpacked(data.pop("kept"), module))
    library = opened.library  # read now, while it can be
    sessions: dict[int, Session] = {}

    def handle(request: bytes, ask: Ask) -> bytes:
        asked = marshal.loads(request)
        assert opened.library is library
        for gone in asked.get("gone", ()):
            if gone in sessions:  # else no turn of it has begun
                sessions.pop(gone).close()
        try:
            return OPERATIONS[asked["op"]](warm, sessions, asked, ask)
        except OSError as error:
            return refusal(error)

    return handle


class Given(Warm):
    """Interpreters that begin as one did that another process has made."""

    def __init__(self, opened: loaded.Opened, kept: Kept) -> None:
        super().__init__(opened, Recipe(NOTHING, limits(None, None, (None, 0, 0, 0))))
        self._only = kept

    async def kept(self, way: Way, module: Module, *, fuel: bool, deterministic: bool) -> Kept:
        """The one."""
        return self._only


Sessions = dict[int, Session]


def _run(warm: Given, _: Sessions, asked: dict[str, Any], ask: Ask) -> bytes:
    given, allowed, offer = _given(asked, ask)
    return result(stepped(run_once(DIRECTLY, warm, Once(given, allowed, offer, tuple(asked["chance"])))))


def _turn(warm: Given, sessions: Sessions, asked: dict[str, Any], ask: Ask) -> bytes:
    """A turn; the session begins with its first one."""
    given, allowed, offer = _given(asked, ask)
    number = asked["session"]
    session = sessions.get(number)
    if session is None:
        files, folders = asked["begins"]
        begins = Begins(files, tuple(Folder(*folder) for folder in folders))
        session = sessions[number] = Session(warm, Frame(*asked["frame"]), begins, Helpers())
    done = stepped(session.turn(DIRECTLY, given, allowed, offer))
    return result(done, session.ended)


def _fork(_: Given, sessions: Sessions, asked: dict[str, Any], __: Ask) -> bytes:
    """Nothing, or why there is none."""
    try:
        sessions[asked["made"]] = sessions[asked["session"]].fork()
    except SnapshotRefused as error:
        return json.dumps({"what": error.what, "where": error.where, "remedy": error.remedy}).encode()
    return b""


def _wipe(_: Given, sessions: Sessions, __: dict[str, Any], ___: Ask) -> bytes:
    """Let go of all of them."""
    while sessions:
        sessions.popitem()[1].close()
    return b""


OPERATIONS: Final = {"run": _run, "turn": _turn, "fork": _fork, "wipe": _wipe}


def _given(asked: dict[str, Any], ask: Ask) -> tuple[Asked, Limits, Offer]:
    named = asked["asked"]
    folders = tuple(Folder(*folder) for folder in named.pop("folders"))
    offer = Offer(None, None, Helpers(), ThroughParent(ask, asked["listing"]) if asked["tools"] else None)
    return Asked(folders=folders, **named), Limits(*asked["allowed"]), offer


class ThroughParent:
    """Calls of tools, which the parent answers and records.

    Attributes: ``listing`` tells these tools from others.
    """

    request_bytes = REQUEST_BYTES
    limited = False

    def __init__(self, ask: Ask, listing: bytes) -> None:
        self._ask, self.listing = ask, listing
        self.record: list[ToolCall] = []

    def answer(self, request: bytes) -> bytes:
        """The parent's answer."""
        return self._ask(CALL + request)

    def too_long(self, size: int) -> bytes:
        """The parent's answer to what is refused unread."""
        return self._ask(TOO_LONG + size.to_bytes(LENGTH_BYTES, "little"))
