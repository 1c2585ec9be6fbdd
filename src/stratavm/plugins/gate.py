"""One caller at a time, threads and tasks alike, in the order in which they came; nobody waits for himself."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Event, Lock, get_ident

from stratavm.base.forms import Any, Final, NamedTuple
from stratavm.plugins.errors import PluginBusy


class _Owner(NamedTuple):
    """A thread, or a task in it."""

    thread: int
    task: Any


LENT: Final[ContextVar[_Owner | None]] = ContextVar("LENT", default=None)
"""Whose turn it is that what runs here is a part of, in a thread that works for a task."""


class _Waiter:
    """Somebody who waits; ``wake`` tells him that it is his turn."""

    __slots__ = ("granted", "owner", "wake")

    def __init__(self, owner: _Owner, wake: Callable[[], object]) -> None:
        self.owner, self.wake, self.granted = owner, wake, False


class Gate:
    """In front of a plugin's instance.

    Attributes: ``name`` of whose it is; ``most`` may wait.
    """

    def __init__(self, name: str, most: int) -> None:
        self.name, self.most = name, most
        self._lock = Lock()
        self._holder: _Owner | None = None
        self._waiting: deque[_Waiter] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def enter(self, seconds: float | None) -> None:
        """Wait for a turn, in a thread; None: as long as it takes.

        Raises:
            PluginBusy: there was none in so many seconds, there can be none, or too many wait.
        """
        woken = Event()
        waiter = self._queue(_Owner(get_ident(), None), woken.set)
        if waiter is None:
            return
        try:
            in_time = woken.wait(seconds)
        except BaseException:
            self._give_up(waiter)
            raise
        if not in_time and not self._withdraw(waiter):
            raise PluginBusy(f"plugin {self.name} was not free within {seconds:g} s")

    async def enter_async(self, seconds: float | None) -> None:
        """Wait for a turn, in a task.

        Raises:
            PluginBusy: as ``enter``.
        """
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        waiter = self._queue(
            _Owner(get_ident(), asyncio.current_task()), lambda: loop.call_soon_threadsafe(_grant, turn)
        )
        if waiter is None:
            return
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            if not self._withdraw(waiter):
                raise PluginBusy(f"plugin {self.name} was not free within {seconds:g} s") from None
        except BaseException:
            self._give_up(waiter)
            raise

    def leave(self) -> None:
        """The next one's turn."""
        with self._lock:
            self._holder = None
            while self._waiting:
                waiter = self._waiting.popleft()
                self._holder, waiter.granted = waiter.owner, True
                with suppress(RuntimeError):  # his loop was closed
                    waiter.wake()
                    return
                self._holder = None

    def is_held_here(self) -> bool:
        """Whether whoever asks is inside, or would wait in vain: a task of this thread is, which cannot go on."""
        holder = self._holder
        return holder is not None and (holder.thread == get_ident() or LENT.get() is holder)

    def is_inside(self) -> bool:
        """Whether whoever asks is inside: this thread, of a loop this task, or a thread that works for it."""
        holder = self._holder
        if holder is None:
            return False
        return LENT.get() is holder or (holder.thread == get_ident() and holder.task in (None, _task()))

    @contextmanager
    def lent(self) -> Iterator[None]:
        """What runs in copies of this context has a part in the turn, as long as that lasts."""
        token = LENT.set(self._holder)
        try:
            yield
        finally:
            LENT.reset(token)

    def _queue(self, owner: _Owner, wake: Callable[[], object]) -> _Waiter | None:
        """Take a place behind those that wait; None where it is one's turn already."""
        with self._lock:
            holder = self._holder
            if holder is None:
                self._holder = owner
                return None
            if holder == owner or (holder.thread == owner.thread and owner.task is None) or LENT.get() is holder:
                raise PluginBusy(f"plugin {self.name} is called from inside a call of its own")
            if len(self._waiting) >= self.most:
                raise PluginBusy(f"{len(self._waiting)} calls wait for plugin {self.name} already")
            waiter = _Waiter(owner, wake)
            self._waiting.append(waiter)
            return waiter

    def _withdraw(self, waiter: _Waiter) -> bool:
        """Wait no longer; true where the turn has come meanwhile."""
        with self._lock:
            if waiter.granted:
                return True
            self._waiting.remove(waiter)
            return False

    def _give_up(self, waiter: _Waiter) -> None:
        """Wait no longer, and leave if the turn has come meanwhile."""
        if self._withdraw(waiter):
            self.leave()


def _task() -> asyncio.Task[Any] | None:
    """The one that runs here, if one does."""
    try:
        return asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return None


def _grant(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
