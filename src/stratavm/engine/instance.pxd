# Instances as Python sees them.
from stratavm.engine.exports cimport Exports
from stratavm.engine.store cimport Store
from stratavm.runtime.instance cimport Instance as NativeInstance

cdef class Instance:
    cdef readonly Store store
    cdef readonly object module
    cdef readonly NativeInstance native
    cdef Exports made                 # the exports, once asked for
    cdef bint initialized
    cdef object __weakref__
    cdef int begin(self, Store store, object module, NativeInstance native) except -1
