# The store as Python sees it.
from stratavm.base.events.core cimport Bus, Source
from stratavm.runtime.store cimport Store as NativeStore

cdef class Store:
    cdef readonly object engine
    cdef readonly NativeStore native
    cdef readonly Bus bus
    cdef readonly Source source
    cdef object __weakref__
