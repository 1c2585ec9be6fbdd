# strata: hot
"""Identities of integer operations: what a pure node is equal to, or which cheaper node computes the same.

Operands are values of the form under construction, so that a rule sees what earlier rules made of them. A rule
returns the value that the node is equal to, or changes the node in place; the caller asks again while the node changes,
a bounded number of times. Every rule is proved by Z3 in the tests, for all operands. Divisions by constants: Granlund,
Montgomery, "Division by invariant integers using multiplication" (1994).
"""

import cython
from cython.cimports.libc.stdint import uint16_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.bits import log2_exact
from cython.cimports.stratavm.ir.passes.fold import fold
from cython.cimports.stratavm.ir.passes.stream import Stream
from cython.cimports.stratavm.ir.ssa import (
    IR_CONST,
    IR_MULHI_S,
    IR_MULHI_U,
    NO_VALUE,
    T_I32,
    T_I64,
    Node,
    operand_count,
)
from cython.cimports.stratavm.spec._gen_ops import (
    N_OPS,
    OF_COMMUTES,
    OF_LOAD,
    OF_REFLEXIVE,
    OP_I32_ADD,
    OP_I32_AND,
    OP_I32_DIV_S,
    OP_I32_DIV_U,
    OP_I32_EQ,
    OP_I32_EQZ,
    OP_I32_EXTEND8_S,
    OP_I32_EXTEND16_S,
    OP_I32_GE_U,
    OP_I32_GT_U,
    OP_I32_LE_U,
    OP_I32_LT_U,
    OP_I32_MUL,
    OP_I32_NE,
    OP_I32_OR,
    OP_I32_REM_S,
    OP_I32_REM_U,
    OP_I32_ROTL,
    OP_I32_ROTR,
    OP_I32_SHL,
    OP_I32_SHR_S,
    OP_I32_SHR_U,
    OP_I32_SUB,
    OP_I32_WRAP_I64,
    OP_I32_XOR,
    OP_I64_ADD,
    OP_I64_EQ,
    OP_I64_EQZ,
    OP_I64_EXTEND8_S,
    OP_I64_EXTEND16_S,
    OP_I64_EXTEND32_S,
    OP_I64_EXTEND_I32_S,
    OP_I64_EXTEND_I32_U,
    OP_I64_GE_U,
    OP_I64_MUL,
    OP_I64_NE,
    OP_I64_SHR_S,
    OP_I64_SHR_U,
    OP_I64_SUB,
    OP_SELECT,
    OP_SELECT_T,
)
from cython.cimports.stratavm.spec._gen_optables import (
    OP_FLAGS,
    OP_NARROW,
    OP_NEGATION,
    OP_RESULT_BITS,
    OP_SIGN_BITS,
    OP_TWIN,
)

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

ONES32 = cython.declare(uint64_t, 0xFFFFFFFF)
ONES64 = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def length_of(bits: uint64_t) -> cython.int:
    """Bits up to the highest that is set."""
    length: cython.int = 0
    while bits:
        bits >>= 1
        length += 1
    return length


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def low_bits(width: cython.int) -> uint64_t:
    """A mask of so many bits."""
    return ONES64 if width >= 64 else (cython.cast(uint64_t, 1) << width) - 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def narrow(op: uint32_t) -> uint32_t:
    """The i32 twin of an i64 operation; other operations stay."""
    return OP_NARROW[op] if op < N_OPS else op


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def sized(op: uint32_t, wide: cython.bint) -> uint32_t:
    """An i32 operation, or its i64 twin."""
    return OP_TWIN[op] if wide else op


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def sign_from(op: uint32_t) -> cython.int:
    """Bits that an operation extends with their sign; 0 for others."""
    return OP_SIGN_BITS[op] if op < N_OPS else 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def shifts(op: uint32_t) -> cython.bint:
    """Whether an i32 operation shifts."""
    return op == OP_I32_SHL or op == OP_I32_SHR_S or op == OP_I32_SHR_U


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def ignores_signs(op: uint32_t) -> cython.bint:
    """Whether an i32 comparison means the same for values that were zero-extended."""
    return (
        op == OP_I32_EQ
        or op == OP_I32_NE
        or op == OP_I32_LT_U
        or op == OP_I32_GT_U
        or op == OP_I32_LE_U
        or op == OP_I32_GE_U
    )


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def negation_of(op: uint32_t) -> uint32_t:
    """The comparison that is 1 where this one is 0; 0 for other operations."""
    return OP_NEGATION[op] if op < N_OPS else 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def divide_shifted(high: uint64_t, c: uint64_t, rest: cython.pointer(uint64_t)) -> uint64_t:
    """``high * 2**64 // c`` and the remainder, for ``high < c``: bit by bit, since C divides 64 bits only."""
    quotient: uint64_t = 0
    step: cython.int
    carry: uint64_t
    for step in range(64):
        carry = high >> 63
        high <<= 1
        quotient <<= 1
        if carry or high >= c:
            high -= c
            quotient |= 1
    rest[0] = high
    return quotient


@cython.cclass
class Identities(Stream):
    """The rules. A pass derives from this and says how nodes are made."""

    def make(self, op, type, a, b):
        """A pure node that a rule needs."""
        return self.out.node(op, type, 0, a, b, NO_VALUE, self.position)

    def constant(self, type, bits):
        """A constant that a rule needs."""
        return self.out.node(
            IR_CONST, type, 0, cython.cast(uint32_t, bits), cython.cast(uint32_t, bits >> 32), NO_VALUE, self.position
        )

    # ---- what is known of a value ----

    def is_const(self, value, bits):
        """Whether an output value is a constant, and its raw bits."""
        node: cython.pointer(Node)
        if value == NO_VALUE:
            return False
        node = cython.address(self.out.nodes[value])
        if node.op != IR_CONST:
            return False
        bits[0] = node.a | cython.cast(uint64_t, node.b) << 32
        return True

    def width_of(self, value):
        """Low bits of an integer that may be set: all higher ones are zero."""
        node: cython.pointer(Node) = cython.address(self.out.nodes[value])
        op: uint32_t
        bits: uint64_t = 0
        cap: cython.int = 32 if node.type == T_I32 else 64
        turns: cython.int
        for turns in range(4):
            op = node.op
            if node.type == T_I32 and cap > 32:
                cap = 32
            if op != OP_I64_EXTEND_I32_U and op != OP_I32_WRAP_I64:
                break
            node = cython.address(self.out.nodes[node.a])
        if op == IR_CONST:
            return min(cap, length_of(node.a | cython.cast(uint64_t, node.b) << 32))
        if op >= N_OPS:
            return cap
        if OP_RESULT_BITS[op]:
            return min(cap, cython.cast(cython.int, OP_RESULT_BITS[op]))
        op = OP_NARROW[op]
        if op == OP_I32_AND and self.is_const(node.b, cython.address(bits)):
            return min(cap, length_of(bits))
        if op == OP_I32_SHR_U and self.is_const(node.b, cython.address(bits)):
            if node.type == T_I64:
                return min(cap, 64 - cython.cast(cython.int, bits & 63))
            return min(cap, 32 - cython.cast(cython.int, bits & 31))
        return cap

    # ---- the rules ----

    def order(self, node):
        """Commutative integer operations: a constant goes right, else the older value left."""
        bits: uint64_t = 0
        value: uint32_t
        if OP_FLAGS[node.op] & OF_COMMUTES:
            if self.is_const(node.b, cython.address(bits)):
                return 0
            if self.is_const(node.a, cython.address(bits)) or node.a > node.b:
                value = node.a
                node.a = node.b
                node.b = value
        return 0

    def branch(self, node):
        """``br_if (x == 0)`` is ``br_if x`` with its edges exchanged; ``x != 0`` is ``x``. Whether it changed."""
        condition: Node
        bits: uint64_t = 0
        edge: uint32_t
        turns: cython.int
        for turns in range(8):
            condition = self.out.nodes[node.a]
            if condition.op == OP_I32_EQZ:
                edge = node.b
                node.b = node.c
                node.c = edge
                node.a = condition.a
            elif condition.op == OP_I32_NE and self.is_const(condition.b, cython.address(bits)) and bits == 0:
                node.a = condition.a
            else:
                return turns != 0
        return True

    def identity(self, node):
        """The value that a pure node is equal to, or ``NONE``. May change the node into a cheaper one."""
        a: uint64_t = 0
        b: uint64_t = 0
        result: uint64_t = 0
        if node.op == OP_SELECT or node.op == OP_SELECT_T:
            return self.select(node)
        if node.a == NO_VALUE:
            return NONE
        if operand_count(node.op, node.flags) == 1:
            if self.is_const(node.a, cython.address(a)):
                if fold(node.op, a, 0, cython.address(result)):
                    return self.constant(node.type, result)
                return NONE
            return self.unary(node)
        if self.is_const(node.b, cython.address(b)):
            if self.is_const(node.a, cython.address(a)) and fold(node.op, a, b, cython.address(result)):
                return self.constant(node.type, result)
            return self.with_constant(node, b)
        if node.a == node.b:
            return self.same_operands(node)
        if (
            (node.op == OP_I64_EQ or node.op == OP_I64_NE)
            and self.out.nodes[node.a].op == OP_I64_EXTEND_I32_U
            and self.out.nodes[node.b].op == OP_I64_EXTEND_I32_U
        ):
            node.op = OP_NARROW[node.op]
            node.a = self.out.nodes[node.a].a
            node.b = self.out.nodes[node.b].a
        return NONE

    def select(self, node):
        """A choice between equals, a known choice, and one by a negation."""
        bits: uint64_t = 0
        condition: cython.pointer(Node)
        value: uint32_t
        if node.a == node.b:
            return node.a
        if self.is_const(node.c, cython.address(bits)):
            return node.a if bits else node.b
        condition = cython.address(self.out.nodes[node.c])
        if condition.op == OP_I32_EQZ:
            value = node.a
            node.a = node.b
            node.b = value
            node.c = condition.a
        elif condition.op == OP_I32_NE and self.is_const(condition.b, cython.address(bits)) and bits == 0:
            node.c = condition.a
        return NONE

    def unary(self, node):
        """Conversions that undo each other, negations of comparisons, extensions of what is narrow."""
        op: uint32_t = node.op
        inner: cython.pointer(Node) = cython.address(self.out.nodes[node.a])
        value: uint32_t
        if op == OP_I32_WRAP_I64 and (inner.op == OP_I64_EXTEND_I32_U or inner.op == OP_I64_EXTEND_I32_S):
            return inner.a
        if op == OP_I64_EXTEND_I32_U:
            if inner.op == OP_I32_WRAP_I64 and self.width_of(inner.a) <= 32:
                return inner.a
            return NONE
        if op == OP_I64_EXTEND_I32_S:
            if self.width_of(node.a) <= 31:
                node.op = OP_I64_EXTEND_I32_U
            return NONE
        if op == OP_I32_EQZ and negation_of(inner.op):
            return self.negated(node, inner)
        if op == OP_I32_EQZ and (inner.op == OP_I32_EQZ or inner.op == OP_I64_EQZ):
            value = inner.a
            if self.width_of(value) <= 1 and inner.op == OP_I32_EQZ:
                return value
            node.op = OP_I32_NE if inner.op == OP_I32_EQZ else OP_I64_NE
            node.b = self.constant(T_I32 if inner.op == OP_I32_EQZ else T_I64, 0)
            node.a = value
            return NONE
        if op == OP_I64_EQZ and (inner.op == OP_I64_EXTEND_I32_U or inner.op == OP_I64_EXTEND_I32_S):
            node.op = OP_I32_EQZ
            node.a = inner.a
            return NONE
        if op == OP_I32_EQZ or op == OP_I64_EQZ:
            if narrow(inner.op) == OP_I32_SUB or narrow(inner.op) == OP_I32_XOR:
                node.op = OP_I32_EQ if op == OP_I32_EQZ else OP_I64_EQ
                node.a = inner.a
                node.b = inner.b
            return NONE
        return self.extension(node, inner)

    def extension(self, node, inner):
        """Extending with the sign: of what is extended already, and of a mask that keeps the bits."""
        keep: cython.int
        have: cython.int
        bits: uint64_t = 0
        keep = sign_from(node.op)
        if keep == 0:
            return NONE
        have = sign_from(inner.op)
        if have and have <= keep:
            return node.a
        if self.width_of(node.a) < keep:
            return node.a
        if (have and not OP_FLAGS[inner.op] & OF_LOAD and inner.op != OP_I64_EXTEND_I32_S) or (
            narrow(inner.op) == OP_I32_AND
            and self.is_const(inner.b, cython.address(bits))
            and bits & low_bits(keep) == low_bits(keep)
        ):
            node.a = inner.a
        return NONE

    def negated(self, node, inner):
        """``eqz (a < b)`` becomes ``a >= b``: the node changes, nothing is known yet."""
        node.op = OP_NEGATION[inner.op]
        node.a = inner.a
        node.b = inner.b
        return NONE

    def same_operands(self, node):
        """An integer operation of a value with itself."""
        op: uint32_t = narrow(node.op)
        if op == OP_I32_SUB or op == OP_I32_XOR:
            return self.constant(node.type, 0)
        if op == OP_I32_AND or op == OP_I32_OR:
            return node.a
        if op == OP_I32_ADD:
            node.op = sized(OP_I32_SHL, node.op != op)
            node.b = self.constant(node.type, 1)
            return NONE
        if negation_of(op):
            return self.constant(T_I32, (OP_FLAGS[op] & OF_REFLEXIVE) != 0)
        return NONE

    def with_constant(self, node, c):
        """Identities with a constant on the right, by kind of operation."""
        op: uint32_t = narrow(node.op)
        if op == OP_I32_ADD or op == OP_I32_SUB or op == OP_I32_MUL:
            return self.arithmetic(node, c)
        if op == OP_I32_AND or op == OP_I32_OR or op == OP_I32_XOR:
            return self.bitwise(node, c)
        if shifts(op) or op == OP_I32_ROTL or op == OP_I32_ROTR:
            return self.shift(node, c)
        if negation_of(op):
            return self.compared(node, c)
        if op == OP_I32_DIV_S or op == OP_I32_DIV_U or op == OP_I32_REM_S or op == OP_I32_REM_U:
            return self.divided(node, c)
        return NONE

    def arithmetic(self, node, c):
        """add, sub and mul with a constant."""
        op: uint32_t = narrow(node.op)
        wide: cython.bint = node.op != op
        ones: uint64_t = ONES64 if wide else ONES32
        inner: cython.pointer(Node) = cython.address(self.out.nodes[node.a])
        bits: uint64_t = 0
        k: cython.int
        if op == OP_I32_MUL:
            k = log2_exact(c)
            if c == 0:
                return node.b
            if k == 0:
                return node.a
            if k > 0:
                node.op = sized(OP_I32_SHL, wide)
                node.b = self.constant(node.type, k)
            elif c == ones:
                node.op = sized(OP_I32_SUB, wide)
                node.b = node.a
                node.a = self.constant(node.type, 0)
            elif self.strong and (c == 3 or c == 5 or c == 9):  # one address computation instead of three cycles
                self.reduced = True
                node.op = sized(OP_I32_ADD, wide)
                node.b = self.make(
                    sized(OP_I32_SHL, wide), node.type, node.a, self.constant(node.type, log2_exact(c - 1))
                )
            elif inner.op == node.op and self.is_const(inner.b, cython.address(bits)):
                node.a = inner.a
                node.b = self.constant(node.type, (bits * c) & ones)
            return NONE
        if c == 0:
            return node.a
        if op == OP_I32_SUB:  # x - c is x + -c: one form to find again
            node.op = sized(OP_I32_ADD, wide)
            node.b = self.constant(node.type, (0 - c) & ones)
        elif inner.op == node.op and self.is_const(inner.b, cython.address(bits)):
            node.a = inner.a
            node.b = self.constant(node.type, (bits + c) & ones)
        return NONE

    def bitwise(self, node, c):
        """and, or and xor with a constant."""
        op: uint32_t = narrow(node.op)
        wide: cython.bint = node.op != op
        ones: uint64_t = ONES64 if wide else ONES32
        inner: cython.pointer(Node) = cython.address(self.out.nodes[node.a])
        bits: uint64_t = 0
        if c == 0:
            return node.b if op == OP_I32_AND else node.a
        if op == OP_I32_OR and c == ones:
            return node.b
        if op == OP_I32_AND:
            bits = low_bits(self.width_of(node.a))
            if c & bits == bits:
                return node.a
            if c & bits == 0:
                return self.constant(node.type, 0)
            if wide and c == ONES32:
                node.op = OP_I64_EXTEND_I32_U
                node.a = self.make(OP_I32_WRAP_I64, T_I32, node.a, NO_VALUE)
                node.b = NO_VALUE
                return NONE
        if inner.op == node.op and self.is_const(inner.b, cython.address(bits)):
            node.a = inner.a
            bits = bits & c if op == OP_I32_AND else bits | c if op == OP_I32_OR else bits ^ c
            node.b = self.constant(node.type, bits)
        return NONE

    def shift(self, node, c):
        """Shifts and rotations by a constant; of shifts by constants."""
        op: uint32_t = narrow(node.op)
        wide: cython.bint = node.op != op
        width: uint64_t = 64 if wide else 32
        ones: uint64_t = ONES64 if wide else ONES32
        inner: cython.pointer(Node) = cython.address(self.out.nodes[node.a])
        bits: uint64_t = 0
        c &= width - 1
        if c == 0:
            return node.a
        if op == OP_I32_ROTL or op == OP_I32_ROTR:
            return NONE
        if op == OP_I32_SHR_U and c >= cython.cast(uint64_t, self.width_of(node.a)):
            return self.constant(node.type, 0)
        if not shifts(narrow(inner.op)) or not self.is_const(inner.b, cython.address(bits)):
            return NONE
        if inner.op == node.op:
            bits = (bits & (width - 1)) + c
            if bits >= width and op != OP_I32_SHR_S:
                return self.constant(node.type, 0)
            node.a = inner.a
            node.b = self.constant(node.type, min(bits, width - 1))
            return NONE
        if (bits & (width - 1)) != c:
            return NONE
        if op == OP_I32_SHR_S and inner.op == sized(OP_I32_SHL, wide):
            if width - c == 8:
                node.op = OP_I64_EXTEND8_S if wide else OP_I32_EXTEND8_S
            elif width - c == 16:
                node.op = OP_I64_EXTEND16_S if wide else OP_I32_EXTEND16_S
            elif width - c == 32:
                node.op = OP_I64_EXTEND32_S
            else:
                return NONE
            node.a = inner.a
            node.b = NO_VALUE
        elif op == OP_I32_SHR_U and inner.op == sized(OP_I32_SHL, wide) and (not wide or c >= 32):
            node.op = sized(OP_I32_AND, wide)
            node.a = inner.a
            node.b = self.constant(node.type, ones >> c)
        elif op == OP_I32_SHL and inner.op == sized(OP_I32_SHR_U, wide) and (not wide or c < 32):
            node.op = sized(OP_I32_AND, wide)
            node.a = inner.a
            node.b = self.constant(node.type, (ones << c) & ones)
        return NONE

    def compared(self, node, c):
        """Comparisons with a constant: those that the width of the value decides, and cheaper ones."""
        op: uint32_t = narrow(node.op)
        wide: cython.bint = node.op != op
        inner: cython.pointer(Node) = cython.address(self.out.nodes[node.a])
        width: cython.int = self.width_of(node.a)
        if c > low_bits(width):  # more than the value can be
            if op == OP_I32_EQ or op == OP_I32_GT_U or op == OP_I32_GE_U:
                return self.constant(T_I32, 0)
            if op == OP_I32_NE or op == OP_I32_LT_U or op == OP_I32_LE_U:
                return self.constant(T_I32, 1)
            return NONE
        if width == 1 and not wide and ((op == OP_I32_NE and c == 0) or (op == OP_I32_EQ and c == 1)):
            return node.a
        if (op == OP_I32_EQ and c == 0) or (op == OP_I32_LT_U and c == 1):
            node.op = OP_I64_EQZ if wide else OP_I32_EQZ
            node.b = NO_VALUE
            return NONE
        if (op == OP_I32_GT_U and c == 0) or (op == OP_I32_GE_U and c == 1):
            node.op = sized(OP_I32_NE, wide)
            node.b = self.constant(T_I64 if wide else T_I32, 0)
            return NONE
        if wide and inner.op == OP_I64_EXTEND_I32_U and ignores_signs(op):
            node.op = op
            node.a = inner.a
            node.b = self.constant(T_I32, c)
        return NONE

    # ---- divisions ----

    def divided(self, node, c):
        """Division by a constant: shifts and masks for powers of two, else a multiplication that is twice as wide."""
        op: uint32_t = narrow(node.op)
        wide: cython.bint = node.op != op
        k: cython.int = log2_exact(c)
        signed: cython.bint = op == OP_I32_DIV_S or op == OP_I32_REM_S
        whole: uint32_t
        if c == 0:
            return NONE  # traps
        if c == 1:
            return self.constant(node.type, 0) if op == OP_I32_REM_U or op == OP_I32_REM_S else node.a
        if op == OP_I32_DIV_U and k > 0:
            node.op = sized(OP_I32_SHR_U, wide)
            node.b = self.constant(node.type, k)
            return NONE
        if op == OP_I32_REM_U and k > 0:
            node.op = sized(OP_I32_AND, wide)
            node.b = self.constant(node.type, c - 1)
            return NONE
        if signed and c >> (63 if wide else 31):
            return self.divided_by_negative(node, c) if self.strong else NONE
        if wide and k <= 0 and not self.strong:
            return NONE
        self.reduced = self.reduced or (wide != 0 and k <= 0)
        whole = self.quotient(node, c, k)
        if op == OP_I32_DIV_S or op == OP_I32_DIV_U:
            return whole
        if k > 0:
            whole = self.make(sized(OP_I32_SHL, wide), node.type, whole, self.constant(node.type, k))
        else:
            whole = self.make(sized(OP_I32_MUL, wide), node.type, whole, node.b)
        node.op = sized(OP_I32_SUB, wide)
        node.b = whole
        return NONE

    def divided_by_negative(self, node, c):
        """x / -c is -(x / c), and the remainder is that by c. By -1 a quotient may trap; the least integer is its own
        opposite."""
        op: uint32_t = narrow(node.op)
        wide: cython.bint = node.op != op
        ones: uint64_t = ONES64 if wide else ONES32
        opposite: uint64_t = (0 - c) & ones
        if c == opposite or (c == ones and op == OP_I32_DIV_S):
            return NONE
        self.reduced = True
        if c == ones:
            return self.constant(node.type, 0)
        node.b = self.constant(node.type, opposite)
        if op == OP_I32_REM_S:
            return NONE  # the rules for c come next
        node.b = self.quotient(node, opposite, log2_exact(opposite))
        node.a = self.constant(node.type, 0)
        node.op = sized(OP_I32_SUB, wide)
        return NONE

    def quotient(self, node, c, k):
        """x / c for a c above 1, of which ``k`` is the logarithm if it has one; signed ones are positive."""
        signed: cython.bint = narrow(node.op) == OP_I32_DIV_S or narrow(node.op) == OP_I32_REM_S
        if signed and k > 0:
            return self.quotient_power(node, k)
        if node.type == T_I64:
            return self.quotient_signed64(node.a, c) if signed else self.quotient_unsigned64(node.a, c)
        if signed:
            return self.quotient_signed(node.a, cython.cast(uint32_t, c))
        return self.quotient_unsigned(node.a, cython.cast(uint32_t, c))

    def quotient_unsigned64(self, x, c):
        """x / c: the upper half of x times a factor of 64 bits; where it needs 65, x is added without its carry."""
        s: cython.int = length_of(c)
        rest: uint64_t = 0
        low: uint64_t
        high: uint64_t
        upper: uint32_t
        half: uint32_t
        if c >> 63:
            upper = self.make(OP_I64_GE_U, T_I32, x, self.constant(T_I64, c))
            return self.make(OP_I64_EXTEND_I32_U, T_I64, upper, NO_VALUE)
        # factors from floor(2**(64+s) / c) to floor((2**(64+s) + 2**s) / c) are exact enough; both have 65 bits
        low = divide_shifted((cython.cast(uint64_t, 1) << s) - c, c, cython.address(rest))
        high = low + (rest + (cython.cast(uint64_t, 1) << s)) // c
        if high < low or low >> 1 == high >> 1:
            upper = self.make(IR_MULHI_U, T_I64, x, self.constant(T_I64, low + 1))
            half = self.make(OP_I64_SUB, T_I64, x, upper)
            half = self.make(OP_I64_SHR_U, T_I64, half, self.constant(T_I64, 1))
            upper = self.make(OP_I64_ADD, T_I64, half, upper)
        else:
            low = low >> 1 | cython.cast(uint64_t, 1) << 63
            high = high >> 1 | cython.cast(uint64_t, 1) << 63
            s -= 1
            while s > 0 and low >> 1 < high >> 1:
                low >>= 1
                high >>= 1
                s -= 1
            upper = self.make(IR_MULHI_U, T_I64, x, self.constant(T_I64, high))
            s += 1
        return upper if s == 1 else self.make(OP_I64_SHR_U, T_I64, upper, self.constant(T_I64, s - 1))

    def quotient_signed64(self, x, c):
        """x / c: the upper half of x times a factor; one of 64 bits counts as negative, so x is added; one more if
        x < 0."""
        s: cython.int = length_of(c) - 1
        rest: uint64_t = 0
        # factors from floor(2**(64+s) / c) to floor((2**(64+s) + 2**(s+1)) / c) are exact enough
        low: uint64_t = divide_shifted(cython.cast(uint64_t, 1) << s, c, cython.address(rest))
        high: uint64_t = low + (rest + (cython.cast(uint64_t, 2) << s)) // c
        upper: uint32_t
        sign: uint32_t
        while s > 0 and low >> 1 < high >> 1:
            low >>= 1
            high >>= 1
            s -= 1
        upper = self.make(IR_MULHI_S, T_I64, x, self.constant(T_I64, high))
        if high >> 63:
            upper = self.make(OP_I64_ADD, T_I64, upper, x)
        if s > 0:
            upper = self.make(OP_I64_SHR_S, T_I64, upper, self.constant(T_I64, s))
        sign = self.make(OP_I64_SHR_U, T_I64, x, self.constant(T_I64, 63))
        return self.make(OP_I64_ADD, T_I64, upper, sign)

    def quotient_power(self, node, k):
        """x / 2**k towards zero: 2**k - 1 is added to a negative x before the shift."""
        wide: cython.bint = node.type == T_I64
        width: cython.int = 64 if wide else 32
        bias: uint32_t = node.a
        if k > 1:
            bias = self.make(sized(OP_I32_SHR_S, wide), node.type, bias, self.constant(node.type, width - 1))
        bias = self.make(sized(OP_I32_SHR_U, wide), node.type, bias, self.constant(node.type, width - k))
        bias = self.make(sized(OP_I32_ADD, wide), node.type, node.a, bias)
        return self.make(sized(OP_I32_SHR_S, wide), node.type, bias, self.constant(node.type, k))

    def quotient_unsigned(self, x, c):
        """x / c: the high part of x times ceil(2**(32+s) / c), 2**s >= c; a factor of 33 bits takes two steps."""
        s: cython.int
        factor: uint64_t
        product: uint32_t
        high: uint32_t
        rest: uint32_t
        if c >> 31:
            return self.make(OP_I32_GE_U, T_I32, x, self.constant(T_I32, c))
        s = length_of(c)
        factor = ((cython.cast(uint64_t, 1) << (32 + s)) + c - 1) // c
        while s > 0 and factor >> 32:  # a smaller one may be exact enough
            s -= 1
            factor = ((cython.cast(uint64_t, 1) << (32 + s)) + c - 1) // c
            if factor * c - (cython.cast(uint64_t, 1) << (32 + s)) > cython.cast(uint64_t, 1) << s:
                s += 1
                factor = ((cython.cast(uint64_t, 1) << (32 + s)) + c - 1) // c
                break
        product = self.make(OP_I64_EXTEND_I32_U, T_I64, x, NO_VALUE)
        product = self.make(OP_I64_MUL, T_I64, product, self.constant(T_I64, factor & ONES32))
        if not factor >> 32:
            product = self.make(OP_I64_SHR_U, T_I64, product, self.constant(T_I64, 32 + s))
            return self.make(OP_I32_WRAP_I64, T_I32, product, NO_VALUE)
        # (x + high) >> s without its carry: ((x - high) / 2 + high) >> (s - 1)
        product = self.make(OP_I64_SHR_U, T_I64, product, self.constant(T_I64, 32))
        high = self.make(OP_I32_WRAP_I64, T_I32, product, NO_VALUE)
        rest = self.make(OP_I32_SUB, T_I32, x, high)
        rest = self.make(OP_I32_SHR_U, T_I32, rest, self.constant(T_I32, 1))
        rest = self.make(OP_I32_ADD, T_I32, rest, high)
        return rest if s == 1 else self.make(OP_I32_SHR_U, T_I32, rest, self.constant(T_I32, s - 1))

    def quotient_signed(self, x, c):
        """x / c: the high part of x times floor(2**(32+s) / c) + 1, 2**s < c < 2**(s+1); one more if x < 0."""
        s: cython.int = length_of(c) - 1
        factor: uint64_t = (cython.cast(uint64_t, 1) << (32 + s)) // c + 1
        product: uint32_t = self.make(OP_I64_EXTEND_I32_S, T_I64, x, NO_VALUE)
        sign: uint32_t
        product = self.make(OP_I64_MUL, T_I64, product, self.constant(T_I64, factor))
        product = self.make(OP_I64_SHR_S, T_I64, product, self.constant(T_I64, 32 + s))
        product = self.make(OP_I32_WRAP_I64, T_I32, product, NO_VALUE)
        sign = self.make(OP_I32_SHR_U, T_I32, x, self.constant(T_I32, 31))
        return self.make(OP_I32_ADD, T_I32, product, sign)
