# What fills an SSA form, and what makes another of it, for one thread: see stage.py.
from libc.stdint cimport uint32_t, uint64_t

from stratavm.ir.ssa cimport Ssa

cdef inline uint64_t unlimited() noexcept nogil:
    """A budget of rewrites that no function uses up."""
    return ~<uint64_t>0

cdef class Source:
    cdef Ssa ssa              # what it fills
    cdef object front
    cdef uint32_t wanted      # by `attempt`
    cdef int build(self, uint32_t defined) except -1 nogil
    cdef int attempt(self, uint32_t defined) except -1 nogil
    cdef int is_short(self, uint32_t defined, uint32_t most) except -1 nogil

cdef class Stage:
    cdef Ssa ssa              # input
    cdef Ssa out              # the form under construction
    cdef public uint64_t budget               # rewrites allowed in a function: for finding a culprit
    cdef public uint64_t spent                # rewrites of the last run
    cdef public bint explains                 # whether to take notes
    cdef int apply(self) except -1 nogil
