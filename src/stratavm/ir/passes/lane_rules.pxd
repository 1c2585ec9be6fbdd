# Rules of vectors: see lane_rules.py.
from libc.stdint cimport int64_t

from stratavm.ir.passes.algebra cimport Algebra
from stratavm.ir.ssa cimport Node

cdef int64_t of_lanes(Algebra r, Node* node) except -1 nogil
