# Slots for linear memories.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.base.events.core cimport Source
from stratavm.runtime.region cimport Region

cdef struct SlotState:              # what outlives a tenant
    uint64_t committed
    uint64_t image
    void* original                  # owned: the Original of the image, or NULL

cdef class SlotAllocator:
    cdef char* base
    cdef readonly uint64_t slot_bytes
    cdef readonly uint64_t memory_bytes  # the most that a memory may have
    cdef SlotState* states
    cdef readonly uint64_t keep_pages
    cdef uint32_t* free                  # numbers of free slots, the last returned on top
    cdef readonly uint32_t count
    cdef readonly uint32_t n_free
    cdef readonly uint32_t retired
    cdef readonly bint maps_more         # exhausted: map on demand
    cdef readonly bint guard
    cdef readonly Source source
    cdef uint32_t kind_taken
    cdef uint32_t kind_returned
    cdef uint32_t kind_retired
    cdef uint32_t kind_exhausted
    cpdef Region allocate(self, uint64_t reserve, uint64_t size, bint guard, uint64_t image=*)
    cdef uint32_t pick(self, uint64_t image) noexcept nogil
    cdef void remember(self, uint32_t number, Region region) noexcept
    cdef void give_back(self, uint32_t number, Region region) noexcept
    cdef void note(self, uint32_t kind, uint64_t a, uint64_t b) noexcept

cdef class Slot(Region):
    cdef SlotAllocator owner
    cdef readonly uint32_t number
    cdef int prepare(self, uint64_t size, uint64_t image) except -1
