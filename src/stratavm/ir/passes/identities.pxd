# Rules of integer operations: see identities.py.
from libc.stdint cimport int64_t, uint64_t

from stratavm.ir.passes.algebra cimport Algebra
from stratavm.ir.ssa cimport Node

cdef class Identities(Algebra):
    cdef bint branch(self, Node* node) noexcept nogil
    cdef int64_t identity(self, Node* node) except -1 nogil       # a value, CHANGED or NONE

cdef int64_t selected(Algebra r, Node* node) except -1 nogil
cdef int64_t unary(Algebra r, Node* node) except -1 nogil
cdef int64_t tested(Algebra r, Node* node, Node* inner) except -1 nogil
cdef int64_t extended(Algebra r, Node* node, Node* inner) except -1 nogil
cdef int64_t same_operands(Algebra r, Node* node) except -1 nogil
cdef int64_t fold_constants(Algebra r, Node* node, uint64_t a, uint64_t b) except -1 nogil
cdef int64_t select_between_equals(Algebra r, Node* node) noexcept nogil
cdef int64_t select_by_constant(Algebra r, Node* node) noexcept nogil
cdef int64_t select_by_negation(Algebra r, Node* node) noexcept nogil
cdef int64_t select_by_nonzero(Algebra r, Node* node) noexcept nogil
cdef int64_t wrap_of_extension(Algebra r, Node* inner) noexcept nogil
cdef int64_t extension_of_wrap(Algebra r, Node* inner) noexcept nogil
cdef int64_t sign_of_narrow(Algebra r, Node* node) noexcept nogil
cdef int64_t negated_comparison(Algebra r, Node* node, Node* inner) noexcept nogil
cdef int64_t double_negation_of_bit(Algebra r, Node* inner) noexcept nogil
cdef int64_t double_negation(Algebra r, Node* node, Node* inner) except -1 nogil
cdef int64_t zero_extension(Algebra r, Node* node, Node* inner) noexcept nogil
cdef int64_t zero_difference(Algebra r, Node* node, Node* inner) noexcept nogil
cdef int64_t extension_of_extended(Algebra r, Node* node, Node* inner) noexcept nogil
cdef int64_t extension_of_narrow(Algebra r, Node* node) noexcept nogil
cdef int64_t extension_of_extension(Algebra r, Node* node, Node* inner) noexcept nogil
cdef int64_t extension_of_mask(Algebra r, Node* node, Node* inner) noexcept nogil
cdef int64_t equality_of_extensions(Algebra r, Node* node) noexcept nogil
cdef int64_t difference_with_itself(Algebra r, Node* node) except -1 nogil
cdef int64_t meet_with_itself(Algebra r, Node* node) noexcept nogil
cdef int64_t sum_with_itself(Algebra r, Node* node) except -1 nogil
cdef int64_t comparison_with_itself(Algebra r, Node* node) except -1 nogil
cdef int64_t branch_by_negation(Algebra r, Node* node) noexcept nogil
cdef int64_t branch_by_nonzero(Algebra r, Node* node) noexcept nogil
cdef int64_t order_operands(Algebra r, Node* node) noexcept nogil
