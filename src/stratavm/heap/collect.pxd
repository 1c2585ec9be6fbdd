# How garbage is found.
from libc.stdint cimport uint64_t
from stratavm.heap.state cimport HeapState

cdef void collect_garbage(HeapState* state, bint full) noexcept nogil
cdef void collect_new(HeapState* state) noexcept nogil
cdef void keep_new(HeapState* state) noexcept nogil
cdef void space_slices(HeapState* state) noexcept nogil
cdef void begin_cycle(HeapState* state) noexcept nogil
cdef void go_on(HeapState* state, uint64_t budget_ns) noexcept nogil
cdef void finish(HeapState* state) noexcept nogil
cdef bint is_clean_within(HeapState* state, uint64_t budget_ns) noexcept nogil
cdef bint work_for(HeapState* state, uint64_t budget_ns) noexcept nogil
