# What passes that stream one form into another have in common: see stream.py.
from libc.stdint cimport uint8_t, uint32_t

from stratavm.ir.ssa cimport Node
from stratavm.ir.stage cimport Stage

cdef enum:
    UNCHANGED = 1             # what `apply` returns where it left `out` alone

cdef struct Note:             # a rewrite, or a rule that applied
    uint32_t number
    uint32_t node

cdef class Stream(Stage):
    cdef uint32_t* moved      # by input node: its value in the output
    cdef uint8_t* rewritten   # by entry of args
    cdef uint32_t cap_moved, cap_rewritten
    cdef uint32_t position    # of the node at hand
    cdef uint32_t index       # of the node at hand
    cdef uint32_t last_kind, last_node
    cdef dict kinds           # name of a rewrite by its number
    cdef Note* notes
    cdef uint32_t n_notes, cap_notes

    cdef int begin(self) except -1 nogil
    cdef int copy_tables(self) except -1 nogil
    cdef int map_operands(self, Node* node) noexcept nogil
    cdef uint32_t emit(self, Node* node) except? 0xFFFFFFFF nogil
    cdef int rewrote(self, uint32_t kind) noexcept nogil
    cdef int note(self, uint32_t number) noexcept nogil
    cdef int finish_edges(self) noexcept nogil
