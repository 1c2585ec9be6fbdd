# strata: hot
"""Whose turn is next: queues of calls by tenant, slots, and deficit round robin over processor time.

No clock, no event loop and no guests: times come as arguments, and what is decided is returned. A *ticket* is one call.
It waits in the queue of its tenant, gets a slot with its first turn, asks for further turns while it has the slot
(behind each wait for the host, and when a tick suspended it), and gives the slot back.

A tenant whose deficit is positive is served; each pass over those that want a turn adds a quantum to a deficit that is
not, and what a turn took is subtracted behind it. Tenants that have just come and are not in debt are served first
(RFC 8290, 4.1.1), so those who want little wait for a turn of somebody else at most. Who comes back has what passes
meanwhile would have given him, up to some quanta: he uses them one by one, in turns with others who have any, before
those who wanted the processor all the time. So who wants less than his share does not wait for who wants more, though
his calls come in bursts; and nobody is in debt for longer than others were made to wait.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterator

import cython

from stratavm.pool.policy import Codel, Policy, Tenant, codel

MOST_LINES = 4096  # tenants without settings who want nothing are forgotten beyond
SHORT_TICKS = 16  # no more of them suspend a short call; they go by the wall: on a busy machine there are many
SAVED = 8  # quanta that a tenant has at most when he comes back, besides the one that everybody has
LOOKS = cython.declare(cython.Py_ssize_t, 16)  # lines looked at when a slot is free, for one that may have it
MOST = 1 << 50  # calls, and nanoseconds of a quantum: more are as good as no limit, and their sums are numbers of C


@cython.cclass
class Line:
    """The calls of one tenant."""

    def __init__(self, tenant: Tenant, quantum: float):
        self.tenant = tenant
        self.quantum_ns = max(1, min(int(quantum * tenant.weight * 1e9), MOST))
        self.most_saved_ns = SAVED * self.quantum_ns
        self.deficit_ns = self.quantum_ns
        self.most_running = limit_of(tenant.max_running)
        self.most_queued = limit_of(tenant.max_queued)
        self.queue = []
        self.outside, self.turns, self.slow = deque(), deque(), deque()
        self.place = NOWHERE
        self.codel = Codel()

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


@cython.cclass
class Ticket:
    """One call. ``future``, ``since``, ``is_new`` and ``refused`` belong to whoever waits for its turn, ``number`` to
    who tells of it."""

    def __init__(self, line: Line, priority: int, arrived: float):
        self.line, self.priority = line, priority
        self.arrived = self.since = self.queued_at = arrived
        self.place = GONE
        self.is_new = True

    @property
    def holds_slot(self) -> bool:
        """It has a slot, and does not wait for a turn."""
        return self.place == HELD

    @property
    def waits(self) -> bool:
        """It waits for room, for its first turn or for another one."""
        return self.place != HELD and self.place != GONE

    @property
    def is_gone(self) -> bool:
        """It was not let in yet, or has ended, or was refused."""
        return self.place == GONE

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


@cython.cfunc
def limit_of(most: object) -> cython.longlong:
    """A limit of a tenant's own, as a number of C."""
    return MOST if most is None else min(most, MOST)


@cython.cclass
class Desk:
    """Decides who is next.

    Attributes:
        limit: calls that may run at once just now.
        running, queued: how many do, and wait for their first turn.
        turns, slow: how many of those that run wait for a further turn: behind a wait for the host, and behind a tick.
        rests: the latter do not get one just now.
        cpu_ns: what turns took so far.
        shed: what was refused by the last calls; whoever calls them takes it from there.
    """

    def __init__(self, policy: Policy, tenants: tuple = ()):
        self.policy = policy
        self.most_running = min(policy.max_running + policy.spare, MOST)
        self.limit = min(policy.max_running, MOST)
        self.shed = []
        self.given = {tenant.name: tenant for tenant in tenants}
        self.known = {name: Line(tenant, policy.quantum) for name, tenant in self.given.items()}
        self.fresh, self.old = deque(), deque()
        self.blocked, self.has_outside = {}, {}
        self.resting = []
        self.serials = itertools.count()

    def line(self, name):
        """The line of a tenant, made where there is none."""
        found: Line = self.known.get(name)
        if found is None:
            if len(self.known) >= MOST_LINES:
                self.forget_some()
            found = self.known[name] = Line(Tenant(name), self.policy.quantum)
        return found

    def lines(self) -> Iterator:
        """All that there are."""
        return iter(self.known.values())

    def is_declared(self, line: Line) -> bool:
        """Whether the tenant has settings of his own."""
        return line.tenant.name in self.given

    def forget_some(self):
        """Tenants without settings who want nothing."""
        line: Line
        for name, line in list(self.known.items()):
            if name not in self.given and line.place == NOWHERE and not line.running and not line.outside:
                del self.known[name]
        return 0

    def count_active(self):
        """Tenants that want a turn or have a slot, as far as the desk sees them; one at least."""
        return max(1, len(self.fresh) + len(self.old) + len(self.blocked) + len(self.resting))

    def wants_turn(self):
        """Whether anybody waits for a turn, a slot or room."""
        return self.turns > 0 or self.queued > 0 or len(self.has_outside) > 0 or (self.slow > 0 and not self.rests)

    def has_waiting(self):
        """Whether anybody does, those who rest included."""
        return self.turns > 0 or self.slow > 0 or self.queued > 0 or len(self.has_outside) > 0

    @property
    def wants(self) -> bool:
        """Whether anybody waits for a turn, a slot or room."""
        return self.wants_turn()

    def is_free(self, line):
        """Whether a tenant may have a turn at once: nobody waits for one, or those who wait rest and he is not in
        debt."""
        if self.turns or self.queued or len(self.has_outside):
            return False
        return self.slow == 0 or (self.rests and line.deficit_ns > 0)

    def begin_at_once(self, ticket):
        """A call comes where nobody else is to have a turn: it has a slot and a turn, if there is a slot."""
        line: Line = ticket.line
        if line.epoch != self.epoch or line.place == NOWHERE:
            self.settle(line)
        if not self.is_free(line) or not self.has_slot(line):
            return False
        ticket.place = HELD
        line.running += 1
        self.running += 1
        return True

    # ---- coming and going ----

    def arrive(self, ticket: Ticket) -> bool:
        """Take a call in, into the queue or outside of it; false if it is refused, because the queue is full."""
        line: Line = ticket.line
        if self.is_full(line):
            if self.policy.overload == "wait":
                ticket.place = OUTSIDE
                line.outside.append(ticket)
                self.has_outside[line] = None
                return True
            if not self.make_room(line):
                return False
        self.queue(ticket)
        return True

    def is_full(self, line):
        """No room; a call that could run at once needs none, unless others wait."""
        if line.queued >= line.most_queued:
            return line.queued > 0 or not self.has_slot(line)
        return self.queued >= self.policy.max_queued and (self.queued > 0 or not self.has_slot(line))

    def make_room(self, line):
        """Refuse a call of the longest queue instead, if this one is shorter than its share."""
        if line.queued >= line.most_queued or line.queued >= self.policy.max_queued // self.count_active():
            return False
        longest: Line = max(self.known.values(), key=queued_of)
        if longest.queued <= line.queued + 1:
            return False
        last: Ticket = max([entry for entry in longest.queue if is_queued(entry)])[2]
        self.drop(last)
        self.shed.append((last, "full"))
        return True

    def queue(self, ticket):
        """It waits for its first turn."""
        line: Line = ticket.line
        ticket.place = QUEUED
        heapq.heappush(line.queue, (-ticket.priority, next(self.serials), ticket))
        line.queued += 1
        self.queued += 1
        self.join(line)
        return 0

    def join(self, line):
        """It wants something."""
        if line.place == BLOCKED and (line.turns or line.slow or self.has_slot(line)):
            self.unblock(line)
        elif line.place == RESTS and (line.turns or line.queued):
            line.place = OLD
            self.old.append(line)
        if line.place != NOWHERE:
            return 0
        self.settle(line)
        if line.deficit_ns > 0:
            line.place = FRESH
            self.fresh.append(line)
        else:
            line.place = OLD
            self.old.append(line)
        return 0

    def settle(self, line):
        """What passes have given a tenant who wanted nothing."""
        if line.epoch != self.epoch:
            line.epoch, line.deficit_ns, line.saved_ns = self.epoch, line.quantum_ns, 0
        else:
            most: cython.double = line.quantum_ns + line.most_saved_ns  # beyond which nothing is kept
            has: cython.longlong = cython.cast(
                cython.longlong, min(line.deficit_ns + (self.passes - line.passes) * line.quantum_ns, most)
            )
            line.deficit_ns = min(line.quantum_ns, has)
            line.saved_ns = min(line.most_saved_ns, line.saved_ns + has - line.deficit_ns)
        line.passes, line.makes_way = self.passes, False
        return 0

    def drop(self, ticket):
        """Take a ticket out of the queue; its entry is skipped later."""
        line: Line = ticket.line
        ticket.place = GONE
        line.queued -= 1
        self.queued -= 1
        if len(line.queue) > 2 * line.queued + 8:
            line.queue = [entry for entry in line.queue if is_queued(entry)]
            heapq.heapify(line.queue)
        return 0

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """It does not want to wait any longer, for its first turn or for another one. A slot that it has, it keeps."""
        line: Line = ticket.line
        if ticket.place == QUEUED:
            self.drop(ticket)
            self.let_in(now)
        elif ticket.place == OUTSIDE:
            line.outside.remove(ticket)
            ticket.place = GONE
        elif ticket.place == TURN:
            if ticket in line.turns:
                line.turns.remove(ticket)
                self.turns -= 1
            else:
                line.slow.remove(ticket)
                self.slow -= 1
            ticket.place = HELD

    def want_turn(self, ticket):
        """It has a slot and wants the processor again, behind a wait for the host."""
        ticket.place = TURN
        ticket.line.turns.append(ticket)
        self.turns += 1
        self.join(ticket.line)
        return 0

    def want_to_compute(self, ticket):
        """It has a slot and wants the processor again: a tick took it away."""
        ticket.place = TURN
        ticket.line.slow.append(ticket)
        self.slow += 1
        self.join(ticket.line)
        return 0

    def rest(self):
        """Those who compute do not go on until ``wake``, nor does who is in debt, if any wait."""
        self.rests = True
        return 0

    def wake(self):
        """They do."""
        line: Line
        self.rests = False
        if not self.resting:
            return 0
        has_turn: list = []
        is_due: list = []
        had_turn: list = []
        for line in self.resting:
            if line.place == RESTS:
                (has_turn if line.deficit_ns > 0 else is_due if line.is_due else had_turn).append(line)
                line.place, line.is_due = OLD, line.deficit_ns <= 0
        self.old.extendleft(reversed(has_turn))
        self.old.extend(is_due)
        self.old.extend(had_turn)
        self.resting.clear()
        return 0

    def charge(self, ticket, cpu_ns):
        """A turn has taken so much processor time."""
        line: Line = ticket.line
        ticket.cpu_ns += cpu_ns
        line.cpu_ns += cpu_ns
        line.deficit_ns -= cpu_ns
        self.cpu_ns += cpu_ns
        if line.deficit_ns <= 0 and line.saved_ns:
            taken: cython.longlong = min(line.saved_ns, line.quantum_ns - line.deficit_ns)
            line.saved_ns -= taken
            line.deficit_ns += taken
            line.makes_way = True
        return 0

    def computes(self, ticket):
        """A tick has suspended a call: whether it is one of those who compute. Who has taken less than a quantum is
        not, unless the tenant is in debt: where ticks fall is chance, and who is nearly through would wait for a whole
        rest."""
        ticket.ticks += 1
        line: Line = ticket.line
        return line.deficit_ns <= 0 or ticket.cpu_ns >= line.quantum_ns or ticket.ticks > SHORT_TICKS

    def leave(self, ticket):
        """It has ended, and gives its slot back."""
        line: Line = ticket.line
        ticket.place = GONE
        line.running -= 1
        self.running -= 1
        if self.blocked:
            self.unblock(line)
            self.unblock_one()
        if not self.running and not self.queued:
            self.epoch += 1  # nobody waits: nobody is in debt
            for ring in (self.fresh, self.old):
                while ring:
                    line = ring.popleft()
                    line.place = NOWHERE
        return 0

    def unblock(self, line):
        """It goes round again, if it waited for a slot."""
        if line.place == BLOCKED:
            del self.blocked[line]
            line.place = OLD
            self.old.append(line)
        return 0

    def unblock_one(self):
        """One of those that wait for a slot, if it may have it; not all are looked at each time, but all in turn."""
        line: Line
        for line in list(itertools.islice(self.blocked, LOOKS)):
            del self.blocked[line]
            if not line.queued:
                line.place, line.passes = NOWHERE, self.passes
                continue
            self.blocked[line] = None
            if self.has_slot(line):
                self.unblock(line)
                return True
        return False

    def set_limit(self, limit: int) -> None:
        """So many calls may run at once from now on."""
        line: Line
        before: cython.Py_ssize_t = self.limit
        self.limit = min(limit, MOST)
        for line in list(itertools.islice(self.blocked, max(0, self.limit - before))):
            self.unblock(line)

    def let_in(self, now):
        """Those who wait outside, one of each tenant at a time, as far as there is room in the queue."""
        line: Line
        ticket: Ticket
        tried: cython.Py_ssize_t = 0
        while self.has_outside and tried < len(self.has_outside) and self.queued < max(1, self.policy.max_queued):
            line = next(iter(self.has_outside))
            del self.has_outside[line]
            if line.outside and line.queued < line.most_queued:
                ticket = line.outside.popleft()
                ticket.queued_at = now
                self.queue(ticket)
                tried = -1
            if line.outside:
                self.has_outside[line] = None
                tried += 1
        return 0

    def waiting(self) -> Iterator:
        """Every ticket that waits for its first turn, outside or in the queue."""
        line: Line
        for line in self.known.values():
            yield from [entry[2] for entry in line.queue if is_queued(entry)]
            yield from list(line.outside)

    # ---- whose turn it is ----

    def has_slot(self, line):
        """Whether a call of the line may begin to run."""
        if line.running >= line.most_running:
            return False
        if self.running < self.limit:
            return True
        active: cython.Py_ssize_t = self.count_active()
        fair: cython.Py_ssize_t = (self.limit + active - 1) // active
        return line.running < fair and self.running < self.most_running

    def next(self, now):
        """Whose turn it is, with a slot; None if nobody can have one. What is refused meanwhile is in ``shed``."""
        line: Line
        begun: Ticket
        if self.has_outside:
            self.let_in(now)
        while True:
            line = self.next_line()
            if line is None:
                return None
            # Its guests and its calls that wait alternate: one that computes for ever keeps the others out of nothing.
            if self.can_go_on(line) and (line.began_last or not line.queued or not self.has_slot(line)):
                line.began_last = False
                return self.went_on(line)
            line.began_last = True
            begun = self.start(line, now)
            if begun is not None:
                return begun

    def can_go_on(self, line):
        """One of its guests may have a turn."""
        return len(line.turns) > 0 or (not self.rests and len(line.slow) > 0)

    def went_on(self, line):
        """The next of its guests, those first that have just heard from the host."""
        ticket: Ticket
        if line.turns:
            self.turns -= 1
            ticket = line.turns.popleft()
        else:
            self.slow -= 1
            ticket = line.slow.popleft()
        ticket.place = HELD
        return ticket

    def next_line(self):
        """Go round until one has something to do, a slot to do it, and is not in debt."""
        line: Line
        while self.fresh or self.old or self.unblock_one():
            ring: object = self.fresh or self.old
            line = ring[0]
            if not self.can_go_on(line) and not (line.queued and self.has_slot(line)):
                ring.popleft()
                self.set_aside(line)
            elif line.deficit_ns <= 0 and self.rests and self.slow:
                ring.popleft()
                line.place = RESTS  # who is in debt waits for those who rest
                self.resting.append(line)
            elif line.deficit_ns <= 0:
                ring.popleft()
                self.go_round(line)
            elif line.makes_way:  # a quantum of what it had saved was used: others who have some are next
                ring.popleft()
                line.place, line.makes_way = FRESH, False
                self.fresh.append(line)
            else:
                return line
        return None

    def set_aside(self, line):
        """It can have no turn just now."""
        if line.slow:
            line.place = RESTS
            self.resting.append(line)
        elif line.queued:
            line.place = BLOCKED
            self.blocked[line] = None
        else:
            line.place, line.passes = NOWHERE, self.passes
        return 0

    def go_round(self, line):
        """Its turns are over for now, or come again with a quantum more: not before, or it might use that early."""
        if line.is_due:
            self.pay(line)
        line.is_due = line.deficit_ns <= 0
        line.place = OLD
        if line.is_due:
            self.old.append(line)
        else:
            self.old.appendleft(line)
        return 0

    def pay(self, line):
        """A quantum towards its debt; if it is the only one, as many as it needs."""
        others: cython.Py_ssize_t = len(self.fresh) + len(self.old)
        self.passes += 1 / cython.cast(cython.double, 1 + others)
        quanta: cython.longlong = 1 if others else 1 + (-line.deficit_ns) // line.quantum_ns
        line.deficit_ns += quanta * line.quantum_ns
        return 0

    def start(self, line, now):
        """The first call in a queue, with a slot; None if it is refused. Those who wait outside get its place."""
        ticket: Ticket = heapq.heappop(line.queue)[2]
        while ticket.place != QUEUED:
            ticket = heapq.heappop(line.queue)[2]
        line.queued -= 1
        self.queued -= 1
        self.let_in(now)
        if self.policy.overload == "shed":
            line.codel, over = codel(line.codel, now - ticket.arrived, now, self.policy, line.queued == 0)
            if over:
                ticket.place = GONE
                self.shed.append((ticket, "overload"))
                return None
        ticket.place = HELD
        line.running += 1
        self.running += 1
        return ticket

    def __reduce__(self):
        raise TypeError("a part of a pool can neither be copied nor pickled")


@cython.cfunc
def is_queued(entry: tuple) -> cython.bint:
    """An entry of a line's queue whose ticket has not left it."""
    ticket: Ticket = entry[2]
    return ticket.place == QUEUED


def queued_of(line: Line) -> int:
    """Calls of a tenant that wait for their first turn."""
    return line.queued
