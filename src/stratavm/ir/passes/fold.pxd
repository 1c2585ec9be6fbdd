# Constant folding of integer operations, and of vectors of integers: see fold.py.
from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef bint fold(uint16_t op, uint64_t a, uint64_t b, uint64_t* result) noexcept nogil
cdef bint fold_vector(uint16_t op, uint64_t* a, uint64_t* b, uint32_t c, uint64_t* result) noexcept nogil
