# The clock of running guests.
cdef int wake_ticker() except? -1
