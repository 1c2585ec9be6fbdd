# Numbers of bytes: of everything that a store holds, and of its memories. And one of units of fuel, for several stores.
cimport cython
from libc.stdint cimport uint64_t
from stratavm.contract._gen_layout cimport ExecContext
from stratavm.runtime.pot cimport Pot

@cython.final
cdef class Quota:
    cdef readonly uint64_t total
    cdef readonly uint64_t held
    cdef readonly str limit           # its name in StoreLimits
    cdef bint claim(self, uint64_t count) noexcept
    cdef void give_back(self, uint64_t count) noexcept
    cdef int check(self, uint64_t count, str what) except -1

@cython.final
cdef class FuelPot:
    cdef Pot pot
    cdef object given                 # units, by the host; a Python int
    cdef int open(self, ExecContext* context, object given) noexcept
    cdef uint64_t total(self, ExecContext* context) noexcept
    cdef int change(self, ExecContext* context, object more) except -1

cdef void give_back(Quota quota, uint64_t count) noexcept
cdef Quota new_quota(uint64_t total, str limit)
