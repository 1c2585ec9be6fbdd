"""Functions as the host sees them: call with raw bits, through the array entry or on the oracle."""

# strata: hot
import _operator as operator

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.stratavm.contract._gen_layout import TRAP_HOST_EXCEPTION
from cython.cimports.stratavm.runtime.greenlets import current_greenlet, greenlet_here
from cython.cimports.stratavm.runtime.occupancy import Entry, deliver_events, is_closed
from cython.cimports.stratavm.runtime.python import PyErr_SetObject
from cython.cimports.stratavm.runtime.resultcells import ResultCells, drop_cells, keep_cells
from cython.cimports.stratavm.runtime.store import Store, is_aborted, remember_report, run_entry, set_aborted

from stratavm.base.errors import Closed, DeadlineExceeded, InstancePoisoned, Interrupted
from stratavm.base.text import printable
from stratavm.spec.types import (
    CONCRETE,
    FUNC,
    NOFUNC,
    REF,
    REF_NULL,
    RESOLVED,
    abstract_of,
    heap,
    holds_objects,
    is_ref,
    kind,
)

STACK_CELLS = cython.declare(uint32_t, 32)
FUNCREF_WIDTH = cython.declare(uint8_t, 9)
OBJECT_WIDTH = cython.declare(uint8_t, 10)

_WIDTHS = {0x7F: 4, 0x7D: 4, 0x7E: 8, 0x7C: 8, 0x7B: 16}


def cell_widths(types):
    """Bytes that each value of a cell uses; a funcref has 8 and is marked by 9, a reference to an object by 10, since
    their bits are checked."""
    return bytes([_WIDTHS.get(t) or (9 if _is_func(t) else 10 if holds_objects(t) else 8) for t in types])


def _is_func(t: int) -> bool:
    return kind(t) in (REF, REF_NULL) and (abstract_of(heap(t)) in (FUNC, NOFUNC) or CONCRETE <= heap(t) < RESOLVED)


def fill_cells(store, cells, values, widths, types):
    """Check raw bits and put them into cells, zero-extended."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(widths)
    width: uint8_t
    word: uint64_t
    items: tuple = tuple(values)  # a snapshot: __index__ of an element may run anything
    if len(items) != n:
        raise TypeError(f"expected {n} values, got {len(items)}")
    for i in range(n):
        width = cython.cast(uint8_t, cython.cast(cython.p_char, widths)[i])
        if width == 16:
            wide: object = operator.index(items[i])
            cells[2 * i] = wide & 0xFFFFFFFFFFFFFFFF
            cells[2 * i + 1] = wide >> 64
            continue
        word = operator.index(items[i])
        if width == 4 and word > 0xFFFFFFFF:
            raise OverflowError(f"{word:#x} does not fit 32 bits")
        if width == FUNCREF_WIDTH:
            store.check_reference(types[i], word)
        elif width == OBJECT_WIDTH or (width == 8 and word >> 32 and is_ref(types[i])):
            store.check_object(types[i], word)
        cells[2 * i] = word
        cells[2 * i + 1] = 0
    return 0


def read_cells(cells, widths):
    """Raw bits out of cells."""
    values: list = []
    i: cython.Py_ssize_t
    width: uint8_t
    for i in range(len(widths)):
        width = cython.cast(uint8_t, cython.cast(cython.p_char, widths)[i])
        if width == 4:
            values.append(cython.cast(uint32_t, cells[2 * i]))
        elif width == 16:
            values.append(cells[2 * i] | (cython.cast(object, cells[2 * i + 1]) << 64))
        else:
            values.append(cells[2 * i])
    return values


@cython.cclass
class Shape:
    """A function type, as calls through the array entry need it; one for all instances of a module."""


@cython.cclass
class FuncRef:
    """A function of a store. ``raw`` is its funcref bits, ``type`` its FuncType, ``instance`` None for a host
    function."""

    @property
    def raw(self) -> int:
        """The funcref as raw bits: the address of its FuncRec, which lives as long as the store."""
        return cython.cast(uint64_t, self.rec)

    @property
    def index(self) -> int:
        """Function index within its instance."""
        self.check_made()
        return self.rec.func

    @property
    def type_id(self) -> int:
        """Engine-wide canonical type id."""
        self.check_made()
        return self.rec.type_id

    def check_made(self):
        """TypeError where no initialiser has run."""
        if self.rec == cython.NULL:
            raise TypeError("this function was never initialised")
        return 0

    @property
    def name(self) -> str:
        """Debug name."""
        return "" if self.instance is None else self.instance.model.func_name(self.rec.func)

    @property
    def guest(self) -> object:
        """(instance, defined index) if the oracle runs this function, else None."""
        if self.instance is None or self.rec.code != cython.NULL:
            return None
        return self.instance, self.rec.func - self.instance.n_imported_funcs

    def call_raw(self, args: list) -> list:
        """Call with raw bits, get raw bits.

        Raises what the call ends with: a Trap, the exception of a host function, StoreBusy, Closed, InstancePoisoned.
        """
        if self.store is None or is_closed(self.store):
            raise Closed("the store of this function is closed")
        instance: object = self.concerned()
        if instance is not None:
            if instance.closed:
                raise Closed("the instance of this function is closed")
            if instance.poisoned:
                raise InstancePoisoned("a call of this instance was abandoned midway; its memory may be inconsistent")
        if self.guest is not None:
            return self.run_python(args)
        raws: list = self.run_cells(args)  # nothing of Python's runs between cells, which are looked at, and here
        return raws if self.store.objects is None else self.store.show(raws, self.results)

    def call_by_guest(self, args: list, run: object) -> list:
        """``call_raw`` by a guest that the oracle runs, of what the oracle does not run: to be closed or abandoned
        midway ends no calls between guests, here or in machine code. ``run`` waits while cells have what it gave."""
        if self.store is None or is_closed(self.store):
            raise Closed("the store of this function is closed")
        return run_in_cells(self, args, run)

    def concerned(self):
        """The instance that a call abandoned midway leaves inconsistent, or None."""
        return self.instance

    def run_python(self, args):
        """Run on the oracle."""
        entry: Entry
        checked: uint64_t[64]
        results: list = []
        failure: object = None
        index: object = self.rec.func - self.instance.n_imported_funcs
        aborted: cython.bint = is_aborted(self.store)
        begun: cython.bint = False
        if len(args) <= STACK_CELLS:
            fill_cells(self.store, checked, args, self.params, self.type.params)
        begin_python(self, cython.address(entry))
        try:
            self.store.poll()
            self.instance.oracle.prepare(index)
            begun = True
            results = self.instance.oracle.call(index, list(args))  # which has shown them as it ended
        except BaseException as error:
            failure = error
        if not begun:  # nothing was left midway
            set_aborted(self.store, aborted)
        elif failure is not None:
            midway: cython.bint = True
            try:
                midway = self.instance.oracle.left_midway()
            except BaseException as error:  # a signal's handler may raise here, too, and the store has to be left
                failure = error
            if midway:
                set_aborted(self.store, True)
        end_python(self, cython.address(entry), failure, begun)
        return results

    def run_cells(self, args):
        """Run on cells."""
        return run_in_cells(self, args, None)

    def go(self, cells):
        """Enter the store and run, with arguments and results in cells; raises what the call ends with."""
        return run_entry(self.store, self.rec, self.shape.array_entry, cells)

    def __repr__(self) -> str:
        return f"<function {printable(self.name) or hex(self.raw)} {self.type}>"


@cython.cfunc
def run_in_cells(function: FuncRef, args: list, run: object) -> list:
    """Run on cells. They have memory of their own, and not the stack's, which a greenlet may leave. Until they have the
    arguments, and once they have gone, a ``run`` that gave them may be the only one that has what they refer to."""
    n: cython.size_t = 2 * max(len(function.params), len(function.results))
    kept: cython.pointer(ResultCells) = cython.cast(
        cython.pointer(ResultCells), calloc(1, cython.sizeof(ResultCells) + n * cython.sizeof(uint64_t))
    )
    if kept == cython.NULL:
        raise MemoryError("no memory for arguments")
    cells: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), kept + 1)
    keep_cells(kept, function.store.exec, cells, n)
    try:
        fill_cells(function.store, cells, args, function.params, function.type.params)
        if run is not None:
            run.waits = True
        function.go(cells)
        return read_cells(cells, function.results)
    finally:
        if run is not None:
            run.waits = False
        drop_cells(kept)
        free(kept)


@cython.cclass
class LoneFunc(FuncRef):
    """A function that nothing in its module names, outside of bodies: its FuncRec is in no instance, but in itself."""

    def records(self) -> tuple:
        """Where its FuncRec lies, and that it is one."""
        return self.raw, 1

    def function_of(self, address: int) -> FuncRef:
        """Itself."""
        return self


def begin_python(function, entry):
    """Enter a store for a call that Python runs; ``end_python`` must follow."""
    function.store.enter(entry)
    entry.act.rec = function.rec
    entry.prev_greenlet = entry.block.greenlet
    if current_greenlet is not None:
        entry.block.greenlet = greenlet_here()
    return 0


def end_python(function, entry, failure, begun):
    """Leave a call that Python ran, as one that came back from machine code is left; raises ``failure``, if any.
    ``begun``: whether anything ran that may have been left midway."""
    store: Store = function.store
    entry.block.greenlet = entry.prev_greenlet
    try:
        if (
            begun
            and failure is not None
            and (is_aborted(store) or isinstance(failure, (Interrupted, DeadlineExceeded)))
        ):
            set_aborted(store, True)
            entry.act.trap_kind = TRAP_HOST_EXCEPTION
            store.trap_error(entry)
            instance: object = function.concerned()
            if instance is not None and not store.keep_on_abort:
                instance.poison()
    finally:
        store.leave(entry)
    if failure is not None:
        if entry.outermost or function.instance is not None:  # a guest that called a host function tells of it itself
            store.report(function.rec, failure, entry.outermost)
        # Not by ``raise``, see ``store.end_of_call``.
        PyErr_SetObject(type(failure), failure)
        return -1
    if entry.outermost:
        remember_report(store, None)
        deliver_events(store)
    return 0
