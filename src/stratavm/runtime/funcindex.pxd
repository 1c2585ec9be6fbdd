# Addresses of functions.
cimport cython

@cython.final
cdef class FuncIndex:
    cdef list ranges                 # (first, end, owner), sorted
    cdef object add(self, object owner)
    cdef object owner_of(self, object address)
