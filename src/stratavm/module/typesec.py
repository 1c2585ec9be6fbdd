"""Binary types to type objects: value types, type definitions, limits (section 5.3). What a proposal adds is refused
by name unless the proposal is enabled."""

# strata: hot
import cython
from cython.cimports.cpython.object import PyObject_GenericSetAttr
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.module.reader import PyObject_GC_UnTrack, Reader, pause

from stratavm.base.errors import DecodeError
from stratavm.base.leb import LEB_MESSAGES
from stratavm.module.features import advice, refusal
from stratavm.spec.types import (
    ArrayType,
    FieldType,
    FuncType,
    GlobalType,
    Limits,
    MemoryType,
    RecGroup,
    StructType,
    SubType,
    TableType,
)

cython.declare(
    MAX_INDEX=uint32_t,
    FUNC_FORM=cython.int,
    STRUCT_FORM=cython.int,
    ARRAY_FORM=cython.int,
    REC_FORM=cython.int,
    SUB_FORM=cython.int,
    SUB_FINAL_FORM=cython.int,
)
MAX_INDEX = (1 << 24) - 0x200  # what the packing of value types holds
FUNC_FORM = 0x60
STRUCT_FORM = 0x5F
ARRAY_FORM = 0x5E
REC_FORM = 0x4E
SUB_FORM = 0x50
SUB_FINAL_FORM = 0x4F


# Modules of strangers have hundreds of thousands of types: these are made as the decoder makes its own items.


@cython.cfunc
def new_func_type(params: tuple, results: tuple) -> object:
    """A ``FuncType``."""
    made: object = FuncType.__new__(FuncType)
    PyObject_GC_UnTrack(made)
    PyObject_GenericSetAttr(made, "params", params)
    PyObject_GenericSetAttr(made, "results", results)
    return made


@cython.cfunc
def new_sub_type(composite: object, final: object, supers: tuple) -> object:
    """A ``SubType``."""
    made: object = SubType.__new__(SubType)
    PyObject_GC_UnTrack(made)
    PyObject_GenericSetAttr(made, "composite", composite)
    PyObject_GenericSetAttr(made, "final", final)
    PyObject_GenericSetAttr(made, "supers", supers)
    return made


@cython.cfunc
def new_rec_group(types: tuple) -> object:
    """A ``RecGroup``."""
    made: object = RecGroup.__new__(RecGroup)
    PyObject_GC_UnTrack(made)
    PyObject_GenericSetAttr(made, "types", types)
    return made


@cython.cfunc
@cython.exceptval(-1)
def abstract_heap(r: Reader, code: cython.int, at: cython.Py_ssize_t) -> cython.int:
    """Whether a byte is an abstract heap type; refuses those of proposals that are not enabled."""
    if code == 0x70 or code == 0x6F:
        r.need("reference-types", "reference type", at)
        return True
    if code == 0x69 or code == 0x74:
        r.need("exceptions", "exception reference type", at)
        return True
    if 0x6A <= code <= 0x6E or 0x71 <= code <= 0x73:
        r.need("gc", "reference type", at)
        return True
    return False


@cython.cfunc
@cython.exceptval(0, check=True)
def heap_type(r: Reader) -> uint32_t:
    """A heap type: its byte, or ``CONCRETE`` (0x100) plus a type index."""
    at: cython.Py_ssize_t = r.offset()
    value: int64_t = r.s33()
    if value >= 0:
        r.need("function-references", "concrete heap type", at)
        if value > MAX_INDEX:
            r.fail("unknown type", f"a type index up to {MAX_INDEX}", str(value), at)
        return cython.cast(uint32_t, value) + 0x100
    if value < -0x40 or not abstract_heap(r, cython.cast(cython.int, value & 0x7F), at):
        r.fail("malformed heap type", "a heap type", str(value), at)
    return cython.cast(uint32_t, value & 0x7F)


@cython.cfunc
@cython.exceptval(0, check=True)
def long_ref(r: Reader, code: cython.int, at: cython.Py_ssize_t) -> uint32_t:
    """The rest of ``(ref null? heap)``."""
    r.need("function-references", "typed reference", at)
    return cython.cast(uint32_t, code) | heap_type(r) << 8


def ref_type(r):
    """A reference type, packed."""
    at: cython.Py_ssize_t = r.offset()
    code: cython.int = r.byte()
    if code == 0x63 or code == 0x64:
        return long_ref(r, code, at)
    if not abstract_heap(r, code, at):
        r.fail("malformed reference type", "a reference type", hex(code), at)
    return 0x63 | cython.cast(uint32_t, code) << 8


def val_type(r):
    """A value type, packed."""
    at: cython.Py_ssize_t = r.offset()
    code: cython.int = r.byte()
    if 0x7C <= code <= 0x7F:
        return code
    if code == 0x7B:
        r.need("simd", "v128", at)
        return code
    if code == 0x63 or code == 0x64:
        return long_ref(r, code, at)
    if not abstract_heap(r, code, at):
        r.fail(LEB_MESSAGES[2] if code >= 0x80 else "malformed value type", "a value type", hex(code), at)
    return 0x63 | cython.cast(uint32_t, code) << 8


@cython.cfunc
@cython.exceptval(-1, check=True)
def mutability(r: Reader) -> cython.bint:
    """A mutability flag."""
    at: cython.Py_ssize_t = r.offset()
    flag: cython.int = r.byte()
    if flag > 1:
        r.fail("malformed mutability", "0 or 1", str(flag), at)
    return flag == 1


@cython.cfunc
def val_types(r: Reader, limit: str, what: str) -> tuple:
    """A vector of value types."""
    count: uint32_t = r.count(1, limit, what)
    if count == 0:
        return ()
    return tuple([val_type(r) for _ in range(count)])


@cython.cfunc
def field_type(r: Reader) -> object:
    """A field: storage type and mutability."""
    code: cython.int = r.peek()
    storage: uint32_t
    if code == 0x78 or code == 0x77:
        storage = r.byte()
    else:
        storage = val_type(r)
    return FieldType(storage, mutability(r))


@cython.cfunc
def composite_type(r: Reader) -> object:
    """A function, struct or array type."""
    at: cython.Py_ssize_t = r.offset()
    form: cython.int = r.byte()
    count: uint32_t
    params: tuple
    results: tuple
    if form == FUNC_FORM:
        params = val_types(r, "params", "parameters")
        results = val_types(r, "results", "results")
        if len(results) > 1:
            r.need("multi-value", "several results", at)
        return new_func_type(params, results)
    if form == STRUCT_FORM:
        r.need("gc", "struct type", at)
        count = r.count(2, "struct_fields", "fields")
        return StructType(tuple([field_type(r) for _ in range(count)]))
    if form == ARRAY_FORM:
        r.need("gc", "array type", at)
        return ArrayType(field_type(r))
    r.fail(LEB_MESSAGES[2] if form >= 0x80 else "malformed definition type", "a type form", hex(form), at)


@cython.cfunc
@cython.exceptval(-1)
def need_subtypes(r: Reader, what: str) -> cython.int:
    """Refuse what only types of functions have without the proposal gc, and what they have not without theirs."""
    if "gc" not in r.features:
        r.need("function-subtypes", what)
    return 0


@cython.cfunc
def sub_type(r: Reader) -> object:
    """A type definition with or without its ``sub`` prefix."""
    form: cython.int = r.peek()
    count: uint32_t
    supers: tuple
    pause(r)
    if form != SUB_FORM and form != SUB_FINAL_FORM:
        return new_sub_type(composite_type(r), True, ())
    need_subtypes(r, "subtype")
    r.byte()
    count = r.count(1, "types", "supertypes")
    supers = tuple([r.u32() for _ in range(count)])
    return new_sub_type(composite_type(r), form == SUB_FINAL_FORM, supers)


def rec_group(r):
    """An entry of the type section."""
    count: uint32_t
    if r.peek() != REC_FORM:
        return new_rec_group((sub_type(r),))
    need_subtypes(r, "recursive types")
    r.byte()
    count = r.count(2, "types", "types")
    return new_rec_group(tuple([sub_type(r) for _ in range(count)]))


@cython.cfunc
def read_limits(r: Reader, memory: cython.bint) -> object:
    """Limits of a memory or a table, with the page size's logarithm: ``(Limits, shift)``."""
    at: cython.Py_ssize_t = r.offset()
    flags: cython.int = r.byte()
    minimum: uint64_t
    maximum: object = None
    shift: uint32_t = 16
    what: str = "memory" if memory else "table"
    if flags > (0x0F if memory else 0x07):
        r.fail("malformed limits flags", "a combination of known flags", hex(flags), at)
    if flags & 2:
        r.need("threads", f"a shared {what}", at)
    if flags & 4:
        r.need("memory64", f"a 64-bit {what}", at)
    if flags & 8 and "custom-page-sizes" not in r.features:  # no part of 3.0: the suite wants it malformed
        raise DecodeError(
            f"malformed limits flags: a page size {refusal('custom-page-sizes')}",
            offset=at,
            hint=advice("custom-page-sizes"),
        )
    minimum = r.u64()  # 64 bits wide for every address type; the validator checks the range
    if flags & 1:
        maximum = r.u64()
    if flags & 8:
        shift = r.u32()
        if shift >= 64:
            r.fail("invalid custom page size", "a logarithm below 64", str(shift), at)
    return Limits(minimum, maximum, bool(flags & 4), bool(flags & 2)), shift


def table_type(r):
    """A table type."""
    element: uint32_t = ref_type(r)
    return TableType(element, read_limits(r, False)[0])


def memory_type(r):
    """A memory type."""
    limits, shift = read_limits(r, True)
    return MemoryType(limits, shift)


def global_type(r):
    """A global's type."""
    value: uint32_t = val_type(r)
    return GlobalType(value, mutability(r))
