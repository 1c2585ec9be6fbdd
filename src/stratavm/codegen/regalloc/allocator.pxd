# The one interface of register allocation: machine IR in, operand locations and sequential moves out.
cimport cython
from libc.stdint cimport uint8_t, uint32_t
from stratavm.codegen.minst cimport MCode, MInst, MOperand
from stratavm.codegen.regalloc.intervals cimport Intervals
from stratavm.codegen.regalloc.linear cimport LinearScan
from stratavm.codegen.regalloc.moves cimport ParallelMove
from stratavm.codegen.regalloc.ranges cimport Ranges
from stratavm.codegen.regalloc.resolve cimport Resolver
from stratavm.codegen.regalloc.rewrite cimport Rewriter
from stratavm.codegen.regalloc.splitting cimport SplittingScan

cdef enum AllocatorKind:
    ALLOC_NAIVE = 0     # everything in slots
    ALLOC_LINEAR = 1    # level 0
    ALLOC_SPLITTING = 2 # level 1

@cython.final
cdef class Allocator:
    # Work arrays of one worker, reused between functions.
    cdef readonly uint32_t registers     # mask over locations 0-31 that may hold values
    cdef readonly uint32_t kind          # AllocatorKind
    cdef readonly uint32_t fallbacks     # functions that linear scan gave up, since the object was made
    cdef readonly uint32_t simpler       # functions that the splitting scan left to the one of level 0
    cdef readonly bint checked
    cdef ParallelMove moves
    cdef Intervals intervals
    cdef LinearScan scan
    cdef Rewriter rewriter
    cdef Ranges ranges
    cdef SplittingScan splitting
    cdef Resolver resolver
    cdef uint32_t* slot_of               # by virtual register: its spill slot
    cdef uint32_t cap_slot_of
    cdef uint32_t* fresh                 # by virtual register: where the instruction just before has left it
    cdef uint32_t cap_fresh
    cdef int allocate(self, MCode m) except -1 nogil
    cdef int verify(self, MCode m) except -1
    cdef int prepare(self, MCode m) except -1 nogil
    cdef int allocate_linear(self, MCode m) except -1 nogil
    cdef int allocate_splitting(self, MCode m) except -1 nogil

cdef extern from *:
    uint32_t lowest_bit "__builtin_ctz"(uint32_t mask) noexcept nogil   # of a mask that is not empty

cdef inline bint is_use(uint32_t role) noexcept nogil:
    return role == 0 or role == 2      # R_USE, R_USE_LATE

cdef inline bint is_def(uint32_t role) noexcept nogil:
    return role == 1 or role == 3      # R_DEF, R_DEF_EARLY

cdef inline bint holds_early(uint32_t role) noexcept nogil:
    # occupies its register while the instruction reads
    return role != 1

cdef inline bint holds_late(uint32_t role) noexcept nogil:
    # occupies its register while the instruction writes
    return role != 0
