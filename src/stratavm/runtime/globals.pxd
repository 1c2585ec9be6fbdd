# Global variables.
from libc.stdint cimport uint64_t
from stratavm.runtime.store cimport Store

cdef class Global:
    cdef uint64_t own[2]
    cdef uint64_t* cell              # own, or inside the VMContext of `owner`
    cdef readonly Store store
    cdef readonly object type        # GlobalType
    cdef object owner                # the instance whose VMContext holds the cell
    cdef readonly bint holds_handles
    cdef readonly bint holds_functions
    cdef int width
    cdef object __weakref__

cdef Global held_on_its_way(Store store, object type, object value)
cdef Global global_at(Store store, object type, object owner, uint64_t* cell)
