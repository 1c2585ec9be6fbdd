# strata: hot
"""Live ranges with holes, for level 1: two walks over a function, and liveness for what lives in several blocks.

A value's life is a list of ranges, and a list of the places that use it. Forward: loops, definitions, hints, and which
values cross blocks. Backward: ranges (Wimmer and Franz, *Linear Scan Register Allocation on SSA Form*, 2010): what is
alive at a loop's header lives in the whole loop, so one walk is enough. Only values that cross blocks have a bit in the
sets; the sets are bounded, and so is the work; beyond, level 0's allocator takes the function.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.bits import lowest_of
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_REG,
    C_SAME,
    C_SLOT,
    LOC_REMAT,
    MAX_REGISTERS,
    MI_CALL,
    MI_HOME,
    MI_MOVE,
    MI_REMAT,
    NO_VREG,
    OF_NEAR,
    OF_SWAP,
    R_DEF,
    R_DEF_EARLY,
    R_TEMP,
    R_USE,
    R_USE_LATE,
    MBlock,
    MEdge,
    MInst,
    MOperand,
    holds_early,
    is_def,
    is_use,
)
from cython.cimports.stratavm.machine.regalloc.intervals import Intervals

cython.declare(WORK_PER_INST=uint64_t, WORK_BASE=uint64_t, DESCENT=cython.int)
WORK_PER_INST = 64  # units of work on liveness per instruction
WORK_BASE = 1 << 20
DESCENT = 3  # instructions between a value and what it is made of

OperandPtr = cython.typedef(cython.pointer(MOperand))


def twin_of(ops, n, k):
    """The input that a result is tied to, where operand ``k`` is it or reads the same value beside it; else NONE.

    Both then read the result's register, which holds the value while the instruction reads.
    """
    j: uint32_t
    t: uint32_t
    for j in range(n):
        if ops[j].constraint != C_SAME:
            continue
        t = ops[j].reg
        if t == k or (ops[k].role == R_USE and ops[k].constraint <= C_REG and ops[k].vreg == ops[t].vreg):
            return t
    return NONE


@cython.cclass
class Ranges:
    """Ranges, uses and fixed claims of one function; arrays reused between functions."""

    def __init__(self) -> None:
        self.base = Intervals()

    def __dealloc__(self):
        free(self.values)
        free(self.ranges)
        free(self.uses)
        free(self.children)
        free(self.claims)
        free(self.calls)
        free(self.order)
        free(self.loops)
        free(self.loop_of)
        free(self.block_of)
        free(self.only_pred)
        free(self.first_pred)
        free(self.vregs)
        free(self.live_in)
        free(self.live)

    def build(self, m):
        """Fill everything. 0 for odd shapes (order against dominance, critical edges) and for what is too large."""
        if m.n_insts > MAX_SPLIT_INSTS or m.n_blocks == 0 or not self.base._find_loops(m):
            return 0
        self._reserve(m)
        if not self._find_loops(m) or not self._forward(m):
            return 0
        return self._backward(m)

    def _reserve(self, m):
        """Tables by value and block have room and are empty."""
        v: uint32_t
        size: cython.size_t = cython.sizeof(uint32_t)
        vec_room(self.values, self.cap_values, m.n_vregs + 1)
        memset(self.values, 0xFF, m.n_vregs * cython.sizeof(Value))
        for v in range(m.n_vregs):
            self.values[v].flags = 0
            self.values[v].spills = 0
            self.values[v].spill_weight = 0
        vec_room(self.loop_of, self.cap_loop_of, m.n_blocks)
        vec_room(self.only_pred, self.cap_only_pred, m.n_blocks)
        memset(self.only_pred, 0xFF, m.n_blocks * size)
        vec_room(self.first_pred, self.cap_first_pred, m.n_blocks)
        memset(self.first_pred, 0xFF, m.n_blocks * size)
        vec_room(self.block_of, self.cap_block_of, m.n_insts + 1)
        vec_room(self.loops, self.cap_loops, m.n_blocks)
        memset(self.first_claim, 0xFF, MAX_REGISTERS * size)
        self.n_ranges = self.n_uses = self.n_children = self.n_claims = self.n_calls = self.n_order = 0
        self.n_loops = self.n_numbers = 0
        self.budget = WORK_BASE + WORK_PER_INST * m.n_insts
        return 0

    # ---- forward -------------------------------------------------------------------------------

    def _find_loops(self, m):
        """Loops as a tree, outer ones first; the innermost one of each block; blocks of instructions; predecessors."""
        number: uint32_t
        k: uint32_t
        inner: uint32_t = NONE
        for number in range(m.n_blocks):
            while inner != NONE and self.loops[inner].stop <= number:
                inner = self.loops[inner].parent
            if self.base.loop_stop[number]:
                loop: cython.pointer(Loop) = cython.address(self.loops[self.n_loops])
                loop.first = number
                loop.stop = self.base.loop_stop[number]
                loop.parent = inner
                loop.depth = 1 if inner == NONE else self.loops[inner].depth + 1
                loop.start = 4 * m.blocks[number].first
                loop.end = 4 * m.blocks[loop.stop - 1].last
                inner = self.n_loops
                self.n_loops += 1
            self.loop_of[number] = inner
            b: cython.pointer(MBlock) = cython.address(m.blocks[number])
            for k in range(b.first, b.last):
                self.block_of[k] = number
            for k in range(b.nedges):
                target: uint32_t = m.edges[b.edges + k].target
                if self.only_pred[target] == NONE:
                    self.only_pred[target] = self.first_pred[target] = number
                elif self.only_pred[target] != number:
                    self.only_pred[target] = MANY
        return 1

    def _forward(self, m):
        """Definitions, calls, hints, and which values cross blocks."""
        number: uint32_t
        for number in range(m.n_blocks):
            if not self._meet(m, number):
                return 0
        return 1

    def _meet(self, m, number):
        """One block, forward."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        k: uint32_t
        for k in range(b.nparams):
            if not self._see_definition(m.block_params[b.params + k], 4 * b.first, number):
                return 0
        for k in range(b.first, b.last):
            breathe(k)
            if not self._see(m, k, number):
                return 0
        return self._see_edges(m, number)

    def _see(self, m, at, number):
        """One instruction, forward: the results that exist while it reads come before those that it writes."""
        inst: cython.pointer(MInst) = cython.address(m.insts[at])
        ops: OperandPtr = m.operands + inst.ops
        k: uint32_t
        late: uint32_t = 0
        fixed: cython.bint
        o: OperandPtr
        if inst.flags & MI_CALL:
            vec_room(self.calls, self.cap_calls, self.n_calls + 1)
            self.calls[self.n_calls] = 4 * at + WRITES
            self.n_calls += 1
        for k in range(inst.nops):
            o = cython.address(ops[k])
            fixed = o.constraint == C_FIXED
            if o.vreg == NO_VREG:
                if not fixed:
                    return 0
                continue
            if is_use(o.role):
                if o.constraint == C_SLOT and o.vreg < m.n_vregs:
                    self.values[o.vreg].remat = NONE
                if not self._see_use(o.vreg, number, fixed):
                    return 0
                if fixed and self.values[o.vreg].wanted == NO_REG:
                    self.values[o.vreg].wanted = o.reg
                continue
            if o.constraint == C_SAME and (o.reg >= inst.nops or not is_use(ops[o.reg].role)):
                return 0
            if o.constraint == C_SLOT:
                return 0
            if o.constraint == C_SAME:
                fixed = ops[o.reg].constraint == C_FIXED
                if self.m.n_vregs > o.vreg:
                    self.values[o.vreg].hint = ops[o.reg].vreg
            if fixed or (o.role == R_DEF and o.constraint != C_SAME):
                late += 1
            elif not self._see_definition(o.vreg, 4 * at + READS, number):
                return 0
        for k in range(inst.nops if late else 0):
            o = cython.address(ops[k])
            if o.vreg == NO_VREG or is_use(o.role) or o.vreg >= m.n_vregs or self.values[o.vreg].start != NONE:
                continue
            if o.role != R_TEMP and not self._see_definition(o.vreg, 4 * at + WRITES, number):
                return 0
        if inst.nops > 1 and ops[0].flags & OF_NEAR and ops[0].vreg < m.n_vregs and ops[1].vreg < m.n_vregs:
            self.values[ops[0].vreg].hint = ops[1].vreg
        if inst.flags & MI_MOVE and inst.nops == 2 and ops[0].vreg < m.n_vregs and ops[1].vreg < m.n_vregs:
            self.values[ops[0].vreg].hint = ops[1].vreg
            if self.values[ops[1].vreg].kin == NONE:
                self.values[ops[1].vreg].kin = ops[0].vreg
        if inst.flags & MI_REMAT and inst.nops and is_def(ops[0].role) and ops[0].vreg < m.n_vregs:
            self.values[ops[0].vreg].remat = LOC_REMAT | at
            self.values[ops[0].vreg].flags |= V_STORED | (V_HOME if inst.flags & MI_HOME else 0)
        return 1

    def _see_definition(self, vreg, pos, number):
        """A value begins."""
        if vreg >= self.m.n_vregs or self.values[vreg].start != NONE:
            return 0
        self.values[vreg].start = pos
        self.values[vreg].block = number
        vec_room(self.order, self.cap_order, self.n_order + 1)
        self.order[self.n_order] = vreg
        self.n_order += 1
        return 1

    def _see_use(self, vreg, number, moved):
        """A value is read, maybe in another block than its own. What is moved anyway may be computed there instead."""
        if vreg >= self.m.n_vregs or self.values[vreg].start == NONE:
            return 0
        v: cython.pointer(Value) = cython.address(self.values[vreg])
        if v.block != number and v.number == NONE and not (moved and v.remat != NONE):
            v.number = self.n_numbers
            vec_room(self.vregs, self.cap_vregs, self.n_numbers + 1)
            self.vregs[self.n_numbers] = vreg
            self.n_numbers += 1
        return 1

    def _see_edges(self, m, number):
        """Arguments; and no edge may leave a branch and enter a join, for nothing could be moved on it."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        last: cython.pointer(MInst) = cython.address(m.insts[b.last - 1])
        k: uint32_t
        j: uint32_t
        for k in range(last.nops):
            if is_def(m.operands[last.ops + k].role):
                return 0
        for k in range(b.nedges):
            e: cython.pointer(MEdge) = cython.address(m.edges[b.edges + k])
            if (b.nedges > 1 or last.nops) and (self.only_pred[e.target] == MANY or e.target == 0 or e.nargs):
                return 0
            for j in range(e.nargs):
                arg: uint32_t = m.edge_args[e.args + j]
                param: uint32_t = m.block_params[m.blocks[e.target].params + j]
                if param >= m.n_vregs or not self._see_use(arg, number, True):
                    return 0
                if self.values[param].kin == NONE:
                    self.values[param].kin = arg
                if self.values[arg].kin == NONE:
                    self.values[arg].kin = param
        return 1

    # ---- backward ------------------------------------------------------------------------------

    def _backward(self, m):
        """Ranges and uses, then the first part of each value."""
        total: uint64_t
        number: uint32_t = m.n_blocks
        i: uint32_t
        r: uint32_t
        end: uint32_t
        self.words = (self.n_numbers + 63) >> 6
        total = cython.cast(uint64_t, self.words) * m.n_blocks
        if total > MAX_LIVE_WORDS:
            return 0
        vec_room(self.live_in, self.cap_live_in, cython.cast(uint32_t, total) + 1)
        vec_room(self.live, self.cap_live, self.words + 1)
        while number:
            number -= 1
            if not self._block(m, number):
                return 0
        for i in range(self.words):
            if self.live_in[i]:
                return 0
        self._spread(m)
        for i in range(self.n_order):
            v: cython.pointer(Value) = cython.address(self.values[self.order[i]])
            if v.range == NONE:
                continue
            r = v.range
            end = self.ranges[r].end
            while r != NONE:
                end = self.ranges[r].end
                r = self.ranges[r].next
            v.child = self.child(self.order[i], v.range, v.use, end)
        return 1

    def _live_out(self, m, number):
        """What the blocks behind this one need lives to its end."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        k: uint32_t
        w: uint32_t
        bits: uint64_t
        memset(self.live, 0, self.words * cython.sizeof(uint64_t))
        for k in range(b.nedges):
            target: uint32_t = m.edges[b.edges + k].target
            if target > number:
                for w in range(self.words):
                    self.live[w] |= self.live_in[cython.cast(uint64_t, target) * self.words + w]
                if self.budget < self.words:
                    return 0
                self.budget -= self.words
        for w in range(self.words):
            bits = self.live[w]
            while bits:
                self._range(self.vregs[64 * w + lowest_of(bits)], 4 * b.first, 4 * b.last)
                bits &= bits - 1
                if self.budget == 0:
                    return 0
                self.budget -= 1
        return 1

    def _block(self, m, number):
        """One block, backward."""
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        at: uint32_t = b.last
        k: uint32_t
        j: uint32_t
        w: uint32_t
        v: uint32_t
        if not self._live_out(m, number):
            return 0
        for k in range(b.nedges):
            e: cython.pointer(MEdge) = cython.address(m.edges[b.edges + k])
            for j in range(e.nargs):
                self._use(m.edge_args[e.args + j], 4 * (b.last - 1), U_GAP, number)
        while at > b.first:
            at -= 1
            if not self._inst(m, at, number):
                return 0
        for k in range(b.nparams):
            v = m.block_params[b.params + k]
            if self.values[v].range != NONE and self.values[v].number != NONE:
                w = self.values[v].number
                self.live[w >> 6] &= ~(cython.cast(uint64_t, 1) << (w & 63))
        for w in range(self.words):
            self.live_in[cython.cast(uint64_t, number) * self.words + w] = self.live[w]
        if self.base.loop_stop[number]:
            return self._header(m, number)
        return 1

    def _inst(self, m, at, number):
        """One instruction, backward: what it writes ends there, what it reads begins."""
        inst: cython.pointer(MInst) = cython.address(m.insts[at])
        ops: OperandPtr = m.operands + inst.ops
        k: uint32_t
        n: uint32_t = inst.nops
        pos: uint32_t = 4 * at
        o: OperandPtr
        if n > 2 and ops[0].constraint == C_SAME and ops[0].flags & OF_SWAP:
            self._swap(ops, at, number)
        self._definitions(inst, ops, at)
        for k in range(n):
            o = cython.address(ops[k])
            if not is_use(o.role):
                continue
            if o.constraint == C_FIXED and o.reg < MAX_REGISTERS:
                self._claim(o.reg, pos + READS, pos + READS + (2 if o.role == R_USE_LATE else 1), o.vreg)
            if o.vreg == NO_VREG:
                continue
            if o.constraint == C_FIXED or twin_of(ops, n, k) != NONE:
                self._use(o.vreg, pos, U_GAP, number)
            elif o.constraint == C_SLOT:
                self._use(o.vreg, pos + READS, U_GAP, number)
                self.values[o.vreg].flags |= V_SLOT | V_STORED
            elif o.role == R_USE_LATE:
                self._use(o.vreg, pos + WRITES, U_MUST, number)
                self._use(o.vreg, pos + READS, U_MUST, number)
            else:
                at_home: cython.bint = self.values[o.vreg].remat == NONE or self.values[o.vreg].flags & V_HOME != 0
                self._use(o.vreg, pos + READS, U_SHOULD if o.constraint == C_ANY and at_home else U_MUST, number)
        return 1

    def _definitions(self, inst, ops, at):
        """Results and scratch operands."""
        k: uint32_t
        reg: uint32_t
        start: uint32_t
        pos: uint32_t = 4 * at
        o: OperandPtr
        for k in range(inst.nops):
            o = cython.address(ops[k])
            if is_use(o.role):
                continue
            reg = NO_REG
            if o.constraint == C_FIXED:
                reg = o.reg
            elif o.constraint == C_SAME and ops[o.reg].constraint == C_FIXED:
                reg = ops[o.reg].reg
            if reg != NO_REG:
                start = pos + (READS if o.constraint == C_FIXED and holds_early(o.role) else WRITES)
                if o.role != R_TEMP and o.vreg != NO_VREG and self.values[o.vreg].range != NONE:
                    self.values[o.vreg].flags |= V_FIXED
                    self.values[o.vreg].fixed = cython.cast(uint8_t, reg)
                    self._define(o.vreg, pos + WRITES, U_GAP)
                    self._claim(reg, start, pos + 5, o.vreg)
                else:
                    self._claim(reg, start, pos + 3, o.vreg)
            elif o.role == R_TEMP:
                self._range(o.vreg, pos + READS, pos + 3)
                self._insert(o.vreg, pos + WRITES, U_MUST)
                self._insert(o.vreg, pos + READS, U_MUST)
            else:
                start = pos + (READS if o.role == R_DEF_EARLY or o.constraint == C_SAME else WRITES)
                kind: uint32_t = U_MUST if self.values[o.vreg].remat == NONE else U_GAP
                if self.values[o.vreg].range == NONE:
                    self._range(o.vreg, start, pos + 3)
                    if kind == U_MUST:
                        self._insert(o.vreg, pos + WRITES, U_MUST)
                self._define(o.vreg, start, kind)
        return 0

    def _define(self, vreg, pos, kind):
        """The first range begins here; the value is not alive before."""
        n: uint32_t = self.values[vreg].number
        self.ranges[self.values[vreg].range].start = pos
        if n != NONE:
            self.live[n >> 6] &= ~(cython.cast(uint64_t, 1) << (n & 63))
        if kind != U_GAP:
            self._insert(vreg, pos, kind)
        return 0

    def _dies(self, vreg, at, number):
        """Whether the value is not needed behind an instruction; also not by the loop's next round."""
        v: cython.pointer(Value) = cython.address(self.values[vreg])
        loop: uint32_t = self.loop_of[number]
        if v.range != NONE and self.ranges[v.range].start <= 4 * at + WRITES:
            return False
        return loop == NONE or v.start >= self.loops[loop].start

    def _swap(self, ops, at, number):
        """Let the two inputs of a commutative operation change places if that saves a move."""
        u: uint32_t = ops[1].vreg
        v: uint32_t = ops[2].vreg
        d: uint32_t = ops[0].vreg
        if ops[1].constraint == C_FIXED or ops[2].constraint == C_FIXED or u == v or ops[2].role != R_USE:
            return 0
        if ops[0].reg != 1 or ops[2].constraint == C_SLOT or not self._dies(v, at, number):
            return 0
        if self._dies(u, at, number) and not (self.values[d].kin == v or self.values[v].kin == d):
            if self._descends(u, self.values[d].kin) or not self._descends(v, self.values[d].kin):
                return 0
        ops[1].vreg = v
        ops[2].vreg = u
        self.values[d].hint = v
        return 0

    def _descends(self, vreg, origin):
        """Whether a value is made of another one in a few instructions whose results may take its register: so is what
        a loop carries on, and should be where it was."""
        steps: cython.int
        k: uint32_t
        inst: cython.pointer(MInst)
        if origin == NONE:
            return False
        for steps in range(DESCENT):
            if vreg == origin:
                return True
            if self.values[vreg].start == NONE:
                return False
            inst = cython.address(self.m.insts[self.values[vreg].start >> 2])
            if inst.nops < 2 or self.m.operands[inst.ops].vreg != vreg or not is_def(self.m.operands[inst.ops].role):
                return False
            for k in range(2, inst.nops):
                if self.m.operands[inst.ops + k].vreg == origin:
                    return self.m.operands[inst.ops + k].constraint != C_FIXED
            if self.m.operands[inst.ops + 1].constraint == C_FIXED:
                return False
            vreg = self.m.operands[inst.ops + 1].vreg
            if vreg >= self.m.n_vregs:
                return False
        return False

    def _header(self, m, number):
        """What is alive at a loop's header lives in the whole loop."""
        w: uint32_t
        bits: uint64_t
        b: cython.pointer(MBlock) = cython.address(m.blocks[number])
        end: uint32_t = 4 * m.blocks[self.base.loop_stop[number] - 1].last
        for w in range(self.words):
            bits = self.live[w]
            while bits:
                self._range(self.vregs[64 * w + lowest_of(bits)], 4 * b.first, end)
                bits &= bits - 1
                if self.budget == 0:
                    return 0
                self.budget -= 1
        return 1

    def _spread(self, m):
        """The sets of the blocks in a loop get what is alive at its header."""
        number: uint32_t
        w: uint32_t
        for number in range(m.n_blocks):
            loop: uint32_t = self.loop_of[number]
            if loop != NONE and self.loops[loop].first == number:
                loop = self.loops[loop].parent
            if loop == NONE:
                continue
            to: cython.pointer(uint64_t) = self.live_in + cython.cast(uint64_t, number) * self.words
            source: cython.pointer(uint64_t) = self.live_in + cython.cast(uint64_t, self.loops[loop].first) * self.words
            for w in range(self.words):
                to[w] |= source[w]
        return 0

    # ---- lists ---------------------------------------------------------------------------------

    def _range(self, vreg, start, end):
        """The value lives from ``start`` to before ``end``: at the head of its list, or one with what is there."""
        v: cython.pointer(Value) = cython.address(self.values[vreg])
        r: uint32_t = v.range
        if r != NONE and self.ranges[r].start <= end:
            if self.ranges[r].start > start:
                self.ranges[r].start = start
            if self.ranges[r].end < end:
                self.ranges[r].end = end
                while self.ranges[r].next != NONE and self.ranges[self.ranges[r].next].start <= self.ranges[r].end:
                    follower: cython.pointer(Range) = cython.address(self.ranges[self.ranges[r].next])
                    if follower.end > self.ranges[r].end:
                        self.ranges[r].end = follower.end
                    self.ranges[r].next = follower.next
            return 0
        r = self.n_ranges
        vec_room(self.ranges, self.cap_ranges, r + 1)
        self.ranges[r].start = start
        self.ranges[r].end = end
        self.ranges[r].next = v.range
        v.range = r
        self.n_ranges = r + 1
        return 0

    def _use(self, vreg, pos, kind, number):
        """A use in a block: the value lives from the block's head to there. The first use in a loop marks its end."""
        v: cython.pointer(Value) = cython.address(self.values[vreg])
        first: uint32_t = NONE if v.use == NONE else self.uses[v.use].pos
        loop: uint32_t = self.loop_of[number]
        outer: uint32_t[MAX_MARKED_LOOPS]
        n: uint32_t = 0
        if kind == U_GAP and v.remat != NONE:
            return 0  # computed where it is moved to
        while loop != NONE and n < MAX_MARKED_LOOPS and v.start < self.loops[loop].start:
            if self.loops[loop].end > first:
                break
            outer[n] = loop
            n += 1
            loop = self.loops[loop].parent
        while n:
            n -= 1
            if v.use == NONE or self.uses[v.use].pos > self.loops[outer[n]].end - 1:
                self._insert(vreg, self.loops[outer[n]].end - 1, U_LOOP)
        self._range(vreg, 4 * self.m.blocks[number].first, pos + 1)
        if v.number != NONE and v.block != number:
            self.live[v.number >> 6] |= cython.cast(uint64_t, 1) << (v.number & 63)
        return self._insert(vreg, pos, kind)

    def _insert(self, vreg, pos, kind):
        """An entry in the list of uses; only those of the same instruction can come before it."""
        v: cython.pointer(Value) = cython.address(self.values[vreg])
        before: uint32_t = NONE
        following: uint32_t = v.use
        n: uint32_t = self.n_uses
        while following != NONE and self.uses[following].pos < pos:
            before = following
            following = self.uses[following].next
        if following != NONE and self.uses[following].pos == pos:
            if kind < self.uses[following].kind:
                self.uses[following].kind = kind
            return 0
        vec_room(self.uses, self.cap_uses, n + 1)
        self.uses[n].pos = pos
        self.uses[n].kind = kind
        self.uses[n].next = following
        if before == NONE:
            v.use = n
        else:
            self.uses[before].next = n
        self.n_uses = n + 1
        return 0

    def _claim(self, reg, start, end, vreg):
        """A fixed operand; claims of one register are in order (one instruction may claim it twice)."""
        n: uint32_t = self.n_claims
        if reg >= MAX_REGISTERS:
            return 0
        head: uint32_t = self.first_claim[reg]
        vec_room(self.claims, self.cap_claims, n + 1)
        self.claims[n].start = start
        self.claims[n].end = end
        self.claims[n].vreg = vreg
        if head != NONE and self.claims[head].start < start:
            self.claims[n].next = self.claims[head].next
            self.claims[head].next = n
        else:
            self.claims[n].next = head
            self.first_claim[reg] = n
        self.n_claims = n + 1
        return 0

    # ---- parts ---------------------------------------------------------------------------------

    def child(self, vreg, range, use, end):
        """A new part of a value's life."""
        n: uint32_t = self.n_children
        vec_room(self.children, self.cap_children, n + 1)
        c: cython.pointer(Child) = cython.address(self.children[n])
        c.vreg = vreg
        c.range = range
        c.start = self.ranges[range].start
        c.end = end
        c.use = use
        c.last_use = NONE
        c.held = c.start
        c.next = NONE
        c.place = NO_REG
        c.flags = 0
        self.n_children = n + 1
        return n

    def split(self, c, pos):
        """Cut a part in two at a position; returns the second, or NONE where nothing is left for it."""
        old: cython.pointer(Child) = cython.address(self.children[c])
        r: uint32_t = old.range
        u: uint32_t = old.use
        last: uint32_t = NONE
        rest: uint32_t
        before: uint32_t = NONE
        if pos >= old.end or pos <= old.start:
            return NONE
        while self.ranges[r].end <= pos:
            before = r
            r = self.ranges[r].next
        rest = r
        if self.ranges[r].start < pos:
            rest = self.n_ranges
            vec_room(self.ranges, self.cap_ranges, rest + 1)
            self.ranges[rest].start = pos
            self.ranges[rest].end = self.ranges[r].end
            self.ranges[rest].next = self.ranges[r].next
            self.ranges[r].end = pos
            self.ranges[r].next = NONE
            before = r
            self.n_ranges = rest + 1
        elif before == NONE:  # in a hole in front of all ranges that still matter
            before = self.n_ranges
            vec_room(self.ranges, self.cap_ranges, before + 1)
            self.ranges[before].start = self.ranges[before].end = pos
            self.ranges[before].next = NONE
            old.range = before
            self.n_ranges = before + 1
        else:
            self.ranges[before].next = NONE
        while u != NONE and self.uses[u].pos < pos:
            last = u
            u = self.uses[u].next
        n: uint32_t = self.child(old.vreg, rest, u, old.end)
        old = cython.address(self.children[c])
        if last != NONE:
            self.uses[last].next = NONE
        else:
            old.use = NONE
        old.end = self.ranges[before].end
        self.children[n].next = old.next
        old.next = n
        return n
