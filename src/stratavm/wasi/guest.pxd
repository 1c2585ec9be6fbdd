# One call of a guest, and its memory.
from libc.stdint cimport uint64_t

cdef class Guest:
    cdef readonly object memory            # the caller's
    cdef readonly list pins
    cdef public object waits               # how it waits: ``patience.Patience``
    cdef object source                     # whose buffer it is
    cdef object whole                      # a memoryview of it, once somebody needs one
    cdef Py_buffer buffer
    cdef bint held
    cdef char* base
    cdef uint64_t size
    cdef uint64_t limit_items
    cdef int begin(self, object source, uint64_t limit_items, object memory) except -1
    cdef int check_range(self, uint64_t pointer, uint64_t length) except -1
    cdef object slice(self, uint64_t pointer, uint64_t length)
    cdef int put(self, uint64_t pointer, const char* data, uint64_t length) except -1
    cdef int end(self) except -1
