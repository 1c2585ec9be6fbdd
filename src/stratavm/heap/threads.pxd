# Threads of a heap's own, which know of no Python: one makes large pages ahead, another makes marks beside a guest.
cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK, SIGSEGV, SIGBUS, SIGFPE, SIGILL
    int sigfillset(sigset_t* signals)
    int sigdelset(sigset_t* signals, int signal)
    int pthread_sigmask(int how, const sigset_t* signals, sigset_t* before)

cdef extern from "<sched.h>" nogil:
    int SCHED_OTHER, SCHED_FIFO, SCHED_RR
    int sched_getscheduler(int which)
    struct sched_param:
        int sched_priority

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    int PTHREAD_CREATE_DETACHED, PTHREAD_EXPLICIT_SCHED
    int pthread_attr_init(pthread_attr_t* how)
    int pthread_attr_setdetachstate(pthread_attr_t* how, int state)
    int pthread_attr_setstacksize(pthread_attr_t* how, size_t size)
    int pthread_attr_setschedpolicy(pthread_attr_t* how, int policy)
    int pthread_attr_setschedparam(pthread_attr_t* how, const sched_param* what)
    int pthread_attr_setinheritsched(pthread_attr_t* how, int inherits)
    int pthread_attr_destroy(pthread_attr_t* how)
    int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*does)(void*) noexcept nogil, void* given)

cdef extern from "<sys/resource.h>" nogil:
    int PRIO_PROCESS
    int setpriority(int which, unsigned int who, int niceness)

cdef enum:
    THREAD_STACK = 256 << 10         # bytes, of a few hundred that are used
    POLICY = 0xFF                    # of a scheduler, without its flags

ctypedef void* (*does_t)(void* given) noexcept nogil

# Begin a thread that nobody waits for; false: there is none to be had. It gets no signals, which are for threads that
# know of Python, but those of its own faults, so that a crash is told; and it is none of real time where the guest's is.
cdef inline bint begin_thread(does_t does, void* given) noexcept nogil:
    cdef sigset_t all_of_them
    cdef sigset_t before
    cdef pthread_attr_t how
    cdef pthread_t thread
    if pthread_attr_init(&how) != 0:
        return False
    cdef sched_param plain
    cdef int policy = sched_getscheduler(0) & POLICY
    sigfillset(&all_of_them)
    sigdelset(&all_of_them, SIGSEGV)
    sigdelset(&all_of_them, SIGBUS)
    sigdelset(&all_of_them, SIGFPE)
    sigdelset(&all_of_them, SIGILL)
    pthread_attr_setstacksize(&how, THREAD_STACK)
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED)
    if policy == SCHED_FIFO or policy == SCHED_RR:
        pthread_attr_setschedpolicy(&how, SCHED_OTHER)
        plain.sched_priority = 0
        pthread_attr_setschedparam(&how, &plain)
        pthread_attr_setinheritsched(&how, PTHREAD_EXPLICIT_SCHED)
    pthread_sigmask(SIG_SETMASK, &all_of_them, &before)
    cdef bint begun = pthread_create(&thread, &how, does, given) == 0
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&how)
    return begun

# This thread is for when nobody else wants its processor, on which a guest may be: nobody waits for it.
cdef inline void give_way() noexcept nogil:
    setpriority(PRIO_PROCESS, 0, 19)
