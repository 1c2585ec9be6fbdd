# What a pool sees between two decisions about its size.

cdef class Steering:
    cdef object policy
    cdef readonly Py_ssize_t ready
    cdef double since                 # of this interval: when it began,
    cdef object cpu_ns                # the thread's time then,
    cdef double turn_delay            # least delays,
    cdef double lag
    cdef Py_ssize_t peak              # most calls at once,
    cdef Py_ssize_t starts            # calls that began
    cpdef int began(self, Py_ssize_t running) except -1
    cpdef int went_on(self, double delay) except -1
