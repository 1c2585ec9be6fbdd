# Linear memories.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime._gen_layout cimport MemDef
from stratavm.runtime.store cimport Store


cdef class Memory:
    cdef MemDef d
    cdef readonly Store store
    cdef object declared             # MemoryType as declared
    cdef readonly Py_ssize_t exports # living buffers
    cdef readonly uint32_t number    # among the memories of its store
    cdef uint64_t committed          # readable and writable bytes, whole host pages
    cdef bint counted                # among the living memories of its store
    cdef object __weakref__
    cdef bint inside(self, uint64_t address, uint64_t count) noexcept nogil
    cdef int commit(self, uint64_t size) noexcept nogil
