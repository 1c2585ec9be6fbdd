"""Structs, arrays, i31 and casts on the oracle.

Source: WebAssembly 3.0, sections 4.6.5 to 4.6.9. What an object is says ``contract/objects.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from stratavm.base.errors import Trap
from stratavm.base.forms import Final
from stratavm.contract.objects import (
    I31_BITS,
    I31_TAG,
    GuestObject,
    boxed,
    field_of,
    is_traced,
    new_array,
    new_struct,
    raw_of,
    storage_mask,
    stored,
    unboxed,
)
from stratavm.spec import types as T
from stratavm.tiers.oracle.flatten import Op
from stratavm.tiers.oracle.protocols import InstanceLike, Step, parts

PART_VALUES: Final = 1 << 12
"""Bulk operations poll behind so many values."""
MASK32: Final = 0xFFFF_FFFF
PACKED: Final = {T.I8: 8, T.I16: 16}
WIDTHS: Final = {T.I8: 1, T.I16: 2, T.I32: 4, T.F32: 4, T.I64: 8, T.F64: 8, T.V128: 16}


def object_of(instance: InstanceLike, raw: int, trap: str) -> GuestObject:
    """The object behind a reference; a trap where it is null."""
    if not raw:
        raise Trap(trap)
    found = instance.thing_of(raw)
    assert isinstance(found, GuestObject)
    return found


def inside(count: int, index: int, length: int) -> None:
    """Trap unless so many elements from an index on lie in an array."""
    if index + count > length:
        raise Trap("array_out_of_bounds", detail=f"{count} elements at {index}, the array has {length}")


def getter(instance: InstanceLike, op: Op, field: int) -> Callable[[GuestObject, int], int]:
    """What reads a value of an object as raw bits: extended where it is packed."""
    storage = field_of(instance.model, op.imms[0], field).storage
    if T.is_ref(storage) and T.heap(storage) in (T.EXTERN, T.NOEXTERN):

        def outside(thing: GuestObject, at: int) -> int:
            raw = raw_of(instance, thing.values[at])
            return instance.sent(raw) if raw else 0  # it may lie where any object of Python does

        return outside
    if is_traced(instance.model, storage):
        return lambda thing, at: raw_of(instance, thing.values[at])
    if op.name.endswith("_s"):
        sign = 1 << (PACKED[storage] - 1)
        return lambda thing, at: ((thing.values[at] ^ sign) - sign) & MASK32  # type: ignore[operator]
    return lambda thing, at: thing.values[at]  # type: ignore[return-value]


def setter(instance: InstanceLike, type_index: int, field: int) -> Callable[[GuestObject, int, int], None]:
    """What writes raw bits into an object."""
    storage = field_of(instance.model, type_index, field).storage
    mask = storage_mask(storage)
    if is_traced(instance.model, storage):

        def hold(thing: GuestObject, at: int, raw: int) -> None:
            thing.values[at] = stored(instance, raw)

        return hold

    def put(thing: GuestObject, at: int, raw: int) -> None:
        thing.values[at] = raw & mask

    return put


# ---- structs ----


def _struct_new(op: Op, instance: InstanceLike) -> Step:
    index = op.imms[0]
    composite = instance.model.types[index].composite
    assert isinstance(composite, T.StructType)
    count = 0 if op.name.endswith("default") else len(composite.fields)

    def struct_new(stack: list[int], locals_: list[int]) -> None:
        first = len(stack) - count
        stack[first:] = [new_struct(instance, index, stack[first:])]

    return struct_new


def _struct_get(op: Op, instance: InstanceLike) -> Step:
    field = op.imms[1]
    get = getter(instance, op, field)

    def struct_get(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = get(object_of(instance, stack[-1], "null_structure"), field)

    return struct_get


def _struct_set(op: Op, instance: InstanceLike) -> Step:
    field = op.imms[1]
    put = setter(instance, op.imms[0], field)

    def struct_set(stack: list[int], locals_: list[int]) -> None:
        raw = stack.pop()
        put(object_of(instance, stack.pop(), "null_structure"), field, raw)

    return struct_set


# ---- arrays ----


def _array_new(op: Op, instance: InstanceLike) -> Step:
    index, plain = op.imms[0], op.name == "array.new"

    def array_new(stack: list[int], locals_: list[int]) -> None:
        count = stack.pop()
        raws = [stack.pop()] if plain else [0]
        stack.append(new_array(instance, index, count, raws))

    return array_new


def _array_new_fixed(op: Op, instance: InstanceLike) -> Step:
    index, count = op.imms

    def array_new_fixed(stack: list[int], locals_: list[int]) -> None:
        first = len(stack) - count
        stack[first:] = [new_array(instance, index, count, stack[first:])]

    return array_new_fixed


def _segment(op: Op, instance: InstanceLike) -> Callable[[int, int], Iterable[int]]:
    """What reads so many values of a segment from a place on, or traps; for numbers the place is a byte's."""
    segment = op.imms[1]

    def references(start: int, count: int) -> Iterable[int]:
        found = instance.elem_segment(segment)
        if start + count > len(found):
            raise Trap("table_out_of_bounds", detail=f"element segment {segment} has {len(found)} elements")
        return found[start : start + count]

    if op.name.endswith("elem"):
        return references
    width = WIDTHS[field_of(instance.model, op.imms[0], 0).storage]

    def numbers(start: int, count: int) -> Iterable[int]:
        data = instance.data_segment(segment)
        if start + count * width > len(data):
            raise Trap("memory_out_of_bounds", detail=f"data segment {segment} has {len(data)} bytes")
        places = range(start, start + count * width, width)
        return (int.from_bytes(data[at : at + width], "little") for at in places)

    return numbers


def _array_new_segment(op: Op, instance: InstanceLike) -> Step:
    index, read = op.imms[0], _segment(op, instance)

    def array_new_segment(stack: list[int], locals_: list[int]) -> None:
        count, start = stack.pop(), stack.pop()
        made = new_array(instance, index, count, read(start, count))
        instance.charge(count)  # behind what may fail and be done again where guests have dropped something
        stack.append(made)

    return array_new_segment


def _array_init(op: Op, instance: InstanceLike) -> Step:
    read, put = _segment(op, instance), setter(instance, op.imms[0], 0)

    def array_init(stack: list[int], locals_: list[int]) -> None:
        count, start, at = stack.pop(), stack.pop(), stack.pop()
        thing = object_of(instance, stack.pop(), "null_array")
        inside(count, at, len(thing.values))
        values = read(start, count)
        instance.charge(count)
        for place, raw in enumerate(values, at):
            put(thing, place, raw)

    return array_init


def _array_get(op: Op, instance: InstanceLike) -> Step:
    get = getter(instance, op, 0)

    def array_get(stack: list[int], locals_: list[int]) -> None:
        at = stack.pop()
        thing = object_of(instance, stack[-1], "null_array")
        inside(1, at, len(thing.values))
        stack[-1] = get(thing, at)

    return array_get


def _array_set(op: Op, instance: InstanceLike) -> Step:
    put = setter(instance, op.imms[0], 0)

    def array_set(stack: list[int], locals_: list[int]) -> None:
        raw, at = stack.pop(), stack.pop()
        thing = object_of(instance, stack.pop(), "null_array")
        inside(1, at, len(thing.values))
        put(thing, at, raw)

    return array_set


def _array_len(op: Op, instance: InstanceLike) -> Step:
    def array_len(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = len(object_of(instance, stack[-1], "null_array").values)

    return array_len


def _array_fill(op: Op, instance: InstanceLike) -> Step:
    put = setter(instance, op.imms[0], 0)

    def array_fill(stack: list[int], locals_: list[int]) -> None:
        count, raw, at = stack.pop(), stack.pop(), stack.pop()
        thing = object_of(instance, stack.pop(), "null_array")
        inside(count, at, len(thing.values))
        instance.charge(count)
        for start, n in parts(instance, count, PART_VALUES):
            for place in range(at + start, at + start + n):
                put(thing, place, raw)

    return array_fill


def _array_copy(op: Op, instance: InstanceLike) -> Step:
    def array_copy(stack: list[int], locals_: list[int]) -> None:
        count, start = stack.pop(), stack.pop()
        source = object_of(instance, stack.pop(), "null_array")
        at = stack.pop()
        thing = object_of(instance, stack.pop(), "null_array")
        inside(count, at, len(thing.values))
        inside(count, start, len(source.values))
        instance.charge(count)
        for part, n in parts(instance, count, PART_VALUES, start < at):
            thing.values[at + part : at + part + n] = source.values[start + part : start + part + n]

    return array_copy


# ---- references ----


def _ref_eq(op: Op, instance: InstanceLike) -> Step:
    def ref_eq(stack: list[int], locals_: list[int]) -> None:
        right = stack.pop()
        stack[-1] = 1 if stack[-1] == right else 0

    return ref_eq


def _ref_i31(op: Op, instance: InstanceLike) -> Step:
    def ref_i31(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = I31_TAG | (stack[-1] & I31_BITS)

    return ref_i31


def _i31_get(op: Op, instance: InstanceLike) -> Step:
    sign = 1 << 30 if op.name.endswith("_s") else 0

    def i31_get(stack: list[int], locals_: list[int]) -> None:
        if not stack[-1]:
            raise Trap("null_i31")
        stack[-1] = (((stack[-1] & I31_BITS) ^ sign) - sign) & MASK32

    return i31_get


def _convert(op: Op, instance: InstanceLike) -> Step:
    convert = unboxed if op.name == "any.convert_extern" else boxed

    def convert_reference(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = convert(instance, stack[-1])

    return convert_reference


def is_of(instance: InstanceLike, heap: int) -> Callable[[int], bool]:
    """Whether a reference that is not null is of a heap type, as the binary has it: an index, or a negative number."""
    if heap >= 0:
        if isinstance(instance.model.types[heap].composite, T.FuncType):
            return lambda raw: instance.has_type(instance.resolve_func(raw), heap)

        def is_concrete(raw: int) -> bool:
            thing = None if raw & I31_TAG else instance.thing_of(raw)
            return isinstance(thing, GuestObject) and instance.is_below(thing.type_id, heap)

        return is_concrete
    abstract = heap & 0x7F
    if abstract in (T.ANY, T.FUNC, T.EXTERN, T.EXN):
        return lambda raw: True
    if abstract in (T.NONE, T.NOFUNC, T.NOEXTERN, T.NOEXN):
        return lambda raw: False

    def is_abstract(raw: int) -> bool:
        if raw & I31_TAG:
            return abstract in (T.I31, T.EQ)
        thing = instance.thing_of(raw)
        if not isinstance(thing, GuestObject):
            return False
        return abstract == T.EQ or abstract == (T.ARRAY if thing.is_array else T.STRUCT)

    return is_abstract


def _ref_test(op: Op, instance: InstanceLike) -> Step:
    test, nullable = is_of(instance, op.imms[0]), 1 if op.name.endswith("_null") else 0

    def ref_test(stack: list[int], locals_: list[int]) -> None:
        raw = stack[-1]
        stack[-1] = (1 if test(raw) else 0) if raw else nullable

    return ref_test


def _ref_cast(op: Op, instance: InstanceLike) -> Step:
    test, nullable = is_of(instance, op.imms[0]), op.name.endswith("_null")

    def ref_cast(stack: list[int], locals_: list[int]) -> None:
        raw = stack[-1]
        if not (test(raw) if raw else nullable):
            raise Trap("cast_failure")

    return ref_cast


def cast_branch(op: Op, instance: InstanceLike, take: Callable[[list[int]], int]) -> Step:
    """``br_on_cast`` and ``br_on_cast_fail``; ``take`` follows the branch."""
    flags, heap = op.imms[1], op.imms[2]
    test, nullable, wanted = is_of(instance, heap), bool(flags & 2), op.name == "br_on_cast"

    def branch(stack: list[int], locals_: list[int]) -> int | None:
        raw = stack[-1]
        return take(stack) if (test(raw) if raw else nullable) == wanted else None

    return branch


BINDERS: Final[dict[str, Callable[[Op, InstanceLike], Step]]] = {
    "struct.new": _struct_new,
    "struct.new_default": _struct_new,
    "struct.get": _struct_get,
    "struct.get_s": _struct_get,
    "struct.get_u": _struct_get,
    "struct.set": _struct_set,
    "array.new": _array_new,
    "array.new_default": _array_new,
    "array.new_fixed": _array_new_fixed,
    "array.new_data": _array_new_segment,
    "array.new_elem": _array_new_segment,
    "array.get": _array_get,
    "array.get_s": _array_get,
    "array.get_u": _array_get,
    "array.set": _array_set,
    "array.len": _array_len,
    "array.fill": _array_fill,
    "array.copy": _array_copy,
    "array.init_data": _array_init,
    "array.init_elem": _array_init,
    "ref.eq": _ref_eq,
    "ref.i31": _ref_i31,
    "i31.get_s": _i31_get,
    "i31.get_u": _i31_get,
    "ref.test": _ref_test,
    "ref.test_null": _ref_test,
    "ref.cast": _ref_cast,
    "ref.cast_null": _ref_cast,
    "any.convert_extern": _convert,
    "extern.convert_any": _convert,
}
"""What binds each row that does not branch."""
