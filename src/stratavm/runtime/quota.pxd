# Numbers of bytes: of everything that a store holds, and of its memories.
cimport cython
from libc.stdint cimport uint64_t

@cython.final
cdef class Quota:
    cdef readonly uint64_t total
    cdef readonly uint64_t held
    cdef readonly str limit           # its name in StoreLimits
    cdef bint claim(self, uint64_t count) noexcept
    cdef void give_back(self, uint64_t count) noexcept
    cdef int check(self, uint64_t count, str what) except -1

cdef void give_back(Quota quota, uint64_t count) noexcept
cdef Quota new_quota(uint64_t total, str limit)
