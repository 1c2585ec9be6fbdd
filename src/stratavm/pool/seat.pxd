# The place of one call in a pool.
from stratavm.pool.desk cimport Ticket
from stratavm.pool.house cimport Floor

cdef class Seat:
    cdef Floor floor
    cdef Ticket ticket
    cdef long long began_ns
    cdef readonly bint holds
    cdef readonly object now
    cpdef int begin(self) except -1
    cpdef int end(self) except -1
