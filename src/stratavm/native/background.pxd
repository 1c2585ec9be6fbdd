# Helper threads of this process, shared by all its engines: they run pieces of work that touch no Python object.
#
# A `Job` is a member of the object whose work it is; all zero it is idle. Not on a stack: greenlets move stacks. It is
# neither moved nor freed between `submit` and the end of `withdraw`, nor is what its pieces use. A piece never takes the
# GIL, counts no references and raises nothing; locks that it takes are of modules that `background` imports (a fork
# stops the threads before it takes those), and nobody holds one of them while he withdraws.
from libc.stdint cimport uint32_t, uint64_t

cdef enum:                    # Job.state
    IDLE = 0
    QUEUED = 1
    RUNNING = 2
    AGAIN = 3                 # runs, and was submitted or offered meanwhile
    LEAVING = 4               # runs, and somebody waits to have it back
    OFFERED = 5               # to visitors, and none runs it

cdef struct Job
ctypedef bint (*Piece)(Job*) noexcept nogil

cdef struct Job:
    Piece run                 # some ms of the work, on one thread at a time; whether there is more
    uint32_t stop             # not 0: somebody waits, and the piece ends within 1 ms of its processor time
    uint32_t state            # from here on the queue's alone
    Job* next
    Job* prev

# Count the processors and see to the end of the process; whoever has not called it before has no threads. Cheap after
# the first time. With the GIL.
cdef int ready() except -1

# Let a thread run the job's pieces until there is nothing left, or once more if it is queued or running already. False:
# there are no threads (one processor, refused, at the end of the process), or somebody withdraws it: it is not queued.
# Never waits for work. After a fork neither side has threads before it submits something, what was queued stays queued;
# so who waits for a long job's end submits it again now and then.
cdef bint submit(Job* job) noexcept nogil

# Have a visitor do it: a thread of somebody else's that calls `lend`, whom the caller finds. Returns the job's state now:
# OFFERED, and nobody runs it; AGAIN or QUEUED, and somebody does, or will; LEAVING, and nobody may (it is being taken back,
# or the process ends).
cdef uint32_t offer(Job* job) noexcept nogil

# Nobody was found: unless it is run by now, it is no longer offered.
cdef int recall(Job* job) noexcept nogil

# Run pieces of an offered job on this thread: one at least, until nothing is left, for about so many nanoseconds, or until
# a fork or the end comes; nothing where it is not offered, which includes that another thread runs it. Whether something is left.
# Without the GIL; this thread holds no lock.
cdef bint lend(Job* job, uint64_t ns) noexcept nogil

# How many forks lie between the first process and this one.
cdef uint32_t fork_count() noexcept nogil

# Take the job back: when this returns, no thread has it. Waits for the piece in flight. Whether it was queued or running.
cdef bint withdraw(Job* job) noexcept nogil

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <pthread.h>
    #include <sched.h>
    #include <signal.h>
    #include <sys/resource.h>
    #include <unistd.h>

    /* A traced function wants the GIL. */
    #if CYTHON_TRACE_NOGIL
    #define STRATA_HELPERS_POSSIBLE 0
    #else
    #define STRATA_HELPERS_POSSIBLE 1
    #endif

    /* Processors that this thread, and so one that it starts, may run on. */
    static inline int strata_processors(void) {
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
        return (int)sysconf(_SC_NPROCESSORS_ONLN);  /* more than a set of the C library has room for */
    }

    /* A thread that takes no signals but those of its own faults, from its first instruction on. Not of the starter's
       scheduling policy, which may be one of real time. */
    static int strata_start_thread(pthread_t *thread, size_t stack, void *(*run)(void *), void *argument) {
        pthread_attr_t attributes;
        struct sched_param plain = {0};
        sigset_t most, before;
        int policy = sched_getscheduler(0) & 0xFF, failed;  /* without SCHED_RESET_ON_FORK */
        sigfillset(&most);
        sigdelset(&most, SIGSEGV);
        sigdelset(&most, SIGBUS);
        sigdelset(&most, SIGFPE);
        sigdelset(&most, SIGILL);
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, stack);
        pthread_attr_setguardsize(&attributes, 65536);
        if (policy == SCHED_FIFO || policy == SCHED_RR) {
            pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
            pthread_attr_setschedparam(&attributes, &plain);
            pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
        }
        pthread_sigmask(SIG_SETMASK, &most, &before);
        failed = pthread_create(thread, &attributes, run, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&attributes);
        return failed;
    }

    /* Name this thread, and let others go first; a process behind a filter may not have that. */
    static inline void strata_be_background(int nice) {
        int now;
        pthread_setname_np(pthread_self(), "strata-compile");
        errno = 0;
        now = getpriority(PRIO_PROCESS, 0);
        if (now != -1 || errno == 0) setpriority(PRIO_PROCESS, 0, now + nice);
    }
    """
    const bint POSSIBLE "STRATA_HELPERS_POSSIBLE"
    int processors_here "strata_processors"()
    int start_thread "strata_start_thread"(unsigned long*, size_t, void* (*)(void*) noexcept nogil, void*)
    void be_background "strata_be_background"(int)
