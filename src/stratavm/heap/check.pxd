# What STRATA_CHECK=2 asks after every collection.
from stratavm.heap.state cimport HeapState

cdef void check_references(HeapState* state) noexcept nogil
