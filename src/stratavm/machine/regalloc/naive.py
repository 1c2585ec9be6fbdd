"""The simplest allocation: every value has a slot; each instruction loads what it reads and stores what it defines."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.failures import Failure, fail_by
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_SAME,
    C_SLOT,
    LOC_SLOT,
    MAX_REGISTERS,
    NO_LOC,
    NO_VREG,
    R_TEMP,
    MOperand,
    bit,
    holds_early,
    holds_late,
    is_def,
    is_use,
    lowest_bit,
)
from cython.cimports.stratavm.machine.regalloc.moves import ParallelMove

OperandPtr = cython.typedef(cython.pointer(MOperand))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def refuse(at: uint32_t, reason: cython.p_char, what: uint32_t) -> cython.int:
    """Selection asked for something that no allocation can give."""
    return fail_by(raise_refused, reason, at, what)


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_refused(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """What ``refuse`` says."""
    raise AssertionError(f"instruction {failure.details[0]}: {failure.text.decode()} ({failure.details[1]:#x})")


@cython.cclass
class NaiveAllocator:
    """Slots and the registers of the instruction at hand; arrays reused between functions."""

    def __init__(self, moves: ParallelMove) -> None:
        self.moves = moves

    def __dealloc__(self):
        vec_free(self.slot_of)
        vec_free(self.fresh)

    def _assign_slots(self, m):
        """Slot of each value: eight bytes, or sixteen aligned."""
        v: uint32_t
        n: uint32_t = 0
        vec_room(self.slot_of, self.cap_slot_of, m.n_vregs)
        vec_room(self.fresh, self.cap_fresh, m.n_vregs)
        for v in range(m.n_vregs):
            self.fresh[v] = NO_LOC
            if m.vwidth[v] == 16:
                n += n & 1
                self.slot_of[v] = LOC_SLOT | n
                n += 2
            else:
                self.slot_of[v] = LOC_SLOT | n
                n += 1
        m.n_slots = n
        return 0

    def _place_fixed(self, m, at, ops, early, late):
        """Operands whose place is given: fixed registers and slots. ``early`` and ``late`` collect registers in use."""
        k: uint32_t
        for k in range(m.insts[at].nops):
            o: OperandPtr = cython.address(ops[k])
            o.loc = NO_LOC
            if o.vreg != NO_VREG and o.vreg >= m.n_vregs:
                refuse(at, b"operand is no virtual register", o.vreg)
            if o.constraint == C_FIXED:
                o.loc = o.reg
                if o.reg < MAX_REGISTERS:
                    if holds_early(o.role):
                        early[0] |= bit(o.reg)
                    if holds_late(o.role):
                        late[0] |= bit(o.reg)
            elif o.vreg == NO_VREG:
                refuse(at, b"only a fixed operand may be without a value", k)
            elif o.constraint == C_SLOT or (o.constraint == C_ANY and o.role != R_TEMP):
                o.loc = self.slot_of[o.vreg]
        return 0

    def _take(self, m, at, o, busy):
        """The lowest free register of the operand's class."""
        left: uint64_t = self.registers & ~busy & m.target.classes[m.vclass[o.vreg]]
        if left == 0:
            refuse(at, b"more operands than registers", cython.cast(uint32_t, self.registers))
        o.loc = lowest_bit(left)
        return 0

    def _place_operands(self, m, at, ops):
        """Registers for one instruction. Those needed early and late are chosen first: the rest is then independent."""
        early: uint64_t = 0
        late: uint64_t = 0
        k: uint32_t
        n: uint32_t = m.insts[at].nops
        self._place_fixed(m, at, ops, cython.address(early), cython.address(late))
        for k in range(n):
            o: OperandPtr = cython.address(ops[k])
            if o.constraint == C_SAME:
                if o.reg >= n or not is_use(ops[o.reg].role) or not is_def(o.role):
                    refuse(at, b"not tied to a use", k)
                tied: OperandPtr = cython.address(ops[o.reg])
                if tied.constraint != C_FIXED:
                    self._take(m, at, tied, early | late)
                o.loc = tied.loc
                early |= bit(o.loc)
                late |= bit(o.loc)
        for k in range(n):
            o = cython.address(ops[k])
            if o.loc == NO_LOC and holds_early(o.role) and holds_late(o.role):
                self._take(m, at, o, early | late)
                early |= bit(o.loc)
                late |= bit(o.loc)
        for k in range(n):
            o = cython.address(ops[k])
            if o.loc == NO_LOC and is_use(o.role):
                self._take(m, at, o, early)
                early |= bit(o.loc)
            elif o.loc == NO_LOC:
                self._take(m, at, o, late)
                late |= bit(o.loc)
        return 0

    def _source_of(self, vreg):
        """Where a value can be read: the register of the instruction before, else its slot."""
        return self.fresh[vreg] if self.fresh[vreg] != NO_LOC else self.slot_of[vreg]

    def _stores(self, m, at, first):
        """Store what the instruction before ``at`` defined, as part of the same parallel move; forget its registers."""
        k: uint32_t
        if at == first:
            return 0
        ops: OperandPtr = m.operands + m.insts[at - 1].ops
        for k in range(m.insts[at - 1].nops):
            if is_def(ops[k].role) and ops[k].vreg != NO_VREG:
                self.moves.add(ops[k].loc, self.slot_of[ops[k].vreg], ops[k].vreg)
                self.fresh[ops[k].vreg] = NO_LOC
        return 0

    def _edge_moves(self, m, number):
        """Arguments of the one edge of a block into the parameters' slots, before its terminator."""
        j: uint32_t
        block = cython.address(m.blocks[number])
        for j in range(block.nedges):
            edge = cython.address(m.edges[block.edges + j])
            if (
                edge.target >= m.n_blocks
                or edge.nargs != m.blocks[edge.target].nparams
                or (edge.nargs and block.nedges > 1)
            ):
                refuse(block.last - 1, b"malformed edge to block", edge.target)
        if block.nedges != 1:
            return 0
        edge = cython.address(m.edges[block.edges])
        for j in range(edge.nargs):
            arg: uint32_t = m.edge_args[edge.args + j]
            self.moves.add(self._source_of(arg), self.slot_of[m.block_params[m.blocks[edge.target].params + j]], arg)
        return 0

    def run(self, m, registers):
        """Allocate a function; linear."""
        number: uint32_t
        at: uint32_t
        k: uint32_t
        self.registers = registers
        self._assign_slots(m)
        self.moves.start(m)
        for number in range(m.n_blocks):
            block = cython.address(m.blocks[number])
            for at in range(block.first, block.last):
                breathe(at)
                ops: OperandPtr = m.operands + m.insts[at].ops
                self._place_operands(m, at, ops)
                for k in range(m.insts[at].nops):
                    if is_use(ops[k].role) and ops[k].vreg != NO_VREG and not ops[k].loc & LOC_SLOT:
                        self.moves.add(self._source_of(ops[k].vreg), ops[k].loc, ops[k].vreg)
                if at == block.last - 1:
                    self._edge_moves(m, number)
                self._stores(m, at, block.first)
                self.moves.resolve(m, at)
                if at + 1 < block.last:
                    for k in range(m.insts[at].nops):
                        if is_def(ops[k].role) and ops[k].vreg != NO_VREG and not ops[k].loc & LOC_SLOT:
                            self.fresh[ops[k].vreg] = ops[k].loc
                else:
                    for k in range(m.insts[at].nops):
                        if is_def(ops[k].role) and ops[k].vreg != NO_VREG:
                            refuse(at, b"a terminator defines a value", k)
        return 0
