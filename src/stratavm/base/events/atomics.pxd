# Atomic operations on 64-bit words and pointers.
from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #include <stdint.h>

    #define strata_ring_load(p) __atomic_load_n((uint64_t *)(p), __ATOMIC_ACQUIRE)
    #define strata_ring_store(p, v) __atomic_store_n((uint64_t *)(p), (uint64_t)(v), __ATOMIC_RELEASE)
    #define strata_ring_next(p) __atomic_add_fetch((uint64_t *)(p), 1, __ATOMIC_RELAXED)
    #define strata_ring_take(p) __atomic_exchange_n((void **)(p), (void *)0, __ATOMIC_ACQ_REL)
    static inline int strata_ring_swap(void *p, uint64_t old, uint64_t fresh) {
        return __atomic_compare_exchange_n((uint64_t *)p, &old, fresh, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }
    """
    uint64_t load "strata_ring_load"(void*)
    void store "strata_ring_store"(void*, uint64_t)
    uint64_t increment "strata_ring_next"(void*)
    void* take "strata_ring_take"(void*)
    int swap "strata_ring_swap"(void*, uint64_t, uint64_t)
