"""Host functions: Python callables on raw bits, callable from guests. Owns the way from machine code into Python."""

# strata: hot
import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    ATTENTION_FIBER,
    BUILTIN_HOST_CALL,
    MAGIC_HOST,
    STATUS_SUSPEND,
    TRAP_HOST_EXCEPTION,
    ExecContext,
    FiberState,
    HostFunc,
)
from cython.cimports.stratavm.runtime.exceptions import keep_raised
from cython.cimports.stratavm.runtime.func import (
    FuncRef,
    Shape,
    begin_python,
    cell_widths,
    end_python,
    fill_cells,
    read_cells,
)
from cython.cimports.stratavm.runtime.gil import leave_guest
from cython.cimports.stratavm.runtime.greenlets import current_greenlet, greenlet_here
from cython.cimports.stratavm.runtime.native import stack_pointer
from cython.cimports.stratavm.runtime.occupancy import Entry, deliver_events, fiber_here, has_events, stands
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.template import builtin_table
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block
from cython.cimports.stratavm.runtime.ticker import is_ticking, wake_ticker
from cython.cimports.stratavm.runtime.typeids import UsedTypes

from stratavm.base import switches
from stratavm.base.errors import StackOverflow


@cython.cclass
class HostShape(Shape):
    """A function type as the host functions of an engine need it; ``number``: see ``TypeIds.of_func``."""

    def __cinit__(self, runtime: object, type: object, number: object = 0):
        stubs: object = runtime.stubs
        used: UsedTypes = runtime.types.of_func(type, number)
        self.type = type
        self.params = cell_widths(type.params)
        self.results = cell_widths(type.results)
        self.type_id = used.ids[len(used.ids) - 1]
        self.keeps = used
        if stubs is not None:
            host_entry: object = stubs.host_entry(type)
            array_entry: object = stubs.array_entry(type)
            self.code = cython.cast(cython.p_void, cython.cast(uint64_t, host_entry.address))
            self.array_entry = cython.cast(cython.p_void, cython.cast(uint64_t, array_entry.address))
            self.keeps = (host_entry, array_entry, used)


@cython.cclass
class HostFunction(FuncRef):
    """A Python callable as a function of a store: ``function(list of raw bits) -> list of raw bits``."""

    def __init__(self, store: Store, type: object, function: object, name: str = "host"):
        self.become(store, HostShape(store.runtime, type), function, name)

    def become(self, store, shape, function, label):
        """Become a function of a store. TypeError unless it can be called."""
        if self.store is not None:  # guests that have it rely on its type
            raise TypeError("a host function is initialised once")
        if not callable(function):
            raise TypeError(f"host function {label}: expected a callable, got {function.__class__.__name__}")
        self.store = store
        self.shape = shape
        self.type = shape.type
        self.function = function
        self.label = label
        self.params = shape.params
        self.results = shape.results
        self.run = as_run_cells(run_lists)
        self.rec = cython.address(self.own_rec)
        self.own_host.magic = MAGIC_HOST
        self.own_host.callable = cython.cast(cython.p_void, self)
        self.own_host.n_params = len(shape.params)
        self.own_host.n_results = len(shape.results)
        self.own_rec.vmctx = cython.address(self.own_host)
        self.own_rec.type_id = shape.type_id
        self.own_rec.code = shape.code
        store.keep(self)
        return 0

    @property
    def name(self) -> str:
        """Debug name."""
        return self.label

    @property
    def guest(self) -> None:
        """None: no tier runs a host function."""
        return None

    def records(self) -> tuple:
        """Where its FuncRec lies, and that it is one."""
        return self.raw, 1

    def function_of(self, address: int) -> FuncRef:
        """Itself."""
        return self

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, cells: cython.pointer(uint64_t)) -> cython.int:
        """A call from the host: it enters the store as a call of a guest does, so that what ends those ends this."""
        entry: Entry
        failure: object = None
        begin_python(self, cython.address(entry))
        try:
            deliver_events(self.store)
            self.store.poll()
            if self.run(self, cells) != 0:
                raise_what_is_set()
        except BaseException as error:
            failure = error
        return end_python(self, cython.address(entry), failure, True)

    def take(self, answer, cells):
        """Put what the function returned after all, in an asynchronous call, into cells."""
        fill_cells(self.store, cells, self.checked(answer), self.results, self.type.results)
        return 0

    def checked(self, results: object) -> list:
        """The function's results if they are as many as its type says."""
        if not isinstance(results, list) or len(results) != len(self.results):
            raise TypeError(f"host function {self.label} {self.type} returned {results!r:.80}")
        return results


@cython.cfunc
@cython.exceptval(-1, check=False)
def refuse_to_wait(function: HostFunction, awaitable: object, is_between: cython.bint) -> cython.int:
    """Nobody can await what a host function returned; ``is_between``: though the guest that is on a fiber could."""
    if function.store.runtime.asynchronous is None:
        raise TypeError(f"host function {function.label} returned {awaitable!r:.80}")
    raise function.store.runtime.asynchronous().refusal(function.label, awaitable, is_between)


@cython.cfunc
@cython.exceptval(-1, check=False)
def run_lists(self: HostFunction, cells: cython.pointer(uint64_t)) -> cython.int:
    """Run the Python function on lists of raw bits."""
    results: object = self.function(read_cells(cells, self.params))
    fill_cells(self.store, cells, self.checked(results), self.results, self.type.results)
    return 0


def wait_for(function, awaitable, cells):
    """1: the guest, which is on a fiber, waits for what the function returned. CannotSuspend where it cannot."""
    context: cython.pointer(ExecContext) = function.store.exec
    state: cython.pointer(FiberState) = fiber_here(context)
    if state == cython.NULL:
        refuse_to_wait(function, awaitable, stands(context, ATTENTION_FIBER))
    Py_INCREF(awaitable)
    state.request = cython.cast(cython.p_void, awaitable)
    state.host = cython.cast(cython.p_void, function)
    state.cells = cells
    return 1


def as_run_cells(function):
    """The same function to a caller that looks at the error itself."""
    return cython.cast(run_cells_t, function)


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_what_is_set() -> cython.int:
    """For the code below: a C function has failed."""
    return -1


@cython.cfunc
@cython.exceptval(check=False)
def keep_error(function: HostFunction, overflow: cython.bint) -> uint32_t:
    """Keep what was raised: the status."""
    try:
        if overflow:
            raise StackOverflow(detail=f"in a call of host function {function.label}")
        raise_what_is_set()
    except BaseException as error:
        return keep_raised(function.store, error)
    return TRAP_HOST_EXCEPTION


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def deliver_first(function: HostFunction) -> cython.int:
    """Deliver the events that the guest recorded. Non-zero: a listener's exception is kept."""
    return deliver_or_keep(function) if has_events(function.store) else 0


@cython.cfunc
@cython.exceptval(check=False)
def deliver_or_keep(function: HostFunction) -> cython.int:
    """``deliver_first`` where there are events."""
    try:
        function.store.deliver()
    except BaseException as error:
        function.store.in_flight = error
        return 1
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def wake_or_keep(function: HostFunction) -> uint32_t:
    """Give a forked child a ticker: 0, or the trap kind."""
    try:
        wake_ticker()
    except BaseException as error:
        function.store.in_flight = error
        return TRAP_HOST_EXCEPTION
    return 0


@cython.cfunc
@cython.exceptval(check=False)
def call_python(
    block: cython.pointer(ThreadBlock), function: HostFunction, cells: cython.pointer(uint64_t)
) -> uint32_t:
    """Run the Python function: 0, or the trap kind."""
    status: uint32_t = 0
    overflow: cython.bint = stack_pointer() + 65536 < block.limit  # of the thread: a guest's own may be higher
    if function.store.in_flight is not None:  # a limiter failed since the guest's last poll: nothing may run first
        return TRAP_HOST_EXCEPTION
    if not overflow and deliver_first(function) != 0:
        return TRAP_HOST_EXCEPTION
    how: cython.int = -1 if overflow else function.run(function, cells)
    if how != 0:
        status = STATUS_SUSPEND if how > 0 else keep_error(function, overflow)
    elif not is_ticking():  # it has forked, and is the child
        status = wake_or_keep(function)
    return status


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def host_call(
    context: cython.pointer(ExecContext), host: cython.pointer(HostFunc), cells: cython.pointer(uint64_t)
) -> uint32_t:
    """Builtin ``host_call``."""
    block: cython.pointer(ThreadBlock) = current_block()
    status: uint32_t
    leave_guest(block)
    outer: cython.p_void = block.greenlet
    if current_greenlet is not None:
        block.greenlet = greenlet_here()
    status = call_python(block, cython.cast(HostFunction, cython.cast(cython.pointer(PyObject), host.callable)), cells)
    block.greenlet = outer
    block.in_guest = 1
    return status


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def checked_host_call(
    context: cython.pointer(ExecContext), host: cython.pointer(HostFunc), cells: cython.pointer(uint64_t)
) -> uint32_t:
    """``host_call`` with a look at the stack: Python runs on no fiber."""
    block: cython.pointer(ThreadBlock) = current_block()
    if not block.stack_low <= stack_pointer() < block.stack_high:
        return complain(block, context)
    return host_call(context, host, cells)


@cython.cfunc
@cython.exceptval(check=False)
def complain(block: cython.pointer(ThreadBlock), context: cython.pointer(ExecContext)) -> uint32_t:
    """A host function would run on a fiber."""
    leave_guest(block)
    error: object = AssertionError("a host function was called on the stack of a fiber")
    cython.cast(Store, context.store).in_flight = error
    block.in_guest = 1
    return TRAP_HOST_EXCEPTION


CHECKS = switches.CHECK.value()
builtin_table[BUILTIN_HOST_CALL] = cython.cast(cython.p_void, checked_host_call if CHECKS else host_call)
