# Selection of arithmetic, comparisons and conversions.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.targets.x64.select_base cimport BaseSelector
from stratavm.ir.ssa cimport Node

cdef class NumericSelector(BaseSelector):
    cdef uint32_t quotient     # of the newest division by a constant in this block, or NO_VREG: a remainder may follow
    cdef uint32_t dividend, divisor, divided   # its operands, and whether it is signed

    cdef uint32_t tested, tested_cc, tested_end   # what the newest setcc or cmov asked; where the code ended behind it

    cdef bint numeric(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef bint is_condition(self, uint32_t node) noexcept nogil
    cdef uint32_t flags_of(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef uint32_t condition(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef int select(self, uint32_t n) except -1 nogil
    cdef int fold_block(self, uint32_t first, uint32_t last) noexcept nogil
    cdef bint fold_shift(self, uint32_t n, uint32_t first) noexcept nogil
    cdef bint scales(self, uint32_t shifted, uint32_t n, uint32_t first) noexcept nogil
    cdef bint take_shift(self, uint32_t shifted) noexcept nogil
    cdef bint scale_address(self, uint32_t n) noexcept nogil
    cdef bint is_inner(self, uint32_t inner, uint32_t n, uint32_t first, uint32_t shape) noexcept nogil
    cdef bint fold_trick(self, uint32_t n, uint32_t first) noexcept nogil
    cdef uint32_t trick(self, uint32_t inner, uint32_t other) noexcept nogil
    cdef int tricked(self, uint32_t n, uint32_t inner, uint32_t other) except -1 nogil
    cdef bint is_zero_test(self, Node* at) noexcept nogil
    cdef int against_zero(self, uint32_t node, uint32_t width) except -1 nogil
    cdef int scaled_sum(self, uint32_t n, uint32_t shifted, uint32_t base) except -1 nogil
    cdef bint fold_operand(self, uint32_t n, uint32_t barrier, uint32_t width) noexcept nogil
    cdef bint fold_condition(self, uint32_t condition, uint32_t barrier, uint32_t width) noexcept nogil
    cdef uint32_t load_width(self, uint32_t load) noexcept nogil
    cdef int folded(self, uint32_t load, uint32_t mop, uint32_t width, uint32_t result, uint32_t left) except -1 nogil
    cdef int alu(self, uint32_t n) except -1 nogil
    cdef int multiply(self, uint32_t n) except -1 nogil
    cdef int high_product(self, uint32_t n, bint is_signed) except -1 nogil
    cdef bint is_carry(self, uint32_t bit, uint32_t n, uint32_t first) noexcept nogil
    cdef uint32_t carried(self, uint32_t n, uint32_t test, uint32_t first) noexcept nogil
    cdef int mark_carry(self, uint32_t n, uint32_t first) noexcept nogil
    cdef bint takes_carry(self, uint32_t n) noexcept nogil
    cdef int set_carry(self, uint32_t n, uint32_t test) except -1 nogil
    cdef int sum_row(self, uint32_t mop, uint32_t width, uint32_t result, uint32_t a, uint32_t b) except -1 nogil
    cdef bint is_bit(self, uint32_t node) noexcept nogil
    cdef int with_carry(self, uint32_t n) except -1 nogil
    cdef int shift(self, uint32_t n) except -1 nogil
    cdef int divide(self, uint32_t n) except -1 nogil
    cdef bint divide_by_power(self, uint32_t n, uint32_t bits) except -1 nogil
    cdef bint divide_by_product(self, uint32_t n, uint32_t bits) except -1 nogil
    cdef uint32_t whole_of(self, uint32_t n, uint32_t x, uint64_t c, uint32_t is_signed) except? 0xFFFFFFFF nogil
    cdef uint32_t quotient32(self, uint32_t x, uint32_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t quotient64(self, uint32_t x, uint64_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t signed_quotient(self, uint32_t x, uint32_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t add_back(self, uint32_t x, uint32_t high, uint32_t width, int shift) except? 0xFFFFFFFF nogil
    cdef uint32_t shifted(self, uint32_t mop, uint32_t v, uint32_t width, int by) except? 0xFFFFFFFF nogil
    cdef uint32_t upper(self, uint32_t wide, int by) except? 0xFFFFFFFF nogil
    cdef uint32_t lower(self, uint32_t wide) except? 0xFFFFFFFF nogil
    cdef uint32_t times(self, uint32_t x, uint64_t factor) except? 0xFFFFFFFF nogil
    cdef int unary(self, uint32_t n, uint32_t mop) except -1 nogil
    cdef int count_zeros(self, uint32_t n) except -1 nogil
    cdef int set_condition(self, uint32_t n) except -1 nogil
    cdef bint is_low(self, uint32_t node) noexcept nogil
    cdef int copy32(self, uint32_t n) except -1 nogil
    cdef bint pooled(self, uint32_t node) noexcept nogil
    cdef int float2(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int from_int(self, uint32_t n) except -1 nogil
    cdef int truncate(self, uint32_t n) except -1 nogil
