# The store of an engine.
from stratavm.runtime.store cimport Store as RuntimeStore

cdef class Store(RuntimeStore):
    cdef readonly object engine
