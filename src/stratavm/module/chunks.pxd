from libc.stdint cimport int64_t, uint8_t, uint64_t

from stratavm.base.files cimport Stamp
from stratavm.base.poly1305 cimport PolyStream

cdef extern from * nogil:
    """
    #include <sched.h>
    #include <semaphore.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/syscall.h>
    #include <sys/vfs.h>
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

    /* Whether every change of a file from now on shows in its times: on these file systems a page that is clean is made
       dirty by a fault, which sets them; while it is dirty a mapping changes it without a trace. Who may not ask (the
       kernel tells it owners alone) or cannot (before Linux 6.5) is told no. */
    static inline int strata_is_settled(int file) {
        struct { uint64_t first, size; } all = {0, 0};
        struct { uint64_t present, dirty, under_way, gone, gone_lately; } pages;
        struct statfs system;
        if (fstatfs(file, &system)) return 0;
        switch ((unsigned long)system.f_type & 0xFFFFFFFF) {
        case 0xEF53: case 0x58465342: case 0x9123683E: case 0xF2F52010: break;  /* ext4, XFS, Btrfs, F2FS */
        default: return 0;
        }
        return !syscall(451, file, &all, &pages, 0) && !pages.dirty && !pages.under_way;  /* cachestat */
    }
    """
    bint is_there "strata_is_there"(const uint8_t* there)
    void put_there "strata_put_there"(uint8_t* there)
    void put_once "strata_put_once"(uint8_t* there, int* holder, uint8_t* to, const uint8_t* read, size_t size)
    void sum_blocks "strata_sum"(uint64_t* lanes, const uint8_t* at, size_t blocks)
    uint64_t fold "strata_fold"(const uint64_t* lanes, uint64_t size)
    bint is_settled "strata_is_settled"(int file)
    ctypedef struct sem_t:
        pass

cdef enum:
    MOST_PARTS = 8
    TAG_BYTES = 16
    BLOCK = 32                 # bytes that are summed up at once
    CHUNK = 1 << 16            # of a file that is not kept: read again by so many bytes
    SUM_BYTES = 1 << 18        # that are read between two sums: they are still near the processor
    MOST_WAITING = 8           # sections whose contents can wait, those larger than a chunk

cdef struct Waiting:           # where they lie
    size_t n
    size_t[MOST_WAITING] first
    size_t[MOST_WAITING] last

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
    bint is_known              # an earlier start has left these lanes, and the sum of the file
    uint64_t known             # that sum
    bint is_settled            # a change since it was summed up shows in its times
    bint has_changed           # a chunk was another when it was read again

cdef uint64_t word_of(ReadJob* job) noexcept nogil
cdef bint sum_part(int descriptor, int64_t offset, size_t size, uint8_t* scratch, uint64_t* lanes) noexcept nogil
cdef bint read_known(ReadJob* job) noexcept nogil
cdef bint read_lean(ReadJob* job) noexcept nogil
cdef void put_chunk(ReadJob* job, size_t number, uint8_t* chunk) noexcept nogil

# Whether so many bytes of a binary are there, which are read now where they were not kept. Another file than the one
# that was read is not believed.
cdef bint read_rest(ReadJob* job, size_t first, size_t last) noexcept nogil

cdef inline bint has_read(ReadJob* job, size_t first, size_t last) noexcept nogil:
    """Of a NULL job all is there."""
    return job == NULL or job.there == NULL or read_rest(job, first, last)
