# strata: hot
"""Second half of level 1 allocation: gives each operand its place, and moves values from part to part.

Between two parts of a value inside a block, a move stands before the instruction where the second begins. On an edge
where the parts at its two ends differ, it stands at the end of the block it leaves, or at the head of the block it
enters if it is the only way in. Values are never written twice, so a slot once written stays right: what goes to the
slot in several places, or in a deeper loop than its definition, is stored once, behind its definition.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.bits import lowest_of
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_SAME,
    C_SLOT,
    LOC_REMAT,
    LOC_SLOT,
    MAX_REGISTERS,
    MI_INVOKE,
    NO_LOC,
    NO_VREG,
    R_DEF,
    R_USE_LATE,
    MBlock,
    MEdge,
    MInst,
    MOperand,
    is_def,
    is_use,
)
from cython.cimports.stratavm.machine.regalloc.moves import ParallelMove
from cython.cimports.stratavm.machine.regalloc.ranges import (
    IN_SLOT,
    MANY,
    NONE,
    READS,
    V_HOME,
    V_SLOT,
    V_STORED,
    WRITES,
    Value,
    twin_of,
)

MAX_WEIGHT_DEPTH = cython.declare(uint32_t, 6)
cython.declare(WORK_PER_INST=uint64_t, WORK_BASE=uint64_t)
WORK_PER_INST = 128  # units of work on values that cross blocks, per instruction
WORK_BASE = 1 << 21

OperandPtr = cython.typedef(cython.pointer(MOperand))


@cython.cclass
class Resolver:
    """Work arrays, reused between functions. Work on edges and memory for crossings are bounded."""

    def __init__(self, moves: ParallelMove) -> None:
        self.moves = moves

    def __dealloc__(self):
        free(self.many)
        free(self.live)
        free(self.crossings)
        free(self.heads)
        free(self.tails)
        free(self.changes)
        free(self.change_at)
        free(self.freed)
        free(self.chain)
        free(self.narrow)
        free(self.wide)
        free(self.stores)

    def run(self, m, t):
        """Write places and moves. 0 where the scan left a value without a place that an operand needs."""
        number: uint32_t
        self._reserve(m, t)
        m.n_slots = 2 * m.n_vregs + 4
        self.moves.start(m)
        if self.moves.may_wait(m):
            self.moves.spare = LOC_SLOT
            self.n_slots = 2
        self._list_changes()
        self._list_crossings()
        if not self.failed:
            self._weigh()
        if self.failed:
            return 0
        self._give_slots()
        for number in range(m.n_blocks):
            self._block(number)
            if self.failed:
                return 0
        m.n_slots = self.n_slots
        return 1

    def _reserve(self, m, t):
        """Tables have room and are empty."""
        size: cython.size_t = cython.sizeof(uint32_t)
        wide: cython.size_t = cython.sizeof(uint64_t)
        vec_room(self.many, self.cap_many, t.words + 1)
        vec_room(self.live, self.cap_live, t.words + 1)
        memset(self.many, 0, t.words * wide)
        vec_room(self.heads, self.cap_heads, m.n_blocks + 1)
        vec_room(self.tails, self.cap_tails, m.n_blocks + 1)
        vec_room(self.change_at, self.cap_change_at, m.n_insts + 1)
        vec_room(self.freed, self.cap_freed, m.n_insts + 1)
        vec_room(self.chain, self.cap_chain, m.n_vregs + 1)
        memset(self.change_at, 0xFF, m.n_insts * size)
        memset(self.freed, 0xFF, (m.n_insts + 1) * size)
        self.n_crossings = self.n_changes = self.n_narrow = self.n_wide = self.n_stores = self.n_slots = 0
        self.failed = False
        self.budget = WORK_BASE + WORK_PER_INST * m.n_insts
        return 0

    def _spend(self, units):
        """Account for work on blocks and edges; False, and the function is given up, where too much was done."""
        if self.budget < units:
            self.failed = True
            return False
        self.budget -= units
        return True

    # ---- where parts meet ----------------------------------------------------------------------

    def _list_changes(self):
        """Parts that begin inside blocks, by instruction; and which values have several parts."""
        i: uint32_t
        c: uint32_t
        n: uint32_t
        at: uint32_t
        for i in range(self.t.n_order):
            v: cython.pointer(Value) = cython.address(self.t.values[self.t.order[i]])
            v.at = c = v.child
            if c == NONE or self.t.children[c].next == NONE:
                continue
            if v.number != NONE:
                self.many[v.number >> 6] |= cython.cast(uint64_t, 1) << (v.number & 63)
            while self.t.children[c].next != NONE:
                n = self.t.children[c].next
                if self.t.children[n].start & 3 and self.t.children[c].end == self.t.children[n].start:
                    vec_room(self.changes, self.cap_changes, self.n_changes + 1)
                    at = self.t.children[n].start >> 2
                    self.changes[self.n_changes].child = c
                    self.changes[self.n_changes].next = self.change_at[at]
                    self.change_at[at] = self.n_changes
                    self.n_changes += 1
                c = n
        return 0

    def _list_crossings(self):
        """Which parts values are in at the head and at the end of each block; in order of their numbers."""
        number: uint32_t
        k: uint32_t
        w: uint32_t
        words: uint32_t = self.t.words
        for number in range(self.m.n_blocks):
            b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
            self.heads[number] = self.n_crossings
            self._cross(self.t.live_in + cython.cast(uint64_t, number) * words, 4 * b.first)
            self.tails[number] = self.n_crossings
            memset(self.live, 0, words * cython.sizeof(uint64_t))
            for k in range(b.nedges):
                source: cython.pointer(uint64_t) = (
                    self.t.live_in + cython.cast(uint64_t, self.m.edges[b.edges + k].target) * words
                )
                for w in range(words):
                    self.live[w] |= source[w]
            self._cross(self.live, 4 * (b.last - 1) if self._moves_on(number) else 4 * b.last - 1)
            if not self._spend(self.n_crossings - self.heads[number]):
                return 0
        self.heads[self.m.n_blocks] = self.n_crossings
        for k in range(self.t.n_order):
            self.t.values[self.t.order[k]].at = self.t.values[self.t.order[k]].child
        return 0

    def _cross(self, bits, pos):
        """Note the parts of some values at a position."""
        w: uint32_t
        left: uint64_t
        for w in range(self.t.words):
            left = bits[w] & self.many[w]
            while left:
                vec_room(self.crossings, self.cap_crossings, self.n_crossings + 1)
                crossing: cython.pointer(Crossing) = cython.address(self.crossings[self.n_crossings])
                crossing.number = 64 * w + lowest_of(left)
                crossing.child = self._part(self.t.vregs[crossing.number], pos)
                self.n_crossings += 1
                left &= left - 1
        return 0

    def _moves_on(self, number):
        """Whether the moves of a block's one edge stand before its terminator, else at the head of its successors."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        return b.nedges == 1 and self.m.insts[b.last - 1].nops == 0

    def _part(self, vreg, pos):
        """The part of a value at a position; positions come in order."""
        v: cython.pointer(Value) = cython.address(self.t.values[vreg])
        while v.at != NONE and self.t.children[v.at].end <= pos and self.t.children[v.at].next != NONE:
            v.at = self.t.children[v.at].next
        return v.at

    def _where(self, child):
        """Register or slot of a part."""
        place: uint32_t = self.t.children[child].place
        v: cython.pointer(Value) = cython.address(self.t.values[self.t.children[child].vreg])
        if place != IN_SLOT:
            return place
        return v.slot if v.remat == NONE else v.remat

    def _loc(self, vreg, pos):
        """Where a value is at a position of the instruction at hand or the gap before it."""
        c: uint32_t = self.t.values[vreg].at
        if c == NONE:
            self.failed = True
            return NO_LOC
        while self.t.children[c].end <= pos and self.t.children[c].next != NONE:
            c = self.t.children[c].next
        return self._where(c)

    def _source(self, vreg, pos):
        """Where a value is moved from in the gap before the instruction at hand; what can be computed again is."""
        return self._loc(vreg, pos) if self.t.values[vreg].remat == NONE else self.t.values[vreg].remat

    # ---- where to store ------------------------------------------------------------------------

    def _depth(self, block):
        """Loop depth of a block, bounded."""
        loop: uint32_t = self.t.loop_of[block]
        depth: uint32_t = 0 if loop == NONE else self.t.loops[loop].depth
        return depth if depth < MAX_WEIGHT_DEPTH else MAX_WEIGHT_DEPTH

    def _count(self, vreg, depth):
        """A place where the value would be stored."""
        v: cython.pointer(Value) = cython.address(self.t.values[vreg])
        v.spills += 1
        v.spill_weight += cython.cast(uint64_t, 1) << 3 * depth
        return 0

    def _weigh(self):
        """Compare storing where values go to their slots with storing behind their definitions."""
        number: uint32_t
        at: uint32_t
        k: uint32_t
        c: uint32_t
        here: uint64_t
        for at in range(self.m.n_insts):
            k = self.change_at[at]
            while k != NONE:
                c = self.changes[k].child
                if (
                    self.t.children[c].place < MAX_REGISTERS
                    and self.t.children[self.t.children[c].next].place == IN_SLOT
                ):
                    self._count(self.t.children[c].vreg, self._depth(self.t.block_of[at]))
                k = self.changes[k].next
        for number in range(self.m.n_blocks):
            b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
            for k in range(b.nedges):
                self._edges(number, self.m.edges[b.edges + k].target, False)
        for k in range(self.t.n_order):
            v: cython.pointer(Value) = cython.address(self.t.values[self.t.order[k]])
            if v.flags & V_SLOT and v.child != NONE:
                here = cython.cast(uint64_t, 1) << 3 * self._depth(v.block)
                if v.spill_weight > here or (v.spill_weight == here and v.spills > 1):
                    v.flags |= V_STORED
        return 0

    def _edges(self, source, target, emit):
        """Moves (or the weight of stores) of values whose parts differ at the ends of an edge."""
        i: uint32_t = self.tails[source]
        last: uint32_t = self.heads[source + 1]
        k: uint32_t
        x: uint32_t
        y: uint32_t
        if not self._spend(last - i + self.tails[target] - self.heads[target]):
            return 0
        for k in range(self.heads[target], self.tails[target]):
            while i < last and self.crossings[i].number < self.crossings[k].number:
                i += 1
            if i == last or self.crossings[i].number != self.crossings[k].number:
                self.failed = True
                return 0
            x = self.crossings[i].child
            y = self.crossings[k].child
            if self.t.children[x].place < MAX_REGISTERS and self._lands(source, target):
                self.failed = True
                return 0
            if x == y:
                continue
            if emit:
                self._goes_on(x, y)
            elif self.t.children[x].place < MAX_REGISTERS and self.t.children[y].place == IN_SLOT:
                x = self._depth(source)
                y = self._depth(target)
                self._count(self.t.vregs[self.crossings[i].number], x if x < y else y)
        return 0

    def _lands(self, source, target):
        """Whether an edge leaves from a call that ends with an exception: nothing is in a register there."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[source])
        return self.m.insts[b.last - 1].flags & MI_INVOKE and self.m.edges[b.edges + 1].target == target

    def _goes_on(self, before, after):
        """Move a value from part to part. What is stored behind its definition is in its slot already."""
        vreg: uint32_t = self.t.children[before].vreg
        if self.t.children[after].place == IN_SLOT and (
            self.t.values[vreg].flags & V_STORED or self.t.children[before].place == IN_SLOT
        ):
            return 0
        return self.moves.add(self._where(before), self._where(after), vreg)

    # ---- slots ---------------------------------------------------------------------------------

    def _give_slots(self):
        """A slot for each value that needs one, for all of its life; then another may have it."""
        i: uint32_t
        c: uint32_t
        at: uint32_t
        done: uint32_t = 0
        for i in range(self.t.n_order):
            v: cython.pointer(Value) = cython.address(self.t.values[self.t.order[i]])
            if not v.flags & V_SLOT or v.child == NONE or v.remat != NONE:
                continue
            while done < v.start >> 2:
                self._release(done)
                done += 1
            self._give(self.t.order[i])
            c = v.child
            while self.t.children[c].next != NONE:
                c = self.t.children[c].next
            at = self.t.children[c].end >> 2
            if at > self.m.n_insts:
                at = self.m.n_insts
            self.chain[self.t.order[i]] = self.freed[at]
            self.freed[at] = self.t.order[i]
        return 0

    def _give(self, vreg):
        """A free slot, or a new one."""
        v: cython.pointer(Value) = cython.address(self.t.values[vreg])
        if self.m.vwidth[vreg] == 16:
            if self.n_wide:
                self.n_wide -= 1
                v.slot = self.wide[self.n_wide]
                return 0
            self.n_slots += self.n_slots & 1
            v.slot = LOC_SLOT | self.n_slots
            self.n_slots += 2
        elif self.n_narrow:
            self.n_narrow -= 1
            v.slot = self.narrow[self.n_narrow]
        else:
            v.slot = LOC_SLOT | self.n_slots
            self.n_slots += 1
        return 0

    def _release(self, at):
        """Slots of values that ended at an instruction."""
        v: uint32_t = self.freed[at]
        while v != NONE:
            if self.m.vwidth[v] == 16:
                vec_room(self.wide, self.cap_wide, self.n_wide + 1)
                self.wide[self.n_wide] = self.t.values[v].slot
                self.n_wide += 1
            else:
                vec_room(self.narrow, self.cap_narrow, self.n_narrow + 1)
                self.narrow[self.n_narrow] = self.t.values[v].slot
                self.n_narrow += 1
            v = self.chain[v]
        return 0

    # ---- writing -------------------------------------------------------------------------------

    def _block(self, number):
        """One block: what changes on the way in, then instruction by instruction."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        at: uint32_t
        k: uint32_t
        before: uint32_t = self.t.only_pred[number]
        if before < MANY and not self._moves_on(before):
            self._edges(before, number, True)
            if self.failed:
                return 0
            self.moves.resolve(self.m, b.first)
        for k in range(b.nparams):
            self._note_store(self.m.block_params[b.params + k])
        for at in range(b.first, b.last):
            breathe(at)
            self._gap(at, at == b.last - 1 and self._moves_on(number))
            if at == b.last - 1 and self._moves_on(number):
                self._arguments(number)
                self._edges(number, self.m.edges[b.edges].target, True)
            if self.failed:
                return 0
            self.moves.resolve(self.m, at)
            self._inst(at)
        return 0

    def _gap(self, at, leaving):
        """Moves before an instruction: stores, values that change their part, inputs in fixed and tied places."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
        ops: OperandPtr = self.m.operands + inst.ops
        k: uint32_t
        c: uint32_t
        v: uint32_t
        pos: uint32_t = 4 * at
        for k in range(self.n_stores):
            v = self.stores[k]
            self.moves.add(self._loc(v, pos), self.t.values[v].slot, v)
        self.n_stores = 0
        for k in range(inst.nops):
            v = ops[k].vreg
            if v != NO_VREG and is_use(ops[k].role):
                self._part(v, pos)
        k = self.change_at[at]
        while k != NONE and not leaving:
            c = self.t.children[self.changes[k].child].next
            v = self.t.children[c].vreg
            self._part(v, pos)
            if self.t.children[c].place != IN_SLOT or (
                not self.t.values[v].flags & V_STORED and self._loc(v, pos) < MAX_REGISTERS
            ):
                self.moves.add(self._loc(v, pos), self._where(c), v)
            k = self.changes[k].next
        return self._to_fixed(inst, ops, at)

    def _to_fixed(self, inst, ops, at):
        """Bring inputs to fixed registers and to the places of the results that are tied to them."""
        k: uint32_t
        pos: uint32_t = 4 * at
        o: OperandPtr
        for k in range(inst.nops):
            o = cython.address(ops[k])
            if o.constraint == C_FIXED:
                o.loc = o.reg
                if is_use(o.role) and o.vreg != NO_VREG and o.reg < MAX_REGISTERS:
                    self._bring(o.vreg, o.reg, pos)
            elif o.constraint == C_SAME:
                t: OperandPtr = cython.address(ops[o.reg])
                if t.constraint == C_FIXED:
                    o.loc = t.reg
                    continue
                o.loc = t.loc = self._loc(o.vreg, pos + READS)
                if o.loc >= MAX_REGISTERS:
                    self.failed = True
                    return 0
                self._bring(t.vreg, t.loc, pos)
            elif o.constraint == C_SLOT:
                o.loc = self.t.values[o.vreg].slot
        return 0

    def _bring(self, vreg, reg, pos):
        """Move an input to where the instruction reads it, unless its next part begins just there."""
        if self.moves.writes(reg) and self._loc(vreg, pos + READS) == reg:
            return 0
        return self.moves.add(self._source(vreg, pos), reg, vreg)

    def _inst(self, at):
        """Places of the other operands; results that are stored behind their definition are noted."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
        ops: OperandPtr = self.m.operands + inst.ops
        k: uint32_t
        twin: uint32_t
        o: OperandPtr
        for k in range(inst.nops):
            o = cython.address(ops[k])
            if o.constraint == C_FIXED or o.constraint == C_SLOT or o.constraint == C_SAME or o.vreg == NO_VREG:
                continue
            twin = twin_of(ops, inst.nops, k) if is_use(o.role) else cython.cast(uint32_t, NONE)
            if twin != NONE:
                o.loc = ops[twin].loc
            else:
                self._place(o, 4 * at + (WRITES if o.role == R_DEF else READS))
        for k in range(inst.nops):
            if is_def(ops[k].role) and ops[k].vreg != NO_VREG:
                self._note_store(ops[k].vreg)
        return 0

    def _place(self, o, pos):
        """The place of an operand that asks for a register, or for anything."""
        o.loc = self._loc(o.vreg, pos)
        in_memory: cython.bint = o.constraint == C_ANY and is_use(o.role) and o.loc != NO_LOC
        if o.loc & LOC_SLOT:
            self.failed = self.failed or not in_memory
        elif o.loc & LOC_REMAT and o.role != R_DEF:
            self.failed = self.failed or not in_memory or not self.t.values[o.vreg].flags & V_HOME
        if o.role == R_USE_LATE and self._loc(o.vreg, pos + 1) != o.loc:
            self.failed = True
        return 0

    def _note_store(self, vreg):
        """The value may have to be stored in the gap behind its definition."""
        v: cython.pointer(Value) = cython.address(self.t.values[vreg])
        if not v.flags & V_STORED or v.remat != NONE or v.child == NONE or self.t.children[v.child].place == IN_SLOT:
            return 0
        vec_room(self.stores, self.cap_stores, self.n_stores + 1)
        self.stores[self.n_stores] = vreg
        self.n_stores += 1
        return 0

    def _arguments(self, number):
        """Arguments of a block's one edge to where the parameters are at the head of its target."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        e: cython.pointer(MEdge) = cython.address(self.m.edges[b.edges])
        k: uint32_t
        param: uint32_t
        arg: uint32_t
        for k in range(e.nargs):
            param = self.m.block_params[self.m.blocks[e.target].params + k]
            if self.t.values[param].child == NONE:
                continue
            arg = self.m.edge_args[e.args + k]
            self._part(arg, 4 * (b.last - 1))
            self.moves.add(self._source(arg, 4 * (b.last - 1)), self._where(self.t.values[param].child), arg)
        return 0
