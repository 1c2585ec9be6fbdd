# Small functions as the inliner wants them: see callees.py.
from libc.stdint cimport uint8_t, uint32_t

from stratavm.ir.passes.inline cimport Callee, Inline, Templates
from stratavm.ir.passes.numbers cimport Numbers
from stratavm.ir.prune cimport Pruner
from stratavm.ir.ssa cimport Ssa
from stratavm.ir.stage cimport Source

cdef class Level:
    cdef Inline inline
    cdef Pruner pruner
    cdef Callee* plain        # the function at hand, whose arrays are the input

    cdef int whole(self, Callee* plain, Templates source, uint32_t depth) except -1 nogil
    cdef int take(self, Callee* plain) noexcept nogil

cdef class Callees(Templates):
    cdef Source source
    cdef Level outer, inner
    cdef Numbers known        # by function and depth: its number in `forms`, or NO_VALUE where it stays a call
    cdef Callee** forms
    cdef uint32_t n_forms, cap_forms
    cdef uint32_t n_funcs, imported
    cdef uint32_t kept        # entries of `known` at most
    cdef bint inlines

    cdef int find(self, uint32_t func, uint32_t depth, Callee** found) except -1 nogil
    cdef int find_plain(self, uint32_t func, Callee** found) except -1 nogil
    cdef int find_whole(self, uint32_t func, uint32_t depth, Callee** found) except -1 nogil
    cdef int keep(self, uint32_t key, Callee* form, Callee** found) except -1 nogil
    cdef int keep_copy(self, uint32_t key, Ssa ssa, Callee** found) except -1 nogil
    cdef int drop(self) noexcept nogil
