# Handles of Python objects.
cimport cython
from libc.stdint cimport uint8_t, uint64_t

cdef enum:
    MOST_HANDLES = 0x7FFFFFFF        # there are no more

@cython.final
cdef class Marks:                    # which handles somebody holds: those that there were when it was made
    cdef uint8_t* bytes              # by handle; 0 and what lies behind the last one are marked
    cdef uint64_t n
    cdef int add(self, object raws) except -1
    cdef void add_words(self, const uint64_t* words, uint64_t count) noexcept nogil

# Marks the handles in a table, a global or an instance. Runs nothing of Python's.
ctypedef void (*mark_holder_t)(object holder, Marks marks) noexcept
cdef int are_marked_by(object kind, mark_holder_t mark) except -1
cdef int mark_held(Marks marks, object roots) except -1  # by a set of weak references, or None

@cython.final
cdef class Handles:
    cdef list things                 # handle - 1 -> object
    cdef list free                   # handles to give out again
    cdef dict numbers                # id(object) -> handle
    cdef uint8_t* flags              # owned: by handle, and some more
    cdef uint64_t room               # of these, a multiple of 8
    cdef Py_ssize_t n_suspects       # handles that no root held at the last collection
    cdef Py_ssize_t n_gone           # and those that none did at two: they are still to be freed
    cdef uint64_t gone_at            # none of them is larger
    cdef uint64_t made               # handles, ever
    cdef uint64_t made_before        # when some were freed last
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
    cdef list unheld_exceptions(self, Marks marks)
    cdef list named(self, list gone)
    cdef int forget_exceptions(self, list gone, list things) except -1
    cdef int judge(self, Marks marks) noexcept
    cdef list free_gone(self, Py_ssize_t most)
    cdef Py_ssize_t portion(self, object limit) except -1
    cdef int forgive(self, uint64_t handle) noexcept

@cython.final
cdef class FuncIndex:                # addresses of functions
    cdef dict lone                   # owner of each FuncRec that lies by itself, by address
    cdef list ranges                 # (first, end, owner) of the others, sorted
    cdef object add(self, object owner)
    cdef object owner_of(self, object address)
