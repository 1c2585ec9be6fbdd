# Copies of small innermost loops: see copies.py.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.ir.passes.loops cimport Loops
from stratavm.ir.ssa cimport Node

cdef struct Loop:             # an innermost loop, the blocks [first, end)
    uint32_t first
    uint32_t end
    uint32_t low              # its nodes, [low, high)
    uint32_t high
    uint32_t copies           # how often it stands in the output; 1 = it stays as it is
    uint32_t exit             # the one block outside that it leads to; NO_VALUE: none; the function's own 0: several
    uint32_t escaped          # first value that is used outside, or NO_VALUE
    uint32_t n_escaped

cdef class Copies(Loops):
    cdef bint chained         # a round of the last copy follows one of each before; else one of the copies runs
    cdef Loop* loops
    cdef uint32_t* loop       # by block: index of the innermost loop that may be unrolled, or NO_VALUE
    cdef uint32_t* number     # by block: its number in the output; of a loop, that of the first copy
    cdef uint32_t* added      # by block: the loop whose escaping values become its parameters, or NO_VALUE
    cdef uint32_t* following  # by node: the next value that escapes from the same loop
    cdef uint8_t* escapes     # by node: it is used outside of its loop
    cdef uint32_t* home       # by node: its loop, or NO_VALUE
    cdef uint32_t* inner      # by node of the loop at hand: its value in the present copy
    cdef uint8_t* marks       # by node: flags that it gets in the first copy
    cdef uint32_t n_loops
    cdef uint32_t cap_loops, cap_loop, cap_number, cap_added, cap_following, cap_escapes, cap_home, cap_inner
    cdef uint32_t cap_marks
    cdef Loop* at             # the loop at hand; NULL outside
    cdef uint32_t copy        # which copy
    cdef public uint64_t copied               # count since creation: for the ablation rows

    cdef int reserve(self) except -1 nogil
    cdef int find_loops(self) except -1 nogil
    cdef uint32_t copies_of(self, Loop* loop) except? 0xFFFFFFFF nogil
    cdef int find_escapes(self) noexcept nogil
    cdef int used(self, uint32_t value, uint32_t loop) noexcept nogil
    cdef int used_by(self, Node* node, uint32_t loop) noexcept nogil
    cdef int settle(self) noexcept nogil
    cdef int put_choice(self, uint32_t number) except -1 nogil
    cdef int put_block(self, uint32_t block) except -1 nogil
    cdef int put_node(self, uint32_t i) except -1 nogil
    cdef int put_added(self, uint32_t block) except -1 nogil
    cdef uint32_t value_of(self, uint32_t value) noexcept nogil
    cdef int operands(self, Node* node) except -1 nogil
    cdef int terminator(self, Node* node) except -1 nogil
    cdef uint32_t put_edge(self, uint32_t edge) except? 0xFFFFFFFF nogil
    cdef uint32_t target_of(self, uint32_t block) noexcept nogil
