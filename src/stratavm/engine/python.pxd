# The C API of CPython as the boundary uses it: borrowed and new references as plain pointers, no hidden counting.
from cpython.ref cimport PyObject

ctypedef PyObject* (*ternary_t)(PyObject*, PyObject*, PyObject*) noexcept

cdef extern from "Python.h":
    ctypedef PyObject* (*constructor_t "vectorcallfunc")(PyObject*, PyObject**, size_t, PyObject*) except? NULL
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_vectorcall_offset
        unsigned long tp_flags
        ternary_t tp_call
        constructor_t tp_vectorcall
    unsigned long Py_TPFLAGS_HAVE_VECTORCALL
    size_t PY_VECTORCALL_ARGUMENTS_OFFSET
    void PyType_Modified(PyTypeObject*)
    Py_ssize_t PyVectorcall_NARGS(size_t)
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
