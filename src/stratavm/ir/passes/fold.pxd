# Constant folding of integer operations: see fold.py.
from libc.stdint cimport uint16_t, uint64_t

cdef bint fold(uint16_t op, uint64_t a, uint64_t b, uint64_t* result) noexcept nogil
