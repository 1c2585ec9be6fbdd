# strata: hot
"""Builtins that grow memories and tables, and bulk operations on them.

Bulk operations check bounds first and then run; sizes are 64-bit, so a 32-bit index plus a 32-bit count cannot wrap.
Where something is out of bounds the interpreter's own step says what was wanted and what there is.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memmove, memset
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_DATA_DROP,
    BUILTIN_ELEM_DROP,
    BUILTIN_MEMORY_COPY,
    BUILTIN_MEMORY_FILL,
    BUILTIN_MEMORY_GROW,
    BUILTIN_MEMORY_INIT,
    BUILTIN_TABLE_COPY,
    BUILTIN_TABLE_FILL,
    BUILTIN_TABLE_GROW,
    BUILTIN_TABLE_INIT,
    BUILTIN_TABLE_PREPARE,
    PENDING_TICK,
    STATUS_SUSPEND,
    TRAP_HOST_EXCEPTION,
    TRAP_MEMORY_OUT_OF_BOUNDS,
    TRAP_OUT_OF_FUEL,
    TRAP_TABLE_OUT_OF_BOUNDS,
    ExecContext,
    MemDef,
    TableDef,
    VMContext,
)
from cython.cimports.stratavm.runtime.blueprint import DataSegment, ElementSegment, Segments, data_segment_at
from cython.cimports.stratavm.runtime.builtin_calls import poll_on_fiber, suspend_for
from cython.cimports.stratavm.runtime.exceptions import keep_raised
from cython.cimports.stratavm.runtime.gil import leave_guest
from cython.cimports.stratavm.runtime.instance import Instance, memory_at, table_at
from cython.cimports.stratavm.runtime.native import load_32, load_64, now_ns
from cython.cimports.stratavm.runtime.object_calls import ended_by
from cython.cimports.stratavm.runtime.occupancy import fiber_here
from cython.cimports.stratavm.runtime.pot import refill
from cython.cimports.stratavm.runtime.store import Store, is_aborted, poll_status
from cython.cimports.stratavm.runtime.table import Table
from cython.cimports.stratavm.runtime.template import builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block, part_is_over
from cython.cimports.stratavm.spec._gen_ops import (
    OP_MEMORY_COPY,
    OP_MEMORY_FILL,
    OP_MEMORY_INIT,
    OP_TABLE_COPY,
    OP_TABLE_FILL,
    OP_TABLE_INIT,
)

from stratavm.base.errors import Trap
from stratavm.spec.ids import BULK_FUEL_SHIFT

FAILED = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
NEVER = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)  # poll_limit while something is pending
NO_FUEL = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
FUEL_SHIFT = cython.declare(uint64_t, BULK_FUEL_SHIFT)
CHUNK = cython.declare(uint64_t, 1 << 20)  # bytes between two polls: well under a millisecond
EACH_BYTE = cython.declare(uint64_t, 0x0101010101010101)


@cython.cfunc
def instance_of(vm: cython.pointer(VMContext)) -> object:
    """The Instance behind a context."""
    return cython.cast(object, cython.cast(cython.pointer(PyObject), vm.instance))


@cython.cfunc
@cython.exceptval(check=False)
def grow(
    vm: cython.pointer(VMContext), which: uint64_t, delta: uint64_t, table: cython.bint, raw: uint64_t
) -> uint64_t:
    """Grow a memory or a table; what the limiter, or a poll, raises comes out at the next poll."""
    instance: Instance = instance_of(vm)
    try:
        if not table:
            old = instance.memories[which].extend(delta)
        elif fiber_here(instance.store.exec) != cython.NULL and delta > CHUNK // 8:
            old = cython.cast(Table, instance.tables[which]).extend_as_prepared(delta, raw)
        else:
            old = instance.tables[which].extend(delta, raw)
        return FAILED if old < 0 else old
    except BaseException as error:
        growth_fails(instance, error)
        return FAILED


@cython.cfunc
@cython.exceptval(check=False)
def growth_fails(instance: Instance, error: object) -> cython.void:
    """What was raised comes out at the next poll."""
    if is_aborted(instance.store) and not instance.store.keep_on_abort:  # the guest may return without another poll
        instance.poison()
    instance.store.fail(error)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def memory_grow(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), memory: uint64_t, delta: uint64_t
) -> uint64_t:
    """Builtin ``memory_grow``."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    old: uint64_t = grow(vm, cython.cast(uint32_t, memory), delta, False, 0)
    block.in_guest = 1
    return old


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def table_grow(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), table: uint64_t, raw: uint64_t, delta: uint64_t
) -> uint64_t:
    """Builtin ``table_grow``."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    old: uint64_t = grow(vm, cython.cast(uint32_t, table), delta, True, raw)
    block.in_guest = 1
    return old


# ---- bulk operations: bounds, then fuel, then the work, with polls between its parts ----
# What a poll may do in between is safe: memories and tables never move or shrink, segments are dropped but not freed.
# A call that is stopped there is abandoned midway, which poisons its instance.


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
@cython.linetrace(False)  # guests may run without the GIL
def take_fuel(context: cython.pointer(ExecContext), units: uint64_t) -> cython.bint:
    """Charge a bulk operation; false if the fuel does not suffice, and then none is taken."""
    if context.fuel == NO_FUEL:
        return True
    while units > context.fuel:
        if not refill(context):
            return False
    context.fuel -= units
    return True


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
@cython.linetrace(False)
def rest(context: cython.pointer(ExecContext), began_ns: uint64_t, done: uint64_t) -> uint32_t:
    """The poll between two parts: 0, or why the guest has to stop, or to wait. On a fiber it waits for a turn of the
    loop at a tick, and when so many bytes are much, or took long since then."""
    on_fiber: cython.bint = fiber_here(context) != cython.NULL
    if on_fiber and (
        load_32(cython.address(context.pending)) & PENDING_TICK or part_is_over(current_block(), began_ns, done)
    ):
        return poll_on_fiber(context)
    if load_64(cython.address(context.poll_limit)) != NEVER:
        return 0
    return poll_status(context, True)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def leave_rest(
    context: cython.pointer(ExecContext),
    status: uint32_t,
    to: cython.p_void,
    origin: cython.p_void,
    n: uint64_t,
    value: uint64_t,
) -> uint32_t:
    """A poll has ended the operation, or suspends it: then the guest waits for what does the rest, so many bytes, from
    where they come, or of a value of 64 bits; each turn of the loop a part."""
    block: cython.pointer(ThreadBlock) = current_block()
    if status != STATUS_SUSPEND:
        return status
    leave_guest(block)
    status = wait_for_rest(context, cython.cast(uint64_t, to), cython.cast(uint64_t, origin), n, value)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
def wait_for_rest(
    context: cython.pointer(ExecContext), to: uint64_t, origin: uint64_t, n: uint64_t, value: uint64_t
) -> uint32_t:
    """``leave_rest`` with the GIL."""
    store: Store = cython.cast(Store, context.store)
    try:
        suspend_for(context, store.runtime.asynchronous().Bulk(store, to, origin, n, value))
    except BaseException as error:
        store.in_flight = error
        return TRAP_HOST_EXCEPTION
    return STATUS_SUSPEND


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # a poll may release the GIL
def move_bytes(context: cython.pointer(ExecContext), to: cython.p_char, origin: cython.p_char, n: uint64_t) -> uint32_t:
    """``memmove`` in parts, from the end that is overwritten last: 0 or a trap kind."""
    status: uint32_t
    done: uint64_t = 0
    began_ns: uint64_t = now_ns() if n > CHUNK else 0
    backwards: cython.bint = cython.cast(uint64_t, origin) < cython.cast(uint64_t, to)
    while n - done > CHUNK:
        if backwards:
            memmove(to + (n - done - CHUNK), origin + (n - done - CHUNK), CHUNK)
        else:
            memmove(to + done, origin + done, CHUNK)
        done += CHUNK
        status = rest(context, began_ns, done)
        if status:
            if not backwards:
                to += done
                origin += done
            return leave_rest(context, status, to, origin, n - done, 0)
    if backwards:
        memmove(to, origin, n - done)
    else:
        memmove(to + done, origin + done, n - done)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def outside(
    vm: cython.pointer(VMContext), row: uint32_t, both: uint64_t, dst: uint64_t, second: uint64_t, n: uint64_t
) -> uint32_t:
    """An operation is out of bounds: the status of its trap. ``both`` are its immediates, of 32 bits each."""
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status: uint32_t = refuse(vm, row, both, dst, second, n)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
def refuse(
    vm: cython.pointer(VMContext), row: uint32_t, both: uint64_t, dst: uint64_t, second: uint64_t, n: uint64_t
) -> uint32_t:
    """``outside`` with the GIL: the interpreter's step finds the same, and has words for it; there is none where the
    runtime is alone. It does what it is for, and 0 comes of it, where another thread has made room meanwhile."""
    instance: Instance = instance_of(vm)
    try:
        program: object = instance.program()
        if program is None:
            if row == OP_MEMORY_COPY or row == OP_MEMORY_FILL or row == OP_MEMORY_INIT:
                return TRAP_MEMORY_OUT_OF_BOUNDS
            return TRAP_TABLE_OUT_OF_BOUNDS
        program.single(row, cython.cast(uint32_t, both), both >> 32)[0]([dst, second, n], [])
    except Trap as trap:
        return keep_raised(instance.store, trap.with_traceback(None))
    except BaseException as error:
        return ended_by(instance.store, error)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def memory_copy(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    memories: uint64_t,
    dst: uint64_t,
    src: uint64_t,
    n: uint64_t,
) -> uint32_t:
    """Builtin ``memory_copy``."""
    to: cython.pointer(MemDef) = memory_at(vm, cython.cast(uint32_t, memories))
    origin: cython.pointer(MemDef) = memory_at(vm, cython.cast(uint32_t, memories >> 32))
    if n > to.bytes or dst > to.bytes - n or n > origin.bytes or src > origin.bytes - n:
        return outside(vm, OP_MEMORY_COPY, memories, dst, src, n)
    if not take_fuel(context, n >> FUEL_SHIFT):
        return TRAP_OUT_OF_FUEL
    return move_bytes(
        context, cython.cast(cython.p_char, to.base + dst), cython.cast(cython.p_char, origin.base + src), n
    )


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def memory_fill(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    memory: uint64_t,
    dst: uint64_t,
    byte: uint64_t,
    n: uint64_t,
) -> uint32_t:
    """Builtin ``memory_fill``."""
    to: cython.pointer(MemDef) = memory_at(vm, cython.cast(uint32_t, memory))
    status: uint32_t
    done: uint64_t = 0
    began_ns: uint64_t = now_ns() if n > CHUNK else 0
    if n > to.bytes or dst > to.bytes - n:
        return outside(vm, OP_MEMORY_FILL, memory, dst, byte & 0xFF, n)
    if not take_fuel(context, n >> FUEL_SHIFT):
        return TRAP_OUT_OF_FUEL
    while n - done > CHUNK:
        memset(to.base + dst + done, cython.cast(cython.int, byte & 0xFF), CHUNK)
        done += CHUNK
        status = rest(context, began_ns, done)
        if status:
            byte = (byte & 0xFF) * EACH_BYTE
            return leave_rest(context, status, to.base + dst + done, cython.NULL, n - done, byte)
    memset(to.base + dst + done, cython.cast(cython.int, byte & 0xFF), n - done)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def memory_init(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    segment_memory: uint64_t,
    dst: uint64_t,
    src: uint64_t,
    n: uint64_t,
) -> uint32_t:
    """Builtin ``memory_init``."""
    to: cython.pointer(MemDef) = memory_at(vm, cython.cast(uint32_t, segment_memory >> 32))
    segments: cython.pointer(Segments) = cython.cast(cython.pointer(Segments), vm.segments)
    segment: cython.pointer(DataSegment) = data_segment_at(segments, cython.cast(uint32_t, segment_memory))
    size: uint64_t = 0 if segment == cython.NULL else segment.size
    if n > to.bytes or dst > to.bytes - n or n > size or src > size - n:
        return outside(vm, OP_MEMORY_INIT, segment_memory, dst, src, n)
    if not take_fuel(context, n >> FUEL_SHIFT):
        return TRAP_OUT_OF_FUEL
    if n == 0:
        return 0
    return move_bytes(
        context, cython.cast(cython.p_char, to.base + dst), cython.cast(cython.p_char, segment.start + src), n
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def data_drop(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), segment: uint64_t) -> uint32_t:
    """Builtin ``data_drop``."""
    segments: cython.pointer(Segments) = cython.cast(cython.pointer(Segments), vm.segments)
    data: cython.pointer(DataSegment) = data_segment_at(segments, cython.cast(uint32_t, segment))
    if data != cython.NULL:
        data.size = 0
    return 0


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def table_copy(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    tables: uint64_t,
    dst: uint64_t,
    src: uint64_t,
    n: uint64_t,
) -> uint32_t:
    """Builtin ``table_copy``."""
    to: cython.pointer(TableDef) = table_at(vm, cython.cast(uint32_t, tables))
    origin: cython.pointer(TableDef) = table_at(vm, cython.cast(uint32_t, tables >> 32))
    if n > to.length or dst > to.length - n or n > origin.length or src > origin.length - n:
        return outside(vm, OP_TABLE_COPY, tables, dst, src, n)
    if not take_fuel(context, n):
        return TRAP_OUT_OF_FUEL
    return move_bytes(
        context, cython.cast(cython.p_char, to.base + dst), cython.cast(cython.p_char, origin.base + src), 8 * n
    )


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def table_init(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    segment_table: uint64_t,
    dst: uint64_t,
    src: uint64_t,
    n: uint64_t,
) -> uint32_t:
    """Builtin ``table_init``."""
    to: cython.pointer(TableDef) = table_at(vm, cython.cast(uint32_t, segment_table >> 32))
    segments: cython.pointer(Segments) = cython.cast(cython.pointer(Segments), vm.segments)
    segment: cython.pointer(ElementSegment) = cython.address(segments.elements[cython.cast(uint32_t, segment_table)])
    if n > to.length or dst > to.length - n or n > segment.size or src > segment.size - n:
        return outside(vm, OP_TABLE_INIT, segment_table, dst, src, n)
    if not take_fuel(context, n):
        return TRAP_OUT_OF_FUEL
    if n == 0:
        return 0
    return move_bytes(
        context, cython.cast(cython.p_char, to.base + dst), cython.cast(cython.p_char, segment.items + src), 8 * n
    )


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def table_fill(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    table: uint64_t,
    dst: uint64_t,
    raw: uint64_t,
    n: uint64_t,
) -> uint32_t:
    """Builtin ``table_fill``."""
    to: cython.pointer(TableDef) = table_at(vm, cython.cast(uint32_t, table))
    i: uint64_t
    status: uint32_t
    began_ns: uint64_t = now_ns() if n > CHUNK // 8 else 0
    if n > to.length or dst > to.length - n:
        return outside(vm, OP_TABLE_FILL, table, dst, raw, n)
    if not take_fuel(context, n):
        return TRAP_OUT_OF_FUEL
    for i in range(n):
        if i & (CHUNK // 8 - 1) == CHUNK // 8 - 1:
            status = rest(context, began_ns, 8 * i)
            if status:
                return leave_rest(context, status, to.base + dst + i, cython.NULL, 8 * (n - i), raw)
        to.base[dst + i] = raw
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def elem_drop(context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), segment: uint64_t) -> uint32_t:
    """Builtin ``elem_drop``."""
    segments: cython.pointer(Segments) = cython.cast(cython.pointer(Segments), vm.segments)
    segments.elements[cython.cast(uint32_t, segment)].size = 0
    return 0


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def table_prepare(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), table: uint64_t, raw: uint64_t, delta: uint64_t
) -> uint32_t:
    """Builtin ``table_prepare``: a unit per element that the maximum allows; on a fiber, much is written ahead here."""
    to: cython.pointer(TableDef) = table_at(vm, cython.cast(uint32_t, table))
    if delta > to.max_length - to.length:
        return 0
    if not take_fuel(context, delta):
        return TRAP_OUT_OF_FUEL
    if fiber_here(context) == cython.NULL or delta <= CHUNK // 8:
        return 0
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status: uint32_t = write_ahead(context, vm, cython.cast(uint32_t, table), raw, delta)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
def write_ahead(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), which: uint32_t, raw: uint64_t, delta: uint64_t
) -> uint32_t:
    """``table_prepare`` with the GIL: the guest waits until the new elements are written, if any are to be."""
    instance: Instance = instance_of(vm)
    table: Table = instance.tables[which]
    try:
        if table.begin_ahead(delta, raw):
            at: uint64_t = cython.cast(uint64_t, table.d.base + table.d.length)
            suspend_for(context, table.store.runtime.asynchronous().Bulk(table.store, at, 0, 8 * delta, raw, table))
            return STATUS_SUSPEND
    except BaseException as error:
        growth_fails(instance, error)
    return 0


builtin_table[BUILTIN_MEMORY_GROW] = cython.cast(cython.p_void, memory_grow)
builtin_table[BUILTIN_TABLE_GROW] = cython.cast(cython.p_void, table_grow)
builtin_table[BUILTIN_MEMORY_COPY] = cython.cast(cython.p_void, memory_copy)
builtin_table[BUILTIN_MEMORY_FILL] = cython.cast(cython.p_void, memory_fill)
builtin_table[BUILTIN_MEMORY_INIT] = cython.cast(cython.p_void, memory_init)
builtin_table[BUILTIN_DATA_DROP] = cython.cast(cython.p_void, data_drop)
builtin_table[BUILTIN_TABLE_COPY] = cython.cast(cython.p_void, table_copy)
builtin_table[BUILTIN_TABLE_INIT] = cython.cast(cython.p_void, table_init)
builtin_table[BUILTIN_TABLE_FILL] = cython.cast(cython.p_void, table_fill)
builtin_table[BUILTIN_TABLE_PREPARE] = cython.cast(cython.p_void, table_prepare)
builtin_table[BUILTIN_ELEM_DROP] = cython.cast(cython.p_void, elem_drop)
