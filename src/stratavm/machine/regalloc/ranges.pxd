# Live ranges with holes. Instruction i has four positions: 4i the gap before it (moves), 4i+1 it reads, 4i+2 it writes.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.machine.minst cimport MAX_REGISTERS, MCode, MInst, MOperand
from stratavm.machine.regalloc.intervals cimport Intervals

cdef enum:
    NONE = 0xFFFFFFFF           # no index, no position
    NO_REG = 0xFF
    IN_SLOT = 0xFE              # where a child lives: registers are below MAX_REGISTERS; what is computed again lives nowhere
    READS = 1                   # offsets of positions
    WRITES = 2
    MAX_LIVE_WORDS = 1 << 20    # 64 Mbit of liveness; beyond, level 0's allocator does it
    MAX_MARKED_LOOPS = 4        # loops around a use that get a mark for it
    MAX_CLIMB = 64              # loops looked at from inside outwards
    MAX_SPLIT_INSTS = 0x3FFFFFFE

cdef enum UseKind:
    U_MUST = 0                  # a register, whatever it costs
    U_SHOULD = 1                # a register, or the slot as a memory operand
    U_LOOP = 2                  # no operand: the end of a loop at whose head the value is wanted again
    U_GAP = 3                   # moved from wherever it is; what can be computed again is, and needs not live to there

cdef enum ValueFlag:
    V_FIXED = 1                 # defined in the fixed register `fixed`
    V_SLOT = 2                  # some part of it lives in its slot
    V_STORED = 4                # stored once, behind its definition
    V_HOME = 8                  # computed again by a load, which an operand can do itself

cdef enum ChildFlag:
    CH_FORCED = 1               # begins while an instruction writes: in its slot at least to the next gap
    CH_EARLY = 2                # a reload sooner than needed: only where a register is free

cdef struct Range:
    uint32_t start
    uint32_t end                # behind the last position
    uint32_t next

cdef struct Use:
    uint32_t pos
    uint32_t next
    uint32_t kind

cdef struct Child:
    # a part of a value's life, in one place
    uint32_t vreg
    uint32_t range              # the first one that may still matter
    uint32_t start
    uint32_t end
    uint32_t use                # the first one that may still matter
    uint32_t last_use           # position of the last one before it, or NONE
    uint32_t held               # not to be moved before this position
    uint32_t next               # the part that follows, or NONE
    uint8_t place               # register, IN_SLOT, NO_REG = not decided
    uint8_t flags

cdef struct Value:
    uint32_t child              # first part; NONE: dead
    uint32_t range
    uint32_t use
    uint32_t at                 # resolving: the part at hand
    uint32_t start              # position of the definition, NONE before it
    uint32_t block              # of the definition
    uint32_t number             # among the values that live in several blocks, or NONE
    uint32_t hint               # whose register saves a move: tied or copied
    uint32_t kin                # the same over an edge
    uint32_t slot
    uint32_t remat              # LOC_REMAT | the instruction that computes it again, or NONE
    uint64_t spill_weight       # moves to the slot, by loop depth
    uint32_t spills
    uint8_t fixed
    uint8_t wanted              # register of a fixed operand
    uint8_t last                # the register it had last
    uint8_t flags

cdef struct Claim:
    # a fixed operand occupies a register
    uint32_t start
    uint32_t end
    uint32_t vreg               # its value may be there
    uint32_t next

cdef struct Loop:
    uint32_t first              # blocks
    uint32_t stop
    uint32_t parent
    uint32_t depth
    uint32_t start              # positions
    uint32_t end

@cython.final
cdef class Ranges:
    cdef MCode m
    cdef Intervals base         # finds the loops
    cdef Value* values
    cdef uint32_t cap_values
    cdef Range* ranges
    cdef uint32_t n_ranges, cap_ranges
    cdef Use* uses
    cdef uint32_t n_uses, cap_uses
    cdef Child* children
    cdef uint32_t n_children, cap_children
    cdef Claim* claims
    cdef uint32_t n_claims, cap_claims
    cdef uint32_t[MAX_REGISTERS] first_claim
    cdef uint32_t* calls        # positions where calls write
    cdef uint32_t n_calls, cap_calls
    cdef uint32_t* order        # values by definition
    cdef uint32_t n_order, cap_order
    cdef Loop* loops
    cdef uint32_t n_loops, cap_loops
    cdef uint32_t* loop_of      # by block: innermost loop or NONE
    cdef uint32_t cap_loop_of
    cdef uint32_t* block_of     # by instruction
    cdef uint32_t cap_block_of
    cdef uint32_t* only_pred    # by block: the one block before it; NONE: none; MANY
    cdef uint32_t cap_only_pred
    cdef uint32_t* first_pred   # by block: the first one before it, or NONE
    cdef uint32_t cap_first_pred
    cdef uint32_t* vregs        # by number
    cdef uint32_t n_numbers, cap_vregs
    cdef uint64_t* live_in      # by block: bit set over numbers
    cdef uint32_t words, cap_live_in
    cdef uint64_t* live
    cdef uint32_t cap_live
    cdef uint64_t budget        # work left

    cdef int build(self, MCode m) except -1 nogil       # 1 = done, 0 = not for this allocator
    cdef int _reserve(self, MCode m) except -1 nogil
    cdef int _forward(self, MCode m) except -1 nogil
    cdef int _find_loops(self, MCode m) except -1 nogil
    cdef int _meet(self, MCode m, uint32_t number) except -1 nogil
    cdef int _see(self, MCode m, uint32_t at, uint32_t number) except -1 nogil
    cdef int _see_definition(self, uint32_t vreg, uint32_t pos, uint32_t number) except -1 nogil
    cdef int _see_use(self, uint32_t vreg, uint32_t number, bint moved) except -1 nogil
    cdef int _see_edges(self, MCode m, uint32_t number) except -1 nogil
    cdef int _backward(self, MCode m) except -1 nogil
    cdef int _block(self, MCode m, uint32_t number) except -1 nogil
    cdef int _live_out(self, MCode m, uint32_t number) except -1 nogil
    cdef int _inst(self, MCode m, uint32_t at, uint32_t number) except -1 nogil
    cdef int _definitions(self, MInst* inst, MOperand* ops, uint32_t at) except -1 nogil
    cdef int _swap(self, MOperand* ops, uint32_t at, uint32_t number) noexcept nogil
    cdef bint _descends(self, uint32_t vreg, uint32_t origin) noexcept nogil
    cdef bint _dies(self, uint32_t vreg, uint32_t at, uint32_t number) noexcept nogil
    cdef int _header(self, MCode m, uint32_t number) except -1 nogil
    cdef int _spread(self, MCode m) noexcept nogil
    cdef int _range(self, uint32_t vreg, uint32_t start, uint32_t end) except -1 nogil
    cdef int _use(self, uint32_t vreg, uint32_t pos, uint32_t kind, uint32_t number) except -1 nogil
    cdef int _insert(self, uint32_t vreg, uint32_t pos, uint32_t kind) except -1 nogil
    cdef int _define(self, uint32_t vreg, uint32_t pos, uint32_t kind) except -1 nogil
    cdef int _claim(self, uint32_t reg, uint32_t start, uint32_t end, uint32_t vreg) except -1 nogil
    cdef uint32_t child(self, uint32_t vreg, uint32_t range, uint32_t use, uint32_t end) except? 0xFFFFFFFF nogil
    cdef uint32_t split(self, uint32_t c, uint32_t pos) except? 0xFFFFFFFE nogil

cdef enum:
    MANY = 0xFFFFFFFE           # for only_pred

cdef uint32_t twin_of(MOperand* ops, uint32_t n, uint32_t k) noexcept nogil
