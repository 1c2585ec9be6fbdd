# Instantiation.
from stratavm.runtime.blueprint cimport Blueprint
from stratavm.runtime.instance cimport Instance
from stratavm.runtime.store cimport Store

cdef Instance build(
    Instance instance, Store store, Blueprint blueprint, object imports, object images, object created
)
cdef Instance assemble(
    Instance instance, Store store, Blueprint blueprint, object imports, object images, object created
)
cdef Instance resume(
    Instance instance, Store store, Blueprint blueprint, object imports, object beginning, object created
)

cdef class Beginning:                    # what instances hold from the beginning, instead of what their module says
    cdef readonly Blueprint blueprint
    cdef int restore(self, Instance instance, Store store, object imports) except -1

# The parts of it, for other ways to begin.
cdef int take_imports(Instance instance, Blueprint blueprint, object imports) except -1
cdef int attach(Instance instance, Blueprint blueprint) except -1
cdef int take_back(Instance instance, Store store) except -1
