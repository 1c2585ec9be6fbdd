# strata: hot
"""What integer operations make of constants, as C. The tests hold it against ``spec/concrete`` for every operation."""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.wrap import (
    add32,
    add64,
    mul32,
    mul64,
    rotl32,
    rotl64,
    rotr32,
    rotr64,
    shl32,
    shl64,
    shr_s32,
    shr_s64,
    shr_u32,
    shr_u64,
    sub32,
    sub64,
)
from cython.cimports.stratavm.spec._gen_ops import (
    OP_I32_ADD,
    OP_I32_AND,
    OP_I32_EQ,
    OP_I32_EQZ,
    OP_I32_EXTEND8_S,
    OP_I32_EXTEND16_S,
    OP_I32_GE_U,
    OP_I32_MUL,
    OP_I32_OR,
    OP_I32_ROTL,
    OP_I32_ROTR,
    OP_I32_SHL,
    OP_I32_SHR_S,
    OP_I32_SHR_U,
    OP_I32_SUB,
    OP_I32_WRAP_I64,
    OP_I32_XOR,
    OP_I64_ADD,
    OP_I64_AND,
    OP_I64_EQ,
    OP_I64_EQZ,
    OP_I64_EXTEND8_S,
    OP_I64_EXTEND16_S,
    OP_I64_EXTEND32_S,
    OP_I64_EXTEND_I32_S,
    OP_I64_EXTEND_I32_U,
    OP_I64_GE_U,
    OP_I64_MUL,
    OP_I64_OR,
    OP_I64_ROTL,
    OP_I64_ROTR,
    OP_I64_SHL,
    OP_I64_SHR_S,
    OP_I64_SHR_U,
    OP_I64_SUB,
    OP_I64_XOR,
)

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def extend(value: uint64_t, bits: cython.int) -> int64_t:
    """The low ``bits`` as a signed number."""
    if bits == 8:
        return cython.cast(int64_t, cython.cast(cython.schar, cython.cast(uint8_t, value)))
    if bits == 16:
        return cython.cast(int64_t, cython.cast(cython.short, cython.cast(uint16_t, value)))
    return cython.cast(int64_t, cython.cast(int32_t, cython.cast(uint32_t, value)))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def compare(kind: cython.int, a: int64_t, b: int64_t, ua: uint64_t, ub: uint64_t) -> cython.bint:
    """The comparison ``kind`` places behind ``eq``: eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u."""
    if kind == 0:
        return ua == ub
    if kind == 1:
        return ua != ub
    if kind == 2:
        return a < b
    if kind == 3:
        return ua < ub
    if kind == 4:
        return a > b
    if kind == 5:
        return ua > ub
    if kind == 6:
        return a <= b
    if kind == 7:
        return ua <= ub
    if kind == 8:
        return a >= b
    return ua >= ub


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fold32(op: uint16_t, a: uint32_t, b: uint32_t, result: cython.pointer(uint64_t)) -> cython.bint:
    """i32 arithmetic."""
    if op == OP_I32_ADD:
        result[0] = add32(a, b)
    elif op == OP_I32_SUB:
        result[0] = sub32(a, b)
    elif op == OP_I32_MUL:
        result[0] = mul32(a, b)
    elif op == OP_I32_AND:
        result[0] = a & b
    elif op == OP_I32_OR:
        result[0] = a | b
    elif op == OP_I32_XOR:
        result[0] = a ^ b
    elif op == OP_I32_SHL:
        result[0] = shl32(a, b)
    elif op == OP_I32_SHR_S:
        result[0] = shr_s32(a, b)
    elif op == OP_I32_SHR_U:
        result[0] = shr_u32(a, b)
    elif op == OP_I32_ROTL:
        result[0] = rotl32(a, b)
    elif op == OP_I32_ROTR:
        result[0] = rotr32(a, b)
    else:
        return False
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fold64(op: uint16_t, a: uint64_t, b: uint64_t, result: cython.pointer(uint64_t)) -> cython.bint:
    """i64 arithmetic."""
    if op == OP_I64_ADD:
        result[0] = add64(a, b)
    elif op == OP_I64_SUB:
        result[0] = sub64(a, b)
    elif op == OP_I64_MUL:
        result[0] = mul64(a, b)
    elif op == OP_I64_AND:
        result[0] = a & b
    elif op == OP_I64_OR:
        result[0] = a | b
    elif op == OP_I64_XOR:
        result[0] = a ^ b
    elif op == OP_I64_SHL:
        result[0] = shl64(a, b)
    elif op == OP_I64_SHR_S:
        result[0] = shr_s64(a, b)
    elif op == OP_I64_SHR_U:
        result[0] = shr_u64(a, b)
    elif op == OP_I64_ROTL:
        result[0] = rotl64(a, b)
    elif op == OP_I64_ROTR:
        result[0] = rotr64(a, b)
    else:
        return False
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fold(op: uint16_t, a: uint64_t, b: uint64_t, result: cython.pointer(uint64_t)) -> cython.bint:
    """Raw bits of ``op`` on constants; False where it is not folded (floats, what may trap)."""
    if OP_I32_EQ <= op <= OP_I32_GE_U:
        result[0] = compare(op - OP_I32_EQ, extend(a, 32), extend(b, 32), a, b)
    elif OP_I64_EQ <= op <= OP_I64_GE_U:
        result[0] = compare(op - OP_I64_EQ, cython.cast(int64_t, a), cython.cast(int64_t, b), a, b)
    elif op == OP_I32_EQZ or op == OP_I64_EQZ:
        result[0] = a == 0
    elif OP_I32_ADD <= op <= OP_I32_ROTR:
        return fold32(op, cython.cast(uint32_t, a), cython.cast(uint32_t, b), result)
    elif OP_I64_ADD <= op <= OP_I64_ROTR:
        return fold64(op, a, b, result)
    elif op == OP_I32_WRAP_I64:
        result[0] = cython.cast(uint32_t, a)
    elif op == OP_I64_EXTEND_I32_U:
        result[0] = a
    elif op == OP_I64_EXTEND_I32_S or op == OP_I64_EXTEND32_S:
        result[0] = cython.cast(uint64_t, extend(a, 32))
    elif op == OP_I32_EXTEND8_S:
        result[0] = cython.cast(uint32_t, extend(a, 8))
    elif op == OP_I32_EXTEND16_S:
        result[0] = cython.cast(uint32_t, extend(a, 16))
    elif op == OP_I64_EXTEND8_S:
        result[0] = cython.cast(uint64_t, extend(a, 8))
    elif op == OP_I64_EXTEND16_S:
        result[0] = cython.cast(uint64_t, extend(a, 16))
    else:
        return False
    return True


def fold_bits(op: int, a: int, b: int = 0) -> "int | None":
    """``fold`` for Python: the raw result, or None where the operation is not folded."""
    result: uint64_t = 0
    if fold(op, a, b, cython.address(result)):
        return result
    return None
