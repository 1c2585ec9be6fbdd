# The thread block: what the runtime knows of one OS thread.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from stratavm.contract._gen_layout cimport Activation, ExecContext
from stratavm.runtime.native cimport pthread_key_t
from stratavm.runtime.own_threads cimport Link, Monitor, Queue

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
    uint32_t in_guest         # 1 while guest code runs, 0 in host calls and outside
    uint32_t is_main          # Python's main thread: signals are handled here
    void* tstate              # the thread state while a poll has released the GIL, else NULL
    uint64_t checked_ns       # when this thread last looked for signals
    uint64_t waited_ns        # how long it waits for the GIL, by what it saw last
    uint64_t host_calls       # calls so far by its guests of what needs the GIL
    uint64_t worked_ticks     # ticks so far that came after work, not after waiting
    uint64_t ticked_host_calls  # `host_calls` at the last of them
    uint64_t ticked_cpu_ns    # this thread's processor time then
    uint64_t releases         # how often a tick has released the GIL
    void* greenlet            # where its innermost host call runs, if greenlets are in use; only compared
    void* alt_stack
    size_t alt_size

cdef pthread_key_t block_key
cdef Monitor threads          # of the living blocks; nobody waits
cdef Queue blocks             # those, under it
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

# This thread's block or NULL. Async-signal-safe.
cdef inline ThreadBlock* current_block() noexcept nogil:
    return <ThreadBlock*>thread_local(block_at)

cdef ThreadBlock* thread_block() except? NULL
cdef int tend(ThreadBlock* block) noexcept nogil
