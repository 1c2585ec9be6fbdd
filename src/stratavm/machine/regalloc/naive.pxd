# The simplest allocation, which takes what the others give up.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.machine.minst cimport MCode, MOperand
from stratavm.machine.regalloc.moves cimport ParallelMove

@cython.final
cdef class NaiveAllocator:
    cdef ParallelMove moves
    cdef uint64_t registers
    cdef uint32_t* slot_of      # by virtual register: its slot
    cdef uint32_t cap_slot_of
    cdef uint32_t* fresh        # by virtual register: where the instruction just before has left it, or NO_LOC
    cdef uint32_t cap_fresh

    cdef int run(self, MCode m, uint64_t registers) except -1 nogil
    cdef int _assign_slots(self, MCode m) except -1 nogil
    cdef int _place_fixed(self, MCode m, uint32_t at, MOperand* ops, uint64_t* early, uint64_t* late) except -1 nogil
    cdef int _take(self, MCode m, uint32_t at, MOperand* o, uint64_t busy) except -1 nogil
    cdef int _place_operands(self, MCode m, uint32_t at, MOperand* ops) except -1 nogil
    cdef uint32_t _source_of(self, uint32_t vreg) noexcept nogil
    cdef int _stores(self, MCode m, uint32_t at, uint32_t first) except -1 nogil
    cdef int _edge_moves(self, MCode m, uint32_t number) except -1 nogil
