# strata: hot
"""Construction of event classes: the call of the class writes its slots, without a call of Python."""

import cython
from cython.cimports.cpython.ref import Py_INCREF, PyObject
from cython.cimports.stratavm.base.events.core import Event
from cython.cimports.stratavm.base.events.types import (
    PyTypeObject,
    PyVectorcall_NARGS,
    set_slot,
    slot_offset,
    type_modified,
)

from stratavm.base.events.core import fillers, layouts

MAX_FIELDS = cython.declare(cython.int, 16)
nothing = cython.declare(tuple, ())


@cython.final
@cython.auto_pickle(False)
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
def refuse(
    type_: object, arguments: cython.pointer(cython.pointer(PyObject)), given: cython.int, keywords: object
) -> object:
    """The TypeError for arguments that do not fit."""
    layout: Layout = cython.cast(Layout, layouts[type_])
    name: str = type_.__name__
    if given > layout.count:
        return TypeError(f"{name}() has the {layout.count} fields {', '.join(layout.names)}: {given} values were given")
    for keyword in keywords or ():
        if keyword not in layout.names:
            return TypeError(f"{name}() has no field {keyword!r}, only {', '.join(layout.names)}")
        if layout.names.index(keyword) < given:
            return TypeError(f"{name}() got {keyword} twice")
    named: tuple = layout.names[:given] + (keywords or ())
    missing: list = [n for n, d in zip(layout.names, layout.defaults, strict=True) if d is ... and n not in named]
    return TypeError(f"{name}() needs {', '.join(missing)}")


@cython.cfunc
def call(
    type_: object, arguments: cython.pointer(cython.pointer(PyObject)), given: cython.int, keywords: object
) -> object:
    made: object = construct(type_, arguments, given, keywords)
    if made is None:
        raise refuse(type_, arguments, given, keywords)
    return made


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


def fill(made: Event, values: tuple, named: dict) -> None:
    """Set the fields of an instance that was not made by ``vectorcall``."""
    layout: Layout = cython.cast(Layout, layouts[type(made)])
    arguments: cython.pointer(PyObject)[64]
    count: cython.int = len(values)
    i: cython.int
    keywords: tuple = tuple(named)
    given: tuple = (*values, *named.values())
    if len(given) > 64:
        raise TypeError(f"{type(made).__name__}() has {layout.count} fields: {len(given)} values were given")
    for i in range(cython.cast(cython.int, len(given))):
        arguments[i] = cython.cast(cython.pointer(PyObject), given[i])
    other: object = call(type(made), arguments, count, keywords if keywords else None)
    for i in range(layout.count):
        value: object = getattr(other, layout.names[i])
        set_slot(made, layout.offsets[i], cython.cast(cython.pointer(PyObject), value))


def install_constructor(cls: type, defaults: dict, missing: object) -> None:
    """Give a subclass of Event whose fields are slots its constructor.

    Args:
        cls: the class.
        defaults: default by field, in order; ``missing`` where a field has none.
        missing: see there.

    Raises:
        TypeError: it constructs itself in its own way, or has too many fields.
    """
    layout: Layout = Layout.__new__(Layout)
    i: cython.int
    if cls.__new__ is not Event.__new__ or cls.__init__ is not Event.__init__ or type(cls) is not type:
        raise TypeError(f"{cls.__name__}: events have no constructor of their own")
    if len(defaults) > MAX_FIELDS:
        raise TypeError(f"{cls.__name__} has {len(defaults)} fields, an event at most {MAX_FIELDS}")
    layout.names = tuple(defaults)
    layout.defaults = tuple([... if value is missing else value for value in defaults.values()])
    layout.count = len(defaults)
    for i in range(layout.count):
        layout.offsets[i] = slot_offset(getattr(cls, layout.names[i]))
        if layout.offsets[i] < 0:
            raise TypeError(f"{cls.__name__}.{layout.names[i]} is no slot")
    layouts[cls] = layout
    if not fillers:
        fillers.append(fill)
    cython.cast(cython.pointer(PyTypeObject), cls).tp_vectorcall = vectorcall
    type_modified(cython.cast(cython.pointer(PyTypeObject), cls))
