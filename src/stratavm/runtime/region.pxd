# Address space of linear memories.
from libc.stdint cimport uint64_t

cdef uint64_t HOST_PAGE

cdef class Region:
    cdef char* base
    cdef readonly uint64_t reserved    # bytes of address space from base on, this memory's alone
    cdef readonly uint64_t committed   # readable and writable bytes, whole host pages
    cdef readonly uint64_t most        # bytes that a memory may have here
    cdef readonly uint64_t image       # serial of the image that is mapped, 0 = none
    cdef object original               # its Original, for wiping; of no meaning where image is 0
    cdef bint mapped                   # base is a mapping of our own, to be unmapped
    cdef bint untouched                # its memory says: no guest, nor the host by its help, can have written to it
    cdef bint told                     # somebody knows where it begins, and may write to it without any help
    cdef readonly bint taken           # a memory uses it
    cpdef int take(self) except -1
    cpdef bint commit(self, uint64_t size) except -1
    cpdef bint show(self, object image) except -1
    cdef int map_runs(self, object image) except -1
    cdef int protect(self, uint64_t size) noexcept nogil
    cdef int hide(self) noexcept nogil

cdef int adopt(Region region, uint64_t address, uint64_t reserved) except -1

cdef class Foreign(Region):
    pass
