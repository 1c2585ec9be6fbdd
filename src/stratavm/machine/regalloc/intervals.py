# strata: hot
"""Live intervals by block order and loop extents: no bit sets, no iteration; linear but for the log of loop depth.

A value that is alive at a loop's header lives to the loop's end. With loops as nested ranges of blocks that is enough:
wherever control goes back, it goes back to a header, and what is alive there was extended over the whole range.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.machine.minst import (
    C_FIXED,
    C_SAME,
    C_SLOT,
    MAX_REGISTERS,
    MI_CALL,
    MI_MOVE,
    NO_VREG,
    OF_NEAR,
    OF_SWAP,
    R_DEF_EARLY,
    R_USE,
    R_USE_LATE,
    MBlock,
    MEdge,
    MInst,
    MOperand,
    holds_early,
    holds_late,
    is_def,
    is_use,
)

cython.declare(MAX_WEIGHT=uint32_t, MAX_WEIGHT_DEPTH=uint32_t)
MAX_WEIGHT = 1 << 24
MAX_WEIGHT_DEPTH = 6  # a use counts 8 to the power of its loop depth, up to this

OperandPtr = cython.typedef(cython.pointer(MOperand))


@cython.cclass
class Intervals:
    """Intervals, fixed-register events and calls of one function; arrays reused between functions."""

    def __dealloc__(self):
        vec_free(self.items)
        vec_free(self.order)
        vec_free(self.calls)
        vec_free(self.events)
        vec_free(self.loop_stop)
        vec_free(self.preds)
        vec_free(self.loops)

    def build(self, m):
        """One forward walk. 0 where the order of blocks does not follow dominance, or sizes exceed positions."""
        size: cython.size_t = cython.sizeof(Interval)
        number: uint32_t
        v: uint32_t
        if m.n_insts > MAX_LINEAR_INSTS or m.n_vregs >= ORDER_BLOCK or m.n_blocks >= ORDER_BLOCK:
            return 0
        vec_room(self.items, self.cap_items, m.n_vregs)
        if m.n_vregs:
            memset(self.items, 0xFF, m.n_vregs * size)
        for v in range(m.n_vregs):
            self.items[v].weight = 0
            self.items[v].flags = 0
        self.n_order = self.n_calls = self.n_events = self.n_loops = 0
        memset(self.first_event, 0xFF, cython.sizeof(uint32_t) * MAX_REGISTERS)
        memset(self.last_event, 0xFF, cython.sizeof(uint32_t) * MAX_REGISTERS)
        if not self._find_loops(m):
            return 0
        for number in range(m.n_blocks):
            if not self._block(m, number):
                return 0
        return 1

    def _find_loops(self, m):
        """Block ranges from each target of a backward edge; made to nest: an outer one swallows what it overlaps."""
        n: uint32_t = m.n_blocks
        size: cython.size_t = cython.sizeof(uint32_t)
        number: uint32_t
        k: uint32_t
        stop: uint32_t
        vec_room(self.loop_stop, self.cap_loop_stop, n)
        vec_room(self.preds, self.cap_preds, n)
        vec_room(self.loops, self.cap_loops, n)
        memset(self.loop_stop, 0, n * size)
        memset(self.preds, 0, n * size)
        for number in range(n):
            b: cython.pointer(MBlock) = cython.address(m.blocks[number])
            if b.first >= b.last:
                return 0
            for k in range(b.nedges):
                e: cython.pointer(MEdge) = cython.address(m.edges[b.edges + k])
                if e.target >= n or e.nargs != m.blocks[e.target].nparams or (e.nargs and b.nedges > 1):
                    return 0
                self.preds[e.target] += 1
                if e.target <= number:
                    self.loop_stop[e.target] = number + 1
        number = n
        while number:
            number -= 1
            stop = self.loop_stop[number]
            if stop == 0:
                continue
            while self.n_loops and self.loops[self.n_loops - 1].start < stop:
                self.n_loops -= 1
                if self.loops[self.n_loops].stop > stop:
                    stop = self.loops[self.n_loops].stop
            self.loop_stop[number] = stop
            self.loops[self.n_loops].start = number
            self.loops[self.n_loops].stop = stop
            self.n_loops += 1
        self.n_loops = 0
        return 1

    def _block(self, m, number):
        """Definitions and uses of one block."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        at: uint32_t
        k: uint32_t
        weight: uint32_t
        while self.n_loops and self.loops[self.n_loops - 1].stop <= number:
            self.n_loops -= 1
        if self.loop_stop[number]:
            open_loop: cython.pointer(OpenLoop) = cython.address(self.loops[self.n_loops])
            open_loop.start = 2 * b.first
            open_loop.stop = self.loop_stop[number]
            open_loop.end = 2 * (m.blocks[open_loop.stop - 1].last - 1) + 1
            self.n_loops += 1
        weight = cython.cast(uint32_t, 1) << 3 * (self.n_loops if self.n_loops < MAX_WEIGHT_DEPTH else MAX_WEIGHT_DEPTH)
        for k in range(b.nparams):
            if m.block_params[b.params + k] >= m.n_vregs or not self._define(m.block_params[b.params + k], 2 * b.first):
                return 0
        for at in range(b.first, b.last):
            breathe(at)
            if not self._inst(m, at, weight):
                return 0
        return self._edges(m, number, weight)

    def _inst(self, m, at, weight):
        """Uses, then definitions of one instruction, and its claims on fixed registers."""
        inst: cython.pointer(MInst) = cython.address(m.insts[at])
        ops: OperandPtr = m.operands + inst.ops
        pos: uint32_t = 2 * at
        k: uint32_t
        o: OperandPtr
        if inst.flags & MI_CALL:
            vec_room(self.calls, self.cap_calls, self.n_calls + 1)
            self.calls[self.n_calls] = pos
            self.n_calls += 1
        for k in range(inst.nops):
            o = cython.address(ops[k])
            if o.constraint == C_FIXED and o.reg < MAX_REGISTERS and holds_early(o.role):
                self._event(o.reg, pos, o.vreg)
            if o.vreg == NO_VREG:
                if o.constraint != C_FIXED:
                    return 0
                continue
            if o.vreg >= m.n_vregs:
                return 0
            if is_use(o.role):
                if not self._use(o.vreg, pos + (o.role == R_USE_LATE), weight):
                    return 0
                if o.constraint == C_FIXED:
                    self._want(o.vreg, o.reg)
            if o.constraint == C_SLOT:
                self.items[o.vreg].flags |= IV_SLOT
        for k in range(inst.nops):
            o = cython.address(ops[k])
            if o.role == R_USE:
                continue
            if o.constraint == C_FIXED and o.reg < MAX_REGISTERS and holds_late(o.role):
                self._event(o.reg, pos + 1, o.vreg)
            if o.vreg == NO_VREG or not is_def(o.role):
                continue
            if not self._define(o.vreg, pos + (o.constraint != C_SAME and o.role != R_DEF_EARLY)):
                return 0
            if o.constraint == C_FIXED:
                self._want(o.vreg, o.reg)
            elif o.constraint == C_SAME:
                if o.reg >= inst.nops or ops[o.reg].vreg >= m.n_vregs:
                    return 0
                self.items[o.vreg].flags |= IV_TIED
                self._hint(o.vreg, ops[o.reg].vreg)
                self._hint(ops[o.reg].vreg, o.vreg)
                if o.flags & OF_SWAP and inst.nops > 2 and ops[2].vreg < m.n_vregs:
                    self.items[o.vreg].next = ops[2].vreg
        if inst.nops > 1 and ops[0].flags & OF_NEAR and ops[1].vreg < m.n_vregs and ops[0].vreg < m.n_vregs:
            self._hint(ops[0].vreg, ops[1].vreg)
            self._hint(ops[1].vreg, ops[0].vreg)
        if inst.flags & MI_MOVE and inst.nops == 2 and ops[1].vreg < m.n_vregs and ops[0].vreg < m.n_vregs:
            self._hint(ops[0].vreg, ops[1].vreg)
            self._hint(ops[1].vreg, ops[0].vreg)
        return 1

    def _edges(self, m, number, weight):
        """Arguments are read at the terminator. A terminator that needs registers is noted in the order."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        inst: cython.pointer(MInst) = cython.address(m.insts[b.last - 1])
        ops: OperandPtr = m.operands + inst.ops
        k: uint32_t
        j: uint32_t
        needy: cython.bint = False
        for k in range(inst.nops):
            needy = needy or wants_register(cython.address(ops[k]))
            if is_def(ops[k].role):
                return 0
        for k in range(b.nedges):
            e: cython.pointer(MEdge) = cython.address(m.edges[b.edges + k])
            if e.nargs and inst.nops:
                return 0
            stays: cython.bint = self.n_loops == 0 or e.target < self.loops[self.n_loops - 1].stop
            for j in range(e.nargs):
                arg: uint32_t = m.edge_args[e.args + j]
                param: uint32_t = m.block_params[m.blocks[e.target].params + j]
                if arg >= m.n_vregs or param >= m.n_vregs or not self._use(arg, 2 * (b.last - 1), weight):
                    return 0
                self._hint(param, arg)
                self._hint(arg, param)
                if e.target <= number or (stays and self.items[arg].fresh == NO_VREG):
                    self.items[arg].fresh = param
        if needy:
            self._append(ORDER_BLOCK | number)
        return 1

    def _use(self, vreg, pos, weight):
        """The value is read: it lives to here, or to the end of the outermost loop without its definition."""
        item: cython.pointer(Interval) = cython.address(self.items[vreg])
        if item.start == NO_POS:
            return 0
        low: uint32_t = 0
        high: uint32_t = self.n_loops
        mid: uint32_t
        if high and self.loops[high - 1].start > item.start:
            while low < high:
                mid = (low + high) >> 1
                if self.loops[mid].start > item.start:
                    high = mid
                else:
                    low = mid + 1
            pos = self.loops[low].end
        if pos > item.end:
            item.end = pos
        if item.weight < MAX_WEIGHT:
            item.weight += weight
        return 1

    def _define(self, vreg, pos):
        """The value begins; 0 if it began before."""
        item: cython.pointer(Interval) = cython.address(self.items[vreg])
        if item.start != NO_POS:
            return 0
        item.start = pos
        item.end = pos
        self._append(vreg)
        return 1

    def _append(self, entry):
        """One more entry of the order."""
        vec_room(self.order, self.cap_order, self.n_order + 1)
        self.order[self.n_order] = entry
        self.n_order += 1
        return 0

    def _event(self, reg, pos, vreg):
        """A fixed operand claims a register at a position."""
        n: uint32_t = self.n_events
        vec_room(self.events, self.cap_events, n + 1)
        self.events[n].pos = pos
        self.events[n].vreg = vreg
        self.events[n].next = NO_EVENT
        if self.last_event[reg] == NO_EVENT:
            self.first_event[reg] = n
        else:
            self.events[self.last_event[reg]].next = n
        self.last_event[reg] = n
        self.n_events = n + 1
        return 0

    def _hint(self, vreg, hint):
        """The first partner stays: for a tied definition that is the value it is tied to."""
        if self.items[vreg].hint == NO_VREG:
            self.items[vreg].hint = hint
        return 0

    def _want(self, vreg, reg):
        """The first fixed register stays."""
        if self.items[vreg].wanted == NO_REGISTER:
            self.items[vreg].wanted = reg
        return 0
