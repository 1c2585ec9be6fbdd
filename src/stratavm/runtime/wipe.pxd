# Wiping slots in place.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "<sys/ioctl.h>" nogil:
    int ioctl(int descriptor, unsigned long request, ...)

# linux/fs.h, since Linux 6.7; written out, as the headers of the machine that builds may be older.
cdef enum:
    MOST_REGIONS = 512               # runs of written pages that are asked for: 12 KiB of stack

cdef struct PageRegion:              # struct page_region
    uint64_t start
    uint64_t end
    uint64_t categories

cdef struct ScanArguments:           # struct pm_scan_arg
    uint64_t size
    uint64_t flags
    uint64_t start
    uint64_t end
    uint64_t walk_end
    uint64_t vec
    uint64_t vec_len
    uint64_t max_pages
    uint64_t category_inverted
    uint64_t category_mask
    uint64_t category_anyof_mask
    uint64_t return_mask

cdef struct Run:                     # a part of a memory that shows a file
    uint64_t start                   # in the memory, whole pages as the size
    uint64_t size
    uint64_t behind                  # in the content

@cython.final
cdef class Original:
    cdef const char* content
    cdef uint64_t size
    cdef Run* runs
    cdef uint32_t n_runs

cdef bint wipe(char* base, uint64_t size, Original original, uint64_t most_pages) noexcept
cdef list runs_written(char* base, uint64_t size, uint64_t most_pages)
cdef list runs_unlike(char* base, uint64_t size, Original original)
