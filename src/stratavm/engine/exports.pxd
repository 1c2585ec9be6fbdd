# Exports of an instance.
cimport cython
from stratavm.engine.store cimport Store
from stratavm.runtime.instance cimport Instance as NativeInstance

@cython.final
cdef class Exports:
    cdef Store store
    cdef NativeInstance native
    cdef dict index                   # kind and index of each export by name
    cdef dict made                    # Python objects by name
    cdef object find(self, object name)
