# Linear memories as Python sees them.
cimport cython
from libc.stdint cimport uint64_t
from stratavm.base.events.core cimport Channel
from stratavm.runtime.memory cimport Memory as NativeMemory
from stratavm.runtime.store cimport Store

@cython.final
cdef class Memory:
    cdef Store inner                  # the runtime's store
    cdef NativeMemory m
    cdef Channel written              # of the event that a copy into it is
    cdef object whole                 # a memoryview of all of it, made again when the size has changed
    cdef uint64_t whole_bytes
    cdef readonly object store
    cdef object __weakref__
    cdef object all_of_it(self)
    cdef Py_ssize_t place(self, object address, Py_ssize_t count) except -1
