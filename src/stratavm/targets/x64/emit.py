# strata: hot
"""Emission of a function: machine IR whose operands have places, to bytes. Owns frames, blocks, calls and jumps.

Frame, from rbp down: the saved r14 (8 bytes), spill slots, outgoing stack arguments and result cells at rsp. A slot of
16 bytes is aligned, since rbp is. Rows go through the encoder, pseudo operations have sequences. Rare paths are placed
behind the body, jump tables behind them.
"""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.failures import fail_limit, fail_wrong
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.contract._gen_layout import (
    EXEC_COUNT_STUB,
    EXEC_COUNTERS,
    EXEC_FUEL,
    EXEC_GATE,
    EXEC_POLL_LIMIT,
    EXEC_POLL_STUB,
    EXEC_VALUE_GATE,
    FUNCREC_TYPE_ID,
    N_COUNTERS,
    TRAP_INDIRECT_CALL_MISMATCH,
    TRAP_NULL_FUNCTION,
    TRAP_OUT_OF_FUEL,
    TRAP_UNINITIALIZED_ELEMENT,
    VMCTX_SLOTS,
    VMCTX_TYPE_IDS,
)
from cython.cimports.stratavm.ir.ssa import BF_LATE, BF_LOOP_HEADER, Site, Ssa
from cython.cimports.stratavm.machine.codebuf import FIX_LABEL, copied
from cython.cimports.stratavm.machine.minst import (
    LOC_REMAT,
    LOC_SLOT,
    MI_CALL,
    MI_EXIT,
    MI_REMAT,
    NO_VREG,
    R_DEF,
    MBlock,
    MCode,
    MInst,
    MOperand,
    Move,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    CPU_AVX,
    ENC_F_MERGES,
    ENC_ROWS,
    MOP_ADD_RI,
    MOP_ADD_RR,
    MOP_CALL_M,
    MOP_CALL_R,
    MOP_CMP_MI,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_END,
    MOP_JMP_R,
    MOP_LEA_RM,
    MOP_MOV_MI,
    MOP_MOV_MR,
    MOP_MOV_RI,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVAPS_RR,
    MOP_MOVF_MR,
    MOP_MOVF_RM,
    MOP_MOVSXD_RM,
    MOP_MOVUPS_MR,
    MOP_MOVUPS_RM,
    MOP_POP_R,
    MOP_PUSH_R,
    MOP_PXOR_RR,
    MOP_RET,
    MOP_RET_I,
    MOP_SHL_RI,
    MOP_SUB_RI,
    MOP_XOR_RR,
    R10,
    R11,
    R12,
    R14,
    R15,
    RAX,
    RBP,
    RBX,
    RSP,
    XMM15,
)
from cython.cimports.stratavm.targets.x64.emit_values import (
    COLD_BELOW,
    COLD_COUNT,
    COLD_NOTE,
    COLD_POLL,
    COLD_TRAP,
    LATE_WAY,
    NO_TOP,
    NOT_SEEN,
    NOTHING_HELD,
    Cold,
)
from cython.cimports.stratavm.targets.x64.encoder import (
    MODE_AVX,
    RC_XMM,
    Form,
    Mem,
    based,
    emit_inst,
    emit_move,
    encode,
    form,
    indexed,
)
from cython.cimports.stratavm.targets.x64.plan import ModulePlan
from cython.cimports.stratavm.targets.x64.pseudo import (
    CALL_VALUE,
    CC_B,
    CC_BE,
    CC_E,
    CC_FEQ,
    CC_FNE,
    CC_NE,
    CC_P,
    CC_S,
    P_BR_TABLE,
    P_CALL,
    P_CALL_BUILTIN,
    P_CALL_IMPORT,
    P_CALL_INDIRECT,
    P_CALL_REF,
    P_CHANGE,
    P_CLZ,
    P_COPYSIGN,
    P_CTZ,
    P_DIVIDE,
    P_FBIT,
    P_FMAX,
    P_FMIN,
    P_FUEL,
    P_INVOKE,
    P_IS,
    P_JCC,
    P_JMP,
    P_LANDING,
    P_NEW,
    P_NOTE,
    P_PARAMS,
    P_POLL,
    P_RETURN,
    P_SELECT,
    P_SETCC,
    P_TRAP,
    P_TRAP_IF,
    P_TRUNC,
    P_U64_TO_FLOAT,
    P_VIA,
    P_ZERO,
    POLL_FLOAT,
    POLL_IMPORTED,
)
from cython.cimports.stratavm.targets.x64.sequences import (
    emit_0,
    emit_below,
    emit_callee,
    emit_cmov,
    emit_jcc,
    emit_jmp,
    emit_lea_label,
    emit_m,
    emit_mi,
    emit_r,
    emit_ri,
    emit_rm,
    emit_rr,
)

from stratavm.machine.code import Code
from stratavm.targets.x64.regs import ALLOCATABLE

MAX_HOPS = cython.declare(uint32_t, 8)
SMALL_FRAME = cython.declare(uint32_t, 4096)  # below it the prologue compares rsp itself: the limit has a reserve
SHORT = cython.declare(uint32_t, 64)  # instructions of a function without a frame, which does not poll
MAX_FRAME = cython.declare(uint32_t, 0x4000000)
GARBAGE = cython.declare(int64_t, 0x5EED0BADC0DE0BAD)
SAVED_R14 = cython.declare(int32_t, -8)
LOOP_ALIGN = cython.declare(uint32_t, 32)
LINE = cython.declare(uint32_t, 64)  # of the cache, and the alignment of functions
_ALLOCATABLE_MASK = cython.declare(uint32_t, sum(1 << n for n in ALLOCATABLE))


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def added(op: uint32_t) -> cython.bint:
    """Whether an instruction adds to a register what is in another, or a number, or doubles it some times."""
    return op == MOP_ADD_RR or op == MOP_ADD_RI or op == MOP_SUB_RI or op == MOP_SHL_RI


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def is_call(op: uint32_t) -> cython.bint:
    """Whether an operation calls a guest function."""
    return op == P_CALL or op == P_CALL_IMPORT or op == P_CALL_INDIRECT or op == P_CALL_REF


@cython.cclass
class Emitter(ObjectEmitter):
    """Emits one function after another; reuses its arrays."""

    def finish(self):
        """The function just emitted, as a ``Code``."""
        return Code(
            self.b.to_bytes(),
            copied(self.traps, self.n_traps * 12),
            copied(self.returns, self.n_returns * 8),
            self.frame_bytes,
            copied(self.ssa.sites, self.ssa.n_sites * cython.sizeof(Site)),
            self.plan.level,
            copied(self.landings, self.n_landings * 8),
        )

    def attach(self, plan: ModulePlan, ssa: Ssa, m: MCode, aligning: bool = False) -> None:
        """Say what ``emit`` works on, and whether loops are aligned."""
        self.aligning = aligning
        self.b.mode = MODE_AVX if plan.cpu >> CPU_AVX & 1 else 0
        self.plan = plan
        self.ssa = ssa
        self.m = m

    def emit(self):
        """Fill the buffer and the tables."""
        self.b.clear()
        self.n_traps = self.n_returns = self.n_landings = self.n_colds = self.n_tables = 0
        self.position = self.passed = NO_VREG
        self.layout_frame()
        self.thread_jumps()
        self.first_label = self.b.label_block(self.m.n_blocks)
        self.prologue()
        self.turn = 0
        self.blocks()
        if self.comes_late():
            self.turn = BF_LATE
            self.blocks()
        self.cold_part()
        self.b.relax()
        self.b.follow(self.traps, 3, self.n_traps, True)
        self.b.follow(self.returns, 2, self.n_returns, False)
        self.b.follow(self.landings, 2, self.n_landings, False)
        self.b.compact()
        self.place_landings()
        self.jump_tables()
        return self.b.finish(self.m.constants, self.m.n_constants)

    # ---- the frame -----------------------------------------------------------------------------

    def layout_frame(self):
        """Sizes of the frame; whether r14 must be kept because a callee of another instance may change it."""
        i: uint32_t
        op: uint32_t
        self.foreign = False
        for i in range(self.m.n_insts):
            op = self.m.insts[i].op
            if is_call(op) and (op != P_CALL or self.plan.leaves) and not self.m.insts[i].flags & MI_EXIT:
                self.foreign = True
                break
            if op == P_INVOKE:  # who throws may be another instance
                self.foreign = True
                break
        slots: uint32_t = self.m.n_slots
        if slots and self.m.has_wide():
            slots |= 1  # behind the saved r14: the first slot is at a multiple of 16, as rbp is
        bytes: uint64_t = 8 + cython.cast(uint64_t, slots) * 8 + self.m.out_arg_bytes
        bytes = (bytes + 15) & ~cython.cast(uint64_t, 15)
        if bytes > MAX_FRAME:
            fail_limit(b"frame_bytes", b"a stack frame of {} bytes, the limit is {}", bytes, MAX_FRAME)
        if not self.foreign and self.m.n_slots == 0 and self.m.out_arg_bytes == 0:
            bytes = 0
        self.frame_bytes = cython.cast(uint32_t, bytes)
        self.bare = self.needs_nothing()
        self.frame.base = RBP
        self.frame.insts = self.m.insts
        self.frame.operands = self.m.operands
        self.frame.slots = SAVED_R14 - 8 * cython.cast(int32_t, slots)
        return 0

    def prologue(self):
        """Frame chain first, then the stack limit, which is also the poll, then the frame. Who comes from a loop has
        room for the frame, and did poll. Nothing at all for who needs nothing."""
        if self.bare:
            return 0
        emit_r(self.b, MOP_PUSH_R, RBP)
        emit_rr(self.b, MOP_MOV_RR, 8, RBP, RSP)
        if not self.ssa.entered:
            self.look_at_stack()
        if self.frame_bytes:
            emit_ri(self.b, MOP_SUB_RI, 8, RSP, self.frame_bytes)
        if self.foreign:
            emit_rm(self.b, MOP_MOV_MR, 8, R14, based(RBP, SAVED_R14))
        if self.plan.poison:
            self.poison_frame()
        return 0

    def needs_nothing(self):
        """Whether the function takes nothing of the stack and a call of it ends soon: it has no loop, calls nothing and
        is short, for a million calls may stand in a row. Whoever calls it polls, in a loop or at the entry. Functions
        that are counted poll, to be seen at a tick."""
        i: uint32_t
        of_blocks: uint32_t = 0
        of_insts: uint32_t = 0
        if self.plan.counting or self.ssa.entered or self.frame_bytes or self.m.n_insts > SHORT:
            return False
        if self.plan.types[self.plan.func_types[self.ssa.func]].stack_bytes:
            return False
        for i in range(self.m.n_blocks):
            of_blocks |= self.m.blocks[i].flags
        for i in range(self.m.n_insts):
            of_insts |= self.m.insts[i].flags
            if is_call(self.m.insts[i].op) or self.m.insts[i].op == P_NOTE or self.m.insts[i].op == P_NEW:
                return False
        return not of_blocks & BF_LOOP_HEADER and not of_insts & MI_CALL

    def look_at_stack(self):
        """The prologue's poll, and what counts calls."""
        label: uint32_t = self.cold(COLD_POLL, self.frame_bytes)
        self.colds[self.n_colds - 1].d = NOTHING_HELD
        if self.frame_bytes < SMALL_FRAME:
            emit_rm(self.b, MOP_CMP_RM, 8, RSP, based(R15, EXEC_POLL_LIMIT))
        else:
            emit_rm(self.b, MOP_LEA_RM, 8, R11, based(RSP, -cython.cast(int32_t, self.frame_bytes)))
            emit_rm(self.b, MOP_CMP_RM, 8, R11, based(R15, EXEC_POLL_LIMIT))
        emit_jcc(self.b, CC_B, label)
        self.b.bind(self.colds[self.n_colds - 1].back)
        return self.count_call() if self.plan.counting else 0

    def count_call(self):
        """A step of the word that the function shares with others. Not one instruction on memory, which waits for the
        store of the call before."""
        at: int32_t = EXEC_COUNTERS + 4 * cython.cast(int32_t, self.defined % N_COUNTERS)
        emit_rm(self.b, MOP_MOV_RM, 4, R11, based(R15, at))
        emit_ri(self.b, MOP_SUB_RI, 4, R11, 1)
        emit_rm(self.b, MOP_MOV_MR, 4, R11, based(R15, at))
        emit_jcc(self.b, CC_S, self.cold(COLD_COUNT, 0))
        return self.b.bind(self.colds[self.n_colds - 1].back)

    def cold_count(self, c):
        """The shared stub keeps every register; r11 tells it which function is entered."""
        emit_ri(self.b, MOP_MOV_RI, 4, R11, self.defined)
        emit_m(self.b, MOP_CALL_M, R15, EXEC_COUNT_STUB)
        self.return_site()
        return emit_jmp(self.b, c.back)

    def poison_frame(self):
        """Fill fresh slots with garbage: nobody may read a slot that was never written."""
        i: uint32_t
        emit_ri(self.b, MOP_MOV_RI, 8, R11, GARBAGE)
        for i in range(self.m.n_slots):
            emit_rm(self.b, MOP_MOV_MR, 8, R11, based(RBP, self.frame.slots + 8 * cython.cast(int32_t, i)))
        return 0

    def poison_registers(self, inst, ops):
        """After a call every register but its results holds garbage."""
        live: uint32_t = 0
        i: uint32_t
        for i in range(inst.nops):
            if ops[i].role == R_DEF and ops[i].loc < 32:
                live |= cython.cast(uint32_t, 1) << ops[i].loc
        emit_ri(self.b, MOP_MOV_RI, 8, R11, GARBAGE)
        emit_r(self.b, MOP_PUSH_R, R11)
        emit_r(self.b, MOP_PUSH_R, R11)
        emit_rm(self.b, MOP_MOVUPS_RM, 16, XMM15, based(RSP, 0))
        emit_rm(self.b, MOP_LEA_RM, 8, RSP, based(RSP, 16))
        for i in range(32):
            if not _ALLOCATABLE_MASK >> i & 1 or live >> i & 1:
                continue
            if i < 16:
                emit_rr(self.b, MOP_MOV_RR, 8, i, R11)
            else:
                emit_rr(self.b, MOP_MOVAPS_RR, 16, i, XMM15)
        return 0

    # ---- blocks and instructions ---------------------------------------------------------------

    def innermost(self, number):
        """The block behind the last way back to a block, if that heads a loop without another in it: the next header is
        no deeper. Else 0."""
        end: uint32_t = 0
        i: uint32_t
        k: uint32_t
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        depth: uint32_t = block.depth
        if not block.flags & BF_LOOP_HEADER:
            return 0
        for i in range(number, self.m.n_blocks):
            if i > number and block.flags & BF_LOOP_HEADER:
                return 0 if block.depth > depth else end
            for k in range(block.edges, block.edges + block.nedges):
                if self.m.edges[k].target == number:
                    end = i + 1
            block += 1
        return end

    def leads_into_loop(self, number):
        """Whether the first block of a loop leads into another loop, so that ways back to it are rare."""
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        if block.nedges != 1:
            return False
        return self.m.blocks[self.m.edges[block.edges].target].flags & BF_LOOP_HEADER != 0

    def dispatches(self, number):
        """Whether the block heads a loop and ends in a br_table, as in interpreters. On recent AMD processors the
        indirect jump is predicted far better where its block does not cross a line of the cache."""
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        return (
            block.flags & BF_LOOP_HEADER and block.last > block.first and self.m.insts[block.last - 1].op == P_BR_TABLE
        )

    def comes_late(self):
        """Whether there are blocks whose code stands behind that of all others."""
        i: uint32_t
        flags: uint32_t = 0
        for i in range(self.m.n_blocks):
            flags |= self.m.blocks[i].flags
        return flags & BF_LATE != 0

    def blocks(self):
        """The blocks whose turn it is."""
        number: uint32_t
        move: uint32_t = 0
        for number in range(self.m.n_blocks):
            if self.m.blocks[number].flags & BF_LATE == self.turn:
                while move < self.m.n_moves and self.m.moves[move].at < self.m.blocks[number].first:
                    move += 1
                self.block(number, cython.address(move))
        return 0

    def block(self, number, move):
        """One block: moves before each instruction, then the instruction."""
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        insts: cython.pointer(MInst) = self.m.insts
        moves: cython.pointer(Move) = self.m.moves
        n: uint32_t = self.m.n_moves
        mv: cython.pointer(Move)
        i: uint32_t
        if self.final[number] != number:
            return 0
        # No way leads to a block behind a test that all ways pass by; what r11 would hold there is nobody's matter.
        reached: cython.bint = number == 0 or self.heads[number] != NOT_SEEN
        self.held = NOTHING_HELD if self.heads[number] == NOT_SEEN else self.heads[number]
        if block.flags & BF_LOOP_HEADER:
            self.head(number, moves + move[0])
        else:
            self.b.bind(self.first_label + number)
        if insts[block.first].op == P_LANDING:
            self.land(cython.address(insts[block.first]))
        for i in range(block.first, block.last):
            breathe(i)
            if i == self.passed:
                continue
            if (
                insts[i].op == MOP_CMP_RI
                and i > block.first
                and (move[0] == n or moves[move[0]].at != i)
                and self.in_flags(i, block.last)
            ):
                continue
            while move[0] < n and moves[move[0]].at == i:
                mv = cython.address(moves[move[0]])
                if added(insts[i].op) and self.sums(mv, i, block.last):
                    move[0] += 1
                    break
                if mv.src & (LOC_SLOT | LOC_REMAT) == LOC_REMAT:
                    self.again(mv.src & ~cython.cast(uint32_t, LOC_REMAT), mv.dst, i, block.last)
                else:
                    emit_move(self.b, mv.src, mv.dst, self.m.vwidth[mv.vreg], cython.address(self.frame))
                if mv.dst == R11:
                    self.held = NOTHING_HELD
                move[0] += 1
            else:
                if insts[i].op != MOP_SHL_RI or not self.doubles(move[0], i, block.last):
                    self.instruction(i, number)
        return self.pass_held(number) if reached else 0

    def head(self, number, moves):
        """Where a loop begins. If one pointer can be in r11 throughout, it is loaded before; ways back lead behind
        that. ``moves``: from the first of the block on."""
        align: uint32_t = 0
        held: uint32_t = NOTHING_HELD
        end: uint32_t = self.innermost(number)
        if end and self.heads[number] != LATE_WAY:
            held = self.pointer_in(self.m.blocks[number].first, self.m.blocks[end - 1].last, moves)
        if self.dispatches(number):
            align = LINE
        elif self.aligning and (end or not self.leads_into_loop(number)):
            align = LOOP_ALIGN
        if held != NOTHING_HELD:
            self.b.bind(self.first_label + number)
            if self.held != held:
                emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, held))
        self.held = held
        if align:
            self.b.align_code(align)
        if held == NOTHING_HELD:
            return self.b.bind(self.first_label + number)
        self.heads[number] = held
        self.tops[number] = self.b.label()
        return self.b.bind(self.tops[number])

    def label_of(self, block):
        """Where a jump to a block leads."""
        return self.first_label + block if self.tops[block] == NO_TOP else self.tops[block]

    def pass_held(self, number):
        """Tell the successors what r11 holds: a pointer, if it is the same on every way to them."""
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        head: cython.pointer(uint32_t)
        target: uint32_t
        k: uint32_t
        for k in range(block.edges, block.edges + block.nedges):
            target = self.final[self.m.edges[k].target]
            head = cython.address(self.heads[target])
            if head[0] != self.held and head[0] != LATE_WAY:
                if self.tops[target] != NO_TOP:
                    fail_wrong(b"r11 lost the pointer of block {}", target)
                head[0] = self.held if head[0] == NOT_SEEN else NOTHING_HELD
        return 0

    def again(self, number, dst, at, last):
        """Compute the value of an instruction once more, before instruction ``at`` of a block that ends at ``last``."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[number])
        o: cython.pointer(MOperand) = self.m.operands + inst.ops
        place: uint32_t = dst
        if dst & LOC_SLOT:
            number_only: cython.bint = inst.op == MOP_MOV_RI or (inst.op == P_ZERO and self.m.vwidth[o.vreg] < 16)
            if number_only and 0 <= inst.imm <= 0x7FFFFFFF:
                at_slot: int32_t = self.frame.slots + 8 * cython.cast(int32_t, dst & ~cython.cast(uint32_t, LOC_SLOT))
                return emit_mi(self.b, MOP_MOV_MI, 8, based(RBP, at_slot), inst.imm)
            place = XMM15 if self.m.vclass[o.vreg] == RC_XMM else R11
            self.held = NOTHING_HELD
        if inst.op == P_ZERO and place < 16 and self.flags_live(at, last):
            emit_ri(self.b, MOP_MOV_RI, 4, place, 0)
        else:
            kept: uint32_t = o.loc
            o.loc = place
            if inst.op >= P_PARAMS:
                self.pseudo(inst, o, 0)
            else:
                emit_inst(self.b, inst, o, cython.address(self.frame))
            o.loc = kept
        if place == dst:
            return 0
        return emit_move(self.b, place, dst, self.m.vwidth[o.vreg], cython.address(self.frame))

    def instruction(self, number, block):
        """A row by the encoder, anything else by its sequence; what is only computed where it is wanted is left out."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[number])
        ops: cython.pointer(MOperand) = self.m.operands + inst.ops
        if inst.flags & MI_REMAT and ops[0].loc & LOC_REMAT:
            return 0
        if inst.node != NO_VREG:
            self.position = self.ssa.positions[inst.node]
        if inst.op >= P_VIA:
            return self.via(inst, ops)
        if inst.op >= P_PARAMS:
            return self.pseudo(inst, ops, block)
        if inst.op < MOP_END and ENC_ROWS[inst.op].flags & ENC_F_MERGES and (inst.nops < 2 or ops[1].loc != ops[0].loc):
            self.forget(ops[0].loc)
        return emit_inst(self.b, inst, ops, cython.address(self.frame))

    def pseudo(self, inst, ops, block):
        """Sequences of values; the rest is control."""
        op: uint32_t = inst.op
        if op == P_SETCC:
            return self.set_condition(inst, ops)
        if op == P_SELECT:
            return self.select(inst, ops)
        if op == P_ZERO and ops[0].loc < 16:
            return emit_rr(self.b, MOP_XOR_RR, 4, ops[0].loc, ops[0].loc)
        if op == P_ZERO:
            return emit_rr(self.b, MOP_PXOR_RR, 16, ops[0].loc, ops[0].loc)
        if op == P_DIVIDE:
            return self.divide(inst, ops)
        if op == P_CLZ or op == P_CTZ:
            self.held = NOTHING_HELD
            return self.scan(inst, ops)
        if op == P_FBIT or op == P_COPYSIGN:
            return self.sign_bits(inst, ops)
        if op == P_FMIN or op == P_FMAX:
            return self.minmax(inst, ops)
        if op == P_U64_TO_FLOAT:
            return self.from_u64(inst, ops)
        if op == P_TRUNC:
            return self.truncate(inst, ops)
        if op == P_CHANGE:
            return self.change(inst, ops)
        if P_NOTE <= op <= P_IS:
            return self.of_objects(inst, ops)
        return self.control(inst, ops, block)

    def control(self, inst, ops, block):
        """Jumps, calls, traps, polls."""
        op: uint32_t = inst.op
        if op == P_JMP:
            return self.jump_to(self.m.edges[self.m.blocks[block].edges].target, self.next_block(block))
        if op == P_JCC:
            return self.branch(inst, block)
        if op == P_INVOKE:
            self.landing_site(self.m.edges[self.m.blocks[block].edges + 1].target)
            return self.jump_to(self.m.edges[self.m.blocks[block].edges].target, self.next_block(block))
        if is_call(op):
            return self.tail_call(inst) if inst.flags & MI_EXIT else self.call(inst, ops)
        if op == P_CALL_BUILTIN:
            return self.call_builtin(inst, ops)
        if op == P_TRAP_IF:
            return self.trap_if(inst)
        if op == P_POLL:
            return self.poll(inst, ops)
        if op == P_FUEL:
            # Not `sub` on memory: on Zen 4 a chain of those takes four times as long as plain loads and stores, and the
            # counter is one long chain. Nothing is stored where fuel does not suffice.
            self.held = NOTHING_HELD
            out: uint32_t = self.cold(COLD_TRAP, TRAP_OUT_OF_FUEL)
            self.b.bind(self.colds[self.n_colds - 1].back)
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R15, EXEC_FUEL))
            emit_ri(self.b, MOP_SUB_RI, 8, R11, inst.imm)
            emit_jcc(self.b, CC_B, out)
            return emit_rm(self.b, MOP_MOV_MR, 8, R11, based(R15, EXEC_FUEL))
        if op == P_RETURN:
            return self.ret(inst)
        if op == P_TRAP:
            return self.explicit_trap(inst.aux | self.held_at(ops[0].loc) if inst.nops else inst.aux)
        if op == P_BR_TABLE:
            return self.branch_table(inst, ops, block)
        if op != P_PARAMS and op != P_LANDING:
            fail_wrong(b"pseudo operation {:#x} has no sequence", op)
        return 0

    def via(self, inst, ops):
        """A row whose base is a pointer in the context: in a register if its last operand is, else in r11, which may
        hold it still, for the pointers never change.
        """
        mem: Mem
        self.through(inst, ops, ENC_ROWS[inst.op - P_VIA].nops, cython.address(mem))
        reg: uint32_t = ops[ENC_ROWS[inst.op - P_VIA].reg].loc if ENC_ROWS[inst.op - P_VIA].nops else 0
        if reg >= 32:
            fail_wrong(b"operand of node {} is at {:#x}, not in a register", inst.node, reg)
        o: Form = form(inst.width, reg, 0)
        o.mem = cython.address(mem)
        o.imm = inst.imm >> 32
        if ENC_ROWS[inst.op - P_VIA].nops > 1:
            o.vvvv = ops[1].loc
        return encode(self.b, inst.op - P_VIA, cython.address(o))

    # ---- calls ---------------------------------------------------------------------------------

    def call(self, inst, ops):
        """Calls of guest functions: through a slot, an imported FuncRec, a table, or a reference."""
        self.held = NOTHING_HELD
        if inst.op == P_CALL:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, VMCTX_SLOTS))
            emit_m(self.b, MOP_CALL_M, R11, 8 * cython.cast(int32_t, inst.aux))
            self.return_site()
            if self.plan.leaves:
                self.restore_context(inst.imm)
        elif inst.op == P_CALL_IMPORT:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, inst.aux))
            self.leave_rec(inst)
        elif inst.op == P_CALL_REF:  # in r10; null faults at a small address, before anything has changed
            emit_rr(self.b, MOP_MOV_RR, 8, R11, R10)
            self.trap_site(TRAP_NULL_FUNCTION)
            self.leave_rec(inst)
        else:
            self.element(inst)
            self.leave_rec(inst)
        if inst.imm:
            # The callee popped its arguments; the frame keeps their room.
            emit_ri(self.b, MOP_SUB_RI, 8, RSP, inst.imm)
        if self.plan.poison:
            self.poison_registers(inst, ops)
        return 0

    def element(self, inst):
        """The FuncRec of a table into r11. r10 holds the index, which is in bounds. A null element faults at a small
        address; types come last."""
        own: uint32_t = self.plan.types[inst.aux].own_id
        emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, inst.disp))
        emit_rm(self.b, MOP_MOV_RM, 8, R11, indexed(R11, R10, 3))
        if own:
            self.trap_site(TRAP_UNINITIALIZED_ELEMENT)
            emit_mi(self.b, MOP_CMP_MI, 4, based(R11, FUNCREC_TYPE_ID), own)
        elif self.plan.types[inst.aux].open:  # rbx and r12 are free: nothing but the arguments is left
            emit_rm(self.b, MOP_MOV_RM, 8, R10, based(R14, VMCTX_TYPE_IDS))
            emit_rm(self.b, MOP_MOV_RM, 4, RBX, based(R10, 4 * cython.cast(int32_t, inst.aux)))
            self.trap_site(TRAP_UNINITIALIZED_ELEMENT)
            emit_rm(self.b, MOP_CMP_RM, 4, RBX, based(R11, FUNCREC_TYPE_ID))
            emit_jcc(self.b, CC_NE, self.cold(COLD_BELOW, 0))
            return self.b.bind(self.colds[self.n_colds - 1].back)
        else:
            emit_rm(self.b, MOP_MOV_RM, 8, R10, based(R14, VMCTX_TYPE_IDS))
            emit_rm(self.b, MOP_MOV_RM, 4, R10, based(R10, 4 * cython.cast(int32_t, inst.aux)))
            self.trap_site(TRAP_UNINITIALIZED_ELEMENT)
            emit_rm(self.b, MOP_CMP_RM, 4, R10, based(R11, FUNCREC_TYPE_ID))
        return emit_jcc(self.b, CC_NE, self.cold(COLD_TRAP, TRAP_INDIRECT_CALL_MISMATCH))

    def leave_rec(self, inst):
        """Call the FuncRec in r11 with its own context, then restore this instance's. A common one has none (ADR-0062).

        The code goes through a register: Zen 4 mispredicts some loops over calls through memory, by where their targets
        lie, and takes 1.6 times as long for them.
        """
        emit_callee(self.b, self.plan.confined and inst.op != P_CALL_IMPORT)
        emit_r(self.b, MOP_CALL_R, R11)
        self.return_site()
        return self.restore_context(inst.imm)

    def restore_context(self, popped):
        """This instance's context, behind a call that popped so many bytes. By rsp, which is there at once: rbp comes
        from the callee's pop."""
        at: int32_t = cython.cast(int32_t, self.frame_bytes) + SAVED_R14 - cython.cast(int32_t, popped)
        return emit_rm(self.b, MOP_MOV_RM, 8, R14, based(RSP, at))

    def tail_call(self, inst):
        """The same in the place of this function. Who traps has its frame still."""
        self.held = NOTHING_HELD
        if inst.op == P_CALL:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, VMCTX_SLOTS))
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R11, 8 * cython.cast(int32_t, inst.aux)))
        else:
            if inst.op == P_CALL_IMPORT:
                emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, inst.aux))
            elif inst.op == P_CALL_REF:
                emit_rr(self.b, MOP_MOV_RR, 8, R11, R10)
                self.trap_site(TRAP_NULL_FUNCTION)
            else:
                self.element(inst)
            emit_callee(self.b, self.plan.confined and inst.op != P_CALL_IMPORT)
        self.take_down(cython.cast(int32_t, inst.imm))
        return emit_r(self.b, MOP_JMP_R, R11)

    def take_down(self, given):
        """Take down the frame; ``given`` bytes of stack arguments at rsp take the place of those that this function
        got, with the same upper end. They are copied from there: their new place is above the old one, and may begin
        within the frame. No value is left but the arguments, so rbx and r12 are free.
        """
        got: int32_t = cython.cast(int32_t, self.plan.types[self.plan.func_types[self.ssa.func]].stack_bytes)
        to: int32_t = 16 + got - given
        at: int32_t = given
        if given != got:
            emit_rm(self.b, MOP_MOV_RM, 8, RBX, based(RBP, 8))
            emit_rm(self.b, MOP_MOV_RM, 8, R12, based(RBP, 0))
        while at > 0:
            at -= 16
            emit_rm(self.b, MOP_MOVUPS_RM, 16, XMM15, based(RSP, at))
            emit_rm(self.b, MOP_MOVUPS_MR, 16, XMM15, based(RBP, to + at))
        if given != got:
            emit_rm(self.b, MOP_LEA_RM, 8, RSP, based(RBP, to - 8))
            emit_rm(self.b, MOP_MOV_MR, 8, RBX, based(RSP, 0))
            return emit_rr(self.b, MOP_MOV_RR, 8, RBP, R12)
        if self.frame_bytes:
            emit_rr(self.b, MOP_MOV_RR, 8, RSP, RBP)
        return emit_r(self.b, MOP_POP_R, RBP)

    def call_builtin(self, inst, ops):
        """Through the gate, which does the rest; operands are in rdx, rcx, r8, r9."""
        self.held = NOTHING_HELD
        emit_ri(self.b, MOP_MOV_RI, 4, RAX, inst.aux)
        emit_m(self.b, MOP_CALL_M, R15, EXEC_VALUE_GATE if inst.cc & CALL_VALUE else EXEC_GATE)
        self.return_site()
        if self.plan.poison:
            self.poison_registers(inst, ops)
        return 0

    def land(self, inst):
        """Where a call that ends with an exception is left to: the stack and the context are this function's again,
        before any move, since what is computed again may be read from the context."""
        self.held = NOTHING_HELD
        emit_rm(self.b, MOP_LEA_RM, 8, RSP, based(RBP, -cython.cast(int32_t, self.frame_bytes)))
        emit_rm(self.b, MOP_MOV_RM, 8, R14, based(RBP, SAVED_R14))
        return self.poison_registers(inst, cython.NULL) if self.plan.poison else 0

    # ---- jumps ---------------------------------------------------------------------------------

    def thread_jumps(self):
        """Blocks that only jump on are left out: ``final`` says where a jump to a block really goes."""
        n: uint32_t = self.m.n_blocks
        b: uint32_t
        k: uint32_t
        t: uint32_t
        hops: uint32_t
        moves: cython.pointer(Move) = self.m.moves
        end: cython.pointer(Move) = moves + self.m.n_moves
        vec_room(self.final, self.cap_final, n + 1)
        for b in range(n):
            block: cython.pointer(MBlock) = cython.address(self.m.blocks[b])
            self.final[b] = b
            if block.flags & BF_LOOP_HEADER:
                continue  # where jumps go back to is known by its flag
            if b and block.last == block.first + 1 and self.m.insts[block.first].op == P_JMP:
                while moves < end and moves.at < block.first:
                    moves += 1
                if moves == end or moves.at != block.first:
                    self.final[b] = self.m.edges[block.edges].target
        for b in range(n):
            t = self.final[b]
            for hops in range(MAX_HOPS):
                if self.final[t] == t:
                    break
                t = self.final[t]
            self.final[b] = t
        for b in range(n):  # the end of a chain that is too long, or a circle, is emitted after all
            self.final[self.final[b]] = self.final[b]
        vec_room(self.heads, self.cap_heads, n + 1)
        memset(self.heads, 0xFF, n * cython.sizeof(uint32_t))  # NOT_SEEN
        vec_room(self.tops, self.cap_tops, n + 1)
        memset(self.tops, 0xFF, n * cython.sizeof(uint32_t))  # NO_TOP
        for b in range(n):
            if self.m.blocks[b].flags & BF_LATE:  # emitted behind where it leads: nothing can be said of r11 there
                for k in range(self.m.blocks[b].edges, self.m.blocks[b].edges + self.m.blocks[b].nedges):
                    t = self.final[self.m.edges[k].target]
                    self.heads[t] = LATE_WAY if self.m.blocks[t].flags & BF_LOOP_HEADER else NOTHING_HELD
        return 0

    def next_block(self, block):
        """The block that will be emitted behind this one."""
        following: uint32_t = block + 1
        while following < self.m.n_blocks and (
            self.final[following] != following or self.m.blocks[following].flags & BF_LATE != self.turn
        ):
            following += 1
        return following

    def jump_to(self, target, following):
        """Jump to a block unless it comes next."""
        target = self.final[target]
        if target == following:
            return 0
        return emit_jmp(self.b, self.label_of(target))

    def jump_if(self, cc, target):
        """Jump to a block on a condition."""
        return emit_jcc(self.b, cc, self.label_of(self.final[target]))

    def branch(self, inst, block):
        """A conditional jump; conditions of two flags take two."""
        taken: uint32_t = self.m.edges[self.m.blocks[block].edges].target
        otherwise: uint32_t = self.m.edges[self.m.blocks[block].edges + 1].target
        following: uint32_t = self.next_block(block)
        cc: uint32_t = inst.cc
        if cc == CC_FEQ:
            self.jump_if(CC_P, otherwise)
            cc = CC_E
        elif cc == CC_FNE:
            self.jump_if(CC_P, taken)
            cc = CC_NE
        if self.final[taken] == following:
            return self.jump_if(cc ^ 1, otherwise)
        self.jump_if(cc, taken)
        return self.jump_to(otherwise, following)

    def branch_table(self, inst, ops, block):
        """Entries are offsets from the table, which begins with that of the least index. An index that may lie beyond
        it is clamped to the default, which is the last entry: by a move on a condition, since a jump may be guessed
        wrong, and what is behind the table be read.
        """
        index: uint32_t = ops[0].loc
        scratch: uint32_t = ops[1].loc
        n: uint32_t = self.n_tables
        vec_room(self.tables, self.cap_tables, n + 1)
        self.tables[n].label = self.b.label()
        self.tables[n].block = block
        self.n_tables = n + 1
        self.held = NOTHING_HELD
        if inst.imm == 0:
            last: uint32_t = self.m.blocks[block].nedges - 1
            emit_ri(self.b, MOP_MOV_RI, 4, scratch, last)
            emit_ri(self.b, MOP_CMP_RI, 4, index, last)
            emit_cmov(self.b, CC_BE, 4, scratch, index)
            index = scratch
        elif inst.aux:
            emit_rm(self.b, MOP_LEA_RM, 4, scratch, based(index, cython.cast(int32_t, ~inst.aux + 1)))
            index = scratch
        emit_lea_label(self.b, R11, self.tables[n].label)
        emit_rm(self.b, MOP_MOVSXD_RM, 8, scratch, indexed(R11, index, 2))
        emit_rr(self.b, MOP_ADD_RR, 8, R11, scratch)
        return emit_r(self.b, MOP_JMP_R, R11)

    def ret(self, inst):
        """Take down the frame; the callee pops its stack arguments."""
        if self.frame_bytes:
            emit_rr(self.b, MOP_MOV_RR, 8, RSP, RBP)
        if not self.bare:
            emit_r(self.b, MOP_POP_R, RBP)
        if inst.imm == 0:
            return emit_0(self.b, MOP_RET)
        return emit_ri(self.b, MOP_RET_I, 8, 0, inst.imm)

    # ---- behind the body -----------------------------------------------------------------------

    def cold_part(self):
        """The rare paths, in the order in which the body asked for them."""
        i: uint32_t
        c: Cold
        for i in range(self.n_colds):
            c = self.colds[i]
            self.position = c.position
            self.b.bind(c.label)
            if c.kind == COLD_TRAP:
                self.explicit_trap(c.a)
                if c.a == TRAP_OUT_OF_FUEL:  # the handler goes on behind it where it has found more
                    emit_jmp(self.b, c.back)
            elif c.kind == COLD_POLL:
                self.cold_poll(cython.address(c))
            elif c.kind == COLD_COUNT:
                self.cold_count(cython.address(c))
            elif c.kind >= COLD_NOTE:
                self.cold_object(cython.address(c))
            elif c.kind == COLD_BELOW:
                emit_below(self.b, c.back)
                self.explicit_trap(TRAP_INDIRECT_CALL_MISMATCH)
            else:
                self.cold_trunc(cython.address(c))
        return 0

    def poll(self, inst, ops):
        """A comparison, and what the rare path must know of r11, and of a global that the loop keeps in a register."""
        emit_rm(self.b, MOP_CMP_RM, 8, RSP, based(R15, EXEC_POLL_LIMIT))
        if self.plan.polling:
            emit_jmp(self.b, self.cold(COLD_POLL, 0))
        else:
            emit_jcc(self.b, CC_B, self.cold(COLD_POLL, 0))
        c: cython.pointer(Cold) = cython.address(self.colds[self.n_colds - 1])
        c.d = self.held
        if inst.width:
            self.held = NOTHING_HELD
            c.b = cython.cast(uint32_t, inst.width) << 8 | inst.cc
            c.c = ops[0].loc
            c.d = inst.aux
        return self.b.bind(c.back)

    def cold_global(self, c, load):
        """Move the value that a poll names from or to its global."""
        mop: uint32_t = MOP_MOV_RM if load else MOP_MOV_MR
        if c.b >> 8 == 16:
            mop = MOP_MOVUPS_RM if load else MOP_MOVUPS_MR
        elif c.b & POLL_FLOAT:
            mop = MOP_MOVF_RM if load else MOP_MOVF_MR
        if c.b & POLL_IMPORTED:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, c.d))
            return emit_rm(self.b, mop, c.b >> 8, c.c, based(R11, 0))
        return emit_rm(self.b, mop, c.b >> 8, c.c, based(R14, c.d))

    def cold_poll(self, c):
        """The shared stub keeps every register; r11 tells it how far down the function wants to go. A global that is
        in a register is in its place while others run, and may be another afterwards."""
        if c.b:
            self.cold_global(c, False)
        emit_rm(self.b, MOP_LEA_RM, 8, R11, based(RSP, -cython.cast(int32_t, c.a)))
        emit_m(self.b, MOP_CALL_M, R15, EXEC_POLL_STUB)
        self.return_site()
        if c.b:
            self.cold_global(c, True)
        elif c.d != NOTHING_HELD:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, c.d))
        return emit_jmp(self.b, c.back)

    def jump_tables(self):
        """The tables of br_table: offsets of the targets from the table itself, one for each edge, or for each index
        that there can be. The default, which is the last edge, is that of all indices that have none."""
        i: uint32_t
        k: uint32_t
        length: uint32_t
        edge: uint32_t
        block: cython.pointer(MBlock)
        inst: cython.pointer(MInst)
        for i in range(self.n_tables):
            block = cython.address(self.m.blocks[self.tables[i].block])
            inst = cython.address(self.m.insts[block.last - 1])
            length = cython.cast(uint32_t, inst.imm) if inst.imm else block.nedges
            self.b.align(4, 0xCC)
            self.b.bind(self.tables[i].label)
            for k in range(length):
                edge = inst.aux + k
                edge = block.edges + (edge if edge < block.nedges else block.nedges - 1)
                # A field is relative to its own end: count back to the table's start.
                self.b.rel32(
                    self.first_label + self.final[self.m.edges[edge].target],
                    FIX_LABEL,
                    -4 * (cython.cast(int32_t, k) + 1),
                )
        return 0
