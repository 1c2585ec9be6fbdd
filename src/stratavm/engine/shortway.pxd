# Short ways of host functions.
from libc.stdint cimport uint64_t
from stratavm.runtime.memory cimport Memory

cdef class ShortWay:
    cdef readonly object general      # the function for every case
    cdef object request               # what the guest of the call that has just been made waits for
    cdef int go(self, Memory memory, uint64_t* cells) except -1
