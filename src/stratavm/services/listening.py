"""Async listeners: one bounded queue and one worker for each, so that a slow listener delays nobody but itself."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from stratavm.base.errors import StrataError
from stratavm.base.events.core import Bus, Event, Subscription
from stratavm.base.events.declare import EventsDropped
from stratavm.base.forms import Any, Final, Literal, TypeAlias
from stratavm.base.numbers import seconds, whole

Overflow: TypeAlias = Literal["drop_oldest", "block", "fail"]
OVERFLOWS: Final[tuple[Overflow, ...]] = ("drop_oldest", "block", "fail")


class QueueFull(StrataError):
    """An async listener's queue is full, and its overflow rule does not let the event wait."""


class AsyncListener:
    """The queue of one async listener. Made by ``listen`` and ``listening``.

    Attributes:
        delivered, dropped: events that the listener was called with, and that it lost.
        subscription: its place on the bus.
    """

    def __init__(
        self,
        bus: Bus,
        type_: type,
        call: Callable[[Any], Awaitable[object]],
        capacity: int,
        overflow: Overflow,
        block_timeout_s: float,
        name: str | None,
        where: Callable[[Any], bool] | None,
    ) -> None:
        if overflow not in OVERFLOWS:
            raise ValueError(f"overflow must be one of {', '.join(OVERFLOWS)}, got {overflow!r:.80}")
        self._bus, self._call, self._capacity = bus, call, whole("capacity", capacity, 1, unit="events")
        self._overflow, self._block_timeout_s = overflow, seconds("block_timeout_s", block_timeout_s)
        self._queue: deque[Event] = deque()
        self._space = threading.Condition()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self.delivered = self.dropped = 0
        self.subscription: Subscription = bus.subscribe(
            type_, self._offer, where=where, name=name or getattr(call, "__qualname__", repr(call)), on_close=self._end
        )

    def close(self) -> None:
        """Take no more events; the worker handles those that wait, then ends."""
        self.subscription.close()

    def __len__(self) -> int:
        """Events that wait."""
        return len(self._queue)

    # ---- the emitting side: any thread ----

    def _offer(self, event: Event) -> None:
        with self._space:
            if len(self._queue) >= self._capacity and not event.never_drop:
                self._make_room(event)
            self._queue.append(event)
        self._signal(self._wake)

    def _make_room(self, event: Event) -> None:
        """Apply the overflow rule, the lock held; raises QueueFull where the event cannot be taken."""
        if self._overflow == "drop_oldest":
            oldest = next((e for e in self._queue if not e.never_drop), None)
            self._lost()
            if oldest is None:
                raise QueueFull(
                    f"{self.subscription.name} has {len(self._queue)} events waiting that may not be dropped"
                )
            self._queue.remove(oldest)
        elif self._overflow == "fail" or threading.get_ident() == self._thread:
            self._lost()
            hint = "" if self._overflow == "fail" else ": on the listener's own loop use `await emit(bus, event)`"
            raise QueueFull(f"{self.subscription.name} has {len(self._queue)} events waiting, its capacity{hint}")
        elif not self._space.wait_for(self._has_room, self._block_timeout_s):
            self._lost()
            raise QueueFull(f"{self.subscription.name} made no room within {self._block_timeout_s} s")

    def _lost(self) -> None:
        self.dropped += 1
        if self._bus.hears(EventsDropped):
            self._bus.emit(EventsDropped(self.subscription.name, self.dropped))

    def _has_room(self) -> bool:
        return len(self._queue) < self._capacity or self._closed

    def _end(self) -> None:
        self._closed = True
        with self._space:
            self._space.notify_all()
        self._signal(self._wake)
        self._signal(self._room)

    def _signal(self, flag: asyncio.Event) -> None:
        if threading.get_ident() == self._thread:
            flag.set()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(flag.set)

    # ---- the listening side: the loop ----

    async def room(self) -> None:
        """Wait until the queue has room, or the listener is closed."""
        while not self._has_room():
            self._room.clear()
            await self._room.wait()

    @property
    def blocks(self) -> bool:
        """Whether the next event would have to wait."""
        return self._overflow == "block" and not self._has_room()

    async def work(self) -> None:
        """The worker: call the listener with one event after another, until closed and empty."""
        try:
            while True:
                while self._queue:
                    with self._space:
                        event = self._queue.popleft()
                        self._space.notify()
                    self._room.set()
                    await self._handle(event)
                if self._closed:
                    return
                self._wake.clear()
                await self._wake.wait()
        finally:
            self.close()

    async def _handle(self, event: Event) -> None:
        try:
            await self._call(event)
            self.delivered += 1
        except Exception as error:
            self._bus.report(self.subscription, event, error)


def listen(
    bus: Bus,
    type_: type,
    listener: Callable[[Any], Awaitable[object]],
    group: asyncio.TaskGroup,
    *,
    capacity: int = 256,
    overflow: Overflow = "drop_oldest",
    block_timeout_s: float = 10.0,
    name: str | None = None,
    where: Callable[[Any], bool] | None = None,
) -> AsyncListener:
    """Subscribe an async listener whose worker runs in ``group``; the group ends once it is closed.

    Args:
        bus: where the events come from.
        type_: what is heard, as in ``Bus.subscribe``.
        listener: a coroutine function of one event.
        group: owns the worker.
        capacity: events that may wait. Life-cycle events are taken beyond it, and never dropped.
        overflow: what a full queue does: ``drop_oldest``; ``block`` the emitting thread (an emitter on the
            listener's own loop uses ``await emit(bus, event)``); ``fail``, which drops the new event and emits
            ``ListenerFailed``.
        block_timeout_s: how long ``block`` waits before it fails.
        name: as in ``Bus.subscribe``.
        where: as in ``Bus.subscribe``.
    """
    made = AsyncListener(bus, type_, listener, capacity, overflow, block_timeout_s, name, where)
    group.create_task(made.work(), name=f"listener {made.subscription.name}")
    _by_bus(bus).append(made)
    return made


@asynccontextmanager
async def listening(
    bus: Bus, type_: type, listener: Callable[[Any], Awaitable[object]], **options: Any
) -> AsyncIterator[AsyncListener]:
    """As ``listen``, for the duration of an ``async with``; its end waits until the queued events are handled."""
    async with asyncio.TaskGroup() as group:
        made = listen(bus, type_, listener, group, **options)
        try:
            yield made
        finally:
            made.close()


async def emit(bus: Bus, event: Event) -> None:
    """Emit, after waiting until every blocking async listener of this loop has room."""
    while full := [x for x in _by_bus(bus) if x.blocks and isinstance(event, x.subscription.type)]:
        await full[0].room()
    bus.emit(event)


def _by_bus(bus: Bus) -> list[AsyncListener]:
    """Open async listeners of a bus."""
    found: list[AsyncListener] = bus.async_listeners
    found[:] = [x for x in found if not x.subscription.closed]
    return found
