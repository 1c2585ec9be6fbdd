# strata: hot
"""List scheduling of machine IR inside windows without effects, before registers are allocated.

Only blocks inside loops are looked at. A window is a run of at most 256 instructions that neither write memory nor
trap, call, poll or end a block; reads of memory may stand in it and keep their order among themselves, so that the
first trap stays the first. What belongs together moves together as a *unit*: flags and all that reads them, what is
compared with zero and the comparison, a constant and the instruction behind it.

Units are placed one by one, the one on the longest way to the window's end first, unless it would take more than the
class's registers less two. The new order is kept only if the model (in-order issue, four per cycle, ports and latencies
of the target) finds it shorter and it needs no more registers than the old one did, or than there are.
"""

import cython
from cython.cimports.libc.stdint import int32_t, uint32_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.machine.minst import (
    C_SAME,
    MI_CALL,
    MI_EFFECT,
    MI_EXIT,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    MI_TERMINATOR,
    MI_TRAPS,
    NO_VREG,
    R_DEF,
    R_DEF_EARLY,
    R_TEMP,
    R_USE,
    MBlock,
    MCode,
    MInst,
    MOperand,
    TargetFacts,
)
from cython.cimports.stratavm.machine.regalloc.intervals import NO_POS, Intervals

FactsPtr = cython.typedef(cython.pointer(cython.const[TargetFacts]))
NO_UNIT = cython.declare(uint32_t, 0xFFFFFFFF)
MAX_CONSTANTS = cython.declare(uint32_t, 4)
SHORTEST = cython.declare(uint32_t, 8)
"""Instructions of a block that may gain something; most blocks of loops are shorter."""
LOOPS = cython.declare(uint32_t, 1)
"""Only loops are worth the time: what runs once gains nothing that could be measured (ADR-0006)."""


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def row_of(t: FactsPtr, op: uint32_t) -> uint32_t:
    """The row of an instruction, with or without a context pointer as its base; 0 for pseudo operations."""
    if op >= t.behind:
        op -= t.behind
    return op if op < t.rows else 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def time_of(t: FactsPtr, op: uint32_t) -> uint32_t:
    """Index of an operation in the tables of timings."""
    if op >= t.behind or op < t.rows:
        return row_of(t, op)
    op = op - t.pseudo + t.rows if op >= t.pseudo else 0
    return op if op < t.timed else 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def reads(t: FactsPtr, m: cython.pointer(MInst)) -> cython.bint:
    """Whether the instruction reads memory that a store may change, or may trap by it."""
    return m.flags & (MI_EFFECT | MI_TRAPS) != 0 and t.reads[row_of(t, m.op)] != 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def ends_window(t: FactsPtr, m: cython.pointer(MInst)) -> cython.bint:
    """Whether nothing moves across the instruction."""
    if m.flags & (MI_CALL | MI_TERMINATOR | MI_EXIT):
        return True
    return m.flags & (MI_EFFECT | MI_TRAPS) != 0 and not t.reads[row_of(t, m.op)]


@cython.cclass
class Scheduler:
    """Schedules one function after another; reuses its arrays."""

    def __cinit__(self):
        self.intervals = Intervals()
        self.values = cython.NULL
        self.live = cython.NULL
        self.cap_values = self.cap_live = 0
        self.moved = 0

    def __dealloc__(self):
        vec_free(self.values)
        vec_free(self.live)

    def attach(self, m: MCode, depth: uint32_t = LOOPS) -> None:
        """Say what ``run`` works on: blocks inside of so many loops or more."""
        self.m = m
        self.target = cython.address(m.target)
        self.depth = depth

    def schedule(self, m: MCode, depth: uint32_t = 0) -> None:
        """``attach`` and ``run``: for tests, which look at every block."""
        self.attach(m, depth)
        with cython.nogil:
            self.run()

    def worthwhile(self, block):
        """Whether a block may have a window that runs often enough."""
        return block.depth >= self.depth and block.last - block.first >= SHORTEST

    def run(self):
        """Reorder windows of a function. A function that linear allocation refuses stays as it is."""
        i: uint32_t = 0
        while i < self.m.n_blocks and not self.worthwhile(cython.address(self.m.blocks[i])):
            i += 1
        if i == self.m.n_blocks or not self.intervals.build(self.m):
            return 0
        vec_room(self.values, self.cap_values, self.m.n_vregs + 1)
        memset(self.values, 0, self.m.n_vregs * cython.sizeof(ValueState))
        self.number = 0
        self.count_live()
        at: uint32_t
        end: uint32_t
        begin: uint32_t
        for i in range(self.m.n_blocks):
            b: cython.pointer(MBlock) = cython.address(self.m.blocks[i])
            if not self.worthwhile(b):
                continue
            self.stop = b.last
            at = b.first
            while at < b.last:
                breathe(at)
                begin = at
                end = self.unit_end(at)
                while end > at and end - begin <= WINDOW:
                    at = end
                    end = self.unit_end(at)
                if at - begin > 2:
                    self.window(begin, at)
                if end == at:
                    at += 1
                elif at == begin:
                    at = end
        return 0

    def count_live(self):
        """How many values of each class are alive before each instruction."""
        n: uint32_t = self.m.n_insts
        v: uint32_t
        first: uint32_t
        last: uint32_t
        vec_room(self.live, self.cap_live, 2 * n + 4)
        memset(self.live, 0, (2 * n + 4) * cython.sizeof(int32_t))
        for v in range(self.m.n_vregs):
            if self.intervals.items[v].start == NO_POS:
                continue
            first = (self.intervals.items[v].start + 1) >> 1
            last = self.intervals.items[v].end >> 1
            if first <= last and last < n:
                self.live[2 * first + (self.m.vclass[v] & 1)] += 1
                self.live[2 * (last + 1) + (self.m.vclass[v] & 1)] -= 1
        for v in range(2, 2 * n + 2):
            self.live[v] += self.live[v - 2]
        return 0

    # ---- windows and units ---------------------------------------------------------------------

    def unit_end(self, at):
        """Behind the unit that begins at ``at``; ``at`` itself where the window ends instead."""
        end: uint32_t = at
        k: uint32_t
        constant: cython.bint
        while end < self.stop:
            inst: cython.pointer(MInst) = cython.address(self.m.insts[end])
            if ends_window(self.target, inst) or inst.flags & MI_FLAGS_USE:
                return at
            end += 1
            if inst.flags & MI_FLAGS_DEF:
                end = self.flags_end(end + self.tested(end))
                return end if end else at
            constant = not reads(self.target, inst)
            for k in range(inst.nops):
                if self.m.operands[inst.ops + k].vreg != NO_VREG and self.m.operands[inst.ops + k].role != R_DEF:
                    constant = False
            if not constant or end - at >= MAX_CONSTANTS:
                return end
        return at

    def tested(self, at):
        """Whether an instruction only compares with zero what the one before computed: the flags say that already, so
        the emitter leaves it out where the two stay together."""
        if at >= self.stop:
            return False
        test: cython.pointer(MInst) = cython.address(self.m.insts[at])
        before: cython.pointer(MInst) = cython.address(self.m.insts[at - 1])
        if not test.flags & MI_FLAGS_DEF or test.nops != 1 or test.imm or test.width != before.width:
            return False
        read: cython.pointer(MOperand) = cython.address(self.m.operands[test.ops])
        written: cython.pointer(MOperand) = cython.address(self.m.operands[before.ops])
        return before.nops > 0 and written.role == R_DEF and read.role == R_USE and read.vreg == written.vreg

    def flags_end(self, begin):
        """Behind the last reader of the flags that were set before ``begin``; 0: they must stay where they are."""
        end: uint32_t = begin
        scan: uint32_t = begin
        crossed: cython.bint = False
        while scan < self.stop:
            inst: cython.pointer(MInst) = cython.address(self.m.insts[scan])
            if scan - begin > WINDOW:
                return 0
            crossed = crossed or ends_window(self.target, inst)
            if inst.flags & MI_FLAGS_USE:
                if crossed:
                    return 0
                end = scan + 1
            elif inst.flags & MI_FLAGS_DEF:
                break
            scan += 1
        return end

    def window(self, begin, last):
        """Find a better order for the instructions from ``begin`` to before ``last``, and apply it."""
        self.begin = begin
        self.end = last
        self.number += 1
        self.n_units = self.n_links = self.n_readers = 0
        at: uint32_t = begin
        end: uint32_t
        before: uint32_t
        before_peak: int32_t[2]
        while at < last:
            end = self.unit_end(at)
            u: cython.pointer(Unit) = cython.address(self.units[self.n_units])
            u.first = at
            u.count = end - at
            u.height = u.ready = u.waits = 0
            u.links = NO_UNIT
            self.source[self.n_units] = self.n_units
            self.n_units += 1
            at = end
        if self.n_units < 3 or not self.depend():
            return 0
        self.heights()
        k: uint32_t
        for k in range(self.n_units):
            self.order[k] = k
        before = self.evaluate()
        longest: uint32_t = (last - begin - 1) // self.target.issue
        for k in range(self.n_units):
            if self.units[k].height > longest:
                longest = self.units[k].height
        if before <= longest:
            return 0  # no order is shorter than the longest way
        before_peak[0] = self.peak[0] if self.peak[0] > self.target.pressure[0] else self.target.pressure[0]
        before_peak[1] = self.peak[1] if self.peak[1] > self.target.pressure[1] else self.target.pressure[1]
        self.search()
        if self.evaluate() < before and self.peak[0] <= before_peak[0] and self.peak[1] <= before_peak[1]:
            self.apply()
        return 0

    # ---- dependences ---------------------------------------------------------------------------

    def link(self, before, after, latency):
        """``after`` starts at least ``latency`` cycles behind ``before``; false where there is no room."""
        if self.n_links == MAX_LINKS:
            return False
        n: uint32_t = self.n_links
        self.links[n].to = after
        self.links[n].latency = latency
        self.links[n].next = self.units[before].links
        self.units[before].links = n
        self.n_links = n + 1
        return True

    def state(self, vreg):
        """What is known of a value in this window."""
        s: cython.pointer(ValueState) = cython.address(self.values[vreg])
        if s.window != self.number:
            s.window = self.number
            s.unit = s.users = NO_UNIT
            s.latency = s.uses = s.left = 0
        return s

    def depend(self):
        """All dependences of the window; false where it has too many."""
        u: uint32_t
        k: uint32_t
        reader: uint32_t = NO_UNIT
        found: cython.bint
        for u in range(self.n_units):
            if not self.depend_unit(u):
                return False
            found = False
            for k in range(self.units[u].first, self.units[u].first + self.units[u].count):
                found = found or reads(self.target, cython.address(self.m.insts[k]))
            if found:
                if reader != NO_UNIT and not self.link(reader, u, 0):
                    return False
                reader = u
        return True

    def depend_unit(self, u):
        """What a unit waits for."""
        at: uint32_t
        k: uint32_t
        tied: uint32_t
        o: cython.pointer(MOperand)
        for at in range(self.units[u].first, self.units[u].first + self.units[u].count):
            inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
            tied = NO_VREG
            for k in range(inst.nops):
                o = cython.address(self.m.operands[inst.ops + k])
                if o.constraint == C_SAME and o.reg < inst.nops:
                    tied = self.m.operands[inst.ops + o.reg].vreg
            for k in range(inst.nops):
                o = cython.address(self.m.operands[inst.ops + k])
                if o.vreg == NO_VREG or o.role == R_DEF or o.role == R_DEF_EARLY or o.role == R_TEMP:
                    continue
                if not self.read(u, o.vreg, o.vreg == tied):
                    return False
            for k in range(inst.nops):
                o = cython.address(self.m.operands[inst.ops + k])
                if o.vreg != NO_VREG and (o.role == R_DEF or o.role == R_DEF_EARLY):
                    s: cython.pointer(ValueState) = self.state(o.vreg)
                    s.unit = u
                    s.latency = self.target.latency[time_of(self.target, inst.op)]
        return True

    def read(self, u, vreg, tied):
        """A unit reads a value. One that overwrites its register stays behind those that read it before: no copy."""
        s: cython.pointer(ValueState) = self.state(vreg)
        s.uses += 1
        if s.unit != NO_UNIT and s.unit != u and not self.link(s.unit, u, s.latency):
            return False
        k: uint32_t = s.users
        if tied:
            while k != NO_UNIT:
                if self.readers[k].unit != u and not self.link(self.readers[k].unit, u, 0):
                    return False
                k = self.readers[k].next
            s.users = NO_UNIT
        if self.n_readers == MAX_LINKS:
            return False
        self.readers[self.n_readers].unit = u
        self.readers[self.n_readers].next = s.users
        s.users = self.n_readers
        self.n_readers += 1
        return True

    def heights(self):
        """The longest way from each unit to the end; links go forward, so one backward walk does."""
        u: uint32_t = self.n_units
        k: uint32_t
        while u:
            u -= 1
            inst: cython.pointer(MInst) = cython.address(self.m.insts[self.units[u].first + self.units[u].count - 1])
            self.units[u].height = self.target.latency[time_of(self.target, inst.op)]
            k = self.units[u].links
            while k != NO_UNIT:
                if self.links[k].latency + self.units[self.links[k].to].height > self.units[u].height:
                    self.units[u].height = self.links[k].latency + self.units[self.links[k].to].height
                k = self.links[k].next
        return 0

    # ---- the model -----------------------------------------------------------------------------

    def restart(self):
        """Nothing is placed; the pressure is that of the window's beginning."""
        u: uint32_t
        k: uint32_t
        at: uint32_t
        for u in range(self.n_units):
            self.units[u].ready = 0
            self.units[u].waits = 0
        for k in range(self.n_links):
            self.units[self.links[k].to].waits += 1
        for at in range(self.begin, self.end):
            for k in range(self.m.insts[at].nops):
                if self.m.operands[self.m.insts[at].ops + k].vreg != NO_VREG:
                    s: cython.pointer(ValueState) = self.state(self.m.operands[self.m.insts[at].ops + k].vreg)
                    s.left = s.uses
        memset(self.port_free, 0, cython.sizeof(uint32_t) * 6)
        self.clock = self.slots = 0
        for k in range(2):
            self.pressure[k] = self.peak[k] = self.live[2 * self.begin + k]
        return 0

    def start_of(self, u):
        """The cycle in which a unit could begin now."""
        start: uint32_t = self.clock + (1 if self.slots >= self.target.issue else 0)
        return self.units[u].ready if self.units[u].ready > start else start

    def place(self, u):
        """A unit comes next: advance the clock, take ports, tell those that wait for it, count registers."""
        at: uint32_t
        k: uint32_t
        port: uint32_t
        mask: uint32_t
        time: uint32_t
        start: uint32_t = self.start_of(u)
        change: int32_t[2]
        for at in range(self.units[u].first, self.units[u].first + self.units[u].count):
            if start > self.clock:
                self.clock = start
                self.slots = 0
            elif self.slots >= self.target.issue:
                self.clock += 1
                self.slots = 0
            time = time_of(self.target, self.m.insts[at].op)
            mask = self.target.ports[time]
            port = self.target.port_count
            for k in range(self.target.port_count):
                if mask >> k & 1 and (port == self.target.port_count or self.port_free[k] < self.port_free[port]):
                    port = k
            if port < self.target.port_count:
                if self.port_free[port] > self.clock:
                    self.clock = self.port_free[port]
                    self.slots = 0
                self.port_free[port] = self.clock + self.target.busy[time]
            self.slots += 1
        k = self.units[u].links
        while k != NO_UNIT:
            to: cython.pointer(Unit) = cython.address(self.units[self.links[k].to])
            if self.clock + self.links[k].latency > to.ready:
                to.ready = self.clock + self.links[k].latency
            to.waits -= 1
            k = self.links[k].next
        self.growth(u, change)
        for k in range(2):
            self.pressure[k] += change[k]
            if self.pressure[k] > self.peak[k]:
                self.peak[k] = self.pressure[k]
        return 0

    def growth(self, u, change):
        """Place a unit as far as registers go: how many more values of each class are alive behind it than before."""
        at: uint32_t
        k: uint32_t
        change[0] = change[1] = 0
        for at in range(self.units[u].first, self.units[u].first + self.units[u].count):
            inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
            for k in range(inst.nops):
                o: cython.pointer(MOperand) = cython.address(self.m.operands[inst.ops + k])
                if o.vreg == NO_VREG or o.role == R_TEMP:
                    continue
                if o.role == R_DEF or o.role == R_DEF_EARLY:
                    if self.intervals.items[o.vreg].weight:
                        change[self.m.vclass[o.vreg] & 1] += 1
                    continue
                self.values[o.vreg].left -= 1
                if self.values[o.vreg].left == 0 and self.intervals.items[o.vreg].end >> 1 < self.end:
                    change[self.m.vclass[o.vreg] & 1] -= 1
        return 0

    def forget(self, u):
        """Take ``growth`` back."""
        at: uint32_t
        k: uint32_t
        for at in range(self.units[u].first, self.units[u].first + self.units[u].count):
            inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
            for k in range(inst.nops):
                o: cython.pointer(MOperand) = cython.address(self.m.operands[inst.ops + k])
                if o.vreg != NO_VREG and o.role != R_DEF and o.role != R_DEF_EARLY and o.role != R_TEMP:
                    self.values[o.vreg].left += 1
        return 0

    def costly(self, u):
        """Whether a unit would take more registers than there are, less two."""
        change: int32_t[2]
        if self.pressure[0] + 2 <= self.target.pressure[0] and self.pressure[1] + 2 <= self.target.pressure[1]:
            return False
        self.growth(u, change)
        self.forget(u)
        return (change[0] > 0 and self.pressure[0] + change[0] > self.target.pressure[0]) or (
            change[1] > 0 and self.pressure[1] + change[1] > self.target.pressure[1]
        )

    def evaluate(self):
        """Cycles of the window in ``order``, and the peak of its pressure."""
        k: uint32_t
        length: uint32_t = 0
        self.restart()
        for k in range(self.n_units):
            self.place(self.order[k])
            at: cython.pointer(Unit) = cython.address(self.units[self.order[k]])
            done: uint32_t = (
                self.clock + self.target.latency[time_of(self.target, self.m.insts[at.first + at.count - 1].op)]
            )
            if done > length:
                length = done
        return length

    # ---- the search ----------------------------------------------------------------------------

    def search(self):
        """Place one unit after another into ``order``."""
        count: uint32_t = 0
        placed: uint32_t = 0
        k: uint32_t
        u: uint32_t
        self.restart()
        for u in range(self.n_units):
            if self.units[u].waits == 0:
                self.open[count] = u
                count += 1
        while count:
            k = self.choose(count)
            u = self.open[k]
            self.open[k] = self.open[count - 1]
            count -= 1
            self.order[placed] = u
            placed += 1
            self.place(u)
            k = self.units[u].links
            while k != NO_UNIT:
                # Two links between the same units: the mark keeps it single.
                if self.units[self.links[k].to].waits == 0:
                    self.units[self.links[k].to].waits = NO_UNIT
                    self.open[count] = self.links[k].to
                    count += 1
                k = self.links[k].next
        return 0

    def choose(self, count):
        """The position in ``open`` of the unit to place next."""
        best: uint32_t = 0
        k: uint32_t
        u: uint32_t
        b: uint32_t
        costly: cython.bint
        best_costly: cython.bint = True
        start: uint32_t
        best_start: uint32_t = 0
        for k in range(count):
            u = self.open[k]
            b = self.open[best]
            costly = self.costly(u)
            start = self.start_of(u)
            if k == 0:
                best_costly = costly
                best_start = start
                continue
            if costly != best_costly:
                if costly:
                    continue
            elif costly:
                if u > b:
                    continue  # nothing fits: the order found
            elif start != best_start:
                if start > best_start:
                    continue
            elif self.units[u].height != self.units[b].height:
                if self.units[u].height < self.units[b].height:
                    continue
            elif u > b:
                continue
            best = k
            best_costly = costly
            best_start = start
        return best

    def apply(self):
        """Put the instructions of the window into the new order."""
        k: uint32_t
        at: uint32_t
        n: uint32_t = self.begin
        for at in range(self.begin, self.end):
            self.saved[at - self.begin] = self.m.insts[at]
        for k in range(self.n_units):
            u: cython.pointer(Unit) = cython.address(self.units[self.order[k]])
            for at in range(u.first, u.first + u.count):
                self.m.insts[n] = self.saved[at - self.begin]
                n += 1
        self.moved += 1
        return 0
