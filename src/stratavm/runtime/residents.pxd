# What lives in a store, and how much may: instances, functions, handles, bytes, fuel.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.funcindex cimport FuncIndex
from stratavm.runtime.handles cimport Handles
from stratavm.runtime.occupancy cimport Occupied
from stratavm.runtime.quota cimport Quota
from stratavm.runtime.template cimport StoreTemplate

cdef class Resident:
    cdef int let_go(self) except -1

cdef class Residence(Occupied):
    cdef readonly StoreTemplate template
    cdef readonly list instances      # strong: a funcref is a raw address into one of them
    cdef list hosts                   # host functions, or None; strong, for the same reason
    cdef FuncIndex index              # of both, or None
    cdef Py_ssize_t n_indexed         # so many instances, and host functions, are in it
    cdef Py_ssize_t hosts_indexed
    cdef dict functions               # FuncRec address -> FuncRef, or None
    cdef Handles handles              # or None
    cdef uint32_t pinned              # > 0: the boundary holds handles that no guest holds yet
    cdef object fuel_given            # units that the host has given so far; a Python int, which cannot overflow
    cdef readonly uint32_t n_memories # living ones: what the limits count
    cdef readonly uint32_t n_tables
    cdef uint32_t made_memories       # ever made: what they are numbered by
    cdef uint32_t made_tables
    cdef readonly Quota quota         # of bytes, that all memories, tables, handles … of the store share; None before it begins

    cdef int begin_residence(self, StoreTemplate template) except -1
    cdef int let_all_go(self) except -1
    cdef int keep(self, object host) except -1
    cdef object owner_of(self, object address)
    cdef FuncIndex whole_index(self)
    cdef object find_function(self, object address)
    cdef Handles all_handles(self)
    cpdef object collect_handles(self)
    cdef int count_instance(self) except -1
    cdef int count_memory(self) except -1
    cdef int count_table(self) except -1
