# strata: hot
"""Functions as Python calls them: a final class whose objects carry their own vectorcall pointer.

The quick path takes plain numbers from the argument vector into cells and runs the array entry; everything else
(references, ``__index__``, wrong arguments, the oracle) goes through ``values``, which owns the rules and the words.
Order: convert all arguments (``__index__`` may run anything), see whether the instance is usable, enter, call,
leave, convert the results.
"""

import inspect

import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.cpython.tuple import PyTuple_New, PyTuple_SET_ITEM
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.stratavm.engine.cells import CELL_WORDS, MAX_CELLS, box, unbox
from cython.cimports.stratavm.engine.hostcall import TypedHost
from cython.cimports.stratavm.engine.python import (
    PY_VECTORCALL_ARGUMENTS_OFFSET,
    Py_TPFLAGS_HAVE_VECTORCALL,
    PyType_Modified,
    PyTypeObject,
    PyVectorcall_Call,
)
from cython.cimports.stratavm.runtime.func import FuncRef
from cython.cimports.stratavm.runtime.store import run_entry

from stratavm.engine.cells import codes_of
from stratavm.engine.events import HostFunctionCreated
from stratavm.engine.host import Caller
from stratavm.engine.values import arguments_to_raw, results_from_raw, signature
from stratavm.spec.types import FuncType, type_name

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.cclass
class Func:
    """A WebAssembly or host function of a store; call it like a Python function.

    Integers come back signed; several results come back as a tuple. What the call ends with (``Trap``, an
    exception of a
    host function, ``KeyboardInterrupt``) is raised unchanged.
    """

    def __cinit__(self, store: object, native: FuncRef):
        type: object = native.type
        self.store = store
        self.native = native
        self.rec = native.rec
        self.inner = native.store
        self.instance = native.instance
        self.params = codes_of(type.params)
        self.results = codes_of(type.results)
        self.n_results = len(self.results)
        self.n_params = len(self.params)
        if (
            self.instance is None
            or self.rec.array_entry == cython.NULL
            or max(self.n_params, self.n_results) > MAX_CELLS
            or b"-" in self.params + self.results
        ):
            self.n_params = -1
        quick: call_t = call_quickly
        self.vectorcall = cython.cast(vectorcall_t, quick)

    @staticmethod
    def from_callable(store: object, type_: object, function: object) -> Func:
        """A host function of the given type, to define in a linker or to put into a table."""
        name: object = getattr(function, "__name__", "host")
        made: Func = Func(store, TypedHost(store, type_, function, name, Caller()))
        if store.source.hears(HostFunctionCreated):
            store.source.emit(HostFunctionCreated(name, signature("", type_)))
        return made

    def __call__(self, *arguments: object, **keywords: object) -> object:
        """Call it."""
        return self.call_slowly(arguments, keywords)

    @cython.cfunc
    def call_slowly(self, values: tuple, keywords: object) -> object:
        """Call with anything that ``values`` knows how to convert."""
        if keywords:
            raise TypeError(f"{signature(self.name, self.type)} takes no keyword arguments")
        # Handles of arguments and results must not be collected before a guest, or Python, holds what they stand for.
        self.inner.pinned += 1
        try:
            raws: list = arguments_to_raw(self.name, self.type, values, self.store)
            return results_from_raw(self.type, self.native.call_raw(raws), self.store)
        finally:
            self.inner.pinned -= 1
            self.inner.settle()

    def call_raw(self, raws: list) -> list:
        """Call with raw bits in unsigned integers and get raw bits back; for tools and tests."""
        return self.native.call_raw(raws)

    @property
    def type(self) -> FuncType:
        """Parameter and result types."""
        return self.native.type

    @property
    def name(self) -> str:
        """Debug name."""
        return str(self.native.name)

    def __getattr__(self, attribute: str) -> str:
        if attribute in ("__name__", "__qualname__"):
            return self.name
        raise AttributeError(f"'Func' object has no attribute {attribute!r}")

    @property
    def __signature__(self) -> inspect.Signature:
        return python_signature(self.native.type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Func) and cython.cast(Func, other).rec == self.rec

    def __hash__(self) -> int:
        return hash(cython.cast(uint64_t, self.rec))

    def __reduce__(self):
        raise TypeError("a function of a store cannot be pickled")

    def __repr__(self) -> str:
        return f"<Func {signature(self.name, self.type)}>"


@cython.cfunc
def call_quickly(
    self: Func,
    args: cython.pointer(cython.pointer(PyObject)),
    nargsf: cython.size_t,
    keywords: cython.pointer(PyObject),
) -> object:
    """The vectorcall function."""
    cells: uint64_t[CELL_WORDS]
    n: cython.Py_ssize_t = nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET
    if (
        keywords != cython.NULL
        or n != self.n_params
        or unbox(self.params, n, args, cells)
        or (self.instance is not None and (self.instance.closed or self.instance.poisoned))
    ):
        return call_with_objects(self, args, n, keywords)
    run_entry(self.inner, self.rec, cells)
    if self.n_results == 0:
        return None
    if self.n_results == 1:
        return box(cython.cast(cython.p_char, self.results)[0], cells)
    return boxed_tuple(self, cells)


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


def python_signature(type_: object) -> inspect.Signature:
    """Positional parameters annotated with the names of WebAssembly types."""
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
