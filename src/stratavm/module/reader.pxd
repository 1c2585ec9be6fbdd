from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t

from stratavm.base.budget cimport breathe
from stratavm.base.files cimport Stamp
from stratavm.base.leb cimport bytes_t
from stratavm.base.poly1305 cimport PolyStream

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

    /* Four words at once. Each step is a bijection of the lane for any word and of the word for any lane: no change
       of one word is lost. */
    static inline void strata_sum(uint64_t *lanes, const uint8_t *at, size_t blocks) {
        uint64_t words[4], a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
        const uint64_t odd = 0x9E3779B97F4A7C15u;
        for (; blocks; blocks--, at += 32) {
            memcpy(words, at, 32);
            a ^= words[0], b ^= words[1], c ^= words[2], d ^= words[3];
            a = (a << 31 | a >> 33) * odd, b = (b << 31 | b >> 33) * odd;
            c = (c << 31 | c >> 33) * odd, d = (d << 31 | d >> 33) * odd;
        }
        lanes[0] = a, lanes[1] = b, lanes[2] = c, lanes[3] = d;
    }

    /* The lanes and a size as one word, a bijection of each. */
    static inline uint64_t strata_fold(const uint64_t *lanes, uint64_t size) {
        uint64_t word = size;
        int i;
        for (i = 0; i < 5; i++) {
            word ^= word >> 32;
            word *= 0xD6E8FEB86659FD93u;
            word ^= word >> 29;
            word *= 0x9E3779B97F4A7C15u;
            word ^= word >> 32;
            if (i < 4) word ^= lanes[i];
        }
        return word;
    }

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

    /* Whether something is there that another thread may have put there, and that it is. */
    static inline int strata_is_there(const uint8_t *there) {
        return __atomic_load_n(there, __ATOMIC_ACQUIRE);
    }
    static inline void strata_put_there(uint8_t *there) {
        __atomic_store_n(there, 1, __ATOMIC_RELEASE);
    }

    /* Copy what was read to its place, unless something is there: what somebody may have looked at never changes. Who
       copies holds a lock, the number of the process: in a child that was forked meanwhile nobody is left who would
       give it back, and it is taken. */
    static inline void strata_put_once(uint8_t *there, int *holder, uint8_t *to, const uint8_t *from, size_t size) {
        int me = getpid(), found = 0;
        while (!__atomic_compare_exchange_n(holder, &found, me, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            if (found == me) {  /* another thread; any other number is the parent's, which is taken next */
                sched_yield();
                found = 0;
            }
        if (!strata_is_there(there)) {
            memcpy(to, from, size);
            strata_put_there(there);
        }
        __atomic_store_n(holder, 0, __ATOMIC_RELEASE);
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
    bint is_there "strata_is_there"(const uint8_t* there)
    void put_there "strata_put_there"(uint8_t* there)
    void put_once "strata_put_once"(uint8_t* there, int* holder, uint8_t* to, const uint8_t* read, size_t size)
    void identify "strata_identify"(int descriptor, uint64_t* identity)
    void close_own "strata_close_own"(int descriptor, const uint64_t* identity)
    bint wait_soon "strata_wait_soon"(sem_t* semaphore, long ms)
    void sum_blocks "strata_sum"(uint64_t* lanes, const uint8_t* at, size_t blocks)
    uint64_t fold "strata_fold"(const uint64_t* lanes, uint64_t size)
    int start_reading "strata_start_reading"(unsigned long* thread, void* (*run)(void*) noexcept nogil, void* argument)
    bint join_soon "strata_join_soon"(unsigned long thread, long ms)
    int pthread_join(unsigned long thread, void** result)
    ctypedef struct sem_t:
        pass
    int sem_init(sem_t* semaphore, int shared, unsigned int value)
    int sem_post(sem_t* semaphore)
    int sem_wait(sem_t* semaphore)
    int sem_trywait(sem_t* semaphore)
    int sem_destroy(sem_t* semaphore)

cdef void use_huge_pages(uintptr_t start, size_t size) noexcept
cdef void have_huge_pages(uintptr_t start, uintptr_t end) noexcept

cdef enum:
    MOST_PARTS = 8
    TAG_BYTES = 16

cdef struct ReadPart:          # of another file, which the same thread reads next, or a folder that it looks at
    int descriptor
    uint64_t[2] identity
    int64_t place
    size_t size
    uint8_t* to                # where its bytes go; NULL: they are summed up, and not kept
    PolyStream stream
    uint8_t[TAG_BYTES] tag
    uint8_t* scratch
    uint64_t[4] lanes
    const char* folder         # NULL: it is part of a file
    const char* a              # the two endings of files that count
    const char* b
    const char* skipped        # folders of this name are left out
    Stamp stamp
    bint whole
    int taken                  # by the thread, or by who waits for it

cdef struct ReadJob:           # what a thread without Python does
    int descriptor
    uint64_t[2] identity       # which file that is
    uint8_t* to
    size_t size
    size_t done                # bytes that were read
    size_t summed              # of them, in whole blocks
    uint64_t[4] lanes
    ReadPart* parts
    size_t n_parts
    sem_t more                 # once for each part that is there, and once when there are no more
    const char* path           # where the file is found again
    uint8_t* there             # whether each chunk is kept; NULL: all are
    uint64_t* behind           # the lanes behind each chunk
    int copying                # the process of which a thread copies a chunk to its place; 0: none does
    sem_t ended                # when all is read, where not all of the file is kept
    sem_t stop                 # when the rest of it is not wanted any more
    long later_ms              # until that is read as well; 0: only when it is wanted

# Whether so many bytes of a binary are there, which are read now where they were not kept. Another file than the one
# that was read is not believed.
cdef bint read_rest(ReadJob* job, size_t first, size_t last) noexcept nogil

cdef inline bint has_read(ReadJob* job, size_t first, size_t last) noexcept nogil:
    """Of a NULL job all is there."""
    return job == NULL or job.there == NULL or read_rest(job, first, last)

cdef class Reading:
    cdef str path
    cdef bytes data
    cdef readonly object before  # what the kernel said of the file
    cdef public object kept    # who had parts read
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
