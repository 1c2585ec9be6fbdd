# Inlining of small functions: see inline.py.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.ir.passes.numbers cimport Numbers
from stratavm.ir.passes.stream cimport Stream
from stratavm.ir.ssa cimport Block, Edge, MemArg, Node, Site, Ssa

cdef struct Callee:           # a function to inline: one piece of memory, the arrays behind the struct; never changed
    uint32_t holders          # freed with the last
    uint32_t func, type_index
    uint32_t n_params, n_blocks, n_nodes, n_edges, n_args, n_memargs, n_constants, n_sites, n_results
    uint32_t size             # nodes that compute something
    uint32_t n_calls
    Node* nodes
    Block* blocks
    Edge* edges
    MemArg* memargs
    uint64_t* constants
    Site* sites
    uint32_t* args
    uint32_t* positions
    uint8_t* result_types

cdef uint32_t size_of(Ssa ssa) noexcept nogil
cdef void let_go(Callee* callee) noexcept nogil

cdef class Templates:         # where small functions are from: see callees.py
    cdef uint8_t* refused     # a bit for each function: known to stay a call, whoever calls it

    cdef int template(self, uint32_t func, uint32_t depth, uint32_t caller, Callee** found) except -1 nogil

    cdef inline bint refuses(self, uint32_t func) noexcept nogil:
        """Whether a function is known to stay a call."""
        return self.refused[func >> 3] >> (func & 7) & 1

@cython.final
cdef class Inline(Stream):
    cdef Callee** callees     # what the function at hand may inline: it holds them
    cdef Numbers known        # by function: its number in `callees`, or NO_VALUE for one that stays a call
    cdef uint32_t* choice     # by input node: the callee that takes the place of the call, or NO_VALUE
    cdef uint32_t* start      # by input block: where it begins in the output
    cdef uint32_t* inner      # by node of the callee at hand: its value in the output
    cdef uint32_t* outcome    # results of the newest inlined call
    cdef uint32_t n_callees
    cdef uint32_t cap_callees, cap_choice, cap_start, cap_inner, cap_outcome
    cdef uint32_t pasted      # the newest inlined call
    cdef uint32_t from_position, to_position   # the newest position of a callee, and what it became
    cdef public uint64_t inlined              # count since creation: for the ablation rows

    cdef uint32_t n_chosen
    cdef uint32_t first_block, first_edge, first_memarg, first_constant   # where the parts of the callee at hand begin in the output
    cdef uint32_t returns     # of the callee at hand

    cdef int choose_calls(self, Templates source, uint32_t depth) except -1 nogil
    cdef bint may_be_caught(self, uint32_t block, uint32_t call) noexcept nogil
    cdef int look_up(self, uint32_t func, Templates source, uint32_t depth, uint32_t* number) except -1 nogil
    cdef int choose(self, uint32_t node, uint32_t number) except -1 nogil
    cdef int forget(self) noexcept nogil
    cdef int copy(self, uint32_t i) except -1 nogil
    cdef int paste(self, uint32_t call, Callee* callee) except -1 nogil
    cdef int paste_tables(self, Callee* callee) except -1 nogil
    cdef int paste_node(self, uint32_t call, Callee* callee, uint32_t k) except -1 nogil
    cdef int paste_operands(self, Callee* callee, Node* node) except -1 nogil
    cdef int paste_return(self, Callee* callee, Node* node) except -1 nogil
    cdef int paste_arguments(self, Callee* callee) except -1 nogil
    cdef int go_on(self, Callee* callee, uint32_t depth) except -1 nogil
    cdef uint32_t place(self, Callee* callee, uint32_t position, uint32_t caller) except? 0xFFFFFFFF nogil
