# A guest for a heap, without machine code.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.heap.heap cimport Heap

@cython.final
cdef class Exerciser:
    cdef readonly Heap heap
    cdef uint64_t* roots             # that are references, all of them
    cdef uint64_t* words             # that may be anything
    cdef uint32_t n_roots
    cdef uint32_t n_words
    cdef uint64_t filled             # of what a load fills
    cdef uint64_t make(self, uint32_t type_id, uint32_t length, uint64_t size) noexcept nogil
    cdef void put(self, uint64_t thing, uint64_t slot, uint64_t word) noexcept nogil
    cdef uint64_t tree(self, uint32_t type_id, uint32_t depth, uint32_t at) noexcept nogil
    cdef void graft(self, uint64_t made, uint32_t levels, uint64_t path) noexcept nogil
    cdef bint lengthen(self, uint32_t array_id, uint64_t length, uint64_t most) noexcept nogil
