# Unrolling of small loops: see unroll.py.
cimport cython

from stratavm.ir.passes.copies cimport Copies, Loop

@cython.final
cdef class Unroll(Copies):
    pass
