# Positions of bits, by the processor's instructions.
from libc.stdint cimport uint32_t, uint64_t

cdef extern from *:
    uint32_t lowest_of "__builtin_ctzll"(uint64_t mask) noexcept nogil     # of a mask that is not empty
    uint32_t zeros_above "__builtin_clzll"(uint64_t mask) noexcept nogil   # likewise

cdef inline int bits_of(uint64_t value) noexcept nogil:
    """How many bits a number has; 0 has one."""
    return 64 - <int>zeros_above(value | 1)

cdef inline int log2_exact(uint64_t value) noexcept nogil:
    """The exponent of a power of two, or -1."""
    return bits_of(value) - 1 if value != 0 and value & (value - 1) == 0 else -1
