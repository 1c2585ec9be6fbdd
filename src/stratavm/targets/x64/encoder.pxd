# The instruction encoder: rows of _gen_encodings.pxd to bytes. Locations are those of machine IR (GPR 0-15, XMM 16-31).
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from stratavm.machine.codebuf cimport CodeBuf
from stratavm.machine.minst cimport MCode, MInst, MOperand

cdef enum:
    NO_REG = 0xFF
    MAX_INST_BYTES = 32   # reserve() of this many covers any instruction

cdef enum RegClass:
    RC_GPR = 0
    RC_XMM = 1

cdef struct Mem:
    uint8_t base      # GPR 0-15, RIP (constant pool, disp = byte offset in it) or NO_REG
    uint8_t index     # GPR except rsp, or NO_REG
    uint8_t scale     # log2
    int32_t disp

cdef struct Frame:
    # where operands in memory are: spill slot n at [base + slots + 8 n], what is computed again where its load reads
    uint8_t base
    int32_t slots
    const MInst* insts            # where LOC_REMAT | n leads
    const MOperand* operands

# ---- whole machine instructions, as the allocator left them
cdef int emit_inst(CodeBuf b, const MInst* inst, const MOperand* ops, const Frame* frame) except -1 nogil
cdef int emit_move(CodeBuf b, uint32_t src, uint32_t dst, uint32_t width, const Frame* frame) except -1 nogil

# ---- hand-written sequences; `mem` NULL = register form. reg/rm/vvvv fill the row's ModRM fields of that name.
cdef int emit_row(CodeBuf b, uint32_t mop, uint32_t width, uint32_t cc, uint32_t reg, uint32_t rm, const Mem* mem,
                  int64_t imm) except -1 nogil
cdef int emit_rr(CodeBuf b, uint32_t mop, uint32_t width, uint32_t dst, uint32_t src) except -1 nogil
cdef int emit_ri(CodeBuf b, uint32_t mop, uint32_t width, uint32_t reg, int64_t imm) except -1 nogil
cdef int emit_r(CodeBuf b, uint32_t mop, uint32_t reg) except -1 nogil                  # push, pop, call, jmp
cdef int emit_0(CodeBuf b, uint32_t mop) except -1 nogil                                # ret, hlt, int3
cdef int emit_rm(CodeBuf b, uint32_t mop, uint32_t width, uint32_t reg, uint32_t base, int32_t disp) except -1 nogil  # _rm and _mr
cdef int emit_mi(CodeBuf b, uint32_t mop, uint32_t width, uint32_t base, int32_t disp, int64_t imm) except -1 nogil
cdef int emit_m(CodeBuf b, uint32_t mop, uint32_t base, int32_t disp) except -1 nogil   # call, jmp, push, pop
cdef int emit_jmp(CodeBuf b, uint32_t label) except -1 nogil
cdef int emit_jcc(CodeBuf b, uint32_t cc, uint32_t label) except -1 nogil
cdef int emit_lea_label(CodeBuf b, uint32_t reg, uint32_t label) except -1 nogil
cdef int emit_nop(CodeBuf b, uint32_t size) except -1 nogil

# ---- building machine IR from a row: roles, constraints and flags come from the table
cdef uint32_t row_inst(MCode m, uint32_t mop, uint32_t width, uint32_t v0, uint32_t v1, uint32_t v2, uint32_t v3,
                       uint32_t v4) except? 0xFFFFFFFF nogil
cdef int row_address(MCode m, uint32_t base, uint32_t index, uint32_t scale, int32_t disp) except -1 nogil
cdef int row_address_reg(MCode m, uint32_t reg, uint32_t index, uint32_t scale, int32_t disp) except -1 nogil
