# Which objects can be reached.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.heap.state cimport HeapState

cdef void mark_range(HeapState* state, const uint64_t* words, uint64_t count) noexcept nogil
cdef void scan_words(HeapState* state, const uint64_t* low, const uint64_t* high) noexcept nogil
cdef bint mark_logged(HeapState* state, uint64_t budget_ns) noexcept nogil
cdef void forget_logged(HeapState* state) noexcept nogil
cdef void note_write(HeapState* state, uint64_t thing, uint64_t slot) noexcept nogil
cdef void note_range(HeapState* state, uint64_t thing, uint64_t slot, uint64_t count) noexcept nogil
cdef void hand_over(HeapState* state) noexcept nogil
cdef uint64_t mark_fresh(HeapState* state) noexcept nogil
cdef void note_rewritten(HeapState* state, uint64_t thing) noexcept nogil
cdef void look_at_rewritten(HeapState* state) noexcept nogil
cdef void note_admitted(HeapState* state, uint64_t word) noexcept nogil
cdef void note_handle(HeapState* state, uint64_t handle) noexcept nogil
cdef bint drain(HeapState* state, uint64_t most, uint64_t budget_ns) noexcept nogil
cdef void drain_beside(HeapState* state, uint32_t* called, uint64_t* sliced) noexcept nogil
cdef void put_back(HeapState* state, uint32_t granule) noexcept nogil
cdef void put_part_back(HeapState* state, uint32_t granule, uint32_t index) noexcept nogil
cdef void take_waiting(HeapState* state) noexcept nogil
cdef void look_at_later(HeapState* state) noexcept nogil
cdef bint is_object(HeapState* state, uint64_t word) noexcept nogil
cdef bint is_new(HeapState* state, uint64_t address) noexcept nogil
