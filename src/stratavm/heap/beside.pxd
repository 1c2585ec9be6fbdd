# A thread that makes marks beside the guest.
from libc.stdint cimport uint64_t
from stratavm.heap.state cimport HeapState

cdef extern from * nogil:
    """
    static inline int strata_count_thread(uint64_t *word, uint64_t process, uint64_t most) {
        uint64_t now = __atomic_load_n(word, __ATOMIC_RELAXED);
        uint64_t there;
        do {
            there = now >> 32 == process ? (uint32_t)now : 0;
            if (there >= most)
                return 0;
        } while (!__atomic_compare_exchange_n(word, &now, process << 32 | (there + 1), 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
        return 1;
    }
    static inline void strata_discount_thread(uint64_t *word, uint64_t process) {
        uint64_t now = __atomic_load_n(word, __ATOMIC_RELAXED);
        do {
            if (now >> 32 != process || (uint32_t)now == 0)
                return;
        } while (!__atomic_compare_exchange_n(word, &now, now - 1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    }
    """
    # A word has the number of a process, and how many threads it has for marks: those of one that it was forked from
    # do not count.
    bint count_thread "strata_count_thread"(uint64_t* word, uint64_t process, uint64_t most)  # false: there are as many
    void discount_thread "strata_discount_thread"(uint64_t* word, uint64_t process)

cdef void begin_beside(HeapState* state) noexcept nogil
cdef bint is_helped(HeapState* state, uint64_t whole) noexcept nogil
cdef void end_beside(HeapState* state) noexcept nogil
cdef void do_without(HeapState* state) noexcept nogil  # a thread that gets no processor
cdef void forget_beside(HeapState* state) noexcept nogil
cdef void add_beside(HeapState* state) noexcept nogil
