"""One turn of an interpreter: its limits and tools while it runs, and the result that is made of it."""

from __future__ import annotations

import math
import time

from stratavm.base.errors import StrataError
from stratavm.base.forms import TYPE_CHECKING
from stratavm.sandbox.completed import CODES
from stratavm.sandbox.execute import described
from stratavm.sandbox.python.calls import Calls
from stratavm.sandbox.python.interpreter import ENVIRONMENT, Turned
from stratavm.sandbox.python.results import Limit, PythonCompleted
from stratavm.sandbox.timing import time_left
from stratavm.sandbox.ways import DIRECTLY, Way

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.asked import Asked, Limits, Offer
    from stratavm.sandbox.python.interpreter import Interpreter
    from stratavm.wasi.capture import Capture


class Turn:
    """A piece of code, what it may use, and when it began."""

    def __init__(self, given: Asked, allowed: Limits, offer: Offer, begin: float) -> None:
        self.given, self.allowed, self.offer, self.begin = given, allowed, offer, begin
        self.calls: Calls | None = None
        self.fuel_before = 0

    async def made(self, way: Way, interpreter: Interpreter, module: Module, *, fresh: bool, ends: bool) -> Turned:
        """Run it; an interpreter that has not begun does so first."""
        allowed, store = self.allowed, interpreter.store
        self.fuel_before = store.fuel_used or 0
        if allowed.fuel is not None:
            store.fuel = allowed.fuel
        task = self.given.task(fresh=fresh, ends=ends)
        task["env"] = {**ENVIRONMENT, **self.given.env}
        self.calls = self._calls(way)
        try:
            with store.deadline(time_left(allowed.timeout, self.begin)):
                if not interpreter.has_begun:
                    await interpreter.begin(way, module)
                return await interpreter.turn(way, task, self.calls)
        except (StrataError, MemoryError) as error:
            interpreter.alive = False
            reason = interpreter.watch.reason(error)
            if reason is None:
                raise
            return Turned(reason, CODES[reason], described(error, reason), None)

    def _calls(self, way: Way) -> Calls | None:
        offer, timeout = self.offer, self.allowed.timeout
        if offer.box is None:
            return None
        until = math.inf if timeout is None else self.begin + timeout
        return Calls(offer.box, offer.gate, self.allowed.max_calls, until, offer.helpers, waits=way is not DIRECTLY)

    def completed(self, turned: Turned, interpreter: Interpreter, outputs: tuple[Capture, Capture]) -> PythonCompleted:
        """The result; what was written to both outputs is taken from them."""
        stdout, stderr = outputs
        truncated = stdout.truncated or stderr.truncated
        calls, answer = self.calls, turned.answer
        met: list[tuple[Limit, bool]] = [
            ("output", truncated),
            ("files", interpreter.tree.refused),
            ("tools", calls is not None and calls.limited),
        ]
        counted = self.allowed.fuel is not None
        return PythonCompleted(
            bytes(stdout).decode(errors="replace"),
            bytes(stderr).decode(errors="replace"),
            turned.code,
            turned.reason,
            truncated,
            (interpreter.store.fuel_used or 0) - self.fuel_before if counted else None,
            time.monotonic() - self.begin,
            turned.message,
            None if answer is None else answer.value,
            answer is not None and answer.is_repr,
            None if answer is None else answer.error,
            interpreter.tree.changed(),
            () if calls is None else tuple(calls.record),
            tuple(name for name, is_met in met if is_met),
            interpreter.memory_bytes,
            interpreter.door.faults,
        )
