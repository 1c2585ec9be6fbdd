"""Machine IR from rows: operands with the roles and constraints of the table, and addresses."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.machine.minst import (
    C_FIXED,
    C_REG,
    C_SAME,
    MI_EFFECT,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    NO_VREG,
    OF_SWAP,
    R_USE,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    ENC_F_COMMUTES,
    ENC_F_EFFECT,
    ENC_F_FLAGS_DEF,
    ENC_F_FLAGS_USE,
    ENC_ROWS,
    MOP_END,
    EncRow,
)
from cython.cimports.stratavm.targets.x64.encoder import refuse

RowPtr = cython.typedef(cython.pointer(cython.const[EncRow]))


def row_inst(m, mop, width, values):
    """Append an instruction of a row with its operands, ``ROW_OPERANDS`` of which are given (the row says how many
    count); the address, cc and imm follow."""
    if mop == 0 or mop >= MOP_END:
        refuse(mop, b"no such row", mop)
    row: RowPtr = cython.address(ENC_ROWS[mop])
    flags: uint32_t = 0
    if row.flags & ENC_F_EFFECT:
        flags |= MI_EFFECT
    if row.flags & ENC_F_FLAGS_DEF:
        flags |= MI_FLAGS_DEF
    if row.flags & ENC_F_FLAGS_USE:
        flags |= MI_FLAGS_USE
    if row.nops > ROW_OPERANDS:
        refuse(mop, b"more operands than are given", row.nops)
    n: uint32_t = m.inst(mop, width, flags)
    i: uint32_t
    for i in range(row.nops):
        if values[i] >= m.n_vregs:
            refuse(mop, b"operand is no virtual register", i)
        m.operand(values[i], row.operands[i].role, row.operands[i].constraint, row.operands[i].reg)
    if row.flags & ENC_F_COMMUTES and row.operands[0].constraint == C_SAME:
        m.operands[m.insts[n].ops].flags |= OF_SWAP
    return n


def row_address(m, base, index, scale, disp):
    """Add the address to the newest instruction; ``index`` NO_VREG for none."""
    m.operand(base, R_USE, C_REG, 0)
    m.insts[m.n_insts - 1].disp = disp
    if index != NO_VREG:
        m.operand(index, R_USE, C_REG, 0)
        m.insts[m.n_insts - 1].scale = scale
    return 0


def row_address_reg(m, reg, index, scale, disp):
    """The same with a physical base register that is not allocated (rsp, rbp, r14, r15, rip)."""
    m.operand(NO_VREG, R_USE, C_FIXED, reg)
    m.insts[m.n_insts - 1].disp = disp
    if index != NO_VREG:
        m.operand(index, R_USE, C_REG, 0)
        m.insts[m.n_insts - 1].scale = scale
    return 0
