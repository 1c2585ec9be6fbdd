# strata: hot
"""Rules of division by constants: shifts and masks for powers of two, else a product that is twice as wide.

The factors are those of ``base/reciprocals.pxd``. What a rule is says ``algebra.py``.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.bits import log2_exact
from cython.cimports.stratavm.base.reciprocals import Reciprocal, divide_shifted, reciprocal32, reciprocal64
from cython.cimports.stratavm.ir.ops import (
    OP_I32_ADD,
    OP_I32_AND,
    OP_I32_DIV_S,
    OP_I32_DIV_U,
    OP_I32_GE_U,
    OP_I32_MUL,
    OP_I32_REM_S,
    OP_I32_REM_U,
    OP_I32_SHL,
    OP_I32_SHR_S,
    OP_I32_SHR_U,
    OP_I32_SUB,
    OP_I32_WRAP_I64,
    OP_I64_ADD,
    OP_I64_EXTEND_I32_S,
    OP_I64_EXTEND_I32_U,
    OP_I64_GE_U,
    OP_I64_MUL,
    OP_I64_SHR_S,
    OP_I64_SHR_U,
    OP_I64_SUB,
)
from cython.cimports.stratavm.ir.passes._gen_rewrites import (
    R_DIVIDE_BY_CONSTANT,
    R_DIVIDE_BY_NEGATIVE,
    R_DIVIDE_BY_ONE,
    R_DIVIDE_BY_POWER,
    R_REMAINDER_BY_CONSTANT,
    R_REMAINDER_BY_MINUS_ONE,
    R_REMAINDER_BY_POWER,
)
from cython.cimports.stratavm.ir.passes.algebra import (
    CHANGED,
    NONE,
    Algebra,
    did,
    is_wide,
    length_of,
    narrow,
    ones_of,
    sized,
)
from cython.cimports.stratavm.ir.ssa import IR_MULHI_S, IR_MULHI_U, NO_VALUE, T_I32, T_I64, Node


def divided(r, node, c):
    """The first rule that applies to a division by a constant; by zero it traps."""
    op: uint32_t = narrow(node.op)
    wide: cython.bint = is_wide(node.op)
    k: cython.int = log2_exact(c)
    equal: int64_t
    if c == 0:
        return NONE
    if c == 1:
        return divide_by_one(r, node)
    if op == OP_I32_DIV_S or op == OP_I32_REM_S:
        if c >> (63 if wide else 31):
            equal = remainder_by_minus_one(r, node, c)
            return divide_by_negative(r, node, c) if equal == NONE else equal
    elif k > 0:
        return divide_by_power(r, node, c) if op == OP_I32_DIV_U else remainder_by_power(r, node, c)
    if wide and k <= 0:
        if not r.strong:
            return NONE
        r.reduced = True
    if op == OP_I32_DIV_S or op == OP_I32_DIV_U:
        return divide_by_constant(r, node, c)
    return remainder_by_constant(r, node, c)


# ---- the rules ----


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def divide_by_one(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """x / 1 is x, and nothing remains."""
    op: uint32_t = narrow(node.op)
    if op == OP_I32_REM_U or op == OP_I32_REM_S:
        return did(r, R_DIVIDE_BY_ONE, r.constant(node.type, 0))
    return did(r, R_DIVIDE_BY_ONE, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def divide_by_power(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """An unsigned x / 2**k is x >> k."""
    node.op = sized(OP_I32_SHR_U, is_wide(node.op))
    node.b = r.constant(node.type, log2_exact(c))
    return did(r, R_DIVIDE_BY_POWER, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def remainder_by_power(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """An unsigned x % 2**k are the low k bits of x."""
    node.op = sized(OP_I32_AND, is_wide(node.op))
    node.b = r.constant(node.type, c - 1)
    return did(r, R_REMAINDER_BY_POWER, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def remainder_by_minus_one(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """Division by -1 leaves no remainder; its quotient may trap and stays."""
    if c != ones_of(is_wide(node.op)) or narrow(node.op) != OP_I32_REM_S or not r.strong:
        return NONE
    r.reduced = True
    return did(r, R_REMAINDER_BY_MINUS_ONE, r.constant(node.type, 0))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def divide_by_negative(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x / -c is -(x / c), and x % -c is x % c; not by -1, nor by the least integer, which is its own opposite."""
    wide: cython.bint = is_wide(node.op)
    opposite: uint64_t = (0 - c) & ones_of(wide)
    if c == opposite or c == ones_of(wide) or not r.strong:
        return NONE
    r.reduced = True
    node.b = r.constant(node.type, opposite)
    if narrow(node.op) == OP_I32_DIV_S:
        node.b = quotient(r, node, opposite)
        node.a = r.constant(node.type, 0)
        node.op = sized(OP_I32_SUB, wide)
    return did(r, R_DIVIDE_BY_NEGATIVE, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def divide_by_constant(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x / c is the high half of x * m, shifted, for a suitable m; a signed x / 2**k is a shift of x plus a bias."""
    return did(r, R_DIVIDE_BY_CONSTANT, quotient(r, node, c))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def remainder_by_constant(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> int64_t:
    """x % c is x - x / c * c, where the quotient is a product or a shift."""
    wide: cython.bint = is_wide(node.op)
    k: cython.int = log2_exact(c)
    whole: uint32_t = quotient(r, node, c)
    if k > 0:
        whole = r.make(sized(OP_I32_SHL, wide), node.type, whole, r.constant(node.type, k))
    else:
        whole = r.make(sized(OP_I32_MUL, wide), node.type, whole, node.b)
    node.op = sized(OP_I32_SUB, wide)
    node.b = whole
    return did(r, R_REMAINDER_BY_CONSTANT, CHANGED)


# ---- quotients ----


@cython.cfunc
@cython.nogil
@cython.exceptval(0xFFFFFFFF, check=True)
def quotient(r: Algebra, node: cython.pointer(Node), c: uint64_t) -> uint32_t:
    """x / c for a c above 1; signed ones are positive."""
    k: cython.int = log2_exact(c)
    signed: cython.bint = narrow(node.op) == OP_I32_DIV_S or narrow(node.op) == OP_I32_REM_S
    if signed and k > 0:
        return quotient_power(r, node, k)
    if node.type == T_I64:
        return quotient_signed64(r, node.a, c) if signed else quotient_unsigned64(r, node.a, c)
    if signed:
        return quotient_signed(r, node.a, cython.cast(uint32_t, c))
    return quotient_unsigned(r, node.a, cython.cast(uint32_t, c))


@cython.cfunc
@cython.nogil
@cython.exceptval(0xFFFFFFFF, check=True)
def quotient_unsigned64(r: Algebra, x: uint32_t, c: uint64_t) -> uint32_t:
    """x / c: the upper half of x times a factor of 64 bits; where it needs 65, x is added without its carry."""
    by: Reciprocal
    upper: uint32_t
    half: uint32_t
    if c >> 63:
        upper = r.make(OP_I64_GE_U, T_I32, x, r.constant(T_I64, c))
        return r.make(OP_I64_EXTEND_I32_U, T_I64, upper, NO_VALUE)
    by = reciprocal64(c)
    upper = r.make(IR_MULHI_U, T_I64, x, r.constant(T_I64, by.factor))
    if by.longer:
        half = r.make(OP_I64_SUB, T_I64, x, upper)
        half = r.make(OP_I64_SHR_U, T_I64, half, r.constant(T_I64, 1))
        upper = r.make(OP_I64_ADD, T_I64, half, upper)
        by.shift -= 1
    return upper if by.shift == 0 else r.make(OP_I64_SHR_U, T_I64, upper, r.constant(T_I64, by.shift))


@cython.cfunc
@cython.nogil
@cython.exceptval(0xFFFFFFFF, check=True)
def quotient_signed64(r: Algebra, x: uint32_t, c: uint64_t) -> uint32_t:
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
    upper = r.make(IR_MULHI_S, T_I64, x, r.constant(T_I64, high))
    if high >> 63:
        upper = r.make(OP_I64_ADD, T_I64, upper, x)
    if s > 0:
        upper = r.make(OP_I64_SHR_S, T_I64, upper, r.constant(T_I64, s))
    sign = r.make(OP_I64_SHR_U, T_I64, x, r.constant(T_I64, 63))
    return r.make(OP_I64_ADD, T_I64, upper, sign)


@cython.cfunc
@cython.nogil
@cython.exceptval(0xFFFFFFFF, check=True)
def quotient_power(r: Algebra, node: cython.pointer(Node), k: cython.int) -> uint32_t:
    """x / 2**k towards zero: 2**k - 1 is added to a negative x before the shift."""
    wide: cython.bint = node.type == T_I64
    width: cython.int = 64 if wide else 32
    bias: uint32_t = node.a
    if k > 1:
        bias = r.make(sized(OP_I32_SHR_S, wide), node.type, bias, r.constant(node.type, width - 1))
    bias = r.make(sized(OP_I32_SHR_U, wide), node.type, bias, r.constant(node.type, width - k))
    bias = r.make(sized(OP_I32_ADD, wide), node.type, node.a, bias)
    return r.make(sized(OP_I32_SHR_S, wide), node.type, bias, r.constant(node.type, k))


@cython.cfunc
@cython.nogil
@cython.exceptval(0xFFFFFFFF, check=True)
def quotient_unsigned(r: Algebra, x: uint32_t, c: uint32_t) -> uint32_t:
    """x / c: the high part of x times a factor; one of 33 bits takes two steps."""
    by: Reciprocal
    product: uint32_t
    high: uint32_t
    rest: uint32_t
    if c >> 31:
        return r.make(OP_I32_GE_U, T_I32, x, r.constant(T_I32, c))
    by = reciprocal32(c)
    product = r.make(OP_I64_EXTEND_I32_U, T_I64, x, NO_VALUE)
    product = r.make(OP_I64_MUL, T_I64, product, r.constant(T_I64, by.factor))
    if not by.longer:
        product = r.make(OP_I64_SHR_U, T_I64, product, r.constant(T_I64, 32 + by.shift))
        return r.make(OP_I32_WRAP_I64, T_I32, product, NO_VALUE)
    product = r.make(OP_I64_SHR_U, T_I64, product, r.constant(T_I64, 32))
    high = r.make(OP_I32_WRAP_I64, T_I32, product, NO_VALUE)
    rest = r.make(OP_I32_SUB, T_I32, x, high)
    rest = r.make(OP_I32_SHR_U, T_I32, rest, r.constant(T_I32, 1))
    rest = r.make(OP_I32_ADD, T_I32, rest, high)
    return rest if by.shift == 1 else r.make(OP_I32_SHR_U, T_I32, rest, r.constant(T_I32, by.shift - 1))


@cython.cfunc
@cython.nogil
@cython.exceptval(0xFFFFFFFF, check=True)
def quotient_signed(r: Algebra, x: uint32_t, c: uint32_t) -> uint32_t:
    """x / c: the high part of x times floor(2**(32+s) / c) + 1, 2**s < c < 2**(s+1); one more if x < 0."""
    s: cython.int = length_of(c) - 1
    factor: uint64_t = (cython.cast(uint64_t, 1) << (32 + s)) // c + 1
    product: uint32_t = r.make(OP_I64_EXTEND_I32_S, T_I64, x, NO_VALUE)
    sign: uint32_t
    product = r.make(OP_I64_MUL, T_I64, product, r.constant(T_I64, factor))
    product = r.make(OP_I64_SHR_S, T_I64, product, r.constant(T_I64, 32 + s))
    product = r.make(OP_I32_WRAP_I64, T_I32, product, NO_VALUE)
    sign = r.make(OP_I32_SHR_U, T_I32, x, r.constant(T_I32, 31))
    return r.make(OP_I32_ADD, T_I32, product, sign)
