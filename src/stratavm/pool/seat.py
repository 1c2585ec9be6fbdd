# strata: hot
"""The place of one call in a pool: its turns on the loop's thread, what they take, and what it waits for meanwhile."""

import cython
from cython.cimports.stratavm.engine.asynccall import AsyncCall
from cython.cimports.stratavm.pool.desk import Ticket
from cython.cimports.stratavm.pool.house import Floor

from stratavm.engine.asynccall import TURN
from stratavm.engine.asynchronous import Bulk, Waits, current_task

WAITS = Waits()


@cython.cclass
class Seat:
    """What an asynchronous call asks of its event loop, where a pool decides whose turn it is, as ``Waits``.

    A turn lasts from when the pool grants it until the guest waits for the host, is suspended at a tick, or ends. Only
    then the next one is granted, so guests of a pool never run into each other's turns, whoever wakes their tasks.

    Attributes:
        holds: it has a turn.
        now: the time in seconds.
    """

    def __init__(self, floor: Floor, ticket: Ticket):
        self.floor, self.ticket = floor, ticket
        self.now = floor.now

    @property
    def watches(self) -> bool:
        """It is asked for every wait for the host, also where no deadline limits it."""
        return True

    def begin(self):
        """A turn has been granted."""
        self.holds = True
        self.began_ns = self.floor.meter.wall_ns()
        return 0

    def end(self):
        """The turn is over, if there is one: it is somebody else's."""
        if self.holds:
            self.holds = False
            self.floor.charge(self.ticket, self.floor.meter.taken(self.began_ns))
            self.floor.release(self.ticket)
        return 0

    async def go_on(self) -> None:
        """Wait for a further turn, which is at once where nobody else wants one."""
        floor: Floor = self.floor
        ticket: Ticket = self.ticket
        if not floor.at_once(ticket):
            ticket.since = floor.now()
            floor.desk.want_turn(ticket)
            await floor.granted(ticket)
            floor.waits["turn"] += floor.now() - ticket.since
        self.begin()

    def turn(self, call: AsyncCall) -> object:
        """A tick has suspended the guest."""
        return self._others_first(call)

    async def _others_first(self, call: object) -> None:
        """Wait for a further turn, behind what the loop has to do otherwise. A short call keeps its turn, and the loop
        goes round once."""
        floor: Floor = self.floor
        ticket: Ticket = self.ticket
        took_ns: cython.longlong
        if self.holds:
            took_ns = floor.meter.taken(self.began_ns)
            floor.charge(ticket, took_ns)
            if not floor.desk.computes(ticket):
                try:
                    await TURN
                finally:
                    self.begin()
                expire(call)
                return
            self.holds = False
            floor.rest(ticket, took_ns / 1e9)
        ticket.since = floor.now()
        floor.desk.want_to_compute(ticket)
        await floor.granted(ticket)
        floor.waits["turn"] += floor.now() - ticket.since
        self.begin()
        expire(call)

    def limited(self, call: AsyncCall, request: object) -> object:
        """The guest waits for the host, or for what is left of a bulk operation."""
        return self._in_turns(call, request) if isinstance(request, Bulk) else self._hosted(call, request)

    async def _in_turns(self, call: AsyncCall, bulk: object) -> None:
        """A part in each of the guest's turns: it computes, as between two ticks."""
        await self._others_first(call)
        for _ in bulk:
            if call.reason:
                return
            await self._others_first(call)

    async def _hosted(self, call: AsyncCall, request: object) -> object:
        self.end()
        floor: Floor = self.floor
        began: cython.double = self.now()
        has_deadline: cython.bint = call.reason != 0 or call.seconds_left is not None
        try:
            answer: object = await (WAITS.limited(call, request) if has_deadline else request)
        finally:
            floor.waits["host"] += self.now() - began
        if floor.at_once(self.ticket):
            self.begin()
        else:
            await self.go_on()
        if has_deadline:
            expire(call)
        return answer

    # ---- as every call asks, pool or not ----

    def task(self) -> object:
        """The running task, or None."""
        return current_task()

    def set_timer(self, call: AsyncCall) -> None:
        """Its deadline is another one; from any thread."""
        WAITS.set_timer(call)

    def wake(self, call: AsyncCall) -> None:
        """End what it waits for, from any thread."""
        WAITS.wake(call)

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


@cython.cfunc
def expire(call: object) -> cython.int:
    """Its deadline may have come while it waited for its turn."""
    left: object = call.seconds_left
    if left is not None and left <= 0:
        call.expire()
    return 0
