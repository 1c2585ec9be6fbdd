"""Readiness of descriptors, told by an event loop: who waits for what, and what to do once it does not block.

Uses what every event loop of asyncio has: ``add_reader``, ``add_writer`` and their opposites.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.wasi.patience import REFUSED_S

if TYPE_CHECKING:
    from stratavm.wasi.descriptor import Descriptor

AGAIN: Final = object()
"""What a wait ends with where the waiter has to look for itself."""

Act = Callable[[], Any]


class Side:
    """One direction of a descriptor: those who wait, in order, and whether the loop is told to look."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, add: Callable[..., object], remove: Callable[[int], object], fd: int
    ) -> None:
        self._loop, self._add, self._remove, self._fd = loop, add, remove, fd
        self._waiters: deque[tuple[asyncio.Future[Any], Act | None]] = deque()
        self._is_seen = False
        self._later: asyncio.TimerHandle | None = None

    def wait(self, future: asyncio.Future[Any], act: Act | None) -> None:
        """Act once it is ready, and put the result into the future; ``AGAIN`` without an act, and where the loop
        cannot watch it, which is what is always ready."""
        if not self._is_seen and self._later is None and not self._see():
            future.set_result(AGAIN)
            return
        self._waiters.append((future, act))

    def _see(self) -> bool:
        try:
            self._add(self._fd, self._happened)
        except PermissionError:  # a file, or a device such as /dev/null
            return False
        self._is_seen = True
        return True

    def forget(self, future: asyncio.Future[Any]) -> None:
        """Nobody waits for it any more. What is not waited for is looked away from when it happens next."""
        self._waiters = deque(waiter for waiter in self._waiters if waiter[0] is not future)

    def _happened(self) -> None:
        """It is ready. Who only reads stays watched: what comes next comes as a rule when the next one waits."""
        waiters = self._waiters
        if not waiters:
            self.look_away()
        while waiters:
            future, act = waiters[0]
            if not future.done():
                try:
                    future.set_result(AGAIN if act is None else act())
                except BlockingIOError:
                    self._rest()
                    return
                except Exception as error:
                    future.set_exception(error)
            waiters.popleft()

    def _rest(self) -> None:
        """It was said to be ready, and was not: look again in a moment, and not at each turn of the loop."""
        self.look_away()
        self._later = self._loop.call_later(REFUSED_S, self._look_again)

    def _look_again(self) -> None:
        self._later = None
        if self._waiters and not self._see():
            self._happened()

    def look_away(self) -> None:
        """The loop looks no more."""
        if self._is_seen:
            self._is_seen = False
            self._remove(self._fd)

    def end(self) -> None:
        """The descriptor is about to be closed."""
        self.look_away()
        if self._later is not None:
            self._later.cancel()
        for future, _ in self._waiters:
            if not future.done():
                future.set_result(AGAIN)
        self._waiters.clear()


class Watch:
    """A descriptor in an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int) -> None:
        self.loop, self.fd = loop, fd
        self.reading = Side(loop, loop.add_reader, loop.remove_reader, fd)
        self.writing = Side(loop, loop.add_writer, loop.remove_writer, fd)

    def side(self, write: bool) -> Side:
        """One of the two."""
        return self.writing if write else self.reading

    def end(self, close: Callable[[], object]) -> None:
        """Look away, then close; from another thread than the loop's: soon, in the loop's."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if self.loop.is_closed():  # with what it looked by
            close()
        elif here is self.loop or not self.loop.is_running():
            self._end(close)
        else:
            try:
                self.loop.call_soon_threadsafe(self._end, close)
            except RuntimeError:
                close()

    def _end(self, close: Callable[[], object]) -> None:
        self.reading.end()
        self.writing.end()
        close()


def watch_of(descriptor: Descriptor, loop: asyncio.AbstractEventLoop, fd: int) -> Watch:
    """Its watch in a loop."""
    found: Watch | None = descriptor.watch
    if found is None or found.loop is not loop or found.fd != fd:
        if found is not None:
            found.end(lambda: None)
        found = descriptor.watch = Watch(loop, fd)
    return found
