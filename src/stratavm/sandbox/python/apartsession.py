"""Sessions of ``Python(isolate=True)``: each has a worker of its own, which it shares with those forked from it.

What the worker says of its state is believed no more than its results: a session that lies harms itself alone.
"""

from __future__ import annotations

import marshal
import math
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from threading import TIMEOUT_MAX, Event, Lock, RLock
from weakref import finalize

from stratavm.base.errors import SnapshotRefused
from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.sandbox.held import endable
from stratavm.sandbox.python.apart import Apart, answered, failed, wanted
from stratavm.sandbox.python.asked import Asked, Limits, limits
from stratavm.sandbox.python.frames import Malformed, parse, text
from stratavm.sandbox.python.outcome import Once
from stratavm.sandbox.python.session import BUSY, Session, SessionBusy, SessionEnded
from stratavm.sandbox.workers import ATTEMPTS, NeverBegan, WorkerFailed

if TYPE_CHECKING:
    from stratavm.sandbox.python.asked import Offer
    from stratavm.sandbox.python.helpers import Helpers
    from stratavm.sandbox.python.interpreter import Begins, Frame
    from stratavm.sandbox.python.results import PythonCompleted
    from stratavm.sandbox.ways import Way
    from stratavm.sandbox.workers import Worker, Workers

LOOK_S: Final = 0.05
"""How often one that waits for another session's turn looks whether it shall go on waiting."""
FORK_S: Final = 30.0
FORK_BYTES: Final = 1 << 13
WIPE_S: Final = 3.0
"""What a worker may take to let go of its sessions; one that takes longer goes itself."""
SHARED: Final = "the sessions that were forked from one another share a process, and one of them has its turn"
FIRST: Final = 0
"""The number of the session that was not forked."""
_inside: Final[ContextVar[tuple[Room, ...]]] = ContextVar("rooms", default=())
"""Rooms whose turns wait for what runs in this context, a tool perhaps."""


class Room:
    """A worker that has sessions, one turn at a time.

    Attributes: ``ended`` says why there can be no other turn.
    """

    def __init__(self, pool: Workers, tenant: object, worker: Worker) -> None:
        self.ended: str | None = None
        self._pool, self._tenant, self._worker = pool, tenant, worker
        self._turning, self._lock = Lock(), RLock()
        self._living, self._next = {FIRST}, FIRST + 1
        self._gone: list[int] = []

    def call(self, request: dict[str, Any], way_of: Callable[..., bytes], seconds: float | None) -> bytes:
        """What the worker answers, once no other session has it.

        Raises:
            SessionBusy: another one has it for all of the time.
            WorkerFailed: the worker is gone, and so are all of its sessions.
        """
        if self in _inside.get():
            raise SessionBusy(BUSY)
        self._begin(seconds)
        before = _inside.set((*_inside.get(), self))
        try:
            if not self._worker.alive:
                raise WorkerFailed("trap", self.ended or "the process is gone")
            with self._lock:
                request["gone"], self._gone = self._gone, []
            return way_of(marshal.dumps(request))
        except WorkerFailed as error:
            self.ended = self.ended or f"the process of the session is gone: {error}"
            raise
        finally:
            _inside.reset(before)
            self._turning.release()

    def _begin(self, seconds: float | None) -> None:
        """Have the worker to oneself."""
        late, gone = math.inf if seconds is None else time.monotonic() + seconds, Event()
        with endable(gone.set):
            while not self._turning.acquire(timeout=min(LOOK_S, TIMEOUT_MAX)):
                if gone.is_set():
                    raise WorkerFailed("interrupt", "it waited for another session")
                if time.monotonic() > late:
                    raise SessionBusy(SHARED)

    def turn(
        self,
        request: dict[str, Any],
        answer: Callable[[bytes], bytes] | None,
        seconds: float | None,
        most: int | None,
    ) -> bytes:
        """A turn."""
        worker = self._worker
        return self.call(request, lambda data: worker.call(data, answer, seconds, most), seconds)

    def drop(self) -> None:
        """End the worker."""
        self.ended = self.ended or "the process of the session is gone: it broke the rules"
        self._worker.drop()

    def forked(self, number: int) -> int:
        """The number of a session that begins as this one is.

        Raises:
            SessionBusy: another session has its turn.
            SnapshotRefused: the worker says why.
            WorkerFailed: it is gone.
        """
        if not self._turning.acquire(blocking=False):
            raise SessionBusy(SHARED)
        self._turning.release()  # whoever comes now has a turn: it is waited for as by any other
        with self._lock:
            made, self._next = self._next, self._next + 1
        request = {"op": "fork", "session": number, "made": made}
        worker = self._worker
        said = self.call(request, lambda data: worker.call(data, None, FORK_S, FORK_BYTES), FORK_S)
        if said:
            raise self._why(said)
        with self._lock:
            self._living.add(made)
        return made

    def _why(self, said: bytes) -> Exception:
        """Why there is no fork, as the worker says."""
        try:
            found = parse(said)
            return SnapshotRefused(*(text(found.get(name), FORK_BYTES) for name in ("what", "where", "remedy")))
        except Malformed as error:
            self._worker.drop()
            return WorkerFailed("trap", f"the worker broke the rules: {error}")

    def leave(self, number: int, *, wipes: bool = True) -> None:
        """A session is gone; with the last one all of it goes."""
        with self._lock:
            if number not in self._living:
                return
            self._living.discard(number)
            self._gone.append(number)
            if self._living:
                return
        worker = self._worker
        if wipes and worker.alive:
            with suppress(WorkerFailed, SessionBusy):
                self.call({"op": "wipe"}, lambda data: worker.call(data, None, WIPE_S, 0), WIPE_S)
        else:
            worker.drop()
        self.ended = self.ended or "the session is closed"
        self._pool.give_back(self._tenant, worker)


class ApartSession(Session):
    """A session in a worker."""

    def __init__(self, apart: Apart, frame: Frame, begins: Begins, helpers: Helpers) -> None:
        super().__init__(apart.warm, frame, begins, helpers)
        self._apart = apart
        self._room: Room | None = None
        self._number, self._has_begun = FIRST, False

    async def _turned(self, way: Way, given: Asked, allowed: Limits, offer: Offer) -> PythonCompleted:
        left = ATTEMPTS
        while True:
            left -= 1
            is_first = self._room is None
            room = await self._opened(way)
            self._check(room)
            try:
                return await self._answered(way, room, given, allowed, offer)
            except NeverBegan as error:
                if is_first and left:  # nothing is lost but a process
                    self.ended = None
                    continue
                return failed(error, None, 0.0)

    async def _answered(self, way: Way, room: Room, given: Asked, allowed: Limits, offer: Offer) -> PythonCompleted:
        frame, begins = self._frame, self._begins
        once = Once(given, allowed, offer, (frame.deterministic, frame.seed))
        request: dict[str, Any] = {**wanted(once), "op": "turn", "session": self._number}
        # What the session begins with may be refused as well, at each turn until one has begun.
        files = {**begins.files, **given.files}
        once = once._replace(given=given._replace(files=files, folders=begins.folders))
        if not self._has_begun:
            request["begins"] = begins.files, [(f.host, f.guest, f.writable) for f in begins.folders]
            request["frame"] = tuple(getattr(frame, name) for name in frame.__slots__)
        done = False
        try:
            found, self.ended = await answered(way, partial(room.turn, request), room.drop, once)
            self._has_begun = done = True
            return found
        except OSError:  # of what it is given; it goes on
            self._has_begun = done = True
            raise
        except (SessionBusy, NeverBegan):
            self.ended, done = room.ended, True
            raise
        finally:
            if not done:
                self.ended = "a turn of the session was cancelled, or failed"
            if self.ended is not None:
                self._leave()

    async def _opened(self, way: Way) -> Room:
        """The worker, taken at the first turn."""
        if self._room is None:
            frame, apart = self._frame, self._apart
            sizes = frame.max_memory, frame.max_output, frame.max_files, 0
            pool = await apart.workers(
                way, self._begins.folders, limits(None, None, sizes), (frame.fuel, frame.deterministic)
            )
            worker = await way.apart(partial(pool.take, apart.tenant))
            self._join(Room(pool, apart.tenant, worker), FIRST)
        assert self._room is not None
        return self._room

    def _check(self, room: Room) -> None:
        """Refuse what cannot be: another session has ended the process."""
        if room.ended is not None:
            self.ended = room.ended
            self._leave()
            raise SessionEnded(room.ended)

    def _join(self, room: Room, number: int) -> None:
        self._room, self._number = room, number
        self._leaves = finalize(self, room.leave, number, wipes=False)

    def _leave(self) -> None:
        """Have no worker any more; nobody waits for it."""
        if self._room is not None:
            self._room = None
            self._leaves()

    def _forked(self) -> Session:
        fork = ApartSession(self._apart, self._frame, self._begins, self._helpers)
        room = self._room
        if room is not None and self._has_begun:  # else the worker knows of no session yet
            self._check(room)
            try:
                fork._join(room, room.forked(self._number))
                fork._has_begun = self._has_begun
            except WorkerFailed as error:
                self.ended = room.ended = room.ended or f"the process of the session is gone: {error}"
                self._leave()
                raise SessionEnded(self.ended) from None
        return fork

    async def _let_go(self, way: Way) -> None:
        room, number = self._room, self._number
        if room is not None:
            self._room = None
            self._leaves.detach()
            await way.apart(partial(room.leave, number))

    def __repr__(self) -> str:
        return f"<isolated {super().__repr__()[1:]}"
