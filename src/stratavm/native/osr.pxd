# Code of level 1 that begins in a loop of level 0: see osr.py.
cimport cython
from libc.stdint cimport uint32_t

from stratavm.ir.osr cimport OsrForm
from stratavm.base.failures cimport Failure
from stratavm.native.lift cimport LoopMaker
from stratavm.native.worker cimport Worker
from stratavm.runtime.codemap cimport CodeRec

@cython.final
cdef class OsrMaker(LoopMaker):
    cdef Worker below             # of level 0
    cdef Worker above             # of level 1
    cdef OsrForm form
    cdef uint32_t at              # where the poll returns, in the code of level 0
    cdef CodeRec* running         # that code
    cdef Failure failure

    cdef int make(self) except -1 nogil
    cdef int put_into_batch(self) except -1 nogil
    cdef uint32_t poll_at(self) except? 0xFFFFFFFF nogil
    cdef uint32_t block_of(self, uint32_t node) noexcept nogil
    cdef uint32_t instruction_of(self, uint32_t node) noexcept nogil
    cdef int find_places(self, uint32_t inst) except -1 nogil
    cdef int put_place(self, uint32_t vreg, uint32_t bytes, uint32_t inst) except -1 nogil
    cdef int put_upper_half(self) except -1 nogil
