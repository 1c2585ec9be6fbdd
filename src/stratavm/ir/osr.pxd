# A form that begins at the head of a loop: see osr.py.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.ir.ssa cimport Node, Ssa

@cython.final
cdef class OsrForm:
    cdef Ssa ssa              # input
    cdef Ssa out
    cdef uint32_t header      # block of the input where the output begins
    cdef uint32_t* home       # by node: its block
    cdef uint8_t* heads       # by block: a part of the output begins with it
    cdef uint32_t* parts      # their headers, in order
    cdef uint32_t* start      # by block that does: its number in the output
    cdef uint32_t* stop       # by block that does: behind the last block that leads back to it
    cdef uint32_t* number     # by block: its number in the output, in the part at hand; NO_VALUE: it is not in that
    cdef uint8_t* wanted      # by node: its value comes from outside
    cdef uint32_t* entry      # by node that does: the parameter or constant in the output
    cdef uint32_t* moved      # by node of the part at hand: its place in the output
    cdef uint32_t* preds      # by block of the output
    cdef uint32_t* values     # what the parameters are, as nodes of the input
    cdef uint32_t cap_home, cap_heads, cap_parts, n_parts, cap_start, cap_stop, cap_number, cap_wanted, cap_entry, cap_moved, cap_preds
    cdef uint32_t n_values, cap_values
    cdef uint32_t n_blocks    # of the output
    cdef uint64_t n_nodes

    cdef int attach(self, Ssa ssa, Ssa out) except -1
    cdef int make(self, uint32_t header) except -1 nogil
    cdef int reserve(self) except -1 nogil
    cdef uint32_t reach(self, uint32_t head) noexcept nogil
    cdef uint32_t behind(self, uint32_t head) noexcept nogil
    cdef int want(self, uint32_t head) noexcept nogil
    cdef int want_values(self, uint32_t* values, uint32_t n) noexcept nogil
    cdef int begin(self) except -1 nogil
    cdef uint32_t value(self, uint32_t node) noexcept nogil
    cdef int part(self, uint32_t which) except -1 nogil
    cdef uint32_t depth(self, uint32_t which, uint32_t block) noexcept nogil
    cdef int copy(self, uint32_t head, uint32_t i) except -1 nogil
    cdef uint32_t put_args(self, uint32_t first, uint32_t n, uint32_t raw) except? 0xFFFFFFFF nogil
    cdef uint32_t put_edge(self, uint32_t head, uint32_t edge) except? 0xFFFFFFFF nogil
