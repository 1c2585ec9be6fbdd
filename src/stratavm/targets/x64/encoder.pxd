# The instruction encoder: rows of _gen_encodings.pxd to bytes. Locations are those of machine IR (GPR 0-15, XMM 16-31).
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from stratavm.machine.codebuf cimport CodeBuf
from stratavm.machine.minst cimport MInst, MOperand

cdef enum:
    NO_REG = 0xFF
    MAX_INST_BYTES = 32   # reserve() of this many covers any instruction
    MODE_AVX = 1          # CodeBuf.mode: rows of XMM registers have a VEX prefix, and results of their own
    UNSAID = 0xFF         # Form.vvvv: the row says which register stands there

cdef enum RegClass:
    RC_XMM = 1        # of a virtual register, beside 0 for the general ones

cdef struct Mem:
    uint8_t base      # GPR 0-15, RIP (constant pool, disp = byte offset in it) or NO_REG
    uint8_t index     # GPR except rsp, or NO_REG
    uint8_t scale     # log2
    int32_t disp

cdef struct Form:
    # what an instruction is about: reg, rm and vvvv are locations for the row's ModRM fields of that name
    uint32_t width
    uint32_t cc
    uint32_t reg
    uint32_t vvvv
    uint32_t rm
    const Mem* mem    # instead of rm, NULL: the register form
    int64_t imm

cdef struct Frame:
    # where operands in memory are: spill slot n at [base + slots + 8 n], what is computed again where its load reads
    uint8_t base
    int32_t slots
    const MInst* insts            # where LOC_REMAT | n leads
    const MOperand* operands

cdef inline Form form(uint32_t width, uint32_t reg, uint32_t rm) noexcept nogil:
    # registers alone, without condition and immediate
    cdef Form o
    o.width = width
    o.reg = reg
    o.rm = rm
    o.cc = 0
    o.vvvv = UNSAID
    o.mem = NULL
    o.imm = 0
    return o

cdef inline Mem based(uint32_t base, int32_t disp) noexcept nogil:
    # [base + disp]
    cdef Mem mem
    mem.base = <uint8_t>base
    mem.index = NO_REG
    mem.scale = 0
    mem.disp = disp
    return mem

cdef inline Mem indexed(uint32_t base, uint32_t index, uint32_t scale) noexcept nogil:
    # [base + index << scale]
    cdef Mem mem
    mem.base = <uint8_t>base
    mem.index = <uint8_t>index
    mem.scale = <uint8_t>scale
    mem.disp = 0
    return mem

# ---- one instruction
cdef int encode(CodeBuf b, uint32_t mop, const Form* o) except -1 nogil
cdef int encode_plain(CodeBuf b, uint32_t mop, uint32_t width, uint32_t reg, uint32_t rm) except -1 nogil
cdef int encode_memory(CodeBuf b, uint32_t mop, uint32_t width, uint32_t reg, const Mem* mem) except -1 nogil
cdef int put_mov(CodeBuf b, uint32_t mop, uint32_t reg, uint32_t rm, const Mem* mem) except -1 nogil
cdef int refuse(uint32_t mop, char* reason, int64_t value) except -1 nogil

# ---- whole machine instructions, as the allocator left them
cdef int emit_inst(CodeBuf b, const MInst* inst, const MOperand* ops, const Frame* frame) except -1 nogil
cdef int emit_move(CodeBuf b, uint32_t src, uint32_t dst, uint32_t width, const Frame* frame) except -1 nogil
