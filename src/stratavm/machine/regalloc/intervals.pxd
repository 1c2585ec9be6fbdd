# One live interval per value, over positions: instruction i reads at 2i and writes at 2i+1.
cimport cython
from libc.stdint cimport uint8_t, uint32_t
from stratavm.machine.minst cimport MAX_REGISTERS, MCode, MOperand

cdef enum:
    NO_POS = 0xFFFFFFFF
    NO_EVENT = 0xFFFFFFFF
    NO_REGISTER = 0xFF
    ORDER_BLOCK = 0x80000000    # an entry of `order` is the terminator of a block that needs registers
    IV_TIED = 1                 # defined in the register of the value that its hint names (C_SAME)
    IV_SLOT = 2                 # some operand demands the slot
    IV_GIVEN = 4                # rewriting: another value took its slot where it ended
    MAX_LINEAR_INSTS = 0x3FFFFFFF

cdef struct Interval:
    uint32_t start              # position of the definition, NO_POS before it
    uint32_t end                # last position where the value is alive
    uint32_t weight             # uses, weighted by loop depth; 0 = dead
    uint32_t hint               # a value whose register would save a move (for IV_TIED the tied one), or NO_VREG
    uint32_t home               # its register for all of its life, or NO_LOC: it lives in a slot
    uint32_t fresh              # scan: a parameter that it is passed to, at best that of a loop, or NO_VREG; rewriting: where it
                                # really is before the coming moves, or NO_LOC
    uint32_t next               # scan: value that may change places with the tied one, or NO_VREG; rewriting: next value
                                # whose slot becomes free at the same instruction
    uint8_t cached              # rewriting: register that holds a copy of the slot, or NO_REGISTER
    uint8_t wanted              # register of its first fixed operand, or NO_REGISTER
    uint8_t flags

cdef struct Event:
    uint32_t pos                # a fixed operand occupies a register here
    uint32_t vreg               # its value (NO_VREG: none), which may be there
    uint32_t next

cdef struct OpenLoop:
    uint32_t start              # position of the header
    uint32_t end                # position of the last terminator
    uint32_t stop               # block behind it

@cython.final
cdef class Intervals:
    cdef Interval* items        # by value
    cdef uint32_t cap_items
    cdef uint32_t* order        # values by definition, and terminators (ORDER_BLOCK | block)
    cdef uint32_t n_order, cap_order
    cdef uint32_t* calls        # read positions of calls
    cdef uint32_t n_calls, cap_calls
    cdef Event* events
    cdef uint32_t n_events, cap_events
    cdef uint32_t[MAX_REGISTERS] first_event
    cdef uint32_t[MAX_REGISTERS] last_event
    cdef uint32_t* loop_stop    # by block: 1 + last block of the loop that it heads, 0 = none
    cdef uint32_t* preds        # by block: incoming edges
    cdef uint32_t cap_loop_stop, cap_preds
    cdef OpenLoop* loops        # those around the block at hand, outermost first
    cdef uint32_t n_loops, cap_loops

    cdef int build(self, MCode m) except -1 nogil      # 1: done; 0: not for this allocator
    cdef int _find_loops(self, MCode m) except -1 nogil
    cdef int _block(self, MCode m, uint32_t number) except -1 nogil
    cdef int _inst(self, MCode m, uint32_t at, uint32_t weight) except -1 nogil
    cdef int _edges(self, MCode m, uint32_t number, uint32_t weight) except -1 nogil
    cdef int _use(self, uint32_t vreg, uint32_t pos, uint32_t weight) noexcept nogil
    cdef int _define(self, uint32_t vreg, uint32_t pos) except -1 nogil
    cdef int _append(self, uint32_t entry) except -1 nogil
    cdef int _event(self, uint32_t reg, uint32_t pos, uint32_t vreg) except -1 nogil
    cdef int _hint(self, uint32_t vreg, uint32_t hint) noexcept nogil
    cdef int _want(self, uint32_t vreg, uint8_t reg) noexcept nogil

cdef inline bint wants_register(const MOperand* o) noexcept nogil:
    # a terminator's operand for which rewriting may need a register
    return o.constraint != 2 and o.constraint != 4 and o.constraint != 0 or o.role == 4
