# Dead values: see prune.py.
cimport cython
from libc.stdint cimport uint8_t, uint32_t

from stratavm.ir.ssa cimport Node, Ssa

cdef enum:
    ACTS = 0x80000000          # live whether it is used or not
    NEWEST = 128               # operations that are remembered: a power of two
    CELLS = 128                # words of memory that are remembered: a power of two

@cython.final
cdef class Pruner:
    cdef uint32_t* live        # by node: how often live nodes use it, and ACTS; 0 = dead
    cdef uint32_t* moved       # by node: its new index
    cdef uint32_t* pending     # live nodes whose operands are not marked yet
    cdef uint32_t* home        # by node: block of a block parameter
    cdef uint32_t* incoming    # by block: first edge that leads there
    cdef uint32_t* following   # by edge: the next with the same target
    cdef uint8_t* rewritten    # by entry of args: the list that starts here is done
    cdef uint32_t cap_live, cap_moved, cap_pending, cap_home, cap_incoming, cap_following, cap_rewritten
    cdef uint32_t n_pending
    cdef uint32_t cursor       # the walk's node
    cdef uint32_t newest[NEWEST]  # by hash: 1 + the last node that was put there
    cdef uint32_t since        # nodes from here on are known where the compaction is
    cdef uint32_t cells[CELLS]    # by hash of a base and eight bytes behind it, two: 1 + the last access to four of them
    cdef uint32_t written      # the last node that wrote memory
    cdef uint32_t base         # what that was a store to, NO_VALUE: anything
    cdef uint32_t foreign      # the last one with another base
    cdef Ssa ssa

    cdef inline int mark(self, uint32_t value) noexcept nogil:
        """A value is used. One that the walk has passed already (it comes over a back edge) waits."""
        if self.live[value] == 0 and value > self.cursor:
            self.pending[self.n_pending] = value
            self.n_pending += 1
        self.live[value] += 1
        return 0

    cdef int prune(self) except -1 nogil
    cdef int reserve(self) except -1 nogil
    cdef int link_edges(self) noexcept nogil
    cdef int mark_backwards(self) noexcept nogil
    cdef int mark_arguments(self, uint32_t index) noexcept nogil
    cdef int mark_operands(self, uint32_t index) noexcept nogil
    cdef int compact(self) noexcept nogil
    cdef bint goes_on(self, uint32_t block) noexcept nogil
    cdef bint known(self, uint32_t kind, Node* node, uint32_t to, uint32_t* moved) noexcept nogil
    cdef bint share(self, Node* node, uint32_t to, uint32_t* moved) noexcept nogil
    cdef bint replace(self, Node* node, uint32_t to, uint32_t known, uint32_t* moved) noexcept nogil
    cdef uint32_t cell_of(self, Node* node) noexcept nogil
    cdef bint load(self, Node* node, uint32_t to, uint32_t* moved) noexcept nogil
    cdef int store(self, Node* node, uint32_t to) noexcept nogil
    cdef int wrote(self, uint32_t to, uint32_t base) noexcept nogil
    cdef uint32_t count_params(self, uint32_t first, uint32_t params) noexcept nogil
    cdef int rewrite_edges(self) noexcept nogil
