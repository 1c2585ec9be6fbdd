# What threads of our own need that never touch Python: a monitor, which a fork leaves free, queues under it, a beginning
# and an end. Before a fork none of them lives where it can be spared.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.native cimport plain_t, pthread_t, thread_main_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <pthread.h>
    #include <sched.h>
    #include <signal.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    /* A traced function wants the GIL. */
    #if CYTHON_TRACE_NOGIL
    #define STRATA_THREADS_POSSIBLE 0
    #else
    #define STRATA_THREADS_POSSIBLE 1
    #endif

    typedef struct {
        pthread_mutex_t lock;
        pthread_cond_t work, done;
    } strata_monitor;

    static inline void strata_lock(strata_monitor *monitor) { pthread_mutex_lock(&monitor->lock); }
    static inline void strata_unlock(strata_monitor *monitor) { pthread_mutex_unlock(&monitor->lock); }
    static inline void strata_await_work(strata_monitor *monitor) { pthread_cond_wait(&monitor->work, &monitor->lock); }
    static inline int strata_await_work_until(strata_monitor *monitor, uint64_t ns) {
        struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
        return pthread_cond_timedwait(&monitor->work, &monitor->lock, &until) == ETIMEDOUT;
    }
    static inline void strata_call_one(strata_monitor *monitor) { pthread_cond_signal(&monitor->work); }
    static inline void strata_call_all(strata_monitor *monitor) { pthread_cond_broadcast(&monitor->work); }
    static inline void strata_await_done(strata_monitor *monitor) { pthread_cond_wait(&monitor->done, &monitor->lock); }
    static inline void strata_tell_done(strata_monitor *monitor) { pthread_cond_broadcast(&monitor->done); }

    /* A free one, for which nobody waits. */
    static inline void strata_make_monitor(strata_monitor *monitor) {
        pthread_condattr_t attributes;
        pthread_mutex_init(&monitor->lock, NULL);
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(&monitor->work, &attributes);
        pthread_condattr_destroy(&attributes);
        pthread_cond_init(&monitor->done, NULL);
    }

    /* One for each module that includes this: handlers of forks have no arguments. */
    static strata_monitor *strata_own_monitor;
    static void (*strata_fork_steps[3])(void);

    static void strata_before_fork(void) {
        strata_lock(strata_own_monitor);
        if (strata_fork_steps[0]) strata_fork_steps[0]();
    }
    static void strata_after_fork_in_parent(void) {
        if (strata_fork_steps[1]) strata_fork_steps[1]();
        strata_unlock(strata_own_monitor);
    }
    static void strata_after_fork_in_child(void) {
        strata_make_monitor(strata_own_monitor);
        if (strata_fork_steps[2]) strata_fork_steps[2]();
    }
    static inline int strata_begin_monitor(
        strata_monitor *monitor, void (*before)(void), void (*in_parent)(void), void (*in_child)(void)
    ) {
        strata_make_monitor(monitor);
        strata_own_monitor = monitor;
        strata_fork_steps[0] = before;
        strata_fork_steps[1] = in_parent;
        strata_fork_steps[2] = in_child;
        return pthread_atfork(strata_before_fork, strata_after_fork_in_parent, strata_after_fork_in_child);
    }

    typedef struct strata_link {
        struct strata_link *next, *prev;
    } strata_link;

    typedef struct {
        strata_link *first, *last;
        uint32_t count;
    } strata_queue;

    static inline void strata_put_last(strata_queue *queue, void *item) {
        strata_link *link = (strata_link *)item;
        link->next = NULL;
        link->prev = queue->last;
        *(queue->last ? &queue->last->next : &queue->first) = link;
        queue->last = link;
        queue->count++;
    }
    static inline void strata_take_out(strata_queue *queue, void *item) {
        strata_link *link = (strata_link *)item;
        *(link->prev ? &link->prev->next : &queue->first) = link->next;
        *(link->next ? &link->next->prev : &queue->last) = link->prev;
        link->next = link->prev = NULL;
        queue->count--;
    }
    static inline void strata_empty(strata_queue *queue) {
        queue->first = queue->last = NULL;
        queue->count = 0;
    }

    static inline int strata_start_thread(
        pthread_t *thread, size_t stack, int is_plain, void *(*run)(void *), void *argument
    ) {
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
        if (is_plain && (policy == SCHED_FIFO || policy == SCHED_RR)) {
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

    /* Wait until the kernel no longer counts a thread that was joined: it still does for a moment, and Python counts at a
       fork. A tenth of a second at most; what is at stake is a warning. */
    static inline void strata_wait_gone(int tid) {
        struct timespec pause = {0, 20000};
        int turn;
        for (turn = 0; turn < 2000 && syscall(__NR_tgkill, getpid(), tid, 0) == 0; turn++)
            turn < 8 ? (void)sched_yield() : (void)nanosleep(&pause, NULL);
    }
    """
    const bint POSSIBLE "STRATA_THREADS_POSSIBLE"

    # A lock, and two things that one may wait for with it: work, which threads of ours do, and that one of them is done
    # with something. Who waits gives the lock to others meanwhile. Nobody who has it wants the GIL.
    ctypedef struct Monitor "strata_monitor":
        pass

    # Make the one of this module; once, at import. It is held across a fork: free in the child, where nobody waits for
    # it. The steps, which may be NULL, run with it: before a fork, and behind it in the parent and in the child.
    int begin_monitor "strata_begin_monitor"(Monitor*, plain_t before, plain_t in_parent, plain_t in_child)
    void lock "strata_lock"(Monitor*)
    void unlock "strata_unlock"(Monitor*)
    void await_work "strata_await_work"(Monitor*)
    bint await_work_until "strata_await_work_until"(Monitor*, uint64_t ns)  # by CLOCK_MONOTONIC; whether it has come
    void call_one "strata_call_one"(Monitor*)  # of those who wait for work
    void call_all "strata_call_all"(Monitor*)
    void await_done "strata_await_done"(Monitor*)
    void tell_done "strata_tell_done"(Monitor*)  # to all

    # Items whose first member is a link; each is in one queue at most.
    ctypedef struct Link "strata_link":
        Link* next
        Link* prev
    ctypedef struct Queue "strata_queue":
        Link* first
        Link* last
        uint32_t count
    void put_last "strata_put_last"(Queue*, void* item)
    void take_out "strata_take_out"(Queue*, void* item)  # from wherever it is
    void empty "strata_empty"(Queue*)  # let its items go as they are

    # A thread that takes no signals but those of its own faults, from its first instruction on; not 0: there is none. A
    # plain one is not of the starter's scheduling policy where that is one of real time.
    int start_thread "strata_start_thread"(pthread_t*, size_t stack, bint is_plain, thread_main_t, void* argument)
    int pthread_detach(pthread_t)
    int pthread_join(pthread_t, void**)
    void wait_gone "strata_wait_gone"(int tid)
