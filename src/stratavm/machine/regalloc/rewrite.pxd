# Rewriting after linear scan: places of operands, loads, stores, copies in registers of values that live in slots.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.machine.minst cimport MAX_REGISTERS, MBlock, MCode, MInst, MOperand
from stratavm.machine.regalloc.intervals cimport Interval, Intervals
from stratavm.machine.regalloc.moves cimport ParallelMove

cdef enum Moment:
    EARLY = 1           # while the instruction reads
    LATE = 2            # while it writes
    BOTH = 3

cdef enum OperandKinds:
    HAS_FIXED = 1
    HAS_TIED = 2
    HAS_OPEN = 4        # needs a register of the instruction's own

cdef struct PostMove:
    # copies the result of the instruction before to where it lives
    uint32_t src
    uint32_t dst
    uint32_t vreg

cdef enum:
    NO_COPIES = 0xFFFFFFFE      # for state_of: nothing is common
    NO_STATE = 0xFFFFFFFF       # no edge was seen
    FREE_REACH = 4              # free slots among which one is looked for
    MAX_STATES = 4096           # records in use at a time; beyond, copies end with their block

cdef struct CopyState:
    # copies at the head of a block that is still to come
    uint64_t copies
    uint32_t next               # in the list of free records
    uint32_t[MAX_REGISTERS] copied

@cython.final
cdef class Rewriter:
    cdef MCode m
    cdef Interval* items
    cdef ParallelMove moves
    cdef uint64_t registers
    cdef uint32_t* slot_of
    cdef uint32_t* freed            # by instruction: head of the values whose slots become free behind it
    cdef uint32_t cap_freed
    cdef uint32_t* narrow           # free slots of 8 and of 16 bytes
    cdef uint32_t n_narrow, cap_narrow
    cdef uint32_t* wide
    cdef uint32_t n_wide, cap_wide
    cdef uint32_t n_slots
    cdef PostMove* post
    cdef uint32_t n_post, cap_post
    cdef CopyState* states
    cdef uint32_t n_states, cap_states, free_state
    cdef uint32_t* state_of         # by block: its record, NO_COPIES or NO_STATE
    cdef uint32_t cap_state_of
    cdef bint falls                 # the next block has no other way in than the end of this one
    # registers, as masks
    cdef uint64_t occupied          # by values whose home they are
    cdef uint64_t dying             # of those: values read for the last time by the instruction at hand
    cdef uint64_t copies            # hold a copy of a slot
    cdef uint64_t evicted           # their value waits in its slot until the next instruction
    cdef uint64_t evicting          # the same, for the instruction at hand
    cdef uint64_t loaded            # written by the moves before the instruction at hand
    cdef uint64_t early, late       # operands of the instruction at hand
    cdef uint32_t turn              # which copy goes next
    cdef uint32_t at
    cdef bint is_last               # the instruction at hand is a terminator
    cdef bint failed
    cdef uint32_t[MAX_REGISTERS] holder        # value of each occupied register
    cdef uint32_t[MAX_REGISTERS] copied        # value of each copy

    cdef int run(self, MCode m, Intervals t, uint32_t* slot_of, uint64_t registers) except -1 nogil
    cdef int _block(self, Intervals t, uint32_t number) except -1 nogil
    cdef int _enter(self, uint32_t number) except -1 nogil
    cdef int _leave(self, Intervals t, uint32_t number) except -1 nogil
    cdef int _merge(self, uint32_t target) except -1 nogil
    cdef uint32_t _new_state(self) except? 0xFFFFFFFF nogil
    cdef int _inst(self, uint32_t at, MBlock* b) except -1 nogil
    cdef uint32_t _given(self, MOperand* ops, uint32_t n) except? 0xFFFFFFFF nogil
    cdef int _swap(self, MOperand* ops) noexcept nogil
    cdef bint _yields(self, uint32_t vreg) noexcept nogil
    cdef int _load_fixed(self, MOperand* ops, uint32_t n) except -1 nogil
    cdef int _given_fixed(self, MOperand* o) except -1 nogil
    cdef int _tied(self, MOperand* ops, uint32_t n) except -1 nogil
    cdef uint32_t _tied_place(self, uint32_t d, uint32_t u) except? 0xFFFFFFFF nogil
    cdef int _others(self, MOperand* ops, uint32_t n) except -1 nogil
    cdef int _read(self, MOperand* o, uint32_t moment) except -1 nogil
    cdef int _choose(self, MOperand* o, uint32_t moment) except -1 nogil
    cdef int _edge(self, MBlock* b) except -1 nogil
    cdef int _settle(self, MBlock* b, bint passing) except -1 nogil
    cdef bint _is_idle(self, uint32_t vreg, uint32_t dst) noexcept nogil
    cdef int _after(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int _results(self, MOperand* ops, uint32_t n) except -1 nogil
    cdef int _post(self, uint32_t src, uint32_t dst, uint32_t vreg) except -1 nogil
    cdef uint32_t _pick(self, uint32_t rclass, uint32_t moment) except? 0xFFFFFFFF nogil
    cdef uint32_t _evict(self, uint64_t candidates) except? 0xFFFFFFFF nogil
    cdef int _claim(self, uint32_t reg, uint32_t moment) noexcept nogil
    cdef int _load(self, uint32_t vreg, uint32_t reg) except -1 nogil
    cdef uint32_t _source(self, uint32_t vreg) except? 0xFFFFFFFF nogil
    cdef int _forget_copy(self, uint32_t reg) noexcept nogil
    cdef int _note_copy(self, uint32_t vreg, uint32_t reg) noexcept nogil
    cdef uint32_t _slot(self, uint32_t vreg) except? 0xFFFFFFFF nogil
    cdef uint32_t _slot_of(self, uint32_t vreg, uint32_t other) except? 0xFFFFFFFF nogil
    cdef int _release(self, uint32_t at) except -1 nogil
