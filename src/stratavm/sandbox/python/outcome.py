"""One turn of an interpreter: its limits and tools while it runs, and the result that is made of it."""

from __future__ import annotations

import math
import time
from functools import partial

from stratavm.base.errors import StrataError
from stratavm.base.forms import TYPE_CHECKING, Final, NamedTuple
from stratavm.sandbox.completed import CODES
from stratavm.sandbox.execute import Streams, described
from stratavm.sandbox.python.calls import Calls
from stratavm.sandbox.python.frames import Answer
from stratavm.sandbox.python.interpreter import Begins, Frame, Interpreter, Turned
from stratavm.sandbox.python.results import Limit, PythonCompleted
from stratavm.sandbox.timing import time_left
from stratavm.sandbox.ways import DIRECTLY, Way
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.asked import Asked, Limits, Offer
    from stratavm.sandbox.python.warm import Warm


NO_ANSWER: Final = Answer(0, 0, None, False, None)


class Once(NamedTuple):
    """A run: code and what it is given, limits, tools, and whether clock and random numbers follow from a seed."""

    given: Asked
    allowed: Limits
    offer: Offer | None = None
    chance: tuple[bool, int] = (False, 0)


class Turn:
    """A piece of code, what it may use, and when it began."""

    __slots__ = ("allowed", "begin", "calls", "fuel_before", "given", "offer", "other_input", "other_tools")

    def __init__(self, given: Asked, allowed: Limits, offer: Offer | None, begin: float) -> None:
        self.given, self.allowed, self.offer, self.begin = given, allowed, offer, begin
        self.calls: Calls | None = None
        self.other_tools = self.other_input = False
        self.fuel_before = 0

    async def made(
        self, way: Way, interpreter: Interpreter, module: Module | None, *, fresh: bool, ends: bool
    ) -> Turned:
        """Run it; an interpreter that has not begun does so first, with the module."""
        allowed, store, has_begun = self.allowed, interpreter.store, interpreter.has_begun
        if allowed.fuel is not None:
            self.fuel_before = store.fuel_used or 0
            store.fuel = allowed.fuel
        task = self.given.task(fresh=fresh, ends=ends)
        task["seeds"] = not has_begun  # what it begins with, others begin with as well
        task["tools"], task["input"] = self.other_tools, self.other_input
        self.calls = self._calls(way)
        try:
            with store.deadline(time_left(allowed.timeout, self.begin)):
                if not has_begun:
                    assert module is not None
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
        if offer is None or offer.box is None:
            return None if offer is None else offer.calls
        until = math.inf if timeout is None else self.begin + timeout
        return Calls(offer.box, offer.gate, self.allowed.max_calls, until, offer.helpers, waits=way is not DIRECTLY)

    def completed(self, turned: Turned, interpreter: Interpreter, outputs: tuple[Capture, Capture]) -> PythonCompleted:
        """The result; what was written to both outputs is taken from them."""
        stdout, stderr = outputs
        truncated = stdout.truncated or stderr.truncated
        calls, tree = self.calls, interpreter.tree
        reason, code, message, answer = turned
        _, _, value, is_repr, error = answer or NO_ANSWER
        met: list[Limit] = ["output"] if truncated else []
        if tree.refused:
            met.append("files")
        if calls is not None and calls.limited:
            met.append("tools")
        return PythonCompleted(
            stdout.data.decode(errors="replace") if stdout.data else "",
            stderr.data.decode(errors="replace") if stderr.data else "",
            code,
            reason,
            truncated,
            None if self.allowed.fuel is None else (interpreter.store.fuel_used or 0) - self.fuel_before,
            time.monotonic() - self.begin,
            message,
            value,
            is_repr,
            error,
            tree.changed(),
            () if calls is None else tuple(calls.record),
            tuple(met) if met else (),
            interpreter.memory_bytes,
            interpreter.door.faults,
        )


async def run_once(way: Way, warm: Warm, once: Once, streams: Streams | None = None) -> PythonCompleted:
    """A run in a fresh interpreter; with ``streams`` its outputs go there, and are not kept."""
    given, allowed, opened = once.given, once.allowed, warm.opened
    module = await opened.module(way, allowed.fuel is not None)
    turn = Turn(given, allowed, once.offer, time.monotonic())
    outputs = Capture(allowed.max_output), Capture(allowed.max_output)
    frame = Frame(allowed.max_memory, allowed.max_output, allowed.max_files, allowed.fuel is not None, *once.chance)
    beside = (way if given.folders else DIRECTLY).beside  # without folders there are no files of the host
    begins = Begins(given.files, given.folders)
    shown = Streams(given.stdin, *outputs) if streams is None else streams
    kept = await warm.kept(way, module, fuel=frame.fuel, deterministic=frame.deterministic)
    turn.begin = time.monotonic()
    interpreter = await beside(partial(Interpreter, frame, shown, begins, opened, kept))
    try:
        turned = await turn.made(way, interpreter, module, fresh=True, ends=True)
        return turn.completed(turned, interpreter, outputs)
    finally:
        await interpreter.close(way)
