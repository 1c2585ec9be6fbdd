# What passes over loops have in common: see loops.py.
from libc.stdint cimport uint32_t

from stratavm.ir.passes.stream cimport Stream

cdef class Loops(Stream):
    cdef uint32_t* entry      # by header: the block before the loop; the header itself or NO_VALUE where there is none
    cdef uint32_t cap_entry

    cdef bint loopless(self) noexcept nogil
    cdef int find_entries(self) except -1 nogil
    cdef bint has_entry(self, uint32_t header) noexcept nogil
    cdef uint32_t loop_end(self, uint32_t header, uint32_t most) noexcept nogil
    cdef uint32_t exit_of(self, uint32_t first, uint32_t end) noexcept nogil
    cdef int count_preds(self) noexcept nogil
