# strata: hot
"""Rows of objects without the GIL, as machine code asks for them: arrays are made, filled, copied and initialised.

What is long, and polls, what collects, what runs out of fuel and what is to say where it was out of bounds is the
interpreter's (``tiers/oracle/objects.py``), whose order of traps and whose fuel these have.
"""

import cython
from cython.cimports.libc.stdint import uint16_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.stratavm.contract._gen_layout import (
    TRAP_NULL_ARRAY,
    ExecContext,
    VMContext,
)
from cython.cimports.stratavm.heap.heap import allocation_is_due, heap_new, range_noted
from cython.cimports.stratavm.heap.state import LARGE, HeapState, TypeInfo, info_of, look_up_types
from cython.cimports.stratavm.runtime.blueprint import DataSegment, Segments, data_segment_at
from cython.cimports.stratavm.spec._gen_ops import (
    OP_ARRAY_COPY,
    OP_ARRAY_FILL,
    OP_ARRAY_INIT_DATA,
    OP_ARRAY_INIT_ELEM,
    OP_ARRAY_NEW,
    OP_ARRAY_NEW_DATA,
    OP_ARRAY_NEW_DEFAULT,
    OP_ARRAY_NEW_ELEM,
    OP_ARRAY_NEW_FIXED,
)

from stratavm.contract.layout import ARG_CELL
from stratavm.heap.layout import HEADER

NO_FUEL = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
MOST_BYTES = cython.declare(uint64_t, 1 << 16)  # that are written without a poll: a few microseconds
CELL = cython.declare(uint32_t, ARG_CELL // 8)  # words of a cell
FIRST = cython.declare(uint64_t, HEADER)  # where an array's elements begin


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def number(cells: cython.pointer(uint64_t), which: uint32_t) -> uint64_t:
    """An operand that is an i32: the rest of its cell may be anything."""
    return cython.cast(uint32_t, cells[CELL * which])


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def length_of(array: uint64_t) -> uint64_t:
    """How many elements an array has."""
    return cython.cast(cython.pointer(uint32_t), array)[1]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def type_at(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), index: uint64_t) -> cython.pointer(
    TypeInfo
):
    """How objects of a module's type lie. There is a heap."""
    state: cython.pointer(HeapState) = cython.cast(cython.pointer(HeapState), context.heap)
    look_up_types(state)
    return info_of(state, cython.cast(cython.pointer(uint32_t), vm.type_ids) + index)


def make_alone(context, vm, type_index, length):
    """A reference to a new object of zeros, where no roots are asked for and the heap has room; else 0."""
    state: cython.pointer(HeapState) = cython.cast(cython.pointer(HeapState), context.heap)
    if state == cython.NULL or state.always or not state.rootless:
        return 0
    info: cython.pointer(TypeInfo) = type_at(context, vm, type_index)
    size: uint64_t = info.size + info.element * length
    if size > LARGE or allocation_is_due(state, size):
        return 0
    type_id: uint32_t = cython.cast(cython.pointer(uint32_t), vm.type_ids)[type_index]
    return cython.cast(uint64_t, heap_new(state, type_id, cython.cast(uint32_t, length), size))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_short(context: cython.pointer(ExecContext), count: uint64_t, width: uint64_t) -> cython.bint:
    """Whether so many values can be written without a poll, and there is fuel for them."""
    return count * width <= MOST_BYTES and (context.fuel == NO_FUEL or count <= context.fuel)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def charge(context: cython.pointer(ExecContext), count: uint64_t) -> cython.void:
    """Take fuel, of which there is enough."""
    if context.fuel != NO_FUEL:
        context.fuel -= count


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def repeat(to: cython.p_char, width: uint32_t, count: uint64_t, value: cython.pointer(uint64_t)) -> cython.void:
    """Write a value of so many bytes so many times."""
    at: uint64_t
    byte: uint64_t = value[0] & 0xFF
    if width == 1 or (width <= 8 and value[0] == 0):
        memset(to, cython.cast(cython.int, byte), count * width)
    elif width == 2:
        for at in range(count):
            cython.cast(cython.pointer(uint16_t), to)[at] = cython.cast(uint16_t, value[0])
    elif width == 4:
        for at in range(count):
            cython.cast(cython.pointer(uint32_t), to)[at] = cython.cast(uint32_t, value[0])
    elif width == 8:
        for at in range(count):
            cython.cast(cython.pointer(uint64_t), to)[at] = value[0]
    else:
        for at in range(count):
            memcpy(to + at * width, value, width)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def note_elements(
    context: cython.pointer(ExecContext), array: uint64_t, at: uint64_t, count: uint64_t, width: uint64_t
) -> cython.void:
    """The write barrier: so many elements are about to change."""
    if width == 8 and count:
        range_noted(cython.cast(cython.pointer(HeapState), context.heap), array, array + FIRST + 8 * at, count)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def copy(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), cells: cython.pointer(uint64_t), x: uint64_t
) -> uint32_t:
    """``array.copy``."""
    array: uint64_t = cells[0]
    at: uint64_t = number(cells, 1)
    source: uint64_t = cells[CELL * 2]
    start: uint64_t = number(cells, 3)
    count: uint64_t = number(cells, 4)
    if array == 0 or source == 0:
        return TRAP_NULL_ARRAY
    if at + count > length_of(array) or start + count > length_of(source):
        return NOT_ALONE
    width: uint64_t = type_at(context, vm, x).element
    if not is_short(context, count, width):
        return NOT_ALONE
    charge(context, count)
    note_elements(context, array, at, count, width)
    memmove(
        cython.cast(cython.p_void, array + FIRST + width * at),
        cython.cast(cython.p_void, source + FIRST + width * start),
        width * count,
    )
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fill(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), cells: cython.pointer(uint64_t), x: uint64_t
) -> uint32_t:
    """``array.fill``."""
    array: uint64_t = cells[0]
    at: uint64_t = number(cells, 1)
    count: uint64_t = number(cells, 3)
    if array == 0:
        return TRAP_NULL_ARRAY
    if at + count > length_of(array):
        return NOT_ALONE
    width: uint32_t = type_at(context, vm, x).element
    if not is_short(context, count, width):
        return NOT_ALONE
    charge(context, count)
    note_elements(context, array, at, count, width)
    repeat(cython.cast(cython.p_char, array + FIRST + width * at), width, count, cells + CELL * 2)
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def segment_bytes(
    vm: cython.pointer(VMContext),
    of_data: cython.bint,
    index: uint32_t,
    start: uint64_t,
    size: uint64_t,
    found: cython.pointer(cython.p_char),
) -> uint32_t:
    """Where so many bytes of a segment are, from one on; ``NOT_ALONE`` where it has fewer."""
    segments: cython.pointer(Segments) = cython.cast(cython.pointer(Segments), vm.segments)
    data: cython.pointer(DataSegment)
    found[0] = cython.NULL
    if of_data:
        data = data_segment_at(segments, index)
        if start + size > (0 if data == cython.NULL else data.size):
            return NOT_ALONE
        if data != cython.NULL:
            found[0] = cython.cast(cython.p_char, data.start) + start
    elif start + size > 8 * segments.elements[index].size:
        return NOT_ALONE
    else:
        found[0] = cython.cast(cython.p_char, segments.elements[index].items) + start
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def initialise(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    cells: cython.pointer(uint64_t),
    of_data: cython.bint,
    x: uint64_t,
    y: uint64_t,
) -> uint32_t:
    """``array.init_data`` and ``array.init_elem``."""
    array: uint64_t = cells[0]
    at: uint64_t = number(cells, 1)
    start: uint64_t = number(cells, 2)
    count: uint64_t = number(cells, 3)
    origin: cython.p_char
    if array == 0:
        return TRAP_NULL_ARRAY
    if at + count > length_of(array):
        return NOT_ALONE
    width: uint64_t = type_at(context, vm, x).element
    status: uint32_t = segment_bytes(
        vm, of_data, cython.cast(uint32_t, y), start if of_data else 8 * start, width * count, cython.address(origin)
    )
    if status:
        return status
    if not is_short(context, count, width):
        return NOT_ALONE
    charge(context, count)
    if not of_data:
        note_elements(context, array, at, count, width)
    if count:
        memcpy(cython.cast(cython.p_void, array + FIRST + width * at), origin, width * count)
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def new_of_segment(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    cells: cython.pointer(uint64_t),
    of_data: cython.bint,
    x: uint64_t,
    y: uint64_t,
) -> uint32_t:
    """``array.new_data`` and ``array.new_elem``. Nothing collects before all elements are there, so that these stores
    need no barrier."""
    start: uint64_t = number(cells, 0)
    count: uint64_t = number(cells, 1)
    origin: cython.p_char
    if context.heap == cython.NULL:
        return NOT_ALONE
    width: uint64_t = type_at(context, vm, x).element
    status: uint32_t = segment_bytes(
        vm, of_data, cython.cast(uint32_t, y), start if of_data else 8 * start, width * count, cython.address(origin)
    )
    if status:
        return status
    made: uint64_t = make_alone(context, vm, x, count) if is_short(context, count, width) else 0
    if made == 0:
        return NOT_ALONE
    charge(context, count)
    if count:
        memcpy(cython.cast(cython.p_void, made + FIRST), origin, width * count)
    cells[0] = made
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def new_of_value(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    cells: cython.pointer(uint64_t),
    filled: cython.bint,
    x: uint64_t,
) -> uint32_t:
    """``array.new`` and ``array.new_default``."""
    count: uint64_t = number(cells, 1 if filled else 0)
    made: uint64_t = make_alone(context, vm, x, count) if is_short(context, count, 1) else 0
    if made == 0:
        return NOT_ALONE
    charge(context, count)
    if filled:
        repeat(cython.cast(cython.p_char, made + FIRST), type_at(context, vm, x).element, count, cells)
    cells[0] = made
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def new_of_values(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    cells: cython.pointer(uint64_t),
    x: uint64_t,
    count: uint64_t,
) -> uint32_t:
    """``array.new_fixed``."""
    at: uint64_t
    made: uint64_t = make_alone(context, vm, x, count)
    if made == 0:
        return NOT_ALONE
    width: uint32_t = type_at(context, vm, x).element
    for at in range(count):
        memcpy(cython.cast(cython.p_void, made + FIRST + width * at), cells + CELL * at, width)
    cells[0] = made
    return 0


def run_alone(context, vm, cells, row, x, y):
    """A row on cells, which hold its operands: 0, the kind of its trap, or ``NOT_ALONE``."""
    if row == OP_ARRAY_COPY:
        return copy(context, vm, cells, x)
    if row == OP_ARRAY_FILL:
        return fill(context, vm, cells, x)
    if row == OP_ARRAY_NEW or row == OP_ARRAY_NEW_DEFAULT:
        return new_of_value(context, vm, cells, row == OP_ARRAY_NEW, x)
    if row == OP_ARRAY_NEW_DATA or row == OP_ARRAY_NEW_ELEM:
        return new_of_segment(context, vm, cells, row == OP_ARRAY_NEW_DATA, x, y)
    if row == OP_ARRAY_INIT_DATA or row == OP_ARRAY_INIT_ELEM:
        return initialise(context, vm, cells, row == OP_ARRAY_INIT_DATA, x, y)
    if row == OP_ARRAY_NEW_FIXED:
        return new_of_values(context, vm, cells, x, y)
    return NOT_ALONE
