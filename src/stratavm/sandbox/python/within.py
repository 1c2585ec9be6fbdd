"""The worker's end of ``apart``: an interpreter's module and library are opened before the wall stands, code runs
behind it.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.sandbox.arguments import Folder
from stratavm.sandbox.python import guests
from stratavm.sandbox.python.apart import CALL, LENGTH_BYTES, TOO_LONG, result
from stratavm.sandbox.python.asked import Asked, Limits, Offer, limits
from stratavm.sandbox.python.calls import REQUEST_BYTES
from stratavm.sandbox.python.helpers import Helpers
from stratavm.sandbox.python.keeping import unpacked
from stratavm.sandbox.python.outcome import Once, run_once
from stratavm.sandbox.python.results import ToolCall
from stratavm.sandbox.python.warm import NOTHING, Recipe, Warm
from stratavm.sandbox.ways import DIRECTLY, Way, stepped

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.interpreter import Kept

Ask = Callable[[bytes], bytes]


def prepare(data: dict[str, Any]) -> Callable[[bytes, Ask], bytes]:
    """Open the guest, and what its interpreters begin with; returns what answers requests. No guest code runs here."""
    opened = guests.opened(guests.find(data["module"]))
    module = stepped(opened.module(DIRECTLY, data["fuel"]))
    warm = Given(opened, unpacked(data["kept"], module))
    library = opened.library  # read now, while it can be

    def handle(request: bytes, ask: Ask) -> bytes:
        done = stepped(run_once(DIRECTLY, warm, _once(marshal.loads(request), ask)))
        assert opened.library is library
        return result(done)

    return handle


class Given(Warm):
    """Interpreters that begin as one did that another process has made."""

    def __init__(self, opened: guests.Opened, kept: Kept) -> None:
        super().__init__(opened, Recipe(NOTHING, limits(None, None, (None, 0, 0, 0))))
        self._only = kept

    async def kept(self, way: Way, module: Module, *, fuel: bool, deterministic: bool) -> Kept:
        """The one."""
        return self._only


def _once(asked: dict[str, Any], ask: Ask) -> Once:
    named = asked["asked"]
    folders = tuple(Folder(*folder) for folder in named.pop("folders"))
    offer = Offer(None, None, Helpers(), ThroughParent(ask) if asked["tools"] else None)
    return Once(Asked(folders=folders, **named), Limits(*asked["allowed"]), offer, tuple(asked["chance"]))


class ThroughParent:
    """Calls of tools, which the parent answers and records."""

    request_bytes = REQUEST_BYTES
    limited = False

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self.record: list[ToolCall] = []

    def answer(self, request: bytes) -> bytes:
        """The parent's answer."""
        return self._ask(CALL + request)

    def too_long(self, size: int) -> bytes:
        """The parent's answer to what is refused unread."""
        return self._ask(TOO_LONG + size.to_bytes(LENGTH_BYTES, "little"))
