# Registers at a fault, by the numbers that machine code has for them.
from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <ucontext.h>
    static inline uint64_t strata_uc_register(void *uc, uint32_t number) {
    #if defined(__x86_64__)
        static const int places[16] = {
            REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
            REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
        };
        return (uint64_t)((ucontext_t *)uc)->uc_mcontext.gregs[places[number & 15]];
    #else
        return (uint64_t)((ucontext_t *)uc)->uc_mcontext.regs[number % 31];
    #endif
    }
    """
    uint64_t uc_register "strata_uc_register"(void*, uint32_t)
