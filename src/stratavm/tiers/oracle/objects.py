"""Structs, arrays, i31 and casts on the oracle.

Source: WebAssembly 3.0, sections 4.6.5 to 4.6.9. What reads and writes objects says
``contract/objects.py``.
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.errors import Trap
from stratavm.base.forms import Final
from stratavm.base.words import counted
from stratavm.contract.objects import (
    I31_BITS,
    I31_TAG,
    MASK32,
    field_of,
    getter,
    new_array,
    new_struct,
    outside,
    setter,
)
from stratavm.heap.layout import storage_size
from stratavm.spec import types as T
from stratavm.tiers.oracle.flatten import Op
from stratavm.tiers.oracle.protocols import InstanceLike, Step, parts

PART_VALUES: Final = 1 << 12
"""Bulk operations poll behind so many values."""


def there(raw: int, trap: str) -> int:
    """A reference; a trap where it is null."""
    if not raw:
        raise Trap(trap)
    return raw


def inside(count: int, index: int, length: int) -> None:
    """Trap unless so many elements from an index on lie in an array."""
    if index + count > length:
        raise Trap("array_out_of_bounds", detail=outside(count, index, length))


# ---- structs ----


def _struct_new(op: Op, instance: InstanceLike) -> Step:
    index = op.imms[0]
    composite = instance.model.types[index].composite
    assert isinstance(composite, T.StructType)
    count = 0 if op.name.endswith("default") else len(composite.fields)

    def struct_new(stack: list[int], locals_: list[int]) -> None:
        first = len(stack) - count  # the operands stay where they are held until the object holds them
        stack[first:] = [new_struct(instance, index, stack[first:])]

    return struct_new


def _struct_get(op: Op, instance: InstanceLike) -> Step:
    get = getter(instance, op.imms[0], op.imms[1], op.name.endswith("_s"))

    def struct_get(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = get(there(stack[-1], "null_structure"), 0)

    return struct_get


def _struct_set(op: Op, instance: InstanceLike) -> Step:
    put = setter(instance, op.imms[0], op.imms[1])

    def struct_set(stack: list[int], locals_: list[int]) -> None:
        raw = stack.pop()
        put(there(stack.pop(), "null_structure"), 0, 1, raw)

    return struct_set


# ---- arrays ----


def _array_new(op: Op, instance: InstanceLike) -> Step:
    index, filled, put = op.imms[0], op.name == "array.new", setter(instance, op.imms[0], 0)

    def array_new(stack: list[int], locals_: list[int]) -> None:
        count = stack[-1]
        made = instance.new_object(index, count)
        instance.charge(count)  # behind what may fail and be done again where guests have dropped something
        if filled:
            stack[-1] = made  # it polls: the frame holds the array, and goes on holding the value
            for start, n in parts(instance, count, PART_VALUES):
                put(made, start, n, stack[-2])
            stack.pop()
        stack[-1] = made

    return array_new


def _array_new_fixed(op: Op, instance: InstanceLike) -> Step:
    index, count = op.imms

    def array_new_fixed(stack: list[int], locals_: list[int]) -> None:
        first = len(stack) - count
        stack[first:] = [new_array(instance, index, count, stack[first:])]

    return array_new_fixed


def _segment(op: Op, instance: InstanceLike) -> Callable[[int, int], memoryview]:
    """What finds so many values of a segment from a place on, or traps: their bytes, as they lie in an array too. For
    numbers the place is a byte's."""
    segment = op.imms[1]

    def references(start: int, count: int) -> memoryview:
        found = instance.elem_segment(segment)
        if start + count > len(found):
            asked = outside(count, start, len(found), f"element segment {segment}")
            raise Trap("table_out_of_bounds", detail=asked)
        return found[start : start + count].cast("B")

    if op.name.endswith("elem"):
        return references
    width = storage_size(field_of(instance.model, op.imms[0], 0).storage)

    def numbers(start: int, count: int) -> memoryview:
        data = instance.data_segment(segment)
        if start + count * width > len(data):
            asked = f"{counted(count, 'element')} of {counted(width, 'byte')} from byte {start}"
            raise Trap("memory_out_of_bounds", detail=f"{asked}, data segment {segment} has {len(data)}")
        return data[start : start + count * width]

    return numbers


def _writer(op: Op, instance: InstanceLike) -> Callable[[int, int, int, memoryview], None]:
    """What writes so many values of a segment into an array from a place on. It polls: a frame holds the array. Whoever
    drops the segment in a poll frees nothing: in the midst of a step no store does."""
    layout = instance.object_layout(op.imms[0])
    first, size = layout.offsets[0], layout.element

    def write(array: int, at: int, count: int, values: memoryview) -> None:
        for start, n in parts(instance, count, PART_VALUES):
            part = values[start * size : (start + n) * size]
            instance.write(array, first + (at + start) * size, bytes(part))

    return write


def _array_new_segment(op: Op, instance: InstanceLike) -> Step:
    index, read, write = op.imms[0], _segment(op, instance), _writer(op, instance)

    def array_new_segment(stack: list[int], locals_: list[int]) -> None:
        start, count = stack[-2:]
        values = read(start, count)
        made = instance.new_object(index, count)
        instance.charge(count)  # behind what may fail and be done again where guests have dropped something
        stack[-2:] = [made]
        write(made, 0, count, values)

    return array_new_segment


def _array_init(op: Op, instance: InstanceLike) -> Step:
    read, write = _segment(op, instance), _writer(op, instance)

    def array_init(stack: list[int], locals_: list[int]) -> None:
        raw, at, start, count = stack[-4:]
        array = there(raw, "null_array")
        inside(count, at, instance.length_of(array))
        values = read(start, count)
        instance.charge(count)
        write(array, at, count, values)
        del stack[-4:]

    return array_init


def _array_get(op: Op, instance: InstanceLike) -> Step:
    get = getter(instance, op.imms[0], 0, op.name.endswith("_s"))

    def array_get(stack: list[int], locals_: list[int]) -> None:
        at = stack.pop()
        array = there(stack[-1], "null_array")
        inside(1, at, instance.length_of(array))
        stack[-1] = get(array, at)

    return array_get


def _array_set(op: Op, instance: InstanceLike) -> Step:
    put = setter(instance, op.imms[0], 0)

    def array_set(stack: list[int], locals_: list[int]) -> None:
        raw, at = stack.pop(), stack.pop()
        array = there(stack.pop(), "null_array")
        inside(1, at, instance.length_of(array))
        put(array, at, 1, raw)

    return array_set


def _array_len(op: Op, instance: InstanceLike) -> Step:
    def array_len(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = instance.length_of(there(stack[-1], "null_array"))

    return array_len


def _array_fill(op: Op, instance: InstanceLike) -> Step:
    put = setter(instance, op.imms[0], 0)

    def array_fill(stack: list[int], locals_: list[int]) -> None:
        count, raw, at = stack[-1], stack[-2], stack[-3]
        array = there(stack[-4], "null_array")
        inside(count, at, instance.length_of(array))
        instance.charge(count)
        for start, n in parts(instance, count, PART_VALUES):  # it polls: the frame goes on holding the array
            put(array, at + start, n, raw)
        del stack[-4:]

    return array_fill


def _array_copy(op: Op, instance: InstanceLike) -> Step:
    layout = instance.object_layout(op.imms[0])
    first, size = layout.offsets[0], layout.element

    def array_copy(stack: list[int], locals_: list[int]) -> None:
        count, start, at = stack[-1], stack[-2], stack[-4]
        array, source = there(stack[-5], "null_array"), there(stack[-3], "null_array")
        inside(count, at, instance.length_of(array))
        inside(count, start, instance.length_of(source))
        instance.charge(count)
        for part, n in parts(instance, count, PART_VALUES, start < at):
            places = first + (at + part) * size, first + (start + part) * size
            instance.move(array, places[0], source, places[1], n * size)
        del stack[-5:]

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
    def convert_reference(stack: list[int], locals_: list[int]) -> None:
        """It is the same word."""

    return convert_reference


def is_of(instance: InstanceLike, heap: int) -> Callable[[int], bool]:
    """Whether a reference that is not null is of a heap type, as the binary has it: an index, or a negative number."""
    if heap >= 0:
        if isinstance(instance.model.types[heap].composite, T.FuncType):
            return lambda raw: instance.has_type(instance.resolve_func(raw), heap)

        def is_concrete(raw: int) -> bool:
            found = instance.type_of_object(raw)
            return found != 0 and instance.is_below(found, heap)

        return is_concrete
    abstract = heap & 0x7F
    if abstract in (T.ANY, T.FUNC, T.EXTERN, T.EXN):
        return lambda raw: True
    if abstract in (T.NONE, T.NOFUNC, T.NOEXTERN, T.NOEXN):
        return lambda raw: False

    def is_abstract(raw: int) -> bool:
        if raw & I31_TAG:
            return abstract in (T.I31, T.EQ)
        found = instance.type_of_object(raw)
        if not found:
            return False
        return abstract == T.EQ or abstract == (T.ARRAY if found & T.ARRAY_ID else T.STRUCT)

    return is_abstract


def _ref_test(op: Op, instance: InstanceLike) -> Step:
    test, nullable = is_of(instance, op.imms[0]), 1 if op.name.endswith("_null") else 0

    def ref_test(stack: list[int], locals_: list[int]) -> None:
        raw = stack[-1]
        stack[-1] = (1 if test(raw) else 0) if raw else nullable

    return ref_test


def _ref_cast(op: Op, instance: InstanceLike) -> Step:
    heap, nullable = op.imms[0], op.name.endswith("_null")
    test = is_of(instance, heap)

    def ref_cast(stack: list[int], locals_: list[int]) -> None:
        raw = stack[-1]
        if not (test(raw) if raw else nullable):
            raise Trap("cast_failure", detail=instance.failed_cast(raw, heap, nullable))

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
