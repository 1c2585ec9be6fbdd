# cython: binding=True, embedsignature=False
# strata: hot
"""Functions as Python calls them: a final class whose objects carry their own vectorcall pointer.

Three paths, each leaving to the next what is unusual. A function that is called often gets machine code of its own
(``targets.x64.pycall``): plain numbers, an outermost call. The quick path takes numbers from the argument vector into
cells and runs the array entry. Everything else (references, ``__index__``, wrong arguments, the oracle) goes through
``values``, which owns the rules and the words.
Order: convert all arguments (``__index__`` may run anything), see whether the instance is usable, enter, call,
leave, convert the results.
"""

import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.cpython.tuple import PyTuple_New, PyTuple_SET_ITEM
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.engine.cells import CELL_WORDS, MAX_CELLS, box, unbox
from cython.cimports.stratavm.engine.hostcall import Offered, codes_of_shape
from cython.cimports.stratavm.engine.python import (
    PY_VECTORCALL_ARGUMENTS_OFFSET,
    Py_TPFLAGS_HAVE_VECTORCALL,
    PyType_Modified,
    PyTypeObject,
    PyVectorcall_Call,
)
from cython.cimports.stratavm.runtime.func import FuncRef
from cython.cimports.stratavm.runtime.gil import regain_gil
from cython.cimports.stratavm.runtime.objects import Objects
from cython.cimports.stratavm.runtime.occupancy import Entry
from cython.cimports.stratavm.runtime.store import Store as RuntimeStore
from cython.cimports.stratavm.runtime.store import end_machine_call, run_entry
from cython.cimports.stratavm.runtime.threads import ThreadBlock, current_block

from stratavm.base.errors import ResourceLimit
from stratavm.base.importing import begin_import, end_import
from stratavm.base.text import printable
from stratavm.contract.stubs import PythonFacts
from stratavm.engine import pyfacts
from stratavm.engine.events import HostFunctionCreated
from stratavm.engine.host import Caller
from stratavm.runtime.introspect import Signed
from stratavm.runtime.values import (
    TYPED,
    arguments_to_raw,
    results_from_raw,
    signature,
    signature_in,
    told,
    value_types,
)
from stratavm.spec.types import FIRST_CONCRETE, FIRST_RESOLVED, FuncType, is_value_type, type_name

driver = cython.declare(object, None)  # of asynchronous calls, at the first
WARM = cython.declare(uint32_t, 64)  # calls after which a function gets machine code: making it takes 0.2 ms


def checked_signature(type_, store):
    """A function type of a host's in a store. TypeError unless parameters and results are tuples of value types that
    mean something outside of a module."""
    for values in (type_.params, type_.results):
        if not isinstance(values, tuple):
            raise TypeError(f"parameters and results of a FuncType are tuples of value types, got {values!r:.60}")
    known: object = FuncType(value_types(type_.params, store), value_types(type_.results, store))
    for values in (known.params, known.results):
        for t in values:
            if not isinstance(t, int) or not is_value_type(t):
                raise TypeError(f"a FuncType has value types such as stratavm.spec.types.I32, got {t!r:.60}")
            if FIRST_CONCRETE <= t < FIRST_RESOLVED:
                raise TypeError(f"{type_name(t)} names a type by its index in a module; {TYPED}")
    return type_ if known == type_ else known


def signature_of(function: object) -> object:
    """``__signature__`` of a function."""
    return python_signature(function.type)


@cython.cclass
class Func:
    """A WebAssembly or host function of a store; call it like a Python function.

    Integers come back signed, vectors as their 16 bytes; several results come back as a tuple. What the call ends with
    (``Trap``, an exception of a host function, ``KeyboardInterrupt``) is raised unchanged.
    """

    __signature__ = Signed("Func", signature_of)

    def __cinit__(self, store: object, native: FuncRef):
        self.store = store
        if self.store is None or native.store is not self.store:
            raise TypeError(
                "a Func is of a function of its store: exports and tables have them, from_callable makes one"
            )
        self.native = native
        self.rec = native.rec
        self.instance = native.instance
        self.params, self.results = codes_of_shape(native.shape)
        self.n_results = len(self.results)
        self.n_params = len(self.params)
        if (
            self.instance is None
            or self.rec.code == cython.NULL
            or max(self.n_params, self.n_results) > MAX_CELLS
            or b"-" in self.params + self.results
        ):
            self.n_params = -1
        else:
            self.array_entry = native.shape.array_entry
            self.gate.exec = self.store.exec
            self.gate.rec = self.rec
            self.gate.codes = cython.cast(cython.p_void, cython.cast(cython.p_char, self.params))
            self.cold = WARM
        first: call_t = call_cold if self.cold else call_quickly
        self.vectorcall = cython.cast(vectorcall_t, first)

    @staticmethod
    def from_callable(store: object, type_: object, function: object) -> Func:
        """A host function of the given type, to define in a linker, to put into a table or to pass to a guest.

        Args:
            store: where it lives.
            type_: what guests call it with, a ``stratavm.spec.types.FuncType`` or the ``type`` of a ``Func``. In a
                ``FuncType`` a ``GuestType`` stands for references to its objects or null.
            function: what runs.

        Raises:
            TypeError: one of them is something else, or a ``GuestType`` another engine's.
            Closed: the store is closed.
        """
        if not isinstance(store, RuntimeStore):
            raise TypeError(f"Func.from_callable() takes a Store first, got {store.__class__.__name__}")
        if not isinstance(type_, FuncType):
            raise TypeError(
                "Func.from_callable() takes a FuncType second, the type of a Func or "
                f"stratavm.spec.types.FuncType((I32,), (I32,)), got {type_.__class__.__name__}"
            )
        type_ = checked_signature(type_, store)
        name: object = getattr(function, "__name__", "host")
        made: Func = Func(store, Offered(store.runtime, name, type_, function).bind(store, Caller()))
        if store.source.hears(HostFunctionCreated):
            store.source.emit(HostFunctionCreated(name, signature("", type_)))
        return made

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """Call it."""
        return self.call_slowly(arguments, keywords)

    def call_slowly(self, values, keywords):
        """Call with anything that ``values`` knows how to convert."""
        if keywords:
            raise TypeError(f"{signature_in(self.store, self.name, self.type)} takes no keyword arguments")
        # Handles of arguments and results must not be collected before a guest, or Python, holds what they stand for.
        self.store.pinned += 1
        raws: list = []
        try:
            try:
                raws = arguments_to_raw(self.name, self.native.type, values, self.store)
            except ResourceLimit as error:
                self.store.free_handles(error, 1)
                raws = arguments_to_raw(self.name, self.native.type, values, self.store)
            raws = self.native.call_raw(raws)
            return results_from_raw(self.native.type, raws, self.store)
        finally:
            self.store.pinned -= 1
            objects: Objects = self.store.objects
            if objects is not None:
                objects.unshow(raws)
            self.store.settle()

    def warm(self):
        """Give the function machine code, or the quick path for good where there is none."""
        quick: call_t = call_quickly
        entry: object = 0
        self.cold = 0
        if FACTS is not None and self.store.engine.config.calls == "machine":
            try:
                entry, landing = self.store.runtime.stubs.python_entry(self.native.type, FACTS)
                self.gate.landing = cython.cast(cython.p_void, cython.cast(uint64_t, landing))
            except (ResourceLimit, MemoryError):
                pass  # code memory is full: what has room in it goes on, and so does this
        self.vectorcall = cython.cast(vectorcall_t, quick)
        if entry:
            self.vectorcall = cython.cast(vectorcall_t, cython.cast(uint64_t, entry))
        return 0

    @property
    def path(self) -> str:
        """How a call goes at present: ``machine`` (code of its own), ``cold`` (called too rarely for that so far),
        ``quick`` (compiled, generic), ``slow`` (by the rules of ``values``: references, the oracle, host
        functions)."""
        quick: call_t = call_quickly
        if self.n_params < 0:
            return "slow"
        if self.cold:
            return "cold"
        return "quick" if self.vectorcall == cython.cast(vectorcall_t, quick) else "machine"

    def call_async(self, *arguments: object) -> object:
        """Call it from asyncio: a coroutine, to be awaited, with the result of the call.

        The guest runs inline until a host function returns an awaitable (``async def``, a future …): then it is
        suspended, and goes on with what was awaited as that function's result. A guest that computes for long lets the
        loop run at ticks, some hundred times a second. Meanwhile its store is busy. Cancelling abandons the call,
        which poisons the instance; ``Store.deadline`` and ``interrupt`` end it also while it waits.

        Raises:
            CannotSuspend: the guest runs on the oracle, or a synchronous call lies between it and an awaitable.
            ResourceLimit: there is no stack for one more such call.
            StoreBusy, Closed, InstancePoisoned, TypeError, OverflowError: as for a synchronous call.
            Exception: whatever the call or an awaitable ends with.
        """
        global driver
        if driver is None:
            driver = self.store.runtime.asynchronous().call_async
        return driver(self, arguments)

    def call_raw(self, raws: list) -> list:
        """Call with raw bits in unsigned integers and get raw bits back; for tools and tests."""
        return self.native.call_raw(raws)

    @property
    def type(self) -> FuncType:
        """Parameter and result types."""
        return told(self.native.type, self.store)

    @property
    def name(self) -> str:
        """Debug name."""
        return str(self.native.name)

    def __getattr__(self, attribute: str) -> str:
        if attribute in ("__name__", "__qualname__"):
            return printable(self.name)
        raise AttributeError(f"'Func' object has no attribute {attribute!r}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Func) and cython.cast(Func, other).rec == self.rec

    def __hash__(self) -> int:
        return hash(cython.cast(uint64_t, self.rec))

    def __reduce__(self):
        raise TypeError("a function of a store cannot be pickled")

    def __repr__(self) -> str:
        return f"<Func {signature_in(self.store, self.name, self.type)}>"


@cython.cfunc
def call_cold(
    self: Func,
    args: cython.pointer(cython.pointer(PyObject)),
    nargsf: cython.size_t,
    keywords: cython.pointer(PyObject),
) -> object:
    """The vectorcall function of the first calls."""
    if self.cold:  # else another thread is about to warm it
        self.cold -= 1
        if self.cold == 0:
            self.warm()
    return call_quickly(self, args, nargsf, keywords)


@cython.cfunc
def call_quickly(
    self: Func,
    args: cython.pointer(cython.pointer(PyObject)),
    nargsf: cython.size_t,
    keywords: cython.pointer(PyObject),
) -> object:
    """The vectorcall function of functions without machine code of their own."""
    cells: uint64_t[CELL_WORDS]
    n: cython.Py_ssize_t = nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET
    if (
        keywords != cython.NULL
        or n != self.n_params
        or unbox(self.params, n, args, cells)
        or (self.instance is not None and (self.instance.closed or self.instance.poisoned))
    ):
        return call_with_objects(self, args, n, keywords)
    run_entry(self.store, self.rec, self.array_entry, cells)
    return boxed(self, cells)


def boxed(self, cells):
    """The results of a call."""
    if self.n_results == 0:
        return None
    if self.n_results == 1:
        return box(cython.cast(cython.p_char, self.results)[0], cells)
    return boxed_tuple(self, cells)


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)  # the guest may come back without the GIL
def finish(
    self: cython.pointer(PyObject),
    entry: cython.pointer(Entry),
    cells: cython.pointer(uint64_t),
    trapped: uint32_t,
) -> cython.pointer(PyObject):
    """Where machine code goes when a guest has come back and there is more to do than to return."""
    block: cython.pointer(ThreadBlock) = current_block()
    box_results: results_t = boxed
    regain_gil(block)
    block.in_guest = 0
    function: Func = cython.cast(Func, self)
    if end_machine_call(function.store, function.rec, entry, trapped) != 0:
        return cython.NULL
    return cython.cast(raw_results_t, box_results)(self, cells)


@cython.cfunc
def boxed_tuple(self: Func, cells: cython.pointer(uint64_t)) -> object:
    """Several results."""
    i: cython.Py_ssize_t
    codes: cython.p_char = self.results
    values: tuple = PyTuple_New(self.n_results)
    for i in range(self.n_results):
        value: object = box(codes[i], cells + 2 * i)
        Py_INCREF(value)
        PyTuple_SET_ITEM(values, i, value)
    return values


@cython.cfunc
def call_with_objects(
    self: Func,
    args: cython.pointer(cython.pointer(PyObject)),
    n: cython.Py_ssize_t,
    keywords: cython.pointer(PyObject),
) -> object:
    """Leave the quick path: arguments as a tuple."""
    i: cython.Py_ssize_t
    values: list = []
    for i in range(n):
        values.append(cython.cast(object, args[i]))
    named: object = None if keywords == cython.NULL else cython.cast(object, keywords)
    return self.call_slowly(tuple(values), named)


def python_signature(type_: object) -> object:
    """Positional parameters annotated with the names of WebAssembly types."""
    begin_import()
    try:
        import inspect  # slow to import
    finally:
        end_import()

    kind: object = inspect.Parameter.POSITIONAL_ONLY
    parameters: list = [inspect.Parameter(f"p{i}", kind, annotation=type_name(t)) for i, t in enumerate(type_.params)]
    results: list = [type_name(t) for t in type_.results]
    returned: object = None if not results else results[0] if len(results) == 1 else tuple(results)
    return inspect.Signature(parameters, return_annotation=returned)


@cython.cfunc
@cython.exceptval(check=False)
def vectorcall_offset() -> cython.Py_ssize_t:
    """Where the pointer lies in an object."""
    nowhere: cython.p_void = cython.NULL
    return cython.cast(cython.Py_ssize_t, cython.address(cython.cast(Func, nowhere).vectorcall))


@cython.cfunc
def enable_vectorcall() -> cython.int:
    """Tell CPython where the pointer lies. Before the first object is made: it would be called through ``tp_call``."""
    type_: cython.pointer(PyTypeObject) = cython.cast(cython.pointer(PyTypeObject), cython.cast(cython.p_void, Func))
    type_.tp_vectorcall_offset = vectorcall_offset()
    type_.tp_flags |= Py_TPFLAGS_HAVE_VECTORCALL
    type_.tp_call = PyVectorcall_Call
    PyType_Modified(type_)
    return 0


enable_vectorcall()


def python_facts() -> PythonFacts:
    """Everything that machine code of calls relies on, in this process."""
    nowhere: cython.p_void = cython.NULL
    quick: call_t = call_quickly
    numbers: unbox_t = unbox
    several: results_t = boxed_tuple
    last: raw_end_t = finish
    return PythonFacts(
        gate_at=cython.cast(cython.Py_ssize_t, cython.address(cython.cast(Func, nowhere).gate)),
        entry_bytes=cython.sizeof(Entry),
        unbox=cython.cast(uint64_t, cython.cast(cython.p_void, numbers)),
        call_generic=cython.cast(uint64_t, cython.cast(cython.p_void, quick)),
        finish=cython.cast(uint64_t, cython.cast(cython.p_void, last)),
        results=cython.cast(uint64_t, cython.cast(cython.p_void, several)),
        **pyfacts.python_layout(),
        **pyfacts.runtime_layout(),
    )


COMPLAINTS = tuple(pyfacts.complaints(pyfacts.python_layout()))
"""Why no function gets machine code of its own in this process; empty where functions do."""
FACTS = None if COMPLAINTS else python_facts()
pyfacts.report(list(COMPLAINTS))
