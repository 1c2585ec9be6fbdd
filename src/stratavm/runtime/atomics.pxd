# Atomic accesses to memory that threads share, of 1, 2, 4 or 8 bytes; all are sequentially consistent.
from libc.stdint cimport uint32_t, uint64_t

cdef enum Change:             # what an access puts in the place of what was there, which it returns
    CHANGE_LOAD               # nothing
    CHANGE_STORE
    CHANGE_ADD
    CHANGE_SUB
    CHANGE_AND
    CHANGE_OR
    CHANGE_XOR
    CHANGE_EXCHANGE
    CHANGE_COMPARE            # the value, where what was there was expected

cdef extern from * nogil:
    """
    #include <stdint.h>
    #define STRATA_CHANGE(type) \\
        static inline uint64_t strata_change_##type(int change, type *at, type value, type expected) { \\
            switch (change) { \\
            case 0: return __atomic_load_n(at, __ATOMIC_SEQ_CST); \\
            case 1: __atomic_store_n(at, value, __ATOMIC_SEQ_CST); return 0; \\
            case 2: return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); \\
            case 3: return __atomic_fetch_sub(at, value, __ATOMIC_SEQ_CST); \\
            case 4: return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); \\
            case 5: return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); \\
            case 6: return __atomic_fetch_xor(at, value, __ATOMIC_SEQ_CST); \\
            case 7: return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); \\
            default: \\
                __atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \\
                return expected; \\
            } \\
        }
    STRATA_CHANGE(uint8_t)
    STRATA_CHANGE(uint16_t)
    STRATA_CHANGE(uint32_t)
    STRATA_CHANGE(uint64_t)
    static inline uint64_t strata_change(int change, uint32_t width, void *at, uint64_t value, uint64_t expected) {
        switch (width) {
        case 1: return strata_change_uint8_t(change, (uint8_t *)at, (uint8_t)value, (uint8_t)expected);
        case 2: return strata_change_uint16_t(change, (uint16_t *)at, (uint16_t)value, (uint16_t)expected);
        case 4: return strata_change_uint32_t(change, (uint32_t *)at, (uint32_t)value, (uint32_t)expected);
        default: return strata_change_uint64_t(change, (uint64_t *)at, value, expected);
        }
    }
    """
    # At an address that is a multiple of the width; values are cut to it.
    uint64_t change_atomically "strata_change"(Change change, uint32_t width, void* at, uint64_t value, uint64_t expected)
