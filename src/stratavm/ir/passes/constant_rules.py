# strata: hot
"""Rules of integer operations with a constant on the right: sums, products, bits, shifts, comparisons.

What a rule is says ``algebra.py``; those of division are in ``divisions.py``.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.bits import log2_exact
from cython.cimports.stratavm.ir.ops import (
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
    OP_I64_EXTEND8_S,
    OP_I64_EXTEND16_S,
    OP_I64_EXTEND32_S,
    OP_I64_EXTEND_I32_U,
    OP_NARROW,
)
from cython.cimports.stratavm.ir.passes._gen_rewrites import (
    R_ADD_ZERO,
    R_COMPARE_BEYOND_WIDTH,
    R_COMPARE_BIT,
    R_COMPARE_EQUAL_TO_ZERO,
    R_COMPARE_EXTENSION,
    R_COMPARE_UNLIKE_ZERO,
    R_MASK_OF_EVERYTHING,
    R_MASK_OF_MASK,
    R_MASK_OF_NOTHING,
    R_MASK_OF_WORD,
    R_MULTIPLY_BY_ADDRESS,
    R_MULTIPLY_BY_MINUS_ONE,
    R_MULTIPLY_BY_POWER,
    R_MULTIPLY_BY_ZERO,
    R_OR_OF_OR,
    R_OR_ONES,
    R_OR_ZERO,
    R_PRODUCT_OF_PRODUCT,
    R_SHIFT_BY_ZERO,
    R_SHIFT_OF_SHIFT,
    R_SHIFT_TO_NOTHING,
    R_SHIFTS_THAT_EXTEND,
    R_SHIFTS_THAT_MASK,
    R_SUBTRACT_CONSTANT,
    R_SUM_OF_SUM,
    R_UPPER_HALF_BY_POWER,
)
from cython.cimports.stratavm.ir.passes.algebra import (
    CHANGED,
    NONE,
    Algebra,
    did,
    is_const,
    is_wide,
    low_bits,
    narrow,
    negation_of,
    ones_of,
    sized,
    width_of,
)
from cython.cimports.stratavm.ir.passes.divisions import divided
from cython.cimports.stratavm.ir.ssa import (
    IR_MULHI_S,
    IR_MULHI_U,
    NO_VALUE,
    T_I32,
    T_I64,
    Node,
)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_shift(op: uint32_t) -> cython.bint:
    """Whether an i32 operation shifts."""
    return op == OP_I32_SHL or op == OP_I32_SHR_S or op == OP_I32_SHR_U


@cython.cfunc
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


def with_constant(r, node, c):
    """Rules with a constant on the right, by kind of operation."""
    op: uint32_t = narrow(node.op)
    if op == OP_I32_ADD or op == OP_I32_SUB:
        return added(r, node, c)
    if op == OP_I32_MUL:
        return multiplied(r, node, c)
    if op == OP_I32_AND:
        return masked(r, node, c)
    if op == OP_I32_OR or op == OP_I32_XOR:
        return joined(r, node, c)
    if is_shift(op):
        return shifted(r, node, c)
    if op == OP_I32_ROTL or op == OP_I32_ROTR:
        return shift_by_zero(r, node, c)
    if negation_of(op):
        return compared(r, node, c)
    if op == OP_I32_DIV_S or op == OP_I32_DIV_U or op == OP_I32_REM_S or op == OP_I32_REM_U:
        return divided(r, node, c)
    if op == IR_MULHI_U or op == IR_MULHI_S:
        return upper_half_by_power(r, node, c)
    return NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def added(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Rules of sums and differences."""
    equal: int64_t = add_zero(r, node, c)
    if equal == NONE:
        equal = subtract_constant(r, node, c)
    return sum_of_sum(r, node, c) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def multiplied(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Rules of products."""
    equal: int64_t = multiply_by_zero(r, node, c)
    if equal == NONE:
        equal = multiply_by_power(r, node, c)
    if equal == NONE:
        equal = multiply_by_minus_one(r, node, c)
    if equal == NONE:
        equal = multiply_by_address(r, node, c)
    return product_of_product(r, node, c) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def masked(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Rules of ``and``."""
    known: uint64_t = low_bits(width_of(r, node.a))
    equal: int64_t = NONE if c == 0 else mask_of_everything(r, node, c, known)
    if equal == NONE:
        equal = mask_of_nothing(r, node, c, known)
    if equal == NONE:
        equal = mask_of_word(r, node, c)
    return mask_of_mask(r, node, c) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def joined(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Rules of ``or`` and ``xor``."""
    equal: int64_t = or_zero(r, node, c)
    if equal == NONE:
        equal = or_ones(r, node, c)
    return or_of_or(r, node, c) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def shifted(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Rules of shifts."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    before: uint64_t = 0
    equal: int64_t = shift_by_zero(r, node, c)
    c &= 63 if node.type == T_I64 else 31
    if equal == NONE:
        equal = shift_to_nothing(r, node, c)
    if equal != NONE:
        return equal
    if not is_shift(narrow(inner.op)) or not is_const(r, inner.b, cython.address(before)):
        return NONE
    before &= 63 if node.type == T_I64 else 31
    if inner.op == node.op:
        return shift_of_shift(r, node, c, before)
    if before != c:
        return NONE
    equal = shifts_that_extend(r, node, c)
    return shifts_that_mask(r, node, c) if equal == NONE else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def compared(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Rules of comparisons."""
    width: cython.int = width_of(r, node.a)
    equal: int64_t
    if c > low_bits(width):
        return compare_beyond_width(r, node)
    equal = compare_bit(r, node, c, width)
    if equal == NONE:
        equal = compare_equal_to_zero(r, node, c)
    if equal == NONE:
        equal = compare_unlike_zero(r, node, c)
    return compare_extension(r, node, c) if equal == NONE else equal


# ---- with a constant: sums and products ------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def add_zero(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x + 0 and x - 0 are x."""
    return did(r, R_ADD_ZERO, node.a) if c == 0 else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def subtract_constant(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x - c is x + -c: one form to find again."""
    wide: cython.bint = is_wide(node.op)
    if narrow(node.op) != OP_I32_SUB:
        return NONE
    node.op = sized(OP_I32_ADD, wide)
    node.b = r.constant(node.type, (0 - c) & ones_of(wide))
    return did(r, R_SUBTRACT_CONSTANT, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def sum_of_sum(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """(x + b) + c is x + (b + c)."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    bits: uint64_t = 0
    if inner.op != node.op or not is_const(r, inner.b, cython.address(bits)):
        return NONE
    node.a = inner.a
    node.b = r.constant(node.type, (bits + c) & ones_of(is_wide(node.op)))
    return did(r, R_SUM_OF_SUM, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def multiply_by_zero(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x * 0 is 0."""
    return did(r, R_MULTIPLY_BY_ZERO, node.b) if c == 0 else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def multiply_by_power(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x * 2**k is x << k."""
    k: cython.int = log2_exact(c)
    if k < 0:
        return NONE
    if k == 0:
        return did(r, R_MULTIPLY_BY_POWER, node.a)
    node.op = sized(OP_I32_SHL, is_wide(node.op))
    node.b = r.constant(node.type, k)
    return did(r, R_MULTIPLY_BY_POWER, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def multiply_by_minus_one(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x * -1 is 0 - x."""
    wide: cython.bint = is_wide(node.op)
    if c != ones_of(wide):
        return NONE
    node.op = sized(OP_I32_SUB, wide)
    node.b = node.a
    node.a = r.constant(node.type, 0)
    return did(r, R_MULTIPLY_BY_MINUS_ONE, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def multiply_by_address(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x * 3, 5 or 9 is x + (x << 1, 2 or 3): one computation of an address instead of three cycles."""
    wide: cython.bint = is_wide(node.op)
    if not r.strong or (c != 3 and c != 5 and c != 9):
        return NONE
    r.reduced = True
    node.op = sized(OP_I32_ADD, wide)
    node.b = r.make(sized(OP_I32_SHL, wide), node.type, node.a, r.constant(node.type, log2_exact(c - 1)))
    return did(r, R_MULTIPLY_BY_ADDRESS, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def product_of_product(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """(x * b) * c is x * (b * c)."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    bits: uint64_t = 0
    if inner.op != node.op or not is_const(r, inner.b, cython.address(bits)):
        return NONE
    node.a = inner.a
    node.b = r.constant(node.type, (bits * c) & ones_of(is_wide(node.op)))
    return did(r, R_PRODUCT_OF_PRODUCT, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def upper_half_by_power(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """The upper half of x * 2**k is x >> (64 - k): signs of x, or nothing, for k = 0."""
    k: cython.int = log2_exact(c)
    is_signed: cython.bint = node.op == IR_MULHI_S
    if c == 0 or (k == 0 and not is_signed):
        return did(r, R_UPPER_HALF_BY_POWER, r.constant(T_I64, 0))
    if k < 0 or (k == 63 and is_signed):
        return NONE
    node.op = sized(OP_I32_SHR_S if is_signed else OP_I32_SHR_U, True)
    node.b = r.constant(T_I64, 64 - k if k else 63)
    return did(r, R_UPPER_HALF_BY_POWER, CHANGED)


# ---- with a constant: bits -------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def mask_of_nothing(r: Algebra, node: cython.pointer(Node), c: uint64_t, known: uint64_t) -> int64_t:
    """x & c is 0 where c keeps none of the bits that x can have."""
    if c == 0:
        return did(r, R_MASK_OF_NOTHING, node.b)
    return did(r, R_MASK_OF_NOTHING, r.constant(node.type, 0)) if c & known == 0 else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def mask_of_everything(r: Algebra, node: cython.pointer(Node), c: uint64_t, known: uint64_t) -> int64_t:
    """x & c is x where c keeps all bits that x can have."""
    return did(r, R_MASK_OF_EVERYTHING, node.a) if c & known == known else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def mask_of_word(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """The low word of an i64, zero-extended, takes no constant."""
    if c != ones_of(False) or node.type != T_I64:
        return NONE
    node.op = OP_I64_EXTEND_I32_U
    node.a = r.make(OP_I32_WRAP_I64, T_I32, node.a, NO_VALUE)
    node.b = NO_VALUE
    return did(r, R_MASK_OF_WORD, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def mask_of_mask(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """(x & b) & c is x & (b & c)."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    bits: uint64_t = 0
    if inner.op != node.op or not is_const(r, inner.b, cython.address(bits)):
        return NONE
    node.a = inner.a
    node.b = r.constant(node.type, bits & c)
    return did(r, R_MASK_OF_MASK, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def or_zero(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x | 0 and x ^ 0 are x."""
    return did(r, R_OR_ZERO, node.a) if c == 0 else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def or_ones(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x | -1 is -1."""
    if narrow(node.op) != OP_I32_OR or c != ones_of(is_wide(node.op)):
        return NONE
    return did(r, R_OR_ONES, node.b)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def or_of_or(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """(x | b) | c is x | (b | c), and (x ^ b) ^ c is x ^ (b ^ c)."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    bits: uint64_t = 0
    if inner.op != node.op or not is_const(r, inner.b, cython.address(bits)):
        return NONE
    node.a = inner.a
    node.b = r.constant(node.type, bits | c if narrow(node.op) == OP_I32_OR else bits ^ c)
    return did(r, R_OR_OF_OR, CHANGED)


# ---- with a constant: shifts -----------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def shift_by_zero(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Shifting or rotating by a multiple of the width does nothing."""
    return NONE if c & (63 if node.type == T_I64 else 31) else did(r, R_SHIFT_BY_ZERO, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def shift_to_nothing(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x >> c is 0 where x is below 2**c."""
    if narrow(node.op) != OP_I32_SHR_U or c < cython.cast(uint64_t, width_of(r, node.a)):
        return NONE
    return did(r, R_SHIFT_TO_NOTHING, r.constant(node.type, 0))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def shift_of_shift(r: Algebra, node: cython.pointer(Node), c: uint64_t, before: uint64_t) -> int64_t:
    """Shifting by b and then by c is shifting by b + c, or leaves nothing but signs."""
    width: uint64_t = 64 if node.type == T_I64 else 32
    if before + c >= width and narrow(node.op) != OP_I32_SHR_S:
        return did(r, R_SHIFT_OF_SHIFT, r.constant(node.type, 0))
    node.a = r.out.nodes[node.a].a
    node.b = r.constant(node.type, min(before + c, width - 1))
    return did(r, R_SHIFT_OF_SHIFT, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def shifts_that_extend(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x << c >> c with signs extends the low bits, where there is an operation for so many."""
    wide: cython.bint = is_wide(node.op)
    left: uint64_t = (64 if wide else 32) - c
    if narrow(node.op) != OP_I32_SHR_S or narrow(r.out.nodes[node.a].op) != OP_I32_SHL:
        return NONE
    if left == 8:
        node.op = OP_I64_EXTEND8_S if wide else OP_I32_EXTEND8_S
    elif left == 16:
        node.op = OP_I64_EXTEND16_S if wide else OP_I32_EXTEND16_S
    elif left == 32:
        node.op = OP_I64_EXTEND32_S
    else:
        return NONE
    node.a = r.out.nodes[node.a].a
    node.b = NO_VALUE
    return did(r, R_SHIFTS_THAT_EXTEND, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def shifts_that_mask(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x << c >> c and x >> c << c are masks of x, where the constant is small."""
    wide: cython.bint = is_wide(node.op)
    op: uint32_t = narrow(node.op)
    before: uint32_t = narrow(r.out.nodes[node.a].op)
    mask: uint64_t
    if op == OP_I32_SHR_U and before == OP_I32_SHL and (not wide or c >= 32):
        mask = ones_of(wide) >> c
    elif op == OP_I32_SHL and before == OP_I32_SHR_U and (not wide or c < 32):
        mask = (ones_of(wide) << c) & ones_of(wide)
    else:
        return NONE
    node.op = sized(OP_I32_AND, wide)
    node.a = r.out.nodes[node.a].a
    node.b = r.constant(node.type, mask)
    return did(r, R_SHIFTS_THAT_MASK, CHANGED)


# ---- with a constant: comparisons ------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def compare_beyond_width(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A comparison with more than x can be is known."""
    op: uint32_t = narrow(node.op)
    if op == OP_I32_EQ or op == OP_I32_GT_U or op == OP_I32_GE_U:
        return did(r, R_COMPARE_BEYOND_WIDTH, r.constant(T_I32, 0))
    if op == OP_I32_NE or op == OP_I32_LT_U or op == OP_I32_LE_U:
        return did(r, R_COMPARE_BEYOND_WIDTH, r.constant(T_I32, 1))
    return NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def compare_bit(r: Algebra, node: cython.pointer(Node), c: uint64_t, width: cython.int) -> int64_t:
    """x != 0 and x == 1 are x where x is 0 or 1."""
    if width != 1 or not ((node.op == OP_I32_NE and c == 0) or (node.op == OP_I32_EQ and c == 1)):
        return NONE
    return did(r, R_COMPARE_BIT, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def compare_equal_to_zero(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x == 0 and an unsigned x < 1 are one test."""
    op: uint32_t = narrow(node.op)
    if not ((op == OP_I32_EQ and c == 0) or (op == OP_I32_LT_U and c == 1)):
        return NONE
    node.op = sized(OP_I32_EQZ, is_wide(node.op))
    node.b = NO_VALUE
    return did(r, R_COMPARE_EQUAL_TO_ZERO, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def compare_unlike_zero(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Unsigned, x > 0 and x >= 1 are x != 0."""
    op: uint32_t = narrow(node.op)
    wide: cython.bint = is_wide(node.op)
    if not ((op == OP_I32_GT_U and c == 0) or (op == OP_I32_GE_U and c == 1)):
        return NONE
    node.op = sized(OP_I32_NE, wide)
    node.b = r.constant(T_I64 if wide else T_I32, 0)
    return did(r, R_COMPARE_UNLIKE_ZERO, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def compare_extension(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """A zero-extended x compares, unsigned, as x does."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    if inner.op != OP_I64_EXTEND_I32_U or not is_wide(node.op) or not ignores_signs(narrow(node.op)):
        return NONE
    node.op = OP_NARROW[node.op]
    node.a = inner.a
    node.b = r.constant(T_I32, c)
    return did(r, R_COMPARE_EXTENSION, CHANGED)
