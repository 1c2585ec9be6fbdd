# Instances of modules as their users see them.
from stratavm.engine.exports cimport Exports
from stratavm.runtime.instance cimport Instance as RuntimeInstance

cdef class Instance(RuntimeInstance):
    cdef readonly object module
    cdef Exports made                 # the exports, once asked for
    cdef bint initialized
