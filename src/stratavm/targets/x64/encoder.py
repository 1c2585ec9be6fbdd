# strata: hot
"""The x86-64 encoder: rows of ``encodings.py`` and their operands to bytes, and what the allocator left of machine IR.

Knows no instruction by name but moves, only shapes.
"""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.failures import Failure, fail_by
from cython.cimports.stratavm.machine.codebuf import FIX_POOL, CodeBuf, put8, put32, put64
from cython.cimports.stratavm.machine.minst import C_ANY, LOC_REMAT, LOC_SLOT, MI_HOME, MI_MOVE, NO_LOC, MInst, MOperand
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    ENC_F_AVX,
    ENC_F_CC,
    ENC_F_PLUS_R,
    ENC_F_RM8,
    ENC_F_VEX,
    ENC_IMM_8,
    ENC_IMM_16,
    ENC_IMM_32,
    ENC_IMM_MOV,
    ENC_IMM_NONE,
    ENC_IMM_WIDTH,
    ENC_NO_OPERAND,
    ENC_ROWS,
    ENC_W_INT,
    ENC_W_PACKED,
    ENC_W_SCALAR,
    MOP_END,
    MOP_MOV_MR,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVAPS_MR,
    MOP_MOVAPS_RM,
    MOP_MOVAPS_RR,
    MOP_MOVF_MR,
    MOP_MOVF_RM,
    MOP_MOVF_RR,
    MOP_MOVG2X_RR,
    MOP_MOVX2G_RR,
    RIP,
    RSP,
    EncRow,
)

from stratavm.targets.x64._gen_mops import MOPS

BytePtr = cython.typedef(cython.pointer(uint8_t))
RowPtr = cython.typedef(cython.pointer(cython.const[EncRow]))
MemPtr = cython.typedef(cython.pointer(cython.const[Mem]))
FormPtr = cython.typedef(cython.pointer(cython.const[Form]))
Draft = cython.struct(
    opcode=uint32_t,
    prefix=uint32_t,
    field=uint32_t,
    rex=uint32_t,
    trailing=uint32_t,
    narrow=cython.bint,
    byte_registers=cython.bint,
    short=cython.bint,
    vex=cython.bint,
)
"""An instruction on its way to bytes: ``field`` is ModRM.reg, ``trailing`` the size of the immediate."""
DraftPtr = cython.typedef(cython.pointer(Draft))


def refuse(mop, reason, value):
    """An instruction that selection or allocation got wrong: never emitted."""
    return fail_by(raise_refused, reason, mop, cython.cast(uint64_t, value))


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_refused(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """What ``refuse`` says."""
    mop = failure.details[0]
    value = cython.cast(int64_t, failure.details[1])
    name = next((n for n, row in MOPS.items() if row[0] == mop), f"operation {mop}")
    raise AssertionError(f"{name}: {failure.text.decode()} ({value:#x})")


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(-1)
def check_imm(mop: uint32_t, imm: int64_t, size: uint32_t, signed_only: cython.bint) -> cython.int:
    """The immediate fits ``size`` bytes, read as signed or (unless sign-extended further) as unsigned."""
    top: int64_t = cython.cast(int64_t, 1) << (8 * size - 1)
    if imm < -top or imm >= (top if signed_only else 2 * top):
        refuse(mop, b"immediate out of range", imm)
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def put_imm(p: BytePtr, mop: uint32_t, row: RowPtr, width: uint32_t, imm: int64_t) -> cython.int:
    """The immediate behind an instruction, at its full size, which is returned."""
    kind: uint32_t = row.imm
    if kind == ENC_IMM_8 or (kind == ENC_IMM_WIDTH and width == 1):
        check_imm(mop, imm, 1, False)
        p[0] = cython.cast(uint8_t, imm)
        return 1
    if kind == ENC_IMM_16 or (kind == ENC_IMM_WIDTH and width == 2):
        check_imm(mop, imm, 2, False)
        cython.cast(cython.pointer(uint16_t), p)[0] = cython.cast(uint16_t, imm)
        return 2
    check_imm(mop, imm, 4, kind == ENC_IMM_32 or width == 8)
    cython.cast(cython.pointer(uint32_t), p)[0] = cython.cast(uint32_t, imm)
    return 4


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(-1)
def fits_short(imm: int64_t, width: uint32_t) -> cython.bint:
    """Whether the immediate is a sign-extended byte at this width."""
    if width == 4:
        imm = cython.cast(int32_t, imm)
    elif width == 2:
        imm = cython.cast(int64_t, cython.cast(uint64_t, imm) << 48) >> 48
    return -128 <= imm < 128


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def put_pool_address(b: CodeBuf, mop: uint32_t, field: uint32_t, mem: MemPtr, trailing: uint32_t) -> cython.int:
    """ModRM and a rip-relative field for a constant, ``trailing`` bytes before the instruction's end."""
    if mem.disp < 0 or mem.index != NO_REG:
        refuse(mop, b"address in the constant pool", mem.disp)
    put8(b, field << 3 | 5)
    return b.rel32(mem.disp, FIX_POOL, trailing)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def put_based(p: BytePtr, field: uint32_t, mem: MemPtr) -> cython.int:
    """ModRM, SIB and displacement of a memory operand with a base register; ``field`` is ModRM.reg. Returns their
    size.
    """
    low: uint32_t = mem.base & 7
    disp: int32_t = mem.disp
    size: cython.int = 1
    mod: uint32_t = 2
    if disp == 0 and low != 5:
        mod = 0
    elif -128 <= disp < 128:
        mod = 1
    if mem.index != NO_REG:
        p[0] = mod << 6 | field << 3 | 4
        p[1] = mem.scale << 6 | (mem.index & 7) << 3 | low
        size = 2
    else:
        p[0] = mod << 6 | field << 3 | low
        if low == RSP:
            p[1] = 0x24
            size = 2
    if mod == 1:
        p[size] = cython.cast(uint8_t, disp)
        return size + 1
    if mod == 2:
        cython.cast(cython.pointer(int32_t), p + size)[0] = disp
        return size + 4
    return size


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def put_address(p: BytePtr, mop: uint32_t, field: uint32_t, mem: MemPtr) -> cython.int:
    """The same with any memory operand, checked."""
    if mem.index != NO_REG and (mem.index >= 16 or mem.index == RSP or mem.scale > 3):
        refuse(mop, b"index register or scale", mem.index)
    if mem.base < 16:
        return put_based(p, field, mem)
    if mem.base != NO_REG:
        refuse(mop, b"base register", mem.base)
    p[0] = field << 3 | 4
    p[1] = mem.scale << 6 | (mem.index & 7) << 3 | 5 if mem.index != NO_REG else 0x25
    cython.cast(cython.pointer(int32_t), p + 2)[0] = mem.disp
    return 6


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def put_mov_imm(b: CodeBuf, width: uint32_t, reg: uint32_t, imm: int64_t) -> cython.int:
    """Load a constant into a register: 5, 7 or 10 bytes."""
    high: uint32_t = reg >> 3 & 1
    if width == 4 or imm >> 32 == 0:
        if high:
            put8(b, 0x41)
        put8(b, 0xB8 | reg & 7)
        put32(b, cython.cast(uint32_t, imm))
    elif -0x80000000 <= imm < 0:
        put8(b, 0x48 | high)
        put8(b, 0xC7)
        put8(b, 0xC0 | reg & 7)
        put32(b, cython.cast(uint32_t, imm))
    else:
        put8(b, 0x48 | high)
        put8(b, 0xB8 | reg & 7)
        put64(b, cython.cast(uint64_t, imm))
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_vex(p: BytePtr, row: RowPtr, width: uint32_t, rex: uint32_t, vvvv: uint32_t) -> cython.void:
    """The three-byte VEX prefix; ``rex`` holds R, X and B as in REX."""
    pp: uint32_t = 0
    if row.prefix:
        pp = 1 if row.prefix == 0x66 else 2 if row.prefix == 0xF3 else 3
    p[0] = 0xC4
    p[1] = (~rex & 7) << 5 | row.escape
    p[2] = (0x80 if width == 8 else 0) | (~vvvv & 15) << 3 | pp


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_avx(p: BytePtr, row: RowPtr, o: FormPtr, d: DraftPtr) -> BytePtr:
    """The prefix of a row that has none without AVX, of two bytes where that is enough; returns what is behind it."""
    pp: uint32_t = 0
    vvvv: uint32_t = 0
    if row.other != ENC_NO_OPERAND:
        vvvv = o.vvvv if o.vvvv != UNSAID else o.rm if row.rm == 0 else o.reg
    if d.prefix:
        pp = 1 if d.prefix == 0x66 else 2 if d.prefix == 0xF3 else 3
    vvvv = (~vvvv & 15) << 3 | pp
    if row.escape == 1 and d.rex & 11 == 0:
        p[0] = 0xC5
        p[1] = (~d.rex & 4) << 5 | vvvv
        return p + 2
    p[0] = 0xC4
    p[1] = (~d.rex & 7) << 5 | row.escape
    p[2] = (d.rex & 8) << 4 | vvvv
    return p + 3


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def refuse_form(mop: uint32_t, o: FormPtr) -> cython.int:
    """An instruction that no row has, or not so."""
    if mop == 0 or mop >= MOP_END:
        return refuse(mop, b"no such row", mop)
    if not ENC_ROWS[mop].widths & o.width or o.width & (o.width - 1):
        return refuse(mop, b"no such operand width", o.width)
    return refuse(mop, b"no memory form", 0)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def draft_registers(d: DraftPtr, row: RowPtr, o: FormPtr) -> cython.void:
    """Registers as their fields and as bits of REX; the prefix of the width."""
    d.opcode = row.opcode
    d.prefix = row.prefix
    d.narrow = d.byte_registers = d.vex = False
    d.field = o.reg & 15 if row.reg != ENC_NO_OPERAND else row.digit
    d.rex = d.field >> 3 << 2
    if o.mem == cython.NULL:
        d.rex |= o.rm >> 3 & 1
    else:
        if o.mem.base < 16:
            d.rex |= o.mem.base >> 3
        if o.mem.index < 16:
            d.rex |= o.mem.index >> 3 << 1
    high: cython.bint = o.mem == cython.NULL and o.rm & 15 >= 4
    if row.wmode == ENC_W_INT:
        if o.width == 8:
            d.rex |= 8
        elif o.width == 2:
            d.narrow = True
        elif o.width == 1:
            d.opcode -= 1
            d.byte_registers = high or (row.reg != ENC_NO_OPERAND and d.field >= 4)
    elif row.wmode == ENC_W_SCALAR:
        d.prefix = 0xF3 if o.width == 4 else 0xF2
    elif row.wmode == ENC_W_PACKED:
        d.prefix = 0 if o.width == 4 else 0x66
    if row.flags & ENC_F_RM8:
        d.byte_registers = high
    if row.flags & ENC_F_CC:
        d.opcode |= o.cc & 15


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(-1)
def draft_imm(d: DraftPtr, mop: uint32_t, row: RowPtr, o: FormPtr) -> cython.int:
    """The immediate's size, and the opcode of a short one."""
    d.short = False
    d.trailing = 0
    if not row.imm:
        return 0
    if row.short_opcode and o.width != 1:
        check_imm(mop, o.imm, o.width if o.width < 4 else 4, o.width == 8)
        if fits_short(o.imm, o.width):
            d.short = True
            d.opcode = row.short_opcode
    narrow: cython.bint = row.imm == ENC_IMM_WIDTH and o.width < 4
    d.trailing = 1 if d.short or row.imm == ENC_IMM_8 else o.width if narrow else 4
    return 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def put_opcode(p: BytePtr, row: RowPtr, o: FormPtr, d: DraftPtr) -> BytePtr:
    """Prefixes and opcode; returns what is behind them."""
    if d.narrow:
        p[0] = 0x66
        p += 1
    if row.flags & ENC_F_VEX:
        put_vex(p, row, o.width, d.rex & 7, 0 if o.vvvv == UNSAID else o.vvvv & 15)
        p += 3
    elif d.vex:
        p = put_avx(p, row, o, d)
    else:
        if d.prefix:
            p[0] = d.prefix
            p += 1
        if d.rex or d.byte_registers:
            p[0] = 0x40 | d.rex
            p += 1
        if row.escape:
            p[0] = 0x0F
            p += 1
            if row.escape > 1:
                p[0] = 0x38 if row.escape == 2 else 0x3A
                p += 1
    if row.flags & ENC_F_PLUS_R:
        d.opcode |= o.rm & 7
    p[0] = d.opcode
    return p + 1


def encode(b, mop, o):
    """One instruction."""
    row: RowPtr = cython.address(ENC_ROWS[mop if mop < MOP_END else 0])
    if not row.widths & o.width or o.width & (o.width - 1) or (o.mem != cython.NULL and not row.modrm):
        refuse_form(mop, o)
    b.reserve(MAX_INST_BYTES)
    if row.imm == ENC_IMM_MOV:
        return put_mov_imm(b, o.width, o.rm & 15, o.imm)
    d: Draft
    draft_registers(cython.address(d), row, o)
    draft_imm(cython.address(d), mop, row, o)
    d.vex = b.mode & MODE_AVX and row.flags & ENC_F_AVX
    # A local: stores through it would otherwise reload the buffer's fields.
    p: BytePtr = put_opcode(b.data + b.n, row, o, cython.address(d))
    if row.modrm:
        if o.mem == cython.NULL:
            p[0] = 0xC0 | (d.field & 7) << 3 | o.rm & 7
            p += 1
        elif o.mem.base != RIP:
            p += put_address(p, mop, d.field & 7, o.mem)
        else:
            b.n = cython.cast(uint32_t, p - b.data)
            put_pool_address(b, mop, d.field & 7, o.mem, d.trailing)
            p = b.data + b.n
    if d.short:
        p[0] = cython.cast(uint8_t, o.imm)
        p += 1
    elif row.imm != ENC_IMM_NONE:
        p += put_imm(p, mop, row, o.width, o.imm)
    b.n = cython.cast(uint32_t, p - b.data)
    return 0


def encode_plain(b, mop, width, reg, rm):
    """One instruction of registers alone, without condition and immediate."""
    o: Form = form(width, reg, rm)
    return encode(b, mop, cython.address(o))


def encode_memory(b, mop, width, reg, mem):
    """One instruction of a register and memory, the same."""
    o: Form = form(width, reg, 0)
    o.mem = mem
    return encode(b, mop, cython.address(o))


def put_mov(b, mop, reg, rm, mem):
    """``mov`` of 8 bytes between general registers, or with memory: nearly half of all instructions, in a third of the
    steps of ``encode``.
    """
    if mem != cython.NULL and (mem.base >= 16 or mem.index != NO_REG):
        return encode_memory(b, mop, 8, reg, mem)
    b.reserve(MAX_INST_BYTES)
    p: BytePtr = b.data + b.n
    p[0] = 0x48 | (reg & 8) >> 1 | (rm if mem == cython.NULL else mem.base) >> 3
    p[1] = ENC_ROWS[mop].opcode
    if mem == cython.NULL:
        p[2] = 0xC0 | (reg & 7) << 3 | rm & 7
        b.n += 3
    else:
        b.n += 2 + put_based(p + 2, reg & 7, mem)
    return 0


# ---- whole machine instructions ----------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(-1)
def check_register(mop: uint32_t, loc: uint32_t, rclass: uint32_t) -> cython.int:
    """The operand is in a register of its class."""
    if loc >> 4 != rclass:
        refuse(mop, b"operand is not in a register of its class", loc)
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def read_address(
    inst: cython.pointer(cython.const[MInst]), op: cython.pointer(cython.const[MOperand]), mem: cython.pointer(Mem)
) -> cython.int:
    """The address operands of an instruction, the first of which is ``op``."""
    if op[0].loc != RIP:
        check_register(inst.op, op[0].loc, 0)
    mem.base = cython.cast(uint8_t, op[0].loc)
    mem.index = NO_REG
    mem.scale = 0
    mem.disp = inst.disp
    if inst.scale != 0xFF:
        check_register(inst.op, op[1].loc, 0)
        mem.index = cython.cast(uint8_t, op[1].loc)
        mem.scale = inst.scale
    return 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(-1)
def slot_address(
    mop: uint32_t, loc: uint32_t, frame: cython.pointer(cython.const[Frame]), mem: cython.pointer(Mem)
) -> cython.int:
    """The address of a spill slot, or where a load that computes a value again reads."""
    if loc & (LOC_SLOT | LOC_REMAT) == LOC_REMAT:
        load: cython.pointer(cython.const[MInst]) = frame.insts + (loc & ~cython.cast(uint32_t, LOC_REMAT))
        if not load.flags & MI_HOME:
            refuse(mop, b"operand without a place in memory", loc)
        return read_address(load, frame.operands + load.ops + 1, mem)
    at: int64_t = frame.slots + 8 * cython.cast(int64_t, loc & ~cython.cast(uint32_t, LOC_SLOT))
    if loc == NO_LOC or at > 0x7FFFFFFF:
        refuse(mop, b"operand without a place, or a frame too large", loc)
    mem.base = frame.base
    mem.index = NO_REG
    mem.scale = 0
    mem.disp = cython.cast(int32_t, at)
    return 0


def emit_inst(b, inst, ops, frame):
    """Encode a machine instruction whose operands have places; spilled C_ANY operands become memory operands."""
    mop: uint32_t = inst.op
    if mop == 0 or mop >= MOP_END:
        refuse(mop, b"no such row", mop)
    if inst.flags & MI_MOVE and inst.nops > 1 and ops[0].loc == ops[1].loc:
        return 0
    row: RowPtr = cython.address(ENC_ROWS[mop])
    needed: uint32_t = row.nops
    if row.mem:
        needed += 1 if inst.scale == 0xFF else 2
    if inst.nops < needed:
        refuse(mop, b"too few operands", inst.nops)
    mem: Mem
    o: Form = form(inst.width, 0, 0)
    o.cc = inst.cc
    o.imm = inst.imm
    if row.mem:
        read_address(inst, ops + row.nops, cython.address(mem))
        o.mem = cython.address(mem)
    elif row.rm != ENC_NO_OPERAND:
        o.rm = ops[row.rm].loc
        if o.rm & (LOC_SLOT | LOC_REMAT):
            if row.operands[row.rm].constraint != C_ANY:
                refuse(mop, b"operand must be in a register", row.rm)
            slot_address(mop, o.rm, frame, cython.address(mem))
            o.mem = cython.address(mem)
            if row.load:
                mop = row.load
        else:
            check_register(mop, o.rm, row.operands[row.rm].rclass)
    if row.reg != ENC_NO_OPERAND:
        o.reg = ops[row.reg].loc
        check_register(mop, o.reg, row.operands[row.reg].rclass)
    if row.vvvv != ENC_NO_OPERAND:
        o.vvvv = ops[row.vvvv].loc
        check_register(mop, o.vvvv, row.operands[row.vvvv].rclass)
    elif b.mode & MODE_AVX and row.other != ENC_NO_OPERAND:
        o.vvvv = ops[row.other].loc
        check_register(mop, o.vvvv, 1)
        if row.rm == 0:  # the input, which is the result without a prefix
            o.rm = ops[1].loc
            check_register(mop, o.rm, 1)
    return encode(b, mop, cython.address(o))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def move_wide(b: CodeBuf, src: uint32_t, dst: uint32_t, frame: cython.pointer(cython.const[Frame])) -> cython.int:
    """A move of 16 bytes. Slots of such values are aligned, so that any instruction may read them."""
    mem: Mem
    loads: cython.bint = src & (LOC_SLOT | LOC_REMAT) != 0
    register: uint32_t = dst if loads else src
    check_register(MOP_MOVAPS_RR, register, 1)
    if not loads and not dst & LOC_SLOT:
        check_register(MOP_MOVAPS_RR, dst, 1)
        return encode_plain(b, MOP_MOVAPS_RR, 16, dst, src)
    slot_address(MOP_MOVAPS_RR, src if loads else dst, frame, cython.address(mem))
    if mem.disp & 15:
        refuse(MOP_MOVAPS_RR, b"16 bytes in a slot that is not aligned", mem.disp)
    return encode_memory(b, MOP_MOVAPS_RM if loads else MOP_MOVAPS_MR, 16, register, cython.address(mem))


def emit_move(b, src, dst, width, frame):
    """A move between places of one value, 16 bytes or 8: an i32 is zero-extended everywhere, and a slot has 8 bytes."""
    mem: Mem
    if width == 16:
        return move_wide(b, src, dst, frame)
    if src & (LOC_SLOT | LOC_REMAT):
        slot_address(MOP_MOV_RM, src, frame, cython.address(mem))
        if dst < 16:
            return put_mov(b, MOP_MOV_RM, dst, 0, cython.address(mem))
        check_register(MOP_MOVF_RM, dst, 1)
        return encode_memory(b, MOP_MOVF_RM, 8, dst, cython.address(mem))
    if dst & LOC_SLOT:
        slot_address(MOP_MOV_MR, dst, frame, cython.address(mem))
        if src < 16:
            return put_mov(b, MOP_MOV_MR, src, 0, cython.address(mem))
        check_register(MOP_MOVF_MR, src, 1)
        return encode_memory(b, MOP_MOVF_MR, 8, src, cython.address(mem))
    if src >= 32 or dst >= 32:
        refuse(MOP_MOV_RR, b"move between unknown places", src)
    if src < 16 and dst < 16:
        return put_mov(b, MOP_MOV_RR, dst, src, cython.NULL)
    if src >= 16 and dst >= 16:
        return encode_plain(b, MOP_MOVF_RR, 8, dst, src)
    if src < 16:
        return encode_plain(b, MOP_MOVG2X_RR, 8, dst, src)
    return encode_plain(b, MOP_MOVX2G_RR, 8, src, dst)
