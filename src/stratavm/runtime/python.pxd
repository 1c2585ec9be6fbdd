# The C API of CPython that Cython's own headers lack.
cdef extern from "Python.h":
    ctypedef struct PyObject
    void PyErr_SetObject(object type, object value) noexcept
    int PyGC_Disable() noexcept  # whether it was enabled
    int PyGC_Enable() noexcept
    int PyList_SetSlice(object list, Py_ssize_t low, Py_ssize_t high, PyObject* items) except -1
    void* PyEval_SaveThread() noexcept nogil
    void PyEval_RestoreThread(void* state) noexcept nogil
