# Identities of integer operations: see identities.py.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from stratavm.ir.passes.stream cimport Stream
from stratavm.ir.ssa cimport Node

cdef enum:
    NONE = -2                 # no identity applies (a value is never negative)

cdef class Identities(Stream):
    cdef bint strong          # strength reduction takes part
    cdef bint reduced         # the newest rule was one of it

    cdef uint32_t make(self, uint16_t op, uint8_t type, uint32_t a, uint32_t b) except? 0xFFFFFFFF nogil
    cdef uint32_t constant(self, uint8_t type, uint64_t bits) except? 0xFFFFFFFF nogil
    cdef bint is_const(self, uint32_t value, uint64_t* bits) noexcept nogil
    cdef int width_of(self, uint32_t value) noexcept nogil
    cdef int order(self, Node* node) noexcept nogil
    cdef bint branch(self, Node* node) noexcept nogil
    cdef int64_t identity(self, Node* node) except -1 nogil       # a value, or NONE
    cdef int64_t select(self, Node* node) except -1 nogil
    cdef int64_t unary(self, Node* node) except -1 nogil
    cdef int64_t extension(self, Node* node, Node* inner) noexcept nogil
    cdef int64_t negated(self, Node* node, Node* inner) noexcept nogil
    cdef int64_t same_operands(self, Node* node) except -1 nogil
    cdef int64_t with_constant(self, Node* node, uint64_t c) except -1 nogil
    cdef int64_t arithmetic(self, Node* node, uint64_t c) except -1 nogil
    cdef int64_t bitwise(self, Node* node, uint64_t c) except -1 nogil
    cdef int64_t shift(self, Node* node, uint64_t c) except -1 nogil
    cdef int64_t compared(self, Node* node, uint64_t c) except -1 nogil
    cdef int64_t divided(self, Node* node, uint64_t c) except -1 nogil
    cdef uint32_t quotient(self, Node* node, uint64_t c, int k) except? 0xFFFFFFFF nogil
    cdef int64_t divided_by_negative(self, Node* node, uint64_t c) except -1 nogil
    cdef uint32_t quotient_unsigned64(self, uint32_t x, uint64_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t quotient_signed64(self, uint32_t x, uint64_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t quotient_power(self, Node* node, int k) except? 0xFFFFFFFF nogil
    cdef uint32_t quotient_unsigned(self, uint32_t x, uint32_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t quotient_signed(self, uint32_t x, uint32_t c) except? 0xFFFFFFFF nogil
