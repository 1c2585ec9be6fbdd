# Selection of objects of guests and references to them.
from libc.stdint cimport uint32_t
from stratavm.targets.x64.select_atomic cimport AtomicSelector

cdef class ObjectSelector(AtomicSelector):
    cdef bint object(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int ask(self, uint32_t n) except -1 nogil
    cdef int test(self, uint32_t n) except -1 nogil
    cdef int number(self, uint32_t n) except -1 nogil
    cdef int number_of(self, uint32_t n) except -1 nogil
