"""``Session``: an interpreter that keeps what it has made between turns."""

from __future__ import annotations

import io
import time
from _thread import allocate_lock as Lock
from collections.abc import Mapping, Sequence
from functools import partial

from stratavm.base.closing import Closing
from stratavm.base.errors import StrataError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, NoReturn
from stratavm.base.keywords import checks_keywords
from stratavm.sandbox.execute import Streams
from stratavm.sandbox.inloop import IN_LOOP, for_asyncio
from stratavm.sandbox.python.asked import MAX_CALLS, TIMEOUT_S, Asked, Limits, Offer, asked, gate_of, limits
from stratavm.sandbox.python.idle import IDLE
from stratavm.sandbox.python.interpreter import Begins, Frame, Interpreter
from stratavm.sandbox.python.outcome import Turn
from stratavm.sandbox.python.tools import Tool, toolbox
from stratavm.sandbox.ways import DIRECTLY, LATER, Way, stepped
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stratavm.engine.module import Module
    from stratavm.sandbox.arguments import Input
    from stratavm.sandbox.python.calls import Gate
    from stratavm.sandbox.python.helpers import Helpers
    from stratavm.sandbox.python.results import PythonCompleted
    from stratavm.sandbox.python.warm import Warm

    Tools = Iterable[Tool | Callable[..., Any]] | Mapping[str, Callable[..., Any]]

WORDS: Final = """``run`` for asyncio: the turn runs in the loop's thread, which goes on while it waits or computes.

    Cancelling the task ends the session with the turn. Arguments, result and errors are those of ``run``:"""
BUSY: Final = "a turn of this session is running; what it is called by, a tool perhaps, cannot have another"


class SessionEnded(StrataError):
    """The session's interpreter is gone: it was closed, or a turn ended it; the message says which."""


class SessionBusy(StrataError):
    """A turn of the session is running."""


class Session(Closing):
    """An interpreter that keeps names, modules and files between turns; ``Python.session`` makes them.

    What ends a turn and not the session: an exception, ``SystemExit``. What ends both: its time, its fuel, a trap,
    ``exit()``, ``os._exit``.

    Attributes: ``ended`` says why there can be no other turn; None while there can.
    """

    def __init__(self, warm: Warm, frame: Frame, begins: Begins, helpers: Helpers) -> None:
        self.ended: str | None = None
        self._warm, self._frame, self._begins, self._helpers = warm, frame, begins, helpers
        self._usual = self._limits(TIMEOUT_S, None, MAX_CALLS)
        self._no_offer = Offer(None, None, helpers)
        self._input = Feed()
        self._outputs = Capture(frame.max_output), Capture(frame.max_output)
        self._interpreter: Interpreter | None = None
        self._fresh, self._listing = True, b""
        self._turning, self._resting = Lock(), Lock()

    @checks_keywords
    def run(
        self,
        code: str,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        files: Mapping[str, bytes | str] | None = None,
        stdin: Input = None,
        tools: Tools | None = None,
        gate: Gate | None = None,
        timeout: float | None = TIMEOUT_S,
        fuel: int | None = None,
        max_calls: int = MAX_CALLS,
    ) -> PythonCompleted:
        """Run code with the names that earlier turns made. Whatever it does, the result says so.

        Arguments, variables and tools are those of this turn alone; of files those that are given are added. Where the
        tools are others than before, ``from host import tools`` finds them anew.

        Returns:
            What became of it; ``files`` are those that are new or changed since the turn before.

        Raises:
            TypeError, ValueError, OSError: as ``Python.run``.
            SessionEnded: there can be no other turn; ``ended`` says why.
            SessionBusy: a turn is running.
        """
        given = asked(code, args, env, files, stdin)
        if timeout is TIMEOUT_S and fuel is None and max_calls is MAX_CALLS:  # as they are where nobody says otherwise
            allowed = self._usual
        else:
            allowed = self._limits(timeout, fuel, max_calls)
        offer = self._no_offer
        if tools is not None or gate is not None:
            offer = Offer(toolbox(tools), gate_of(gate), self._helpers)
        later = LATER.get()
        running = self.turn(later or DIRECTLY, given, allowed, offer)
        # ``run_async`` has asked for the coroutine, in this context
        return stepped(running) if later is None else running  # type: ignore[return-value]

    run_async = for_asyncio(run, WORDS)

    def _limits(self, timeout: float | None, fuel: int | None, max_calls: int) -> Limits:
        """Those of a turn, checked."""
        frame = self._frame
        sizes = (frame.max_memory, frame.max_output, frame.max_files, max_calls)
        if fuel is None and frame.fuel:
            return limits(timeout, (1 << 63) - 1, sizes)
        if fuel is not None and not frame.fuel:
            limits(timeout, fuel, sizes)  # what else is wrong is told first
            raise ValueError("fuel: this session does not count it; make it with session(fuel=True)")
        return limits(timeout, fuel, sizes)

    async def turn(self, way: Way, given: Asked, allowed: Limits, offer: Offer) -> PythonCompleted:
        """A turn that was checked."""
        if not self._turning.acquire(blocking=False):
            raise SessionBusy(BUSY)
        try:
            if self.ended is not None:
                raise SessionEnded(self.ended)
            self._wake()
            return await self._turned(way, given, allowed, offer)
        finally:
            self._turning.release()
            if self.ended is not None:
                IDLE.leaves(self)
            elif self._interpreter is not None:
                IDLE.waits(self)

    async def _turned(self, way: Way, given: Asked, allowed: Limits, offer: Offer) -> PythonCompleted:
        interpreter, module = self._interpreter, None
        if interpreter is None or not interpreter.has_begun:
            module = await self._warm.opened.module(way, self._frame.fuel)
            interpreter = await self._made(way, module)
        interpreter.tree.fill(given.files)
        other_input = self._input.begins(given.stdin)
        for output in self._outputs:
            if output.data or output.truncated:
                output.data.clear()
                output.truncated = False
        turn = Turn(given, allowed, offer, time.monotonic())
        listing = b"" if offer is self._no_offer else offer.listing
        turn.other_tools, self._listing, turn.other_input = listing != self._listing, listing, other_input
        ending = True
        try:
            turned = await turn.made(way, interpreter, module, fresh=self._fresh, ends=False)
            self._fresh = False
            ending = not interpreter.alive
            done = turn.completed(turned, interpreter, self._outputs)
            if ending:
                self.ended = f"a turn ended the session: {turned.message or f'exit with code {turned.code}'}"
            return done
        finally:
            self._input.source = b""
            if ending:
                self.ended = self.ended or "a turn of the session was cancelled, or failed"
                await interpreter.close(way)

    async def _made(self, way: Way, module: Module) -> Interpreter:
        """The interpreter, made at the first turn."""
        if self._interpreter is None:
            frame, opened = self._frame, self._warm.opened
            kept = await self._warm.kept(way, module, fuel=frame.fuel, deterministic=frame.deterministic)
            streams = Streams(self._input, *self._outputs)
            beside = (way if self._begins.folders else DIRECTLY).beside
            self._interpreter = await beside(partial(Interpreter, frame, streams, self._begins, opened, kept))
        return self._interpreter

    def fork(self) -> Session:
        """Another session that begins as this one is now: names, modules, files. From then on they share nothing.

        It has what this one has, secrets included: give it to nobody else. Folders of the host are the same for both.
        The generators of ``random``, ``tempfile`` and ``numpy.random`` begin anew in it; those that the program made
        itself, such as ``numpy.random.default_rng()``, give the same numbers in both.

        Raises:
            SessionEnded: the session has ended.
            SessionBusy: a turn of it is running.
            SnapshotRefused: its program has a file open.
        """
        if not self._turning.acquire(blocking=False):
            raise SessionBusy(BUSY)
        try:
            if self.ended is not None:
                raise SessionEnded(self.ended)
            self._wake()
            return self._forked()
        finally:
            self._turning.release()
            if self._interpreter is not None and self.ended is None:
                IDLE.waits(self)

    def rest(self) -> None:
        """It was not used for long: its interpreter's memory takes less until it is."""
        with self._resting:
            if self._interpreter is not None and self.ended is None and not self._turning.locked():
                self._interpreter.rest()

    def _wake(self) -> None:
        """Go on; nobody lets it rest until the turn has ended. A rest that has begun comes to its end first."""
        if self._resting.locked():
            with self._resting:
                pass
        if self._interpreter is not None:
            self._interpreter.wake()

    def _forked(self) -> Session:
        fork = Session(self._warm, self._frame, self._begins, self._helpers)
        kept = None if self._interpreter is None else self._interpreter.kept()
        if kept is not None:
            streams, begins = Streams(fork._input, *fork._outputs), Begins({}, self._begins.folders)
            fork._interpreter = Interpreter(self._frame, streams, begins, self._warm.opened, kept)
            fork._fresh, fork._listing = self._fresh, self._listing
            fork._input.was_read = self._input.was_read
        return fork

    def close(self) -> None:
        """Let go of the interpreter; no guest code runs. May be called twice.

        Raises:
            SessionBusy: a turn is running.
        """
        stepped(self._close(DIRECTLY))

    async def close_async(self) -> None:
        """``close`` for asyncio: much memory is given back in a thread."""
        await self._close(IN_LOOP)

    async def _close(self, way: Way) -> None:
        if not self._turning.acquire(blocking=False):
            raise SessionBusy(BUSY)
        try:
            if self.ended is None:
                self.ended = "the session is closed"
                IDLE.leaves(self)
                with self._resting:  # one that has begun ends
                    pass
                await self._let_go(way)
        finally:
            self._turning.release()

    async def _let_go(self, way: Way) -> None:
        if self._interpreter is not None:
            await self._interpreter.close(way)

    async def __aenter__(self) -> Session:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close_async()

    def __reduce_ex__(self, _protocol: object, /) -> NoReturn:
        raise TypeError("a Session can be neither copied nor pickled: fork() makes another one that begins as it is")

    def __repr__(self) -> str:
        return f"<Session of {self._warm.opened.guest.name}{', ended' if self.ended else ''}>"


class Feed:
    """Standard input that is another one in each turn."""

    def __init__(self) -> None:
        self.source: bytes | io.IOBase = b""
        self.was_read = False
        self._drained = True

    def begins(self, source: bytes | io.IOBase) -> bool:
        """Another turn's; whether the interpreter may hold some of the one before. Then that ends first: what asks for
        the first time is told that there is no more."""
        old, self.was_read = self.was_read, False
        self.source, self._drained = source, not old
        return old

    def __call__(self, most: int) -> bytes:
        """So many bytes at most; none at the end."""
        if not self._drained:
            self._drained = True
            return b""
        if isinstance(self.source, bytes):
            piece, self.source = self.source[:most], self.source[most:]
        else:
            read: Any = getattr(self.source, "read1", self.source.read)
            piece = bytes(read(most) or b"")
        self.was_read = self.was_read or bool(piece)
        return piece
