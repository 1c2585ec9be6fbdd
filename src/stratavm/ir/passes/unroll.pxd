# Unrolling of small loops: see unroll.py.
cimport cython

from stratavm.ir.passes.copies cimport Copies

@cython.final
cdef class Unroll(Copies):
    pass
