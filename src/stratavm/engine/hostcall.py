# strata: hot
"""Host functions on Python values: what turns a plain callable into a function that guests call.

Plain numbers go straight from cells to an argument vector and back; references, and results that are not plain, go
through ``values``. A ``HostSpec`` gets the caller's memory and unsigned integers the same way.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.base.integers import int_value
from cython.cimports.stratavm.engine.cells import ARGUMENT_SLOTS, MAX_CELLS, new_number, unbox
from cython.cimports.stratavm.engine.python import (
    PY_VECTORCALL_ARGUMENTS_OFFSET,
    Py_DECREF,
    Py_None,
    PyCoro_CheckExact,
    PyLong_Check,
    PyLong_FromLongLong,
    PyLong_FromUnsignedLongLong,
    PyObject_Vectorcall,
    PyTuple_CheckExact,
    PyTuple_GET_ITEM,
    PyTuple_GET_SIZE,
)
from cython.cimports.stratavm.engine.shortway import ShortWay
from cython.cimports.stratavm.runtime.func import fill_cells, read_cells
from cython.cimports.stratavm.runtime.host import HostFunction, HostShape, as_run_cells, may_raise_t, wait_for
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.occupancy import fiber_here

from stratavm.base.errors import LinkError
from stratavm.base.importing import begin_import, end_import
from stratavm.engine.cells import codes_of
from stratavm.engine.host import HostSpec, PerStore, wants_caller
from stratavm.runtime.values import from_raw, results_to_raw, signature
from stratavm.spec.types import EXTERN, heap


def codes_of_shape(shape):
    """Codes of parameters and results, see ``cells``."""
    if shape.codes is None:
        shape.codes = (codes_of(shape.type.params), codes_of(shape.type.results))
    return shape.codes


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_spec(shape: HostShape, name: object) -> cython.int:
    """LinkError unless a ``HostSpec`` may have this type."""
    params, results = codes_of_shape(shape)
    if (params + results).strip(b"il") or len(params) >= MAX_CELLS or len(results) > 1:
        raise LinkError(f"host function {name}: a HostSpec takes and returns integers, not {shape.type}")
    return 0


@cython.cclass
class Offered:
    """A Python callable or a ``HostSpec``, for instances in every store of an engine: a ``Binder``.

    What does not depend on the store is found out here, once: the type's numbers, stubs, whether it wants the caller.
    ``number``: the id of its type where an import says it, else 0.
    """

    def __cinit__(self, runtime: object, where: str, type: object, item: object, number: object = 0):
        self.makes = True
        self.runtime = runtime
        self.where = where
        self.item = item
        self.is_spec = isinstance(item, HostSpec)
        self.function = item.function if self.is_spec else item
        self.shape = HostShape(runtime, type, number)
        if self.is_spec:
            check_spec(self.shape, where)
            self.per_store = isinstance(self.function, PerStore)
            if isinstance(self.function, ShortWay):
                self.short = self.function
                self.function = self.short.general
        self.wants = self.is_spec or wants_caller(item)

    def fits(self, runtime: object, type: object, item: object, number: int) -> bool:
        """Whether it was made of these."""
        return (
            self.runtime is runtime and self.item is item and self.shape.type_id == number and self.shape.type == type
        )

    def world(self) -> object:
        """What it belongs to, or what gives that of a store; None: nothing that a snapshot asks."""
        if not self.is_spec:
            return None
        return self.function.world if self.per_store else self.item.world

    def bind(self, store: object, caller: object) -> HostFunction:
        """A host function of the store."""
        host: PythonHost = PythonHost.__new__(PythonHost)
        host.fit(store, self, caller if self.wants else None)
        return host


@cython.cclass
class PythonHost(HostFunction):
    """A Python callable as a function of a store.

    A plain one gets values as the type says, and the caller before them where it wants it. That of a ``HostSpec`` gets
    the caller's memory and unsigned integers, and returns one of those.
    """

    def fit(self, store, what, caller):
        """Become what was offered in a store; ``caller`` is None where it is not wanted."""
        run: may_raise_t = cython.cast(may_raise_t, run_slowly)
        function: object = what.function
        self.short = what.short
        if what.per_store:
            function = function.make(store)
            if isinstance(function, ShortWay):
                self.short = function
                function = self.short.general
        self.become(store, what.shape, function, what.where)
        self.caller = caller
        self.is_spec = what.is_spec
        self.param_codes, self.result_codes = codes_of_shape(what.shape)
        self.codes = self.param_codes
        self.n_params = len(self.param_codes)
        self.n_results = len(self.result_codes)
        self.gives_any = self.result_codes == b"-" and heap(what.shape.type.results[0]) == EXTERN
        if what.is_spec:
            run = cython.cast(may_raise_t, run_spec if self.short is None else run_shortly)
        elif b"-" not in self.param_codes + self.result_codes and max(self.n_params, self.n_results) <= MAX_CELLS:
            run = cython.cast(may_raise_t, run_quickly)
        self.run = as_run_cells(run)
        return 0

    def invoke(self, raws):
        """Run it on raw bits, by the rules of ``values``: what it returned."""
        values: list = [from_raw(t, raw, self.store) for t, raw in zip(self.type.params, raws, strict=True)]
        if self.caller is not None:
            values.insert(0, self.caller)
        return self.function(*values)

    def waits(self, answer):
        """Whether what it returned is to be awaited. Where any object is a result, that is a coroutine only, and in an
        asynchronous call."""
        is_coroutine: cython.bint = PyCoro_CheckExact(cython.cast(cython.pointer(PyObject), answer))
        if not is_coroutine and not hasattr(type(answer), "__await__"):
            return False
        if not self.gives_any:
            return True
        return fiber_here(self.store.exec) != cython.NULL and is_coroutine

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def take(self, answer: object, cells: cython.pointer(uint64_t)) -> cython.int:
        """Put what it returned after all, in an asynchronous call, into cells."""
        given: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), answer)
        if not self.is_spec:
            if self.n_results == 0 and given == Py_None:
                return 0
            if self.n_results == 1 and not unbox(self.result_codes, 1, cython.address(given), cells):
                return 0
        raws: object = (answer,) if self.is_spec else results_to_raw(self.label, self.type, answer, self.store)
        fill_cells(self.store, cells, raws if self.n_results else (), self.results, self.type.results)
        return 0

    def first(self):
        """The caller's memory; of a shared one, what the caller's store has of it."""
        memory: Memory
        if self.memory is None:
            self.memory = self.caller.memory
            if type(self.memory) is not Memory:
                for memory in cython.cast(Instance, self.caller.instance).memories:
                    if memory.shared is self.memory:
                        self.memory = memory
                        break
            if type(self.memory) is Memory and cython.cast(Memory, self.memory).store is self.store:
                self.plain = self.memory
        return self.memory

    @cython.cfunc
    def concerned(self) -> object:
        """The instance that it works for, or None."""
        return self.caller.instance if self.caller is not None and self.caller.bound else None


@cython.cfunc
@cython.exceptval(-1, check=False)
def run_shortly(self: PythonHost, cells: cython.pointer(uint64_t)) -> cython.int:
    """The short way, and where it does nothing, the one that does every case."""
    if self.plain is None:
        self.first()
    went: cython.int = 0 if self.plain is None else self.short.go(self.plain, cells)
    if went == 1:
        return 0
    if went == 2:
        request: object = self.short.request
        self.short.request = None
        return wait_for(self, request, cells)
    return run_spec(self, cells)


@cython.cfunc
@cython.exceptval(-1, check=False)
def run_spec(self: PythonHost, cells: cython.pointer(uint64_t)) -> cython.int:
    """Memory and unsigned integers in, at most one of those out."""
    items: cython.pointer(PyObject)[ARGUMENT_SLOTS]
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = self.n_params
    word: uint64_t
    answer: cython.pointer(PyObject)
    status: cython.int = -1
    memory: object = self.first()
    items[1] = cython.cast(cython.pointer(PyObject), memory)
    for i in range(n):
        word = cells[2 * i]
        if self.codes[i] == ord("i"):
            word = cython.cast(uint32_t, word)
        if word >> 63:
            items[2 + i] = PyLong_FromUnsignedLongLong(word)
        else:  # the quicker one
            items[2 + i] = PyLong_FromLongLong(word)
        if items[2 + i] == cython.NULL:
            n = i
            break
    else:
        answer = call_vector(self.function, items + 1, 1 + n)
        if answer != cython.NULL:
            status = take_unsigned(self, answer, cells)
            Py_DECREF(answer)
    for i in range(n):
        Py_DECREF(items[2 + i])
    return status


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def take_unsigned(self: PythonHost, answer: cython.pointer(PyObject), cells: cython.pointer(uint64_t)) -> cython.int:
    """Put what the function of a ``HostSpec`` returned into a cell."""
    number: cython.longlong = 0
    taker: take_t = take_word
    if self.n_results == 0 and answer == Py_None:
        return 0
    if (
        self.n_results
        and PyLong_Check(answer)
        and not int_value(answer, cython.address(number))
        and number == cython.cast(uint32_t, number)  # 0xFFFFFFFF would be an int of Python's, which takes memory
    ):
        cells[0] = number
        return 0
    return cython.cast(raw_take_t, taker)(self, answer, cells)


@cython.cfunc
@cython.exceptval(-1, check=False)
def take_word(self: PythonHost, answer: cython.pointer(PyObject), cells: cython.pointer(uint64_t)) -> cython.int:
    """``take_unsigned`` by the rules of raw bits."""
    result: object = cython.cast(object, answer)
    if self.waits(result):
        return wait_for(self, result, cells)
    fill_cells(self.store, cells, (result,) if self.n_results else (), self.results, self.type.results)
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def call_vector(
    function: object, arguments: cython.pointer(cython.pointer(PyObject)), n: cython.size_t
) -> cython.pointer(PyObject):
    """Call with ``n`` arguments; the place before them is free for the callee. NULL with an error set, or a new
    reference."""
    return PyObject_Vectorcall(
        cython.cast(cython.pointer(PyObject), function), arguments, n | PY_VECTORCALL_ARGUMENTS_OFFSET, cython.NULL
    )


@cython.cfunc
@cython.exceptval(-1, check=False)
def run_slowly(self: PythonHost, cells: cython.pointer(uint64_t)) -> cython.int:
    """Anything that ``values`` converts."""
    try:
        result: object = self.invoke(read_cells(cells, self.params))
    except TypeError as error:
        check_fits(self, error)
        raise
    if self.waits(result):
        return wait_for(self, result, cells)
    raws: list = results_to_raw(self.label, self.type, result, self.store)
    fill_cells(self.store, cells, raws, self.results, self.type.results)
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_what_is_set() -> cython.int:
    """For the code below: a C function has failed."""
    return -1


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_fits(self: PythonHost, error: object) -> cython.int:
    """Raise a TypeError of a call with the function's name where it takes another number of arguments than the guest
    gives: Python's own names ``<lambda>``, say."""
    given: object = [None] * (len(self.type.params) + (self.caller is not None))
    begin_import()
    try:
        import inspect
    finally:
        end_import()
    try:
        parameters: object = inspect.signature(self.function)
    except (TypeError, ValueError):  # a built-in without a signature
        return 0
    try:
        parameters.bind(*given)
    except TypeError:
        raise TypeError(f"host function {signature(self.label, self.type)}: {error}") from None
    return 0


@cython.cfunc
@cython.exceptval(-1, check=False)
def failed(self: PythonHost) -> cython.int:
    """What a call that failed has raised, which is set."""
    try:
        raise_what_is_set()
    except TypeError as error:
        check_fits(self, error)
        raise
    return -1


@cython.cfunc
@cython.exceptval(-1, check=False)
def run_quickly(self: PythonHost, cells: cython.pointer(uint64_t)) -> cython.int:
    """Numbers and vectors only."""
    items: cython.pointer(PyObject)[ARGUMENT_SLOTS]
    arguments: cython.pointer(cython.pointer(PyObject)) = items + 1  # the callee may use the place before them
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = self.n_params
    first: cython.Py_ssize_t = 0
    answer: cython.pointer(PyObject)
    status: cython.int = -1
    if self.caller is not None:
        arguments[0] = cython.cast(cython.pointer(PyObject), self.caller)
        first = 1
    for i in range(n):
        arguments[first + i] = new_number(self.codes[i], cells + 2 * i)
        if arguments[first + i] == cython.NULL:
            n = i
            break
    else:
        answer = call_vector(self.function, arguments, first + n)
        if answer != cython.NULL:
            status = take_number(self, answer, cells)
            Py_DECREF(answer)
    for i in range(n):
        Py_DECREF(arguments[first + i])
    return status if status >= 0 else failed(self)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def take_number(self: PythonHost, answer: cython.pointer(PyObject), cells: cython.pointer(uint64_t)) -> cython.int:
    """``take_result``, the usual cases."""
    taker: take_t = take_result
    if self.n_results == 0 and answer == Py_None:
        return 0
    if self.n_results == 1 and not unbox(self.result_codes, 1, cython.address(answer), cells):
        return 0
    return cython.cast(raw_take_t, taker)(self, answer, cells)


@cython.cfunc
@cython.exceptval(-1, check=False)
def take_result(self: PythonHost, answer: cython.pointer(PyObject), cells: cython.pointer(uint64_t)) -> cython.int:
    """Put what the callable returned into cells."""
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = self.n_results
    items: cython.pointer(PyObject)[MAX_CELLS]
    result: object = cython.cast(object, answer)
    if n > 1 and PyTuple_CheckExact(answer) and PyTuple_GET_SIZE(answer) == n:
        for i in range(n):
            items[i] = PyTuple_GET_ITEM(answer, i)
        if not unbox(self.result_codes, n, items, cells):
            return 0
    if self.waits(result):
        return wait_for(self, result, cells)
    raws: list = results_to_raw(self.label, self.type, result, self.store)
    fill_cells(self.store, cells, raws, self.results, self.type.results)
    return 0
