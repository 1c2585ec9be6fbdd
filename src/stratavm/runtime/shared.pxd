# Linear memories that several stores, and their threads, use at once.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.atomics cimport Change
from stratavm.runtime.memory cimport Copying, Memory, MemorySpec
from stratavm.runtime.quota cimport Quota
from stratavm.runtime.region cimport Region
from stratavm.runtime.store cimport Store
from stratavm.runtime.template cimport StoreTemplate
from stratavm.runtime.waits cimport SharedDef

@cython.final
cdef class SharedMemory(Copying):
    cdef SharedDef own               # its size is published with one store, behind the pages
    cdef readonly MemorySpec spec
    cdef readonly Region region      # its address space, as long as anybody has the memory
    cdef StoreTemplate template      # of the store that made it, or of the engine: whose limits hold
    cdef Quota quota                 # what it takes is charged here, or None: nobody but the process pays
    cdef Quota memory_quota
    cdef object __weakref__
    cdef int begin(self, StoreTemplate template, MemorySpec spec, Store maker, uint32_t waiters) except -1
    cdef int reserve(self, uint64_t size) except -1
    cdef int commit(self, uint64_t size) except -1
    cdef void take_less(self, uint64_t count) noexcept
    cpdef Memory view_in(self, Store store)
    cdef Py_ssize_t place(self, object address, Py_ssize_t count) except -1
    cdef void* atom(self, object address, uint32_t width) except NULL
    cdef object change(self, Change change, object address, object value, object expected, object width)
