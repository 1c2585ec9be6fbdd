"""The place of one call in a pool: its turns on the loop's thread, what they take, and what it waits for meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine

from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.engine.asynccall import TURN, AsyncCall
from stratavm.engine.asynchronous import Bulk, Waits
from stratavm.pool.desk import Desk, Ticket
from stratavm.pool.house import House
from stratavm.pool.meter import Meter
from stratavm.pool.metrics import Counters
from stratavm.pool.steering import Steering

if TYPE_CHECKING:
    from stratavm.pool.rejected import Reason


class Floor:
    """Grants turns on a loop's thread to calls of a pool, one at a time, as a desk says.

    Args:
        desk: decides who is next.
        counters: of the pool, as ``meter`` and ``steering``.
        meter: of processor time.
        steering: is told how turns go.

    Attributes:
        house: what it shares with the pools of the same loop.
        used_ns: what its turns took, for the house, which does not add up what was not wanted.
        now: the time in seconds.
    """

    def __init__(self, desk: Desk, counters: Counters, meter: Meter, steering: Steering) -> None:
        self.desk, self.counters, self.meter, self._steering = desk, counters, meter, steering
        self.house = House()
        self.used_ns = 0
        self.now: Callable[[], float] = time.monotonic

    @property
    def holder(self) -> Ticket | None:
        """Whose turn it is, in any pool of the loop."""
        return self.house.holder

    def begin_at_once(self, ticket: Ticket) -> bool:
        """A new call has a slot and a turn, if there is a slot, and nobody has a turn or is to have one."""
        if not self.house.is_free(self) or not self.desk.begin_at_once(ticket):
            return False
        self.house.holder = ticket
        ticket.is_new = False
        self._steering.began(self.desk.running)
        return True

    def at_once(self, ticket: Ticket) -> bool:
        """Take a turn, if nobody has one or waits for one."""
        if not self.house.is_free(self) or not self.desk.is_free(ticket.line):
            return False
        self.house.holder = ticket
        self._steering.went_on(0.0)
        return True

    async def granted(self, ticket: Ticket) -> Reason | None:
        """Wait for a turn; the reason if there will be none."""
        self.pass_on()
        if self.holder is ticket or ticket.refused is not None:
            return ticket.refused
        ticket.future = asyncio.get_running_loop().create_future()
        try:
            await ticket.future
        except BaseException:
            if self.holder is ticket:
                self.house.holder = None
            else:
                self.desk.withdraw(ticket, self.now())
            self.pass_on()
            raise
        finally:
            ticket.future = None
        return ticket.refused

    def release(self, ticket: Ticket) -> None:
        """A turn is over: it is somebody else's."""
        if self.holder is ticket:
            self.house.holder = None
            self.pass_on()

    def charge(self, ticket: Ticket, cpu_ns: int) -> None:
        """A turn has taken so much processor time."""
        self.desk.charge(ticket, cpu_ns)
        self.house.charge(self, cpu_ns)

    def rest(self, ticket: Ticket, turn: float) -> None:
        """A turn of so many seconds is over, ended by a tick: those who compute wait until the loop had its share."""
        if self.holder is ticket:
            self.house.holder = None
            self.desk.rest()
            self.house.rest(self.meter.cpu_ns, turn)

    def pass_on(self) -> None:
        """Grant the next turn, unless one is under way."""
        if self.desk.has_waiting:
            self.house.wants(self)
        self._tell_shed()
        self.house.pass_on()

    def _tell_shed(self) -> None:
        while self.desk.shed:
            self.refuse(*self.desk.shed.pop())

    def grant(self) -> bool:
        """Grant one to a call of this pool, if any may have it."""
        now = self.now()
        self.house.holder = ticket = self.desk.next(now)
        self._tell_shed()
        if ticket is None:
            return False
        self._note(ticket, now)
        if ticket.future is not None and not ticket.future.done():
            ticket.future.set_result(None)
        return True

    def _note(self, ticket: Ticket, now: float) -> None:
        """What it has waited for."""
        if ticket.is_new:
            ticket.is_new = False
            self.counters.waits["room"] += ticket.queued_at - ticket.arrived
            self.counters.waits["queue"] += now - ticket.queued_at
            self._steering.began(self.desk.running)
        else:
            self._steering.went_on(now - ticket.since)

    def refuse(self, ticket: Ticket, reason: Reason) -> None:
        """It gets no turn, for a reason; whoever waits for it learns that."""
        ticket.refused = reason
        if ticket.future is not None and not ticket.future.done():
            ticket.future.set_result(None)


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
            floor.charge(ticket, floor.meter.taken(self._began_ns))
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
        """Wait for a further turn, behind what the loop has to do otherwise. A short call keeps its turn, and the loop
        goes round once."""
        floor, ticket = self._floor, self._ticket
        if self.holds:
            took_ns = floor.meter.taken(self._began_ns)
            floor.charge(ticket, took_ns)
            if not floor.desk.computes(ticket):
                try:
                    await TURN
                finally:
                    self.begin()
                _expire(call)
                return
            self.holds = False
            floor.rest(ticket, took_ns / 1e9)
        ticket.since = floor.now()
        floor.desk.want_to_compute(ticket)
        await floor.granted(ticket)
        floor.counters.waits["turn"] += floor.now() - ticket.since
        self.begin()
        _expire(call)

    def limited(self, call: AsyncCall, request: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
        """The guest waits for the host, or for what is left of a bulk operation."""
        return self._in_turns(call, request) if isinstance(request, Bulk) else self._hosted(call, request)

    async def _in_turns(self, call: AsyncCall, bulk: Bulk) -> None:
        """A part in each of the guest's turns: it computes, as between two ticks."""
        await self._others_first(call)
        for _ in bulk:
            if call.reason:
                return
            await self._others_first(call)

    async def _hosted(self, call: AsyncCall, request: Awaitable[Any]) -> Any:
        self.end()
        floor, now = self._floor, self.now
        began = now()
        has_deadline = call.reason or call.seconds_left is not None
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
