# Exports of an instance.
cimport cython
from stratavm.runtime.instance cimport Instance

@cython.final
cdef class Exports:
    cdef Instance instance            # None once its store is closed
    cdef dict index                   # kind and index of each export by name
    cdef dict made                    # Python objects by name
    cdef object find(self, object name)
    cdef object make(self, object name, object made)
    cdef int let_go(self) except -1
