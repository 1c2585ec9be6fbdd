# cython: binding=True, embedsignature=False
# strata: hot
"""The store of an engine: what a store of the runtime is, made of an engine, with references as ``Func``."""

import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.stratavm.engine.python import PyType_Modified, PyTypeObject, PyVectorcall_NARGS, free_at_root
from cython.cimports.stratavm.runtime.store import Store as RuntimeStore
from cython.cimports.stratavm.runtime.template import StoreTemplate

from stratavm.base.errors import Closed
from stratavm.base.importing import begin_import, end_import
from stratavm.base.keywords import unexpected
from stratavm.base.numbers import truth, whole
from stratavm.engine.engine import Engine, engine_of
from stratavm.engine.events import StoreCreated, report_failure
from stratavm.runtime.introspect import Signed, constructor

MOST_BITS = (1 << 64) - 1
ENGINE = cython.declare(type, Engine)


@cython.cclass
class Store(RuntimeStore):
    """A world of instances.

    Args:
        engine: the engine; a shared default where absent.
        limits: what the store may hold; the engine's cap on memories applies as well.
        thread_bound: refuse every thread but the one that made the store (else threads may take turns).
        fuel: what the guests may use, on an engine with ``Config(fuel=True)``; see ``fuel``.
        on_abort: ``poison`` makes an instance unusable when a call of it was interrupted midway, ``keep`` does not.
    """

    __signature__ = Signed("Store")

    def __init__(
        self,
        engine: object = None,
        *,
        limits: object = None,
        thread_bound: object = False,
        on_abort: str = "poison",
        fuel: object = None,
        **unknown: object,
    ):
        if unknown:
            raise unexpected("Store()", unknown, constructor("Store").parameters)
        self.open(engine, limits, fuel, truth("thread_bound", thread_bound), on_abort)

    def open(self, engine, limits, fuel, thread_bound, on_abort):
        """What the constructor does with its arguments."""
        template: StoreTemplate
        if self.template is not None:
            raise TypeError("a store is initialised once")
        if not isinstance(engine, ENGINE):
            engine = engine_of(engine)
        template = engine.template if limits is None else engine.template_for(limits)
        if template is None:
            raise Closed("the engine is closed")
        self.begin(template, thread_bound, on_abort)
        self.reporter = report_failure
        self.engine = engine
        if fuel is not None:
            self.fuel = fuel
        if template.bus.channel_of(StoreCreated).heard:
            self.source.emit(StoreCreated(thread_bound, on_abort))
        return 0

    def __reduce__(self):
        raise TypeError("a store cannot be pickled")

    async def close_async(self) -> None:
        """``close`` for asyncio: it is done in a thread of the loop's default executor, since to give much memory back
        takes long. Cancelling waits for the end: a store is closed whole.

        Raises:
            StoreBusy: a call is inside, or the store is being closed already.
        """
        await self.runtime.asynchronous().close(self)

    def heap_dump(self, *, collect: object = True) -> object:
        """How many structs and arrays of which types the heap of its guests has, and their bytes (``HeapDump``); what
        guests and Python hold, without garbage.

        Args:
            collect: find garbage before. False, as inside of a call: objects that are garbage count until it is found.

        Raises:
            StoreBusy: a call is inside, and garbage should be found; or another thread is inside.
            Closed: the store is closed.
        """
        begin_import()
        try:
            from stratavm.engine.heapdump import heap_dump
        finally:
            end_import()
        return heap_dump(self, collect)

    # ---- references, for the boundary ----

    def func_to_raw(self, value: object, nullable: bool = True) -> int:
        """Raw bits of a ``Func`` of this store; None is 0. TypeError for others says whether None will do."""
        begin_import()
        try:
            from stratavm.engine.func import Func
        finally:
            end_import()

        if value is None:
            return 0
        if not isinstance(value, Func):
            wanted: str = "a function of this store or None" if nullable else "a function of this store"
            remedy: str = "; stratavm.Func.from_callable(store, type, function) makes one" if callable(value) else ""
            raise TypeError(f"expected {wanted}, got {type(value).__name__}{remedy}")
        if value.store is not self:
            raise TypeError(f"{value!r} belongs to another store")
        return int(value.native.raw)

    def func_from_raw(self, raw: object) -> object:
        """The ``Func`` behind raw bits; 0 is None."""
        begin_import()
        try:
            from stratavm.engine.func import Func
        finally:
            end_import()

        return None if raw == 0 else Func(self, self.function_at(whole("raw", raw, most=MOST_BITS)))


@cython.cfunc
def construct(
    type_: cython.pointer(PyObject),
    arguments: cython.pointer(cython.pointer(PyObject)),
    flags: cython.size_t,
    keywords: cython.pointer(PyObject),
) -> cython.pointer(PyObject):
    """``tp_vectorcall`` of stores. Most are made of an engine alone, without a tuple and a dict for the arguments; the
    rest goes the way of any class. A new reference."""
    store: Store
    i: cython.Py_ssize_t
    count: cython.Py_ssize_t = PyVectorcall_NARGS(flags)
    if keywords == cython.NULL and count <= 1:
        store = Store.__new__(Store)
        store.open(None if count == 0 else cython.cast(object, arguments[0]), None, None, False, "poison")
        Py_INCREF(store)
        return cython.cast(cython.pointer(PyObject), store)
    names: tuple = () if keywords == cython.NULL else cython.cast(tuple, cython.cast(object, keywords))
    values: tuple = tuple([cython.cast(object, arguments[i]) for i in range(count)])
    named: dict = {names[i]: cython.cast(object, arguments[count + i]) for i in range(len(names))}
    of_classes: cython.pointer(PyTypeObject) = cython.cast(
        cython.pointer(PyTypeObject), cython.cast(cython.p_void, type)
    )
    return of_classes.tp_call(
        type_, cython.cast(cython.pointer(PyObject), values), cython.cast(cython.pointer(PyObject), named)
    )


@cython.cfunc
def make_and_free_quickly() -> cython.int:
    """Tell CPython of it; classes that derive from this one do not inherit it."""
    type_: cython.pointer(PyTypeObject) = cython.cast(cython.pointer(PyTypeObject), cython.cast(cython.p_void, Store))
    type_.tp_vectorcall = construct
    free_at_root(type_)
    PyType_Modified(type_)
    return 0


make_and_free_quickly()
