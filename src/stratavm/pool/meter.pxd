# Processor time of turns.

cdef class Meter:
    cdef public object wall_ns        # () -> nanoseconds
    cdef public object cpu_ns
    cdef long long asked_ns
    cpdef long long taken(self, long long began_ns) except? -1

cdef class Area:
    cdef readonly Py_ssize_t count
    cdef public double since
    cdef double seconds
    cpdef int add(self, Py_ssize_t change, double now) except -1
