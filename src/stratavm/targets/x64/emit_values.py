# strata: hot
"""Emission of values: the sequences of pseudo operations that compute, their rare paths, trap and return sites.

r11 and xmm15 are scratch; r11 may hold a pointer of the context from one memory access to the next (``held``).
"""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.failures import fail_wrong
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.contract._gen_layout import (
    NO_FRAME,
    TRAP_ARRAY_OUT_OF_BOUNDS,
    TRAP_DIV_BY_ZERO,
    TRAP_INT_OVERFLOW,
    TRAP_INVALID_CONVERSION,
)
from cython.cimports.stratavm.machine.codebuf import CodeBuf
from cython.cimports.stratavm.machine.minst import (
    LOC_REMAT,
    LOC_SLOT,
    MI_CALL,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    MI_TERMINATOR,
    MI_TRAPS,
    NO_LOC,
    MInst,
    MOperand,
    Move,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    ENC_F_RESULT,
    ENC_ROWS,
    MOP_ADD_RI,
    MOP_ADD_RR,
    MOP_AND_RI,
    MOP_ANDNP_RR,
    MOP_ANDP_RR,
    MOP_BSF_RR,
    MOP_BSR_RR,
    MOP_CDQ,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_CVTSI2SD_RR,
    MOP_CVTSI2SS_RR,
    MOP_CVTTSD2SI_RR,
    MOP_CVTTSS2SI_RR,
    MOP_DIV_R,
    MOP_END,
    MOP_FADD_RR,
    MOP_FMAX_RR,
    MOP_FMIN_RR,
    MOP_FSUB_RM,
    MOP_HLT,
    MOP_IDIV_R,
    MOP_LEA_RM,
    MOP_LOCKCMPXCHG_MR,
    MOP_MOV_RI,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVF_RM,
    MOP_MOVF_RR,
    MOP_MOVZX8_RM,
    MOP_MOVZX8_RR,
    MOP_MOVZX16_RM,
    MOP_OR_RR,
    MOP_ORP_RR,
    MOP_PXOR_RR,
    MOP_SHL_RI,
    MOP_SHR_RI,
    MOP_SUB_RI,
    MOP_TEST_RR,
    MOP_UCOMIS_RM,
    MOP_UCOMIS_RR,
    MOP_XOR_RI,
    MOP_XOR_RR,
    MOP_XORP_RR,
    R11,
    R14,
    RAX,
    RBP,
    RDX,
    RIP,
    RSP,
    XMM15,
)
from cython.cimports.stratavm.targets.x64.encoder import NO_REG, Mem, based, emit_move, encode_plain, indexed
from cython.cimports.stratavm.targets.x64.pseudo import (
    CC_A,
    CC_B,
    CC_BE,
    CC_E,
    CC_FEQ,
    CC_FNE,
    CC_NE,
    CC_NP,
    CC_O,
    CC_P,
    CC_S,
    DIV_MINUS_ONE,
    DIV_REM,
    DIV_SIGNED,
    DIV_ZERO,
    P_CLZ,
    P_COPYSIGN,
    P_DIVIDE,
    P_FBIT,
    P_FMAX,
    P_FMIN,
    P_JCC,
    P_JMP,
    P_PARAMS,
    P_POLL,
    P_RETURN,
    P_SELECT,
    P_SETCC,
    P_TRAP,
    P_TRAP_IF,
    P_VIA,
    P_ZERO,
    TRUNC_64,
    TRUNC_SAT,
    TRUNC_UNSIGNED,
)
from cython.cimports.stratavm.targets.x64.sequences import (
    emit_0,
    emit_cmov,
    emit_jcc,
    emit_jmp,
    emit_ri,
    emit_rm,
    emit_rr,
    emit_setcc,
)

from stratavm.contract.layout import (
    HELD_ABOVE_SP,
    HELD_BELOW_FP,
    HELD_MOST,
    HELD_REGISTER,
    HELD_SECOND,
    HELD_SHIFT,
)
from stratavm.targets.x64.target import X64

U32_MAX = cython.declare(int64_t, 0xFFFFFFFF)
I32_MAX = cython.declare(int64_t, 0x7FFFFFFF)
I64_MAX = cython.declare(int64_t, 0x7FFFFFFFFFFFFFFF)
FLAGS_REACH = cython.declare(uint32_t, 16)  # instructions looked at for one that reads flags; beyond, they are spared
MOST_ADDED = cython.declare(int64_t, 0x7FFFFFFF)
HELD = cython.declare(uint32_t, HELD_SHIFT)
REGISTER = cython.declare(uint32_t, HELD_REGISTER)
ABOVE_SP = cython.declare(uint32_t, HELD_ABOVE_SP)
BELOW_FP = cython.declare(uint32_t, HELD_BELOW_FP)
SECOND = cython.declare(uint32_t, HELD_SECOND)
MOST_HELD = cython.declare(int64_t, HELD_MOST)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def keeps_r11(op: uint32_t) -> cython.bint:
    """Whether the sequence of a pseudo operation leaves r11 alone, whatever its operands are."""
    return (
        op == P_JCC
        or op == P_JMP
        or op == P_SELECT
        or op == P_ZERO
        or op == P_DIVIDE
        or op == P_FBIT
        or op == P_COPYSIGN
        or op == P_FMIN
        or op == P_FMAX
        or op == P_TRAP_IF
        or op == P_TRAP
        or op == P_RETURN
    )


@cython.cclass
class ValueEmitter:
    """The buffer and the tables of one function, and what computes. Blocks, calls and frames are the subclass's."""

    def __cinit__(self):
        self.b = CodeBuf(X64)
        self.traps = self.returns = self.landings = cython.NULL
        self.colds = cython.NULL
        self.tables = cython.NULL
        self.final = cython.NULL
        self.cap_final = 0
        self.cap_traps = self.cap_returns = self.cap_landings = self.cap_colds = self.cap_tables = 0
        self.n_traps = self.n_returns = self.n_landings = self.n_colds = self.n_tables = 0

    def __dealloc__(self):
        vec_free(self.traps)
        vec_free(self.returns)
        vec_free(self.landings)
        vec_free(self.colds)
        vec_free(self.tables)
        vec_free(self.final)
        vec_free(self.heads)
        vec_free(self.tops)

    # ---- what r11 holds ------------------------------------------------------------------

    def pointer_in(self, first, last, moves):
        """The cell of the one pointer that the instructions [first, last) want in r11, or NOTHING_HELD: where there is
        none, or another, or something else that needs r11. ``moves``: from the first of theirs on."""
        cell: uint32_t = NOTHING_HELD
        i: uint32_t
        op: uint32_t
        n: uint32_t
        inst: cython.pointer(MInst)
        end: cython.pointer(Move) = self.m.moves + self.m.n_moves
        for i in range(first, last):
            inst = cython.address(self.m.insts[i])
            op = inst.op
            if op < P_PARAMS:
                continue
            if op >= P_VIA:
                n = ENC_ROWS[op - P_VIA].nops + (inst.scale != 0xFF)
                if inst.nops > n and self.m.operands[inst.ops + n].loc < 16:
                    continue
                if cell == NOTHING_HELD:
                    cell = cython.cast(uint32_t, inst.imm)
                elif cell != cython.cast(uint32_t, inst.imm):
                    return NOTHING_HELD
            elif op == P_SETCC:
                if inst.cc >= CC_FEQ:
                    return NOTHING_HELD
            elif op == P_POLL:
                if inst.width:
                    return NOTHING_HELD
            elif not keeps_r11(op):
                return NOTHING_HELD
        while cell != NOTHING_HELD and moves < end and moves.at < last:
            if moves.dst == R11 or (moves.dst & LOC_SLOT and moves.src & LOC_REMAT):
                return NOTHING_HELD
            moves += 1
        return cell

    # ---- sites, rare paths, jumps --------------------------------------------------------

    def cold(self, kind, a):
        """Ask for a rare path; returns the label where it begins. The caller binds ``back`` where it should return."""
        n: uint32_t = self.n_colds
        vec_room(self.colds, self.cap_colds, n + 1)
        first: uint32_t = self.b.label_block(2)
        c: cython.pointer(Cold) = cython.address(self.colds[n])
        c.kind = kind
        c.label = first
        c.back = first + 1
        c.position = self.position
        c.a = a
        c.b = 0
        self.n_colds = n + 1
        return first

    def trap_site(self, kind):
        """The next instruction may fault: it means a trap of this kind."""
        n: uint32_t = self.n_traps
        vec_room(self.traps, self.cap_traps, 3 * n + 3)
        self.traps[3 * n] = self.b.n
        self.traps[3 * n + 1] = kind | NO_FRAME if self.bare else kind
        self.traps[3 * n + 2] = self.position
        self.n_traps = n + 1
        return 0

    def return_site(self):
        """The instruction before was a call."""
        n: uint32_t = self.n_returns
        vec_room(self.returns, self.cap_returns, 2 * n + 2)
        self.returns[2 * n] = self.b.n
        self.returns[2 * n + 1] = self.position
        self.n_returns = n + 1
        return 0

    def landing_site(self, block):
        """The newest call goes on at a block where it ends with an exception."""
        n: uint32_t = self.n_landings
        vec_room(self.landings, self.cap_landings, 2 * n + 2)
        self.landings[2 * n] = self.returns[2 * self.n_returns - 2]
        self.landings[2 * n + 1] = block
        self.n_landings = n + 1
        return 0

    def place_landings(self):
        """The blocks of the landing table have their places: say where they begin."""
        i: uint32_t
        for i in range(self.n_landings):
            self.landings[2 * i + 1] = self.b.labels[self.first_label + self.landings[2 * i + 1]].at
        return 0

    def explicit_trap(self, kind):
        """An explicit trap."""
        self.trap_site(kind)
        return emit_0(self.b, MOP_HLT)

    def held_at(self, loc):
        """Where a trap's reference is, as it stands beside the kind; 0 where a trap cannot say so."""
        at: int64_t
        if loc < 16:
            return (REGISTER | loc << 2) << HELD
        if loc == NO_LOC or loc & LOC_SLOT == 0:
            return 0
        at = (self.frame.slots + 8 * cython.cast(int64_t, loc & ~cython.cast(uint32_t, LOC_SLOT))) >> 3
        if self.frame.base == RSP and 0 <= at <= MOST_HELD:
            return (ABOVE_SP | cython.cast(uint32_t, at) << 2) << HELD
        if self.frame.base == RBP and 0 <= -at <= MOST_HELD:
            return (BELOW_FP | cython.cast(uint32_t, -at) << 2) << HELD
        return 0

    def trap_if(self, inst):
        """A trap where a condition holds."""
        kind: uint32_t = inst.aux
        if kind == TRAP_ARRAY_OUT_OF_BOUNDS:
            kind |= self.compared(cython.cast(uint32_t, inst - self.m.insts))
        return emit_jcc(self.b, inst.cc, self.cold(COLD_TRAP, kind))

    def compared(self, number):
        """Where the index and the array are that the instruction before has compared, as it stands beside the kind; 0
        where a trap cannot say so."""
        index: uint32_t
        array: uint32_t
        test: cython.pointer(MInst) = cython.address(self.m.insts[number - 1])
        ops: cython.pointer(MOperand) = self.m.operands + test.ops
        if test.op != MOP_CMP_RM or test.nops != 2:
            return 0
        index = self.held_at(self.left_in(ops[0].loc, number)) >> HELD
        array = self.held_at(self.left_in(ops[1].loc, number)) >> HELD
        if index == 0 or array == 0 or (index | array) >> SECOND:
            return 0
        return (index | array << SECOND) << HELD

    def left_in(self, loc, number):
        """Where a value is, before an instruction, that the one before it had in a register: there, or where it was
        fetched from; NO_LOC where moves have overwritten both."""
        low: uint32_t = 0
        high: uint32_t = self.m.n_moves
        middle: uint32_t
        source: uint32_t = NO_LOC
        stays: cython.bint = True
        mv: cython.pointer(Move)
        while low < high:  # the first move that may have fetched it
            middle = (low + high) >> 1
            if self.m.moves[middle].at < number - 1:
                low = middle + 1
            else:
                high = middle
        while low < self.m.n_moves and self.m.moves[low].at <= number:
            mv = cython.address(self.m.moves[low])
            if mv.dst == source:
                source = NO_LOC
            if mv.dst == loc and mv.at < number:
                source = mv.src
            elif mv.dst == loc:
                stays = False
            low += 1
        return loc if stays else source

    def load_pool(self, width, xmm, offset):
        """A float constant into an XMM register."""
        return emit_rm(self.b, MOP_MOVF_RM, width, xmm, based(RIP, offset))

    def skip(self, cc):
        """A jump forward; returns the label, which is never 0 (the first ones are the blocks'), to be bound."""
        label: uint32_t = self.b.label()
        if cc == ALWAYS:
            emit_jmp(self.b, label)
        else:
            emit_jcc(self.b, cc, label)
        return label

    # ---- what one instruction does in the place of two --------------------------------------------

    def sums(self, mv, at, last):
        """A copy and an addition to it, or a short shift of it, as one address computation, where nothing reads the
        flags of the sum: the copy is the last move before instruction ``at``. Whether that was done."""
        move: uint32_t = cython.cast(uint32_t, mv - self.m.moves) + 1
        inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
        ops: cython.pointer(MOperand) = self.m.operands + inst.ops
        moved_next: cython.bint = move < self.m.n_moves and self.m.moves[move].at == at + 1
        if (move < self.m.n_moves and self.m.moves[move].at == at) or mv.dst != ops[0].loc or self.feeds(at, last):
            return False
        if at + 1 < last and self.m.insts[at + 1].op == MOP_CMP_RI and not moved_next and self.in_flags(at + 1, last):
            return False
        more: int32_t = self.added_next(move, at, last)
        if not self.sum_of(inst, ops, mv.src, more):
            return False
        if more:
            self.passed = at + 1
        return True

    def doubles(self, move, at, last):
        """A short shift in place and the addition of a number behind it as one address computation. Whether that was
        done."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
        ops: cython.pointer(MOperand) = self.m.operands + inst.ops
        more: int32_t = self.added_next(move, at, last)
        if more == 0 or not self.sum_of(inst, ops, ops[0].loc, more):
            return False
        self.passed = at + 1
        return True

    def added_next(self, move, at, last):
        """What the instruction behind a shift adds to it: a number, in place, where no move stands between (``move`` is
        the next one) and nothing reads the flags. Else 0."""
        shift: cython.pointer(MInst) = cython.address(self.m.insts[at])
        inst: cython.pointer(MInst) = shift + 1
        if shift.op != MOP_SHL_RI or at + 1 >= last or (inst.op != MOP_ADD_RI and inst.op != MOP_SUB_RI):
            return 0
        ops: cython.pointer(MOperand) = self.m.operands + inst.ops
        result: cython.pointer(MOperand) = self.m.operands + shift.ops
        if inst.width != shift.width or ops[1].vreg != result.vreg or ops[0].loc != result.loc:
            return 0
        if self.feeds(at + 1, last):
            return 0
        if move < self.m.n_moves and self.m.moves[move].at == at + 1:
            return 0
        if at + 2 < last and self.m.insts[at + 2].op == MOP_CMP_RI and self.in_flags(at + 2, last):
            return 0
        more: int64_t = cython.cast(int32_t, inst.imm)
        if inst.op == MOP_SUB_RI:
            more = -more
        return cython.cast(int32_t, more) if more <= MOST_ADDED else 0

    def in_flags(self, at, last):
        """Whether the instruction before a comparison with zero left its outcome in the zero flag, and no other flag is
        asked for."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[at])
        before: cython.pointer(MInst) = cython.address(self.m.insts[at - 1])
        loc: uint32_t = self.m.operands[inst.ops].loc
        if inst.imm or before.op >= MOP_END or not ENC_ROWS[before.op].flags & ENC_F_RESULT:
            return False
        if before.width != inst.width or self.m.operands[before.ops].loc != loc or loc >= 16:
            return False
        k: uint32_t
        for k in range(at + 1, last if last < at + FLAGS_REACH else at + FLAGS_REACH):
            inst = cython.address(self.m.insts[k])
            if inst.flags & MI_FLAGS_USE and inst.cc != CC_E and inst.cc != CC_NE:
                return False
            if inst.flags & (MI_FLAGS_DEF | MI_CALL | MI_TERMINATOR):
                return True
        return False

    def feeds(self, at, last):
        """Whether the instruction behind a sum reads its flags."""
        return at + 1 < last and self.m.insts[at + 1].flags & MI_FLAGS_USE != 0

    def flags_live(self, at, last):
        """Whether an instruction from ``at`` on may read flags that were set before it."""
        k: uint32_t
        for k in range(at, last if last < at + FLAGS_REACH else at + FLAGS_REACH):
            if self.m.insts[k].flags & MI_FLAGS_USE:
                return True
            if self.m.insts[k].flags & (MI_FLAGS_DEF | MI_CALL | MI_TERMINATOR):
                return False
        return last > at + FLAGS_REACH

    # ---- sequences of values -------------------------------------------------------------------

    def sum_of(self, inst, ops, augend, more):
        """What an instruction adds, plus the register ``augend``, or that shifted by 1 to 3 plus ``more``, as an
        address computation, which needs no copy and leaves the flags alone. False where there is none; a sum of two and
        a displacement would take longer."""
        addend: uint32_t
        imm: int64_t = inst.imm
        if augend >= 16 or ops[0].loc >= 16 or inst.width < 4:
            return False
        if inst.op == MOP_SHL_RI:
            if imm == 0 or imm > 3:
                return False
            mem: Mem = indexed(NO_REG, augend, cython.cast(uint32_t, imm))
            mem.disp = more
            emit_rm(self.b, MOP_LEA_RM, inst.width, ops[0].loc, mem)
            return True
        if inst.op != MOP_ADD_RR:
            imm = cython.cast(int32_t, imm)
            if inst.op == MOP_SUB_RI:
                imm = -imm
            if imm > I32_MAX:
                return False
            emit_rm(self.b, MOP_LEA_RM, inst.width, ops[0].loc, based(augend, cython.cast(int32_t, imm)))
            return True
        addend = ops[2].loc
        if addend >= 16 or addend == ops[0].loc or addend == augend:
            return False
        if augend & 7 == RBP:
            augend, addend = addend, augend
        emit_rm(self.b, MOP_LEA_RM, inst.width, ops[0].loc, indexed(augend, addend, 0))
        return True

    def divide(self, inst, ops):
        """rax by a register. Zero faults in the instruction itself; -1 is told apart because it would fault the same
        way.
        """
        width: uint32_t = inst.width
        divisor: uint32_t = ops[3].loc
        bits: uint32_t = inst.cc
        done: uint32_t = 0
        if bits & DIV_MINUS_ONE:
            emit_ri(self.b, MOP_CMP_RI, width, divisor, -1)
            other: uint32_t = self.skip(CC_NE)
            if bits & DIV_REM:
                emit_rr(self.b, MOP_XOR_RR, 4, RDX, RDX)
                done = self.skip(ALWAYS)
            else:
                emit_ri(self.b, MOP_CMP_RI, width, RAX, 1)  # overflows for the least integer only
                emit_jcc(self.b, CC_O, self.cold(COLD_TRAP, TRAP_INT_OVERFLOW))
            self.b.bind(other)
        if bits & DIV_SIGNED:
            encode_plain(self.b, MOP_CDQ, width, 0, 0)
        else:
            emit_rr(self.b, MOP_XOR_RR, 4, RDX, RDX)
        if bits & DIV_ZERO:
            self.trap_site(TRAP_DIV_BY_ZERO)
        encode_plain(self.b, MOP_IDIV_R if bits & DIV_SIGNED else MOP_DIV_R, width, 0, divisor)
        if done:
            self.b.bind(done)
        return 0

    def set_condition(self, inst, ops):
        """A condition as 0 or 1. Equality of floats also looks at the parity flag; ``mov`` leaves the flags alone."""
        d: uint32_t = ops[0].loc
        cc: uint32_t = inst.cc
        if cc < CC_FEQ:
            emit_setcc(self.b, cc, d)
            return emit_rr(self.b, MOP_MOVZX8_RR, 4, d, d)
        self.held = NOTHING_HELD
        emit_setcc(self.b, CC_NP if cc == CC_FEQ else CC_P, R11)
        emit_rr(self.b, MOP_MOVZX8_RR, 4, R11, R11)
        emit_ri(self.b, MOP_MOV_RI, 4, d, 0 if cc == CC_FEQ else 1)
        return emit_cmov(self.b, CC_E, 4, d, R11)

    def select(self, inst, ops):
        """Jump over a move."""
        cc: uint32_t = inst.cc
        second: uint32_t = 0
        skip: uint32_t
        taken: uint32_t = 0
        if cc == CC_FEQ:
            second = self.skip(CC_P)
            cc = CC_E
        elif cc == CC_FNE:
            taken = self.skip(CC_P)
            cc = CC_NE
        skip = self.skip(cc ^ 1)
        if taken:
            self.b.bind(taken)
        emit_move(self.b, ops[2].loc, ops[0].loc, inst.width, cython.address(self.frame))
        if second:
            self.b.bind(second)
        return self.b.bind(skip)

    def scan(self, inst, ops):
        """clz and ctz without lzcnt and tzcnt: a bit scan, whose result for zero is replaced."""
        d: uint32_t = ops[0].loc
        bits: uint32_t = inst.width * 8
        clz: cython.bint = inst.op == P_CLZ
        emit_ri(self.b, MOP_MOV_RI, 4, R11, 2 * bits - 1 if clz else bits)
        emit_rr(self.b, MOP_BSR_RR if clz else MOP_BSF_RR, inst.width, d, ops[1].loc)
        emit_cmov(self.b, CC_E, inst.width, d, R11)
        if clz:
            emit_ri(
                self.b, MOP_XOR_RI, inst.width, d, bits - 1
            )  # bits - 1 - position; (2 bits - 1) ^ (bits - 1) = bits
        return 0

    def through(self, inst, ops, n, mem):
        """The address behind a pointer in the context: its index is operand n if there is one, and the pointer is in a
        register if that is the operand behind, else in r11, which may hold it still, for the pointers never change."""
        cell: uint32_t = cython.cast(uint32_t, inst.imm)
        mem[0] = based(R11, inst.disp)
        if inst.scale != 0xFF:
            mem.index = cython.cast(uint8_t, ops[n].loc)
            mem.scale = inst.scale
            if ops[n].loc >= 16:
                fail_wrong(b"index of node {} is at {:#x}", inst.node, ops[n].loc)
            n += 1
        if inst.nops > n and ops[n].loc < 16:
            mem.base = cython.cast(uint8_t, ops[n].loc)
        elif self.held != cell:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, cell))
            self.held = cell
        if inst.flags & MI_TRAPS:
            self.trap_site(inst.aux)
        return 0

    def change(self, inst, ops):
        """What no instruction does to memory and says what was there: it is computed from that, and takes its place if
        that is there still; else once more."""
        mop: uint32_t = cython.cast(uint32_t, inst.imm >> 32)
        wide: uint32_t = 8 if inst.width == 8 else 4
        load: uint32_t = MOP_MOVZX8_RM if inst.width == 1 else MOP_MOVZX16_RM if inst.width == 2 else MOP_MOV_RM
        mem: Mem
        self.through(inst, ops, 3, cython.address(mem))
        emit_rm(self.b, load, wide, RAX, mem)
        again: uint32_t = self.b.label()
        self.b.bind(again)
        emit_rr(self.b, MOP_MOV_RR, wide, ops[2].loc, RAX)
        emit_rr(self.b, mop, wide, ops[2].loc, ops[1].loc)
        emit_rm(self.b, MOP_LOCKCMPXCHG_MR, inst.width, ops[2].loc, mem)
        return emit_jcc(self.b, CC_NE, again)

    def sign_bits(self, inst, ops):
        """abs, neg, copysign: bit operations with a mask, whatever the value is."""
        d: uint32_t = ops[0].loc
        self.load_pool(inst.width, XMM15, inst.aux)
        if inst.op == P_FBIT:
            return emit_rr(self.b, MOP_XORP_RR if inst.cc else MOP_ANDP_RR, inst.width, d, XMM15)
        emit_rr(self.b, MOP_ANDP_RR, inst.width, d, XMM15)
        emit_rr(self.b, MOP_ANDNP_RR, inst.width, XMM15, ops[2].loc)
        return emit_rr(self.b, MOP_ORP_RR, inst.width, d, XMM15)

    def minmax(self, inst, ops):
        """The instruction is right for ordered different values; equal ones may differ in sign, NaN must win and be
        quiet.
        """
        d: uint32_t = ops[0].loc
        other: uint32_t = ops[2].loc
        least: cython.bint = inst.op == P_FMIN
        emit_rr(self.b, MOP_UCOMIS_RR, inst.width, d, other)
        unordered: uint32_t = self.skip(CC_P)
        different: uint32_t = self.skip(CC_NE)
        emit_rr(self.b, MOP_ORP_RR if least else MOP_ANDP_RR, inst.width, d, other)
        done: uint32_t = self.skip(ALWAYS)
        self.b.bind(unordered)
        emit_rr(self.b, MOP_FADD_RR, inst.width, d, other)
        end: uint32_t = self.skip(ALWAYS)
        self.b.bind(different)
        emit_rr(self.b, MOP_FMIN_RR if least else MOP_FMAX_RR, inst.width, d, other)
        self.b.bind(done)
        return self.b.bind(end)

    def forget(self, xmm):
        """Clear a register whose upper half the next instruction keeps: else that waits for whoever wrote it last, in
        a loop for the round before."""
        return emit_rr(self.b, MOP_XORP_RR, 4, xmm, xmm)

    def from_u64(self, inst, ops):
        """Halve a large one, keeping its lowest bit sticky: doubling is exact, so the value is rounded once."""
        mop: uint32_t = MOP_CVTSI2SS_RR if inst.width == 4 else MOP_CVTSI2SD_RR
        d: uint32_t = ops[0].loc
        source: uint32_t = ops[1].loc
        half: uint32_t = ops[2].loc
        self.held = NOTHING_HELD
        self.forget(d)
        emit_rr(self.b, MOP_TEST_RR, 8, source, source)
        large: uint32_t = self.skip(CC_S)
        emit_rr(self.b, mop, 8, d, source)
        done: uint32_t = self.skip(ALWAYS)
        self.b.bind(large)
        emit_rr(self.b, MOP_MOV_RR, 8, half, source)
        emit_rr(self.b, MOP_MOV_RR, 8, R11, source)
        emit_ri(self.b, MOP_SHR_RI, 8, half, 1)
        emit_ri(self.b, MOP_AND_RI, 4, R11, 1)
        emit_rr(self.b, MOP_OR_RR, 8, half, R11)
        emit_rr(self.b, mop, 8, d, half)
        emit_rr(self.b, MOP_FADD_RR, inst.width, d, d)
        return self.b.bind(done)

    def truncate(self, inst, ops):
        """The common case: convert and see whether the result can be the processor's answer to a bad operand."""
        bits: uint32_t = inst.cc
        d: uint32_t = ops[0].loc
        x: uint32_t = ops[1].loc
        convert: uint32_t = MOP_CVTTSS2SI_RR if inst.width == 4 else MOP_CVTTSD2SI_RR
        wide: uint32_t = 8 if bits & (TRUNC_64 | TRUNC_UNSIGNED) else 4
        cc: uint32_t
        emit_rr(self.b, convert, wide, d, x)
        if not bits & TRUNC_UNSIGNED:
            emit_ri(self.b, MOP_CMP_RI, wide, d, 1)  # overflows for the least integer only
            cc = CC_O
        elif bits & TRUNC_64:
            emit_rr(self.b, MOP_TEST_RR, 8, d, d)
            cc = CC_S
        else:
            self.held = NOTHING_HELD
            emit_rr(self.b, MOP_MOV_RR, 8, R11, d)
            emit_ri(self.b, MOP_SHR_RI, 8, R11, 32)
            cc = CC_NE
        label: uint32_t = self.cold(COLD_TRUNC, bits)
        c: cython.pointer(Cold) = cython.address(self.colds[self.n_colds - 1])
        c.b = inst.width
        c.c = d | x << 8
        c.d = inst.aux
        emit_jcc(self.b, cc, label)
        self.held = NOTHING_HELD  # the slow path may use r11 and comes back here
        return self.b.bind(c.back)

    def cold_trunc(self, c):
        """A result that may stand for a bad operand: NaN first, then the range."""
        d: uint32_t = c.c & 0xFF
        x: uint32_t = c.c >> 8
        nan: uint32_t = self.b.label()
        outside: uint32_t = self.b.label()
        emit_rr(self.b, MOP_UCOMIS_RR, c.b, x, x)
        emit_jcc(self.b, CC_P, nan)
        if c.a & TRUNC_UNSIGNED and c.a & TRUNC_64:
            # At least 2**63, or negative: the difference converts unless it is out of range too.
            emit_rr(self.b, MOP_MOVF_RR, 8, XMM15, x)
            emit_rm(self.b, MOP_FSUB_RM, c.b, XMM15, based(RIP, c.d))
            emit_rr(self.b, MOP_CVTTSS2SI_RR if c.b == 4 else MOP_CVTTSD2SI_RR, 8, d, XMM15)
            emit_rr(self.b, MOP_TEST_RR, 8, d, d)
            emit_jcc(self.b, CC_S, outside)
            emit_ri(self.b, MOP_MOV_RI, 8, R11, cython.cast(int64_t, cython.cast(uint64_t, 1) << 63))
            emit_rr(self.b, MOP_XOR_RR, 8, d, R11)
            emit_jmp(self.b, c.back)
        elif not c.a & (TRUNC_UNSIGNED | TRUNC_SAT):
            # The least integer itself is in range; so is everything between it and the bound of the narrower type.
            exclusive: cython.bint = c.b == 8 and not c.a & TRUNC_64
            emit_rm(self.b, MOP_UCOMIS_RM, c.b, x, based(RIP, c.d))
            emit_jcc(self.b, CC_BE if exclusive else CC_B, outside)
            emit_rr(self.b, MOP_PXOR_RR, 16, XMM15, XMM15)
            emit_rr(self.b, MOP_UCOMIS_RR, c.b, x, XMM15)
            emit_jcc(self.b, CC_A, outside)
            emit_jmp(self.b, c.back)
        self.b.bind(outside)
        if c.a & TRUNC_SAT:
            self.saturate(c, nan)
            emit_ri(self.b, MOP_MOV_RI, 4, d, 0)
            return emit_jmp(self.b, c.back)
        self.explicit_trap(TRAP_INT_OVERFLOW)
        self.b.bind(nan)
        return self.explicit_trap(TRAP_INVALID_CONVERSION)

    def saturate(self, c, zero):
        """Out of range: the least integer is already in place if signed; ``zero`` begins right behind."""
        wide: uint32_t = 8 if c.a & TRUNC_64 else 4
        greatest: int64_t = -1 if wide == 8 else U32_MAX
        if not c.a & TRUNC_UNSIGNED:
            greatest = I64_MAX if wide == 8 else 0x7FFFFFFF
        emit_rr(self.b, MOP_PXOR_RR, 16, XMM15, XMM15)
        emit_rr(self.b, MOP_UCOMIS_RR, c.b, c.c >> 8, XMM15)
        emit_jcc(self.b, CC_B, zero if c.a & TRUNC_UNSIGNED else c.back)
        emit_ri(self.b, MOP_MOV_RI, wide, c.c & 0xFF, greatest)
        emit_jmp(self.b, c.back)
        return self.b.bind(zero)
