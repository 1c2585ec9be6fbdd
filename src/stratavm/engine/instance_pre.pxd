# Modules whose imports are resolved.
cimport cython
from stratavm.base.events.core cimport Channel
from stratavm.engine.instance cimport Instance
from stratavm.engine.store cimport Store
from stratavm.runtime.blueprint cimport Blueprint
from stratavm.runtime.instance cimport Instance as RuntimeInstance
from stratavm.runtime.link cimport Beginning
from stratavm.runtime.store cimport Store as RuntimeStore

ctypedef RuntimeInstance (*make_t)(RuntimeInstance, RuntimeStore, Blueprint, object, object, object)

@cython.final
cdef class InstancePre:
    cdef readonly object module
    cdef object engine
    cdef tuple binders                # Binders, one for each import
    cdef Blueprint blueprint
    cdef object images                # what memories begin with; None: the module knows
    cdef Beginning state               # what instances begin with instead, or None
    cdef object first                 # called with each instance before anybody else has it, or None
    cdef tuple worlds                 # of instances that begin with a snapshot: those of its imports, see ``worlds_among``
    cdef Channel created              # of the event that an instance was made
    cdef Instance begin(self, Store store)
    cdef Instance begin_with(self, Store store, make_t make)
    cdef Instance link_with(self, Store store, make_t make)
    cdef Instance unborn(self)
    cdef int run_first(self, Instance instance) except -1
    cdef object begins(self)
    cdef int go_on(self, Store store) except -1
