# Numbers between Python objects and 16-byte cells, without running any Python code.
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t

cdef enum:
    MAX_CELLS = 16            # values that the quick paths keep on the C stack
    CELL_WORDS = 32           # two words for each
    ARGUMENT_SLOTS = 18       # a free place that callees may use, the caller, and the values

# A function that returns a new reference, as C and as Cython see it.
ctypedef PyObject* (*new_number_t)(char, uint64_t*) noexcept
ctypedef object (*box_t)(char, uint64_t*)

cdef bint unbox(const char* codes, Py_ssize_t n, PyObject** values, uint64_t* cells) noexcept
cdef object box(char code, uint64_t* cell)
cdef PyObject* new_number(char code, uint64_t* cell) noexcept   # the same, NULL with an error set
