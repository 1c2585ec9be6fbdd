# Emission of values: buffer, tables and sequences.
from libc.stdint cimport int32_t, uint32_t
from stratavm.machine.codebuf cimport CodeBuf
from stratavm.machine.minst cimport MCode, MInst, MOperand, Move
from stratavm.targets.x64.encoder cimport Frame, Mem
from stratavm.targets.x64.plan cimport ModulePlan
from stratavm.ir.ssa cimport Ssa

cdef enum ColdKind:
    COLD_TRAP = 0        # a = trap kind
    COLD_POLL = 1        # a = bytes below rsp that the function wants
    COLD_TRUNC = 2       # a = TRUNC_* bits, b = width, c = destination | source << 8, d = pool offset of the bound
    COLD_COUNT = 3       # a word of counters has run out
    COLD_NOTE = 5        # a = object | index << 8 (NO_REG: none) | scale << 16; d = displacement
    COLD_NEW = 6         # a = where the object goes, b = type index, c = elements, or they are in d, if that is a register
    COLD_IS = 7          # a = reference, b and c = registers for it
    COLD_BELOW = 4       # the FuncRec in r11 is not of the type whose id is in ebx, but may be below it; r10 has type_ids

cdef struct Cold:
    uint32_t kind
    uint32_t label       # where it begins
    uint32_t back        # where it returns
    uint32_t position
    uint32_t a
    uint32_t b
    uint32_t c
    uint32_t d           # of COLD_POLL without a global: the cell whose pointer r11 holds, NOTHING_HELD if none

cdef struct TableUse:
    uint32_t label       # of the table
    uint32_t block       # whose edges fill it

cdef enum:
    ALWAYS = 0x80        # skip: unconditional
    NOTHING_HELD = 0xFFFFFFFE
    NOT_SEEN = 0xFFFFFFFF   # for heads: no way here was emitted yet
    LATE_WAY = 0xFFFFFFFD   # for heads: of a loop, and a block that is emitted behind it leads there
    NO_TOP = 0xFFFFFFFF

cdef class ValueEmitter:
    cdef CodeBuf b
    cdef MCode m
    cdef Ssa ssa
    cdef ModulePlan plan
    cdef Frame frame
    cdef uint32_t frame_bytes
    cdef uint32_t position         # where the instruction at hand is from (`ssa.pxd`)
    cdef uint32_t held             # context cell whose pointer r11 holds, NOTHING_HELD if none
    cdef uint32_t first_label      # of the blocks
    cdef uint32_t passed           # instruction that the one before it did, or NO_VREG
    cdef bint bare                 # no frame: the return address is at rsp
    cdef bint foreign              # r14 must be kept in the frame
    cdef uint32_t* traps
    cdef uint32_t n_traps, cap_traps
    cdef uint32_t* returns
    cdef uint32_t n_returns, cap_returns
    cdef uint32_t* landings        # pairs: where a call returns to, and where it lands with an exception
    cdef uint32_t n_landings, cap_landings
    cdef Cold* colds
    cdef uint32_t n_colds, cap_colds
    cdef TableUse* tables
    cdef uint32_t n_tables, cap_tables
    cdef uint32_t* final           # by block: where a jump to it goes
    cdef uint32_t* heads           # by block: what r11 holds where it begins, NOT_SEEN if nobody has said
    cdef uint32_t* tops            # by block: the label where its loop begins anew, with a pointer in r11; NO_TOP if none
    cdef uint32_t cap_final, cap_heads, cap_tops

    cdef uint32_t pointer_in(self, uint32_t first, uint32_t last, const Move* moves) noexcept nogil

    cdef bint sum_of(self, MInst* inst, MOperand* ops, uint32_t augend, int32_t more) except -1 nogil
    cdef int divide(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int set_condition(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int select(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int scan(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int through(self, MInst* inst, MOperand* ops, uint32_t n, Mem* mem) except -1 nogil
    cdef int change(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int sign_bits(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int minmax(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int forget(self, uint32_t xmm) except -1 nogil
    cdef int from_u64(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int truncate(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int cold_trunc(self, Cold* c) except -1 nogil
    cdef int saturate(self, Cold* c, uint32_t zero) except -1 nogil
    cdef uint32_t cold(self, uint32_t kind, uint32_t a) except? 0xFFFFFFFF nogil
    cdef int trap_site(self, uint32_t kind) except -1 nogil
    cdef int return_site(self) except -1 nogil
    cdef int landing_site(self, uint32_t block) except -1 nogil
    cdef int place_landings(self) noexcept nogil
    cdef int explicit_trap(self, uint32_t kind) except -1 nogil
    cdef int trap_if(self, MInst* inst) except -1 nogil
    cdef uint32_t compared(self, uint32_t number) noexcept nogil
    cdef uint32_t left_in(self, uint32_t loc, uint32_t number) noexcept nogil
    cdef uint32_t held_at(self, uint32_t loc) noexcept nogil
    cdef int load_pool(self, uint32_t width, uint32_t xmm, uint32_t offset) except -1 nogil
    cdef uint32_t skip(self, uint32_t cc) except? 0xFFFFFFFF nogil
    cdef bint sums(self, Move* mv, uint32_t at, uint32_t last) except -1 nogil
    cdef bint doubles(self, uint32_t move, uint32_t at, uint32_t last) except -1 nogil
    cdef int32_t added_next(self, uint32_t move, uint32_t at, uint32_t last) noexcept nogil
    cdef bint in_flags(self, uint32_t at, uint32_t last) noexcept nogil
    cdef bint feeds(self, uint32_t at, uint32_t last) noexcept nogil
    cdef bint flags_live(self, uint32_t at, uint32_t last) noexcept nogil
