# What every part of selection shares: the function at hand, the virtual register of each node, appending instructions.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from stratavm.machine.minst cimport MCode, MInst
from stratavm.targets.x64._gen_encodings cimport MOP_MOV_MR, MOP_MOV_RM, MOP_MOVF_MR, MOP_MOVF_RM, MOP_MOVUPS_MR, MOP_MOVUPS_RM
from stratavm.targets.x64.plan cimport ModulePlan
from stratavm.ir.ssa cimport IR_CONST, IR_CONST_V128, Ssa
from stratavm.ir.ops cimport OP_REF_NULL

cdef enum:
    NODE_FUSED = 1        # a comparison that its only user, a branch or select of the same block, makes into flags
    NODE_FOLDED = 2       # a load or shift that its user, an operation of the same block, does itself
    NODE_EARLY = 4        # computed before the loop that it stands in
    NODE_LATE = 8         # computed where a later node of its block is, with it; of the upper half of a product: so is its lower
    NODE_SUM = 16         # of a shift: the users found so far that can do it themselves, times this; the highest mark
    ANY_WIDTH = 0
    MOST_KEPT = 8         # constants of vectors that loops have in registers
    UNKNOWN_KEPT = 0xFFFFFFFF   # for n_kept: nobody has looked
    NEAR = 16             # nodes between two that become one instruction, or two that share the carry flag

cdef class BaseSelector:
    cdef ModulePlan plan
    cdef Ssa ssa
    cdef MCode m
    cdef uint32_t* vregs       # by node; NO_VREG = none yet
    cdef uint32_t cap_vregs
    cdef uint8_t* marks        # NODE_* by node
    cdef uint32_t cap_marks
    cdef uint32_t* uses        # of `ssa`
    cdef uint32_t at           # the node being selected
    cdef bint folding          # fold loads into their users
    cdef bint leas             # additions of shifted values are addresses
    cdef bint tricks           # x & ~y, x & (x - 1), x & -x are instructions of BMI1 (level 1)
    cdef bint zeroing          # zero is xor of a register with itself (level 1)
    cdef bint avx              # results of XMM rows have registers of their own, and memory operands need no alignment
    cdef bint again            # say what the allocator may compute again (level 1)
    cdef uint32_t[8] kept      # nodes of constants of vectors that stay in registers (level 1)
    cdef uint32_t n_kept
    cdef MInst* early          # instructions for the head of the function
    cdef uint32_t n_early, cap_early

    cdef int prepare(self) except -1 nogil
    cdef uint32_t define(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef uint32_t fresh(self, uint32_t type) except? 0xFFFFFFFF nogil
    cdef uint32_t value(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef uint32_t constant(self, uint64_t value, uint32_t type) except? 0xFFFFFFFF nogil
    cdef uint32_t vector_constant(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef int repeatable(self, uint32_t flags) noexcept nogil
    cdef int advance(self) except -1 nogil
    cdef int place_early(self) except -1 nogil
    cdef uint64_t const_bits(self, uint32_t node) noexcept nogil
    cdef bint const_imm(self, uint32_t node, uint32_t width, int64_t* imm) noexcept nogil
    cdef int row(self, uint32_t mop, uint32_t width, uint32_t v0, uint32_t v1, uint32_t v2) except -1 nogil
    cdef int pseudo(self, uint32_t op, uint32_t width, uint32_t flags) except -1 nogil
    cdef int on_base(self, uint32_t reg, int32_t disp) except -1 nogil
    cdef bint uses_between(self, uint32_t value, uint32_t test, uint32_t last) noexcept nogil
    cdef int mark_product(self, uint32_t n, uint32_t first) noexcept nogil
    cdef uint32_t low_product(self, uint32_t n, uint32_t first) noexcept nogil
    cdef int unsupported(self, uint32_t op) except -1 nogil

cdef inline uint32_t class_of(uint32_t type) noexcept nogil:
    return 1 if 3 <= type <= 5 else 0          # xmm for floats and v128

cdef inline uint32_t width_of(uint32_t type) noexcept nogil:
    return 4 if type == 1 or type == 3 else 16 if type == 5 else 8

cdef inline uint32_t load_of(uint32_t type) noexcept nogil:
    # the row that loads a value
    return MOP_MOVUPS_RM if type == 5 else MOP_MOVF_RM if class_of(type) else MOP_MOV_RM

cdef inline uint32_t store_of(uint32_t type) noexcept nogil:
    # the row that stores one
    return MOP_MOVUPS_MR if type == 5 else MOP_MOVF_MR if class_of(type) else MOP_MOV_MR

cdef inline uint32_t cell_width(uint32_t type) noexcept nogil:
    # bytes stored into a cell: eight of an i32, which is zero-extended; the upper half of a float's cell is arbitrary
    return width_of(type) if class_of(type) else 8

cdef inline bint is_const(Ssa ssa, uint32_t node) noexcept nogil:
    # whether an operand is a constant that is a word
    return ssa.nodes[node].op == IR_CONST or ssa.nodes[node].op == OP_REF_NULL

cdef inline bint is_fixed(Ssa ssa, uint32_t node) noexcept nogil:
    # whether an operand is any constant, which is loaded where it is used
    return is_const(ssa, node) or ssa.nodes[node].op == IR_CONST_V128
