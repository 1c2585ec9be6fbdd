# strata: hot
"""Level 0 allocation: linear scan over whole-life intervals. Decides who gets a register; ``rewrite`` does the rest.

A value that lives across a call, or that finds no register free for all of its life (fixed operands of others count
as taken), lives in its slot. When registers run out, the value with the fewest weighted uses per position goes to its
slot. Work per value is bounded by the number of registers times a constant.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.machine.minst import (
    MAX_REGISTERS,
    NO_LOC,
    NO_VREG,
    MBlock,
    MInst,
    MOperand,
    lowest_bit,
)
from cython.cimports.stratavm.machine.regalloc.intervals import (
    IV_SLOT,
    IV_TIED,
    NO_EVENT,
    NO_REGISTER,
    ORDER_BLOCK,
    Event,
    Interval,
    Intervals,
    wants_register,
)

cython.declare(MAX_EVENTS=uint32_t, MAX_PASSES=uint32_t, MAX_POINT_WEIGHT=uint32_t)
MAX_POINT_WEIGHT = 1 << 30
MAX_PASSES = 4  # joins that a value goes through on its way to a loop's header
MAX_EVENTS = 48  # fixed operands looked at for one register and value before it counts as taken


@cython.cclass
class LinearScan:
    """State of the scan; arrays reused between functions."""

    def __init__(self, intervals: Intervals) -> None:
        self.intervals = intervals

    def run(self, m, registers):
        """Set ``home`` of every value."""
        i: uint32_t
        v: uint32_t
        self.items = self.intervals.items
        self.events = self.intervals.events
        self.registers = registers
        self.next_call = 0
        for i in range(m.target.n_registers):
            self.until[i] = 0
            self.holder[i] = NO_VREG
            self.cursor[i] = self.intervals.first_event[i]
        for i in range(self.intervals.n_order):
            breathe(i)
            v = self.intervals.order[i]
            if v & ORDER_BLOCK:
                if not self._reserve(m, v & ~cython.cast(uint32_t, ORDER_BLOCK)):
                    return 0
                continue
            if (
                self.items[v].weight
                and not self.items[v].flags & IV_SLOT
                and not self._crosses_call(cython.address(self.items[v]))
            ):
                self._place(v, m.vclass[v])
            if self.items[v].home == NO_LOC and self.items[v].fresh != NO_VREG:
                self.items[v].hint = self.items[v].fresh  # whose slot it may take
            self.items[v].fresh = NO_LOC
        return 1

    def _crosses_call(self, item):
        """Whether a call lies between definition and end. Definitions come in order, so calls before are done with."""
        while self.next_call < self.intervals.n_calls and self.intervals.calls[self.next_call] < (
            item.start & ~cython.cast(uint32_t, 1)
        ):
            self.next_call += 1
        n: uint32_t = self.next_call
        if n < self.intervals.n_calls and self.intervals.calls[n] < item.start:
            n += 1
        return n < self.intervals.n_calls and item.end > self.intervals.calls[n]

    def _no_event(self, reg, vreg, item):
        """Whether no fixed operand of another value claims the register within the interval."""
        e: uint32_t = self.cursor[reg]
        n: uint32_t = 0
        while e != NO_EVENT and self.events[e].pos < (item.start & ~cython.cast(uint32_t, 1)):
            e = self.events[e].next
        self.cursor[reg] = e
        while e != NO_EVENT and self.events[e].pos <= item.end:
            event: cython.pointer(Event) = cython.address(self.events[e])
            mine: cython.bint = event.vreg == vreg
            if item.flags & IV_TIED and event.pos == item.start and event.vreg == item.hint:
                mine = True
            if event.pos >= item.start and not mine:
                return False
            n += 1
            if n > MAX_EVENTS:
                return False
            e = event.next
        return True

    def _fits(self, reg, vreg, item):
        """Whether the register is free for the whole interval. A tied value may follow its partner in place."""
        follows: cython.bint = item.flags & IV_TIED and self.until[reg] == item.start and self.holder[reg] == item.hint
        if self.until[reg] >= item.start and not follows:
            return False
        return self._no_event(reg, vreg, item)

    def _hinted(self, vreg, item, allowed):
        """A register that saves a move and fits, or NO_REGISTER."""
        reg: uint32_t = item.wanted
        other: uint32_t = item.hint
        hops: uint32_t = 0
        if reg != NO_REGISTER and allowed >> reg & 1 and self._fits(reg, vreg, item):
            return reg
        if item.fresh != NO_VREG:
            reg = self._awaited(item)
            if reg < MAX_REGISTERS and allowed >> reg & 1 and self._fits(reg, vreg, item):
                return reg
        while other != NO_VREG and hops < 2:
            hops += 1
            reg = self.items[other].home
            if reg == NO_LOC:
                reg = self.items[other].wanted
            if reg < MAX_REGISTERS and allowed >> reg & 1 and self._fits(reg, vreg, item):
                return reg
            other = self.items[other].hint
        return NO_REGISTER

    def _awaited(self, item):
        """The home of the loop's parameter that the value becomes on the way back, through joins or at once: there no
        move remains, and the branch leads to the header itself. Parameters ahead have no home yet: then that of the
        value that the last of them follows, or NO_LOC."""
        other: uint32_t = item.fresh
        last: uint32_t = NO_VREG
        hops: uint32_t = 0
        while other != NO_VREG and hops < MAX_PASSES:
            hops += 1
            if self.items[other].home != NO_LOC:
                return self.items[other].home
            last = other
            other = self.items[other].fresh
        if last == NO_VREG or self.items[last].start <= item.start or self.items[last].hint == NO_VREG:
            return NO_LOC
        return self.items[self.items[last].hint].home

    def _take(self, reg, vreg, item):
        """The value gets the register."""
        item.home = reg
        self.until[reg] = item.end
        self.holder[reg] = vreg
        return 0

    def _yields(self, vreg, pos):
        """Whether a value leaves its register at a position: a tied result may take its place."""
        return self.items[vreg].home < MAX_REGISTERS and self.items[vreg].end == pos

    def _place(self, vreg, rclass):
        """A register for one value, maybe at the cost of another, or none."""
        item: cython.pointer(Interval) = cython.address(self.items[vreg])
        allowed: uint64_t = self.registers & self.m.target.classes[rclass]
        i: uint32_t
        if item.next != NO_VREG and not self._yields(item.hint, item.start) and self._yields(item.next, item.start):
            item.hint = item.next
        reg: uint32_t = self._hinted(vreg, item, allowed)
        if reg != NO_REGISTER:
            return self._take(reg, vreg, item)
        for i in range(self.m.target.order_size[rclass]):
            reg = self.m.target.order[rclass][i]
            if allowed >> reg & 1 and self._fits(reg, vreg, item):
                return self._take(reg, vreg, item)
        reg = self._cheapest(allowed, vreg, item)
        if reg != NO_REGISTER:
            self.items[self.holder[reg]].home = NO_LOC
            self._take(reg, vreg, item)
        return 0

    def _cheapest(self, allowed, vreg, item):
        """The register whose holder costs least in a slot, if that is less than the value at hand costs."""
        best: uint32_t = NO_REGISTER
        weight: uint64_t = item.weight
        length: uint64_t = item.end - item.start + 1
        reg: uint32_t
        while allowed:
            reg = lowest_bit(allowed)
            allowed &= allowed - 1
            if self.holder[reg] == NO_VREG or self.until[reg] < item.start:
                continue
            other: cython.pointer(cython.const[Interval]) = cython.address(self.items[self.holder[reg]])
            cheaper: cython.bint = cython.cast(uint64_t, other.weight) * length < weight * (other.end - other.start + 1)
            if cheaper and self._no_event(reg, vreg, item):
                best = reg
                weight = other.weight
                length = other.end - other.start + 1
        return best

    def _reserve(self, m, number):
        """Keep registers free at a terminator: nothing can be put back behind it."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        inst: cython.pointer(MInst) = cython.address(m.insts[b.last - 1])
        needed: uint32_t[2]
        needed[0] = needed[1] = 0
        k: uint32_t
        for k in range(inst.nops):
            o: cython.pointer(MOperand) = cython.address(m.operands[inst.ops + k])
            if wants_register(o) and o.vreg < m.n_vregs:
                needed[m.vclass[o.vreg] & 1] += 1
        pos: uint32_t = 2 * (b.last - 1)
        return self._reserve_class(needed[0], self.registers & m.target.classes[0], pos) and self._reserve_class(
            needed[1], self.registers & m.target.classes[1], pos
        )

    def _reserve_class(self, count, allowed, pos):
        """``count`` registers of one class, free of values and of fixed operands at the terminator."""
        point: Interval
        reg: uint32_t
        left: uint64_t
        point.start = pos
        point.end = pos + 1
        point.flags = 0
        point.weight = MAX_POINT_WEIGHT
        point.hint = NO_VREG
        while count:
            left = allowed
            reg = NO_REGISTER
            while left and reg == NO_REGISTER:
                reg = lowest_bit(left)
                left &= left - 1
                if not self._fits(reg, NO_VREG, cython.address(point)):
                    reg = NO_REGISTER
            if reg == NO_REGISTER:
                reg = self._cheapest(allowed, NO_VREG, cython.address(point))
                if reg == NO_REGISTER:
                    return False
                self.items[self.holder[reg]].home = NO_LOC
            self.until[reg] = pos + 1
            self.holder[reg] = NO_VREG
            count -= 1
        return True
