# strata: hot
"""What integer operations make of constants, as C that `make gen` makes from the semantic functions of their rows. The
tests hold it against ``spec/concrete`` for every operation.
"""

import cython
from cython.cimports.libc.stdint import uint16_t, uint32_t, uint64_t
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_COMPARE,
    OP_FLAGS,
    OP_I32_POPCNT,
    OP_I32_SHR_U,
    OP_LANES,
    OP_POPS,
    OP_SIGN_BITS,
    OP_SIGNATURE,
)
from cython.cimports.stratavm.ir.passes._gen_fold import LANE_BITS, LANE_ROW, fold_row


def fold(op, a, b, result):
    """Raw bits of ``op`` on constants; False where it is not folded (floats, what traps)."""
    return fold_row(op, a, b, result)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def lane_of(vector: cython.pointer(uint64_t), at: uint32_t, width: uint32_t) -> uint64_t:
    """The bits of a lane that begins at a bit."""
    word: uint64_t = vector[at >> 6] >> (at & 63)
    return word if width == 64 else word & ((cython.cast(uint64_t, 1) << width) - 1)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def extended(bits: uint64_t, width: uint32_t) -> uint64_t:
    """A lane's number as an i32, or itself where it is not narrower."""
    sign: uint64_t = cython.cast(uint64_t, 1) << (width - 1)
    return bits if width >= 32 else cython.cast(uint32_t, (bits ^ sign) - sign)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def put_lane(vector: cython.pointer(uint64_t), at: uint32_t, width: uint32_t, bits: uint64_t) -> cython.void:
    """Set a lane to the low bits of a number."""
    mask: uint64_t = cython.cast(uint64_t, 0) - 1 if width == 64 else (cython.cast(uint64_t, 1) << width) - 1
    vector[at >> 6] = vector[at >> 6] & ~(mask << (at & 63)) | (bits & mask) << (at & 63)


def fold_vector(op, a, b, c, result):
    """The two words of a row of vectors on constants, numbers in the first of theirs; False where it is not folded.
    ``b`` is any where there is one operand, ``c`` the lane where there is one.
    """
    width: uint32_t = LANE_BITS[op] if op < N_OPS else 0
    operands: uint32_t = OP_SIGNATURE[op] >> 4 if op < N_OPS else 0
    at: uint32_t = 0
    one: uint64_t = 0
    if width == 0:
        return False
    result[0], result[1] = a[0], a[1]
    if LANE_ROW[op]:
        return fold_lanes(op, a, b, result)
    if OP_LANES[op] and OP_POPS[op] == 2 and operands & 15 == 5 and operands >> 4 & 15 != 5:
        put_lane(result, c * width, width, b[0])
        return True
    if OP_LANES[op] and OP_POPS[op] == 1:
        one = lane_of(a, c * width, width)
        result[0] = extended(one, width) if OP_SIGN_BITS[op] else one
        return True
    if OP_POPS[op] == 1 and operands & 15 < 5 and OP_SIGNATURE[op] & 15 == 5:
        while at < 128:
            put_lane(result, at, width, a[0])
            at += width
        return True
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fold_lanes(
    op: uint16_t, a: cython.pointer(uint64_t), b: cython.pointer(uint64_t), result: cython.pointer(uint64_t)
) -> cython.bint:
    """A row that does in each lane what a scalar row does: that one is over i32 for all lanes that are narrower, so
    that their sign is extended, but where only the bits that are there count."""
    row: uint16_t = LANE_ROW[op]
    width: uint32_t = LANE_BITS[op]
    plain: cython.bint = row == OP_I32_SHR_U or row == OP_I32_POPCNT
    count: cython.bint = OP_SIGNATURE[op] >> 8 & 15 == 1  # a shift's, which is the same for all lanes
    at: uint32_t = 0
    x: uint64_t
    y: uint64_t = b[0] & (width - 1)
    one: uint64_t = 0
    while at < 128:
        x = lane_of(a, at, width)
        x = x if plain else extended(x, width)
        if not count:
            y = extended(lane_of(b, at, width), width)
        if not fold_row(row, x, y, cython.address(one)):
            return False
        if OP_FLAGS[row] & OF_COMPARE:
            one = cython.cast(uint64_t, 0) - one
        put_lane(result, at, width, one)
        at += width
    return True


def vector_bits(op: int, a: int, b: int = 0, c: int = 0) -> "int | None":
    """``fold_vector`` for Python: the raw result, or None where the row is not folded."""
    words: uint64_t[6]
    words[0], words[1] = a & 0xFFFFFFFFFFFFFFFF, a >> 64
    words[2], words[3] = b & 0xFFFFFFFFFFFFFFFF, b >> 64
    if not fold_vector(op, words, words + 2, c, words + 4):
        return None
    low: object = words[4]
    high: object = words[5]
    return low | high << 64 if OP_SIGNATURE[op] & 15 == 5 else low


def fold_bits(op: int, a: int, b: int = 0) -> "int | None":
    """``fold`` for Python: the raw result, or None where the operation is not folded."""
    result: uint64_t = 0
    if fold(op, a, b, cython.address(result)):
        return result
    return None
