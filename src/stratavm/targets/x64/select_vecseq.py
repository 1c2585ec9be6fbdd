"""Selection of vector operations that are sequences of instructions; what rows of vectors are appended with."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OP_I8X16_MIN_U,
    OP_I8X16_SHR_U,
    OP_I8X16_SUB_SAT_U,
    OP_I16X8_EXTADD_PAIRWISE_I8X16_U,
    OP_I16X8_EXTEND_HIGH_I8X16_U,
    OP_I16X8_EXTEND_LOW_I8X16_U,
    OP_I16X8_SHR_U,
    OP_V128_AND,
    OP_V128_ANDNOT,
    OP_V128_BITSELECT,
    OP_V128_NOT,
    OP_V128_OR,
    OP_V128_XOR,
)
from cython.cimports.stratavm.ir.ssa import IR_CONST_V128, T_I32, T_V128, Node
from cython.cimports.stratavm.machine.minst import C_REG, MI_HOME, MI_REMAT, NO_VREG, R_DEF
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    MOP_ADD_RI,
    MOP_ADDPD_RM,
    MOP_ADDPS_RR,
    MOP_AND_RI,
    MOP_ANDNPD_RR,
    MOP_ANDNPS_RR,
    MOP_ANDPD_RM,
    MOP_ANDPS_RM,
    MOP_ANDPS_RR,
    MOP_CMPPD_RRI,
    MOP_CMPPS_RRI,
    MOP_CVTTPD2DQ_RR,
    MOP_CVTTPS2DQ_RR,
    MOP_MAXPD_RR,
    MOP_MAXPS_RR,
    MOP_MINPD_RM,
    MOP_MINPD_RR,
    MOP_MOVAPS_RM,
    MOP_MOVAPS_RR,
    MOP_MOVG2X_RR,
    MOP_ORPD_RR,
    MOP_ORPS_RR,
    MOP_PACKSSWB_RR,
    MOP_PADDB_RR,
    MOP_PADDD_RM,
    MOP_PADDD_RR,
    MOP_PADDQ_RR,
    MOP_PADDUSB_RM,
    MOP_PAND_RM,
    MOP_PAND_RR,
    MOP_PANDN_RR,
    MOP_PBLENDW_RMI,
    MOP_PBLENDW_RRI,
    MOP_PCMPEQB_RR,
    MOP_PCMPEQD_RR,
    MOP_PCMPEQQ_RR,
    MOP_PCMPEQW_RM,
    MOP_PCMPEQW_RR,
    MOP_PCMPGTB_RR,
    MOP_PCMPGTD_RR,
    MOP_PCMPGTQ_RR,
    MOP_PCMPGTW_RR,
    MOP_PMADDUBSW_RM,
    MOP_PMADDUBSW_RR,
    MOP_PMADDWD_RM,
    MOP_PMAXSD_RR,
    MOP_PMULHRSW_RR,
    MOP_PMULLW_RR,
    MOP_PMULUDQ_RR,
    MOP_PSHUFB_RR,
    MOP_PSHUFD_RRI,
    MOP_PSLLQ_RI,
    MOP_PSLLW_RR,
    MOP_PSRAD_RI,
    MOP_PSRAW_RR,
    MOP_PSRLD_RI,
    MOP_PSRLQ_RI,
    MOP_PSRLQ_RR,
    MOP_PSRLW_RI,
    MOP_PSUBB_RM,
    MOP_PSUBQ_RR,
    MOP_PUNPCKHBW_RR,
    MOP_PUNPCKLBW_RR,
    MOP_PXOR_RM,
    MOP_PXOR_RR,
    MOP_ROUNDPD_RRI,
    MOP_SHUFPS_RRI,
    MOP_SUBPD_RM,
    MOP_SUBPS_RM,
    MOP_UNPCKLPS_RM,
    RIP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_EXTRA,
    RULE_ROW,
    RULE_ROW2,
    RULE_ROW3,
    RULE_SHAPE,
    S_V_ABS64,
    S_V_BITSELECT,
    S_V_CONVERT_LOW_U,
    S_V_CONVERT_U,
    S_V_DOT_ADD,
    S_V_EXTMUL16,
    S_V_EXTMUL32,
    S_V_EXTMUL64,
    S_V_FCOMPARE,
    S_V_HIGH,
    S_V_HIGH_U,
    S_V_MADD,
    S_V_MINMAX,
    S_V_MUL64,
    S_V_NEG,
    S_V_NOT,
    S_V_ORDER,
    S_V_PAIRS8,
    S_V_PAIRS16,
    S_V_POPCNT,
    S_V_Q15,
    S_V_SIGN,
    S_V_SWIZZLE,
    S_V_TRUNC_S,
    S_V_TRUNC_U,
    S_V_TRUNC_ZERO_S,
    S_V_TRUNC_ZERO_U,
    S_V_TWO,
)
from cython.cimports.stratavm.targets.x64.pseudo import P_ZERO
from cython.cimports.stratavm.targets.x64.rows import row_address_reg
from cython.cimports.stratavm.targets.x64.select_base import is_const

ONES = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
BYTES = cython.declare(uint64_t, 0x0101010101010101)
"""Times a byte: that byte in each lane. The same for lanes of two and four bytes:"""
WORDS = cython.declare(uint64_t, 0x0001000100010001)
DWORDS = cython.declare(uint64_t, 0x0000000100000001)
BIT_COUNTS_LOW = cython.declare(uint64_t, 0x0302020102010100)
BIT_COUNTS_HIGH = cython.declare(uint64_t, 0x0403030203020201)
"""How many bits are set in 0 to 15, by byte."""
F32_2_31 = cython.declare(uint64_t, 0x4F000000)
F64_2_52 = cython.declare(uint64_t, 0x4330000000000000)
F64_MOST_I32 = cython.declare(uint64_t, 0x41DFFFFFFFC00000)
F64_MOST_U32 = cython.declare(uint64_t, 0x41EFFFFFFFE00000)
F32_2_23 = cython.declare(uint64_t, 0x4B000000)
F32_2_39 = cython.declare(uint64_t, 0x53000000)
F32_2_39_2_23 = cython.declare(uint64_t, 0x53000080)
EQUAL = cython.declare(uint32_t, 0)  # predicates of cmpps
DEPTH = cython.declare(uint32_t, 6)
"""How many operations deep a vector's bytes are looked into."""
LESS_EQUAL = cython.declare(uint32_t, 2)
UNORDERED = cython.declare(uint32_t, 3)
UPPER_HALF = cython.declare(uint32_t, 0xEE)  # of pshufd: the upper eight bytes, twice
ODD_LANES = cython.declare(uint32_t, 0xF5)  # of pshufd: lanes 1, 1, 3, 3
ODD_WORD_PAIRS = cython.declare(uint32_t, 0xCC)  # of pblendw: lanes 1 and 3 of four
ODD_WORDS = cython.declare(uint32_t, 0xAA)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def filled(most: uint32_t) -> uint32_t:
    """All bits up to the highest that a byte has."""
    most |= most >> 1
    most |= most >> 2
    return most | most >> 4


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def byte_of(low: uint64_t, high: uint64_t, greatest: cython.bint) -> uint32_t:
    """The greatest byte of two words, or the least."""
    i: uint32_t
    byte: uint32_t
    found: uint32_t = low & 0xFF
    for i in range(16):
        byte = (low if i < 8 else high) >> 8 * (i & 7) & 0xFF
        if byte > found if greatest else byte < found:
            found = byte
    return found


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def lane_of(mop: uint32_t) -> uint32_t:
    """Bytes of the lanes that an instruction compares; 0 if it does something else."""
    if mop == MOP_PCMPEQB_RR or mop == MOP_PCMPGTB_RR:
        return 1
    if mop == MOP_PCMPEQW_RR or mop == MOP_PCMPGTW_RR:
        return 2
    if mop == MOP_PCMPEQD_RR or mop == MOP_PCMPGTD_RR or mop == MOP_CMPPS_RRI:
        return 4
    return 8 if mop == MOP_PCMPEQQ_RR or mop == MOP_PCMPGTQ_RR or mop == MOP_CMPPD_RRI else 0


@cython.cclass
class VectorSequences(NumericSelector):
    """Appends rows of vectors; selects what takes several."""

    # ---- appending: each returns the register of the result ------------------------------------

    def finish(self, n, v):
        """A node's value is in this register."""
        if self.vregs[n] == NO_VREG:
            self.vregs[n] = v
            return 0
        return self.row(MOP_MOVAPS_RR, 16, self.vregs[n], v, NO_VREG)

    def zero(self):
        """All bits clear."""
        v: uint32_t = self.fresh(T_V128)
        self.pseudo(P_ZERO, 16, 0)
        self.m.operand(v, R_DEF, C_REG, 0)
        self.repeatable(MI_REMAT)
        return v

    def words(self, low, high):
        """A constant of two words."""
        v: uint32_t = self.fresh(T_V128)
        self.row(MOP_MOVAPS_RM, 16, v, NO_VREG, NO_VREG)
        row_address_reg(self.m, RIP, NO_VREG, 0, self.m.constant16(low, high))
        self.repeatable(MI_REMAT | MI_HOME)
        return v

    def two(self, mop, left, right):
        """A row of two inputs; ``right`` is NO_VREG where it has one."""
        v: uint32_t = self.fresh(T_V128)
        self.row(mop, 16, v, left, right)
        return v

    def by(self, mop, left, imm):
        """A row of one input and an immediate."""
        v: uint32_t = self.two(mop, left, NO_VREG)
        self.m.last().imm = imm
        return v

    def mix(self, mop, left, right, imm):
        """A row of two inputs and an immediate."""
        v: uint32_t = self.two(mop, left, right)
        self.m.last().imm = imm
        return v

    def with_words(self, mop, left, low, high):
        """A row whose right input is a constant in memory."""
        v: uint32_t = self.two(mop, left, NO_VREG)
        row_address_reg(self.m, RIP, NO_VREG, 0, self.m.constant16(low, high))
        return v

    def inverted(self, v):
        """All bits turned round."""
        return self.with_words(MOP_PXOR_RM, v, ONES, ONES)

    def count(self, node, bits, more):
        """The count of a shift of lanes of so many bits, as shifts by a register want it, plus a number."""
        v: uint32_t = self.fresh(T_I32)
        self.row(MOP_AND_RI, 4, v, self.value(node), NO_VREG)
        self.m.last().imm = bits - 1
        if more:
            sum: uint32_t = self.fresh(T_I32)
            self.row(MOP_ADD_RI, 4, sum, v, NO_VREG)
            self.m.last().imm = more
            v = sum
        result: uint32_t = self.fresh(T_V128)
        self.row(MOP_MOVG2X_RR, 4, result, v, NO_VREG)
        return result

    # ---- which sequence ------------------------------------------------------------------------

    def integers(self, n, shape):
        """Select one node of these; false if its shape belongs to another."""
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        v: uint32_t
        if shape == S_V_NEG:
            v = self.value(a)
            v = self.two(RULE_ROW[self.ssa.nodes[n].op], self.zero(), v)
        elif shape == S_V_NOT:
            v = self.inverted(self.value(a))
        elif shape == S_V_BITSELECT:
            v = self.bitselect(n)
        elif shape == S_V_SWIZZLE:
            v = self.value(a)
            v = self.two(MOP_PSHUFB_RR, v, self.value(b) if self.in_table(b) else self.beyond(self.value(b)))
        elif shape == S_V_POPCNT:
            v = self.popcnt(self.value(a))
        elif shape == S_V_ABS64:
            v = self.abs64(self.value(a))
        elif shape == S_V_MUL64:
            v = self.value(a)
            v = self.mul64(v, self.value(b))
        elif shape == S_V_Q15:
            v = self.value(a)
            v = self.two(MOP_PMULHRSW_RR, v, self.value(b))
            v = self.two(MOP_PXOR_RR, v, self.with_words(MOP_PCMPEQW_RM, v, WORDS << 15, WORDS << 15))
        else:
            return False
        self.finish(n, v)
        return True

    def widening(self, n, shape):
        """The same of what makes lanes wider."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t = self.value(self.ssa.nodes[n].a)
        mop: uint32_t = RULE_ROW[op]
        unsigned: cython.bint
        if shape == S_V_HIGH:
            a = self.two(mop, self.by(MOP_PSHUFD_RRI, a, UPPER_HALF), NO_VREG)
        elif shape == S_V_HIGH_U:
            a = self.two(mop, a, self.zero())
        elif shape == S_V_PAIRS8:
            if RULE_EXTRA[op]:
                a = self.with_words(MOP_PMADDUBSW_RM, a, BYTES, BYTES)
            else:
                a = self.two(MOP_PMADDUBSW_RR, self.words(BYTES, BYTES), a)
        elif shape == S_V_PAIRS16:
            unsigned = RULE_EXTRA[op] != 0 and not self.small_words(self.ssa.nodes[n].a)
            if unsigned:  # as signed, each 2**15 too low
                a = self.with_words(MOP_PXOR_RM, a, WORDS << 15, WORDS << 15)
            a = self.with_words(MOP_PMADDWD_RM, a, WORDS, WORDS)
            if unsigned:
                a = self.with_words(MOP_PADDD_RM, a, DWORDS << 16, DWORDS << 16)
        elif shape == S_V_EXTMUL16 or shape == S_V_EXTMUL32 or shape == S_V_EXTMUL64:
            a = self.wide_product(op, shape, a, self.value(self.ssa.nodes[n].b))
        elif shape == S_V_DOT_ADD:
            a = self.two(MOP_PMADDUBSW_RR, self.value(self.ssa.nodes[n].b), a)
            a = self.with_words(MOP_PMADDWD_RM, a, WORDS, WORDS)
            a = self.two(MOP_PADDD_RR, a, self.value(self.ssa.nodes[n].c))
        else:
            return False
        self.finish(n, a)
        return True

    def floats(self, n, shape):
        """The same of floats and conversions."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t = self.value(self.ssa.nodes[n].a)
        if shape == S_V_SIGN:
            a = self.sign(op, a)
        elif shape == S_V_MINMAX:
            a = self.minmax(op, a, self.value(self.ssa.nodes[n].b))
        elif shape == S_V_MADD:
            a = self.two(RULE_ROW[op], a, self.value(self.ssa.nodes[n].b))
            if RULE_EXTRA[op]:
                a = self.two(RULE_ROW2[op], self.value(self.ssa.nodes[n].c), a)
            else:
                a = self.two(RULE_ROW2[op], a, self.value(self.ssa.nodes[n].c))
        elif shape == S_V_CONVERT_U:
            a = self.from_unsigned(a)
        elif shape == S_V_CONVERT_LOW_U:  # each is the low half of 2**52 plus itself
            a = self.with_words(MOP_UNPCKLPS_RM, a, DWORDS * (F64_2_52 >> 32), DWORDS * (F64_2_52 >> 32))
            a = self.with_words(MOP_SUBPD_RM, a, F64_2_52, F64_2_52)
        elif shape == S_V_TRUNC_S:
            a = self.to_signed(a)
        elif shape == S_V_TRUNC_U:
            a = self.to_unsigned(a)
        elif shape == S_V_TRUNC_ZERO_S:
            a = self.low_to_signed(a)
        elif shape == S_V_TRUNC_ZERO_U:
            a = self.low_to_unsigned(a)
        else:
            return False
        self.finish(n, a)
        return True

    # ---- integers ------------------------------------------------------------------------------

    def beyond(self, v):
        """Indices as pshufb wants them: from 16 on with the highest bit set."""
        return self.with_words(MOP_PADDUSB_RM, v, BYTES * 0x70, BYTES * 0x70)

    def in_table(self, node):
        """Whether no byte of a vector is from 16 to 127, as its operation says: a look-up needs no more."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if at.op == OP_I8X16_SHR_U:
            return is_const(self.ssa, at.b) and self.const_bits(at.b) & 7 >= 4
        if at.op == OP_V128_AND and (self.below_16(at.a) or self.below_16(at.b)):
            return True
        return self.most(node, DEPTH) < 16

    def below_16(self, node):
        """Whether a vector is a constant of such bytes."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if at.op != IR_CONST_V128:
            return False
        return (self.ssa.constants[at.a] | self.ssa.constants[at.a + 1]) & (BYTES * 0x70) == 0

    def most(self, node, depth):
        """The greatest that a byte of a vector can be, as the operations say that make it."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        a: uint32_t
        b: uint32_t
        if at.op == IR_CONST_V128:
            return byte_of(self.ssa.constants[at.a], self.ssa.constants[at.a + 1], True)
        if depth == 0 or at.op >= N_OPS:
            return 255
        if at.op == OP_I8X16_SHR_U:
            return self.most(at.a, depth - 1) >> (self.const_bits(at.b) & 7) if is_const(self.ssa, at.b) else 255
        if at.op == OP_I8X16_SUB_SAT_U:
            a = self.most(at.a, depth - 1)
            b = self.least(at.b)
            return a - b if a > b else 0
        if at.op == OP_V128_ANDNOT:
            return filled(self.most(at.a, depth - 1))
        if at.op == OP_V128_AND or at.op == OP_I8X16_MIN_U:
            a = self.most(at.a, depth - 1)
            b = self.most(at.b, depth - 1)
            return a if a < b else b
        if at.op == OP_V128_OR or at.op == OP_V128_XOR or at.op == OP_V128_BITSELECT:
            return filled(self.most(at.a, depth - 1) | self.most(at.b, depth - 1))
        return 255

    def least(self, node):
        """The least byte of a constant."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        return byte_of(self.ssa.constants[at.a], self.ssa.constants[at.a + 1], False) if at.op == IR_CONST_V128 else 0

    def small_words(self, node):
        """Whether no lane of two bytes is negative, as its operation says."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if at.op == OP_I16X8_SHR_U:
            return is_const(self.ssa, at.b) and self.const_bits(at.b) & 15 != 0
        return (
            at.op == OP_I16X8_EXTADD_PAIRWISE_I8X16_U
            or at.op == OP_I16X8_EXTEND_LOW_I8X16_U
            or at.op == OP_I16X8_EXTEND_HIGH_I8X16_U
        )

    def mask_lane(self, node, depth):
        """Bytes of the lanes that are all ones or all zeros, as a comparison leaves them; 0 where that is not known."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        shape: uint32_t
        a: uint32_t
        b: uint32_t
        if at.op >= N_OPS or depth == 0:
            return 0
        if at.op == OP_V128_NOT:
            return self.mask_lane(at.a, depth - 1)
        if at.op == OP_V128_AND or at.op == OP_V128_OR or at.op == OP_V128_XOR or at.op == OP_V128_ANDNOT:
            a = self.mask_lane(at.a, depth - 1)
            b = self.mask_lane(at.b, depth - 1) if a else 0
            return a if a < b else b
        shape = RULE_SHAPE[at.op]
        if shape == S_V_ORDER:
            return lane_of(RULE_ROW2[at.op])
        return lane_of(RULE_ROW[at.op]) if shape == S_V_TWO or shape == S_V_FCOMPARE else 0

    def bitselect(self, n):
        """Bits of the first input where the third has ones, of the second elsewhere."""
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        mask: uint32_t = self.value(self.ssa.nodes[n].c)
        if self.is_zero(b):
            return self.two(MOP_PAND_RR, mask, self.value(a))
        if self.is_zero(a):
            return self.two(MOP_PANDN_RR, mask, self.value(b))
        a = self.value(a)
        b = self.value(b)
        mask = self.two(MOP_PAND_RR, self.two(MOP_PXOR_RR, a, b), mask)
        return self.two(MOP_PXOR_RR, mask, b)

    def is_zero(self, node):
        """Whether a vector is the constant without bits."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        return at.op == IR_CONST_V128 and (self.ssa.constants[at.a] | self.ssa.constants[at.a + 1]) == 0

    def popcnt(self, v):
        """Bits of each byte: those of its halves are looked up."""
        table: uint32_t = self.words(BIT_COUNTS_LOW, BIT_COUNTS_HIGH)
        low: uint32_t = self.with_words(MOP_PAND_RM, v, BYTES * 15, BYTES * 15)
        high: uint32_t = self.with_words(MOP_PAND_RM, self.by(MOP_PSRLW_RI, v, 4), BYTES * 15, BYTES * 15)
        low = self.two(MOP_PSHUFB_RR, table, low)
        return self.two(MOP_PADDB_RR, low, self.two(MOP_PSHUFB_RR, table, high))

    def abs64(self, v):
        """Turned round and less minus one where negative."""
        mask: uint32_t = self.two(MOP_PCMPGTQ_RR, self.zero(), v)
        return self.two(MOP_PSUBQ_RR, self.two(MOP_PXOR_RR, v, mask), mask)

    def mul64(self, a, b):
        """The product of the low halves, and above it those of each high half with the other low one."""
        cross: uint32_t = self.two(MOP_PMULUDQ_RR, self.by(MOP_PSRLQ_RI, a, 32), b)
        other: uint32_t = self.two(MOP_PMULUDQ_RR, self.by(MOP_PSRLQ_RI, b, 32), a)
        cross = self.by(MOP_PSLLQ_RI, self.two(MOP_PADDQ_RR, cross, other), 32)
        return self.two(MOP_PADDQ_RR, cross, self.two(MOP_PMULUDQ_RR, a, b))

    def wide_product(self, op, shape, a, b):
        """Products of twice the width, of one half of the lanes."""
        mop: uint32_t = RULE_ROW[op]
        if shape == S_V_EXTMUL64:
            a = self.by(MOP_PSHUFD_RRI, a, RULE_EXTRA[op])
            return self.two(mop, a, self.by(MOP_PSHUFD_RRI, b, RULE_EXTRA[op]))
        if shape == S_V_EXTMUL32:  # low and high halves of all products, interleaved
            low: uint32_t = self.two(MOP_PMULLW_RR, a, b)
            return self.two(RULE_ROW2[op], low, self.two(mop, a, b))
        if mop == MOP_PUNPCKHBW_RR:
            zero: uint32_t = self.zero()
            return self.two(MOP_PMULLW_RR, self.two(mop, a, zero), self.two(mop, b, zero))
        if RULE_EXTRA[op]:
            a = self.by(MOP_PSHUFD_RRI, a, UPPER_HALF)
            b = self.by(MOP_PSHUFD_RRI, b, UPPER_HALF)
        return self.two(MOP_PMULLW_RR, self.two(mop, a, NO_VREG), self.two(mop, b, NO_VREG))

    # ---- shifts that no instruction does -------------------------------------------------------

    def shift8(self, n):
        """Bytes shifted left, or right without sign: as words, less what came over from the neighbour."""
        op: uint32_t = self.ssa.nodes[n].op
        node: uint32_t = self.ssa.nodes[n].b
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        left: cython.bint = RULE_ROW[op] == MOP_PSLLW_RR
        by: uint32_t
        mask: uint32_t
        if is_const(self.ssa, node):
            by = self.const_bits(node) & 7
            if by == 0:
                return v
            if left and by == 1:
                return self.two(MOP_PADDB_RR, v, v)
            mask = (0xFF << by) & 0xFF if left else 0xFF >> by
            return self.with_words(MOP_PAND_RM, self.by(RULE_ROW2[op], v, by), BYTES * mask, BYTES * mask)
        by = self.count(node, 8, 0)
        mask = self.two(RULE_ROW[op], self.words(ONES, ONES), by)
        if not left:
            mask = self.by(MOP_PSRLW_RI, mask, 8)
        mask = self.two(MOP_PSHUFB_RR, mask, self.zero())  # its lowest byte in all
        return self.two(MOP_PAND_RR, self.two(RULE_ROW[op], v, by), mask)

    def sar8(self, n):
        """Bytes shifted right with sign."""
        node: uint32_t = self.ssa.nodes[n].b
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        by: uint32_t
        sign: uint64_t
        if is_const(self.ssa, node):
            by = self.const_bits(node) & 7
            if by == 0:
                return v
            if by == 7:
                return self.two(MOP_PCMPGTB_RR, self.zero(), v)
            v = self.with_words(MOP_PAND_RM, self.by(MOP_PSRLW_RI, v, by), BYTES * (0xFF >> by), BYTES * (0xFF >> by))
            sign = BYTES * (0x80 >> by)  # where the sign went: the bits above become it
            return self.with_words(MOP_PSUBB_RM, self.with_words(MOP_PXOR_RM, v, sign, sign), sign, sign)
        by = self.count(node, 8, 8)
        low: uint32_t = self.two(MOP_PSRAW_RR, self.two(MOP_PUNPCKLBW_RR, v, v), by)
        return self.two(MOP_PACKSSWB_RR, low, self.two(MOP_PSRAW_RR, self.two(MOP_PUNPCKHBW_RR, v, v), by))

    def sar64(self, n):
        """Lanes of 64 bits shifted right with sign."""
        node: uint32_t = self.ssa.nodes[n].b
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        by: uint32_t
        low: uint32_t
        if not is_const(self.ssa, node):
            by = self.count(node, 64, 0)
            sign: uint32_t = self.two(
                MOP_PSRLQ_RR, self.words(cython.cast(uint64_t, 1) << 63, cython.cast(uint64_t, 1) << 63), by
            )
            v = self.two(MOP_PXOR_RR, self.two(MOP_PSRLQ_RR, v, by), sign)
            return self.two(MOP_PSUBQ_RR, v, sign)
        by = self.const_bits(node) & 63
        if by == 0:
            return v
        if by == 63:
            return self.two(MOP_PCMPGTQ_RR, self.zero(), v)
        if by < 32:
            low = self.by(MOP_PSRLQ_RI, v, by)
            return self.mix(MOP_PBLENDW_RRI, low, self.by(MOP_PSRAD_RI, v, by), ODD_WORD_PAIRS)
        low = self.by(MOP_PSRAD_RI, v, by - 32) if by > 32 else v
        low = self.by(MOP_PSHUFD_RRI, low, ODD_LANES)
        return self.mix(MOP_PBLENDW_RRI, low, self.by(MOP_PSRAD_RI, v, 31), ODD_WORD_PAIRS)

    # ---- floats --------------------------------------------------------------------------------

    def sign(self, op, v):
        """Signs cleared or turned round."""
        mask: uint64_t = DWORDS << 31 if RULE_EXTRA[op] == 32 else cython.cast(uint64_t, 1) << 63
        if RULE_ROW[op] == MOP_ANDPS_RM or RULE_ROW[op] == MOP_ANDPD_RM:
            mask = ~mask
        return self.with_words(RULE_ROW[op], v, mask, mask)

    def minmax(self, op, a, b):
        """The instruction gives its second input where both are zeros or one is NaN. Both orders, merged, have the
        right zero; where one was NaN, all bits are set, then those of a NaN's payload cleared but for the first."""
        narrow: cython.bint = RULE_EXTRA[op] == 32
        v: uint32_t = self.two(RULE_ROW[op], a, b)
        v = self.two(RULE_ROW2[op], v, self.two(RULE_ROW[op], b, a))
        unordered: uint32_t = self.mix(MOP_CMPPS_RRI if narrow else MOP_CMPPD_RRI, a, b, UNORDERED)
        v = self.two(MOP_ORPS_RR if narrow else MOP_ORPD_RR, v, unordered)
        unordered = self.by(RULE_ROW3[op], unordered, 10 if narrow else 13)
        return self.two(MOP_ANDNPS_RR if narrow else MOP_ANDNPD_RR, unordered, v)

    def from_unsigned(self, v):
        """Halves of each lane in the mantissas of 2**23 and 2**39: their sum is rounded once."""
        low: uint32_t = self.with_words(MOP_PBLENDW_RMI, v, DWORDS * F32_2_23, DWORDS * F32_2_23)
        self.m.last().imm = ODD_WORDS
        high: uint32_t = self.with_words(
            MOP_PBLENDW_RMI, self.by(MOP_PSRLD_RI, v, 16), DWORDS * F32_2_39, DWORDS * F32_2_39
        )
        self.m.last().imm = ODD_WORDS
        high = self.with_words(MOP_SUBPS_RM, high, DWORDS * F32_2_39_2_23, DWORDS * F32_2_39_2_23)
        return self.two(MOP_ADDPS_RR, high, low)

    def to_signed(self, v):
        """NaN becomes zero first; what is too high gives 0x80000000, which is turned round."""
        v = self.two(MOP_ANDPS_RR, self.mix(MOP_CMPPS_RRI, v, v, EQUAL), v)
        high: uint32_t = self.mix(MOP_CMPPS_RRI, self.words(DWORDS * F32_2_31, DWORDS * F32_2_31), v, LESS_EQUAL)
        return self.two(MOP_PXOR_RR, self.two(MOP_CVTTPS2DQ_RR, v, NO_VREG), high)

    def to_unsigned(self, v):
        """At least zero; then the part below 2**31 (or 2**31) and what is above it, at most 2**31 - 1."""
        zero: uint32_t = self.zero()
        v = self.two(MOP_MAXPS_RR, v, zero)
        above: uint32_t = self.with_words(MOP_SUBPS_RM, v, DWORDS * F32_2_31, DWORDS * F32_2_31)
        high: uint32_t = self.mix(MOP_CMPPS_RRI, self.words(DWORDS * F32_2_31, DWORDS * F32_2_31), above, LESS_EQUAL)
        above = self.two(MOP_PXOR_RR, self.two(MOP_CVTTPS2DQ_RR, above, NO_VREG), high)
        above = self.two(MOP_PMAXSD_RR, above, zero)
        return self.two(MOP_PADDD_RR, self.two(MOP_CVTTPS2DQ_RR, v, NO_VREG), above)

    def low_to_signed(self, v):
        """The least of a lane and the most that fits, which is zero for NaN; what is too low gives 0x80000000."""
        most: uint32_t = self.mix(MOP_CMPPD_RRI, v, v, EQUAL)
        most = self.with_words(MOP_ANDPD_RM, most, F64_MOST_I32, F64_MOST_I32)
        return self.two(MOP_CVTTPD2DQ_RR, self.two(MOP_MINPD_RR, v, most), NO_VREG)

    def low_to_unsigned(self, v):
        """Brought into range and made whole, a lane is the low half of its sum with 2**52."""
        zero: uint32_t = self.zero()
        v = self.with_words(MOP_MINPD_RM, self.two(MOP_MAXPD_RR, v, zero), F64_MOST_U32, F64_MOST_U32)
        v = self.with_words(MOP_ADDPD_RM, self.by(MOP_ROUNDPD_RRI, v, 11), F64_2_52, F64_2_52)
        return self.mix(MOP_SHUFPS_RRI, v, zero, 0x88)
