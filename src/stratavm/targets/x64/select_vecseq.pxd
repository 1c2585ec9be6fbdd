# Selection of vector operations that are sequences, and what appends rows of vectors. Unless said otherwise, arguments
# and results are virtual registers; `node` and `n` are nodes.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.targets.x64.select_num cimport NumericSelector

cdef class VectorSequences(NumericSelector):
    cdef int finish(self, uint32_t n, uint32_t v) except -1 nogil
    cdef uint32_t zero(self) except? 0xFFFFFFFF nogil
    cdef uint32_t words(self, uint64_t low, uint64_t high) except? 0xFFFFFFFF nogil
    cdef uint32_t two(self, uint32_t mop, uint32_t left, uint32_t right) except? 0xFFFFFFFF nogil
    cdef uint32_t by(self, uint32_t mop, uint32_t left, uint32_t imm) except? 0xFFFFFFFF nogil
    cdef uint32_t mix(self, uint32_t mop, uint32_t left, uint32_t right, uint32_t imm) except? 0xFFFFFFFF nogil
    cdef uint32_t with_words(self, uint32_t mop, uint32_t left, uint64_t low, uint64_t high) except? 0xFFFFFFFF nogil
    cdef uint32_t inverted(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t count(self, uint32_t node, uint32_t bits, uint32_t more) except? 0xFFFFFFFF nogil

    cdef bint integers(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef bint widening(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef bint floats(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef uint32_t beyond(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef bint in_table(self, uint32_t node) noexcept nogil
    cdef bint below_16(self, uint32_t node) noexcept nogil
    cdef uint32_t most(self, uint32_t node, uint32_t depth) noexcept nogil
    cdef uint32_t least(self, uint32_t node) noexcept nogil
    cdef bint small_words(self, uint32_t node) noexcept nogil
    cdef uint32_t mask_lane(self, uint32_t node, uint32_t depth) noexcept nogil
    cdef bint is_zero(self, uint32_t node) noexcept nogil
    cdef uint32_t bitselect(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t popcnt(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t abs64(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t mul64(self, uint32_t a, uint32_t b) except? 0xFFFFFFFF nogil
    cdef uint32_t wide_product(self, uint32_t op, uint32_t shape, uint32_t a, uint32_t b) except? 0xFFFFFFFF nogil
    cdef uint32_t shift8(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t sar8(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t sar64(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t sign(self, uint32_t op, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t minmax(self, uint32_t op, uint32_t a, uint32_t b) except? 0xFFFFFFFF nogil
    cdef uint32_t from_unsigned(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t to_signed(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t to_unsigned(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t low_to_signed(self, uint32_t v) except? 0xFFFFFFFF nogil
    cdef uint32_t low_to_unsigned(self, uint32_t v) except? 0xFFFFFFFF nogil
