# Linear memories.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport MemDef
from stratavm.runtime.region cimport Region
from stratavm.runtime.store cimport Store

@cython.final
cdef class MemorySpec:
    cdef object declared             # MemoryType as declared
    cdef uint32_t shift              # log2 of the page size
    cdef uint32_t plan
    cdef uint64_t flags
    cdef uint64_t minimum            # pages
    cdef uint64_t maximum            # pages that it declares, or that its addresses reach
    cdef bint bounded                # it declares a maximum

cdef uint64_t SHARED
cdef uint64_t GUARD_BYTES

@cython.final
cdef class Views:
    cdef Region region
    cdef Py_ssize_t count            # living buffers

cdef class Copying:
    cdef char* rest(self, object address, Py_ssize_t* size) except NULL

cdef class Memory(Copying):
    cdef MemDef own
    cdef MemDef* d                   # its own, or that of the memory that it shares with other stores
    cdef readonly object shared      # that SharedMemory, or None
    cdef readonly Store store
    cdef MemorySpec spec
    cdef Views views                 # whose buffers it hands out, or None
    cdef object whole                # a memoryview of all of it, made again when the size has changed
    cdef uint64_t whole_bytes
    cdef readonly uint32_t number    # among the memories of its store
    cdef readonly Region region      # its address space
    cdef object image                # the image of a snapshot that its region shows, or None
    cdef readonly bint shows         # its region shows the image of its data segments
    cdef bint written                # the host may have written to it, or may do so at any time; guests need not say
    cdef bint counted                # among the living memories of its store
    cdef object __weakref__
    cdef char* rest(self, object address, Py_ssize_t* size) except NULL
    cdef int begin(self, Store store, MemorySpec spec, object image) except -1
    cdef int begin_with(self, Store store, MemorySpec spec, object image, uint64_t pages) except -1
    cdef int attach(self, Store store, MemorySpec spec, object shared, MemDef* definition) except -1
    cdef bint inside(self, uint64_t address, uint64_t count) noexcept nogil
    cdef int commit(self, uint64_t size) except -1
    cdef void take_less(self, uint64_t count) noexcept
    cdef int reserve(self, uint64_t size, object image) except -1
    cdef int let_go(self) except -1
    cdef void judge(self) noexcept
    cdef object all_of_it(self)
    cdef int no_views(self) except -1
    cdef Py_ssize_t place(self, object address, Py_ssize_t count) except -1

cdef object most_pages(object shift, object is64)
cdef object too_large(object pages, object shift, object most)
cdef object lent(Memory memory)
cdef Py_ssize_t clip(str name, object value) except? -1
