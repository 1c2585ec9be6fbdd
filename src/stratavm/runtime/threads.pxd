# cython: linetrace=False
# The thread block: what the runtime knows of one OS thread. Its functions are called under locks, where a tracer that lets
# go of the GIL would wait for ever.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from stratavm.contract._gen_layout cimport Activation, ExecContext
from stratavm.runtime.native cimport now_ns, pthread_key_t
from stratavm.runtime.own_threads cimport Link, Monitor, Queue
from stratavm.runtime.parking cimport Parker

cdef struct ThreadBlock:
    Link link                 # among the living blocks
    uint64_t serial           # never reused; 0 is nobody
    uint64_t stack_low        # lowest usable address
    uint64_t stack_high
    uint64_t limit            # lowest SP of a guest: stack_low + reserve
    Activation* activation    # innermost activation of this thread
    ExecContext* running      # what the ticker may tick; NULL outside guests. Written by this thread only
    uint64_t calls            # outermost entries so far
    uint64_t seen_calls       # the ticker's: `calls` at its last look
    uint64_t seen_cpu_ns      # and this thread's processor time, where a guest on a fiber ran
    int cpu_clock             # of the kernel's, of that time
    uint32_t in_guest         # 1 while guest code runs, 0 in host calls and outside
    uint32_t is_main          # Python's main thread: signals are handled here
    void* tstate              # the thread state while a poll has released the GIL, else NULL
    uint64_t checked_ns       # when this thread last looked for signals
    uint64_t waited_ns        # how long it waits for the GIL, by what it saw last
    uint64_t host_calls       # calls so far by its guests of what needs the GIL
    uint64_t worked_ticks     # ticks so far that came after work, not after waiting
    uint64_t ticked_host_calls  # `host_calls` at the last of them
    uint64_t ticked_cpu_ns    # this thread's processor time then
    uint64_t releases         # how often its guests have let go of the GIL
    uint64_t turns            # and of these, how often to give other guests' threads a turn
    uint64_t turn_ns          # when the last of them began; 0: the thread has had the GIL back since
    uint32_t turns_left_out   # so many more are due without being given
    uint32_t last_left_out    # and so many were behind the last one that was given
    uint64_t polls_per_tick   # on the average, of its guests on fibers; 0: the ticker is their clock
    uint64_t polls_left       # until the next of these ticks
    uint64_t polls_seed       # what decides how far the one behind it is
    void* greenlet            # where its innermost host call runs, if greenlets are in use; only compared
    void* alt_stack
    size_t alt_size
    Parker* parker            # where it sleeps in memory.atomic.wait; NULL until it does

cdef pthread_key_t block_key
cdef Monitor threads          # of the living blocks; nobody waits
cdef Queue blocks             # those, under it
cdef uint32_t side_blocks     # of them: of other threads than Python's main one
cdef uint64_t loose_threads   # that run guests without the GIL; whoever has the GIL reads and writes it
cdef int64_t block_at         # distance of this thread's pointer to its block from the thread pointer

cdef extern from * nogil:
    """
    #include <stdint.h>
    static inline void *strata_thread_local(int64_t distance) {
        void *value;
    #if defined(__x86_64__)
        __asm__ volatile("movq %%fs:(%1), %0" : "=r"(value) : "r"(distance));
    #else
        value = *(void *volatile *)((char *)__builtin_thread_pointer() + distance);
    #endif
        return value;
    }
    """
    void* thread_local "strata_thread_local"(int64_t)

cdef extern from * nogil:
    """
    #include <pthread.h>
    #include <time.h>
    /* The clock of this thread's processor time, for other threads; and what it says. */
    static inline int strata_own_cpu_clock(void) {
        clockid_t clock;
        return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? (int)clock : (int)CLOCK_MONOTONIC;
    }
    static inline uint64_t strata_cpu_ns(int clock) {
        struct timespec t;
        clock_gettime((clockid_t)clock, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    """
    int own_cpu_clock "strata_own_cpu_clock"()
    uint64_t cpu_ns_of "strata_cpu_ns"(int)

# This thread's block or NULL. Async-signal-safe.
cdef inline ThreadBlock* current_block() noexcept nogil:
    return <ThreadBlock*>thread_local(block_at)

cdef ThreadBlock* thread_block() except? NULL
cdef int tend(ThreadBlock* block) noexcept nogil
cdef Parker* parker_of(ThreadBlock* block) noexcept nogil   # NULL: there is no memory for one

# A poll of a guest on a fiber: whether it is a tick, where polls are the clock. Distances are 1 to twice the average.
cdef inline bint count_poll(ThreadBlock* block) noexcept nogil:
    if block.polls_per_tick == 0:
        return False
    block.polls_left -= 1
    if block.polls_left != 0:
        return False
    block.polls_seed = block.polls_seed * 6364136223846793005ULL + 1442695040888963407ULL
    block.polls_left = 1 + (block.polls_seed >> 33) % (2 * block.polls_per_tick)
    return True

# Whether a bulk operation of a guest on a fiber, begun then, has held the event loop long enough with so many bytes:
# 4 MiB, or what takes 1.5 ms, since pages that nobody has touched take long. Where polls are the clock, bytes are, too.
cdef inline bint part_is_over(ThreadBlock* block, uint64_t began_ns, uint64_t done) noexcept nogil:
    return done >= 4 << 20 or (block.polls_per_tick == 0 and now_ns() - began_ns >= 1500000)
