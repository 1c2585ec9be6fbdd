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

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.pool.policy import Codel, Policy, Tenant, codel

if TYPE_CHECKING:
    from stratavm.pool.rejected import Reason

QUEUED, OUTSIDE, HELD, TURN, GONE = range(5)
"""Where a ticket is: in the queue; waiting for room in it; with a slot; with one, and waiting for a turn; nowhere."""
NOWHERE, FRESH, OLD, BLOCKED, RESTS = range(5)
"""Where a line is: it wants nothing; it has just come; it goes round; it waits for a slot, or for the rest's end."""
MOST_LINES: Final = 4096
"""Tenants without settings of their own are forgotten where there are more, those that want nothing."""
SHORT_TICKS: Final = 16
"""A short call is suspended by no more ticks than this. Ticks go by the wall: on a busy machine there are many."""
SAVED: Final = 8
"""Quanta that a tenant has at most when he comes back, besides the one that everybody has."""
LOOKS: Final = 16
"""Lines that wait for a slot, of which one is looked for when a slot is free."""


class Line:
    """The calls of one tenant."""

    __slots__ = (
        "began_last", "codel", "cpu_ns", "deficit_ns", "epoch", "is_due", "makes_way", "outside", "passes", "place",
        "quantum_ns", "queue", "queued", "running", "saved_ns", "slow", "tenant", "turns",
    )  # fmt: skip

    def __init__(self, tenant: Tenant, quantum: float) -> None:
        self.tenant = tenant
        self.quantum_ns = max(1, int(quantum * tenant.weight * 1e9))
        self.deficit_ns = self.quantum_ns
        self.saved_ns = self.epoch = 0
        self.is_due = self.makes_way = False
        self.passes = 0.0
        self.began_last = False
        self.queue: list[tuple[int, int, Ticket]] = []
        self.queued = 0
        self.outside: deque[Ticket] = deque()
        self.turns: deque[Ticket] = deque()
        self.slow: deque[Ticket] = deque()
        self.running = 0
        self.cpu_ns = 0
        self.place = NOWHERE
        self.codel = Codel()

    def is_over(self, mine: int | None, now: int) -> bool:
        """Whether a limit of the tenant's own is reached."""
        return mine is not None and now >= mine


class Ticket:
    """One call. ``future``, ``since``, ``is_new`` and ``refused`` belong to whoever waits for its turn, ``number`` to
    who tells of it."""

    __slots__ = (
        "arrived", "cpu_ns", "future", "is_new", "line", "number", "place", "priority", "queued_at", "refused",
        "since", "ticks",
    )  # fmt: skip

    def __init__(self, line: Line, priority: int, arrived: float) -> None:
        self.line, self.priority, self.arrived = line, priority, arrived
        self.since = arrived
        self.ticks = self.cpu_ns = self.number = 0
        self.place = GONE
        self.future: Any = None
        self.is_new = True
        self.queued_at = arrived
        self.refused: Reason | None = None


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

    def __init__(self, policy: Policy, tenants: tuple[Tenant, ...] = ()) -> None:
        self.policy = policy
        self.limit = policy.max_running
        self.running = self.queued = self.turns = self.slow = 0
        self.rests = False
        self.cpu_ns = 0
        self.shed: list[tuple[Ticket, Reason]] = []
        self._given = {tenant.name: tenant for tenant in tenants}
        self._lines: dict[str, Line] = {name: Line(tenant, policy.quantum) for name, tenant in self._given.items()}
        self._fresh: deque[Line] = deque()
        self._old: deque[Line] = deque()
        self._blocked: dict[Line, None] = {}
        self._resting: list[Line] = []
        self._outside: dict[Line, None] = {}
        self._epoch = 0
        self._passes = 0.0
        self._serials = itertools.count()

    def line(self, name: str) -> Line:
        """The line of a tenant, made where there is none."""
        found = self._lines.get(name)
        if found is None:
            if len(self._lines) >= MOST_LINES:
                self._forget_some()
            found = self._lines[name] = Line(Tenant(name), self.policy.quantum)
        return found

    def lines(self) -> Iterator[Line]:
        """All that there are."""
        return iter(self._lines.values())

    def is_declared(self, line: Line) -> bool:
        """Whether the tenant has settings of his own."""
        return line.tenant.name in self._given

    def _forget_some(self) -> None:
        for name, line in list(self._lines.items()):
            if name not in self._given and line.place == NOWHERE and not line.running and not line.outside:
                del self._lines[name]

    @property
    def active(self) -> int:
        """Tenants that want a turn or have a slot, as far as the desk sees them."""
        return max(1, len(self._fresh) + len(self._old) + len(self._blocked) + len(self._resting))

    @property
    def wants(self) -> bool:
        """Whether anybody waits for a turn, a slot or room."""
        return bool(self.turns or self.queued or self._outside or (self.slow and not self.rests))

    @property
    def has_waiting(self) -> bool:
        """Whether anybody does, those who rest included."""
        return bool(self.turns or self.slow or self.queued or self._outside)

    def is_free(self, line: Line) -> bool:
        """Whether a tenant may have a turn at once: nobody waits for one, or those who wait rest and he is not in
        debt."""
        if self.turns or self.queued or self._outside:
            return False
        return not self.slow or (self.rests and line.deficit_ns > 0)

    def begin_at_once(self, ticket: Ticket) -> bool:
        """A call comes where nobody else is to have a turn: it has a slot and a turn, if there is a slot."""
        line = ticket.line
        if line.epoch != self._epoch or line.place == NOWHERE:
            self._settle(line)
        if not self.is_free(line) or not self._has_slot(line):
            return False
        ticket.place = HELD
        line.running += 1
        self.running += 1
        return True

    # ---- coming and going ----

    def arrive(self, ticket: Ticket) -> bool:
        """Take a call in, into the queue or outside of it; false if it is refused, because the queue is full."""
        line = ticket.line
        if self._is_full(line):
            if self.policy.overload == "wait":
                ticket.place = OUTSIDE
                line.outside.append(ticket)
                self._outside[line] = None
                return True
            if not self._make_room(line):
                return False
        self._queue(ticket)
        return True

    def _is_full(self, line: Line) -> bool:
        """No room; a call that could run at once needs none, unless others wait."""
        if line.is_over(line.tenant.max_queued, line.queued):
            return bool(line.queued) or not self._has_slot(line)
        return self.queued >= self.policy.max_queued and (bool(self.queued) or not self._has_slot(line))

    def _make_room(self, line: Line) -> bool:
        """Refuse a call of the longest queue instead, if this one is shorter than its share."""
        if line.is_over(line.tenant.max_queued, line.queued) or line.queued >= self.policy.max_queued // self.active:
            return False
        longest = max(self._lines.values(), key=lambda other: other.queued)
        if longest.queued <= line.queued + 1:
            return False
        _, _, last = max(entry for entry in longest.queue if entry[2].place == QUEUED)
        self._drop(last)
        self.shed.append((last, "full"))
        return True

    def _queue(self, ticket: Ticket) -> None:
        line = ticket.line
        ticket.place = QUEUED
        heapq.heappush(line.queue, (-ticket.priority, next(self._serials), ticket))
        line.queued += 1
        self.queued += 1
        self._join(line)

    def _join(self, line: Line) -> None:
        """It wants something."""
        if line.place == BLOCKED and (line.turns or line.slow or self._has_slot(line)):
            self._unblock(line)
        elif line.place == RESTS and (line.turns or line.queued):
            line.place = OLD
            self._old.append(line)
        if line.place != NOWHERE:
            return
        self._settle(line)
        line.place = FRESH if line.deficit_ns > 0 else OLD
        (self._fresh if line.deficit_ns > 0 else self._old).append(line)

    def _settle(self, line: Line) -> None:
        """What passes have given a tenant who wanted nothing."""
        if line.epoch != self._epoch:
            line.epoch, line.deficit_ns, line.saved_ns = self._epoch, line.quantum_ns, 0
        else:
            has = line.deficit_ns + int((self._passes - line.passes) * line.quantum_ns)
            line.deficit_ns = min(line.quantum_ns, has)
            line.saved_ns = min(SAVED * line.quantum_ns, line.saved_ns + has - line.deficit_ns)
        line.passes, line.makes_way = self._passes, False

    def _drop(self, ticket: Ticket) -> None:
        """Take a ticket out of the queue; its entry is skipped later."""
        ticket.place = GONE
        ticket.line.queued -= 1
        self.queued -= 1
        if len(ticket.line.queue) > 2 * ticket.line.queued + 8:
            ticket.line.queue = [entry for entry in ticket.line.queue if entry[2].place == QUEUED]
            heapq.heapify(ticket.line.queue)

    def withdraw(self, ticket: Ticket, now: float) -> None:
        """It does not want to wait any longer, for its first turn or for another one. A slot that it has, it keeps."""
        if ticket.place == QUEUED:
            self._drop(ticket)
            self.let_in(now)
        elif ticket.place == OUTSIDE:
            ticket.line.outside.remove(ticket)
            ticket.place = GONE
        elif ticket.place == TURN:
            if ticket in ticket.line.turns:
                ticket.line.turns.remove(ticket)
                self.turns -= 1
            else:
                ticket.line.slow.remove(ticket)
                self.slow -= 1
            ticket.place = HELD

    def want_turn(self, ticket: Ticket) -> None:
        """It has a slot and wants the processor again, behind a wait for the host."""
        ticket.place = TURN
        ticket.line.turns.append(ticket)
        self.turns += 1
        self._join(ticket.line)

    def want_to_compute(self, ticket: Ticket) -> None:
        """It has a slot and wants the processor again: a tick took it away."""
        ticket.place = TURN
        ticket.line.slow.append(ticket)
        self.slow += 1
        self._join(ticket.line)

    def rest(self) -> None:
        """Those who compute do not go on until ``wake``, nor does who is in debt, if any wait."""
        self.rests = True

    def wake(self) -> None:
        """They do."""
        self.rests = False
        rested = [line for line in dict.fromkeys(self._resting) if line.place == RESTS]
        has_turn = [line for line in rested if line.deficit_ns > 0]
        had_turn = [line for line in rested if line.deficit_ns <= 0 and not line.is_due]
        self._old.extendleft(reversed(has_turn))
        self._old.extend(line for line in rested if line.deficit_ns <= 0 and line.is_due)
        self._old.extend(had_turn)
        for line in rested:
            line.place, line.is_due = OLD, line.deficit_ns <= 0
        self._resting.clear()

    def charge(self, ticket: Ticket, cpu_ns: int) -> None:
        """A turn has taken so much processor time."""
        line = ticket.line
        ticket.cpu_ns += cpu_ns
        line.cpu_ns += cpu_ns
        line.deficit_ns -= cpu_ns
        self.cpu_ns += cpu_ns
        if line.deficit_ns <= 0 and line.saved_ns:
            taken = min(line.saved_ns, line.quantum_ns - line.deficit_ns)
            line.saved_ns -= taken
            line.deficit_ns += taken
            line.makes_way = True

    def computes(self, ticket: Ticket) -> bool:
        """A tick has suspended a call: whether it is one of those who compute. Who has taken less than a quantum is
        not, unless the tenant is in debt: where ticks fall is chance, and who is nearly through would wait for a whole
        rest."""
        ticket.ticks += 1
        line = ticket.line
        return line.deficit_ns <= 0 or ticket.cpu_ns >= line.quantum_ns or ticket.ticks > SHORT_TICKS

    def leave(self, ticket: Ticket) -> None:
        """It has ended, and gives its slot back."""
        ticket.place = GONE
        line = ticket.line
        line.running -= 1
        self.running -= 1
        if self._blocked:
            self._unblock(line)
            self._unblock_one()
        if not self.running and not self.queued:
            self._epoch += 1  # nobody waits: nobody is in debt
            for ring in (self._fresh, self._old):
                while ring:
                    ring.popleft().place = NOWHERE

    def _unblock(self, line: Line) -> None:
        if line.place == BLOCKED:
            del self._blocked[line]
            line.place = OLD
            self._old.append(line)

    def _unblock_one(self) -> bool:
        """One of those that wait for a slot, if it may have it; not all are looked at each time, but all in turn."""
        for line in list(itertools.islice(self._blocked, LOOKS)):
            del self._blocked[line]
            if not line.queued:
                line.place, line.passes = NOWHERE, self._passes
                continue
            self._blocked[line] = None
            if self._has_slot(line):
                self._unblock(line)
                return True
        return False

    def set_limit(self, limit: int) -> None:
        """So many calls may run at once from now on."""
        grown, self.limit = limit - self.limit, limit
        for line in list(itertools.islice(self._blocked, max(0, grown))):
            self._unblock(line)

    def let_in(self, now: float) -> None:
        """Those who wait outside, one of each tenant at a time, as far as there is room in the queue."""
        tried = 0
        while self._outside and tried < len(self._outside) and self.queued < max(1, self.policy.max_queued):
            line = next(iter(self._outside))
            del self._outside[line]
            if line.outside and not line.is_over(line.tenant.max_queued, line.queued):
                line.outside[0].queued_at = now
                self._queue(line.outside.popleft())
                tried = -1
            if line.outside:
                self._outside[line] = None
                tried += 1

    def waiting(self) -> Iterator[Ticket]:
        """Every ticket that waits for its first turn, outside or in the queue."""
        for line in self._lines.values():
            yield from [entry[2] for entry in line.queue if entry[2].place == QUEUED]
            yield from list(line.outside)

    # ---- whose turn it is ----

    def _has_slot(self, line: Line) -> bool:
        """Whether a call of the line may begin to run."""
        if line.is_over(line.tenant.max_running, line.running):
            return False
        if self.running < self.limit:
            return True
        fair = math.ceil(self.limit / self.active)
        return line.running < fair and self.running < self.policy.max_running + self.policy.spare

    def next(self, now: float) -> Ticket | None:
        """Whose turn it is, with a slot; None if nobody can have one. What is refused meanwhile is in ``shed``."""
        if self._outside:
            self.let_in(now)
        while True:
            line = self._next_line()
            if line is None:
                return None
            # Its guests and its calls that wait alternate: one that computes for ever keeps the others out of nothing.
            if self._can_go_on(line) and (line.began_last or not line.queued or not self._has_slot(line)):
                line.began_last = False
                return self._went_on(line)
            line.began_last = True
            begun = self._start(line, now)
            if begun is not None:
                return begun

    def _can_go_on(self, line: Line) -> bool:
        return bool(line.turns or (line.slow and not self.rests))

    def _went_on(self, line: Line) -> Ticket:
        """The next of its guests, those first that have just heard from the host."""
        if line.turns:
            self.turns -= 1
            ticket = line.turns.popleft()
        else:
            self.slow -= 1
            ticket = line.slow.popleft()
        ticket.place = HELD
        return ticket

    def _next_line(self) -> Line | None:
        """Go round until one has something to do, a slot to do it, and is not in debt."""
        while self._fresh or self._old or self._unblock_one():
            ring = self._fresh or self._old
            line = ring[0]
            goes_on = self._can_go_on(line)
            may_begin = line.queued and self._has_slot(line)
            if not goes_on and not may_begin:
                ring.popleft()
                self._set_aside(line)
            elif line.deficit_ns <= 0 and self.rests and self.slow:
                ring.popleft()
                line.place = RESTS  # who is in debt waits for those who rest
                self._resting.append(line)
            elif line.deficit_ns <= 0:
                ring.popleft()
                self._go_round(line)
            elif line.makes_way:  # a quantum of what it had saved was used: others who have some are next
                ring.popleft()
                line.place, line.makes_way = FRESH, False
                self._fresh.append(line)
            else:
                return line
        return None

    def _set_aside(self, line: Line) -> None:
        """It can have no turn just now."""
        if line.slow:
            line.place = RESTS
            self._resting.append(line)
        elif line.queued:
            line.place = BLOCKED
            self._blocked[line] = None
        else:
            line.place, line.passes = NOWHERE, self._passes

    def _go_round(self, line: Line) -> None:
        """Its turns are over for now, or come again with a quantum more: not before, or it might use that early."""
        if line.is_due:
            self._pay(line)
        line.is_due = line.deficit_ns <= 0
        line.place = OLD
        if line.is_due:
            self._old.append(line)
        else:
            self._old.appendleft(line)

    def _pay(self, line: Line) -> None:
        """A quantum towards its debt; if it is the only one, as many as it needs."""
        alone = not self._fresh and not self._old
        self._passes += 1 / (1 + len(self._fresh) + len(self._old))
        quanta = 1 + (-line.deficit_ns // line.quantum_ns if alone else 0)
        line.deficit_ns += quanta * line.quantum_ns

    def _start(self, line: Line, now: float) -> Ticket | None:
        """The first call in a queue, with a slot; None if it is refused. Those who wait outside get its place."""
        ticket = heapq.heappop(line.queue)[2]
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
