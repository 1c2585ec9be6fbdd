# The one interface of register allocation: machine IR in, operand locations and sequential moves out.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.machine.minst cimport MCode
from stratavm.machine.regalloc.intervals cimport Intervals
from stratavm.machine.regalloc.linear cimport LinearScan
from stratavm.machine.regalloc.moves cimport ParallelMove
from stratavm.machine.regalloc.naive cimport NaiveAllocator
from stratavm.machine.regalloc.ranges cimport Ranges
from stratavm.machine.regalloc.resolve cimport Resolver
from stratavm.machine.regalloc.rewrite cimport Rewriter
from stratavm.machine.regalloc.splitting cimport SplittingScan

cdef enum AllocatorKind:
    ALLOC_NAIVE = 0     # everything in slots
    ALLOC_LINEAR = 1    # level 0
    ALLOC_SPLITTING = 2 # level 1

@cython.final
cdef class Allocator:
    # Work arrays of one worker, reused between functions.
    cdef readonly uint64_t registers     # those that may hold values
    cdef readonly uint32_t kind          # AllocatorKind
    cdef readonly uint32_t fallbacks     # functions that linear scan gave up, since the object was made
    cdef readonly uint32_t simpler       # functions that the splitting scan left to the one of level 0
    cdef readonly bint checked
    cdef bint linear                     # linear scan did the function at hand
    cdef MCode m
    cdef ParallelMove moves
    cdef NaiveAllocator naive
    cdef Intervals intervals
    cdef LinearScan scan
    cdef Rewriter rewriter
    cdef Ranges ranges
    cdef SplittingScan splitting
    cdef Resolver resolver
    cdef uint32_t* slot_of               # by virtual register: its spill slot
    cdef uint32_t cap_slot_of
    cdef int allocate(self) except -1 nogil
    cdef int verify(self) except -1                 # what `allocate` did; needs the GIL
    cdef uint32_t place_at(self, uint32_t vreg, uint32_t at) noexcept nogil
    cdef int prepare(self, MCode m) except -1 nogil
    cdef int allocate_linear(self, MCode m) except -1 nogil
    cdef int allocate_splitting(self, MCode m) except -1 nogil
