# The constructor that event classes share.
from cpython.ref cimport PyObject

cdef PyObject* vectorcall(PyObject* type_, PyObject** arguments, size_t flags, PyObject* keywords) except? NULL
