# How garbage is found.
from stratavm.heap.state cimport HeapState

cdef void collect_garbage(HeapState* state, bint full) noexcept nogil
cdef void begin_cycle(HeapState* state) noexcept nogil
cdef void go_on(HeapState* state, bint to_the_end) noexcept nogil
