# The C API of CPython that Cython's own headers lack.
cdef extern from "Python.h":
    void PyErr_SetObject(object type, object value) noexcept
    void* PyEval_SaveThread() noexcept nogil
    void PyEval_RestoreThread(void* state) noexcept nogil
