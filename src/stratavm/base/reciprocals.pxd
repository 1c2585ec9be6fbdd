# Division by constants as products: the factors.
#
# Granlund, Montgomery, "Division by invariant integers using multiplication" (1994). With `high` for the upper half of
# a product of x and the factor, x // c is high >> shift; where the factor is `longer` than x by a bit, which is left out
# here, x has to be added to `high`, without its carry: (((x - high) >> 1) + high) >> (shift - 1).
from libc.stdint cimport uint32_t, uint64_t

from stratavm.base.bits cimport bits_of

cdef struct Reciprocal:
    uint64_t factor
    int shift
    bint longer

cdef inline uint64_t divide_shifted(uint64_t high, uint64_t c, uint64_t* rest) noexcept nogil:
    """``high * 2**64 // c`` and the remainder, for ``high < c``: bit by bit, since C divides 64 bits only."""
    cdef uint64_t quotient = 0, carry
    cdef int step
    for step in range(64):
        carry = high >> 63
        high <<= 1
        quotient <<= 1
        if carry or high >= c:
            high -= c
            quotient |= 1
    rest[0] = high
    return quotient

cdef inline Reciprocal reciprocal32(uint32_t c) noexcept nogil:
    """Of unsigned integers of 32 bits, for 1 < c < 2**31: ceil(2**(32+s) / c), where 2**s >= c or it is exact enough."""
    cdef Reciprocal found
    cdef int s = bits_of(c)
    cdef uint64_t factor = ((<uint64_t>1 << (32 + s)) + c - 1) // c
    while s > 0 and factor >> 32:
        s -= 1
        factor = ((<uint64_t>1 << (32 + s)) + c - 1) // c
        if factor * c - (<uint64_t>1 << (32 + s)) > <uint64_t>1 << s:
            s += 1
            factor = ((<uint64_t>1 << (32 + s)) + c - 1) // c
            break
    found.factor = factor & 0xFFFFFFFFU
    found.shift = s
    found.longer = factor >> 32 != 0
    return found

cdef inline Reciprocal reciprocal64(uint64_t c) noexcept nogil:
    """Of unsigned integers of 64 bits, for 1 < c < 2**63: factors from floor(2**(64+s) / c) to
    floor((2**(64+s) + 2**s) / c) are exact enough; both have 65 bits."""
    cdef Reciprocal found
    cdef int s = bits_of(c)
    cdef uint64_t rest = 0
    cdef uint64_t low = divide_shifted((<uint64_t>1 << s) - c, c, &rest)
    cdef uint64_t high = low + (rest + (<uint64_t>1 << s)) // c
    found.longer = high < low or low >> 1 == high >> 1
    if found.longer:
        found.factor = low + 1
        found.shift = s
        return found
    low = low >> 1 | <uint64_t>1 << 63
    high = high >> 1 | <uint64_t>1 << 63
    s -= 1
    while s > 0 and low >> 1 < high >> 1:
        low >>= 1
        high >>= 1
        s -= 1
    found.factor = high
    found.shift = s
    return found
