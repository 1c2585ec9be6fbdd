from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t

from stratavm.base.budget cimport breathe
from stratavm.base.leb cimport bytes_t
from stratavm.module.chunks cimport MOST_PARTS, ReadJob, ReadPart, sem_t

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object thing)

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <pthread.h>
    #include <sched.h>
    #include <semaphore.h>
    #include <signal.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/stat.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    /* Whether a thread has posted, after a wait of so many milliseconds. */
    static inline int strata_wait_soon(sem_t *semaphore, long ms) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += ms * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        return sem_timedwait(semaphore, &until) == 0;
    }

    /* A thread that takes no signals. */
    static inline int strata_start_reading(pthread_t *thread, void *(*run)(void *), void *argument) {
        sigset_t all, before;
        int failed;
        syscall(__NR_membarrier, 1 << 4, 0, 0);  /* registered now: with two threads that takes 13 ms (ADR-0036) */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        failed = pthread_create(thread, NULL, run, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return failed;
    }

    /* Whether a thread has ended, after a wait of so many milliseconds. */
    static inline int strata_join_soon(pthread_t thread, long ms) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += ms * 1000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        return pthread_timedjoin_np(thread, NULL, &until) != ETIMEDOUT;
    }

    /* What the first touch of a place takes, in nanoseconds of this thread; what is there stays there. */
    static inline uint64_t strata_touch(uint8_t *place) {
        struct timespec before, after;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        *(volatile uint8_t *)place |= 0;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        return (uint64_t)(after.tv_sec - before.tv_sec) * 1000000000u + after.tv_nsec - before.tv_nsec;
    }

    /* Whether this thread is the first that asks for it. */
    static inline int strata_take(int *taken) {
        return !__atomic_exchange_n(taken, 1, __ATOMIC_ACQ_REL);
    }

    /* Which file a descriptor is of: device and number. */
    static inline void strata_identify(int descriptor, uint64_t *identity) {
        struct stat now;
        if (fstat(descriptor, &now) == 0)
            identity[0] = now.st_dev, identity[1] = now.st_ino;
    }

    /* Close a descriptor, unless somebody has closed all files, and has another one by this number. */
    static inline void strata_close_own(int descriptor, const uint64_t *identity) {
        struct stat now;
        if (fstat(descriptor, &now) == 0 && now.st_dev == identity[0] && now.st_ino == identity[1])
            close(descriptor);
    }
    """
    uint64_t touch_ns "strata_touch"(uint8_t* place)
    bint take "strata_take"(int* taken)
    void identify "strata_identify"(int descriptor, uint64_t* identity)
    void close_own "strata_close_own"(int descriptor, const uint64_t* identity)
    bint wait_soon "strata_wait_soon"(sem_t* semaphore, long ms)
    int start_reading "strata_start_reading"(unsigned long* thread, void* (*run)(void*) noexcept nogil, void* argument)
    bint join_soon "strata_join_soon"(unsigned long thread, long ms)
    int pthread_join(unsigned long thread, void** result)
    int sem_init(sem_t* semaphore, int shared, unsigned int value)
    int sem_post(sem_t* semaphore)
    int sem_wait(sem_t* semaphore)
    int sem_trywait(sem_t* semaphore)
    int sem_destroy(sem_t* semaphore)

cdef uintptr_t have_huge_pages(uintptr_t start, uintptr_t end) noexcept

cdef class Reading:
    cdef str path
    cdef bytes data
    cdef readonly object before  # what the kernel said of the file
    cdef public object kept    # who had parts read
    cdef readonly object began_ns
    cdef ReadJob job
    cdef ReadPart[MOST_PARTS] parts
    cdef list contents         # of the parts
    cdef unsigned long thread
    cdef bint runs
    cdef int process           # whose thread it is
    cdef bint is_complete      # there are no more parts
    cdef bint has_ended        # all was read
    cdef bint leaves           # what can wait is not kept
    cdef list lasting          # what the job points to
    cdef readonly bytes total  # the sum of the file, once it was given out of which not all is kept
    cdef ReadJob* rest(self) noexcept
    cdef object added(self)
    cdef bint is_running(self)
    cdef int make_pages(self) except -1
    cdef int wait(self) except -1
    cdef int end(self) except -1

cdef class Reader:
    cdef readonly bytes data
    cdef readonly object limits
    cdef readonly frozenset features
    cdef bytes_t start
    cdef bytes_t at
    cdef bytes_t end
    cdef uint32_t turn         # items read, to look at the budget now and then

    cdef Py_ssize_t offset(self) noexcept
    cdef Py_ssize_t left(self) noexcept
    cdef int fail(self, str message, str expected=*, str found=*, Py_ssize_t at=*) except? -1
    cdef int need(self, str feature, str what, Py_ssize_t at=*) except? -1
    cdef int byte(self) except? -1
    cdef int peek(self) noexcept
    cdef int fail_integer(self, int error, int bits, str what) except? -1
    cdef uint32_t u32(self) except? 0xFFFFFFFF
    cdef uint64_t u64(self) except? 0xFFFFFFFF
    cdef int64_t s33(self) except? -1
    cdef uint32_t count(self, uint32_t item_bytes, object limit, str what) except? 0xFFFFFFFF
    cdef bytes take(self, Py_ssize_t size)
    cdef int skip(self, Py_ssize_t size) except? -1
    cdef str text(self)
    cdef str name(self)

cdef inline int pause(Reader r) except -1:
    """In a loop over items: look at the budget once in a few thousand."""
    r.turn += 1
    return breathe(r.turn)
