# Rules of division by constants: see divisions.py.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from stratavm.ir.passes.algebra cimport Algebra
from stratavm.ir.ssa cimport Node

cdef int64_t divided(Algebra r, Node* node, uint64_t c) except -1 nogil

cdef int64_t divide_by_one(Algebra r, Node* node) except -1 nogil
cdef int64_t divide_by_power(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t remainder_by_power(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t remainder_by_minus_one(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t divide_by_negative(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t divide_by_constant(Algebra r, Node* node, uint64_t c) except -1 nogil
cdef int64_t remainder_by_constant(Algebra r, Node* node, uint64_t c) except -1 nogil

cdef uint32_t quotient(Algebra r, Node* node, uint64_t c) except? 0xFFFFFFFF nogil
cdef uint32_t quotient_unsigned64(Algebra r, uint32_t x, uint64_t c) except? 0xFFFFFFFF nogil
cdef uint32_t quotient_signed64(Algebra r, uint32_t x, uint64_t c) except? 0xFFFFFFFF nogil
cdef uint32_t quotient_power(Algebra r, Node* node, int k) except? 0xFFFFFFFF nogil
cdef uint32_t quotient_unsigned(Algebra r, uint32_t x, uint32_t c) except? 0xFFFFFFFF nogil
cdef uint32_t quotient_signed(Algebra r, uint32_t x, uint32_t c) except? 0xFFFFFFFF nogil
