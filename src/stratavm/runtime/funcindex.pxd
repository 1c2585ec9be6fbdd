# Addresses of functions.
cimport cython

@cython.final
cdef class FuncIndex:
    cdef dict lone                   # owner of each FuncRec that lies by itself, by address
    cdef list ranges                 # (first, end, owner) of the others, sorted
    cdef object add(self, object owner)
    cdef object owner_of(self, object address)
