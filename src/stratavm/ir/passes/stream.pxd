# What passes that stream one form into another have in common: see stream.py.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.ir.ssa cimport Node, Ssa

cdef enum:
    UNCHANGED = 1             # what `apply` returns where it left `out` alone

cdef struct Note:             # a rewrite, or a rule that applied
    uint32_t number
    uint32_t node

cdef class Stream:
    cdef Ssa ssa              # input
    cdef Ssa out              # the form under construction
    cdef uint32_t* moved      # by input node: its value in the output
    cdef uint8_t* rewritten   # by entry of args
    cdef uint32_t cap_moved, cap_rewritten
    cdef uint32_t position    # of the node at hand
    cdef uint32_t index       # of the node at hand
    cdef public uint64_t budget               # rewrites allowed in a function: for finding a culprit
    cdef readonly uint64_t spent              # rewrites of the last run
    cdef uint32_t last_kind, last_node
    cdef dict kinds           # name of a rewrite by its number
    cdef public bint explains # whether to take notes
    cdef Note* notes
    cdef uint32_t n_notes, cap_notes

    cdef int apply(self) except -1 nogil
    cdef int begin(self) except -1 nogil
    cdef int copy_tables(self) except -1 nogil
    cdef int map_operands(self, Node* node) noexcept nogil
    cdef uint32_t emit(self, Node* node) except? 0xFFFFFFFF nogil
    cdef int rewrote(self, uint32_t kind) noexcept nogil
    cdef int note(self, uint32_t number) noexcept nogil
    cdef int finish_edges(self) noexcept nogil
