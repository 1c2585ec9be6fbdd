"""The part of selection that every family uses: virtual registers, constants, appending instructions."""

# strata: hot
import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.stratavm.base.failures import Failure, fail_unsupported_by
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.ir.ops import OP_I64_MUL, OP_REF_NULL
from cython.cimports.stratavm.ir.ssa import IR_CONST_V128, NO_VALUE, T_F32, T_F64, T_V128, Node, operands_of
from cython.cimports.stratavm.machine.minst import (
    C_REG,
    MI_FLAGS_DEF,
    MI_HOME,
    MI_REMAT,
    NO_VREG,
    OF_NEAR,
    R_DEF,
    MBlock,
    MInst,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    ENC_NO_OPERAND,
    ENC_ROWS,
    MOP_MOV_RI,
    MOP_MOVAPS_RM,
    MOP_MOVF_RM,
    RIP,
)
from cython.cimports.stratavm.targets.x64.pseudo import P_ZERO
from cython.cimports.stratavm.targets.x64.rows import ROW_OPERANDS, row_address_reg, row_inst

from stratavm.base.errors import Unsupported
from stratavm.spec.index import BY_ID


@cython.cclass
class BaseSelector:
    """Per function state of selection; reused. Families are subclasses, the last of which walks the blocks."""

    def __cinit__(self):
        self.vregs = cython.NULL
        self.marks = cython.NULL
        self.uses = cython.NULL
        self.cap_vregs = self.cap_marks = self.at = 0
        self.folding = self.leas = self.tricks = self.zeroing = self.again = self.avx = False
        self.early = cython.NULL
        self.n_early = self.cap_early = 0

    def __dealloc__(self):
        vec_free(self.vregs)
        vec_free(self.marks)
        vec_free(self.early)

    def prepare(self):
        """Forget the function before."""
        n: uint32_t = self.ssa.n_nodes
        if not self.ssa.counted:
            self.ssa.count_uses()
        self.uses = self.ssa.uses
        vec_room(self.vregs, self.cap_vregs, n + 1)
        vec_room(self.marks, self.cap_marks, n + 1)
        memset(self.vregs, 0xFF, cython.cast(cython.size_t, n) * cython.sizeof(uint32_t))
        memset(self.marks, 0, n)
        self.m.clear()
        self.n_early = 0
        self.n_kept = UNKNOWN_KEPT
        return 0

    def fresh(self, type):
        """A virtual register for a value of a ValueType."""
        return self.m.vreg(class_of(type), width_of(type))

    def define(self, node):
        """The virtual register of a node, made on first sight."""
        v: uint32_t = self.vregs[node]
        if v == NO_VREG:
            v = self.fresh(self.ssa.nodes[node].type)
            self.vregs[node] = v
        return v

    def value(self, node):
        """The register that holds an operand; a constant is loaded anew at each use, so that none lives long, but for
        vectors that ``keep`` has."""
        if is_const(self.ssa, node):
            return self.constant(self.const_bits(node), self.ssa.nodes[node].type)
        if self.ssa.nodes[node].op == IR_CONST_V128:
            return self.vector_constant(node) if self.vregs[node] == NO_VREG else self.vregs[node]
        return self.define(node)

    def const_bits(self, node):
        """Raw bits of a constant, zero-extended."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if at.op == OP_REF_NULL:
            return 0
        if width_of(at.type) == 4:
            return at.a
        return cython.cast(uint64_t, at.b) << 32 | at.a

    def const_imm(self, node, width, imm):
        """Whether an operand is a constant that fits a sign-extended imm32 at this width; its value."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if not is_const(self.ssa, node) or class_of(at.type):
            return False
        bits: int64_t = cython.cast(int64_t, self.const_bits(node))
        if width < 8:
            imm[0] = cython.cast(int32_t, bits)
            return True
        imm[0] = bits
        return -0x80000000 <= bits <= 0x7FFFFFFF

    def constant(self, value, type):
        """Load a constant."""
        v: uint32_t = self.fresh(type)
        if type == T_F32 or type == T_F64:
            if value == 0:
                self.pseudo(P_ZERO, 16, 0)
                self.m.operand(v, R_DEF, C_REG, 0)
                self.repeatable(MI_REMAT)
                return v
            at: uint32_t = self.m.constant(value)
            self.row(MOP_MOVF_RM, width_of(type), v, NO_VREG, NO_VREG)
            row_address_reg(self.m, RIP, NO_VREG, 0, at)
            self.repeatable(MI_REMAT | MI_HOME)
            return v
        if value == 0 and self.zeroing:  # constants are loaded before what sets flags, never behind it
            self.pseudo(P_ZERO, width_of(type), MI_FLAGS_DEF)
            self.m.operand(v, R_DEF, C_REG, 0)
        else:
            self.row(MOP_MOV_RI, width_of(type), v, NO_VREG, NO_VREG)
            self.m.last().imm = cython.cast(int64_t, value)
        self.repeatable(MI_REMAT)
        return v

    def vector_constant(self, node):
        """Load a constant of 16 bytes."""
        v: uint32_t = self.fresh(T_V128)
        words: cython.pointer(uint64_t) = self.ssa.constants + self.ssa.nodes[node].a
        if words[0] == 0 and words[1] == 0:
            self.pseudo(P_ZERO, 16, 0)
            self.m.operand(v, R_DEF, C_REG, 0)
            self.repeatable(MI_REMAT)
            return v
        at: uint32_t = self.m.constant16(words[0], words[1])
        self.row(MOP_MOVAPS_RM, 16, v, NO_VREG, NO_VREG)
        row_address_reg(self.m, RIP, NO_VREG, 0, at)
        self.repeatable(MI_REMAT | MI_HOME)
        return v

    def repeatable(self, flags):
        """The newest instruction may be left out, and computed where its value is wanted."""
        if self.again:
            self.m.last().flags |= flags
        return 0

    def advance(self):
        """Take the newest instruction away; ``place_early`` puts it at the head of the function."""
        n: uint32_t = self.n_early
        vec_room(self.early, self.cap_early, n + 1)
        self.early[n] = self.m.last()[0]
        self.n_early = n + 1
        self.m.n_insts -= 1
        return 0

    def place_early(self):
        """Insert what ``advance`` took, behind the parameters."""
        n: uint32_t = self.n_early
        i: uint32_t
        if n == 0:
            return 0
        vec_room(self.m.insts, self.m.cap_insts, self.m.n_insts + n)
        first: cython.pointer(MInst) = self.m.insts + 1
        memmove(first + n, first, (self.m.n_insts - 1) * cython.sizeof(MInst))
        memcpy(first, self.early, n * cython.sizeof(MInst))
        self.m.n_insts += n
        for i in range(self.m.n_blocks):
            block: cython.pointer(MBlock) = cython.address(self.m.blocks[i])
            block.last += n
            if i:
                block.first += n
        return 0

    def row(self, mop, width, v0, v1, v2):
        """Append an instruction of a row, with the row's roles and constraints."""
        values: uint32_t[ROW_OPERANDS]
        values[0] = v0
        values[1] = v1
        values[2] = v2
        values[3] = NO_VREG
        row_inst(self.m, mop, width, values)
        self.m.last().node = self.at
        if self.avx and ENC_ROWS[mop].other != ENC_NO_OPERAND:
            self.m.operands[self.m.last().ops].constraint = C_REG
            self.m.operands[self.m.last().ops].flags = OF_NEAR
        return 0

    def pseudo(self, op, width, flags):
        """Append a pseudo operation without operands."""
        self.m.inst(op, width, flags)
        self.m.last().node = self.at
        return 0

    def on_base(self, reg, disp):
        """Give the newest instruction the address ``[reg + disp]``, ``reg`` being one that is never allocated."""
        row_address_reg(self.m, reg, NO_VREG, 0, disp)
        return 0

    # ---- nodes that become one instruction --------------------------------------------------------

    def uses_between(self, value, test, last):
        """Whether a node behind ``value`` and before ``last`` uses it; ``test`` does not count."""
        i: uint32_t
        k: uint32_t
        values: cython.pointer(uint32_t) = cython.NULL
        for i in range(value + 1, last):
            for k in range(operands_of(cython.address(self.ssa.nodes[i]), self.ssa.args, cython.address(values))):
                if values[k] == value and i != test:
                    return True
        return False

    def low_product(self, n, first):
        """The product of i64 before ``n`` whose upper half ``n`` is; ``NO_VALUE`` if none is near."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        i: uint32_t = n
        while i > first and n - i < NEAR:
            i -= 1
            low: cython.pointer(Node) = cython.address(self.ssa.nodes[i])
            same: cython.bint = (low.a == at.a and low.b == at.b) or (low.a == at.b and low.b == at.a)
            if same and low.op == OP_I64_MUL:
                return i
        return NO_VALUE

    def mark_product(self, n, first):
        """Mark the lower half of a product whose upper half is ``n``: one multiplication gives both."""
        low: uint32_t = self.low_product(n, first)
        if self.uses[n] and low != NO_VALUE and not self.marks[low] and not self.uses_between(low, n, n):
            self.marks[low] |= NODE_LATE
            self.marks[n] |= NODE_LATE
        return 0

    def unsupported(self, op):
        """There is no rule: the caller runs the function elsewhere or refuses the module."""
        return fail_unsupported_by(raise_unsupported, op)


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_unsupported(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """There is no rule for an operation."""
    op = failure.details[0]
    if op in BY_ID:
        row = BY_ID[op]
        raise Unsupported(f"{row.mnemonic} has no selection rule", feature=row.feature)
    raise Unsupported(f"IR operation {op:#x} has no selection rule")
