# How long guests stand still, and for what.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.heap.state cimport HeapState

cdef uint64_t thread_ns() noexcept nogil
cdef uint64_t wall_ns() noexcept nogil
cdef bint stand(HeapState* state, uint32_t part, bint exact) noexcept nogil
cdef void ask_clock(HeapState* state) noexcept nogil
cdef void turn(HeapState* state, uint32_t part) noexcept nogil
cdef uint64_t go(HeapState* state) noexcept nogil
cdef uint64_t spent_ns(HeapState* state) noexcept nogil
cdef void tell_decision(HeapState* state, uint32_t kind, uint64_t* values) noexcept nogil  # VALUES of them
cdef bint out_of_time(HeapState* state, uint64_t budget_ns) noexcept nogil
