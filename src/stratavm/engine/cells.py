# strata: hot
"""Numbers between Python objects and cells, the quick way. ``values`` owns the rules; what is not plain goes there.

A signature is a string of codes, one per value: ``i`` i32, ``l`` i64, ``f`` f32, ``d`` f64, ``v`` v128, ``-`` anything
else.
"""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import int32_t, int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.base.integers import int_value
from cython.cimports.stratavm.engine.python import (
    PyBytes_AS_STRING,
    PyBytes_CheckExact,
    PyBytes_FromStringAndSize,
    PyBytes_GET_SIZE,
    PyErr_Clear,
    PyErr_Occurred,
    PyFloat_AS_DOUBLE,
    PyFloat_CheckExact,
    PyFloat_FromDouble,
    PyLong_AsUnsignedLongLong,
    PyLong_Check,
    PyLong_CheckExact,
    PyLong_FromLong,
    PyLong_FromLongLong,
)

from stratavm.spec.types import F32, F64, I32, I64, V128

MOST_I32 = cython.declare(cython.longlong, 0xFFFFFFFF)  # written out, it would be an int of Python's: that takes memory
EXACT = cython.declare(cython.longlong, 1 << 53)  # every int up to here is a double
CODES = {I32: "i", I64: "l", F32: "f", F64: "d", V128: "v"}
VECTOR_BYTES = cython.declare(cython.Py_ssize_t, 16)


def codes_of(types: tuple) -> bytes:
    """The code string of a list of value types."""
    return "".join([CODES.get(t, "-") for t in types]).encode()


def unbox(codes, n, values, cells):
    """Fill cells with plain numbers: ints (and subclasses) in range, floats, ints for floats, 16 bytes.

    True where a value is anything else; nothing has run then, and the caller starts again with the rules of ``values``.
    """
    i: cython.Py_ssize_t
    code: cython.char
    value: cython.pointer(PyObject)
    number: cython.longlong = 0
    single: cython.float
    real: cython.double
    for i in range(n):
        code = codes[i]
        value = values[i]
        if code == ord("i"):
            if not PyLong_Check(value):
                return True
            if int_value(value, cython.address(number)) or number < -0x80000000 or number > MOST_I32:
                return True
            cells[2 * i] = cython.cast(uint32_t, number)
        elif code == ord("l"):
            if not PyLong_Check(value):
                return True
            if not int_value(value, cython.address(number)):
                cells[2 * i] = cython.cast(uint64_t, number)
            elif upper_half(value, cython.address(cells[2 * i])):
                return True
        elif code == ord("v"):
            if not PyBytes_CheckExact(value) or PyBytes_GET_SIZE(value) != VECTOR_BYTES:
                return True
            memcpy(cells + 2 * i, PyBytes_AS_STRING(value), VECTOR_BYTES)
            continue
        elif code != ord("d") and code != ord("f"):
            return True
        else:
            if PyFloat_CheckExact(value):
                real = PyFloat_AS_DOUBLE(value)
            elif (
                PyLong_CheckExact(value) and not int_value(value, cython.address(number)) and -EXACT <= number <= EXACT
            ):
                real = cython.cast(cython.double, number)
            else:
                return True
            if code == ord("d"):
                cython.cast(cython.p_double, cython.address(cells[2 * i]))[0] = real
            else:
                single = cython.cast(cython.float, real)
                cells[2 * i] = cython.cast(cython.pointer(uint32_t), cython.address(single))[0]
        cells[2 * i + 1] = 0
    return False


@cython.cfunc
@cython.exceptval(check=False)
def upper_half(value: cython.pointer(PyObject), cell: cython.pointer(uint64_t)) -> cython.bint:
    """An int of 2⁶³ … 2⁶⁴ − 1; true if it is another one."""
    cell[0] = PyLong_AsUnsignedLongLong(value)
    if PyErr_Occurred() != cython.NULL:
        PyErr_Clear()
        return True
    return False


def box(code, cell):
    """The number in a cell, ints signed; a vector as its bytes."""
    made: new_number_t = new_number
    return cython.cast(box_t, made)(code, cell)


def new_number(code, cell):
    """``box`` for callers that count references themselves."""
    if code == ord("i"):
        return PyLong_FromLong(cython.cast(int32_t, cell[0]))
    if code == ord("l"):
        return PyLong_FromLongLong(cython.cast(int64_t, cell[0]))
    if code == ord("d"):
        return PyFloat_FromDouble(cython.cast(cython.p_double, cell)[0])
    if code == ord("v"):
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, cell), VECTOR_BYTES)
    return PyFloat_FromDouble(cython.cast(cython.p_float, cell)[0])


def unboxed(types: tuple, values: tuple) -> object:
    """The raw bits that the quick path makes of values, or None where it leaves them to ``values``; for tests."""
    cells: uint64_t[32]
    items: cython.pointer(PyObject)[16]
    codes: bytes = codes_of(types)
    i: cython.Py_ssize_t
    if len(values) != len(codes) or len(values) > 16:
        raise ValueError(f"{len(values)} values for {len(codes)} types")
    for i in range(len(values)):
        items[i] = cython.cast(cython.pointer(PyObject), values[i])
    if unbox(codes, len(codes), items, cells):
        return None
    return [cells[2 * i] for i in range(len(codes))]
