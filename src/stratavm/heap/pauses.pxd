# How long guests stand still, and for what.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.heap.state cimport HeapState, Note

cdef bint stand(HeapState* state, uint32_t part, bint exact) noexcept nogil
cdef void ask_clock(HeapState* state) noexcept nogil
cdef void turn(HeapState* state, uint32_t part) noexcept nogil
cdef uint64_t go(HeapState* state) noexcept nogil
cdef uint64_t spent_ns(HeapState* state) noexcept nogil
cdef void tell_of(HeapState* state, uint32_t kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d) noexcept nogil
cdef uint64_t* new_note(HeapState* state, uint64_t kind) noexcept nogil
cdef bint out_of_time(HeapState* state, uint64_t budget_ns) noexcept nogil
