"""Warm interpreters: a snapshot of one that has begun, learned the driver and run what was asked for, with which fresh
runs and sessions begin.

It holds what warming was given and nothing else: no tools, no arguments, no variables.
"""

from __future__ import annotations

import time
from _thread import allocate_lock as Lock
from functools import lru_cache, partial

from stratavm.base.forms import TYPE_CHECKING, Final, dataclass, replace
from stratavm.sandbox.completed import GuestFailed
from stratavm.sandbox.execute import Streams
from stratavm.sandbox.python.asked import MAX_FILES, MAX_MEMORY, MAX_OUTPUT, Asked, limits
from stratavm.sandbox.python.interpreter import Begins, Frame, Interpreter
from stratavm.sandbox.python.keeping import place_of
from stratavm.sandbox.python.outcome import Turn
from stratavm.sandbox.ways import DIRECTLY, Way, stepped
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.asked import Limits
    from stratavm.sandbox.python.interpreter import Kept
    from stratavm.sandbox.python.opened import Opened
    from stratavm.sandbox.python.results import PythonCompleted

BESIDES: Final = "import atexit, inspect, linecache, numbers, traceback, host"
"""What errors and tools need, imported once: in each clone that would take a tenth of a second."""
LAST: Final = "import gc\ngc.collect()\ngc.freeze()"
"""What was made until now lives on: a collection in a clone does not write to it."""
NOTHING: Final = Asked("", (), {}, {}, b"")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is run in an interpreter that is kept, and what that may use."""

    given: Asked
    allowed: Limits


class Warm:
    """Interpreters that were made by one recipe, one of each kind: whether fuel is counted, whether deterministic.

    Without code, the first one that somebody asks for is not kept, which is not worth it for a program that runs code
    once; but for deterministic ones, which all begin in the same way.
    """

    def __init__(self, opened: Opened, recipe: Recipe) -> None:
        self.opened, self.recipe = opened, recipe
        self._kept: dict[tuple[bool, bool], Kept] = {}
        self._asked: set[tuple[bool, bool]] = set()
        self._lock = Lock()

    async def kept(self, way: Way, module: Module, *, fuel: bool, deterministic: bool) -> Kept | None:
        """What an interpreter of this kind begins with; None for one that begins by itself.

        Raises:
            GuestFailed: the code failed.
        """
        kind = (fuel, deterministic)
        found = self._kept.get(kind)
        if found is not None:
            return found
        if not (self.recipe.given.code or deterministic) and kind not in self._asked:
            self._asked.add(kind)
            return None
        return await way.apart(partial(self._made, module, kind))

    def _made(self, module: Module, kind: tuple[bool, bool]) -> Kept:
        with self._lock:
            if kind not in self._kept:
                self._kept[kind] = self._found_or_made(module, kind)
            return self._kept[kind]

    def _found_or_made(self, module: Module, kind: tuple[bool, bool]) -> Kept:
        """What an earlier process has kept of this recipe, or made now; without code nothing is kept on disk."""
        given = self.recipe.given
        if not given.code:
            return stepped(self._make(module, *kind))
        place = place_of(self.opened.guest, (BESIDES, given.code, LAST), given.files, kind)
        kept = None if place is None else place.find(module)
        if kept is None:
            kept = stepped(self._make(module, *kind))
            if place is not None:
                place.keep(kept)
        return kept

    async def _make(self, module: Module, fuel: bool, deterministic: bool) -> Kept:
        given, allowed = self.recipe.given, self.recipe.allowed
        frame = Frame(allowed.max_memory, allowed.max_output, allowed.max_files, fuel, deterministic, 0)
        outputs = Capture(allowed.max_output), Capture(allowed.max_output)
        begins = Begins(given.files, ())
        interpreter = Interpreter(frame, Streams(b"", *outputs), begins, self.opened, None)
        allowed = replace(allowed, fuel=(1 << 63) - 1 if fuel else None)
        try:
            for asked in (NOTHING._replace(code=BESIDES), given, NOTHING._replace(code=LAST)):
                turn = Turn(asked, allowed, None, time.monotonic())
                turned = await turn.made(DIRECTLY, interpreter, module, fresh=True, ends=False)
                done: PythonCompleted = turn.completed(turned, interpreter, outputs)
                if not done.ok or not interpreter.alive:
                    raise GuestFailed(done, "the code to warm with")
            kept = interpreter.kept()
            assert kept is not None
            return kept
        finally:
            await interpreter.close(DIRECTLY)


@lru_cache(maxsize=4)
def plain(opened: Opened) -> Warm:
    """Interpreters with nothing imported but what all need, one for the process."""
    return Warm(opened, Recipe(NOTHING, limits(None, None, (MAX_MEMORY, MAX_OUTPUT, MAX_FILES, 0))))
