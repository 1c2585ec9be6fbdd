"""Instructions by hand for the emitter: one function for each form of operands, and jumps to labels."""

# strata: hot
import cython
from cython.cimports.stratavm.contract._gen_layout import FUNCREC_CODE, FUNCREC_TYPE_ID, FUNCREC_VMCTX
from cython.cimports.stratavm.machine.codebuf import FIX_LABEL, put8
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    CC_AE,
    CC_E,
    CC_NE,
    MOP_CMOVCC_RM,
    MOP_CMOVCC_RR,
    MOP_CMP_MI,
    MOP_CMP_RM,
    MOP_CMP_RR,
    MOP_LEA_RM,
    MOP_MOV_MR,
    MOP_MOV_RM,
    MOP_MOVX2G_RR,
    MOP_SETCC_R,
    MOP_TEST_RR,
    R10,
    R11,
    R12,
    R14,
    RBX,
)
from cython.cimports.stratavm.targets.x64.encoder import (
    MAX_INST_BYTES,
    Form,
    Mem,
    based,
    encode,
    encode_memory,
    encode_plain,
    form,
    indexed,
    put_mov,
    refuse,
)


def emit_rr(b, mop, width, dst, src):
    """Register forms ``_rr``, in the order of the assembler's destination and source."""
    if mop == MOP_MOVX2G_RR:
        return encode_plain(b, mop, width, src, dst)
    return encode_plain(b, mop, width, dst, src)


def emit_ri(b, mop, width, reg, imm):
    """Register and immediate."""
    o: Form = form(width, 0, reg)
    o.imm = imm
    return encode(b, mop, cython.address(o))


def emit_cmov(b, cc, width, dst, src):
    """A move on a condition."""
    o: Form = form(width, dst, src)
    o.cc = cc
    return encode(b, MOP_CMOVCC_RR, cython.address(o))


def emit_setcc(b, cc, dst):
    """A condition into the lowest byte of a register."""
    o: Form = form(1, 0, dst)
    o.cc = cc
    return encode(b, MOP_SETCC_R, cython.address(o))


def emit_r(b, mop, reg):
    """One 64-bit register."""
    return encode_plain(b, mop, 8, 0, reg)


def emit_0(b, mop):
    """No operand."""
    return encode_plain(b, mop, 8, 0, 0)


def emit_rm(b, mop, width, reg, mem):
    """A register with memory: loads and stores, whichever the row is."""
    if width == 8 and (mop == MOP_MOV_RM or mop == MOP_MOV_MR):
        return put_mov(b, mop, reg & 15, 0, cython.address(mem))
    return encode_memory(b, mop, width, reg, cython.address(mem))


def emit_mi(b, mop, width, mem, imm):
    """Memory with an immediate."""
    o: Form = form(width, 0, 0)
    o.mem = cython.address(mem)
    o.imm = imm
    return encode(b, mop, cython.address(o))


def emit_m(b, mop, base, disp):
    """``[base + disp]`` alone, 64 bits."""
    return emit_mi(b, mop, 8, based(base, disp), 0)


def emit_jmp(b, label):
    """Jump to a label: five bytes, or two where it is near."""
    b.reserve(MAX_INST_BYTES)
    put8(b, 0xE9)
    return b.jump(label, 5, 0xEB)


def emit_jcc(b, cc, label):
    """Jump to a label on a condition: six bytes, or two where it is near."""
    b.reserve(MAX_INST_BYTES)
    put8(b, 0x0F)
    put8(b, 0x80 | cc & 15)
    return b.jump(label, 6, 0x70 | cc & 15)


def emit_lea_label(b, reg, label):
    """Load the address of a label."""
    if reg >= 16:
        refuse(MOP_LEA_RM, b"operand is not in a register of its class", reg)
    b.reserve(MAX_INST_BYTES)
    put8(b, 0x48 | reg >> 3 << 2)
    put8(b, 0x8D)
    put8(b, (reg & 7) << 3 | 5)
    return b.rel32(label, FIX_LABEL, 0)


def emit_callee(b, maybe_common):
    """Context and code of the FuncRec in r11. In one that may be common a context of 0 is the caller's, which stays."""
    o: Form
    context: Mem = based(R11, FUNCREC_VMCTX)
    if maybe_common:
        emit_mi(b, MOP_CMP_MI, 8, context, 0)
        o = form(8, R14, 0)
        o.mem = cython.address(context)
        o.cc = CC_NE
        encode(b, MOP_CMOVCC_RM, cython.address(o))
    else:
        emit_rm(b, MOP_MOV_RM, 8, R14, context)
    return emit_rm(b, MOP_MOV_RM, 8, R11, based(R11, FUNCREC_CODE))


def emit_below(b, found):
    """Go up from the type of the FuncRec in r11 and jump to ``found`` where the one is above whose id is in ebx; go on
    behind where none is. r10 has the ids of the module's types, and r12 is free.

    What has an id of its own, or one that came after the array was made, has nothing above it.
    """
    again: uint32_t = b.label()
    none: uint32_t = b.label()
    emit_rm(b, MOP_MOV_RM, 8, R10, based(R10, -8))
    emit_rm(b, MOP_MOV_RM, 8, R10, based(R10, 0))
    emit_rm(b, MOP_MOV_RM, 4, R12, based(R11, FUNCREC_TYPE_ID))
    b.bind(again)
    emit_rm(b, MOP_CMP_RM, 4, R12, based(R10, -4))
    emit_jcc(b, CC_AE, none)
    emit_rm(b, MOP_MOV_RM, 4, R12, indexed(R10, R12, 2))
    emit_rr(b, MOP_CMP_RR, 4, R12, RBX)
    emit_jcc(b, CC_E, found)
    emit_rr(b, MOP_TEST_RR, 4, R12, R12)
    emit_jcc(b, CC_NE, again)
    return b.bind(none)
