"""Flat operations to callables over one instance. Owns the effect of every operation except calls and returns.

A *step* gets the operand stack and the locals of its frame. It returns None to go on with the next one, a position to
continue there, ``RETURN``, a ``Callee`` whose arguments are on top of the stack: then the machine calls, a ``Tail``,
which is one that takes the place of the frame, or ``Thrown``.
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.errors import Trap
from stratavm.base.forms import Final
from stratavm.base.words import counted
from stratavm.spec.concrete import DOMAINS
from stratavm.spec.domain import LETTER_TYPES, WIDTHS, bound_type
from stratavm.spec.ids import BULK_FUEL_SHIFT
from stratavm.spec.ops import BY_MNEMONIC
from stratavm.spec.record import Row
from stratavm.spec.types import Limits
from stratavm.tiers.oracle.atomics import atomic
from stratavm.tiers.oracle.flatten import Jump, Op
from stratavm.tiers.oracle.objects import BINDERS, cast_branch
from stratavm.tiers.oracle.protocols import Callee, InstanceLike, Step, TableLike, Tail, Thrown, parts, within
from stratavm.tiers.oracle.vectors import access, lanes

RETURN: Final = -1
MASK32: Final = 0xFFFF_FFFF
MASK64: Final = 0xFFFF_FFFF_FFFF_FFFF
PART_BYTES: Final = 1 << 20
"""Bulk operations poll behind so many bytes, or elements."""
PART_ELEMENTS: Final = 1 << 12


def bind(op: Op, instance: InstanceLike) -> Step:
    """The step for an operation."""
    binder = _BINDERS.get(op.name)
    if binder is not None:
        return binder(op, instance)
    if op.row.walk == "object":
        return BINDERS[op.name](op, instance)
    if op.row.walk == "branch_cast":
        return cast_branch(op, instance, _take(op.imms[0]))
    if op.row.walk == "atomic":
        return atomic(op, instance)
    if op.row.walk in ("lane", "lanes"):
        return lanes(op, instance)
    if op.row.via:
        return access(op, instance)
    if op.row.access is not None:
        return _store(op, instance) if op.row.access.store else _load(op, instance)
    return _computation(op.row)


def _computation(row: Row) -> Step:
    """A row with a semantic function, on numbers."""
    meaning, domain = BY_MNEMONIC[row.mnemonic].semantics, DOMAINS[bound_type(row)]
    assert meaning is not None, row

    def unary(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = meaning(domain, stack[-1])

    def binary(stack: list[int], locals_: list[int]) -> None:
        right = stack.pop()
        stack[-1] = meaning(domain, stack[-1], right)

    count, results = len(row.operands), len(row.results)

    def several(stack: list[int], locals_: list[int]) -> None:
        found = meaning(domain, *stack[-count:])
        stack[-count:] = found if results > 1 else (found,)

    if count > 2 or results > 1:
        return several
    return unary if count == 1 else binary


# Memory


def _load(op: Op, instance: InstanceLike) -> Step:
    index, offset = op.imms[0]
    memory, access = instance.memories[index], op.row.access
    assert access is not None
    size, signed = access.bytes, access.signed
    mask = (1 << WIDTHS[LETTER_TYPES[op.row.results]]) - 1

    def load(stack: list[int], locals_: list[int]) -> None:
        address = stack[-1] + offset
        within(memory, address, size)
        stack[-1] = int.from_bytes(memory.read(address, size), "little", signed=signed) & mask

    return load


def _store(op: Op, instance: InstanceLike) -> Step:
    index, offset = op.imms[0]
    memory, access = instance.memories[index], op.row.access
    assert access is not None
    size, mask = access.bytes, (1 << 8 * access.bytes) - 1

    def store(stack: list[int], locals_: list[int]) -> None:
        value = stack.pop() & mask
        address = stack.pop() + offset
        within(memory, address, size)
        memory.put(address, value.to_bytes(size, "little"))

    return store


def _memory_size(op: Op, instance: InstanceLike) -> Step:
    memory = instance.memories[op.imms[0]]

    def memory_size(stack: list[int], locals_: list[int]) -> None:
        stack.append(memory.size_pages)

    return memory_size


def _mask(limits: Limits) -> int:
    """The bits of an address."""
    return MASK64 if limits.is64 else MASK32


def _memory_grow(op: Op, instance: InstanceLike) -> Step:
    memory = instance.memories[op.imms[0]]
    mask = _mask(instance.model.memory_types[op.imms[0]].limits)

    def memory_grow(stack: list[int], locals_: list[int]) -> None:
        try:
            stack[-1] = memory.extend(stack[-1]) & mask
        except BaseException as error:  # of a limiter
            instance.oracle.budget.theirs = error
            raise

    return memory_grow


def _fuel(op: Op, instance: InstanceLike) -> Step:
    cost = op.imms[0]

    def fuel(stack: list[int], locals_: list[int]) -> None:
        instance.charge(cost)

    return fuel


def _memory_init(op: Op, instance: InstanceLike) -> Step:
    segment, memory = op.imms[0], instance.memories[op.imms[1]]

    def memory_init(stack: list[int], locals_: list[int]) -> None:
        count, source, target = stack.pop(), stack.pop(), stack.pop()
        data = instance.data_segment(segment)
        if source + count > len(data):
            raise Trap("memory_out_of_bounds", detail=f"data segment {segment} has {len(data)} bytes")
        within(memory, target, count)
        instance.charge(count >> BULK_FUEL_SHIFT)
        for at, n in parts(instance, count, PART_BYTES):
            memory.put(target + at, bytes(data[source + at : source + at + n]))

    return memory_init


def _data_drop(op: Op, instance: InstanceLike) -> Step:
    def data_drop(stack: list[int], locals_: list[int]) -> None:
        instance.drop_data(op.imms[0])

    return data_drop


def _memory_copy(op: Op, instance: InstanceLike) -> Step:
    to, from_ = instance.memories[op.imms[0]], instance.memories[op.imms[1]]

    def memory_copy(stack: list[int], locals_: list[int]) -> None:
        count, source, target = stack.pop(), stack.pop(), stack.pop()
        within(from_, source, count)
        within(to, target, count)
        instance.charge(count >> BULK_FUEL_SHIFT)
        for at, n in parts(instance, count, PART_BYTES, source < target):
            to.put(target + at, from_.read(source + at, n))

    return memory_copy


def _memory_fill(op: Op, instance: InstanceLike) -> Step:
    memory = instance.memories[op.imms[0]]

    def memory_fill(stack: list[int], locals_: list[int]) -> None:
        count, value, target = stack.pop(), stack.pop(), stack.pop()
        within(memory, target, count)
        instance.charge(count >> BULK_FUEL_SHIFT)
        for at, n in parts(instance, count, PART_BYTES):
            memory.put(target + at, bytes((value & 0xFF,)) * n)

    return memory_fill


# Tables


def _inside(table: TableLike, index: int, count: int) -> None:
    """Trap unless a range lies inside of a table."""
    if index + count > len(table):
        detail = f"{counted(count, 'element')} at {index}, the table has {len(table)}"
        raise Trap("table_out_of_bounds", detail=detail)


def _table_get(op: Op, instance: InstanceLike) -> Step:
    table = instance.tables[op.imms[0]]

    def table_get(stack: list[int], locals_: list[int]) -> None:
        _inside(table, stack[-1], 1)
        stack[-1] = table.get(stack[-1])

    return table_get


def _table_set(op: Op, instance: InstanceLike) -> Step:
    table = instance.tables[op.imms[0]]

    def table_set(stack: list[int], locals_: list[int]) -> None:
        raw, index = stack.pop(), stack.pop()
        _inside(table, index, 1)
        table.set(index, raw)

    return table_set


def _table_size(op: Op, instance: InstanceLike) -> Step:
    table = instance.tables[op.imms[0]]

    def table_size(stack: list[int], locals_: list[int]) -> None:
        stack.append(len(table))

    return table_size


def _table_grow(op: Op, instance: InstanceLike) -> Step:
    table = instance.tables[op.imms[0]]
    mask = _mask(instance.model.table_types[op.imms[0]].limits)

    def table_grow(stack: list[int], locals_: list[int]) -> None:
        delta = stack.pop()
        if table.fits(delta):
            instance.charge(delta)
        try:
            stack[-1] = table.extend(delta, stack[-1]) & mask
        except BaseException as error:  # of a limiter
            instance.oracle.budget.theirs = error
            raise

    return table_grow


def _table_fill(op: Op, instance: InstanceLike) -> Step:
    table = instance.tables[op.imms[0]]

    def table_fill(stack: list[int], locals_: list[int]) -> None:
        count, raw, index = stack.pop(), stack.pop(), stack.pop()
        _inside(table, index, count)
        instance.charge(count)
        for at, n in parts(instance, count, PART_ELEMENTS):
            for i in range(index + at, index + at + n):
                table.set(i, raw)

    return table_fill


def _table_copy(op: Op, instance: InstanceLike) -> Step:
    to, from_ = instance.tables[op.imms[0]], instance.tables[op.imms[1]]

    def table_copy(stack: list[int], locals_: list[int]) -> None:
        count, source, target = stack.pop(), stack.pop(), stack.pop()
        _inside(from_, source, count)
        _inside(to, target, count)
        instance.charge(count)
        for at, n in parts(instance, count, PART_ELEMENTS, source < target):
            for i, raw in enumerate([from_.get(source + at + i) for i in range(n)], target + at):
                to.set(i, raw)

    return table_copy


def _table_init(op: Op, instance: InstanceLike) -> Step:
    segment, table = op.imms[0], instance.tables[op.imms[1]]

    def table_init(stack: list[int], locals_: list[int]) -> None:
        count, source, target = stack.pop(), stack.pop(), stack.pop()
        elements = instance.elem_segment(segment)
        if source + count > len(elements):
            raise Trap("table_out_of_bounds", detail=f"element segment {segment} has {len(elements)} elements")
        _inside(table, target, count)
        instance.charge(count)
        for at, n in parts(instance, count, PART_ELEMENTS):
            for i in range(at, at + n):
                table.set(target + i, elements[source + i])

    return table_init


def _elem_drop(op: Op, instance: InstanceLike) -> Step:
    def elem_drop(stack: list[int], locals_: list[int]) -> None:
        instance.drop_elem(op.imms[0])

    return elem_drop


# Variables, constants, references


def _local_get(op: Op, instance: InstanceLike) -> Step:
    index = op.imms[0]

    def local_get(stack: list[int], locals_: list[int]) -> None:
        stack.append(locals_[index])

    return local_get


def _local_set(op: Op, instance: InstanceLike) -> Step:
    index = op.imms[0]

    def local_set(stack: list[int], locals_: list[int]) -> None:
        locals_[index] = stack.pop()

    return local_set


def _local_tee(op: Op, instance: InstanceLike) -> Step:
    index = op.imms[0]

    def local_tee(stack: list[int], locals_: list[int]) -> None:
        locals_[index] = stack[-1]

    return local_tee


def _global_get(op: Op, instance: InstanceLike) -> Step:
    variable = instance.globals[op.imms[0]]

    def global_get(stack: list[int], locals_: list[int]) -> None:
        stack.append(variable.bits)

    return global_get


def _global_set(op: Op, instance: InstanceLike) -> Step:
    variable = instance.globals[op.imms[0]]

    def global_set(stack: list[int], locals_: list[int]) -> None:
        variable.bits = stack.pop()

    return global_set


def _push(value: int) -> Step:
    def push(stack: list[int], locals_: list[int]) -> None:
        stack.append(value)

    return push


def _constant(op: Op, instance: InstanceLike) -> Step:
    return _push(op.imms[0])


def _ref_null(op: Op, instance: InstanceLike) -> Step:
    return _push(0)


def _ref_func(op: Op, instance: InstanceLike) -> Step:
    return _push(instance.func_ref(op.imms[0]))


def _ref_as_non_null(op: Op, instance: InstanceLike) -> Step:
    def ref_as_non_null(stack: list[int], locals_: list[int]) -> None:
        if not stack[-1]:
            raise Trap("null_reference")

    return ref_as_non_null


def _ref_is_null(op: Op, instance: InstanceLike) -> Step:
    def ref_is_null(stack: list[int], locals_: list[int]) -> None:
        stack[-1] = 0 if stack[-1] else 1

    return ref_is_null


def _drop(op: Op, instance: InstanceLike) -> Step:
    def drop(stack: list[int], locals_: list[int]) -> None:
        stack.pop()

    return drop


def _select(op: Op, instance: InstanceLike) -> Step:
    def select(stack: list[int], locals_: list[int]) -> None:
        condition, second = stack.pop(), stack.pop()
        if not condition:
            stack[-1] = second

    return select


# Control


def _take(jump: Jump) -> Callable[[list[int]], int]:
    """Follow a branch: drop what lies between the label's height and its values."""
    label, pc = jump.label, jump.label.pc
    if not jump.cut:
        return lambda stack: pc
    height, keep = label.height, label.keep

    def take(stack: list[int]) -> int:
        del stack[height : len(stack) - keep]
        return pc

    return take


def _br(op: Op, instance: InstanceLike) -> Step:
    take = _take(op.imms[0])

    def br(stack: list[int], locals_: list[int]) -> int:
        return take(stack)

    return br


def _br_if(op: Op, instance: InstanceLike) -> Step:
    take = _take(op.imms[0])

    def br_if(stack: list[int], locals_: list[int]) -> int | None:
        return take(stack) if stack.pop() else None

    return br_if


def _br_unless(op: Op, instance: InstanceLike) -> Step:
    take = _take(op.imms[0])

    def br_unless(stack: list[int], locals_: list[int]) -> int | None:
        return None if stack.pop() else take(stack)

    return br_unless


def _br_on_null(op: Op, instance: InstanceLike) -> Step:
    take = _take(op.imms[0])

    def br_on_null(stack: list[int], locals_: list[int]) -> int | None:
        if stack[-1]:
            return None
        stack.pop()
        return take(stack)

    return br_on_null


def _br_on_non_null(op: Op, instance: InstanceLike) -> Step:
    take = _take(op.imms[0])

    def br_on_non_null(stack: list[int], locals_: list[int]) -> int | None:
        if stack[-1]:
            return take(stack)
        stack.pop()
        return None

    return br_on_non_null


def _br_table(op: Op, instance: InstanceLike) -> Step:
    takes = [_take(jump) for jump in op.imms]
    last = len(takes) - 1

    def br_table(stack: list[int], locals_: list[int]) -> int:
        return takes[min(stack.pop(), last)](stack)

    return br_table


def _return(op: Op, instance: InstanceLike) -> Step:
    return lambda stack, locals_: RETURN


def _unreachable(op: Op, instance: InstanceLike) -> Step:
    def unreachable(stack: list[int], locals_: list[int]) -> None:
        raise Trap("unreachable")

    return unreachable


def _call(op: Op, instance: InstanceLike) -> Step:
    callee = instance.callee(op.imms[0])
    return lambda stack, locals_: callee


def _return_call(op: Op, instance: InstanceLike) -> Step:
    tail = Tail(instance.callee(op.imms[0]))
    return lambda stack, locals_: tail


def _call_indirect(op: Op, instance: InstanceLike) -> Step:
    find = _element(op, instance)
    return lambda stack, locals_: find(stack)


def _return_call_indirect(op: Op, instance: InstanceLike) -> Step:
    find = _element(op, instance)
    return lambda stack, locals_: Tail(find(stack))


def _element(op: Op, instance: InstanceLike) -> Callable[[list[int]], Callee]:
    """Take an index from the stack: the function that a table has there."""
    type_index, index = op.imms
    table = instance.tables[index]

    def find(stack: list[int]) -> Callee:
        element = stack.pop()
        if element >= len(table):
            raise Trap("undefined_element", detail=f"element {element}, table {index} has {len(table)}")
        raw = table.get(element)
        if not raw:
            raise Trap("uninitialized_element", detail=f"element {element} of table {index}")
        callee = instance.resolve_func(raw)
        if not instance.has_type(callee, type_index):
            wanted = instance.model.types[type_index].composite
            raise Trap("indirect_call_mismatch", detail=f"expected {wanted}, found {callee.type}")
        return callee

    return find


def _referent(stack: list[int], instance: InstanceLike) -> Callee:
    """Take a reference from the stack: its function."""
    raw = stack.pop()
    if not raw:
        raise Trap("null_function")
    return instance.resolve_func(raw)


def _call_ref(op: Op, instance: InstanceLike) -> Step:
    return lambda stack, locals_: _referent(stack, instance)


def _return_call_ref(op: Op, instance: InstanceLike) -> Step:
    return lambda stack, locals_: Tail(_referent(stack, instance))


def _throw(op: Op, instance: InstanceLike) -> Step:
    index = op.imms[0]
    count = len(instance.model.tag_types[index].type.params)

    def throw(stack: list[int], locals_: list[int]) -> Thrown:
        return Thrown(instance.exception(index, stack[len(stack) - count :]))

    return throw


def _throw_ref(op: Op, instance: InstanceLike) -> Step:
    def throw_ref(stack: list[int], locals_: list[int]) -> Thrown:
        raw = stack.pop()
        if not raw:
            raise Trap("null_reference")
        return Thrown(instance.exception_of(raw))

    return throw_ref


_BINDERS: Final[dict[str, Callable[[Op, InstanceLike], Step]]] = {
    "fuel": _fuel,
    "atomic.fence": atomic,
    "memory.size": _memory_size,
    "memory.grow": _memory_grow,
    "memory.init": _memory_init,
    "memory.copy": _memory_copy,
    "memory.fill": _memory_fill,
    "data.drop": _data_drop,
    "table.get": _table_get,
    "table.set": _table_set,
    "table.size": _table_size,
    "table.grow": _table_grow,
    "table.fill": _table_fill,
    "table.copy": _table_copy,
    "table.init": _table_init,
    "elem.drop": _elem_drop,
    "local.get": _local_get,
    "local.set": _local_set,
    "local.tee": _local_tee,
    "global.get": _global_get,
    "global.set": _global_set,
    "i32.const": _constant,
    "i64.const": _constant,
    "f32.const": _constant,
    "f64.const": _constant,
    "v128.const": _constant,
    "ref.null": _ref_null,
    "ref.func": _ref_func,
    "ref.is_null": _ref_is_null,
    "ref.as_non_null": _ref_as_non_null,
    "drop": _drop,
    "select": _select,
    "select_t": _select,
    "br": _br,
    "br_if": _br_if,
    "br_unless": _br_unless,
    "br_on_null": _br_on_null,
    "br_on_non_null": _br_on_non_null,
    "br_table": _br_table,
    "return": _return,
    "unreachable": _unreachable,
    "call": _call,
    "call_indirect": _call_indirect,
    "call_ref": _call_ref,
    "return_call": _return_call,
    "return_call_indirect": _return_call_indirect,
    "return_call_ref": _return_call_ref,
    "throw": _throw,
    "throw_ref": _throw_ref,
}
