"""The place of one call in a pool: its turns on the loop's thread, what they take, and what it waits for meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine

from stratavm.base.forms import TYPE_CHECKING, Any, Protocol
from stratavm.engine.asynccall import AsyncCall
from stratavm.engine.asynchronous import Waits
from stratavm.pool.desk import Desk, Ticket
from stratavm.pool.meter import Meter
from stratavm.pool.metrics import Counters

if TYPE_CHECKING:
    from stratavm.pool.rejected import Reason


class Floor(Protocol):
    """What a seat uses of its pool."""

    desk: Desk
    counters: Counters
    meter: Meter
    now: Callable[[], float]

    def at_once(self, ticket: Ticket) -> bool:
        """Take a turn, if nobody has one or waits for one."""
        ...

    async def granted(self, ticket: Ticket) -> Reason | None:
        """Wait for a turn; the reason if there will be none."""
        ...

    def release(self, ticket: Ticket) -> None:
        """A turn is over: it is somebody else's."""
        ...

    def rest(self, ticket: Ticket, turn: float) -> None:
        """A turn of so many seconds is over, ended by a tick: those who compute wait until the loop had its share."""
        ...


class Seat(Waits):
    """What an asynchronous call asks of its event loop, where a pool decides whose turn it is.

    A turn lasts from when the pool grants it until the guest waits for the host, is suspended at a tick, or ends. Only
    then the next one is granted, so guests of a pool never run into each other's turns, whoever wakes their tasks.
    """

    watches = True

    def __init__(self, floor: Floor, ticket: Ticket) -> None:
        self._floor, self._ticket = floor, ticket
        self._began_ns = 0
        self.holds = False
        self.now = floor.now

    def begin(self) -> None:
        """A turn has been granted."""
        self.holds = True
        self._began_ns = self._floor.meter.wall_ns()

    def end(self) -> None:
        """The turn is over, if there is one: it is somebody else's."""
        if self.holds:
            self.holds = False
            floor, ticket = self._floor, self._ticket
            floor.desk.charge(ticket, floor.meter.taken(self._began_ns))
            floor.release(ticket)

    async def go_on(self) -> None:
        """Wait for a further turn, which is at once where nobody else wants one."""
        floor, ticket = self._floor, self._ticket
        if not floor.at_once(ticket):
            ticket.since = floor.now()
            floor.desk.want_turn(ticket)
            await floor.granted(ticket)
            floor.counters.waits["turn"] += floor.now() - ticket.since
        self.begin()

    def turn(self, call: AsyncCall) -> Awaitable[Any]:
        """A tick has suspended the guest."""
        return self._others_first(call)

    async def _others_first(self, call: AsyncCall) -> None:
        """Wait for a further turn, behind what the loop has to do otherwise."""
        floor, ticket = self._floor, self._ticket
        if self.holds:
            self.holds = False
            took_ns = floor.meter.taken(self._began_ns)
            floor.desk.charge(ticket, took_ns)
            floor.rest(ticket, took_ns / 1e9)
        ticket.since = floor.now()
        floor.desk.want_to_compute(ticket)
        await floor.granted(ticket)
        floor.counters.waits["turn"] += floor.now() - ticket.since
        self.begin()
        _expire(call)

    def limited(self, call: AsyncCall, request: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
        """The guest waits for the host."""
        return self._hosted(call, request)

    async def _hosted(self, call: AsyncCall, request: Awaitable[Any]) -> Any:
        self.end()
        floor, now = self._floor, self.now
        began = now()
        has_deadline = call.seconds_left is not None
        try:
            answer = await (super().limited(call, request) if has_deadline else request)
        finally:
            floor.counters.waits["host"] += now() - began
        if floor.at_once(self._ticket):
            self.begin()
        else:
            await self.go_on()
        if has_deadline:
            _expire(call)
        return answer


def _expire(call: AsyncCall) -> None:
    """Its deadline may have come while it waited for its turn."""
    left = call.seconds_left
    if left is not None and left <= 0:
        call.expire()
