# Where there is room for objects.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.heap.state cimport HeapState

cdef enum:
    AHEAD = 3                        # blocks that are handed out ahead, at most
    MOST_MET = 1 << 15               # old objects that a look at new ones has met, of which there is a list

cdef bint reserve_space(HeapState* state, uint64_t limit) noexcept nogil
cdef void give_space(HeapState* state) noexcept nogil
cdef char* room_for(HeapState* state, uint64_t size, bint soon) noexcept nogil
cdef char* large_room(HeapState* state, uint64_t size) noexcept nogil
cdef uint64_t room_left(HeapState* state) noexcept nogil
cdef void close_windows(HeapState* state) noexcept nogil
cdef void learn(HeapState* state, uint32_t block) noexcept nogil
cdef void forget_holes(HeapState* state) noexcept nogil
cdef void free_unmarked(HeapState* state) noexcept nogil
cdef uint64_t free_new(HeapState* state, uint64_t survived) noexcept nogil
cdef void spoil_fresh(HeapState* state) noexcept nogil
cdef void clean(HeapState* state, uint32_t blocks) noexcept nogil
cdef void give_back(HeapState* state, uint32_t blocks) noexcept nogil
cdef bint is_thin(HeapState* state) noexcept nogil
