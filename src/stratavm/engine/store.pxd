# The store of an engine.
from stratavm.runtime.store cimport Store as RuntimeStore

cdef class Store(RuntimeStore):
    cdef int open(self, object engine, object limits, object fuel, bint thread_bound, str on_abort) except -1
