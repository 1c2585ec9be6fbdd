# Threads of a heap's own, which know of no Python: one makes large pages ahead, another makes marks beside a guest.
cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int SIG_SETMASK
    int sigfillset(sigset_t* signals)
    int pthread_sigmask(int how, const sigset_t* signals, sigset_t* before)

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    int PTHREAD_CREATE_DETACHED
    int pthread_attr_init(pthread_attr_t* how)
    int pthread_attr_setdetachstate(pthread_attr_t* how, int state)
    int pthread_attr_setstacksize(pthread_attr_t* how, size_t size)
    int pthread_attr_destroy(pthread_attr_t* how)
    int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*does)(void*) noexcept nogil, void* given)

cdef extern from "<sys/resource.h>" nogil:
    int PRIO_PROCESS
    int setpriority(int which, unsigned int who, int niceness)

cdef enum:
    THREAD_STACK = 256 << 10         # bytes, of a few hundred that are used

ctypedef void* (*does_t)(void* given) noexcept nogil

# Begin a thread that nobody waits for; false: there is none to be had. It gets no signals: these are for threads that
# know of Python.
cdef inline bint begin_thread(does_t does, void* given) noexcept nogil:
    cdef sigset_t all_of_them
    cdef sigset_t before
    cdef pthread_attr_t how
    cdef pthread_t thread
    if pthread_attr_init(&how) != 0:
        return False
    sigfillset(&all_of_them)
    pthread_attr_setstacksize(&how, THREAD_STACK)
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED)
    pthread_sigmask(SIG_SETMASK, &all_of_them, &before)
    cdef bint begun = pthread_create(&thread, &how, does, given) == 0
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&how)
    return begun

# This thread is for when nobody else wants its processor, on which a guest may be: nobody waits for it.
cdef inline void give_way() noexcept nogil:
    setpriority(PRIO_PROCESS, 0, 19)
