# Rules of integer operations with a constant on the right: see constant_rules.py.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from stratavm.ir.passes.algebra cimport Algebra
from stratavm.ir.ssa cimport Node

cdef bint is_shift(uint32_t op) noexcept nogil
cdef bint ignores_signs(uint32_t op) noexcept nogil
cdef int64_t with_constant(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t added(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t multiplied(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t masked(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t joined(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t shifted(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t compared(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t add_zero(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t subtract_constant(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t sum_of_sum(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t multiply_by_zero(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t multiply_by_power(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t multiply_by_minus_one(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t multiply_by_address(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t product_of_product(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t mask_of_nothing(Algebra r, Node* node, uint64_t c, uint64_t known) except -1 nogil
cdef int64_t mask_of_everything(Algebra r, Node* node, uint64_t c, uint64_t known) noexcept nogil
cdef int64_t mask_of_word(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t mask_of_mask(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t or_zero(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t or_ones(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t or_of_or(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t shift_by_zero(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t shift_to_nothing(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t shift_of_shift(Algebra r, Node* node, uint64_t c, uint64_t before) except -1 nogil
cdef int64_t shifts_that_extend(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t shifts_that_mask(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t compare_beyond_width(Algebra r, Node* node) except -1 nogil
cdef int64_t compare_bit(Algebra r, Node* node, uint64_t c, int width) noexcept nogil
cdef int64_t compare_equal_to_zero(Algebra r, Node* node, uint64_t c) noexcept nogil
cdef int64_t compare_unlike_zero(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t compare_extension(Algebra r, Node* node, uint64_t c) except -1 nogil
