# Selection of atomic instructions on shared memories.
from libc.stdint cimport int32_t, int64_t, uint32_t
from stratavm.targets.x64.select_mem cimport MemorySelector
from stratavm.ir.ssa cimport MemArg, Node

cdef class AtomicSelector(MemorySelector):
    # the access at hand
    cdef Node* now
    cdef uint32_t* operands    # its address first
    cdef MemArg* where
    cdef uint32_t index, scale, reached  # of the address, and the flags of who goes there
    cdef int32_t disp

    cdef bint atomic(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int reach(self) except -1 nogil
    cdef int there(self, uint32_t op, uint32_t flags) except -1 nogil
    cdef int arrive(self) except -1 nogil
    cdef uint32_t result(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef int widen(self, uint32_t n, uint32_t found) except -1 nogil
    cdef int read(self, uint32_t n) except -1 nogil
    cdef int exchange(self, uint32_t n, uint32_t mop, uint32_t value) except -1 nogil
    cdef int change(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int change_unseen(self) except -1 nogil
    cdef int add(self, uint32_t n, bint minus) except -1 nogil
    cdef int logic(self, uint32_t n) except -1 nogil
    cdef int compare_exchange(self, uint32_t n) except -1 nogil
    cdef int waits(self, uint32_t n, bint wakes) except -1 nogil
    cdef int fence(self) except -1 nogil
