# The C API of CPython as the boundary uses it: borrowed and new references as plain pointers, no hidden counting.
from cpython.ref cimport PyObject

ctypedef PyObject* (*ternary_t)(PyObject*, PyObject*, PyObject*) noexcept

cdef extern from *:
    """
    /* The value of an int (or a subclass's) that fits 64 bits: 0, else 1. Small ints without a call: most arguments are. */
    static inline int strata_int_value(PyObject *o, long long *value) {
        int overflow;
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)o)) {
            *value = (long long)PyUnstable_Long_CompactValue((PyLongObject *)o);
            return 0;
        }
    #else
        Py_ssize_t size = Py_SIZE(o);
        if (size == 1 || size == 0 || size == -1) {
            *value = size ? (long long)size * (long long)((PyLongObject *)o)->ob_digit[0] : 0;
            return 0;
        }
    #endif
        *value = PyLong_AsLongLongAndOverflow(o, &overflow);
        return overflow != 0;
    }
    """
    bint int_value "strata_int_value"(PyObject*, long long*) noexcept

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
        ternary_t tp_call
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    void PyType_Modified(PyTypeObject*)
    PyObject* PyVectorcall_Call(PyObject*, PyObject*, PyObject*) noexcept
    PyObject* PyObject_Vectorcall(PyObject*, PyObject**, size_t, PyObject*) noexcept

    bint PyLong_Check(PyObject*) noexcept
    bint PyLong_CheckExact(PyObject*) noexcept
    bint PyFloat_CheckExact(PyObject*) noexcept
    bint PyTuple_CheckExact(PyObject*) noexcept
    unsigned long long PyLong_AsUnsignedLongLong(PyObject*) noexcept
    double PyFloat_AS_DOUBLE(PyObject*) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject*) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject*, Py_ssize_t) noexcept
    PyObject* PyLong_FromLong(long) noexcept
    PyObject* PyLong_FromLongLong(long long) noexcept
    PyObject* PyLong_FromUnsignedLongLong(unsigned long long) noexcept
    PyObject* PyFloat_FromDouble(double) noexcept
    PyObject* PyErr_Occurred() noexcept
    void PyErr_Clear() noexcept
    void Py_DECREF(PyObject*) noexcept
    void Py_XDECREF(PyObject*) noexcept
    PyObject* Py_None
