# strata: hot
"""Emission: machine IR whose operands have places, to bytes, trap table and position map. Owns frames and sequences.

Frame, from rbp down: the saved r14 (8 bytes), spill slots, outgoing stack arguments and result cells at rsp. Rows go
through the encoder; pseudo operations have their sequences here. Rare paths are collected and placed behind the body.
r11 and xmm15 are scratch; r11 may hold a pointer of the context from one memory access to the next.
"""

from array import array

import cython
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.stratavm.base.vec import vec_reserve
from cython.cimports.stratavm.codegen.codebuf import FIX_LABEL, CodeBuf, put8
from cython.cimports.stratavm.codegen.minst import MI_TRAPS, NO_VREG, R_DEF, MBlock, MCode, MInst, MOperand, Move
from cython.cimports.stratavm.codegen.x64._gen_encodings import (
    MOP_ADD_RR,
    MOP_AND_RI,
    MOP_ANDNP_RR,
    MOP_ANDP_RR,
    MOP_BSF_RR,
    MOP_BSR_RR,
    MOP_CALL_M,
    MOP_CDQ,
    MOP_CMOVCC_RR,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_CMP_RR,
    MOP_CVTSI2SD_RR,
    MOP_CVTSI2SS_RR,
    MOP_CVTTSD2SI_RR,
    MOP_CVTTSS2SI_RR,
    MOP_DIV_R,
    MOP_FADD_RR,
    MOP_FMAX_RR,
    MOP_FMIN_RR,
    MOP_FSUB_RM,
    MOP_IDIV_R,
    MOP_JMP_R,
    MOP_LEA_RM,
    MOP_MOV_MR,
    MOP_MOV_RI,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVF_RM,
    MOP_MOVF_RR,
    MOP_MOVG2X_RR,
    MOP_MOVSXD_RM,
    MOP_MOVZX8_RR,
    MOP_OR_RR,
    MOP_ORP_RR,
    MOP_POP_R,
    MOP_PUSH_R,
    MOP_PXOR_RR,
    MOP_RET,
    MOP_RET_I,
    MOP_SETCC_R,
    MOP_SHR_RI,
    MOP_SUB_RI,
    MOP_TEST_RR,
    MOP_UCOMIS_RM,
    MOP_UCOMIS_RR,
    MOP_HLT,
    MOP_XOR_RI,
    MOP_XOR_RR,
    MOP_XORP_RR,
    R10,
    R11,
    R14,
    R15,
    RAX,
    RBP,
    RDI,
    RDX,
    RIP,
    RSI,
    RSP,
    XMM15,
)
from cython.cimports.stratavm.codegen.x64.encoder import (
    NO_REG,
    Mem,
    emit_0,
    emit_inst,
    emit_jcc,
    emit_jmp,
    emit_lea_label,
    emit_m,
    emit_move,
    emit_r,
    emit_ri,
    emit_rm,
    emit_row,
    emit_rr,
)
from cython.cimports.stratavm.codegen.x64.pseudo import (
    CALL_HOST,
    CALL_STATUS,
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
    P_BR_TABLE,
    P_CALL,
    P_CALL_BUILTIN,
    P_CALL_IMPORT,
    P_CALL_INDIRECT,
    P_CLZ,
    P_COPYSIGN,
    P_CTZ,
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
    P_TRUNC,
    P_U64_TO_FLOAT,
    P_VIA,
    P_ZERO,
    TRUNC_64,
    TRUNC_SAT,
    TRUNC_UNSIGNED,
)
from cython.cimports.stratavm.codegen.x64.target import ModulePlan
from cython.cimports.stratavm.ir.ssa import Ssa
from cython.cimports.stratavm.runtime._gen_layout import (
    EXEC_BUILTINS,
    EXEC_POLL_LIMIT,
    EXEC_POLL_STUB,
    EXEC_SAVED_FP,
    EXEC_SAVED_SP,
    EXEC_TRAP_CODE,
    FUNCREC_CODE,
    FUNCREC_TYPE_ID,
    FUNCREC_VMCTX,
    TRAP_DIV_BY_ZERO,
    TRAP_DYNAMIC,
    TRAP_INDIRECT_CALL_MISMATCH,
    TRAP_INT_OVERFLOW,
    TRAP_INVALID_CONVERSION,
    TRAP_UNINITIALIZED_ELEMENT,
    VMCTX_SLOTS,
    VMCTX_TYPE_IDS,
)

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

from stratavm.base.errors import ResourceLimit
from stratavm.codegen.code import Code
from stratavm.codegen.x64.regs import ALLOCATABLE

MAX_HOPS = cython.declare(uint32_t, 8)
SMALL_FRAME = cython.declare(uint32_t, 4096)  # below it the prologue compares rsp itself: the limit has a reserve
MAX_FRAME = cython.declare(uint32_t, 0x4000000)
GARBAGE = cython.declare(int64_t, 0x5EED0BADC0DE0BAD)
U32_MAX = cython.declare(int64_t, 0xFFFFFFFF)
I64_MAX = cython.declare(int64_t, 0x7FFFFFFFFFFFFFFF)
SAVED_R14 = cython.declare(int32_t, -8)
_ALLOCATABLE_MASK = cython.declare(uint32_t, sum(1 << n for n in ALLOCATABLE))


class Emitter:
    """Emits one function after another; reuses its arrays."""

    def __cinit__(self):
        self.b = CodeBuf()
        self.traps = self.returns = cython.NULL
        self.colds = cython.NULL
        self.tables = cython.NULL
        self.final = cython.NULL
        self.cap_final = 0
        self.cap_traps = self.cap_returns = self.cap_colds = self.cap_tables = 0
        self.n_traps = self.n_returns = self.n_colds = self.n_tables = 0

    def __dealloc__(self):
        free(self.traps)
        free(self.returns)
        free(self.colds)
        free(self.tables)
        free(self.final)

    def finish(self):
        """The function just emitted, as a ``Code``."""
        traps = array("I")
        traps.frombytes(PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.traps), self.n_traps * 12))
        returns = array("I")
        returns.frombytes(PyBytes_FromStringAndSize(cython.cast(cython.p_char, self.returns), self.n_returns * 8))
        return Code(self.b.to_bytes(), traps, returns, self.frame_bytes)

    def attach(self, plan: ModulePlan, ssa: Ssa, m: MCode) -> None:
        """Say what ``emit`` works on."""
        self.plan = plan
        self.ssa = ssa
        self.m = m

    def emit(self) -> cython.int:
        """Fill the buffer and the tables."""
        self.b.clear()
        self.n_traps = self.n_returns = self.n_colds = self.n_tables = 0
        self.position = NO_VREG
        self.layout_frame()
        self.thread_jumps()
        self.first_label = self.b.label_block(self.m.n_blocks)
        self.prologue()
        move: uint32_t = 0
        number: uint32_t
        for number in range(self.m.n_blocks):
            self.block(number, cython.address(move))
        self.cold_part()
        self.jump_tables()
        return self.b.finish(self.m.constants, self.m.n_constants)

    # ---- the frame -----------------------------------------------------------------------------

    def layout_frame(self) -> cython.int:
        """Sizes of the frame; whether r14 must be kept because a callee of another instance may change it."""
        i: uint32_t
        op: uint32_t
        self.foreign = False
        for i in range(self.m.n_insts):
            op = self.m.insts[i].op
            if op == P_CALL_IMPORT or op == P_CALL_INDIRECT:
                self.foreign = True
                break
        bytes: uint64_t = 8 + cython.cast(uint64_t, self.m.n_slots) * 8 + self.m.out_arg_bytes
        bytes = (bytes + 15) & ~cython.cast(uint64_t, 15)
        if bytes > MAX_FRAME:
            with cython.gil:
                raise ResourceLimit(f"a stack frame of {bytes} bytes, the limit is {MAX_FRAME}", limit="frame_bytes")
        if not self.foreign and self.m.n_slots == 0 and self.m.out_arg_bytes == 0:
            bytes = 0
        self.frame_bytes = cython.cast(uint32_t, bytes)
        self.frame.base = RBP
        self.frame.slots = SAVED_R14 - 8 * cython.cast(int32_t, self.m.n_slots)
        return 0

    def prologue(self) -> cython.int:
        """Frame chain first, then the stack limit, which is also the poll, then the frame."""
        emit_r(self.b, MOP_PUSH_R, RBP)
        emit_rr(self.b, MOP_MOV_RR, 8, RBP, RSP)
        label: uint32_t = self.cold(COLD_POLL, self.frame_bytes)
        if self.frame_bytes < SMALL_FRAME:
            emit_rm(self.b, MOP_CMP_RM, 8, RSP, R15, EXEC_POLL_LIMIT)
        else:
            emit_rm(self.b, MOP_LEA_RM, 8, R11, RSP, -cython.cast(int32_t, self.frame_bytes))
            emit_rm(self.b, MOP_CMP_RM, 8, R11, R15, EXEC_POLL_LIMIT)
        emit_jcc(self.b, CC_B, label)
        self.b.bind(self.colds[self.n_colds - 1].back)
        if self.frame_bytes:
            emit_ri(self.b, MOP_SUB_RI, 8, RSP, self.frame_bytes)
        if self.foreign:
            emit_rm(self.b, MOP_MOV_MR, 8, R14, RBP, SAVED_R14)
        if self.plan.poison:
            self.poison_frame()
        return 0

    def poison_frame(self) -> cython.int:
        """Fill fresh slots with garbage: nobody may read a slot that was never written."""
        i: uint32_t
        emit_ri(self.b, MOP_MOV_RI, 8, R11, GARBAGE)
        for i in range(self.m.n_slots):
            emit_rm(self.b, MOP_MOV_MR, 8, R11, RBP, self.frame.slots + 8 * cython.cast(int32_t, i))
        return 0

    def poison_registers(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """After a call every register but its results holds garbage."""
        live: uint32_t = 0
        i: uint32_t
        for i in range(inst.nops):
            if ops[i].role == R_DEF and ops[i].loc < 32:
                live |= cython.cast(uint32_t, 1) << ops[i].loc
        emit_ri(self.b, MOP_MOV_RI, 8, R11, GARBAGE)
        for i in range(32):
            if not _ALLOCATABLE_MASK >> i & 1 or live >> i & 1:
                continue
            emit_rr(self.b, MOP_MOV_RR if i < 16 else MOP_MOVG2X_RR, 8, i, R11)
        return 0

    # ---- blocks and instructions ---------------------------------------------------------------

    def block(self, number: uint32_t, move: cython.pointer(uint32_t)) -> cython.int:
        """One block: moves before each instruction, then the instruction."""
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[number])
        mv: cython.pointer(Move)
        i: uint32_t
        if self.final[number] != number:
            return 0
        self.b.bind(self.first_label + number)
        self.held = NOTHING_HELD
        for i in range(block.first, block.last):
            while move[0] < self.m.n_moves and self.m.moves[move[0]].at == i:
                mv = cython.address(self.m.moves[move[0]])
                emit_move(self.b, mv.src, mv.dst, self.m.vwidth[mv.vreg], cython.address(self.frame))
                if mv.dst == R11:
                    self.held = NOTHING_HELD
                move[0] += 1
            self.instruction(i, number)
        return 0

    def instruction(self, number: uint32_t, block: uint32_t) -> cython.int:
        """A row by the encoder, anything else by its sequence."""
        inst: cython.pointer(MInst) = cython.address(self.m.insts[number])
        ops: cython.pointer(MOperand) = self.m.operands + inst.ops
        if inst.node != NO_VREG:
            self.position = self.ssa.positions[inst.node]
        if inst.op >= P_VIA:
            return self.via(inst, ops)
        if inst.op >= P_PARAMS:
            return self.pseudo(inst, ops, block)
        return emit_inst(self.b, inst, ops, cython.address(self.frame))

    def pseudo(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand), block: uint32_t) -> cython.int:
        """Sequences of values; the rest is control."""
        op: uint32_t = inst.op
        if op == P_SETCC:
            return self.set_condition(inst, ops)
        if op == P_SELECT:
            return self.select(inst, ops)
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
        return self.control(inst, ops, block)

    def control(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand), block: uint32_t) -> cython.int:
        """Jumps, calls, traps, polls."""
        op: uint32_t = inst.op
        if op == P_JMP:
            return self.jump_to(self.m.edges[self.m.blocks[block].edges].target, self.next_block(block))
        if op == P_JCC:
            return self.branch(inst, block)
        if op == P_CALL or op == P_CALL_IMPORT or op == P_CALL_INDIRECT:
            return self.call(inst, ops)
        if op == P_CALL_BUILTIN:
            return self.call_builtin(inst, ops)
        if op == P_TRAP_IF:
            return emit_jcc(self.b, inst.cc, self.cold(COLD_TRAP, inst.aux))
        if op == P_POLL:
            self.held = NOTHING_HELD
            emit_rm(self.b, MOP_CMP_RM, 8, RSP, R15, EXEC_POLL_LIMIT)
            emit_jcc(self.b, CC_B, self.cold(COLD_POLL, 0))
            return self.b.bind(self.colds[self.n_colds - 1].back)
        if op == P_RETURN:
            return self.ret(inst)
        if op == P_TRAP:
            return self.explicit_trap(inst.aux)
        if op == P_BR_TABLE:
            return self.branch_table(inst, ops, block)
        if op != P_PARAMS:
            with cython.gil:
                raise AssertionError(f"pseudo operation {op:#x} has no sequence")
        return 0

    def via(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """A row whose base is a pointer in the context. The pointers never change, so r11 may still hold this one."""
        cell: uint32_t = cython.cast(uint32_t, inst.imm)
        mem: Mem
        mem.base = R11
        mem.index = NO_REG
        mem.scale = 0
        mem.disp = inst.disp
        if inst.scale != 0xFF:
            mem.index = cython.cast(uint8_t, ops[inst.nops - 1].loc)
            mem.scale = inst.scale
            if ops[inst.nops - 1].loc >= 16:
                with cython.gil:
                    raise AssertionError(f"index of node {inst.node} is at {ops[inst.nops - 1].loc:#x}")
        if self.held != cell:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, R14, cell)
            self.held = cell
        if inst.flags & MI_TRAPS:
            self.trap_site(inst.aux)
        reg: uint32_t = ops[0].loc if inst.nops else 0
        if reg >= 32:
            with cython.gil:
                raise AssertionError(f"operand of node {inst.node} is at {reg:#x}, not in a register")
        return emit_row(self.b, inst.op - P_VIA, inst.width, 0, reg, 0, cython.address(mem), inst.imm >> 32)

    # ---- calls ---------------------------------------------------------------------------------

    def call(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """Calls of guest functions: through a slot, an imported FuncRec, or a table."""
        self.held = NOTHING_HELD
        if inst.op == P_CALL:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, R14, VMCTX_SLOTS)
            emit_m(self.b, MOP_CALL_M, R11, 8 * cython.cast(int32_t, inst.aux))
            self.return_site()
        elif inst.op == P_CALL_IMPORT:
            emit_rm(self.b, MOP_MOV_RM, 8, R11, R14, inst.aux)
            self.leave_rec()
        else:
            self.call_indirect(inst)
        if inst.imm:
            # The callee popped its arguments; the frame keeps their room.
            emit_ri(self.b, MOP_SUB_RI, 8, RSP, inst.imm)
        if self.plan.poison:
            self.poison_registers(inst, ops)
        return 0

    def call_indirect(self, inst: cython.pointer(MInst)) -> cython.int:
        """r10 holds the index, which is in bounds. A null element faults at a small address; types come last."""
        mem: Mem
        mem.base = R11
        mem.index = R10
        mem.scale = 3
        mem.disp = 0
        emit_rm(self.b, MOP_MOV_RM, 8, R11, R14, inst.disp)
        emit_row(self.b, MOP_MOV_RM, 8, 0, R11, 0, cython.address(mem), 0)
        emit_rm(self.b, MOP_MOV_RM, 8, R10, R14, VMCTX_TYPE_IDS)
        emit_rm(self.b, MOP_MOV_RM, 4, R10, R10, 4 * cython.cast(int32_t, inst.aux))
        self.trap_site(TRAP_UNINITIALIZED_ELEMENT)
        emit_rm(self.b, MOP_CMP_RM, 4, R10, R11, FUNCREC_TYPE_ID)
        emit_jcc(self.b, CC_NE, self.cold(COLD_TRAP, TRAP_INDIRECT_CALL_MISMATCH))
        return self.leave_rec()

    def leave_rec(self) -> cython.int:
        """Call the FuncRec in r11 with its own context, then restore this instance's."""
        emit_rm(self.b, MOP_MOV_RM, 8, R14, R11, FUNCREC_VMCTX)
        emit_m(self.b, MOP_CALL_M, R11, FUNCREC_CODE)
        self.return_site()
        return emit_rm(self.b, MOP_MOV_RM, 8, R14, RBP, SAVED_R14)

    def call_builtin(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """Operands are in rdx, rcx, r8, r9; a status other than 0 traps."""
        self.held = NOTHING_HELD
        if inst.cc & CALL_HOST:
            emit_rm(self.b, MOP_MOV_MR, 8, RSP, R15, EXEC_SAVED_SP)
            emit_rm(self.b, MOP_MOV_MR, 8, RBP, R15, EXEC_SAVED_FP)
        emit_rr(self.b, MOP_MOV_RR, 8, RDI, R15)
        emit_rr(self.b, MOP_MOV_RR, 8, RSI, R14)
        emit_m(self.b, MOP_CALL_M, R15, EXEC_BUILTINS + 8 * cython.cast(int32_t, inst.aux))
        self.return_site()
        if inst.cc & CALL_STATUS:
            emit_rr(self.b, MOP_TEST_RR, 4, RAX, RAX)
            emit_jcc(self.b, CC_NE, self.cold(COLD_STATUS, 0))
        if self.plan.poison:
            self.poison_registers(inst, ops)
        return 0

    # ---- jumps ---------------------------------------------------------------------------------

    def thread_jumps(self) -> cython.int:
        """Blocks that only jump on are left out: ``final`` says where a jump to a block really goes."""
        n: uint32_t = self.m.n_blocks
        b: uint32_t
        t: uint32_t
        hops: uint32_t
        move: uint32_t = 0
        vec_reserve(
            cython.cast(cython.pp_void, cython.address(self.final)),
            cython.address(self.cap_final),
            n + 1,
            cython.sizeof(uint32_t),
        )
        for b in range(n):
            block: cython.pointer(MBlock) = cython.address(self.m.blocks[b])
            while move < self.m.n_moves and self.m.moves[move].at < block.first:
                move += 1
            self.final[b] = b
            if b and block.last == block.first + 1 and self.m.insts[block.first].op == P_JMP:
                if move == self.m.n_moves or self.m.moves[move].at != block.first:
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
        return 0

    def next_block(self, block: uint32_t) -> uint32_t:
        """The block that will be emitted behind this one."""
        following: uint32_t = block + 1
        while following < self.m.n_blocks and self.final[following] != following:
            following += 1
        return following

    def jump_to(self, target: uint32_t, following: uint32_t) -> cython.int:
        """Jump to a block unless it comes next; two bytes if it is close behind."""
        target = self.final[target]
        if target == following:
            return 0
        label: uint32_t = self.first_label + target
        if self.is_near(label):
            self.short_jump(ALWAYS)
            self.b.data[self.b.n - 1] = cython.cast(uint8_t, self.b.labels[label] - self.b.n)
            return 0
        return emit_jmp(self.b, label)

    def jump_if(self, cc: uint32_t, target: uint32_t) -> cython.int:
        """Jump to a block on a condition."""
        label: uint32_t = self.first_label + self.final[target]
        if self.is_near(label):
            self.short_jump(cc)
            self.b.data[self.b.n - 1] = cython.cast(uint8_t, self.b.labels[label] - self.b.n)
            return 0
        return emit_jcc(self.b, cc, label)

    def is_near(self, label: uint32_t) -> cython.bint:
        """Whether a label is bound and within reach of a two-byte jump from here."""
        at: uint32_t = self.b.labels[label]
        return at <= self.b.n and self.b.n + 2 - at <= 128

    def branch(self, inst: cython.pointer(MInst), block: uint32_t) -> cython.int:
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

    def branch_table(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand), block: uint32_t) -> cython.int:
        """Clamp the index to the default, which is the last entry; entries are offsets from the table."""
        index: uint32_t = ops[1].loc
        n: uint32_t = self.n_tables
        vec_reserve(
            cython.cast(cython.pp_void, cython.address(self.tables)),
            cython.address(self.cap_tables),
            n + 1,
            cython.sizeof(TableUse),
        )
        self.tables[n].label = self.b.label()
        self.tables[n].block = block
        self.n_tables = n + 1
        emit_rr(self.b, MOP_MOV_RR, 4, index, ops[0].loc)
        emit_ri(self.b, MOP_MOV_RI, 4, R11, self.m.blocks[block].nedges - 1)
        emit_rr(self.b, MOP_CMP_RR, 4, index, R11)
        emit_row(self.b, MOP_CMOVCC_RR, 4, CC_A, index, R11, cython.NULL, 0)
        emit_lea_label(self.b, R11, self.tables[n].label)
        mem: Mem
        mem.base = R11
        mem.index = cython.cast(uint8_t, index)
        mem.scale = 2
        mem.disp = 0
        emit_row(self.b, MOP_MOVSXD_RM, 8, 0, index, 0, cython.address(mem), 0)
        emit_rr(self.b, MOP_ADD_RR, 8, R11, index)
        return emit_r(self.b, MOP_JMP_R, R11)

    def ret(self, inst: cython.pointer(MInst)) -> cython.int:
        """Take down the frame; the callee pops its stack arguments."""
        if self.frame_bytes:
            emit_rr(self.b, MOP_MOV_RR, 8, RSP, RBP)
        emit_r(self.b, MOP_POP_R, RBP)
        if inst.imm == 0:
            return emit_0(self.b, MOP_RET)
        return emit_row(self.b, MOP_RET_I, 8, 0, 0, 0, cython.NULL, inst.imm)

    # ---- sequences of values -------------------------------------------------------------------

    def divide(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """rax by a register. Zero faults in the instruction itself; -1 is told apart because it would fault the same
        way.
        """
        width: uint32_t = inst.width
        divisor: uint32_t = ops[3].loc
        bits: uint32_t = inst.cc
        done: uint32_t = 0
        if bits & DIV_MINUS_ONE:
            emit_ri(self.b, MOP_CMP_RI, width, divisor, -1)
            other: uint32_t = self.short_jump(CC_NE)
            if bits & DIV_REM:
                emit_rr(self.b, MOP_XOR_RR, 4, RDX, RDX)
                done = self.short_jump(ALWAYS)
            else:
                emit_ri(self.b, MOP_CMP_RI, width, RAX, 1)  # overflows for the least integer only
                emit_jcc(self.b, CC_O, self.cold(COLD_TRAP, TRAP_INT_OVERFLOW))
            self.land(other)
        if bits & DIV_SIGNED:
            emit_row(self.b, MOP_CDQ, width, 0, 0, 0, cython.NULL, 0)
        else:
            emit_rr(self.b, MOP_XOR_RR, 4, RDX, RDX)
        if bits & DIV_ZERO:
            self.trap_site(TRAP_DIV_BY_ZERO)
        emit_row(self.b, MOP_IDIV_R if bits & DIV_SIGNED else MOP_DIV_R, width, 0, 0, divisor, cython.NULL, 0)
        if done:
            self.land(done)
        return 0

    def set_condition(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """A condition as 0 or 1. Equality of floats also looks at the parity flag; ``mov`` leaves the flags alone."""
        d: uint32_t = ops[0].loc
        cc: uint32_t = inst.cc
        if cc < CC_FEQ:
            emit_row(self.b, MOP_SETCC_R, 1, cc, 0, d, cython.NULL, 0)
            return emit_rr(self.b, MOP_MOVZX8_RR, 4, d, d)
        self.held = NOTHING_HELD
        emit_row(self.b, MOP_SETCC_R, 1, CC_NP if cc == CC_FEQ else CC_P, 0, R11, cython.NULL, 0)
        emit_rr(self.b, MOP_MOVZX8_RR, 4, R11, R11)
        emit_ri(self.b, MOP_MOV_RI, 4, d, 0 if cc == CC_FEQ else 1)
        return emit_row(self.b, MOP_CMOVCC_RR, 4, CC_E, d, R11, cython.NULL, 0)

    def select(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """Jump over a move."""
        cc: uint32_t = inst.cc
        second: uint32_t = 0
        skip: uint32_t
        taken: uint32_t = 0
        if cc == CC_FEQ:
            second = self.short_jump(CC_P)
            cc = CC_E
        elif cc == CC_FNE:
            taken = self.short_jump(CC_P)
            cc = CC_NE
        skip = self.short_jump(cc ^ 1)
        if taken:
            self.land(taken)
        emit_move(self.b, ops[2].loc, ops[0].loc, inst.width, cython.address(self.frame))
        if second:
            self.land(second)
        return self.land(skip)

    def scan(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """clz and ctz without lzcnt and tzcnt: a bit scan, whose result for zero is replaced."""
        d: uint32_t = ops[0].loc
        bits: uint32_t = inst.width * 8
        clz: cython.bint = inst.op == P_CLZ
        emit_ri(self.b, MOP_MOV_RI, 4, R11, 2 * bits - 1 if clz else bits)
        emit_rr(self.b, MOP_BSR_RR if clz else MOP_BSF_RR, inst.width, d, ops[1].loc)
        emit_row(self.b, MOP_CMOVCC_RR, inst.width, CC_E, d, R11, cython.NULL, 0)
        if clz:
            emit_ri(
                self.b, MOP_XOR_RI, inst.width, d, bits - 1
            )  # bits - 1 - position; (2 bits - 1) ^ (bits - 1) = bits
        return 0

    def sign_bits(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """abs, neg, copysign: bit operations with a mask, whatever the value is."""
        d: uint32_t = ops[0].loc
        self.load_pool(inst.width, XMM15, inst.aux)
        if inst.op == P_FBIT:
            return emit_rr(self.b, MOP_XORP_RR if inst.cc else MOP_ANDP_RR, inst.width, d, XMM15)
        emit_rr(self.b, MOP_ANDP_RR, inst.width, d, XMM15)
        emit_rr(self.b, MOP_ANDNP_RR, inst.width, XMM15, ops[2].loc)
        return emit_rr(self.b, MOP_ORP_RR, inst.width, d, XMM15)

    def minmax(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """The instruction is right for ordered different values; equal ones may differ in sign, NaN must win and be
        quiet.
        """
        d: uint32_t = ops[0].loc
        other: uint32_t = ops[2].loc
        least: cython.bint = inst.op == P_FMIN
        emit_rr(self.b, MOP_UCOMIS_RR, inst.width, d, other)
        unordered: uint32_t = self.short_jump(CC_P)
        different: uint32_t = self.short_jump(CC_NE)
        emit_rr(self.b, MOP_ORP_RR if least else MOP_ANDP_RR, inst.width, d, other)
        done: uint32_t = self.short_jump(ALWAYS)
        self.land(unordered)
        emit_rr(self.b, MOP_FADD_RR, inst.width, d, other)
        end: uint32_t = self.short_jump(ALWAYS)
        self.land(different)
        emit_rr(self.b, MOP_FMIN_RR if least else MOP_FMAX_RR, inst.width, d, other)
        self.land(done)
        return self.land(end)

    def from_u64(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
        """Halve a large one, keeping its lowest bit sticky: doubling is exact, so the value is rounded once."""
        mop: uint32_t = MOP_CVTSI2SS_RR if inst.width == 4 else MOP_CVTSI2SD_RR
        d: uint32_t = ops[0].loc
        source: uint32_t = ops[1].loc
        half: uint32_t = ops[2].loc
        self.held = NOTHING_HELD
        emit_rr(self.b, MOP_TEST_RR, 8, source, source)
        large: uint32_t = self.short_jump(CC_S)
        emit_rr(self.b, mop, 8, d, source)
        done: uint32_t = self.short_jump(ALWAYS)
        self.land(large)
        emit_rr(self.b, MOP_MOV_RR, 8, half, source)
        emit_rr(self.b, MOP_MOV_RR, 8, R11, source)
        emit_ri(self.b, MOP_SHR_RI, 8, half, 1)
        emit_ri(self.b, MOP_AND_RI, 4, R11, 1)
        emit_rr(self.b, MOP_OR_RR, 8, half, R11)
        emit_rr(self.b, mop, 8, d, half)
        emit_rr(self.b, MOP_FADD_RR, inst.width, d, d)
        return self.land(done)

    def truncate(self, inst: cython.pointer(MInst), ops: cython.pointer(MOperand)) -> cython.int:
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

    # ---- behind the body -----------------------------------------------------------------------

    def cold_part(self) -> cython.int:
        """The rare paths, in the order in which the body asked for them."""
        i: uint32_t
        c: Cold
        for i in range(self.n_colds):
            c = self.colds[i]
            self.position = c.position
            self.b.bind(c.label)
            if c.kind == COLD_TRAP:
                self.explicit_trap(c.a)
            elif c.kind == COLD_STATUS:
                emit_rm(self.b, MOP_MOV_MR, 4, RAX, R15, EXEC_TRAP_CODE)
                self.explicit_trap(TRAP_DYNAMIC)
            elif c.kind == COLD_POLL:
                self.cold_poll(cython.address(c))
            else:
                self.cold_trunc(cython.address(c))
        return 0

    def cold_poll(self, c: cython.pointer(Cold)) -> cython.int:
        """The shared stub keeps every register; r11 tells it how far down the function wants to go."""
        emit_rm(self.b, MOP_LEA_RM, 8, R11, RSP, -cython.cast(int32_t, c.a))
        emit_m(self.b, MOP_CALL_M, R15, EXEC_POLL_STUB)
        self.return_site()
        return emit_jmp(self.b, c.back)

    def cold_trunc(self, c: cython.pointer(Cold)) -> cython.int:
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
            emit_rm(self.b, MOP_FSUB_RM, c.b, XMM15, RIP, c.d)
            emit_rr(self.b, MOP_CVTTSS2SI_RR if c.b == 4 else MOP_CVTTSD2SI_RR, 8, d, XMM15)
            emit_rr(self.b, MOP_TEST_RR, 8, d, d)
            emit_jcc(self.b, CC_S, outside)
            emit_ri(self.b, MOP_MOV_RI, 8, R11, cython.cast(int64_t, cython.cast(uint64_t, 1) << 63))
            emit_rr(self.b, MOP_XOR_RR, 8, d, R11)
            emit_jmp(self.b, c.back)
        elif not c.a & (TRUNC_UNSIGNED | TRUNC_SAT):
            # The least integer itself is in range; so is everything between it and the bound of the narrower type.
            exclusive: cython.bint = c.b == 8 and not c.a & TRUNC_64
            emit_rm(self.b, MOP_UCOMIS_RM, c.b, x, RIP, c.d)
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

    def saturate(self, c: cython.pointer(Cold), zero: uint32_t) -> cython.int:
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

    def jump_tables(self) -> cython.int:
        """The tables of br_table: offsets of the targets from the table itself."""
        i: uint32_t
        k: uint32_t
        block: cython.pointer(MBlock)
        for i in range(self.n_tables):
            block = cython.address(self.m.blocks[self.tables[i].block])
            self.b.align(4, 0xCC)
            self.b.bind(self.tables[i].label)
            for k in range(block.nedges):
                # A field is relative to its own end: count back to the table's start.
                self.b.rel32(
                    self.first_label + self.final[self.m.edges[block.edges + k].target],
                    FIX_LABEL,
                    -4 * (cython.cast(int32_t, k) + 1),
                )
        return 0

    # ---- small things --------------------------------------------------------------------------

    def cold(self, kind: uint32_t, a: uint32_t) -> uint32_t:
        """Ask for a rare path; returns the label where it begins. The caller binds ``back`` where it should return."""
        n: uint32_t = self.n_colds
        vec_reserve(
            cython.cast(cython.pp_void, cython.address(self.colds)),
            cython.address(self.cap_colds),
            n + 1,
            cython.sizeof(Cold),
        )
        first: uint32_t = self.b.label_block(2)
        c: cython.pointer(Cold) = cython.address(self.colds[n])
        c.kind = kind
        c.label = first
        c.back = first + 1
        c.position = self.position
        c.a = a
        self.n_colds = n + 1
        return first

    def trap_site(self, kind: uint32_t) -> cython.int:
        """The next instruction may fault: it means a trap of this kind."""
        n: uint32_t = self.n_traps
        vec_reserve(cython.cast(cython.pp_void, cython.address(self.traps)), cython.address(self.cap_traps), n + 1, 12)
        self.traps[3 * n] = self.b.n
        self.traps[3 * n + 1] = kind
        self.traps[3 * n + 2] = self.position
        self.n_traps = n + 1
        return 0

    def return_site(self) -> cython.int:
        """The instruction before was a call."""
        n: uint32_t = self.n_returns
        vec_reserve(
            cython.cast(cython.pp_void, cython.address(self.returns)), cython.address(self.cap_returns), n + 1, 8
        )
        self.returns[2 * n] = self.b.n
        self.returns[2 * n + 1] = self.position
        self.n_returns = n + 1
        return 0

    def explicit_trap(self, kind: uint32_t) -> cython.int:
        """An explicit trap."""
        self.trap_site(kind)
        return emit_0(self.b, MOP_HLT)

    def load_pool(self, width: uint32_t, xmm: uint32_t, offset: uint32_t) -> cython.int:
        """A float constant into an XMM register."""
        return emit_rm(self.b, MOP_MOVF_RM, width, xmm, RIP, offset)

    def short_jump(self, cc: uint32_t) -> uint32_t:
        """A two-byte jump forward; returns what ``land`` wants."""
        self.b.reserve(2)
        put8(self.b, 0xEB if cc == ALWAYS else 0x70 | cc)
        put8(self.b, 0)
        return self.b.n

    def land(self, jump: uint32_t) -> cython.int:
        """The short jump goes here."""
        if self.b.n - jump > 127:
            with cython.gil:
                raise AssertionError("a short jump is too long")
        self.b.data[jump - 1] = cython.cast(uint8_t, self.b.n - jump)
        return 0
