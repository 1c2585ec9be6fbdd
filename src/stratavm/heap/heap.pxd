# The heap of a store.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.heap.state cimport HeapState, HeapWindow, visit_t
from stratavm.heap.types cimport Descriptors

@cython.final
cdef class Heap:
    cdef HeapState* state
    cdef readonly Descriptors descriptors
    cdef bint anew                   # a full collection is wanted behind the one under way
    cdef void leave(self) noexcept
    cdef void end(self) noexcept
    cdef void bind(self, HeapWindow* window, visit_t visit, void* owner) noexcept

cdef bint allocation_is_due(HeapState* state, uint64_t size) noexcept nogil
cdef void write_noted(HeapState* state, uint64_t thing, uint64_t slot) noexcept nogil
cdef void range_noted(HeapState* state, uint64_t thing, uint64_t slot, uint64_t count) noexcept nogil
cdef void* heap_new(HeapState* state, uint32_t type_id, uint32_t length, uint64_t size) noexcept nogil
