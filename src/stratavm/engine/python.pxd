# The C API of CPython as the boundary uses it: borrowed and new references as plain pointers, no hidden counting.
from cpython.ref cimport PyObject

ctypedef PyObject* (*ternary_t)(PyObject*, PyObject*, PyObject*) noexcept

cdef extern from "Python.h":
    ctypedef PyObject* (*constructor_t "vectorcallfunc")(PyObject*, PyObject**, size_t, PyObject*) except? NULL
    ctypedef void (*dealloc_t "destructor")(PyObject*) noexcept
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_basicsize
        dealloc_t tp_dealloc
        PyTypeObject* tp_base
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
    bint PyBytes_CheckExact(PyObject*) noexcept
    char* PyBytes_AS_STRING(PyObject*) noexcept
    Py_ssize_t PyBytes_GET_SIZE(PyObject*) noexcept
    PyObject* PyBytes_FromStringAndSize(const char*, Py_ssize_t) noexcept
    bint PyCoro_CheckExact(PyObject*) noexcept
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

# Objects of a class that adds no fields to its root's are taken down by the root: not floor by floor, each of which would
# take them from the collector and give them back.
cdef inline void free_at_root(PyTypeObject* type_) noexcept:
    cdef PyTypeObject* root = type_
    while root.tp_base.tp_base != NULL:
        root = root.tp_base
    if root.tp_basicsize == type_.tp_basicsize:
        type_.tp_dealloc = root.tp_dealloc
