# Which pages the parts of a heap lie on.
from libc.stdint cimport uint64_t
from stratavm.heap.state cimport HeapState

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
    int pthread_attr_destroy(pthread_attr_t* how)
    int pthread_create(pthread_t* thread, const pthread_attr_t* how, void* (*does)(void*) noexcept nogil, void* given)

cdef extern from * nogil:
    """
    #include <sys/mman.h>
    #define strata_seen_64(place) __atomic_load_n(place, __ATOMIC_RELAXED)
    #define strata_swap_64(place, value) __atomic_exchange_n(place, value, __ATOMIC_ACQ_REL)
    """
    uint64_t seen_64 "strata_seen_64"(uint64_t* place)
    uint64_t swap_64 "strata_swap_64"(uint64_t* place, uint64_t value)
    void* mremap(void* at, size_t size, size_t new_size, int flags, ...)
    int mincore(void* at, size_t size, unsigned char* there)

cdef bint open_part(HeapState* state) noexcept nogil
cdef void leave_pages(HeapState* state) noexcept nogil
