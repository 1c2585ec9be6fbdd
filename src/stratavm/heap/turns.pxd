# Who has the stack of marks of a heap, and what else two may want there: the guest for each pause that collects, and for
# what it or the host puts on that stack besides; the thread that makes marks beside the guest (``beside``) to take some
# of it, or to give some. Who waits longer than some microseconds sleeps, and takes no processor's time.
from libc.stdint cimport uint32_t
from posix.unistd cimport getpid
from stratavm.heap.state cimport HeapState

cdef extern from * nogil:
    """
    #include <linux/futex.h>
    #include <sched.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #if defined(__x86_64__)
    #define strata_rest() __builtin_ia32_pause()
    #else
    #define strata_rest() ((void)0)
    #endif
    static inline void strata_sleep_at(uint32_t *word, uint32_t value) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, (void *)0, (void *)0, 0);
    }
    static inline void strata_wake_at(uint32_t *word) {
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, (void *)0, (void *)0, 0);
    }
    static inline uint32_t strata_see(uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static inline void strata_put(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_SEQ_CST); }
    static inline uint32_t strata_try(uint32_t *word, uint32_t from, uint32_t to) {
        return __atomic_compare_exchange_n(word, &from, to, 0, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE);
    }
    static inline void strata_have(uint32_t *had) {
        for (int times = 0; times < 400; times++) {
            if (strata_see(had) == 0 && strata_try(had, 0, 1))
                return;
            strata_rest();
        }
        while (__atomic_exchange_n(had, 2, __ATOMIC_ACQUIRE) != 0)
            strata_sleep_at(had, 2);
    }
    static inline void strata_give(uint32_t *had) {
        if (__atomic_exchange_n(had, 0, __ATOMIC_RELEASE) == 2)
            strata_wake_at(had);
    }
    static inline void strata_want_no_more(uint32_t *wanted) {
        if (__atomic_exchange_n(wanted, 0, __ATOMIC_SEQ_CST) == 2)
            strata_wake_at(wanted);
    }
    static inline void strata_wait_for_turn(uint32_t *wanted) {
        for (int times = 0; times < 200; times++) {
            if (strata_see(wanted) == 0)
                return;
            sched_yield();
        }
        while (strata_see(wanted) != 0) {
            strata_try(wanted, 1, 2);
            strata_sleep_at(wanted, 2);
        }
    }
    """
    uint32_t see "strata_see"(uint32_t* word)
    void put "strata_put"(uint32_t* word, uint32_t value)
    void have "strata_have"(uint32_t* had)
    void give "strata_give"(uint32_t* had)
    void want_no_more "strata_want_no_more"(uint32_t* wanted)
    void wait_for_turn "strata_wait_for_turn"(uint32_t* wanted)  # of the thread: until the guest does not want it
    void sleep_at "strata_sleep_at"(uint32_t* word, uint32_t value)
    void wake_at "strata_wake_at"(uint32_t* word)

# The thread was left in another process, which this one was forked from. What it had to look at is lost: marks come to
# nothing then, and the next collection is a full one, as where a write could not be noted.
cdef inline void be_orphaned(HeapState* state) noexcept nogil:
    state.lost = 1
    state.beside = state.had = state.claimed = 0

# The guest or the host has the stack from here on. False: it has it already, or no thread does.
cdef inline bint hold(HeapState* state) noexcept nogil:
    if state.guest_has or see(&state.beside) == 0:
        return False
    if state.beside_process != <unsigned long>getpid():
        be_orphaned(state)
        return False
    put(&state.claimed, 1)
    have(&state.had)
    state.guest_has = 1
    return True

# The thread may have it again.
cdef inline void let_on(HeapState* state) noexcept nogil:
    state.guest_has = 0
    give(&state.had)
    want_no_more(&state.claimed)
    if state.hungry:
        put(&state.beside_called, 1)
