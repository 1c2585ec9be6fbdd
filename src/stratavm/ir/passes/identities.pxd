# Rules of integer operations: see identities.py.
from libc.stdint cimport int64_t

from stratavm.ir.passes.algebra cimport Algebra
from stratavm.ir.ssa cimport Node

cdef class Identities(Algebra):
    cdef bint branch(self, Node* node) noexcept nogil
    cdef int64_t identity(self, Node* node) except -1 nogil       # a value, CHANGED or NONE

cdef int64_t order_operands(Algebra r, Node* node) noexcept nogil
