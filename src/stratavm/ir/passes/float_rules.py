# strata: hot
"""Rules of floats: the few that give the same bits for every operand, NaN with its payload among them.

What a rule is says ``algebra.py``. Sums are not reordered, and nothing is said of x + 0 or x - x.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.ir.ops import (
    OP_F32_ADD,
    OP_F32_DIV,
    OP_F32_MUL,
    OP_F64_ADD,
    OP_F64_DIV,
    OP_F64_MUL,
)
from cython.cimports.stratavm.ir.passes._gen_rewrites import (
    R_DIVIDE_BY_FLOAT_POWER,
    R_DOUBLE_OF_FLOAT,
    R_ORDER_FLOAT_OPERANDS,
)
from cython.cimports.stratavm.ir.passes.algebra import CHANGED, NONE, Algebra, did, is_const, low_bits
from cython.cimports.stratavm.ir.ssa import T_F64, Node

F32_FRACTION = cython.declare(cython.int, 23)
F64_FRACTION = cython.declare(cython.int, 52)
F32_TWO = cython.declare(uint64_t, 0x40000000)
F64_TWO = cython.declare(uint64_t, 0x4000000000000000)


def floating(r, node):
    """Rules of sums, products and quotients of floats."""
    wide: cython.bint = node.type == T_F64
    bits: uint64_t = 0
    equal: int64_t = NONE
    if node.op == (OP_F64_DIV if wide else OP_F32_DIV):
        return divide_by_float_power(r, node, wide) if is_const(r, node.b, cython.address(bits)) else NONE
    if node.op == (OP_F64_MUL if wide else OP_F32_MUL):
        equal = double_of_float(r, node, wide)
    elif node.op != (OP_F64_ADD if wide else OP_F32_ADD):
        return NONE
    return order_float_operands(r, node, wide) if equal == NONE else equal


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def fraction_of(wide: cython.bint) -> cython.int:
    """Bits of a float's fraction."""
    return F64_FRACTION if wide else F32_FRACTION


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def exponent_of(bits: uint64_t, wide: cython.bint) -> uint32_t:
    """The biased exponent of a float."""
    return bits >> fraction_of(wide) & (0x7FF if wide else 0xFF)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def order_float_operands(r: Algebra, node: cython.pointer(Node), wide: cython.bint) -> int64_t:
    """A constant goes right in sums and products of floats; not NaN: of two of those the left one is the result."""
    bits: uint64_t = 0
    other: uint64_t = 0
    value: uint32_t = node.a
    if not is_const(r, value, cython.address(bits)) or is_const(r, node.b, cython.address(other)):
        return NONE
    if exponent_of(bits, wide) == (0x7FF if wide else 0xFF) and bits & low_bits(fraction_of(wide)):
        return NONE
    node.a = node.b
    node.b = value
    return did(r, R_ORDER_FLOAT_OPERANDS, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def double_of_float(r: Algebra, node: cython.pointer(Node), wide: cython.bint) -> int64_t:
    """x * 2.0 is x + x."""
    bits: uint64_t = 0
    if not is_const(r, node.b, cython.address(bits)) or bits != (F64_TWO if wide else F32_TWO):
        return NONE
    node.op = OP_F64_ADD if wide else OP_F32_ADD
    node.b = node.a
    return did(r, R_DOUBLE_OF_FLOAT, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def divide_by_float_power(r: Algebra, node: cython.pointer(Node), wide: cython.bint) -> int64_t:
    """x / 2**k is x * 2**-k, where both are normal."""
    bits: uint64_t = 0
    exponent: uint32_t
    most: uint32_t = 2046 if wide else 254
    sign: uint64_t = cython.cast(uint64_t, 1) << (63 if wide else 31)
    is_const(r, node.b, cython.address(bits))
    exponent = exponent_of(bits, wide)
    if bits & low_bits(fraction_of(wide)) or exponent == 0 or exponent >= most:
        return NONE
    node.op = OP_F64_MUL if wide else OP_F32_MUL
    node.b = r.constant(node.type, bits & sign | cython.cast(uint64_t, most - exponent) << fraction_of(wide))
    return did(r, R_DIVIDE_BY_FLOAT_POWER, CHANGED)
