# strata: hot
"""Fast construction of frozen event classes: the call of the class writes its slots, where a dataclass calls Python.

Only what ``@event`` declares is constructed so; a call that does not fit goes to the dataclass, which says why.
"""

import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.stratavm.base.events.core import Event
from cython.cimports.stratavm.base.events.types import (
    PyTypeObject,
    PyVectorcall_NARGS,
    call_type,
    set_slot,
    slot_offset,
    type_modified,
)

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

MAX_FIELDS = cython.declare(cython.int, 16)
layouts: dict = cython.declare(dict, {})  # class -> Layout; classes of events live as long as the program
nothing = cython.declare(tuple, ())


@cython.final
@cython.cclass
class Layout:
    """Where the fields of a class lie."""

    names = cython.declare(tuple)
    defaults = cython.declare(tuple)  # Ellipsis: none
    count = cython.declare(cython.int)
    offsets = cython.declare(cython.Py_ssize_t[16])


@cython.cfunc
@cython.inline
def empty(type_: cython.pointer(PyTypeObject)) -> object:
    """An instance whose fields are not set yet."""
    return cython.cast(cython.pointer(PyTypeObject), Event).tp_new(type_, nothing, cython.NULL)


@cython.cfunc
def construct(
    type_: object, arguments: cython.pointer(cython.pointer(PyObject)), given: cython.int, keywords: object
) -> object:
    """The instance, or None where the arguments do not fit."""
    layout: Layout = cython.cast(Layout, layouts[type_])
    i: cython.int
    j: cython.int
    value: object
    if given > layout.count:
        return None
    made: object = empty(cython.cast(cython.pointer(PyTypeObject), type_))
    for i in range(given):
        set_slot(made, layout.offsets[i], arguments[i])
    if given == layout.count and keywords is None:
        return made
    used: cython.int = 0
    for i in range(given, layout.count):
        value = layout.defaults[i]
        if keywords is not None:
            for j in range(cython.cast(cython.int, len(keywords))):
                if keywords[j] == layout.names[i]:
                    value = cython.cast(object, arguments[given + j])
                    used += 1
                    break
        if value is Ellipsis:
            return None
        set_slot(made, layout.offsets[i], cython.cast(cython.pointer(PyObject), value))
    return made if keywords is None or used == len(keywords) else None


@cython.cfunc
def by_dataclass(
    type_: object, arguments: cython.pointer(cython.pointer(PyObject)), given: cython.int, keywords: object
) -> object:
    """The ordinary way, for the error that it raises."""
    i: cython.int
    named: dict = {}
    if keywords is not None:
        for i in range(cython.cast(cython.int, len(keywords))):
            named[keywords[i]] = cython.cast(object, arguments[given + i])
    return call_type(type_, tuple([cython.cast(object, arguments[i]) for i in range(given)]), named)


@cython.cfunc
def call(
    type_: object, arguments: cython.pointer(cython.pointer(PyObject)), given: cython.int, keywords: object
) -> object:
    made: object = construct(type_, arguments, given, keywords)
    return by_dataclass(type_, arguments, given, keywords) if made is None else made


@cython.cfunc
def vectorcall(
    type_: cython.pointer(PyObject),
    arguments: cython.pointer(cython.pointer(PyObject)),
    flags: cython.size_t,
    keywords: cython.pointer(PyObject),
) -> cython.pointer(PyObject):
    """``tp_vectorcall`` of event classes. Returns a new reference."""
    names: object = None if keywords == cython.NULL else cython.cast(object, keywords)
    made: object = call(
        cython.cast(object, type_), arguments, cython.cast(cython.int, PyVectorcall_NARGS(flags)), names
    )
    Py_INCREF(made)
    return cython.cast(cython.pointer(PyObject), made)


def install_constructor(cls: type, defaults: dict, missing: object) -> bool:
    """Give a dataclass with slots, a subclass of Event, the fast constructor; false where it must keep its own.

    Args:
        cls: the class. One with ``__post_init__`` or ``__new__`` of its own is left alone.
        defaults: default by field, in order; ``missing`` where a field has none.
        missing: see there.
    """
    layout: Layout = Layout.__new__(Layout)
    i: cython.int
    special: object = hasattr(cls, "__post_init__") or cls.__new__ is not Event.__new__ or type(cls) is not type
    if special or len(defaults) > MAX_FIELDS:
        return False
    layout.names = tuple(defaults)
    layout.defaults = tuple([... if value is missing else value for value in defaults.values()])
    layout.count = len(defaults)
    for i in range(layout.count):
        layout.offsets[i] = slot_offset(getattr(cls, layout.names[i]))
        if layout.offsets[i] < 0:
            return False
    layouts[cls] = layout
    cython.cast(cython.pointer(PyTypeObject), cls).tp_vectorcall = vectorcall
    type_modified(cython.cast(cython.pointer(PyTypeObject), cls))
    return True
