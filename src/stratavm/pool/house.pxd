# Turns on a loop's thread.
from stratavm.pool.desk cimport Desk, Ticket
from stratavm.pool.meter cimport Meter
from stratavm.pool.steering cimport Steering

cdef class House:
    cdef public Ticket holder         # whose turn it is
    cdef readonly long long cpu_ns    # what turns took so far
    cdef list wanting                 # floors
    cdef long long least_ns
    cdef object resting               # Rest, or None
    cdef object clock
    cpdef int wants(self, Floor floor) except -1
    cpdef bint is_free(self, Floor floor) except -1
    cpdef int pass_on(self) except -1
    cdef int charge(self, Floor floor, long long cpu_ns) except -1
    cdef int rest(self, object clock, double turn) except -1

cdef class Floor:
    cdef readonly Desk desk
    cdef readonly object counters
    cdef readonly Meter meter
    cdef Steering steering
    cdef public House house
    cdef readonly long long used_ns
    cdef public object now
    cdef dict waits                   # of the counters
    cpdef bint begin_at_once(self, Ticket ticket) except -1
    cdef bint at_once(self, Ticket ticket) except -1
    cpdef int release(self, Ticket ticket) except -1
    cpdef int charge(self, Ticket ticket, long long cpu_ns) except -1
    cpdef int rest(self, Ticket ticket, double turn) except -1
    cpdef int pass_on(self) except -1
    cdef int tell_shed(self) except -1
    cdef bint grant(self) except -1
    cdef int note(self, Ticket ticket, double now) except -1
    cpdef int refuse(self, Ticket ticket, object reason) except -1
