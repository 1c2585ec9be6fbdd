# Which blocks dominate which: see dominance.py.
cimport cython
from libc.stdint cimport uint32_t

from stratavm.ir.ssa cimport Ssa

@cython.final
cdef class Dominance:
    cdef uint32_t* dominator  # by block: the immediate one
    cdef uint32_t* depth      # by block: in the tree
    cdef uint32_t* jump       # by block: a dominator farther up, so that long ways are short
    cdef uint32_t* number     # by block: preorder number in the tree
    cdef uint32_t* size       # by block: blocks it dominates
    cdef uint32_t* only       # by block: its one predecessor, or NO_VALUE
    cdef uint32_t* free_number   # by block: the next number among its children
    cdef uint32_t cap_dominator, cap_depth, cap_jump, cap_number, cap_size, cap_only, cap_free_number

    cdef int find(self, Ssa ssa) except -1 nogil
    cdef int reserve(self, uint32_t blocks) except -1 nogil
    cdef int settle(self, uint32_t block) noexcept nogil
    cdef int leave(self, Ssa ssa, uint32_t block) noexcept nogil
    cdef int visit(self, Ssa ssa, uint32_t block, uint32_t edge) noexcept nogil
    cdef int number_tree(self, uint32_t n_blocks) noexcept nogil
    cdef uint32_t meet(self, uint32_t a, uint32_t b) noexcept nogil

    cdef inline bint dominates(self, uint32_t a, uint32_t b) noexcept nogil:
        """Whether every way to `b` leads through `a`."""
        return self.number[a] <= self.number[b] < self.number[a] + self.size[a]
