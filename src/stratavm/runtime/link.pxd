# Instantiation.
from stratavm.runtime.blueprint cimport Blueprint
from stratavm.runtime.instance cimport Instance
from stratavm.runtime.store cimport Store

cdef Instance build(Store store, Blueprint blueprint, object imports, object images, object created)
