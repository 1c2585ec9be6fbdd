# Hand-written sequences: an instruction by the form of its operands, jumps to labels.
from libc.stdint cimport int32_t, int64_t, uint32_t
from stratavm.machine.codebuf cimport CodeBuf
from stratavm.targets.x64.encoder cimport Mem

cdef int emit_rr(CodeBuf b, uint32_t mop, uint32_t width, uint32_t dst, uint32_t src) except -1 nogil
cdef int emit_ri(CodeBuf b, uint32_t mop, uint32_t width, uint32_t reg, int64_t imm) except -1 nogil
cdef int emit_cmov(CodeBuf b, uint32_t cc, uint32_t width, uint32_t dst, uint32_t src) except -1 nogil
cdef int emit_setcc(CodeBuf b, uint32_t cc, uint32_t dst) except -1 nogil
cdef int emit_r(CodeBuf b, uint32_t mop, uint32_t reg) except -1 nogil                  # push, pop, call, jmp
cdef int emit_0(CodeBuf b, uint32_t mop) except -1 nogil                                # ret, hlt, int3
cdef int emit_rm(CodeBuf b, uint32_t mop, uint32_t width, uint32_t reg, Mem mem) except -1 nogil  # _rm and _mr
cdef int emit_mi(CodeBuf b, uint32_t mop, uint32_t width, Mem mem, int64_t imm) except -1 nogil
cdef int emit_m(CodeBuf b, uint32_t mop, uint32_t base, int32_t disp) except -1 nogil   # call, jmp
cdef int emit_jmp(CodeBuf b, uint32_t label) except -1 nogil
cdef int emit_jcc(CodeBuf b, uint32_t cc, uint32_t label) except -1 nogil
cdef int emit_lea_label(CodeBuf b, uint32_t reg, uint32_t label) except -1 nogil
cdef int emit_below(CodeBuf b, uint32_t found) except -1 nogil
cdef int emit_callee(CodeBuf b, bint maybe_common) except -1 nogil
