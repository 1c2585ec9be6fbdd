# strata: hot
"""Rules of integer operations: what a pure node is equal to, or which cheaper node computes the same.

``identity`` asks the rules that can apply to a kind of node, in order; the caller asks again while the node changes, a
bounded number of times. What a rule is says ``algebra.py``; those of operations with a constant are in
``constant_rules.py``.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_COMMUTES,
    OF_LOAD,
    OF_REFLEXIVE,
    OP_FLAGS,
    OP_I32_ADD,
    OP_I32_AND,
    OP_I32_EQ,
    OP_I32_EQZ,
    OP_I32_NE,
    OP_I32_OR,
    OP_I32_SHL,
    OP_I32_SUB,
    OP_I32_WRAP_I64,
    OP_I32_XOR,
    OP_I64_EQ,
    OP_I64_EQZ,
    OP_I64_EXTEND_I32_S,
    OP_I64_EXTEND_I32_U,
    OP_I64_NE,
    OP_NARROW,
    OP_NEGATION,
    OP_SELECT,
    OP_SELECT_T,
    OP_SIGN_BITS,
)
from cython.cimports.stratavm.ir.passes._gen_rewrites import (
    R_BRANCH_BY_NEGATION,
    R_BRANCH_BY_NONZERO,
    R_COMPARISON_WITH_ITSELF,
    R_DIFFERENCE_WITH_ITSELF,
    R_DOUBLE_NEGATION,
    R_DOUBLE_NEGATION_OF_BIT,
    R_EQUALITY_OF_EXTENSIONS,
    R_EXTENSION_OF_EXTENDED,
    R_EXTENSION_OF_EXTENSION,
    R_EXTENSION_OF_MASK,
    R_EXTENSION_OF_NARROW,
    R_EXTENSION_OF_WRAP,
    R_FOLD_CONSTANTS,
    R_FOLD_VECTORS,
    R_MEET_WITH_ITSELF,
    R_NEGATED_COMPARISON,
    R_ORDER_OPERANDS,
    R_SELECT_BETWEEN_EQUALS,
    R_SELECT_BY_CONSTANT,
    R_SELECT_BY_NEGATION,
    R_SELECT_BY_NONZERO,
    R_SIGN_OF_NARROW,
    R_SUM_WITH_ITSELF,
    R_UPPER_HALF_OF_NARROW,
    R_WRAP_OF_EXTENSION,
    R_ZERO_DIFFERENCE,
    R_ZERO_EXTENSION,
)
from cython.cimports.stratavm.ir.passes.algebra import (
    CHANGED,
    NONE,
    Algebra,
    did,
    flags_of,
    is_const,
    is_wide,
    is_zero,
    low_bits,
    narrow,
    negation_of,
    sign_from,
    sized,
    width_of,
)
from cython.cimports.stratavm.ir.passes.constant_rules import with_constant
from cython.cimports.stratavm.ir.passes.float_rules import floating
from cython.cimports.stratavm.ir.passes.fold import fold, fold_vector
from cython.cimports.stratavm.ir.passes.lane_rules import of_lanes
from cython.cimports.stratavm.ir.ssa import (
    IR_CONST_V128,
    NO_VALUE,
    T_F32,
    T_F64,
    T_I32,
    T_I64,
    T_V128,
    Node,
    operand_count,
)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def selected(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """Rules of ``select``."""
    equal: int64_t = select_between_equals(r, node)
    if equal == NONE:
        equal = select_by_constant(r, node)
    if equal == NONE:
        equal = select_by_negation(r, node)
    return select_by_nonzero(r, node) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def unary(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """Rules of operations with one operand."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    if node.op == OP_I32_WRAP_I64:
        return wrap_of_extension(r, inner)
    if node.op == OP_I64_EXTEND_I32_U:
        return extension_of_wrap(r, inner)
    if node.op == OP_I64_EXTEND_I32_S:
        return sign_of_narrow(r, node)
    if node.op == OP_I32_EQZ or node.op == OP_I64_EQZ:
        return tested(r, node, inner)
    if OP_SIGN_BITS[node.op] and inner.type != T_V128:
        return extended(r, node, inner)
    return NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def tested(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """Rules of ``eqz``."""
    equal: int64_t
    if node.op == OP_I32_EQZ:
        if negation_of(inner.op):
            return negated_comparison(r, node, inner)
        if inner.op == OP_I32_EQZ or inner.op == OP_I64_EQZ:
            equal = double_negation_of_bit(r, inner)
            return double_negation(r, node, inner) if equal == NONE else equal
        return zero_difference(r, node, inner)
    equal = zero_extension(r, node, inner)
    return zero_difference(r, node, inner) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def extended(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """Rules of extensions with the sign, within a width."""
    equal: int64_t = extension_of_extended(r, node, inner)
    if equal == NONE:
        equal = extension_of_narrow(r, node)
    if equal == NONE:
        equal = extension_of_extension(r, node, inner)
    return extension_of_mask(r, node, inner) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def same_operands(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """Rules of an operation of a value with itself."""
    op: uint32_t = narrow(node.op)
    if op == OP_I32_SUB or op == OP_I32_XOR:
        return difference_with_itself(r, node)
    if op == OP_I32_AND or op == OP_I32_OR:
        return meet_with_itself(r, node)
    if op == OP_I32_ADD:
        return sum_with_itself(r, node)
    return comparison_with_itself(r, node) if negation_of(op) else NONE


# ---- the rules: constants, choices, conversions ----------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def fold_constants(r: Algebra, node: cython.pointer(Node), a: uint64_t, b: uint64_t) -> int64_t:
    """An operation on constants is its result."""
    result: uint64_t = 0
    if not fold(node.op, a, b, cython.address(result)):
        return NONE
    return did(r, R_FOLD_CONSTANTS, r.constant(node.type, result))


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def words_of(r: Algebra, value: uint32_t, words: cython.pointer(uint64_t)) -> cython.bint:
    """Whether a value is a constant, and its two words."""
    node: cython.pointer(Node) = cython.address(r.out.nodes[value])
    words[1] = 0
    if node.op != IR_CONST_V128:
        return is_const(r, value, words)
    words[0] = r.out.constants[node.a]
    words[1] = r.out.constants[node.a + 1]
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def fold_vectors(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """An operation on constants is its result, where one of them is a vector, or it is."""
    words: uint64_t[6]
    words[2] = words[3] = 0
    if not words_of(r, node.a, words):
        return NONE
    if operand_count(node.op, node.flags) == 2 and not words_of(r, node.b, words + 2):
        return NONE
    if not fold_vector(node.op, words, words + 2, node.c, words + 4):
        return NONE
    if node.type != T_V128:
        return did(r, R_FOLD_VECTORS, r.constant(node.type, words[4]))
    return did(r, R_FOLD_VECTORS, r.vector(words[4], words[5]))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def select_between_equals(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice between x and x is x."""
    return did(r, R_SELECT_BETWEEN_EQUALS, node.a) if node.a == node.b else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def select_by_constant(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice by a constant is known."""
    bits: uint64_t = 0
    if not is_const(r, node.c, cython.address(bits)):
        return NONE
    return did(r, R_SELECT_BY_CONSTANT, node.a if bits else node.b)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def select_by_negation(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice by x == 0 is the other choice by x."""
    condition: cython.pointer(Node) = cython.address(r.out.nodes[node.c])
    value: uint32_t = node.a
    if condition.op != OP_I32_EQZ:
        return NONE
    node.a = node.b
    node.b = value
    node.c = condition.a
    return did(r, R_SELECT_BY_NEGATION, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def select_by_nonzero(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice by x != 0 is one by x."""
    condition: cython.pointer(Node) = cython.address(r.out.nodes[node.c])
    if condition.op != OP_I32_NE or not is_zero(r, condition.b):
        return NONE
    node.c = condition.a
    return did(r, R_SELECT_BY_NONZERO, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def wrap_of_extension(r: Algebra, inner: cython.pointer(Node)) -> int64_t:
    """The low word of an extended x is x."""
    if inner.op != OP_I64_EXTEND_I32_U and inner.op != OP_I64_EXTEND_I32_S:
        return NONE
    return did(r, R_WRAP_OF_EXTENSION, inner.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extension_of_wrap(r: Algebra, inner: cython.pointer(Node)) -> int64_t:
    """The low word of x, zero-extended, is x where its upper word is zero."""
    if inner.op != OP_I32_WRAP_I64 or width_of(r, inner.a) > 32:
        return NONE
    return did(r, R_EXTENSION_OF_WRAP, inner.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def sign_of_narrow(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A value without sign is extended with zeros."""
    if width_of(r, node.a) > 31:
        return NONE
    node.op = OP_I64_EXTEND_I32_U
    return did(r, R_SIGN_OF_NARROW, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def negated_comparison(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """Not a < b is a >= b."""
    node.op = OP_NEGATION[inner.op]
    node.a = inner.a
    node.b = inner.b
    return did(r, R_NEGATED_COMPARISON, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def double_negation_of_bit(r: Algebra, inner: cython.pointer(Node)) -> int64_t:
    """(x == 0) == 0 is x where x is 0 or 1."""
    if inner.op != OP_I32_EQZ or width_of(r, inner.a) > 1:
        return NONE
    return did(r, R_DOUBLE_NEGATION_OF_BIT, inner.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def double_negation(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """(x == 0) == 0 is x != 0."""
    wide: cython.bint = is_wide(inner.op)
    node.op = sized(OP_I32_NE, wide)
    node.a = inner.a  # first: a new constant may move all nodes
    node.b = r.constant(T_I64 if wide else T_I32, 0)
    return did(r, R_DOUBLE_NEGATION, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def zero_extension(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """An extended x is zero where x is."""
    if inner.op != OP_I64_EXTEND_I32_U and inner.op != OP_I64_EXTEND_I32_S:
        return NONE
    node.op = OP_I32_EQZ
    node.a = inner.a
    return did(r, R_ZERO_EXTENSION, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def zero_difference(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """a - b and a ^ b are zero where a == b."""
    if narrow(inner.op) != OP_I32_SUB and narrow(inner.op) != OP_I32_XOR:
        return NONE
    node.op = sized(OP_I32_EQ, is_wide(node.op))
    node.a = inner.a
    node.b = inner.b
    return did(r, R_ZERO_DIFFERENCE, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extension_of_extended(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """Extending x from n bits does nothing where x was extended from n bits or fewer."""
    have: uint32_t = sign_from(inner.op)
    if have == 0 or have > OP_SIGN_BITS[node.op]:
        return NONE
    return did(r, R_EXTENSION_OF_EXTENDED, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extension_of_narrow(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """Extending x from n bits does nothing where x is below 2**(n-1)."""
    if width_of(r, node.a) >= cython.cast(cython.int, OP_SIGN_BITS[node.op]):
        return NONE
    return did(r, R_EXTENSION_OF_NARROW, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extension_of_extension(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """Extending from fewer bits does not see an extension from more: of a number, not of a lane."""
    if sign_from(inner.op) == 0 or OP_FLAGS[inner.op] & OF_LOAD or inner.op == OP_I64_EXTEND_I32_S:
        return NONE
    if r.out.nodes[inner.a].type == T_V128:
        return NONE
    node.a = inner.a
    return did(r, R_EXTENSION_OF_EXTENSION, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extension_of_mask(r: Algebra, node: cython.pointer(Node), inner: cython.pointer(Node)) -> int64_t:
    """Extending x from n bits does not see a mask that keeps them."""
    bits: uint64_t = 0
    keep: uint64_t = low_bits(OP_SIGN_BITS[node.op])
    if narrow(inner.op) != OP_I32_AND or not is_const(r, inner.b, cython.address(bits)) or bits & keep != keep:
        return NONE
    node.a = inner.a
    return did(r, R_EXTENSION_OF_MASK, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def equality_of_extensions(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """Two zero-extended values are equal where the values are."""
    if (
        (node.op != OP_I64_EQ and node.op != OP_I64_NE)
        or r.out.nodes[node.a].op != OP_I64_EXTEND_I32_U
        or r.out.nodes[node.b].op != OP_I64_EXTEND_I32_U
    ):
        return NONE
    node.op = OP_NARROW[node.op]
    node.a = r.out.nodes[node.a].a
    node.b = r.out.nodes[node.b].a
    return did(r, R_EQUALITY_OF_EXTENSIONS, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def upper_half_of_narrow(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """The upper half of a product is 0 where 64 bits hold the product."""
    if width_of(r, node.a) + width_of(r, node.b) > 64:
        return NONE
    return did(r, R_UPPER_HALF_OF_NARROW, r.constant(T_I64, 0))


# ---- of a value with itself ------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def difference_with_itself(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """x - x and x ^ x are 0."""
    return did(r, R_DIFFERENCE_WITH_ITSELF, r.constant(node.type, 0))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def meet_with_itself(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """x & x and x | x are x."""
    return did(r, R_MEET_WITH_ITSELF, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def sum_with_itself(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """x + x is x << 1."""
    node.op = sized(OP_I32_SHL, is_wide(node.op))
    node.b = r.constant(node.type, 1)
    return did(r, R_SUM_WITH_ITSELF, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def comparison_with_itself(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """x == x, x <= x and x >= x hold, the other comparisons do not."""
    return did(r, R_COMPARISON_WITH_ITSELF, r.constant(T_I32, (OP_FLAGS[node.op] & OF_REFLEXIVE) != 0))


# ---- of branches, and of operands ------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def branch_by_negation(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A branch by x == 0 is one by x with its edges exchanged."""
    condition: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    edge: uint32_t = node.b
    if condition.op != OP_I32_EQZ:
        return NONE
    node.b = node.c
    node.c = edge
    node.a = condition.a
    return did(r, R_BRANCH_BY_NEGATION, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def branch_by_nonzero(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A branch by x != 0 is one by x."""
    condition: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    if condition.op != OP_I32_NE or not is_zero(r, condition.b):
        return NONE
    node.a = condition.a
    return did(r, R_BRANCH_BY_NONZERO, CHANGED)


def order_operands(r, node):
    """Where operands may be exchanged, a constant goes right, else the older value left."""
    bits: uint64_t = 0
    value: uint32_t = node.a
    known: cython.bint = is_const(r, node.a, cython.address(bits))
    if not flags_of(node.op) & OF_COMMUTES or is_const(r, node.b, cython.address(bits)):
        return NONE
    if node.type == T_V128:
        if r.out.nodes[node.b].op == IR_CONST_V128:
            return NONE
        known = r.out.nodes[node.a].op == IR_CONST_V128
    if not known and node.a <= node.b:
        return NONE
    node.a = node.b
    node.b = value
    return did(r, R_ORDER_OPERANDS, CHANGED)


@cython.cclass
class Identities(Algebra):
    """The rules as a pass asks them."""

    def branch(self, node):
        """Apply rules to a ``br_if`` until none applies, a bounded number of times. Whether it changed."""
        turns: cython.int
        for turns in range(8):
            if branch_by_negation(self, node) == NONE and branch_by_nonzero(self, node) == NONE:
                return turns != 0
        return True

    def identity(self, node):
        """The value that a pure node is equal to, or CHANGED, or NONE."""
        a: uint64_t = 0
        b: uint64_t = 0
        equal: int64_t
        if node.op == OP_SELECT or node.op == OP_SELECT_T:
            return selected(self, node)
        if node.a == NO_VALUE:
            return NONE
        if node.type == T_V128 or self.out.nodes[node.a].type == T_V128:
            equal = fold_vectors(self, node)
            return of_lanes(self, node) if equal == NONE else equal
        if (node.type == T_F64 or node.type == T_F32) and operand_count(node.op, node.flags) == 2:
            return floating(self, node)
        if operand_count(node.op, node.flags) == 1:
            return fold_constants(self, node, a, 0) if is_const(self, node.a, cython.address(a)) else unary(self, node)
        if is_const(self, node.b, cython.address(b)):
            equal = NONE
            if is_const(self, node.a, cython.address(a)):
                equal = fold_constants(self, node, a, b)
            return with_constant(self, node, b) if equal == NONE else equal
        if node.op >= N_OPS:
            return upper_half_of_narrow(self, node)
        if node.a == node.b:
            return same_operands(self, node)
        return equality_of_extensions(self, node)
