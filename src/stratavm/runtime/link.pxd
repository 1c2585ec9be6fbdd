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
