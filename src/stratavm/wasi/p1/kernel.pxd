# The kernel's calls that short ways make, and unaligned words of a guest's memory.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <limits.h>
    #include <sched.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/random.h>
    #include <sys/stat.h>
    #include <sys/uio.h>
    #include <time.h>
    #include <unistd.h>

    /* Read once, whatever the compiler would like: another thread of the guest may write there, and what was checked is
       what is used. */
    struct strata_u32 { uint32_t x; } __attribute__((packed, may_alias));
    struct strata_u64 { uint64_t x; } __attribute__((packed, may_alias));
    static inline uint32_t strata_get_32(const char *p) { return ((const volatile struct strata_u32 *)p)->x; }
    static inline uint64_t strata_get_64(const char *p) { return ((const volatile struct strata_u64 *)p)->x; }
    static inline void strata_put_32(char *p, uint32_t x) { memcpy(p, &x, sizeof x); }
    static inline void strata_put_64(char *p, uint64_t x) { memcpy(p, &x, sizeof x); }

    static inline void strata_put_buffer(struct iovec *v, void *base, size_t length) {
        v->iov_base = base;
        v->iov_len = length;
    }

    /* Nanoseconds on a clock of the host, by the vDSO where that has it. */
    static inline uint64_t strata_read_clock(clockid_t clock) {
        struct timespec t;
        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    /* Sleep until a moment of CLOCK_MONOTONIC: 0, or EINTR. */
    static inline int strata_sleep_until(uint64_t ns) {
        struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
        return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    }

    #ifndef RWF_NOWAIT
    #define RWF_NOWAIT 0x00000008
    #endif
    /* Read or write a file as far as no disk is waited for: bytes moved, or -1. What is read in part only is as if it
       was not: behind it may be the end of the file, or what the disk has to be asked for. */
    static inline Py_ssize_t strata_act_now(int fd, struct iovec *v, int n, int64_t offset, int writes, uint64_t size) {
        ssize_t moved;
        if (writes)
            return pwritev2(fd, v, n, offset, RWF_NOWAIT);
        moved = preadv2(fd, v, n, offset, RWF_NOWAIT);
        if (moved > 0 && (uint64_t)moved < size) {
            if (offset == -1)
                lseek(fd, -moved, SEEK_CUR);
            return -1;
        }
        return moved;
    }
    """
    uint32_t get_32 "strata_get_32"(const char*)
    uint64_t get_64 "strata_get_64"(const char*)
    void put_32 "strata_put_32"(char*, uint32_t)
    void put_64 "strata_put_64"(char*, uint64_t)
    void* memset(void*, int, size_t)

    int CLOCK_REALTIME
    int CLOCK_MONOTONIC
    int CLOCK_PROCESS_CPUTIME_ID
    uint64_t read_clock "strata_read_clock"(int)
    int sleep_until "strata_sleep_until"(uint64_t)
    int EINTR

    unsigned int GRND_NONBLOCK
    Py_ssize_t getrandom(void*, size_t, unsigned int)

    ctypedef struct iovec "struct iovec":
        pass
    void put_buffer "strata_put_buffer"(iovec*, void*, size_t)
    Py_ssize_t readv(int, iovec*, int)
    Py_ssize_t writev(int, iovec*, int)
    Py_ssize_t preadv(int, iovec*, int, int64_t)
    Py_ssize_t pwritev(int, iovec*, int, int64_t)
    Py_ssize_t act_now "strata_act_now"(int, iovec*, int, int64_t, bint, uint64_t)
    int64_t lseek(int, int64_t, int)
    int SEEK_SET
    int SEEK_CUR
    int SEEK_END

    ctypedef struct timespec "struct timespec":
        int64_t tv_sec
        int64_t tv_nsec
    ctypedef struct stat_t "struct stat":
        uint64_t st_dev
        uint64_t st_ino
        uint32_t st_mode
        uint64_t st_nlink
        uint64_t st_size
        timespec st_atim
        timespec st_mtim
        timespec st_ctim
    int fstat(int, stat_t*)
    int sched_yield()

cdef enum:
    MOST_BUFFERS = 16

cdef struct Buffers:
    iovec[MOST_BUFFERS] items
    int count                         # of those that are not empty
    uint64_t size
