from libc.stdint cimport int64_t, uint32_t, uint64_t

from stratavm.base.budget cimport breathe
from stratavm.base.leb cimport bytes_t

cdef extern from "Python.h":
    void PyObject_GC_UnTrack(object thing)

cdef class Reader:
    cdef readonly bytes data
    cdef readonly object limits
    cdef readonly frozenset features
    cdef bytes_t start
    cdef bytes_t at
    cdef bytes_t end
    cdef uint32_t turn         # items read, to look at the budget now and then

    cdef Py_ssize_t offset(self) noexcept
    cdef Py_ssize_t left(self) noexcept
    cdef int fail(self, str message, str expected=*, str found=*, Py_ssize_t at=*) except? -1
    cdef int need(self, str feature, str what, Py_ssize_t at=*) except? -1
    cdef int byte(self) except? -1
    cdef int peek(self) noexcept
    cdef int fail_integer(self, int error, int bits, str what) except? -1
    cdef uint32_t u32(self) except? 0xFFFFFFFF
    cdef uint64_t u64(self) except? 0xFFFFFFFF
    cdef int64_t s33(self) except? -1
    cdef uint32_t count(self, uint32_t item_bytes, object limit, str what) except? 0xFFFFFFFF
    cdef bytes take(self, Py_ssize_t size)
    cdef int skip(self, Py_ssize_t size) except? -1
    cdef str text(self)
    cdef str name(self)

cdef inline int pause(Reader r) except -1:
    """In a loop over items: look at the budget once in a few thousand."""
    r.turn += 1
    return breathe(r.turn)
