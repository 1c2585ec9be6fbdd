# The stages of an optimiser, one after the other: see driver.py.
from libc.stdint cimport uint32_t, uint64_t

from stratavm.ir.passes.inline cimport Inline, Templates
from stratavm.ir.prune cimport Pruner
from stratavm.ir.stage cimport Stage

cdef enum:
    LEVELS_OF_CALLS = 3       # that are inlined into each other

cdef extern from "Python.h" nogil:
    void* stage_at "PyList_GET_ITEM"(list stages, Py_ssize_t i)   # borrowed

cdef class Driver(Stage):
    cdef list order           # of stages; it changes only where nothing runs
    cdef Py_ssize_t count
    cdef Inline inline        # the first of them, or None
    cdef Templates callees
    cdef Pruner pruner
    cdef uint64_t whole       # functions below are optimised in full
    cdef uint64_t rewrites    # what may be rewritten in the function of exactly this index
    cdef uint64_t left        # of the budget of the function at hand

    cdef uint64_t budget_of(self, uint32_t func) noexcept nogil
    cdef int step(self, Stage stage) except -1 nogil
