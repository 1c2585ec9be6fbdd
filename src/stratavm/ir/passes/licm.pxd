# Loop-invariant code motion: see licm.py.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from stratavm.ir.passes.loops cimport Loops
from stratavm.ir.ssa cimport Node

@cython.final
cdef class Licm(Loops):
    cdef uint32_t* place      # by node: the block that computes it in the output
    cdef uint32_t* room       # by header: values that may still be kept in registers through the loop
    cdef uint32_t* first      # by block: first node that moves to its end, or NO_VALUE
    cdef uint32_t* tail       # by block: last one
    cdef uint32_t* next       # by node: the next one that moves to the same block
    cdef bint moving          # there are such nodes
    cdef uint32_t cap_place, cap_room, cap_first, cap_tail, cap_next
    cdef public uint64_t hoisted              # count since creation: for the ablation rows

    cdef int reserve(self) except -1 nogil
    cdef int choose(self, uint32_t block) noexcept nogil
    cdef uint32_t target(self, Node* node, uint32_t block, uint32_t left) noexcept nogil
    cdef bint is_tight(self, uint32_t header) noexcept nogil
    cdef uint32_t farthest(self, Node* node) noexcept nogil
    cdef int move(self, uint32_t i, uint32_t block) noexcept nogil
    cdef int copy(self, uint32_t i) except -1 nogil
    cdef int rebuild(self) except -1 nogil
