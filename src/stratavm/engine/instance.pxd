# Instances of modules as their users see them.
from stratavm.runtime.instance cimport Instance as RuntimeInstance

cdef class Instance(RuntimeInstance):
    cdef tuple binders                # Binders, one for each import; None: it was made without
