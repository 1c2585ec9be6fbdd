# Instances of modules as their users see them.
from stratavm.runtime.instance cimport Instance as RuntimeInstance

cdef class Instance(RuntimeInstance):
    pass
