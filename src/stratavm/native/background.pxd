# Helper threads of this process, shared by all its engines: they run pieces of work that touch no Python object.
#
# A `Job` is a member of the object whose work it is; all zero it is idle. Not on a stack: greenlets move stacks. It is
# neither moved nor freed between `submit` and the end of `withdraw`, nor is what its pieces use. A piece never takes the
# GIL, counts no references and raises nothing; locks that it takes are of modules that `background` imports (a fork
# stops the threads before it takes those), and nobody holds one of them while he withdraws.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.own_threads cimport Link

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
    Link link                 # the queue's
    Piece run                 # some ms of the work, on one thread at a time; whether there is more
    uint32_t stop             # not 0: somebody waits, and the piece ends within 1 ms of its processor time
    uint32_t state            # the queue's

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
    #include <sys/resource.h>
    #include <unistd.h>

    /* Processors that this thread, and so one that it starts, may run on. */
    static inline int strata_processors(void) {
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
        return (int)sysconf(_SC_NPROCESSORS_ONLN);  /* more than a set of the C library has room for */
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
    int processors_here "strata_processors"()
    void be_background "strata_be_background"(int)
