# strata: hot
"""The building walk over rows of structs, arrays, i31 and casts.

A row whose operands depend on a type is a node with a list of them and two immediates, as calls are. A cast is a test
and a trap, or a branch; a test of what every reference of its hierarchy is, or only null, compares with null.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint16_t, uint32_t
from cython.cimports.stratavm.base.leb import leb_s33, leb_u32
from cython.cimports.stratavm.front.wasm.build import put_constant, put_node, put_value, value_type
from cython.cimports.stratavm.ir.ops import (
    IMM_NONE,
    OP_ANY_CONVERT_EXTERN,
    OP_ARRAY_COPY,
    OP_ARRAY_FILL,
    OP_ARRAY_GET,
    OP_ARRAY_GET_U,
    OP_ARRAY_INIT_DATA,
    OP_ARRAY_INIT_ELEM,
    OP_ARRAY_LEN,
    OP_ARRAY_NEW,
    OP_ARRAY_NEW_DEFAULT,
    OP_ARRAY_NEW_FIXED,
    OP_ARRAY_SET,
    OP_BR_ON_CAST,
    OP_BR_ON_CAST_FAIL,
    OP_EXTERN_CONVERT_ANY,
    OP_I31_GET_S,
    OP_I31_GET_U,
    OP_I32_EQZ,
    OP_IMMS,
    OP_REF_CAST,
    OP_REF_CAST_NULL,
    OP_REF_EQ,
    OP_REF_I31,
    OP_REF_IS_NULL,
    OP_REF_TEST,
    OP_REF_TEST_NULL,
    OP_STRUCT_GET,
    OP_STRUCT_GET_U,
    OP_STRUCT_NEW,
    OP_STRUCT_NEW_DEFAULT,
)
from cython.cimports.stratavm.ir.ssa import NF_FIXED, NO_VALUE, T_I32, T_NONE, T_REF, Node

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.spec import types as T

TRAP_CAST_FAILURE = cython.declare(uint32_t, TRAPS_BY_NAME["cast_failure"].code)
P_I8 = cython.declare(uint32_t, T.I8)
P_I16 = cython.declare(uint32_t, T.I16)
H_ANY = cython.declare(int64_t, T.ANY)
H_FUNC = cython.declare(int64_t, T.FUNC)
H_EXTERN = cython.declare(int64_t, T.EXTERN)
H_EXN = cython.declare(int64_t, T.EXN)
H_NONE = cython.declare(int64_t, T.NONE)
H_NOFUNC = cython.declare(int64_t, T.NOFUNC)
H_NOEXTERN = cython.declare(int64_t, T.NOEXTERN)
H_NOEXN = cython.declare(int64_t, T.NOEXN)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def index(walk: Builder) -> uint32_t:
    """An unsigned 32-bit immediate."""
    return leb_u32(cython.address(walk.p), walk.end, cython.address(walk.leb))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def heap_type(walk: Builder) -> int64_t:
    """A heap type: an index, or a negative number."""
    return leb_s33(cython.address(walk.p), walk.end, cython.address(walk.leb))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def type_of(storage: uint32_t) -> uint8_t:
    """The type of a field's value as an operand."""
    return T_I32 if storage == P_I8 or storage == P_I16 else value_type(storage)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def count_of(walk: Builder, op: uint32_t, x: uint32_t, y: uint32_t) -> uint32_t:
    """How many operands a row of structs or arrays has."""
    if op == OP_STRUCT_NEW:
        return walk.context.types[x].n_params
    if op == OP_STRUCT_NEW_DEFAULT:
        return 0
    if op == OP_ARRAY_NEW_FIXED:
        return y
    if op == OP_ARRAY_COPY:
        return 5
    if op == OP_ARRAY_FILL or op == OP_ARRAY_INIT_DATA or op == OP_ARRAY_INIT_ELEM:
        return 4
    if op == OP_ARRAY_SET:
        return 3
    if op == OP_ARRAY_LEN or op == OP_ARRAY_NEW_DEFAULT or OP_STRUCT_GET <= op <= OP_STRUCT_GET_U:
        return 1
    return 2


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def result_of(walk: Builder, op: uint32_t, x: uint32_t, y: uint32_t) -> uint8_t:
    """The type of its result."""
    if OP_STRUCT_GET <= op <= OP_STRUCT_GET_U:
        return type_of(walk.context.types[x].params[y])
    if OP_ARRAY_GET <= op <= OP_ARRAY_GET_U:
        return type_of(walk.context.types[x].params[0])
    if op == OP_ARRAY_LEN:
        return T_I32
    if op == OP_STRUCT_NEW or op == OP_STRUCT_NEW_DEFAULT or OP_ARRAY_NEW <= op < OP_ARRAY_GET:
        return T_REF
    return T_NONE


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_fixed(walk: Builder, op: uint32_t, x: uint32_t, y: uint32_t) -> cython.bint:
    """Whether a row reads what can never be written. A subtype's field is what the supertype's is."""
    if OP_STRUCT_GET <= op <= OP_STRUCT_GET_U:
        return walk.context.types[x].results[y] == 0
    return OP_ARRAY_GET <= op <= OP_ARRAY_GET_U and walk.context.types[x].results[0] == 0


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def act(walk: Builder) -> cython.int:
    """A row of structs or arrays."""
    op: uint32_t = walk.op
    x: uint32_t = 0
    y: uint32_t = 0
    if OP_IMMS[op] & 0xFF != IMM_NONE:
        x = index(walk)
    if OP_IMMS[op] >> 8 & 0xFF != IMM_NONE:
        y = index(walk)
    if op == OP_ARRAY_NEW or op == OP_ARRAY_NEW_DEFAULT:
        y = walk.fuel  # for each element: the runtime takes it
    count: uint32_t = count_of(walk, op, x, y)
    type: uint8_t = result_of(walk, op, x, y)
    walk.spend(count)
    node: uint32_t = walk.wide(cython.cast(uint16_t, op), type, count, x, y)
    if is_fixed(walk, op, x, y):
        at: cython.pointer(Node) = cython.address(walk.ssa.nodes[node])
        at.flags |= NF_FIXED
    return 0 if type == T_NONE else put_value(walk, node)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def is_of(walk: Builder, reference: uint32_t, heap: int64_t, nullable: cython.bint) -> int64_t:
    """The number that says whether a reference is of a heap type."""
    code: int64_t = heap & 0x7F
    null: uint32_t
    if heap < 0 and (code == H_ANY or code == H_FUNC or code == H_EXTERN or code == H_EXN):
        if nullable:
            return put_constant(walk, T_I32, 1)
        null = put_node(walk, OP_REF_IS_NULL, T_I32, reference, NO_VALUE, NO_VALUE)
        return put_node(walk, OP_I32_EQZ, T_I32, null, NO_VALUE, NO_VALUE)
    if heap < 0 and (code == H_NONE or code == H_NOFUNC or code == H_NOEXTERN or code == H_NOEXN):
        if nullable:
            return put_node(walk, OP_REF_IS_NULL, T_I32, reference, NO_VALUE, NO_VALUE)
        return put_constant(walk, T_I32, 0)
    op: uint16_t = OP_REF_TEST_NULL if nullable else OP_REF_TEST
    return put_node(walk, op, T_I32, reference, NO_VALUE, cython.cast(uint32_t, heap))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def cast(walk: Builder) -> cython.int:
    """``ref.test`` and ``ref.cast``, for null and not. What a cast gives is the reference itself."""
    op: uint32_t = walk.op
    heap: int64_t = heap_type(walk)
    found: uint32_t = cython.cast(
        uint32_t, is_of(walk, walk.values[walk.sp - 1], heap, op == OP_REF_TEST_NULL or op == OP_REF_CAST_NULL)
    )
    if op == OP_REF_CAST or op == OP_REF_CAST_NULL:
        return walk.trap_where(put_node(walk, OP_I32_EQZ, T_I32, found, NO_VALUE, NO_VALUE), TRAP_CAST_FAILURE)
    walk.values[walk.sp - 1] = found
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def branch_on_cast(walk: Builder) -> cython.int:
    """``br_on_cast`` and ``br_on_cast_fail``: a branch on a test. The reference stays where it is."""
    op: uint32_t = walk.op
    flags: uint8_t = walk.p[0]
    walk.p += 1
    depth: uint32_t = index(walk)
    heap_type(walk)
    heap: int64_t = heap_type(walk)
    found: uint32_t = cython.cast(uint32_t, is_of(walk, walk.values[walk.sp - 1], heap, flags & 2 != 0))
    if op == OP_BR_ON_CAST_FAIL:
        return walk.branch_unless(found, depth)
    return walk.branch_if(found, depth)


def object_row(walk):
    """A row of structs, arrays, i31, or references to them."""
    op: uint32_t = walk.op
    if op == OP_BR_ON_CAST or op == OP_BR_ON_CAST_FAIL:
        return branch_on_cast(walk)
    if op == OP_ANY_CONVERT_EXTERN or op == OP_EXTERN_CONVERT_ANY:
        return 0  # the same word
    if OP_REF_TEST <= op <= OP_REF_CAST_NULL:
        return cast(walk)
    if op == OP_REF_I31 or op == OP_I31_GET_S or op == OP_I31_GET_U:
        walk.values[walk.sp - 1] = put_node(
            walk,
            cython.cast(uint16_t, op),
            T_REF if op == OP_REF_I31 else T_I32,
            walk.values[walk.sp - 1],
            NO_VALUE,
            NO_VALUE,
        )
        return 0
    if op == OP_REF_EQ:
        walk.sp -= 1
        walk.values[walk.sp - 1] = put_node(
            walk, OP_REF_EQ, T_I32, walk.values[walk.sp - 1], walk.values[walk.sp], NO_VALUE
        )
        return 0
    return act(walk)
