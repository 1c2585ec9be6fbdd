# Globals that loops keep in values: see promote.py.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.ir.passes.loops cimport Loops
from stratavm.ir.ssa cimport Node

cdef struct Kept:             # a global that a loop keeps in a value; the loop is the blocks [first, end)
    uint32_t first
    uint32_t end
    uint32_t index            # of the global
    uint32_t exit             # the block behind that stores it; NO_VALUE where the loop does, whenever it is set
    uint8_t type

@cython.final
cdef class Promote(Loops):
    cdef Kept* kept
    cdef uint32_t* loop       # by block: index of its loop among `kept`, or NO_VALUE
    cdef uint32_t* behind     # by block: index of the loop that it stores the global of, or NO_VALUE
    cdef uint32_t* arriving   # by block: an input node that stands for the value that arrives
    cdef uint32_t* source     # by block: the last block of its loop before it
    cdef uint32_t* final      # by block: the value at its end, in the output
    cdef uint8_t* meets       # by block: different values arrive
    cdef uint8_t* dead        # by node: a global.set that another follows before anything can see it
    cdef uint32_t cap_kept, cap_loop, cap_behind, cap_arriving, cap_source, cap_final, cap_meets, cap_dead
    cdef uint32_t n_kept
    cdef uint32_t value       # of the global, where the walk is
    cdef public uint64_t promoted             # count since creation: for the ablation rows

    cdef bint sets(self) noexcept nogil
    cdef int reserve(self) except -1 nogil
    cdef int find(self) except -1 nogil
    cdef bint suits(self, Kept* kept, bint* quiet) noexcept nogil
    cdef int spread(self, Kept* kept) noexcept nogil
    cdef bint gets_parameter(self, uint32_t block) noexcept nogil
    cdef int put_block(self, uint32_t block) except -1 nogil
    cdef int put_parameter(self, uint32_t block) except -1 nogil
    cdef int put_node(self, uint32_t i, uint32_t block) except -1 nogil
    cdef int keep(self, Node* node, Kept* kept, uint32_t i) except -1 nogil
    cdef int put_edge(self, uint32_t edge) except -1 nogil
