# Tables.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime._gen_layout cimport TableDef
from stratavm.runtime.store cimport Store


cdef class Table:
    cdef TableDef d
    cdef readonly Store store
    cdef object declared
    cdef readonly uint32_t number    # among the tables of its store
    cdef uint64_t reserved           # bytes of address space, 0 = on the heap
    cdef uint64_t committed
    cdef bint counted                # among the living tables of its store
    cdef readonly bint holds_handles
    cdef readonly bint holds_functions
    cdef object __weakref__
    cdef int resize(self, uint64_t length, uint64_t raw) except -1
