# Selection of vectors: rows, lanes and shuffles. Arguments are nodes, `v` and `a`, `b` of shuffles virtual registers.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.targets.x64.select_num cimport NumericSelector
from stratavm.targets.x64.select_vecseq cimport VectorSequences

cdef enum:
    MOST_HELD = 4
    SEEN = 32   # constants, the last ones, that are looked at for a use

cdef class VectorSelector(VectorSequences):
    cdef uint32_t held_until   # the node behind the loop whose constants are in registers (level 0); NO_VREG: none are
    cdef bint vector(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int keep(self, uint32_t n) except -1 nogil
    cdef int find_kept(self) noexcept nogil
    cdef int hold(self, uint32_t first, uint32_t last) except -1 nogil
    cdef int let_go(self) noexcept nogil
    cdef bint in_register(self, uint32_t n, uint32_t k, uint32_t constant) noexcept nogil
    cdef int mark_vector(self, uint32_t n, uint32_t first) noexcept nogil
    cdef uint32_t lane_row(self, uint32_t lane, uint32_t bits) noexcept nogil
    cdef uint32_t common_bits(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef bint is_condition(self, uint32_t node) noexcept nogil
    cdef uint32_t flags_of(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef uint32_t load_width(self, uint32_t load) noexcept nogil
    cdef bint fold_operand(self, uint32_t n, uint32_t barrier, uint32_t width) noexcept nogil
    cdef uint32_t from_memory(self, uint32_t n, uint32_t load, uint32_t mop, uint32_t left, uint32_t imm) except? 0xFFFFFFFF nogil
    cdef uint32_t simple(self, uint32_t n, uint32_t shape) except? 0xFFFFFFFE nogil
    cdef uint32_t lane_op(self, uint32_t n, uint32_t shape) except? 0xFFFFFFFE nogil
    cdef uint32_t compare_floats(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t pair(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t shift_lanes(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t splat(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t splat_of(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t float_splat(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t extract(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t float_extract(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t float_replace(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t bitmask(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t shuffle(self, uint32_t n) except? 0xFFFFFFFF nogil
    cdef uint32_t shuffle_one(self, uint32_t v, const uint8_t* lanes) except? 0xFFFFFFFF nogil
    cdef uint32_t shuffle_two(self, uint32_t a, uint32_t b, const uint8_t* lanes) except? 0xFFFFFFFF nogil
    cdef uint32_t interleave(self, uint32_t a, uint32_t b, const uint8_t* lanes) except? 0xFFFFFFFE nogil
    cdef uint32_t by_dwords(self, uint32_t a, uint32_t b, const uint8_t* lanes) except? 0xFFFFFFFE nogil
    cdef uint32_t by_bytes(self, uint32_t a, uint32_t b, const uint8_t* lanes) except? 0xFFFFFFFF nogil
