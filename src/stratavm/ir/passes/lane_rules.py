# strata: hot
"""Rules of vectors: bits and sums with a constant or with themselves, lanes that were put where they are taken from,
shuffles that move nothing.

What a rule is says ``algebra.py``; operations on constants alone are folded before these are asked.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OP_I8X16_ADD,
    OP_I8X16_SHUFFLE,
    OP_I8X16_SUB,
    OP_I8X16_SWIZZLE,
    OP_I16X8_ADD,
    OP_I16X8_SUB,
    OP_I32_AND,
    OP_I32_EXTEND8_S,
    OP_I32_EXTEND16_S,
    OP_I32X4_ADD,
    OP_I32X4_SUB,
    OP_I64X2_ADD,
    OP_I64X2_SUB,
    OP_LANES,
    OP_POPS,
    OP_SIGN_BITS,
    OP_SIGNATURE,
    OP_V128_AND,
    OP_V128_ANDNOT,
    OP_V128_BITSELECT,
    OP_V128_NOT,
    OP_V128_OR,
    OP_V128_XOR,
)
from cython.cimports.stratavm.ir.passes._gen_fold import LANE_BITS
from cython.cimports.stratavm.ir.passes._gen_rewrites import (
    R_AND_OF_LANES,
    R_ANDNOT_OF_LANES,
    R_BITSELECT_BY_CONSTANT,
    R_BITSELECT_BY_WORDS,
    R_BITSELECT_OF_EQUALS,
    R_COMPLEMENT_OF_COMPLEMENT,
    R_EXTRACT_OF_REPLACE,
    R_EXTRACT_OF_SPLAT,
    R_LANES_WITH_THEMSELVES,
    R_MEET_OF_COMPLEMENT,
    R_OR_OF_LANES,
    R_REPLACE_OF_EXTRACT,
    R_SHUFFLE_OF_NOTHING,
    R_SUM_OF_LANES,
    R_SWIZZLE_BY_CONSTANT,
    R_XOR_OF_LANES,
)
from cython.cimports.stratavm.ir.passes.algebra import CHANGED, NONE, Algebra, did, low_bits
from cython.cimports.stratavm.ir.ssa import IR_CONST_V128, NO_VALUE, T_I32, Node

ONES = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
UPPER = cython.declare(uint64_t, 0xF0F0F0F0F0F0F0F0)
"""Of indices of bytes: where one is set, there is no such byte."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_all(r: Algebra, value: uint32_t, word: uint64_t) -> cython.bint:
    """Whether a value is the constant of which both halves are this word."""
    node: cython.pointer(Node) = cython.address(r.out.nodes[value])
    return node.op == IR_CONST_V128 and r.out.constants[node.a] == word and r.out.constants[node.a + 1] == word


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def sums(op: uint32_t) -> cython.bint:
    """Whether an operation adds lanes of integers."""
    return op == OP_I8X16_ADD or op == OP_I16X8_ADD or op == OP_I32X4_ADD or op == OP_I64X2_ADD


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def subtracts(op: uint32_t) -> cython.bint:
    """Whether an operation subtracts lanes of integers."""
    return op == OP_I8X16_SUB or op == OP_I16X8_SUB or op == OP_I32X4_SUB or op == OP_I64X2_SUB


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def splats(op: uint32_t) -> cython.bint:
    """Whether an operation puts a number into every lane."""
    return op < N_OPS and LANE_BITS[op] != 0 and OP_POPS[op] == 1 and OP_SIGNATURE[op] & 15 == 5 and takes_number(op)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def takes_number(op: uint32_t) -> cython.bint:
    """Whether the first operand of a row is no vector."""
    return OP_SIGNATURE[op] >> 4 & 15 < 5


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extracts(op: uint32_t) -> cython.bint:
    """Whether an operation takes a lane."""
    return op < N_OPS and OP_LANES[op] and LANE_BITS[op] != 0 and OP_POPS[op] == 1 and OP_SIGNATURE[op] & 15 != 5


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def replaces(op: uint32_t) -> cython.bint:
    """Whether an operation puts a number into a lane."""
    return (
        op < N_OPS
        and OP_LANES[op]
        and LANE_BITS[op] != 0
        and OP_POPS[op] == 2
        and not takes_number(op)
        and OP_SIGNATURE[op] >> 8 & 15 != 5
    )


def of_lanes(r, node):
    """Rules of vectors, by kind of operation."""
    op: uint32_t = node.op
    equal: int64_t
    if op >= N_OPS:
        return NONE
    if op == OP_V128_AND:
        equal = and_of_lanes(r, node)
        equal = meet_of_complement(r, node) if equal == NONE else equal
    elif op == OP_V128_OR:
        equal = or_of_lanes(r, node)
    elif op == OP_V128_XOR:
        equal = xor_of_lanes(r, node)
    elif op == OP_V128_ANDNOT:
        equal = andnot_of_lanes(r, node)
    elif op == OP_V128_NOT:
        return complement_of_complement(r, node)
    elif op == OP_V128_BITSELECT:
        return chosen(r, node)
    elif op == OP_I8X16_SHUFFLE:
        return shuffle_of_nothing(r, node)
    elif op == OP_I8X16_SWIZZLE:
        return swizzle_by_constant(r, node)
    elif extracts(op):
        equal = extract_of_splat(r, node)
        return extract_of_replace(r, node) if equal == NONE else equal
    elif replaces(op):
        return replace_of_extract(r, node)
    elif sums(op) or subtracts(op):
        equal = sum_of_lanes(r, node)
    else:
        return NONE
    return lanes_with_themselves(r, node) if equal == NONE and node.a == node.b else equal


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def chosen(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """Rules of a choice of bits."""
    equal: int64_t = bitselect_of_equals(r, node)
    if equal == NONE:
        equal = bitselect_by_constant(r, node)
    return bitselect_by_words(r, node) if equal == NONE else equal


# ---- bits ------------------------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def and_of_lanes(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, x & 0 is 0 and x & -1 is x."""
    if is_all(r, node.b, 0):
        return did(r, R_AND_OF_LANES, node.b)
    return did(r, R_AND_OF_LANES, node.a) if is_all(r, node.b, ONES) else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def meet_of_complement(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, x & ~y is one operation."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.b])
    value: uint32_t = node.a
    if inner.op != OP_V128_NOT:
        inner = cython.address(r.out.nodes[node.a])
        value = node.b
    if inner.op != OP_V128_NOT:
        return NONE
    node.op = OP_V128_ANDNOT
    node.a = value
    node.b = inner.a
    return did(r, R_MEET_OF_COMPLEMENT, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def or_of_lanes(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, x | 0 is x and x | -1 is -1."""
    if is_all(r, node.b, ONES):
        return did(r, R_OR_OF_LANES, node.b)
    return did(r, R_OR_OF_LANES, node.a) if is_all(r, node.b, 0) else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def xor_of_lanes(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, x ^ 0 is x and x ^ -1 is ~x."""
    if is_all(r, node.b, 0):
        return did(r, R_XOR_OF_LANES, node.a)
    if not is_all(r, node.b, ONES):
        return NONE
    node.op = OP_V128_NOT
    node.b = NO_VALUE
    return did(r, R_XOR_OF_LANES, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def andnot_of_lanes(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, x & ~0 is x, x & ~-1 and 0 & ~x are 0, -1 & ~x is ~x, x & ~~y is x & y."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.b])
    if is_all(r, node.b, 0) or is_all(r, node.a, 0):
        return did(r, R_ANDNOT_OF_LANES, node.a)
    if is_all(r, node.b, ONES):
        return did(r, R_ANDNOT_OF_LANES, r.vector(0, 0))
    if is_all(r, node.a, ONES):
        node.op = OP_V128_NOT
        node.a = node.b
        node.b = NO_VALUE
        return did(r, R_ANDNOT_OF_LANES, CHANGED)
    if inner.op != OP_V128_NOT:
        return NONE
    node.op = OP_V128_AND
    node.b = inner.a
    return did(r, R_ANDNOT_OF_LANES, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def complement_of_complement(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, ~~x is x."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    return did(r, R_COMPLEMENT_OF_COMPLEMENT, inner.a) if inner.op == OP_V128_NOT else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def lanes_with_themselves(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In vectors, x & x and x | x are x; x ^ x, x & ~x and x - x are 0."""
    if node.op == OP_V128_AND or node.op == OP_V128_OR:
        return did(r, R_LANES_WITH_THEMSELVES, node.a)
    if sums(node.op):
        return NONE
    return did(r, R_LANES_WITH_THEMSELVES, r.vector(0, 0))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def sum_of_lanes(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """In lanes, x + 0 and x - 0 are x."""
    return did(r, R_SUM_OF_LANES, node.a) if is_all(r, node.b, 0) else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def bitselect_of_equals(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice between the bits of x and those of x is x."""
    return did(r, R_BITSELECT_OF_EQUALS, node.a) if node.a == node.b else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def bitselect_by_constant(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice of all bits, or of none, is known; and a choice between x and nothing is a mask of x."""
    if is_all(r, node.c, 0):
        return did(r, R_BITSELECT_BY_CONSTANT, node.b)
    if is_all(r, node.c, ONES):
        return did(r, R_BITSELECT_BY_CONSTANT, node.a)
    if is_all(r, node.b, 0):
        node.op = OP_V128_AND
        node.b = node.c
    elif is_all(r, node.a, 0):
        node.op = OP_V128_ANDNOT
        node.a = node.b
        node.b = node.c
    else:
        return NONE
    node.c = NO_VALUE
    return did(r, R_BITSELECT_BY_CONSTANT, CHANGED)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def bitselect_by_words(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A choice by a constant that takes words whole is a shuffle, which is one instruction for that."""
    mask: cython.pointer(Node) = cython.address(r.out.nodes[node.c])
    word: uint64_t
    i: uint32_t
    k: uint32_t
    lanes: uint64_t[2]
    if mask.op != IR_CONST_V128:
        return NONE
    for k in range(2):
        lanes[k] = 0
        for i in range(8):
            word = r.out.constants[mask.a + k] >> (i >> 1) * 16 & 0xFFFF
            if word != 0 and word != 0xFFFF:
                return NONE
            lanes[k] |= cython.cast(uint64_t, 8 * k + i + (0 if word else 16)) << 8 * i
    node.op = OP_I8X16_SHUFFLE
    node.c = r.out.constant(lanes[0])
    r.out.constant(lanes[1])
    return did(r, R_BITSELECT_BY_WORDS, CHANGED)


# ---- lanes -----------------------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def lane_is(r: Algebra, node: cython.pointer(Node), value: uint32_t) -> int64_t:
    """What an extraction gives whose lane was made of this number: CHANGED, or the number, or NONE where it is of
    another type."""
    width: uint32_t = LANE_BITS[node.op]
    if r.out.nodes[value].type != node.type:
        return NONE
    if width >= 32:
        return value
    node.a = value
    node.c = NO_VALUE
    if OP_SIGN_BITS[node.op]:
        node.op = OP_I32_EXTEND8_S if width == 8 else OP_I32_EXTEND16_S
    else:
        node.op = OP_I32_AND
        node.b = r.constant(T_I32, low_bits(width))
    return CHANGED


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def extract_of_splat(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A lane of what has x in each lane is x."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    found: int64_t
    if not splats(inner.op) or LANE_BITS[inner.op] != LANE_BITS[node.op]:
        return NONE
    found = lane_is(r, node, inner.a)
    return NONE if found == NONE else did(r, R_EXTRACT_OF_SPLAT, found)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1, check=False)
def extract_of_replace(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A lane that was replaced by x is x; another lane is what it was before."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.a])
    found: int64_t = CHANGED
    if not replaces(inner.op) or LANE_BITS[inner.op] != LANE_BITS[node.op]:
        return NONE
    if inner.c == node.c:
        found = lane_is(r, node, inner.b)
    else:
        node.a = inner.a
    return NONE if found == NONE else did(r, R_EXTRACT_OF_REPLACE, found)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def replace_of_extract(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A vector with a lane of its own in that lane is the vector."""
    inner: cython.pointer(Node) = cython.address(r.out.nodes[node.b])
    if not extracts(inner.op) or inner.a != node.a or inner.c != node.c or LANE_BITS[inner.op] != LANE_BITS[node.op]:
        return NONE
    return did(r, R_REPLACE_OF_EXTRACT, node.a)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def shuffle_of_nothing(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A shuffle that leaves all bytes of x where they are is x."""
    lanes: uint8_t[16]
    i: uint32_t = 0
    memcpy(lanes, r.out.constants + node.c, 16)
    while i < 16 and lanes[i] & 15 == i and (lanes[i] == lanes[0] + i or node.a == node.b):
        i += 1
    return did(r, R_SHUFFLE_OF_NOTHING, node.a if lanes[0] == 0 else node.b) if i == 16 else NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def swizzle_by_constant(r: Algebra, node: cython.pointer(Node)) -> int64_t:
    """A swizzle by a constant all of whose bytes are there is a shuffle."""
    by: cython.pointer(Node) = cython.address(r.out.nodes[node.b])
    if by.op != IR_CONST_V128 or (r.out.constants[by.a] | r.out.constants[by.a + 1]) & UPPER:
        return NONE
    node.op = OP_I8X16_SHUFFLE
    node.b = node.a
    node.c = by.a
    return did(r, R_SWIZZLE_BY_CONSTANT, CHANGED)
