# Where a thread sleeps: at a word of its own, which nobody ever frees, so that whoever wakes it may come late.
from libc.stdint cimport uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <linux/futex.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    typedef struct strata_parker {
        uint32_t word, sleeps, turns, waits;
        struct strata_parker *next;
    } strata_parker;

    #if defined(__x86_64__)
    #define strata_relax() __builtin_ia32_pause()
    #else
    #define strata_relax() __asm__ volatile("yield")
    #endif

    /* The sleeper says that it sleeps, then looks at the word; who wakes it changes the word, then looks for that. */
    static inline void strata_unpark(strata_parker *parker) {
        __atomic_add_fetch(&parker->word, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&parker->sleeps, __ATOMIC_SEQ_CST))
            syscall(__NR_futex, &parker->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
    }
    static inline int strata_park(strata_parker *parker, uint32_t seen, uint64_t until_ns) {
        struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
        int failed = 0;
        __atomic_store_n(&parker->sleeps, 1, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&parker->word, __ATOMIC_SEQ_CST) == seen &&
            syscall(__NR_futex, &parker->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, until_ns ? &until : NULL,
                    NULL, FUTEX_BITSET_MATCH_ANY) != 0)
            failed = errno;
        __atomic_store_n(&parker->sleeps, 0, __ATOMIC_RELEASE);
        return failed;
    }
    /* For as long as it was worth lately; to find out, every 64th time for longer. */
    static inline void strata_spin(strata_parker *parker, uint32_t *flag, uint32_t most) {
        uint32_t turns = ++parker->waits % 64 ? parker->turns : most, left = turns;
        while (left && !__atomic_load_n(flag, __ATOMIC_ACQUIRE)) {
            strata_relax();
            left--;
        }
        parker->turns = !left ? turns / 2 : turns > most / 2 ? most : 2 * turns;
    }
    """
    ctypedef struct Parker "strata_parker":
        uint32_t word             # changes whenever the thread has something to look at
        uint32_t sleeps           # whether it sleeps
        Parker* next              # among those that no thread has

    void unpark "strata_unpark"(Parker*)
    # Sleep until the word is another one than it was, or until a time of CLOCK_MONOTONIC (0: no end); 0 or an errno.
    # It may end for no reason.
    int park "strata_park"(Parker*, uint32_t seen, uint64_t until_ns)
    void spin "strata_spin"(Parker*, uint32_t* flag, uint32_t most)  # until it is set, for at most so many looks
    int EINTR
