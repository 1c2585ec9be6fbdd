# Descriptors of types, for the collectors of all heaps of an engine.
cimport cython
from libc.stdint cimport uint32_t
from stratavm.heap.state cimport TypeTable

@cython.final
cdef class Descriptors:
    cdef TypeTable table
    cdef dict layouts                # what was described, by number
    cdef list outgrown               # addresses of smaller tables: a collection of another thread may read one
    cdef int make_room(self, uint32_t number) except -1
