# Handles of Python objects.
cimport cython
from libc.stdint cimport uint8_t, uint64_t

@cython.final
cdef class Handles:
    cdef list things                 # handle - 1 -> object
    cdef list free                   # handles to give out again
    cdef dict numbers                # id(object) -> handle
    cdef set suspects                # handles that no root held at the last collection
    cdef object roots                # weak set of tables and globals that may hold handles, or None
    cdef object exception_roots      # those of them that may hold exnrefs, or None
    cdef set exceptions              # handles that are exnrefs: no host has them
    cdef Py_ssize_t exceptions_at    # so many exnrefs are worth a look at who holds them
    cdef list runs                   # guests that run without machine code, the innermost last
    cdef Py_ssize_t used
    cdef uint64_t added              # roots, ever
    cdef Py_ssize_t collect_at
    cdef object handle(self, object thing, object limit)
    cdef int drop(self, object handle) except -1
    cdef object thing(self, object handle)
    cdef object add_root(self, object holder, bint exceptions)
    cdef object handle_of_exception(self, object thing, object limit)
    cdef list root_references(self)
    cdef bint crowded(self) noexcept
    cdef list unheld_exceptions(self, const uint8_t* marks)
    cdef int forget_exceptions(self, list gone, list things) except -1
    cdef list collect(self, set held)

@cython.final
cdef class FuncIndex:                # addresses of functions
    cdef dict lone                   # owner of each FuncRec that lies by itself, by address
    cdef list ranges                 # (first, end, owner) of the others, sorted
    cdef object add(self, object owner)
    cdef object owner_of(self, object address)
