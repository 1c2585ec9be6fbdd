# Which pages the parts of a heap lie on.
from libc.stdint cimport uint64_t
from stratavm.heap.state cimport HeapState

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
