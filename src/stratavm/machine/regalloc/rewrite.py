# strata: hot
"""Second half of level 0 allocation: gives every operand its place once each value has a register or a slot.

A value with a home register is always there. A value without one is stored to its slot once, where it is defined, so
the slot is right everywhere; registers that are free hold *copies*, which live until something else wants the register
or to the next call, and into blocks where every way in (none of them backward) brings the same copy. An instruction
that needs more registers than are free evicts a home value to its slot for one instruction.

Everything that must happen between two instructions (results to their homes, evicted values back, loads for the next)
is one parallel move, so ``_source`` asks where a value is *before* it.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_SAME,
    C_SLOT,
    LOC_SLOT,
    MAX_REGISTERS,
    MI_CALL,
    MI_INVOKE,
    NO_LOC,
    NO_VREG,
    OF_SWAP,
    R_TEMP,
    R_USE_LATE,
    MBlock,
    MEdge,
    MInst,
    MOperand,
    bit,
    holds_early,
    holds_late,
    is_def,
    is_use,
    lowest_bit,
)
from cython.cimports.stratavm.machine.regalloc.intervals import IV_GIVEN, NO_REGISTER, Interval
from cython.cimports.stratavm.machine.regalloc.moves import ParallelMove

OperandPtr = cython.typedef(cython.pointer(MOperand))


@cython.cclass
class Rewriter:
    """State while walking one function; arrays reused."""

    def __dealloc__(self):
        vec_free(self.freed)
        vec_free(self.narrow)
        vec_free(self.wide)
        vec_free(self.post)
        vec_free(self.states)
        vec_free(self.state_of)

    def __init__(self, moves: ParallelMove) -> None:
        self.moves = moves

    def run(self, m, t, slot_of, registers):
        """Rewrite a function. 0 where an instruction cannot be served (the caller then starts over with slots)."""
        number: uint32_t
        size: cython.size_t = cython.sizeof(uint32_t)
        self.items = t.items
        self.slot_of = slot_of
        self.registers = registers
        vec_room(self.freed, self.cap_freed, m.n_insts)
        memset(self.freed, 0xFF, m.n_insts * size)
        self.n_narrow = self.n_wide = self.n_slots = self.n_post = 0
        self.occupied = self.dying = self.copies = self.evicted = self.evicting = 0
        vec_room(self.state_of, self.cap_state_of, m.n_blocks)
        memset(self.state_of, 0xFF, m.n_blocks * size)
        self.n_states = 0
        self.free_state = NO_STATE
        self.falls = False
        self.turn = 0
        self.failed = False
        m.n_slots = 2 * m.n_vregs + 4
        self.moves.start(m)
        if self.moves.may_wait(m):
            self.moves.spare = LOC_SLOT
            self.n_slots = 2
        for number in range(m.n_blocks):
            self._block(t, number)
            if self.failed:
                return 0
        m.n_slots = self.n_slots
        return 1

    def _block(self, t, number):
        """One block; home registers whose values end at its terminator become free."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        at: uint32_t
        reg: uint32_t
        self._enter(number)
        for at in range(b.first, b.last):
            breathe(at)
            self._inst(at, b)
            if self.failed:
                return 0
        left: uint64_t = self.occupied
        while left:
            reg = lowest_bit(left)
            left &= left - 1
            if self.items[self.holder[reg]].end < 2 * b.last:
                self.occupied &= ~bit(reg)
        return self._leave(t, number)

    def _enter(self, number):
        """Parameters with homes are in them; copies that every way here brings along are kept."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        k: uint32_t
        v: uint32_t
        reg: uint32_t
        for k in range(b.nparams):
            v = self.m.block_params[b.params + k]
            if self.items[v].home < MAX_REGISTERS:
                self.occupied |= bit(self.items[v].home)
                self.holder[self.items[v].home] = v
        if self.falls:
            return 0
        while self.copies:
            self._forget_copy(lowest_bit(self.copies))
        k = self.state_of[number]
        if k >= NO_COPIES:
            return 0
        left: uint64_t = self.states[k].copies & ~self.occupied
        while left:
            reg = lowest_bit(left)
            left &= left - 1
            if self.items[self.states[k].copied[reg]].end >= 2 * b.first:
                self._note_copy(self.states[k].copied[reg], reg)
        self.states[k].next = self.free_state
        self.free_state = k
        return 0

    def _leave(self, t, number):
        """Tell the successors further on which copies they find. At a loop header there are none."""
        b: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        k: uint32_t
        target: uint32_t
        self.falls = False
        for k in range(b.nedges):
            target = self.m.edges[b.edges + k].target
            if target <= number or t.loop_stop[target]:
                continue
            if k and self.m.insts[b.last - 1].flags & MI_INVOKE:  # no register holds anything there
                self.state_of[target] = NO_COPIES
                continue
            if target == number + 1 and t.preds[target] == 1:
                self.falls = True
            else:
                self._merge(target)
        return 0

    def _merge(self, target):
        """The copies of a block yet to come: what is common to the edges into it so far."""
        k: uint32_t = self.state_of[target]
        reg: uint32_t
        left: uint64_t
        if k == NO_COPIES:
            return 0
        if k == NO_STATE:
            self.state_of[target] = NO_COPIES
            if self.copies == 0 or (self.free_state == NO_STATE and self.n_states >= MAX_STATES):
                return 0
            k = self._new_state()
            self.state_of[target] = k
            self.states[k].copies = self.copies
            memcpy(self.states[k].copied, self.copied, self.m.target.n_registers * cython.sizeof(uint32_t))
            return 0
        left = self.states[k].copies = self.states[k].copies & self.copies
        while left:
            reg = lowest_bit(left)
            left &= left - 1
            if self.states[k].copied[reg] != self.copied[reg]:
                self.states[k].copies &= ~bit(reg)
        return 0

    def _new_state(self):
        """A record for one block; given back when the block is entered."""
        k: uint32_t = self.free_state
        if k != NO_STATE:
            self.free_state = self.states[k].next
            return k
        k = self.n_states
        vec_room(self.states, self.cap_states, k + 1)
        self.n_states = k + 1
        return k

    # ---- one instruction -----------------------------------------------------------------------

    def _inst(self, at, b):
        """Places for the operands, and everything that moves before it."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
        ops: OperandPtr = self.m.operands + inst.ops
        n: uint32_t = inst.nops
        if at and self.freed[at - 1] != NO_VREG:
            self._release(at - 1)
        self.at = at
        self.is_last = at == b.last - 1
        self.early = self.late = self.loaded = self.dying = self.evicting = 0
        kinds: uint32_t = self._given(ops, n)
        if kinds & HAS_FIXED:
            self._load_fixed(ops, n)
        if kinds & HAS_TIED:
            self._tied(ops, n)
        if kinds & HAS_OPEN:
            self._others(ops, n)
        if self.is_last:
            self._edge(b)
        if self.failed:
            return 0
        if self.moves.n or self.n_post or self.evicted or self.evicting:
            self._settle(b, self.is_last and b.nedges == 1 and self.m.edges[b.edges].nargs != 0)
        return self._after(inst, ops)

    def _given(self, ops, n):
        """Operands whose place is settled: fixed registers, homes, demanded slots. Says what else there is to do."""
        k: uint32_t
        kinds: uint32_t = 0
        item: cython.pointer(Interval)
        for k in range(n):
            o: OperandPtr = cython.address(ops[k])
            o.loc = NO_LOC
            if o.constraint == C_FIXED:
                o.loc = o.reg
                if o.reg < MAX_REGISTERS:
                    kinds |= HAS_FIXED
                    self._claim(o.reg, (EARLY if holds_early(o.role) else 0) | (LATE if holds_late(o.role) else 0))
                continue
            if o.role != R_TEMP:
                item = cython.address(self.items[o.vreg])
                if o.constraint == C_SLOT:
                    o.loc = self._slot(o.vreg)
                elif item.home < MAX_REGISTERS and is_use(o.role):
                    o.loc = item.home
                    self._claim(item.home, BOTH if o.role == R_USE_LATE else EARLY)
                    if item.end == 2 * self.at:
                        self.dying |= bit(item.home)
                elif item.home < MAX_REGISTERS and o.constraint != C_SAME:
                    o.loc = item.home
                    self._claim(item.home, (EARLY if holds_early(o.role) else 0) | LATE)
                    if holds_early(o.role):
                        self._forget_copy(item.home)
            if o.constraint == C_SAME:
                kinds |= HAS_TIED
                if o.flags & OF_SWAP and k == 0 and n > 2:
                    self._swap(ops)
            elif o.loc == NO_LOC:
                kinds |= HAS_OPEN
        return kinds

    def _swap(self, ops):
        """Let the two inputs of a commutative operation change places if that saves a move. They are not placed yet."""
        u: uint32_t = ops[1].vreg
        v: uint32_t = ops[2].vreg
        if ops[1].constraint == C_FIXED or ops[2].constraint == C_FIXED or u == v:
            return 0
        if self.items[ops[0].vreg].home < MAX_REGISTERS:
            if self.items[ops[0].vreg].hint != v:
                return 0
        elif self._yields(u) or not self._yields(v):
            return 0
        ops[1].vreg = v
        ops[2].vreg = u
        return 0

    def _yields(self, vreg):
        """Whether the value is in a register and ends at the instruction at hand."""
        item: cython.pointer(Interval) = cython.address(self.items[vreg])
        return item.end == 2 * self.at and (item.home < MAX_REGISTERS or item.cached != NO_REGISTER)

    def _load_fixed(self, ops, n):
        """Bring fixed inputs to their registers, once all claims are known."""
        k: uint32_t
        for k in range(n):
            if ops[k].constraint == C_FIXED and ops[k].reg < MAX_REGISTERS:
                self._given_fixed(cython.address(ops[k]))
        return 0

    def _given_fixed(self, o):
        """Load a fixed input; a register written early loses its copy."""
        if not is_use(o.role):
            if holds_early(o.role):
                self._forget_copy(o.reg)
            return 0
        if o.vreg == NO_VREG:
            return 0
        item: cython.pointer(Interval) = cython.address(self.items[o.vreg])
        if item.home < MAX_REGISTERS and item.end == 2 * self.at:
            self.dying |= bit(item.home)
        if item.home != o.reg:
            self._load(o.vreg, o.reg)
        return 0

    def _tied(self, ops, n):
        """Two-address operands: the input is brought to where the result will be."""
        k: uint32_t
        x: uint32_t
        for k in range(n):
            o: OperandPtr = cython.address(ops[k])
            if o.constraint != C_SAME:
                continue
            t: OperandPtr = cython.address(ops[o.reg])
            if t.constraint == C_FIXED:
                o.loc = t.loc
                self._claim(o.loc, LATE)
                continue
            x = self._tied_place(o.vreg, t.vreg)
            if x >= MAX_REGISTERS:
                return 0
            self._claim(x, BOTH)
            o.loc = t.loc = x
            if self.items[t.vreg].home != x:
                self._load(t.vreg, x)
        return 0

    def _tied_place(self, d, u):
        """The home of the result, or the register of an input that ends here, or any."""
        item: cython.pointer(Interval) = cython.address(self.items[u])
        if self.items[d].home < MAX_REGISTERS:
            return self.items[d].home
        if item.home < MAX_REGISTERS:
            if item.end == 2 * self.at and not self.late >> item.home & 1:
                return item.home
        elif self._yields(u) and not (self.late | self.early) >> item.cached & 1:
            return item.cached
        return self._pick(self.m.vclass[d], BOTH)

    def _others(self, ops, n):
        """The rest. What is needed early and late is chosen first; then reads and writes do not concern each other."""
        k: uint32_t
        o: OperandPtr
        for k in range(n):
            o = cython.address(ops[k])
            if o.loc == NO_LOC and holds_early(o.role) and holds_late(o.role):
                if o.role == R_USE_LATE:
                    self._read(o, BOTH)
                else:
                    self._choose(o, BOTH)
        for k in range(n):
            o = cython.address(ops[k])
            if o.loc == NO_LOC:
                if is_use(o.role):
                    self._read(o, EARLY)
                else:
                    self._choose(o, LATE)
        return 0

    def _read(self, o, moment):
        """An input that lives in a slot: its copy, the slot itself, or a load."""
        copy: uint32_t = self.items[o.vreg].cached
        if copy != NO_REGISTER and not (moment == BOTH and self.late >> copy & 1):
            o.loc = copy
            self._claim(copy, moment)
            return 0
        if o.constraint == C_ANY:
            o.loc = self._slot(o.vreg)
            return 0
        self._choose(o, moment)
        if o.loc < MAX_REGISTERS:
            self._load(o.vreg, o.loc)
        return 0

    def _choose(self, o, moment):
        """Any register for an operand."""
        o.loc = self._pick(self.m.vclass[o.vreg], moment)
        if o.loc < MAX_REGISTERS:
            self._claim(o.loc, moment)
        return 0

    def _edge(self, b):
        """Arguments of the only edge to where the parameters live."""
        k: uint32_t
        dst: uint32_t
        arg: uint32_t
        if b.nedges != 1:
            return 0
        e: cython.pointer(MEdge) = cython.address(self.m.edges[b.edges])
        for k in range(e.nargs):
            param: uint32_t = self.m.block_params[self.m.blocks[e.target].params + k]
            if self.items[param].weight == 0:
                continue
            dst = self.items[param].home
            arg = self.m.edge_args[e.args + k]
            if dst < MAX_REGISTERS:
                self._claim(dst, LATE)
            else:
                dst = self._slot_of(param, arg)
                if dst == self.slot_of[arg] and self.items[arg].home == NO_LOC and self.items[arg].fresh == NO_LOC:
                    continue  # it is there
            self.moves.add(self._source(arg), dst, arg)
        return 0

    def _settle(self, b, passing):
        """Complete the parallel move before the instruction: earlier results and evicted values go home.

        Where arguments are passed (``passing``), some of that is needless and would clash with the arguments.
        """
        k: uint32_t
        reg: uint32_t
        back: uint64_t = self.evicted & ~self.evicting
        for k in range(self.n_post):
            if not (passing and self._is_idle(self.post[k].vreg, self.post[k].dst)):
                self.moves.add(self.post[k].src, self.post[k].dst, self.post[k].vreg)
        left: uint64_t = back
        while left:
            reg = lowest_bit(left)
            left &= left - 1
            if not (passing and self._is_idle(self.holder[reg], reg)):
                self.moves.add(self._slot(self.holder[reg]), reg, self.holder[reg])
        self.moves.resolve(self.m, self.at)
        for k in range(self.n_post):
            self.items[self.post[k].vreg].fresh = NO_LOC
        self.n_post = 0
        while back:
            self.items[self.holder[lowest_bit(back)]].fresh = NO_LOC
            back &= back - 1
        self.evicted = self.evicting
        return 0

    def _is_idle(self, vreg, dst):
        """Whether a value need not go home where arguments are passed (such a terminator has no operands).

        It is only passed on (an end by loop extent is odd), or an argument goes to its home: on this way it is dead.
        """
        return self.items[vreg].end <= 2 * self.at or self.moves.writes(dst)

    # ---- behind the instruction ----------------------------------------------------------------

    def _after(self, inst, ops):
        """Registers that the instruction freed, destroyed and filled."""
        k: uint32_t
        doomed: uint64_t = self.late
        for k in range(inst.nops):
            o: OperandPtr = cython.address(ops[k])
            if not is_use(o.role) or o.vreg == NO_VREG:
                continue
            if o.role == R_USE_LATE and o.loc < MAX_REGISTERS:
                doomed &= ~bit(o.loc)
            item: cython.pointer(Interval) = cython.address(self.items[o.vreg])
            if item.end > 2 * self.at + 1:
                continue
            if item.home < MAX_REGISTERS and self.holder[item.home] == o.vreg:
                self.occupied &= ~bit(item.home)
                self.evicted &= ~bit(item.home)
            if item.cached != NO_REGISTER:
                self._forget_copy(item.cached)
        if inst.flags & MI_CALL:
            doomed = self.copies
        doomed &= self.copies
        while doomed:
            self._forget_copy(lowest_bit(doomed))
            doomed &= doomed - 1
        return self._results(ops, inst.nops)

    def _results(self, ops, n):
        """Results go to their homes or slots before the next instruction; what goes to a slot leaves a copy."""
        k: uint32_t
        o: OperandPtr
        item: cython.pointer(Interval)
        for k in range(n):
            o = cython.address(ops[k])
            if o.vreg == NO_VREG or not is_def(o.role):
                continue
            item = cython.address(self.items[o.vreg])
            if item.home < MAX_REGISTERS:
                self._forget_copy(item.home)
                self.occupied |= bit(item.home)
                self.holder[item.home] = o.vreg
                if o.loc != item.home:
                    self._post(o.loc, item.home, o.vreg)
            elif item.weight and not o.loc & LOC_SLOT:
                self._post(o.loc, self._slot_of(o.vreg, item.hint), o.vreg)
                self._note_copy(o.vreg, o.loc)
        return 0

    def _post(self, src, dst, vreg):
        """Queue a move for the next gap; until then the value is at ``src``."""
        vec_room(self.post, self.cap_post, self.n_post + 1)
        self.post[self.n_post].src = src
        self.post[self.n_post].dst = dst
        self.post[self.n_post].vreg = vreg
        self.n_post += 1
        self.items[vreg].fresh = src
        return 0

    # ---- registers -----------------------------------------------------------------------------

    def _claim(self, reg, moment):
        """An operand of the instruction at hand is there."""
        if moment & EARLY:
            self.early |= bit(reg)
        if moment & LATE:
            self.late |= bit(reg)
        return 0

    def _pick(self, rclass, moment):
        """A register for an operand: a free one, else one with a copy, else one whose value is or gets evicted."""
        busy: uint64_t = (self.early if moment & EARLY else 0) | (self.late if moment & LATE else 0)
        usable: uint64_t = self.registers & self.m.target.classes[rclass] & ~busy
        taken: uint64_t = self.occupied if moment & EARLY else self.occupied & ~self.dying
        candidates: uint64_t = usable & ~taken & ~self.copies
        reg: uint32_t
        if candidates == 0:
            candidates = usable & ~taken
        if candidates == 0:
            candidates = usable & self.evicting
        if candidates == 0:
            candidates = usable & self.evicted & ~self.early  # one that is read now goes home first
            if candidates == 0 or self.is_last:
                return self._evict(usable & taken)
            candidates &= ~candidates + 1
            self.evicting |= candidates
        above: uint64_t = candidates & ~(2 * bit(self.turn) - 1)
        reg = lowest_bit(above if above else candidates)
        self.turn = reg
        self._forget_copy(reg)
        return reg

    def _evict(self, candidates):
        """Move the value of some register to its slot for this instruction. Impossible at a terminator."""
        reg: uint32_t
        v: uint32_t
        candidates = 0 if self.is_last else candidates & ~(self.evicted | self.evicting)
        while candidates:
            reg = lowest_bit(candidates)
            candidates &= candidates - 1
            v = self.holder[reg]
            if self.items[v].fresh == NO_LOC:
                self.moves.add(reg, self._slot(v), v)
                self.evicting |= bit(reg)
                self.items[v].fresh = self._slot(v)
                return reg
        self.failed = True
        return NO_LOC - 1

    def _load(self, vreg, reg):
        """Copy a value to a register before the instruction."""
        source: uint32_t = self._source(vreg)
        if self.copies >> reg & 1 and self.copied[reg] == vreg and not self.loaded >> reg & 1 and source == reg:
            return 0
        self.moves.add(source, reg, vreg)
        self._forget_copy(reg)
        self.loaded |= bit(reg)
        if self.items[vreg].home >= MAX_REGISTERS:
            self._note_copy(vreg, reg)
        return 0

    def _source(self, vreg):
        """Where a value can be read before the coming moves."""
        item: cython.pointer(Interval) = cython.address(self.items[vreg])
        if item.fresh != NO_LOC:
            return item.fresh
        if item.home < MAX_REGISTERS:
            return item.home
        if item.cached != NO_REGISTER and not self.loaded >> item.cached & 1:
            return item.cached
        return self._slot(vreg)

    def _forget_copy(self, reg):
        """The register holds no copy any more."""
        if self.copies >> reg & 1:
            self.copies &= ~bit(reg)
            self.items[self.copied[reg]].cached = NO_REGISTER
        return 0

    def _note_copy(self, vreg, reg):
        """The register holds a copy of a value that lives in a slot, if it may keep it."""
        keeps: cython.bint = self.registers & ~(self.occupied | self.evicting) & bit(reg) != 0
        if keeps and self.items[vreg].cached == NO_REGISTER:
            self._forget_copy(reg)
            self.copies |= bit(reg)
            self.copied[reg] = vreg
            self.items[vreg].cached = reg
        return 0

    # ---- slots ---------------------------------------------------------------------------------

    def _slot(self, vreg):
        """The slot of a value; taken now if it has none yet, free again behind the last instruction that needs it."""
        slot: uint32_t = self.slot_of[vreg]
        end: uint32_t = self.items[vreg].end >> 1
        if slot != NO_LOC:
            return slot
        if self.m.vwidth[vreg] == 16:
            if self.n_wide:
                self.n_wide -= 1
                slot = self.wide[self.n_wide]
            else:
                self.n_slots += self.n_slots & 1
                slot = LOC_SLOT | self.n_slots
                self.n_slots += 2
        elif self.n_narrow:
            self.n_narrow -= 1
            slot = self.narrow[self.n_narrow]
        else:
            slot = LOC_SLOT | self.n_slots
            self.n_slots += 1
        self.slot_of[vreg] = slot
        if end < self.at:
            end = self.at
        self.items[vreg].next = self.freed[end]
        self.freed[end] = vreg
        return slot

    def _slot_of(self, vreg, other):
        """The same behind the instruction at hand, for a value that lives there: if it has none yet, that of another
        that passes to it or to which it passes, and that is not alive any more. Then nothing is moved on the way."""
        slot: uint32_t
        i: uint32_t
        if self.slot_of[vreg] != NO_LOC or other == NO_VREG or self.slot_of[other] == NO_LOC:
            return self._slot(vreg)
        if self.m.vwidth[vreg] == 16 or self.m.vwidth[other] == 16 or self.items[other].flags & IV_GIVEN:
            return self._slot(vreg)
        slot = self.slot_of[other]
        if self.items[other].end >> 1 == self.at:
            self.items[other].flags |= IV_GIVEN
            vec_room(self.narrow, self.cap_narrow, self.n_narrow + 1)
            self.narrow[self.n_narrow] = slot
            self.n_narrow += 1
            return self._slot(vreg)
        for i in range(self.n_narrow if self.n_narrow < FREE_REACH else FREE_REACH):
            if self.narrow[self.n_narrow - 1 - i] == slot:
                self.narrow[self.n_narrow - 1 - i] = self.narrow[self.n_narrow - 1]
                self.narrow[self.n_narrow - 1] = slot
        return self._slot(vreg)

    def _release(self, at):
        """Slots of values that ended at an instruction."""
        v: uint32_t = self.freed[at]
        while v != NO_VREG:
            if self.items[v].flags & IV_GIVEN:
                v = self.items[v].next
                continue
            if self.m.vwidth[v] == 16:
                vec_room(self.wide, self.cap_wide, self.n_wide + 1)
                self.wide[self.n_wide] = self.slot_of[v]
                self.n_wide += 1
            else:
                vec_room(self.narrow, self.cap_narrow, self.n_narrow + 1)
                self.narrow[self.n_narrow] = self.slot_of[v]
                self.n_narrow += 1
            v = self.items[v].next
        return 0
