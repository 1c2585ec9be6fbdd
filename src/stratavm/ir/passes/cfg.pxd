# Simplification of the control-flow graph: see cfg.py.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.ir.passes.stream cimport Stream
from stratavm.ir.ssa cimport Node

@cython.final
cdef class Cfg(Stream):
    cdef uint32_t* taken      # by block: the one edge that a decided branch takes, or NO_VALUE
    cdef uint32_t* lead       # by edge: the edge that it amounts to, through empty blocks
    cdef uint32_t* incoming   # by block: edges that arrive, threaded
    cdef uint32_t* source     # by block: the last block that an edge arrives from
    cdef uint32_t* number     # by block: its number in the output
    cdef uint32_t* old        # by output block: its number in the input
    cdef uint32_t* kept       # by block: parameters that stay
    cdef uint8_t* live        # by block: it can be reached
    cdef uint8_t* merged      # by block: it continues the block before
    cdef uint32_t* forward    # by node: the value that a parameter always has, or itself
    cdef uint32_t* seen       # by node: the one value that arrived at a parameter, NO_VALUE, or MANY
    cdef uint32_t cap_taken, cap_incoming, cap_source, cap_number, cap_old, cap_kept, cap_live, cap_merged, cap_forward
    cdef uint32_t cap_seen, cap_lead
    cdef uint32_t standin     # a parameter that is taken for a constant, or NO_VALUE
    cdef uint64_t standin_bits
    cdef bint changed
    cdef bint asks            # some block may only ask what its parameter is; uses are counted
    cdef public uint64_t branches, threaded, params, joined   # counts since creation: for the ablation rows

    cdef int reserve(self) except -1 nogil
    cdef int decide(self) noexcept nogil
    cdef int branch(self, uint32_t block) noexcept nogil
    cdef bint constant(self, uint32_t value, int steps, uint64_t* bits) noexcept nogil
    cdef uint32_t edges_of(self, uint32_t block) noexcept nogil
    cdef uint32_t edge_of(self, uint32_t block, uint32_t k) noexcept nogil
    cdef uint32_t follow(self, uint32_t edge, bint alone) noexcept nogil
    cdef bint asking(self) noexcept nogil
    cdef bint may_ask(self, uint32_t block) noexcept nogil
    cdef bint private(self, uint32_t block) noexcept nogil
    cdef uint32_t past(self, uint32_t edge) noexcept nogil
    cdef uint32_t answer(self, uint32_t edge) noexcept nogil
    cdef bint passes_on(self, uint32_t block) noexcept nogil
    cdef uint32_t choice(self, Node* node, uint64_t bits) noexcept nogil
    cdef bint empty(self, uint32_t block) noexcept nogil
    cdef uint32_t value_of(self, uint32_t value) noexcept nogil
    cdef bint equal(self, uint32_t a, uint32_t b) noexcept nogil
    cdef int gather(self) noexcept nogil
    cdef int settle(self) noexcept nogil
    cdef int join(self) noexcept nogil
    cdef int rebuild(self) except -1 nogil
    cdef int head(self, uint32_t block) except -1 nogil
    cdef int copy(self, uint32_t i) except -1 nogil
    cdef int body(self, uint32_t block) except -1 nogil
    cdef int terminator(self, uint32_t block) except -1 nogil
    cdef uint32_t put_edge(self, uint32_t edge) except? 0xFFFFFFFF nogil
    cdef int arguments(self) noexcept nogil
