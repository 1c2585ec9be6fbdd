# What lives in a store, and how much may: instances, functions, handles, bytes, fuel.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.handles cimport FuncIndex, Handles, Marks
from stratavm.runtime.occupancy cimport Occupied
from stratavm.runtime.template cimport StoreTemplate

ctypedef int (*let_go_t)(object) except -1
cdef uint64_t HANDLE_BYTES
cdef void instances_go_by(let_go_t function) noexcept  # what is called for each instance of a store that closes

cdef class Residence(Occupied):
    cdef int begin_residence(self, StoreTemplate template) except -1
    cdef int let_all_go(self) except -1
    cdef int keep(self, object host) except -1
    cdef object owner_of(self, object address)
    cdef FuncIndex whole_index(self)
    cdef object find_function(self, object address)
    cdef Handles all_handles(self)
    cdef object number_of(self, object thing, bint exception)
    cdef object thing_of(self, uint64_t raw)
    cdef list show(self, list raws, bytes widths)
    cpdef object collect_handles(self)
    cdef int forget_thrown(self) except -1
    cdef object all_objects(self)
    cdef object new_heap(self, object descriptors, object gc)
    cdef uint64_t new_object(self, uint32_t type_id, object layout, uint64_t length, bint step, str what) except 0
    cdef uint64_t spare_bytes(self) noexcept
    cdef int count_heap(self, object objects) except -1
    cdef bint gather_roots(self, bint step) except -1
    cdef int know_roots(self) except -1
    cdef bint mark_of_objects(self, bint step, Marks marks) except -1
    cdef int count_instance(self) except -1
    cdef int count_memory(self) except -1
    cdef int count_table(self) except -1
