# After the splitting scan: slots, places of operands, and the moves between parts of values.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.machine.minst cimport MCode, MInst, MOperand
from stratavm.machine.regalloc.moves cimport ParallelMove
from stratavm.machine.regalloc.ranges cimport Ranges

cdef struct Crossing:
    # a value that lives in several parts, where a block begins or ends
    uint32_t number             # of the value
    uint32_t child

cdef struct Change:
    # a value goes on in another part, before an instruction
    uint32_t child
    uint32_t next

@cython.final
cdef class Resolver:
    cdef MCode m
    cdef Ranges t
    cdef ParallelMove moves
    cdef uint64_t* many             # numbers of values in several parts
    cdef uint64_t* live
    cdef uint32_t cap_many, cap_live
    cdef Crossing* crossings
    cdef uint32_t n_crossings, cap_crossings
    cdef uint32_t* heads            # by block: first crossing at its head; and at its end
    cdef uint32_t* tails
    cdef uint32_t cap_heads, cap_tails
    cdef Change* changes
    cdef uint32_t n_changes, cap_changes
    cdef uint32_t* change_at        # by instruction
    cdef uint32_t cap_change_at
    cdef uint32_t* freed            # by instruction: values whose slots are free behind it
    cdef uint32_t cap_freed
    cdef uint32_t* chain            # by value: the next such one
    cdef uint32_t cap_chain
    cdef uint32_t* narrow
    cdef uint32_t n_narrow, cap_narrow
    cdef uint32_t* wide
    cdef uint32_t n_wide, cap_wide
    cdef uint32_t* stores           # values to be stored in the next gap
    cdef uint32_t n_stores, cap_stores
    cdef uint32_t n_slots
    cdef uint64_t budget            # work left
    cdef bint failed

    cdef int run(self, MCode m, Ranges t) except -1 nogil       # 1 = done, 0 = give up
    cdef int _reserve(self, MCode m, Ranges t) except -1 nogil
    cdef int _list_changes(self) except -1 nogil
    cdef int _list_crossings(self) except -1 nogil
    cdef bint _spend(self, uint64_t units) noexcept nogil
    cdef int _cross(self, uint64_t* bits, uint32_t pos) except -1 nogil
    cdef int _weigh(self) except -1 nogil
    cdef int _count(self, uint32_t vreg, uint32_t depth) noexcept nogil
    cdef uint32_t _depth(self, uint32_t block) noexcept nogil
    cdef int _give_slots(self) except -1 nogil
    cdef int _give(self, uint32_t vreg) except -1 nogil
    cdef int _release(self, uint32_t at) except -1 nogil
    cdef bint _moves_on(self, uint32_t number) noexcept nogil
    cdef int _edges(self, uint32_t source, uint32_t target, bint emit) except -1 nogil
    cdef int _block(self, uint32_t number) except -1 nogil
    cdef int _gap(self, uint32_t at, bint leaving) except -1 nogil
    cdef int _inst(self, uint32_t at) except -1 nogil
    cdef int _place(self, MOperand* o, uint32_t pos) except -1 nogil
    cdef int _to_fixed(self, MInst* inst, MOperand* ops, uint32_t at) except -1 nogil
    cdef int _bring(self, uint32_t vreg, uint32_t reg, uint32_t pos) except -1 nogil
    cdef int _note_store(self, uint32_t vreg) except -1 nogil
    cdef int _arguments(self, uint32_t number) except -1 nogil
    cdef bint _lands(self, uint32_t source, uint32_t target) noexcept nogil
    cdef int _goes_on(self, uint32_t before, uint32_t after) except -1 nogil
    cdef uint32_t _part(self, uint32_t vreg, uint32_t pos) noexcept nogil
    cdef uint32_t _where(self, uint32_t child) noexcept nogil
    cdef uint32_t _source(self, uint32_t vreg, uint32_t pos) noexcept nogil
    cdef uint32_t _loc(self, uint32_t vreg, uint32_t pos) noexcept nogil
