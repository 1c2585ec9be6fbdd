# What passes over loops have in common: see loops.py.
from libc.stdint cimport uint32_t

from stratavm.ir.passes.stream cimport Stream

cdef class Loops(Stream):
    cdef uint32_t* entry      # by header: the block before the loop; the header itself or NO_VALUE where there is none
    cdef uint32_t* extent     # by header: the block behind the loop; the block itself where it heads none
    cdef uint32_t* around     # by block: header of the innermost loop that it lies in, or NO_VALUE
    cdef uint32_t* outer      # by header: header of the next loop around, or NO_VALUE
    cdef uint32_t cap_entry, cap_extent, cap_around, cap_outer

    cdef bint loopless(self) noexcept nogil
    cdef int find_extents(self) except -1 nogil
    cdef int close_extents(self) noexcept nogil
    cdef int nest(self) noexcept nogil
    cdef bint has_entry(self, uint32_t header) noexcept nogil
    cdef uint32_t loop_end(self, uint32_t header, uint32_t most) noexcept nogil
    cdef uint32_t exit_of(self, uint32_t first, uint32_t end) noexcept nogil
    cdef int count_preds(self) noexcept nogil
