# strata: hot
"""Builtins for objects of guests: a row of them, done without the GIL or as a guest without machine code does it, and
whether a reference is of a type."""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import int32_t, uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_NOTE,
    BUILTIN_OBJECT_NEW,
    BUILTIN_OBJECT_OP,
    BUILTIN_REF_IS,
    ExecContext,
    FuncRec,
    VMContext,
)
from cython.cimports.stratavm.heap.heap import write_noted
from cython.cimports.stratavm.heap.state import TYPE_MASK, HeapState
from cython.cimports.stratavm.runtime.exceptions import free_dropped, keep_raised
from cython.cimports.stratavm.runtime.func import cell_widths, read_cells
from cython.cimports.stratavm.runtime.gil import leave_guest
from cython.cimports.stratavm.runtime.handles import Handles
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.object_rows import NOT_ALONE, make_alone, run_alone
from cython.cimports.stratavm.runtime.store import Store, set_aborted
from cython.cimports.stratavm.runtime.template import builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block

from stratavm.base.errors import TRAPS_BY_NAME, ResourceLimit, StrataError, Trap
from stratavm.runtime.held import Unfinished
from stratavm.spec import types as T

MASK64: object = 0xFFFFFFFFFFFFFFFF
I31_TAG = cython.declare(uint64_t, 1 << 63)
HANDLES = cython.declare(uint64_t, 1 << 32)  # smaller references are handles
NOT_FUNC = cython.declare(uint32_t, T.STRUCT_ID | T.ARRAY_ID)
OWN_ID = cython.declare(uint32_t, T.OWN_ID)
IS_ARRAY = cython.declare(uint32_t, T.ARRAY_ID)
H_I31 = cython.declare(uint32_t, T.I31)
H_EQ = cython.declare(uint32_t, T.EQ)
H_ARRAY = cython.declare(uint32_t, T.ARRAY)


@cython.cfunc
@cython.exceptval(-1)
def do_row(handles: Handles, found: object, cells: cython.pointer(uint64_t)) -> cython.int:
    """A row on cells, which hold its operands. Until its result is there Python may run anything, and nothing is freed
    that others make: no frame has it."""
    stack: list = read_cells(cells, cell_widths(found[1]))
    run: object = Unfinished(handles, True).begin()
    try:
        found[0](stack, [])
        if found[2]:
            raw: object = stack[0]
            cells[0] = raw & MASK64
            cells[1] = raw >> 64
    finally:
        run.end()
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def run_row(
    vm: cython.pointer(VMContext),
    cells: cython.pointer(uint64_t),
    row: uint64_t,
    x: uint64_t,
    y: uint64_t,
) -> uint32_t:
    """``object_op`` with the GIL."""
    instance: Instance = cython.cast(object, cython.cast(cython.pointer(PyObject), vm.instance))
    store: Store = instance.store
    try:
        found: object = instance.program().single(row, x, y)
        handles: Handles = store.all_handles()
        try:
            do_row(handles, found, cells)
        except ResourceLimit:  # what guests have dropped may make room
            free_dropped(store)
            do_row(handles, found, cells)
    except Trap as trap:
        if type(trap) is Trap and str(trap) == trap.message:
            return TRAPS_BY_NAME[trap.kind].code
        return keep_raised(store, trap.with_traceback(None))  # it says more than what kind it is
    except BaseException as error:
        return ended_by(store, error)
    return 0


def ended_by(store, error):
    """The status of a guest whose operation ended with an error. One that is not ours a signal's handler raised: what
    the operation was to do may be half done."""
    if not isinstance(error, (StrataError, MemoryError)):
        set_aborted(store, True)
    return keep_raised(store, error)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the GIL may be released here
def object_op(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    cells: cython.pointer(uint64_t),
    row: uint64_t,
    x: uint64_t,
    y: uint64_t,
) -> uint32_t:
    """Builtin ``object_op``."""
    status: uint32_t = run_alone(context, vm, cells, row, x, y)
    if status != NOT_ALONE:
        return status
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status = run_row(vm, cells, row, x, y)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def ref_is(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), raw: uint64_t, heap: uint64_t
) -> uint64_t:
    """Builtin ``ref_is``."""
    code: int32_t = cython.cast(int32_t, heap)
    wanted: uint32_t = 0
    found: uint32_t
    abstract: uint32_t = cython.cast(uint32_t, heap) & 0x7F
    if raw == 0:
        return 0
    if code >= 0:
        wanted = cython.cast(cython.pointer(uint32_t), vm.type_ids)[code]
        if wanted & OWN_ID or not wanted & NOT_FUNC:
            return is_below(vm, cython.cast(cython.pointer(FuncRec), raw).type_id, wanted)
    if raw & I31_TAG:
        return code < 0 and (abstract == H_I31 or abstract == H_EQ)
    if raw < HANDLES:  # an object of the host
        return 0
    found = cython.cast(cython.pointer(uint32_t), raw)[0]
    if code >= 0:
        return is_below(vm, found, wanted)
    return abstract == H_EQ or (abstract == H_ARRAY) == (found & IS_ARRAY != 0)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_below(vm: cython.pointer(VMContext), found: uint32_t, wanted: uint32_t) -> cython.bint:
    """Whether a type, by id, is another one, or below it: see ``TypeIds.above``, whose address lies before the module's
    own numbers."""
    before: cython.pointer(uint32_t) = cython.cast(cython.pointer(uint32_t), vm.type_ids) - 2
    home: cython.pointer(cython.pointer(uint32_t)) = cython.cast(
        cython.pointer(cython.pointer(uint32_t)), cython.cast(cython.pointer(uint64_t), before)[0]
    )
    above: cython.pointer(uint32_t) = home[0]
    room: uint32_t = (above - 1)[0]
    while found != wanted and not found & OWN_ID and 0 < found & TYPE_MASK < room:
        found = above[found & TYPE_MASK]
    return found == wanted


@cython.cfunc
@cython.exceptval(check=False)
def make(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), type_index: uint64_t, length: uint64_t
) -> uint32_t:
    """``object_new`` with the GIL. The guest's frames have all that it has."""
    instance: Instance = cython.cast(object, cython.cast(cython.pointer(PyObject), vm.instance))
    store: Store = instance.store
    try:
        try:
            context.waited = instance.make_object(type_index, length, False)
        except ResourceLimit:  # what guests have dropped may make room
            free_dropped(store)
            context.waited = instance.make_object(type_index, length, False)
    except BaseException as error:
        return ended_by(store, error)
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def object_new(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), type_index: uint64_t, length: uint64_t
) -> uint32_t:
    """Builtin ``object_new``."""
    found: uint64_t = make_alone(context, vm, type_index, length)
    if found:
        context.waited = found
        return 0
    block: cython.pointer(ThreadBlock) = current_block()
    leave_guest(block)
    status: uint32_t = make(context, vm, type_index, length)
    block.in_guest = 1
    return status


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def note(
    context: cython.pointer(ExecContext), vm: cython.pointer(VMContext), thing: uint64_t, slot: uint64_t
) -> uint64_t:
    """Builtin ``note``."""
    write_noted(cython.cast(cython.pointer(HeapState), context.heap), thing, slot)
    return 0


builtin_table[BUILTIN_NOTE] = cython.cast(cython.p_void, note)
builtin_table[BUILTIN_OBJECT_NEW] = cython.cast(cython.p_void, object_new)
builtin_table[BUILTIN_OBJECT_OP] = cython.cast(cython.p_void, object_op)
builtin_table[BUILTIN_REF_IS] = cython.cast(cython.p_void, ref_is)
