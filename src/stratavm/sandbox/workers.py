"""Processes behind the wall that are started before they are wanted, and serve one tenant each: what embedders of a
sandbox ask of them goes through one socket, whose frames are nothing that the parent believes.

What the frames say is their users' business; here are lengths, order and time. ``workerside`` is the other end.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import time
from collections.abc import Callable, Hashable, Mapping
from contextlib import ExitStack, suppress
from threading import RLock

from stratavm.base.closing import Closing
from stratavm.base.errors import ResourceLimit, StrataError
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Literal, dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import whole
from stratavm.base.text import printable
from stratavm.sandbox import privileges, process
from stratavm.sandbox.completed import CODES
from stratavm.sandbox.deaths import START_SECONDS, death, starved
from stratavm.sandbox.held import endable
from stratavm.sandbox.wall import ADDRESS_SPACE, DESCRIPTORS, GUEST_MEMORY_BYTES, may_confine
from stratavm.sandbox.workerside import ANSWER, ASK, BEGUN, FAILED, HEAD, READY, REQUEST, RESULT

if TYPE_CHECKING:
    from stratavm.sandbox.completed import Reason

PIECE: Final = 1 << 16
WORDS_BYTES: Final = 1 << 16
"""Of a frame in which a worker says what failed."""
LIFE_SECONDS: Final = 3600.0
"""Processor time after which the system ends a worker, whatever it does."""


SILENT_SECONDS: Final = 2.0
"""How long a worker may take nothing of a request, or not say that it has it all: it was stopped, perhaps. That is less
than what a run gets besides its time."""
LOOK_SECONDS: Final = 0.5
"""How often one is looked at that is not ready yet."""
STOPPED: Final = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
ATTEMPTS: Final = 3
"""How many workers are tried one after another that somebody else ends before they have begun."""


class WorkerFailed(StrataError):
    """A worker did not do what it was asked for, and is gone.

    Attributes:
        reason: as of a run: ``timeout``, ``trap``, ``memory`` or ``interrupt``.
        code: so too.
    """

    def __init__(self, reason: Reason, message: str, code: int | None = None) -> None:
        self.reason, self.code = reason, CODES[reason] if code is None else code
        super().__init__(message)


class NeverBegan(WorkerFailed):
    """It is gone, and had not begun with what it was asked for: another one may."""


class DidNotStart(RuntimeError):
    """A worker did not come so far that it could be asked.

    Attributes: ``reason`` as of ``WorkerFailed``.
    """

    def __init__(self, reason: Reason, message: str) -> None:
        self.reason = reason
        super().__init__(f"the process did not start: {message}")


@dataclass(frozen=True, slots=True)
class Frames:
    """What a worker's frames may be.

    Attributes:
        result_bytes: the longest result.
        ask_bytes: the longest question.
        asks: how many questions there may be for one request.
    """

    result_bytes: int = 64 << 20
    ask_bytes: int = 1 << 20
    asks: int = 10_000

    def longest(self, kind: bytes) -> int | None:
        """How long a frame of a kind may be; None where there is no such kind."""
        others = {FAILED: WORDS_BYTES, READY: WORDS_BYTES, BEGUN: 0}
        return {RESULT: self.result_bytes, ASK: self.ask_bytes, **others}.get(kind)


@dataclass(frozen=True, slots=True)
class Behind:
    """What a worker may do once its wall stands; ``sandbox.wall.Wall`` says what each means."""

    memory_bytes: int = GUEST_MEMORY_BYTES
    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    threads: int = 1
    life_seconds: float = LIFE_SECONDS
    address_bytes: int = ADDRESS_SPACE
    descriptors: int = DESCRIPTORS

    def plain(self) -> dict[str, Any]:
        """As the arguments of a ``Wall``."""
        return {
            "timeout": self.life_seconds,
            **{name: getattr(self, name) for name in self.__slots__ if name != "life_seconds"},
        }


class Worker:
    """A process that serves one tenant, from when it is taken until it is dropped.

    Attributes:
        problems: what is weaker on this kernel, once it is ready.
        alive: whether it can be asked.
    """

    def __init__(self, entry: str, data: Mapping[str, Any], behind: Behind, frames: Frames) -> None:
        self.frames = frames
        self.problems: tuple[str, ...] = ()
        self.alive = True
        self._starved = starved()
        self._killed = self._ready = False
        self._owner = os.getpid()
        self._begin = time.monotonic()
        mine, other = socket.socketpair()
        self._socket = mine
        self._words = os.memfd_create("strata-words", os.MFD_CLOEXEC)
        request = {"entry": entry, "data": dict(data), "wall": behind.plain(), "channel": other.fileno()}
        try:
            with other:
                self._child: subprocess.Popen[bytes] = process.start(
                    "stratavm.sandbox.workerside:inside",
                    request,
                    streams=(subprocess.DEVNULL, self._words, self._words),
                    pass_fds=(other.fileno(),),
                )
        except BaseException:
            mine.close()
            os.close(self._words)
            raise
        mine.setblocking(False)

    def ready(self) -> None:
        """Wait until it has prepared itself, and its wall stands.

        Raises:
            DidNotStart: it did not come so far.
        """
        if self._ready:
            return
        try:
            with endable(self.drop):
                self._look()
                kind, said = self._receive(self._begin + START_SECONDS)
            if kind != READY:
                raise self._fault(f"a frame of kind {kind!r} before it was ready")
        except WorkerFailed as error:
            self.drop()
            raise DidNotStart(error.reason, self._last_words() or str(error)) from None
        self._ready = True
        self._close_words()
        self.problems = tuple(printable(line.decode(errors="replace")) for line in said.split(b"\n") if line)

    def call(
        self,
        request: bytes,
        answer: Callable[[bytes], bytes] | None = None,
        seconds: float | None = None,
        result_bytes: int | None = None,
    ) -> bytes:
        """What its handler returns for a request. Whatever ends this otherwise drops it.

        Args:
            request: for the handler.
            answer: what answers its questions, one after another; what it raises ends the call and comes out of it.
            seconds: how long it may take, with the answers.
            result_bytes: how long the result may be, where that is less than of any.

        Raises:
            NeverBegan: it is gone, or silent, and had not begun.
            WorkerFailed: it is late, has crashed, or has broken the rules.
        """
        if not self.alive:
            raise WorkerFailed("trap", "the worker is gone")
        if self._owner != os.getpid():
            raise RuntimeError("the worker belongs to the process that started it, from which this one was forked")
        late = None if seconds is None else time.monotonic() + seconds
        self._starved, asked, done = starved(), 0, False
        try:
            with endable(self.drop):
                self._hand_over(request, late)
                while True:
                    kind, body = self._receive(late, result_bytes)
                    if kind == RESULT:
                        done = True
                        return body
                    if kind != ASK:
                        raise WorkerFailed("trap", f"the worker failed: {printable(body.decode(errors='replace'))}")
                    asked += 1
                    if answer is None or asked > self.frames.asks:
                        raise WorkerFailed("trap", f"the worker asked {asked} times, which is more than it may")
                    self._send(ANSWER, answer(body), late)
        finally:
            if not done:
                self.drop()

    def is_running(self) -> bool:
        """Whether its process is there."""
        return self.alive and self._child.poll() is None

    def drop(self) -> None:
        """End it, whatever it does; may be called twice, from any thread."""
        self.alive = False
        if self._owner != os.getpid():
            return
        self._child.kill()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # whoever waits for it looks

    def end(self) -> None:
        """Drop it, and wait until its process is gone."""
        self.drop()
        if self._owner == os.getpid():
            self._child.wait()

    def close(self) -> None:
        """End it, and leave nothing of it; nobody may be calling it."""
        self.end()
        self._socket.close()
        self._close_words()

    def _close_words(self) -> None:
        if self._words >= 0:
            os.close(self._words)
            self._words = -1

    def _look(self) -> None:
        """Until it has something to say.

        Raises:
            WorkerFailed: somebody has stopped it.
        """
        poller = select.poll()
        poller.register(self._socket.fileno(), select.POLLIN)
        while time.monotonic() < self._begin + START_SECONDS and not poller.poll(LOOK_SECONDS * 1000):
            if self._child.poll() is None and os.waitid(os.P_PID, self._child.pid, STOPPED):
                self.drop()
                raise WorkerFailed("interrupt", "the process was stopped")

    def _hand_over(self, request: bytes, late: float | None) -> None:
        """Give it a request, and hear that it has begun."""
        try:
            self._send(REQUEST, request, late, SILENT_SECONDS)
            kind, _ = self._receive(_sooner(late, SILENT_SECONDS))
        except WorkerFailed as error:
            if self._had_begun():
                raise
            is_late = late is not None and time.monotonic() >= late
            if error.reason == "timeout" and not is_late:
                raise NeverBegan("interrupt", str(error)) from None
            raise NeverBegan(error.reason, str(error), error.code) from None
        if kind != BEGUN:
            raise self._fault(f"a frame of kind {kind!r} before it had begun")

    def _had_begun(self) -> bool:
        """Whether one that was dropped has said so when nobody listened any more."""
        self.drop()
        try:
            return self._socket.recv(1) == BEGUN
        except OSError:
            return False

    def _send(self, kind: bytes, body: bytes, late: float | None, silent: float | None = None) -> None:
        """A frame, as far as the worker reads; it may be one that never does, or for ``silent`` seconds does not."""
        left = memoryview(HEAD.pack(kind, len(body)) + body)
        until = late if silent is None else _sooner(late, silent)
        while left:
            try:
                left = left[self._socket.send(left[: 1 << 20]) :]
                until = late if silent is None else _sooner(late, silent)
            except BlockingIOError:
                self._wait(select.POLLOUT, until)
            except OSError:
                raise self._gone() from None

    def _receive(self, late: float | None, result_bytes: int | None = None) -> tuple[bytes, bytes]:
        """The next frame: its kind is known and its length allowed before anything of it is kept."""
        kind, size = HEAD.unpack(self._read(HEAD.size, late))
        longest = self.frames.longest(kind)
        if kind == RESULT and result_bytes is not None:
            longest = min(self.frames.result_bytes, result_bytes)
        if longest is None or size > longest:
            raise self._fault(f"a frame of kind {kind!r} and {size} bytes")
        return kind, bytes(self._read(size, late))

    def _read(self, size: int, late: float | None) -> bytearray:
        found = bytearray()
        while len(found) < size:
            try:
                piece = self._socket.recv(min(size - len(found), PIECE))
            except BlockingIOError:
                self._wait(select.POLLIN, late)
                continue
            except OSError:
                piece = b""
            if not piece:
                raise self._gone()
            found += piece
        return found

    def _wait(self, event: int, late: float | None) -> None:
        """Until something can be moved, or it is late."""
        left = None if late is None else late - time.monotonic()
        if left is not None and left <= 0:
            self._killed = True
            self.drop()
            raise WorkerFailed("timeout", "the worker did not answer in its time")
        poller = select.poll()
        poller.register(self._socket.fileno(), event)
        poller.poll(None if left is None else left * 1000 + 1)

    def _fault(self, what: str) -> WorkerFailed:
        self.drop()
        return WorkerFailed("trap", f"the worker broke the rules: {what}")

    def _gone(self) -> WorkerFailed:
        """Why it is gone: by how its process ended, which may take a moment."""
        self.alive = False
        try:
            code = self._child.wait(1.0)
        except subprocess.TimeoutExpired:  # it has closed its end, and lives on
            return self._fault("it closed its socket")
        reason, message = death(code, self._killed, starved() > self._starved)
        return WorkerFailed(reason, message, 128 - code if code < 0 and not self._killed else None)

    def _last_words(self) -> str:
        lines = os.pread(self._words, WORDS_BYTES, 0).decode(errors="replace").strip().splitlines()
        return printable(lines[-1]) if lines else ""


def _sooner(late: float | None, seconds: float) -> float:
    """The time so many seconds from now, or an earlier one."""
    until = time.monotonic() + seconds
    return until if late is None else min(until, late)


class Workers(Closing):
    """Workers that are kept ready, and those that tenants have.

    Args:
        entry: ``module:function``, which a worker calls with ``data`` before its wall stands; it returns the handler,
            ``handle(request, ask) -> result``, where ``ask(question) -> answer`` asks the parent; all are bytes.
        data: plain data, as ``marshal`` takes it.
        behind: what a worker may do.
        frames: what its frames may be.
        spare: how many are kept ready for whoever comes first.
        most: how many there may be in all.

    A worker that has served a tenant never serves another one: nothing that was in it can be believed to be gone.
    """

    @checks_keywords
    def __init__(
        self,
        entry: str,
        data: Mapping[str, Any],
        *,
        behind: Behind | None = None,
        frames: Frames | None = None,
        spare: int = 1,
        most: int = 16,
    ) -> None:
        self._made = entry, data, behind or Behind(), frames or Frames()
        self._spare, self._most = whole("spare", spare), whole("most", most)
        self._lock = RLock()  # a tenant goes when it is collected, which may be at any moment
        self._closed = False
        self._owner = os.getpid()
        self._stack = ExitStack()
        if not may_confine():  # a worker could open this process's memory
            self._stack.enter_context(privileges.hidden())
        self._waiting: list[Worker] = []
        self._resting: dict[Hashable, list[Worker]] = {}
        self._taken: list[Worker] = []
        self._top_up()

    def take(self, tenant: Hashable) -> Worker:
        """A worker for a tenant: one that has served it before and rests, or a new one.

        Raises:
            ResourceLimit: there are as many as there may be.
            RuntimeError: it did not start, or the pool is another process's or closed.
        """
        left = ATTEMPTS
        while True:
            left -= 1
            worker = self._take(tenant)
            try:
                worker.ready()
            except DidNotStart as error:  # not by itself, perhaps
                self.give_back(tenant, worker)
                if error.reason != "interrupt" or not left:
                    raise
            except BaseException:
                self.give_back(tenant, worker)
                raise
            else:
                self._top_up()
                return worker

    def _take(self, tenant: Hashable) -> Worker:
        with self._lock:
            self._check()
            worker = self._rested(tenant)
            if worker is None:
                self._make_room()
                worker = self._spared() or Worker(*self._made)
            self._taken.append(worker)
            return worker

    def _spared(self) -> Worker | None:
        """One that waits, and is still there."""
        while self._waiting:
            worker = self._waiting.pop(0)
            if worker.is_running():
                return worker
            worker.close()
        return None

    def give_back(self, tenant: Hashable, worker: Worker) -> None:
        """The tenant needs it no more for now; one that has failed goes."""
        with self._lock:
            self._taken.remove(worker)
            if worker.alive and not self._closed:
                self._resting.setdefault(tenant, []).append(worker)
                return
        worker.close()

    def forget(self, tenant: Hashable) -> None:
        """The tenant is gone: its workers that rest go with it."""
        with self._lock:
            gone = self._resting.pop(tenant, [])
        for worker in gone:
            worker.close()

    def close(self) -> None:
        """End all of them, also those that work; may be called twice."""
        with self._lock:
            self._closed = True
            if self._owner != os.getpid():
                return
            gone = [*self._waiting, *(worker for resting in self._resting.values() for worker in resting)]
            self._waiting, self._resting = [], {}
            for worker in self._taken:  # whoever calls it gives it back
                worker.end()
        for worker in gone:
            worker.close()
        self._stack.close()

    def counts(self) -> dict[Literal["waiting", "resting", "taken"], int]:
        """How many there are of each."""
        with self._lock:
            resting = sum(map(len, self._resting.values()))
            return {"waiting": len(self._waiting), "resting": resting, "taken": len(self._taken)}

    def _check(self) -> None:
        if self._closed:
            raise RuntimeError("the pool is closed")
        if self._owner != os.getpid():
            raise RuntimeError("the pool belongs to the process that made it, and this one was forked from that")

    def _rested(self, tenant: Hashable) -> Worker | None:
        resting = self._resting.get(tenant, [])
        while resting:
            worker = resting.pop()
            if worker.is_running():
                return worker
            worker.close()
        self._resting.pop(tenant, None)
        return None

    def _make_room(self) -> None:
        """For one more; the worker that has rested longest goes, whosever it was."""
        while len(self._taken) + sum(map(len, self._resting.values())) >= self._most:
            tenant = next(iter(self._resting), None)
            if tenant is None:
                raise ResourceLimit(f"there are {len(self._taken)} workers at work already", limit="workers")
            self._resting[tenant].pop(0).close()
            if not self._resting[tenant]:
                del self._resting[tenant]

    def _top_up(self) -> None:
        """Start those that shall be ready for whoever comes next."""
        with self._lock:
            if self._closed:
                return
            while len(self._waiting) < self._spare and self._total() < self._most:
                self._waiting.append(Worker(*self._made))

    def _total(self) -> int:
        return len(self._waiting) + len(self._taken) + sum(map(len, self._resting.values()))
