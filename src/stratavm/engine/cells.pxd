# Numbers between Python objects and 16-byte cells, without running any Python code.
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

cdef enum:
    MAX_CELLS = 16            # values that the quick paths keep on the C stack
    CELL_WORDS = 32           # two words for each
    ARGUMENT_SLOTS = 18       # a free place that callees may use, the caller, and the values

cdef bint unbox(const char* codes, Py_ssize_t n, PyObject** values, uint64_t* cells) noexcept
cdef object box(char code, uint64_t* cell)
