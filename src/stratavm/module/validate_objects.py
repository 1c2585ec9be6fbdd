# strata: hot
"""Validation of structs, arrays, i31 and casts in bodies. The walk asks here behind all rows that do not need the GC
proposal; what is on its stack is taken and left here as it does that itself.

Source: WebAssembly 3.0, sections 3.4.6 to 3.4.9.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t
from cython.cimports.stratavm.base.leb import leb_s33, leb_u32
from cython.cimports.stratavm.module.checker import (
    F_CAST_FLAGS,
    F_COPY,
    F_DATA,
    F_DATA_COUNT,
    F_DEFAULT,
    F_ELEM,
    F_FEATURE,
    F_FIELD,
    F_IMMUTABLE_ARRAY,
    F_IMMUTABLE_FIELD,
    F_KIND,
    F_LABEL,
    F_NOT_NUMERIC,
    F_PACKED,
    F_TYPE,
    F_TYPE_INDEX,
    F_UNPACKED,
    F_VALTYPE,
    F_VALUES,
    FEW,
    FK_LOOP,
    NOTHING,
    Checker,
    Frame,
)
from cython.cimports.stratavm.module.valid import TK_ARRAY, TK_STRUCT, TypeFact
from cython.cimports.stratavm.spec._gen_ops import (
    OP_ANY_CONVERT_EXTERN,
    OP_ARRAY_COPY,
    OP_ARRAY_FILL,
    OP_ARRAY_GET,
    OP_ARRAY_GET_S,
    OP_ARRAY_GET_U,
    OP_ARRAY_INIT_DATA,
    OP_ARRAY_INIT_ELEM,
    OP_ARRAY_LEN,
    OP_ARRAY_NEW,
    OP_ARRAY_NEW_DATA,
    OP_ARRAY_NEW_DEFAULT,
    OP_ARRAY_NEW_ELEM,
    OP_ARRAY_NEW_FIXED,
    OP_ARRAY_SET,
    OP_BR_ON_CAST,
    OP_BR_ON_CAST_FAIL,
    OP_EXTERN_CONVERT_ANY,
    OP_REF_CAST_NULL,
    OP_REF_EQ,
    OP_REF_I31,
    OP_REF_TEST,
    OP_REF_TEST_NULL,
    OP_STRUCT_GET,
    OP_STRUCT_NEW,
    OP_STRUCT_NEW_DEFAULT,
    OP_STRUCT_SET,
)

from stratavm.spec import types as T

P_I32 = cython.declare(uint32_t, T.I32)
P_I8 = cython.declare(uint32_t, T.I8)
P_I16 = cython.declare(uint32_t, T.I16)
P_V128 = cython.declare(uint32_t, T.V128)
P_BOTTOM = cython.declare(uint32_t, T.BOTTOM)
P_ANYREF = cython.declare(uint32_t, T.ref(T.ANY))
P_ANY = cython.declare(uint32_t, T.ref(T.ANY, False))
P_EXTERNREF = cython.declare(uint32_t, T.ref(T.EXTERN))
P_EXTERN = cython.declare(uint32_t, T.ref(T.EXTERN, False))
P_EQREF = cython.declare(uint32_t, T.ref(T.EQ))
P_ARRAYREF = cython.declare(uint32_t, T.ref(T.ARRAY))
P_I31REF = cython.declare(uint32_t, T.ref(T.I31))
P_I31 = cython.declare(uint32_t, T.ref(T.I31, False))
K_REF = cython.declare(uint32_t, T.REF)
K_REF_NULL = cython.declare(uint32_t, T.REF_NULL)
H_CONCRETE = cython.declare(uint32_t, T.CONCRETE)
H_ANY = cython.declare(uint32_t, T.ANY)
H_FUNC = cython.declare(uint32_t, T.FUNC)
H_EXTERN = cython.declare(uint32_t, T.EXTERN)
H_EXN = cython.declare(uint32_t, T.EXN)


# ---- immediates, and the operand stack, of types ----


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def index(walk: Checker) -> uint32_t:
    """An unsigned 32-bit immediate."""
    return leb_u32(cython.address(walk.p), walk.end, cython.address(walk.leb))


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def give(walk: Checker, type: uint32_t) -> cython.int:
    """Push a type. The walk made room."""
    walk.values[walk.sp] = type
    walk.sp += 1
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def match(walk: Checker, found: uint32_t, wanted: uint32_t) -> cython.int:
    """Fail unless a type matches another one."""
    if found == wanted or walk.context.matches(found, wanted):
        return 0
    return walk.fail(F_TYPE, wanted, found)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def take(walk: Checker, wanted: uint32_t) -> cython.int:
    """Pop an operand of a type."""
    if walk.sp > walk.height:
        walk.sp -= 1
        return match(walk, walk.values[walk.sp], wanted)
    return 0 if walk.polymorphic else walk.fail(F_TYPE, wanted, NOTHING)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def take_all(
    walk: Checker, types: cython.pointer(cython.const[uint32_t]), step: uint32_t, count: uint32_t
) -> cython.int:
    """Pop ``count`` operands, the last first, of types that lie ``step`` apart. Where nothing is left of what is not
    reached, so many more are there as are wanted."""
    if count > FEW:  # a few bytes may stand for thousands: the next look at the budget comes sooner
        walk.stop -= min(count, walk.sp - walk.height)
    while count > 0:
        if walk.sp == walk.height and walk.polymorphic:
            return 0
        count -= 1
        if take(walk, unpacked(types[step * count])):
            return 1
    return 0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def unpacked(storage: uint32_t) -> uint32_t:
    """The type of a field's value as an operand."""
    return P_I32 if storage == P_I8 or storage == P_I16 else storage


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def type_at(walk: Checker, number: uint32_t, kind: uint32_t) -> cython.pointer(TypeFact):
    """The struct or array type at an index; NULL where it is none."""
    if walk.leb != 0:
        walk.fail(walk.leb, NOTHING, NOTHING)
        return cython.NULL
    if number >= walk.context.n_types:
        walk.fail(F_TYPE_INDEX, walk.context.n_types, number)
        return cython.NULL
    if walk.context.types[number].kind != kind:
        walk.fail(F_KIND, kind, number)
        return cython.NULL
    return cython.address(walk.context.types[number])


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def heap_type(walk: Checker, heap: cython.pointer(uint32_t)) -> cython.int:
    """Read a heap type."""
    value: int64_t = leb_s33(cython.address(walk.p), walk.end, cython.address(walk.leb))
    if walk.leb != 0:
        return walk.fail(walk.leb, NOTHING, NOTHING)
    if value >= walk.context.n_types:
        return walk.fail(F_TYPE_INDEX, walk.context.n_types, cython.cast(uint32_t, value))
    if value >= 0:
        heap[0] = H_CONCRETE + cython.cast(uint32_t, value)
        return 0
    heap[0] = cython.cast(uint32_t, value & 0x7F)
    if value < -64 or walk.context.solids[heap[0]] == 0:
        return walk.fail(F_VALTYPE, NOTHING, heap[0])
    feature: uint32_t = walk.type_feature(K_REF_NULL | heap[0] << 8)
    return 0 if walk.context.features >> feature & 1 else walk.fail(F_FEATURE, 0, feature)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def top_of(walk: Checker, heap: uint32_t) -> uint32_t:
    """The greatest type of a heap type's hierarchy."""
    if walk.context.heap_matches(heap, H_FUNC):
        return H_FUNC
    if walk.context.heap_matches(heap, H_EXTERN):
        return H_EXTERN
    return H_EXN if walk.context.heap_matches(heap, H_EXN) else H_ANY


# ---- structs ----


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def struct_row(walk: Checker) -> cython.int:
    """``struct.new``, ``new_default``, ``get``, ``set``."""
    op: uint32_t = walk.op
    number: uint32_t = index(walk)
    at: cython.pointer(TypeFact) = type_at(walk, number, TK_STRUCT)
    if at == cython.NULL:
        return 1
    if op == OP_STRUCT_NEW:
        return take_all(walk, at.params, 1, at.n_params) or give(walk, at.refs[1])
    if op == OP_STRUCT_NEW_DEFAULT:
        return give(walk, at.refs[1]) if at.defaults else walk.fail(F_DEFAULT, 0, number)
    field: uint32_t = index(walk)
    if walk.leb != 0:
        return walk.fail(walk.leb, NOTHING, NOTHING)
    if field >= at.n_params:
        return walk.fail(F_FIELD, at.n_params, field)
    if op == OP_STRUCT_SET:
        if not at.results[field]:
            return walk.fail(F_IMMUTABLE_FIELD, number, field)
        return take(walk, unpacked(at.params[field])) or take(walk, at.refs[0])
    return (
        sign(walk, at.params[field], op == OP_STRUCT_GET)
        or take(walk, at.refs[0])
        or give(walk, unpacked(at.params[field]))
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def sign(walk: Checker, storage: uint32_t, plain: cython.bint) -> cython.int:
    """A row that extends is for packed fields and elements, and the plain one for all others."""
    packed: cython.bint = storage == P_I8 or storage == P_I16
    if packed and plain:
        return walk.fail(F_PACKED, 0, storage)
    if not packed and not plain:
        return walk.fail(F_UNPACKED, 0, storage)
    return 0


# ---- arrays ----


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def array_row(walk: Checker) -> cython.int:
    """Rows whose first immediate is an array type."""
    op: uint32_t = walk.op
    number: uint32_t = index(walk)
    at: cython.pointer(TypeFact) = type_at(walk, number, TK_ARRAY)
    if at == cython.NULL:
        return 1
    value: uint32_t = unpacked(at.params[0])
    if op == OP_ARRAY_NEW:
        return take(walk, P_I32) or take(walk, value) or give(walk, at.refs[1])
    if op == OP_ARRAY_NEW_DEFAULT:
        if not at.defaults:
            return walk.fail(F_DEFAULT, 0, number)
        return take(walk, P_I32) or give(walk, at.refs[1])
    if op == OP_ARRAY_NEW_FIXED:
        count: uint32_t = index(walk)
        if walk.leb != 0:
            return walk.fail(walk.leb, NOTHING, NOTHING)
        return take_all(walk, at.params, 0, count) or give(walk, at.refs[1])
    if op == OP_ARRAY_GET or op == OP_ARRAY_GET_S or op == OP_ARRAY_GET_U:
        if sign(walk, at.params[0], op == OP_ARRAY_GET):
            return 1
        return take(walk, P_I32) or take(walk, at.refs[0]) or give(walk, value)
    if op == OP_ARRAY_NEW_DATA or op == OP_ARRAY_NEW_ELEM:
        if segment(walk, at, op == OP_ARRAY_NEW_DATA):
            return 1
        return take(walk, P_I32) or take(walk, P_I32) or give(walk, at.refs[1])
    return array_write(walk, at, value, number)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def array_write(walk: Checker, at: cython.pointer(TypeFact), value: uint32_t, number: uint32_t) -> cython.int:
    """``array.set``, ``fill``, ``copy``, ``init_data``, ``init_elem``."""
    op: uint32_t = walk.op
    source: cython.pointer(TypeFact) = at
    if op == OP_ARRAY_COPY:
        source = type_at(walk, index(walk), TK_ARRAY)
        if source == cython.NULL:
            return 1
    if not at.results[0]:
        return walk.fail(F_IMMUTABLE_ARRAY, NOTHING, number)
    if op == OP_ARRAY_INIT_DATA or op == OP_ARRAY_INIT_ELEM:
        if segment(walk, at, op == OP_ARRAY_INIT_DATA):
            return 1
    if op == OP_ARRAY_SET:
        return take(walk, value) or take(walk, P_I32) or take(walk, at.refs[0])
    if op == OP_ARRAY_FILL:
        return take(walk, P_I32) or take(walk, value) or take(walk, P_I32) or take(walk, at.refs[0])
    if take(walk, P_I32) or take(walk, P_I32):
        return 1
    if op == OP_ARRAY_COPY:
        if source.params[0] != at.params[0] and not walk.context.matches(source.params[0], at.params[0]):
            return walk.fail(F_COPY, at.params[0], source.params[0])
        if take(walk, source.refs[0]):
            return 1
    return take(walk, P_I32) or take(walk, at.refs[0])


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def segment(walk: Checker, at: cython.pointer(TypeFact), data: cython.bint) -> cython.int:
    """Read a segment's index: data for numbers and vectors, elements for references of the type."""
    number: uint32_t = index(walk)
    storage: uint32_t = at.params[0]
    if walk.leb != 0:
        return walk.fail(walk.leb, NOTHING, NOTHING)
    if data:
        if not (P_V128 <= storage <= P_I32 or storage == P_I8 or storage == P_I16):
            return walk.fail(F_NOT_NUMERIC, 0, storage)
        if not walk.context.has_data_count:
            return walk.fail(F_DATA_COUNT, NOTHING, NOTHING)
        if number >= walk.context.n_datas:
            return walk.fail(F_DATA, walk.context.n_datas, number)
        return 0
    if number >= walk.context.n_elems:
        return walk.fail(F_ELEM, walk.context.n_elems, number)
    return match(walk, walk.context.elem_types[number], storage)


# ---- references ----


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def converted(walk: Checker, wanted: uint32_t, nullable: uint32_t, solid: uint32_t) -> cython.int:
    """A reference of one hierarchy becomes one of another; null stays null, and what is none stays none."""
    found: uint32_t = walk.values[walk.sp - 1] if walk.sp > walk.height else P_BOTTOM
    if take(walk, wanted):
        return 1
    return give(walk, nullable if found & 0xFF == K_REF_NULL else solid)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def cast(walk: Checker) -> cython.int:
    """``ref.test`` and ``ref.cast``, for null and not."""
    heap: uint32_t = 0
    if heap_type(walk, cython.address(heap)):
        return 1
    if take(walk, K_REF_NULL | top_of(walk, heap) << 8):
        return 1
    if walk.op == OP_REF_TEST or walk.op == OP_REF_TEST_NULL:
        return give(walk, P_I32)
    return give(walk, (K_REF_NULL if walk.op == OP_REF_CAST_NULL else K_REF) | heap << 8)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def branch_on_cast(walk: Checker) -> cython.int:
    """``br_on_cast``, which branches with the reference if it is of the second type, and ``br_on_cast_fail``, if it is
    not."""
    source: uint32_t = 0
    target: uint32_t = 0
    depth: uint32_t
    flags: uint8_t
    results: cython.pointer(cython.const[uint32_t])
    count: uint32_t
    if walk.p >= walk.end:
        return walk.fail(1, NOTHING, NOTHING)
    flags = walk.p[0]
    walk.p += 1
    if flags > 3:
        return walk.fail(F_CAST_FLAGS, NOTHING, flags)
    depth = index(walk)
    if walk.leb != 0:
        return walk.fail(walk.leb, NOTHING, NOTHING)
    if heap_type(walk, cython.address(source)) or heap_type(walk, cython.address(target)):
        return 1
    if depth >= walk.n_frames:
        return walk.fail(F_LABEL, walk.n_frames, depth)
    at: cython.pointer(Frame) = cython.address(walk.frames[walk.n_frames - 1 - depth])
    results, count = at.results, at.n_results
    if at.kind == FK_LOOP:
        results, count = at.params, at.n_params
    source = (K_REF_NULL if flags & 1 else K_REF) | source << 8
    target = (K_REF_NULL if flags & 2 else K_REF) | target << 8
    if target != source and not walk.context.matches(target, source):
        return walk.fail(F_TYPE, source, target)
    if count == 0:
        return walk.fail(F_VALUES, 0, 1)
    # What is left of the first type where it is not of the second: it is null only if the second one has no null.
    rest: uint32_t = source & ~cython.cast(uint32_t, 0xFF) | (K_REF if flags & 2 else source & 0xFF)
    taken: uint32_t = target if walk.op == OP_BR_ON_CAST else rest
    if take(walk, source) or match(walk, taken, results[count - 1]):
        return 1
    return keep_all(walk, results, count - 1) or give(walk, rest if walk.op == OP_BR_ON_CAST else target)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def keep_all(walk: Checker, types: cython.pointer(cython.const[uint32_t]), count: uint32_t) -> cython.int:
    """A label's values stay on the stack, as those of the label's types."""
    i: uint32_t
    if count > FEW:
        walk.stop -= count
    i = count
    while i > 0:
        i -= 1
        if take(walk, types[i]):
            return 1
    if walk.sp + count + 16 > walk.cap_values:
        walk.grow(count + 16)
    for i in range(count):
        walk.values[walk.sp + i] = types[i]
    walk.sp += count
    return 0


def object_row(walk):
    """A row of structs, arrays, i31, or references to them."""
    op: uint32_t = walk.op
    if op == OP_BR_ON_CAST or op == OP_BR_ON_CAST_FAIL:
        return branch_on_cast(walk)
    if OP_STRUCT_NEW <= op <= OP_STRUCT_SET:
        return struct_row(walk)
    if op == OP_ARRAY_LEN:
        return take(walk, P_ARRAYREF) or give(walk, P_I32)
    if OP_ARRAY_NEW <= op <= OP_ARRAY_INIT_ELEM:
        return array_row(walk)
    if OP_REF_TEST <= op <= OP_REF_CAST_NULL:
        return cast(walk)
    if op == OP_REF_EQ:
        return take(walk, P_EQREF) or take(walk, P_EQREF) or give(walk, P_I32)
    if op == OP_REF_I31:
        return take(walk, P_I32) or give(walk, P_I31)
    if op == OP_ANY_CONVERT_EXTERN:
        return converted(walk, P_EXTERNREF, P_ANYREF, P_ANY)
    if op == OP_EXTERN_CONVERT_ANY:
        return converted(walk, P_ANYREF, P_EXTERNREF, P_EXTERN)
    return take(walk, P_I31REF) or give(walk, P_I32)
