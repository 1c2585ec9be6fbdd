# Short ways to what a world was given.
from libc.stdint cimport uint64_t
from stratavm.wasi.p1.short cimport Short

cdef class Strings(Short):
    cdef bint of_environ
    cdef list strings(self)

cdef class ArgsSizesGet(Strings):
    pass

cdef class EnvironSizesGet(ArgsSizesGet):
    pass

cdef class ArgsGet(Strings):
    pass

cdef class EnvironGet(ArgsGet):
    pass

cdef class Preopened(Short):
    cdef bytes name(self, uint64_t cell)

cdef class FdPrestatGet(Preopened):
    pass

cdef class FdPrestatDirName(Preopened):
    pass

cdef class FdFdstatSetFlags(Short):
    pass

cdef class SchedYield(Short):
    pass
