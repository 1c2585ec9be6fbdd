# Builtins for objects of guests.
from libc.stdint cimport uint32_t
from stratavm.runtime.store cimport Store

cdef uint32_t ended_by(Store store, object error) noexcept
