"""Selection of arithmetic, comparisons and conversions: the code of each shape that ``rules_int`` and ``rules_float``
name.
"""

# strata: hot
import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.bits import bits_of, log2_exact
from cython.cimports.stratavm.base.failures import fail_wrong
from cython.cimports.stratavm.base.reciprocals import Reciprocal, reciprocal32, reciprocal64
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_CALLS,
    OF_LOAD,
    OF_STORE,
    OF_TRAP,
    OF_WRITES,
    OP_FLAGS,
    OP_I64_ADD,
    OP_I64_SUB,
)
from cython.cimports.stratavm.ir.ssa import IR_BR_IF, IR_FUEL, IR_POLL, NO_VALUE, T_I32, T_I64, Node
from cython.cimports.stratavm.machine.minst import (
    C_FIXED,
    C_REG,
    C_SAME,
    MI_EFFECT,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    MI_TRAPS,
    NO_VREG,
    R_DEF,
    R_TEMP,
    R_USE,
    R_USE_LATE,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    CPU_BMI1,
    CPU_BMI2,
    CPU_LZCNT,
    MOP_ADC_RR,
    MOP_ADD_RI,
    MOP_ADD_RM,
    MOP_ADD_RR,
    MOP_AND_RI,
    MOP_AND_RR,
    MOP_ANDN_RRR,
    MOP_BLSI_RR,
    MOP_BLSR_RR,
    MOP_CMOVCC_RR,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_CMP_RR,
    MOP_FADD_RM,
    MOP_FADD_RR,
    MOP_IMUL_R,
    MOP_IMUL_RM,
    MOP_IMUL_RR,
    MOP_IMUL_RRI,
    MOP_LEA_RM,
    MOP_LZCNT_RR,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVF_RM,
    MOP_MOVSXD_RR,
    MOP_MUL_R,
    MOP_SAR_RI,
    MOP_SBB_RR,
    MOP_SHL_RC,
    MOP_SHR_RC,
    MOP_SHR_RI,
    MOP_SUB_RR,
    MOP_TEST_MR,
    MOP_TEST_RI,
    MOP_TEST_RR,
    MOP_UCOMIS_RM,
    MOP_UCOMIS_RR,
    MOP_XOR_RR,
    RAX,
    RDX,
    RIP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_CC,
    RULE_EXTRA,
    RULE_ROW,
    RULE_ROW2,
    RULE_ROW3,
    RULE_SHAPE,
    RULE_WIDTH,
    S_ALU,
    S_CLZ,
    S_COMPARE,
    S_COPY32,
    S_DIVIDE,
    S_EQZ,
    S_FBIN,
    S_FBIT,
    S_FCOMPARE,
    S_FPSEUDO2,
    S_FROM_INT,
    S_FROUND,
    S_LOAD,
    S_MOVE,
    S_MUL,
    S_REF_IS_NULL,
    S_SELECT,
    S_SHIFT,
    S_TRUNC,
    S_UNARY,
)
from cython.cimports.stratavm.targets.x64.pseudo import (
    CC_A,
    CC_AE,
    CC_B,
    CC_BE,
    CC_E,
    CC_FEQ,
    CC_G,
    CC_GE,
    CC_L,
    CC_LE,
    CC_NE,
    CC_NP,
    CC_P,
    DIV_MINUS_ONE,
    DIV_REM,
    DIV_SIGNED,
    DIV_ZERO,
    P_COPYSIGN,
    P_DIVIDE,
    P_SELECT,
    P_SETCC,
    P_TRUNC,
    P_U64_TO_FLOAT,
    ROT_LEFT,
    TRUNC_64,
    TRUNC_SAT,
    TRUNC_UNSIGNED,
)
from cython.cimports.stratavm.targets.x64.rows import ROW_OPERANDS, row_address, row_address_reg, row_inst
from cython.cimports.stratavm.targets.x64.select_base import (
    NEAR,
    NODE_FOLDED,
    NODE_FUSED,
    NODE_LATE,
    NODE_SUM,
    class_of,
    is_const,
    width_of,
)

BOUND_F32_2_63 = cython.declare(uint64_t, 0x5F000000)
BOUND_F64_2_63 = cython.declare(uint64_t, 0x43E0000000000000)
BOUND_F32_MIN64 = cython.declare(uint64_t, 0xDF000000)
BOUND_F64_MIN64 = cython.declare(uint64_t, 0xC3E0000000000000)
BOUND_F32_MIN32 = cython.declare(uint64_t, 0xCF000000)
BOUND_F64_BELOW32 = cython.declare(uint64_t, 0xC1E0000000200000)
TWO_31 = cython.declare(uint64_t, 0x80000000)
MOST_SUMS = cython.declare(uint32_t, 8)
"""Users that a shift is part of, at most."""


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def mirrored(cc: uint32_t) -> uint32_t:
    """The condition that holds for (b, a) when ``cc`` holds for (a, b)."""
    if cc == CC_L:
        return CC_G
    if cc == CC_G:
        return CC_L
    if cc == CC_LE:
        return CC_GE
    if cc == CC_GE:
        return CC_LE
    if cc == CC_B:
        return CC_A
    if cc == CC_A:
        return CC_B
    if cc == CC_BE:
        return CC_AE
    if cc == CC_AE:
        return CC_BE
    return cc


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def trunc_bound(width: uint32_t, bits: uint32_t) -> uint64_t:
    """The float that a conversion's slow path compares with or subtracts, as bits.

    Signed: the least value in range (f64 to i32: the greatest below the range). Unsigned i64: 2**63. Unsigned i32:
    unused.
    """
    if bits & TRUNC_UNSIGNED:
        return BOUND_F32_2_63 if width == 4 else BOUND_F64_2_63
    if bits & TRUNC_64:
        return BOUND_F32_MIN64 if width == 4 else BOUND_F64_MIN64
    return BOUND_F32_MIN32 if width == 4 else BOUND_F64_BELOW32


@cython.cclass
class NumericSelector(BaseSelector):
    """Adds the numeric shapes."""

    def numeric(self, n, shape):
        """Select one node of these families; false if the shape belongs to another."""
        if shape == S_ALU:
            self.alu(n)
        elif shape == S_COMPARE or shape == S_EQZ or shape == S_FCOMPARE or shape == S_REF_IS_NULL:
            self.set_condition(n)
        elif shape == S_SHIFT:
            self.shift(n)
        elif shape == S_MUL:
            self.multiply(n)
        elif shape == S_SELECT:
            self.select(n)
        elif shape == S_COPY32:
            self.copy32(n)
        elif shape == S_UNARY or shape == S_MOVE or shape == S_FROUND:
            self.unary(n, RULE_ROW[self.ssa.nodes[n].op])
        elif shape == S_DIVIDE:
            self.divide(n)
        elif shape == S_CLZ:
            self.count_zeros(n)
        elif shape == S_FBIN or shape == S_FPSEUDO2 or shape == S_FBIT:
            self.float2(n, shape)
        elif shape == S_FROM_INT:
            self.from_int(n)
        elif shape == S_TRUNC:
            self.truncate(n)
        else:
            return False
        return True

    # ---- loads as memory operands --------------------------------------------------------------

    def fold_block(self, first, last):
        """Mark the loads of a block that their only user takes from memory.

        A load moves down to its user, so nothing in between may trap, write, call or poll: it must be the newest such
        node where its user is emitted. The user then takes its place.
        """
        barrier: uint32_t = NO_VREG
        width: uint32_t = 0  # what the newest of them reads, where it is a load that can move
        i: uint32_t
        op: uint32_t
        nodes: cython.pointer(Node) = self.ssa.nodes
        marks: cython.pointer(uint8_t) = self.marks
        for i in range(first, last):
            op = nodes[i].op
            if op >= N_OPS:
                if op == IR_POLL or op == IR_FUEL:
                    width = 0
                elif op == IR_BR_IF and width:
                    self.fold_condition(nodes[i].a, barrier, width)
            elif OP_FLAGS[op] & (OF_TRAP | OF_CALLS | OF_WRITES):
                barrier = i
                width = self.load_width(i)
                if self.leas and OP_FLAGS[op] & (OF_LOAD | OF_STORE) and self.scales(nodes[i].a, i, first):
                    self.scale_address(i)
            elif marks[i] & (NODE_FUSED | NODE_LATE) or self.uses[i] == 0:
                continue
            elif RULE_SHAPE[op] == S_SELECT:
                if width and self.fold_condition(nodes[i].c, barrier, width):
                    width = 0
            elif width and self.fold_operand(i, barrier, width):
                width = 0
            elif RULE_SHAPE[op] == S_ALU:
                if RULE_ROW[op] == MOP_ADD_RR:
                    if self.leas:
                        self.fold_shift(i, first)
                elif RULE_ROW[op] == MOP_AND_RR and self.tricks:
                    self.fold_trick(i, first)
        return 0

    def fold_condition(self, condition, barrier, width):
        """The same for a comparison that a branch or select makes into flags, where these stand."""
        if not self.marks[condition] & NODE_FUSED or self.uses[condition] > 1:
            return False
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[condition])
        if RULE_SHAPE[at.op] == S_EQZ and self.marks[at.a] & NODE_FUSED:
            condition = at.a
        return self.fold_operand(condition, barrier, width)

    def load_width(self, load):
        """Bytes of a load with one use that are a whole value, if loads can move; else 0."""
        op: uint32_t = self.ssa.nodes[load].op
        if not self.folding or RULE_SHAPE[op] != S_LOAD or self.uses[load] != 1 or RULE_EXTRA[op] != RULE_WIDTH[op]:
            return 0
        return RULE_WIDTH[op] if RULE_ROW[op] == MOP_MOV_RM or RULE_ROW[op] == MOP_MOVF_RM else 0

    def fold_operand(self, n, barrier, width):
        """Mark the load in ``barrier``, of so many bytes, if it can be the memory operand of ``n``."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        shape: uint32_t = RULE_SHAPE[at.op]
        right: uint32_t
        if (at.a != barrier and at.b != barrier) or RULE_WIDTH[at.op] != width:
            return False
        if shape == S_ALU or shape == S_MUL or shape == S_COMPARE:
            if (self.marks[at.a] | self.marks[at.b]) & NODE_FUSED:
                return False  # what stays in the flags: the instruction is another one
            if is_const(self.ssa, at.a) or is_const(self.ssa, at.b):
                return False  # the immediate takes the place
            right = at.b
            if at.a == barrier and RULE_ROW[at.op] != MOP_SUB_RR:
                right = at.a
        elif shape == S_FBIN or shape == S_FCOMPARE:  # operands stay in order: which NaN comes out depends on it
            right = at.a if shape == S_FCOMPARE and RULE_EXTRA[at.op] else at.b
        else:
            return False
        if right != barrier:
            return False
        self.marks[barrier] |= NODE_FOLDED
        return True

    def fold_shift(self, n, first):
        """Mark a left shift by 1, 2 or 3 all of whose users are additions like ``n``, or accesses: each does it."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        if is_const(self.ssa, at.a) or is_const(self.ssa, at.b) or (self.marks[at.a] | self.marks[at.b]) & NODE_FUSED:
            return False
        shifted: uint32_t = at.b if self.scales(at.b, n, first) else at.a
        if shifted == at.a and not self.scales(shifted, n, first):
            return False
        if self.uses[shifted] > 1 and self.uses[at.a] == 1 and self.scales(at.a, n, first):
            shifted = at.a
        return at.a != at.b and self.take_shift(shifted)

    def take_shift(self, shifted):
        """One more user of a shift can do it itself; where all can, it is not computed."""
        if self.uses[shifted] > MOST_SUMS:
            return False
        self.marks[shifted] += NODE_SUM
        if self.marks[shifted] // NODE_SUM == self.uses[shifted]:
            self.marks[shifted] |= NODE_FOLDED
        return True

    def scale_address(self, n):
        """The same for the address of an access: what knows memories overrides this."""
        return False

    def scales(self, shifted, n, first):
        """Whether an operand of ``n`` is a left shift by 1, 2 or 3 that stands before it in its block."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[shifted])
        if not first <= shifted < n or at.op >= N_OPS or RULE_SHAPE[at.op] != S_SHIFT or RULE_ROW[at.op] != MOP_SHL_RC:
            return False
        return is_const(self.ssa, at.b) and 1 <= self.const_bits(at.b) & (RULE_WIDTH[at.op] * 8 - 1) <= 3

    def is_inner(self, inner, n, first, shape):
        """Whether an operand of ``n`` has this shape, no other user, and stands before it in its block."""
        op: uint32_t = self.ssa.nodes[inner].op
        return first <= inner < n and op < N_OPS and self.uses[inner] == 1 and RULE_SHAPE[op] == shape

    def fold_trick(self, n, first):
        """Mark the inner operation of x & ~y, x & (x - 1) or x & -x, if nothing else uses it."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        if is_const(self.ssa, at.a) or is_const(self.ssa, at.b):
            return False
        k: uint32_t
        for k in range(2):
            inner: uint32_t = at.a if k else at.b
            other: uint32_t = at.b if k else at.a
            if self.is_inner(inner, n, first, S_ALU) and self.trick(inner, other):
                self.marks[inner] |= NODE_FOLDED
                return True
        return False

    def trick(self, inner, other):
        """The row for ``other & inner``, or 0."""
        s: cython.pointer(Node) = cython.address(self.ssa.nodes[inner])
        row: uint32_t = RULE_ROW[s.op]
        minus_one: uint64_t = ~cython.cast(uint64_t, 0) >> (64 - 8 * RULE_WIDTH[s.op])
        if row == MOP_XOR_RR and is_const(self.ssa, s.b) and self.const_bits(s.b) == minus_one:
            return MOP_ANDN_RRR
        if row == MOP_ADD_RR and is_const(self.ssa, s.b) and self.const_bits(s.b) == minus_one and s.a == other:
            return MOP_BLSR_RR
        if row == MOP_SUB_RR and is_const(self.ssa, s.b) and self.const_bits(s.b) == 1 and s.a == other:
            return MOP_BLSR_RR
        if row == MOP_SUB_RR and is_const(self.ssa, s.a) and self.const_bits(s.a) == 0 and s.b == other:
            return MOP_BLSI_RR
        return 0

    def tricked(self, n, inner, other):
        """``other & inner`` in one instruction."""
        mop: uint32_t = self.trick(inner, other)
        left: uint32_t = self.value(self.ssa.nodes[inner].a if mop == MOP_ANDN_RRR else other)
        right: uint32_t = self.value(other) if mop == MOP_ANDN_RRR else NO_VREG
        return self.row(mop, RULE_WIDTH[self.ssa.nodes[n].op], self.define(n), left, right)

    def scaled_sum(self, n, shifted, base):
        """An addition whose right operand is a folded shift."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[shifted])
        left: uint32_t = self.value(base)
        index: uint32_t = self.value(at.a)
        self.row(MOP_LEA_RM, RULE_WIDTH[at.op], self.define(n), NO_VREG, NO_VREG)
        return row_address(self.m, left, index, self.const_bits(at.b) & 3, 0)

    def folded(self, load, mop, width, result, left):
        """An operation whose right operand is a folded load: what knows memories overrides this."""
        return fail_wrong(b"node {} was folded without a memory", load)

    # ---- integers ------------------------------------------------------------------------------

    def alu(self, n):
        """add, sub, and, or, xor."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        width: uint32_t = RULE_WIDTH[op]
        imm: int64_t = 0
        if (self.marks[a] | self.marks[b]) & NODE_FUSED:
            return self.with_carry(n)
        if RULE_ROW[op] != MOP_SUB_RR and is_const(self.ssa, a) and not is_const(self.ssa, b):
            a, b = b, a
        if self.marks[a] & NODE_FOLDED:
            a, b = b, a
        if self.marks[b] & NODE_FOLDED and RULE_SHAPE[self.ssa.nodes[b].op] == S_SHIFT:
            return self.scaled_sum(n, b, a)
        if self.marks[b] & NODE_FOLDED and RULE_SHAPE[self.ssa.nodes[b].op] == S_ALU:
            return self.tricked(n, b, a)
        left: uint32_t = self.value(a)
        if self.const_imm(b, width, cython.address(imm)):
            self.row(RULE_ROW2[op], width, self.define(n), left, NO_VREG)
            self.m.last().imm = imm
            return 0
        if self.marks[b] & NODE_FOLDED:
            return self.folded(b, RULE_ROW[op] + (MOP_ADD_RM - MOP_ADD_RR), width, self.define(n), left)
        right: uint32_t = self.value(b)
        return self.row(RULE_ROW[op], width, self.define(n), left, right)

    def multiply(self, n):
        """A product; by a constant it needs no copy."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        width: uint32_t = RULE_WIDTH[op]
        imm: int64_t = 0
        if is_const(self.ssa, a) and not is_const(self.ssa, b):
            a, b = b, a
        if self.marks[a] & NODE_FOLDED:
            a, b = b, a
        left: uint32_t = self.value(a)
        if self.const_imm(b, width, cython.address(imm)):
            self.row(RULE_ROW2[op], width, self.define(n), left, NO_VREG)
            self.m.last().imm = imm
            return 0
        if self.marks[b] & NODE_FOLDED:
            return self.folded(b, MOP_IMUL_RM, width, self.define(n), left)
        right: uint32_t = self.value(b)
        return self.row(RULE_ROW[op], width, self.define(n), left, right)

    def high_product(self, n, is_signed):
        """The upper half of a product of i64: rdx of the widening multiplication."""
        if self.uses[n] == 0:
            return 0
        left: uint32_t = self.value(self.ssa.nodes[n].a)
        right: uint32_t = self.value(self.ssa.nodes[n].b)
        low: uint32_t = self.low_product(n, 0) if self.marks[n] & NODE_LATE else NO_VALUE
        values: uint32_t[ROW_OPERANDS]
        values[0] = self.fresh(T_I64) if low == NO_VALUE else self.define(low)
        values[1] = self.define(n)
        values[2] = left
        values[3] = right
        row_inst(self.m, MOP_IMUL_R if is_signed else MOP_MUL_R, 8, values)
        self.m.last().node = self.at
        return 0

    # ---- integers of 128 bits ------------------------------------------------------------------

    def is_carry(self, bit, n, first):
        """Whether an operand of ``n`` is an unsigned comparison, as i64, that nothing else uses."""
        if not self.is_inner(bit, n, first, S_COPY32) or self.ssa.nodes[bit].type != T_I64:
            return False
        test: uint32_t = self.ssa.nodes[bit].a
        if not self.is_inner(test, bit, first, S_COMPARE) or self.marks[test]:
            return False
        return RULE_CC[self.ssa.nodes[test].op] == CC_B or RULE_CC[self.ssa.nodes[test].op] == CC_A

    def carried(self, n, test, first):
        """The sum or difference of i64 before ``n`` whose carry a comparison asks for; ``NO_VALUE`` if none is near."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[test])
        less: uint32_t = at.a if RULE_CC[at.op] == CC_B else at.b
        than: uint32_t = at.b if RULE_CC[at.op] == CC_B else at.a
        op: uint32_t = self.ssa.nodes[n].op
        i: uint32_t = n
        if RULE_WIDTH[at.op] != 8:
            return NO_VALUE
        while i > first and n - i < NEAR:
            i -= 1
            low: cython.pointer(Node) = cython.address(self.ssa.nodes[i])
            if low.op != op:
                continue
            if op == OP_I64_SUB and low.a == less and low.b == than:
                return i
            if op == OP_I64_ADD and i == less and (low.a == than or low.b == than):
                return i
        return NO_VALUE

    def mark_carry(self, n, first):
        """Mark the comparison that a sum or difference adds or takes as a bit, since there are instructions that do
        this with the carry flag; and what comes before it: the sum whose carry it is, and the sum it is added to."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        if self.uses[n] == 0 or (at.op != OP_I64_ADD and at.op != OP_I64_SUB):
            return 0
        bit: uint32_t = at.b
        other: uint32_t = at.a
        if at.op == OP_I64_ADD and not self.is_carry(bit, n, first):
            bit, other = other, bit
        if not self.is_carry(bit, n, first) or is_const(self.ssa, other):
            return 0
        test: uint32_t = self.ssa.nodes[bit].a
        self.marks[bit] |= NODE_FUSED
        self.marks[test] |= NODE_FUSED
        low: uint32_t = self.carried(n, test, first)
        if low != NO_VALUE and low != other and not self.marks[low] and not self.takes_carry(low):
            if not self.uses_between(low, test, n):
                self.marks[low] |= NODE_LATE
        inner: cython.pointer(Node) = cython.address(self.ssa.nodes[other])
        if inner.op == at.op and self.is_inner(other, n, first, S_ALU) and not self.marks[other]:
            if not self.takes_carry(other):
                self.marks[other] |= NODE_FUSED
        return 0

    def takes_carry(self, n):
        """Whether an operand of a sum or difference stays in the flags."""
        return (self.marks[self.ssa.nodes[n].a] | self.marks[self.ssa.nodes[n].b]) & NODE_FUSED != 0

    def set_carry(self, n, test):
        """Set the carry flag as a comparison says: by the sum or difference whose carry it is, which waited for that,
        or by comparing."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[test])
        low: uint32_t = self.carried(n, test, 0)
        if low != NO_VALUE and self.marks[low] & NODE_LATE and self.vregs[low] == NO_VREG:
            at = cython.address(self.ssa.nodes[low])
            return self.sum_row(RULE_ROW[at.op], 8, self.define(low), at.a, at.b)
        below: cython.bint = RULE_CC[at.op] == CC_B
        return self.sum_row(MOP_CMP_RR, RULE_WIDTH[at.op], NO_VREG, at.a if below else at.b, at.b if below else at.a)

    def sum_row(self, mop, width, result, a, b):
        """An instruction of the classic eight by its register form; a number has its own."""
        imm: int64_t = 0
        left: uint32_t = self.value(a)
        is_number: cython.bint = self.const_imm(b, width, cython.address(imm))
        right: uint32_t = NO_VREG if is_number else self.value(b)
        if is_number:
            mop += MOP_ADD_RI - MOP_ADD_RR
        if result == NO_VREG:
            self.row(mop, width, left, right, NO_VREG)
        else:
            self.row(mop, width, result, left, right)
        if is_number:
            self.m.last().imm = imm
        return 0

    def with_carry(self, n):
        """A sum or difference with the carry of another: ``adc`` or ``sbb`` behind what sets the flag."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        at_right: cython.bint = self.is_bit(at.b)
        bit: uint32_t = at.b if at_right else at.a
        other: uint32_t = at.a if at_right else at.b
        inner: cython.pointer(Node) = cython.address(self.ssa.nodes[other])
        imm: int64_t = 0
        right: uint32_t = NO_VREG
        mop: uint32_t = MOP_ADC_RR if at.op == OP_I64_ADD else MOP_SBB_RR
        if self.marks[other] & NODE_FUSED:
            left: uint32_t = self.value(inner.a)
            if not self.const_imm(inner.b, 8, cython.address(imm)):
                right = self.value(inner.b)
        else:
            left = self.value(other)
        self.set_carry(n, self.ssa.nodes[bit].a)
        if right == NO_VREG:
            mop += MOP_ADD_RI - MOP_ADD_RR
        self.row(mop, 8, self.define(n), left, right)
        self.m.last().imm = imm
        return 0

    def is_bit(self, node):
        """Whether a node is a comparison as i64 that stays in the flags."""
        return self.marks[node] & NODE_FUSED != 0 and RULE_SHAPE[self.ssa.nodes[node].op] == S_COPY32

    def shift(self, n):
        """Shifts and rotations: the processor takes the count modulo the width, as WebAssembly does."""
        op: uint32_t = self.ssa.nodes[n].op
        b: uint32_t = self.ssa.nodes[n].b
        width: uint32_t = RULE_WIDTH[op]
        rotation: uint32_t = RULE_EXTRA[op]
        left: uint32_t = self.value(self.ssa.nodes[n].a)
        bmi2: cython.bint = self.plan.cpu >> CPU_BMI2 & 1
        if is_const(self.ssa, b):
            mask: uint64_t = width * 8 - 1
            by: uint64_t = self.const_bits(b)
            if rotation and bmi2 and self.uses[self.ssa.nodes[n].a] > 1:  # the input lives on: longer code, but no copy
                self.row(RULE_ROW3[op], width, self.define(n), left, NO_VREG)
                by = mask + 1 - (by & mask) if rotation == ROT_LEFT else by
            else:
                self.row(RULE_ROW2[op], width, self.define(n), left, NO_VREG)
            self.m.last().imm = by & mask
            return 0
        count: uint32_t = self.value(b)
        row: uint32_t = RULE_ROW3[op] if bmi2 and not rotation else RULE_ROW[op]
        return self.row(row, width, self.define(n), left, count)

    def divide(self, n):
        """Division; the pseudo operation tests what a constant divisor does not already answer."""
        op: uint32_t = self.ssa.nodes[n].op
        b: uint32_t = self.ssa.nodes[n].b
        bits: uint32_t = RULE_EXTRA[op]
        if is_const(self.ssa, b):
            if self.divide_by_power(n, bits) or self.divide_by_product(n, bits):
                return 0
            divisor: uint64_t = self.const_bits(b)
            if divisor == 0:
                bits |= DIV_ZERO
            minus_one: uint64_t = ~cython.cast(uint64_t, 0) >> (64 - 8 * RULE_WIDTH[op])
            if bits & DIV_SIGNED and divisor == minus_one:
                bits |= DIV_MINUS_ONE
        else:
            bits |= DIV_ZERO | (DIV_MINUS_ONE if bits & DIV_SIGNED else 0)
        left: uint32_t = self.value(self.ssa.nodes[n].a)
        right: uint32_t = self.value(b)
        other: uint32_t = self.fresh(self.ssa.nodes[n].type)
        result: uint32_t = self.define(n)
        traps: uint32_t = MI_TRAPS if bits & (DIV_ZERO | DIV_MINUS_ONE) else 0
        self.pseudo(P_DIVIDE, RULE_WIDTH[op], MI_EFFECT | MI_FLAGS_DEF | traps)
        self.m.last().cc = bits
        self.m.operand(other if bits & DIV_REM else result, R_DEF, C_FIXED, RAX)
        self.m.operand(result if bits & DIV_REM else other, R_DEF, C_FIXED, RDX)
        self.m.operand(left, R_USE, C_FIXED, RAX)
        self.m.operand(right, R_USE_LATE, C_REG, 0)
        return 0

    def divide_by_power(self, n, bits):
        """Unsigned division by a power of two is a shift, the remainder a mask that must fit an immediate."""
        op: uint32_t = self.ssa.nodes[n].op
        divisor: uint64_t = self.const_bits(self.ssa.nodes[n].b)
        exponent: int32_t = log2_exact(divisor)
        if bits & DIV_SIGNED or exponent < 0 or (bits & DIV_REM and divisor > TWO_31):
            return False
        left: uint32_t = self.value(self.ssa.nodes[n].a)
        self.row(MOP_AND_RI if bits & DIV_REM else MOP_SHR_RI, RULE_WIDTH[op], self.define(n), left, NO_VREG)
        self.m.last().imm = cython.cast(int64_t, divisor - 1) if bits & DIV_REM else exponent
        return True

    def divide_by_product(self, n, bits):
        """Division by another constant is a product: what level 1 makes of it, for where no pass ran. Left are what is
        negative if it is signed, and signed divisions of 64 bits: these are rare."""
        op: uint32_t = self.ssa.nodes[n].op
        type: uint32_t = self.ssa.nodes[n].type
        width: uint32_t = RULE_WIDTH[op]
        c: uint64_t = self.const_bits(self.ssa.nodes[n].b)
        if c < 3 or c >> (8 * width - 1) or log2_exact(c) >= 0 or (bits & DIV_SIGNED and width == 8):
            return False
        x: uint32_t = self.value(self.ssa.nodes[n].a)
        whole: uint32_t = self.whole_of(n, x, c, bits & DIV_SIGNED)
        if not bits & DIV_REM:
            self.vregs[n] = whole
            return True
        product: uint32_t = self.fresh(type)
        if c <= 0x7FFFFFFF:
            self.row(MOP_IMUL_RRI, width, product, whole, NO_VREG)
            self.m.last().imm = cython.cast(int64_t, c)
        else:
            self.row(MOP_IMUL_RR, width, product, whole, self.constant(c, type))
        self.row(MOP_SUB_RR, width, self.define(n), x, product)
        return True

    def whole_of(self, n, x, c, is_signed):
        """The quotient of a division or remainder; of a pair of them it is computed once."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        if self.quotient != NO_VREG and self.dividend == at.a and self.divisor == at.b and self.divided == is_signed:
            return self.quotient
        self.dividend, self.divisor, self.divided = at.a, at.b, is_signed
        if at.type == T_I64:
            self.quotient = self.quotient64(x, c)
        elif is_signed:
            self.quotient = self.signed_quotient(x, cython.cast(uint32_t, c))
        else:
            self.quotient = self.quotient32(x, cython.cast(uint32_t, c))
        return self.quotient

    def quotient32(self, x, c):
        """x / c of unsigned i32."""
        by: Reciprocal = reciprocal32(c)
        product: uint32_t = self.times(x, by.factor)
        if by.longer:
            return self.add_back(x, self.upper(product, 32), 4, by.shift)
        return self.upper(product, 32 + by.shift)

    def quotient64(self, x, c):
        """x / c of unsigned i64."""
        by: Reciprocal = reciprocal64(c)
        values: uint32_t[ROW_OPERANDS]
        values[0] = self.fresh(T_I64)
        values[1] = self.fresh(T_I64)
        values[2] = x
        values[3] = self.constant(by.factor, T_I64)
        row_inst(self.m, MOP_MUL_R, 8, values)
        self.m.last().node = self.at
        if by.longer:
            return self.add_back(x, values[1], 8, by.shift)
        return self.shifted(MOP_SHR_RI, values[1], 8, by.shift)

    def signed_quotient(self, x, c):
        """x / c of signed i32: the high part of x times floor(2**(32+s) / c) + 1, 2**s < c; one more if x < 0."""
        s: cython.int = bits_of(c) - 1
        wide: uint32_t = self.fresh(T_I64)
        self.row(MOP_MOVSXD_RR, 8, wide, x, NO_VREG)
        product: uint32_t = self.times(wide, (cython.cast(uint64_t, 1) << (32 + s)) // c + 1)
        high: uint32_t = self.lower(self.shifted(MOP_SAR_RI, product, 8, 32 + s))
        sign: uint32_t = self.shifted(MOP_SHR_RI, x, 4, 31)
        whole: uint32_t = self.fresh(T_I32)
        self.row(MOP_ADD_RR, 4, whole, high, sign)
        return whole

    def times(self, x, factor):
        """The lower 64 bits of a product, from a register: a slot of an i32 may be narrower."""
        product: uint32_t = self.fresh(T_I64)
        self.row(MOP_IMUL_RR, 8, product, self.constant(factor, T_I64), x)
        self.m.operands[self.m.last().ops + 2].constraint = C_REG
        return product

    def add_back(self, x, high, width, shift):
        """(x + high) >> shift, where the sum has a bit more than there is room for."""
        half: uint32_t = self.fresh(T_I64 if width == 8 else T_I32)
        self.row(MOP_SUB_RR, width, half, x, high)
        half = self.shifted(MOP_SHR_RI, half, width, 1)
        sum: uint32_t = self.fresh(T_I64 if width == 8 else T_I32)
        self.row(MOP_ADD_RR, width, sum, half, high)
        return self.shifted(MOP_SHR_RI, sum, width, shift - 1)

    def shifted(self, mop, v, width, by):
        """A value shifted by a number."""
        if by == 0:
            return v
        result: uint32_t = self.fresh(T_I64 if width == 8 else T_I32)
        self.row(mop, width, result, v, NO_VREG)
        self.m.last().imm = by
        return result

    def upper(self, wide, by):
        """An i64 shifted to the right by 32 or more, as i32: it has no other bits."""
        result: uint32_t = self.fresh(T_I32)
        self.row(MOP_SHR_RI, 8, result, wide, NO_VREG)
        self.m.last().imm = by
        return result

    def lower(self, wide):
        """An i64 as i32, by a move that no allocator leaves out."""
        result: uint32_t = self.fresh(T_I32)
        self.row(MOP_MOV_RR, 4, result, wide, NO_VREG)
        self.m.operands[self.m.last().ops].constraint = C_REG
        return result

    def unary(self, n, mop):
        """One input, which may be in memory; a rounding mode goes along as the immediate."""
        op: uint32_t = self.ssa.nodes[n].op
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        self.row(mop, RULE_WIDTH[op], self.define(n), v, NO_VREG)
        if RULE_SHAPE[op] == S_FROUND:
            self.m.last().imm = RULE_EXTRA[op]
        return 0

    def count_zeros(self, n):
        """clz and ctz by the instruction of that purpose, or by a bit scan with a test for zero."""
        op: uint32_t = self.ssa.nodes[n].op
        needed: uint32_t = CPU_LZCNT if RULE_ROW[op] == MOP_LZCNT_RR else CPU_BMI1
        if self.plan.cpu >> needed & 1:
            return self.unary(n, RULE_ROW[op])
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        self.pseudo(RULE_ROW2[op], RULE_WIDTH[op], MI_FLAGS_DEF)
        self.m.operand(self.define(n), R_DEF, C_REG, 0)
        return self.m.operand(v, R_USE, C_REG, 0)

    def is_low(self, node):
        """Whether an i64 has no bits in its upper half, as its operation says."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if at.op >= N_OPS or at.type != T_I64 or RULE_WIDTH[at.op] != 8:
            return False
        if RULE_ROW[at.op] == MOP_SHR_RC:
            return is_const(self.ssa, at.b) and self.const_bits(at.b) & 32 != 0
        return RULE_ROW[at.op] == MOP_AND_RR and is_const(self.ssa, at.b) and self.const_bits(at.b) >> 32 == 0

    def copy32(self, n):
        """A real 32-bit move, which zeroes the upper half: no MI_MOVE, coalescing must not delete it. None where that
        is zero: the i32 is the i64, whose slot holds all eight bytes. (Not the other way round.)"""
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        if self.vregs[n] == NO_VREG and self.is_low(self.ssa.nodes[n].a):
            self.vregs[n] = v
            return 0
        self.row(MOP_MOV_RR, 4, self.define(n), v, NO_VREG)
        # The definition takes a register: a 32-bit store would leave the slot's upper half as it was.
        self.m.operands[self.m.last().ops].constraint = C_REG
        return 0

    # ---- conditions ----------------------------------------------------------------------------

    def is_condition(self, node):
        """Whether the node is a comparison that can be left in the flags."""
        op: uint32_t = self.ssa.nodes[node].op
        if op >= N_OPS:
            return False
        shape: uint32_t = RULE_SHAPE[op]
        return shape == S_COMPARE or shape == S_EQZ or shape == S_FCOMPARE or shape == S_REF_IS_NULL

    def is_zero_test(self, at):
        """Whether a node is a comparison for (in)equality with a constant zero."""
        if RULE_SHAPE[at.op] != S_COMPARE or (RULE_CC[at.op] != CC_E and RULE_CC[at.op] != CC_NE):
            return False
        return (is_const(self.ssa, at.b) and self.const_bits(at.b) == 0) or (
            is_const(self.ssa, at.a) and self.const_bits(at.a) == 0 and not is_const(self.ssa, at.b)
        )

    def against_zero(self, node, width):
        """Flags of a value compared with zero: ``test``, if it is a fused ``and``."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if not self.marks[node] & NODE_FUSED:
            return self.row(MOP_CMP_RI, width, self.value(node), NO_VREG, NO_VREG)
        a: uint32_t = at.a
        b: uint32_t = at.b
        imm: int64_t = 0
        if self.marks[a] & NODE_FOLDED or is_const(self.ssa, a):
            a, b = b, a
        left: uint32_t = self.value(a)
        if self.const_imm(b, width, cython.address(imm)):
            self.row(MOP_TEST_RI, 1 if 0 <= imm < 128 else width, left, NO_VREG, NO_VREG)
            self.m.last().imm = imm
            return 0
        if self.marks[b] & NODE_FOLDED:
            return self.folded(b, MOP_TEST_MR, width, NO_VREG, left)
        return self.row(MOP_TEST_RR, width, left, self.value(b), NO_VREG)

    def flags_of(self, node):
        """Emit the comparison; returns the condition code that holds where it is true."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        shape: uint32_t = RULE_SHAPE[at.op]
        cc: uint32_t = RULE_CC[at.op]
        width: uint32_t = RULE_WIDTH[at.op]
        a: uint32_t = at.a
        b: uint32_t = at.b
        left: uint32_t
        right: uint32_t
        imm: int64_t = 0
        if shape == S_EQZ or shape == S_REF_IS_NULL:
            self.against_zero(a, 8 if shape == S_REF_IS_NULL else width)
            return CC_E
        if shape == S_FCOMPARE:
            if RULE_EXTRA[at.op]:
                a, b = b, a
            if a == b and cc >= CC_FEQ:  # whether it is a number at all
                cc = CC_NP if cc == CC_FEQ else CC_P
            left = self.value(a)
            if self.marks[b] & NODE_FOLDED:
                self.folded(b, MOP_UCOMIS_RM, width, NO_VREG, left)
                return cc
            if self.pooled(b):
                self.row(MOP_UCOMIS_RM, width, left, NO_VREG, NO_VREG)
                row_address_reg(self.m, RIP, NO_VREG, 0, self.m.constant(self.const_bits(b)))
                return cc
            right = self.value(b)
            self.row(MOP_UCOMIS_RR, width, left, right, NO_VREG)
            return cc
        if is_const(self.ssa, a) and not is_const(self.ssa, b):
            a, b = b, a
            cc = mirrored(cc)
        if self.marks[a] & NODE_FOLDED:
            a, b = b, a
            cc = mirrored(cc)
        if self.marks[a] & NODE_FUSED:
            self.against_zero(a, width)
            return cc
        left = self.value(a)
        if self.const_imm(b, width, cython.address(imm)):
            self.row(MOP_CMP_RI, width, left, NO_VREG, NO_VREG)
            self.m.last().imm = imm
            return cc
        if self.marks[b] & NODE_FOLDED:
            self.folded(b, MOP_CMP_RM, width, NO_VREG, left)
            return cc
        right = self.value(b)
        self.row(MOP_CMP_RR, width, left, right, NO_VREG)
        return cc

    def condition(self, node):
        """Flags and condition code that hold where an i32 is not zero; a fused comparison is emitted here, unless its
        flags are there still."""
        if node == self.tested and self.m.n_insts == self.tested_end:
            return self.tested_cc
        if self.marks[node] & NODE_FUSED and self.is_condition(node):
            inner: uint32_t = self.ssa.nodes[node].a
            if (
                RULE_SHAPE[self.ssa.nodes[node].op] == S_EQZ
                and self.marks[inner] & NODE_FUSED
                and self.is_condition(inner)
            ):
                return self.condition(inner) ^ 1  # marked at most one deep
            return self.flags_of(node)
        self.against_zero(node, 4)
        return CC_NE

    def set_condition(self, n):
        """A comparison as a number."""
        cc: uint32_t = self.flags_of(n)
        self.pseudo(P_SETCC, 4, MI_FLAGS_USE)
        self.m.last().cc = cc
        if cc < CC_FEQ:
            self.tested, self.tested_cc, self.tested_end = n, cc, self.m.n_insts
        return self.m.operand(self.define(n), R_DEF, C_REG, 0)

    def select(self, n):
        """One of two values: a conditional move, or a short jump where there is none (floats, two-flag conditions)."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        type: uint32_t = at.type
        c: uint32_t = at.c
        taken: uint32_t = self.value(at.a)
        otherwise: uint32_t = self.value(at.b)
        cc: uint32_t = self.condition(c)
        if class_of(type) == 0 and cc < CC_FEQ:
            self.row(MOP_CMOVCC_RR, width_of(type), self.define(n), otherwise, taken)
            self.m.last().cc = cc
            self.tested, self.tested_cc, self.tested_end = c, cc, self.m.n_insts
            return 0
        self.pseudo(P_SELECT, width_of(type), MI_FLAGS_USE)
        self.m.last().cc = cc
        self.m.operand(self.define(n), R_DEF, C_SAME, 1)
        self.m.operand(otherwise, R_USE, C_REG, 0)
        return self.m.operand(taken, R_USE_LATE, C_REG, 0)

    # ---- floats --------------------------------------------------------------------------------

    def pooled(self, node):
        """Whether a float operand is a constant that is read from the pool where it is used. An allocator that computes
        constants again does that itself, or has a register for them."""
        return not self.again and is_const(self.ssa, node) and self.const_bits(node) != 0

    def float2(self, n, shape):
        """Two-address operations: rows, and sequences that must not overwrite their second input early."""
        op: uint32_t = self.ssa.nodes[n].op
        width: uint32_t = RULE_WIDTH[op]
        left: uint32_t = self.value(self.ssa.nodes[n].a)
        if shape == S_FBIN:
            if self.marks[self.ssa.nodes[n].b] & NODE_FOLDED:
                mop: uint32_t = RULE_ROW[op] + (MOP_FADD_RM - MOP_FADD_RR)
                return self.folded(self.ssa.nodes[n].b, mop, width, self.define(n), left)
            if self.pooled(self.ssa.nodes[n].b):
                self.row(RULE_ROW[op] + (MOP_FADD_RM - MOP_FADD_RR), width, self.define(n), left, NO_VREG)
                return row_address_reg(self.m, RIP, NO_VREG, 0, self.m.constant(self.const_bits(self.ssa.nodes[n].b)))
            right: uint32_t = self.value(self.ssa.nodes[n].b)
            return self.row(RULE_ROW[op], width, self.define(n), left, right)
        if shape == S_FPSEUDO2:
            right = self.value(self.ssa.nodes[n].b)
        sign: uint64_t = cython.cast(uint64_t, 1) << (width * 8 - 1)
        mask: uint32_t = 0
        if shape == S_FBIT or RULE_ROW[op] == P_COPYSIGN:
            mask = self.m.constant(sign if RULE_EXTRA[op] else sign - 1)
        self.pseudo(RULE_ROW[op], width, MI_FLAGS_DEF)
        self.m.last().cc = RULE_EXTRA[op]
        self.m.last().aux = mask
        self.m.operand(self.define(n), R_DEF, C_SAME, 1)
        self.m.operand(left, R_USE, C_REG, 0)
        if shape == S_FPSEUDO2:
            self.m.operand(right, R_USE_LATE, C_REG, 0)
        return 0

    def from_int(self, n):
        """Integers to floats. An unsigned i32 is a positive i64, read from a register (its slot may be narrower)."""
        op: uint32_t = self.ssa.nodes[n].op
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        if RULE_ROW[op] != P_U64_TO_FLOAT:
            self.row(RULE_ROW[op], RULE_WIDTH[op], self.define(n), v, NO_VREG)
            self.m.operands[self.m.last().ops + 1].constraint = C_REG
            return 0
        temporary: uint32_t = self.fresh(T_I64)
        self.pseudo(P_U64_TO_FLOAT, RULE_WIDTH[op], MI_FLAGS_DEF)
        self.m.operand(self.define(n), R_DEF, C_REG, 0)
        self.m.operand(v, R_USE, C_REG, 0)
        return self.m.operand(temporary, R_TEMP, C_REG, 0)

    def truncate(self, n):
        """Floats to integers; the sequence knows the range and tells the two traps apart."""
        op: uint32_t = self.ssa.nodes[n].op
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        bits: uint32_t = RULE_EXTRA[op]
        traps: uint32_t = 0 if bits & TRUNC_SAT else MI_TRAPS | MI_EFFECT
        bound: uint32_t = self.m.constant(trunc_bound(RULE_WIDTH[op], bits))
        self.pseudo(P_TRUNC, RULE_WIDTH[op], MI_FLAGS_DEF | traps)
        self.m.last().cc = bits
        self.m.last().aux = bound
        self.m.operand(self.define(n), R_DEF, C_REG, 0)
        return self.m.operand(v, R_USE, C_REG, 0)
