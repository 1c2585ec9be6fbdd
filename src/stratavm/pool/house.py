# strata: hot
"""Turns on the thread of an event loop: a floor grants those of a pool, a house has the floors of a loop's pools."""

import asyncio
import time
from weakref import WeakKeyDictionary

import cython
from cython.cimports.stratavm.pool.desk import Desk, Ticket
from cython.cimports.stratavm.pool.meter import Meter
from cython.cimports.stratavm.pool.steering import Steering

from stratavm.pool.steering import Rest

SAVED_NS = 40_000_000  # what a pool has saved at most, as a tenant of the usual policy in a pool


@cython.cclass
class House:
    """Turns of all pools of a loop. Where several want one, the pool is next whose guests have used least of late.

    A pool that comes back has used less than the others by so much at most, whatever it could have had meanwhile.

    Attributes:
        holder: whose turn it is.
        cpu_ns: what turns took so far.
    """

    def __init__(self):
        self.wanting = []
        self.clock = int

    def wants(self, floor):
        """Somebody waits for a turn there, or for what comes before one."""
        if floor in self.wanting:
            return 0
        self.wanting.append(floor)
        floor.used_ns = max(floor.used_ns, self.least_ns - cython.cast(cython.longlong, SAVED_NS))
        if self.resting is not None:
            floor.desk.rest()
        elif floor.desk.rests:  # since a rest whose end it did not wait for
            floor.desk.wake()
        return 0

    def is_free(self, floor):
        """Whether nobody has a turn, and nobody of another pool is to have one."""
        other: Floor
        if self.holder is not None:
            return False
        for other in self.wanting:
            if other is floor:
                continue
            if other.desk.wants_turn():
                return False
        return True

    def pass_on(self):
        """Grant the next turn, unless one is under way."""
        floor: Floor
        if self.holder is not None or not self.wanting:
            return 0
        still: list = []
        for floor in self.wanting:
            if floor.desk.has_waiting():
                still.append(floor)
        self.wanting = still
        for floor in still if len(still) < 2 else sorted(still, key=used):
            if floor.grant():
                self.least_ns = max(self.least_ns, floor.used_ns)
                return 0
        return 0

    def charge(self, floor, cpu_ns):
        """A turn has taken so much processor time."""
        floor.used_ns += cpu_ns
        self.cpu_ns += cpu_ns
        return 0

    def rest(self, clock, turn):
        """A turn of so many seconds is over, ended by a tick: those who compute wait until the loop had its share."""
        floor: Floor
        was_resting: cython.bint = self.resting is not None
        self.clock = clock
        self.resting = Rest(clock() / 1e9, self.cpu_ns / 1e9, turn)
        for floor in self.wanting:
            floor.desk.rest()
        if not was_resting:
            asyncio.get_running_loop().call_soon(self._round)
        self.pass_on()
        return 0

    def _round(self) -> None:
        """The loop has been round once in a rest."""
        floor: Floor
        if self.resting is None:
            return
        self.resting.round(self.clock() / 1e9, self.cpu_ns / 1e9)
        if self.resting.is_over:
            self.resting = None
            for floor in self.wanting:
                floor.desk.wake()
            self.pass_on()
        else:
            asyncio.get_running_loop().call_soon(self._round)

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


def used(floor: Floor) -> int:
    """What the turns of a pool took, as its house counts."""
    return floor.used_ns


@cython.cclass
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

    def __init__(self, desk: Desk, counters: object, meter: Meter, steering: Steering):
        self.desk, self.counters, self.meter, self.steering = desk, counters, meter, steering
        self.waits = counters.waits
        self.house = House()
        self.now = time.monotonic

    @property
    def holder(self) -> object:
        """Whose turn it is, in any pool of the loop."""
        return self.house.holder

    def begin_at_once(self, ticket):
        """A new call has a slot and a turn, if there is a slot, and nobody has a turn or is to have one."""
        if not self.house.is_free(self) or not self.desk.begin_at_once(ticket):
            return False
        self.house.holder = ticket
        ticket.is_new = False
        self.steering.began(self.desk.running)
        return True

    def at_once(self, ticket):
        """Take a turn, if nobody has one or waits for one."""
        if not self.house.is_free(self) or not self.desk.is_free(ticket.line):
            return False
        self.house.holder = ticket
        self.steering.went_on(0.0)
        return True

    async def granted(self, ticket: Ticket) -> object:
        """Wait for a turn; the reason if there will be none."""
        self.pass_on()
        if self.house.holder is ticket or ticket.refused is not None:
            return ticket.refused
        ticket.future = asyncio.get_running_loop().create_future()
        try:
            await ticket.future
        except BaseException:
            if self.house.holder is ticket:
                self.house.holder = None
            else:
                self.desk.withdraw(ticket, self.now())
            self.pass_on()
            raise
        finally:
            ticket.future = None
        return ticket.refused

    def release(self, ticket):
        """A turn is over: it is somebody else's."""
        if self.house.holder is ticket:
            self.house.holder = None
            self.pass_on()
        return 0

    def charge(self, ticket, cpu_ns):
        """A turn has taken so much processor time."""
        self.desk.charge(ticket, cpu_ns)
        self.house.charge(self, cpu_ns)
        return 0

    def rest(self, ticket, turn):
        """A turn of so many seconds is over, ended by a tick: those who compute wait until the loop had its share."""
        if self.house.holder is ticket:
            self.house.holder = None
            self.desk.rest()
            self.house.rest(self.meter.cpu_ns, turn)
        return 0

    def pass_on(self):
        """Grant the next turn, unless one is under way."""
        if self.desk.has_waiting():
            self.house.wants(self)
        if self.desk.shed:
            self.tell_shed()
        self.house.pass_on()
        return 0

    def tell_shed(self):
        """Those who were refused learn it."""
        while self.desk.shed:
            ticket, reason = self.desk.shed.pop()
            self.refuse(ticket, reason)
        return 0

    def grant(self):
        """Grant one to a call of this pool, if any may have it."""
        now: cython.double = self.now()
        ticket: Ticket = self.desk.next(now)
        self.house.holder = ticket
        if self.desk.shed:
            self.tell_shed()
        if ticket is None:
            return False
        self.note(ticket, now)
        if ticket.future is not None and not ticket.future.done():
            ticket.future.set_result(None)
        return True

    def note(self, ticket, now):
        """What it has waited for."""
        if ticket.is_new:
            ticket.is_new = False
            self.waits["room"] += ticket.queued_at - ticket.arrived
            self.waits["queue"] += now - ticket.queued_at
            self.steering.began(self.desk.running)
        else:
            self.steering.went_on(now - ticket.since)
        return 0

    def refuse(self, ticket, reason):
        """It gets no turn, for a reason; whoever waits for it learns that."""
        ticket.refused = reason
        if ticket.future is not None and not ticket.future.done():
            ticket.future.set_result(None)
        return 0

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


HOUSES = WeakKeyDictionary()


def house_of(loop: object) -> House:
    """The one of a loop."""
    found: House = HOUSES.get(loop)
    if found is None:
        found = HOUSES[loop] = House()
    return found
