# Rules of division by constants: see divisions.py.
from libc.stdint cimport int64_t, uint64_t

from stratavm.ir.passes.algebra cimport Algebra
from stratavm.ir.ssa cimport Node

cdef int64_t divided(Algebra r, Node* node, uint64_t c) except -1 nogil
