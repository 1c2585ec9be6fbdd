"""Host functions: Python callables on raw bits, callable from guests. Owns the way from machine code into Python."""

# strata: hot
import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.runtime._gen_layout import (
    BUILTIN_HOST_CALL,
    MAGIC_HOST,
    TRAP_HOST_EXCEPTION,
    ExecContext,
    HostFunc,
)
from cython.cimports.stratavm.runtime.func import FuncRef, cell_widths, fill_cells, read_cells
from cython.cimports.stratavm.runtime.native import stack_pointer
from cython.cimports.stratavm.runtime.store import Store, builtin_table, deliver_events, regain_gil
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block
from cython.cimports.stratavm.runtime.ticker import TICKER_TICKS, ticker_state, wake_ticker

from stratavm.base.errors import StackOverflow

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.cclass
class HostFunction(FuncRef):
    """A Python callable as a function of a store: ``function(list of raw bits) -> list of raw bits``."""

    def __init__(self, store: Store, type: object, function: object, name: str = "host"):
        if not callable(function):
            raise TypeError(f"host function {name}: expected a callable, got {type.__class__.__name__}")
        self.store = store
        self.type = type
        self.function = function
        self.label = name
        self.params = cell_widths(type.params)
        self.results = cell_widths(type.results)
        self.rec = cython.address(self.own_rec)
        self.own_host.magic = MAGIC_HOST
        self.own_host.callable = cython.cast(cython.p_void, self)
        self.own_host.n_params = len(type.params)
        self.own_host.n_results = len(type.results)
        self.own_rec.vmctx = cython.address(self.own_host)
        self.own_rec.type_id = store.runtime.types.of_func(type)
        if store.runtime.stubs is not None:
            self.own_rec.code = cython.cast(cython.p_void, cython.cast(uint64_t, store.runtime.stubs.host_entry(type)))
            self.own_rec.array_entry = cython.cast(
                cython.p_void, cython.cast(uint64_t, store.runtime.stubs.array_entry(type))
            )
        store.keep(self, self.raw, 1)

    @property
    def name(self) -> str:
        """Debug name."""
        return self.label

    @property
    def guest(self) -> None:
        """None: no tier runs a host function."""
        return None

    def function_of(self, address: int) -> FuncRef:
        """Itself."""
        return self

    def call_raw(self, args: list) -> list:
        """Call the Python function, with the same checks as a call from a guest."""
        self.store.check_access()
        if len(args) != len(self.params):
            raise TypeError(f"host function {self.label}: expected {len(self.params)} values, got {len(args)}")
        return self.checked(self.function(list(args)))

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def invoke(self, cells: cython.pointer(uint64_t)) -> cython.int:
        """Run it: arguments and results in cells. Subclasses convert in their own way."""
        results: object = self.function(read_cells(cells, self.params))
        fill_cells(self.store, cells, self.checked(results), self.results)
        return 0

    def checked(self, results: object) -> list:
        """The function's results if they are as many as its type says."""
        if not isinstance(results, list) or len(results) != len(self.results):
            raise TypeError(f"host function {self.label} {self.type} returned {results!r}")
        return results


@cython.cfunc
@cython.exceptval(check=False)
def call_python(
    context: cython.pointer(ExecContext), host: cython.pointer(HostFunc), cells: cython.pointer(uint64_t)
) -> uint32_t:
    """Run the Python function. Whatever it raises is kept and comes out of the outermost call unchanged."""
    function: HostFunction = cython.cast(HostFunction, cython.cast(cython.pointer(PyObject), host.callable))
    store: Store = cython.cast(Store, cython.cast(cython.pointer(PyObject), context.store))
    saved_sp: uint64_t = context.saved_sp
    saved_fp: uint64_t = context.saved_fp
    status: uint32_t = 0
    try:
        if stack_pointer() + 65536 < context.real_limit:
            raise StackOverflow(detail=f"in a call of host function {function.label}")
        deliver_events(store)
        function.invoke(cells)
        if ticker_state != TICKER_TICKS:  # it has forked, and is the child
            wake_ticker()
    except BaseException as error:
        store.in_flight = error
        status = TRAP_HOST_EXCEPTION
    context.saved_sp = saved_sp
    context.saved_fp = saved_fp
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
    regain_gil(block)
    block.in_guest = 0
    status = call_python(context, host, cells)
    block.in_guest = 1
    return status


builtin_table[BUILTIN_HOST_CALL] = cython.cast(cython.p_void, host_call)
