# Versions of a loop, with and without bounds checks: see versions.py.
cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from stratavm.ir.passes.copies cimport Copies, Loop
from stratavm.ir.ssa cimport Node

cdef enum:
    MAX_NEEDS = 6

cdef struct Need:             # an address of a loop's accesses
    uint32_t address
    uint32_t memory
    uint64_t end              # the farthest of offset + bytes

cdef struct Counted:          # what bounds the rounds of a loop, and what must hold before it
    uint32_t counter          # a parameter of the header
    uint32_t back             # the edge that leads back
    uint32_t into             # the edge that leads in
    uint32_t step             # what each round adds to the counter
    uint32_t limit            # what the counter is compared with
    int relation              # COUNT_*: the counter must be in it to go on
    bint is_signed
    bint early                # tested before the step; else what the next round starts with is tested
    int shift                 # the logarithm of a constant step, or of its negation; -1 where it is none
    bint rounds               # the number of rounds is needed
    uint32_t n_needs
    Need needs[MAX_NEEDS]

@cython.final
cdef class Versions(Copies):
    cdef Counted* counted     # by number of the loop
    cdef Counted* now         # of the loop at hand
    cdef uint32_t low, high   # its nodes
    cdef uint32_t params      # end of its header's parameters
    cdef uint32_t cap_counted
    cdef bint building        # bounds are put into the output; else it is only asked whether there are any
    cdef uint32_t term        # the newest bound
    cdef uint32_t highest     # the highest value of the counter, in the output
    cdef uint32_t last_round  # how often the loop goes back at most, in the output
    cdef uint32_t holds       # whether all that must hold does, in the output
    cdef bint guarding        # what must hold is being put together
    cdef uint32_t n_small     # values of 64 bits that must be below 2**32
    cdef uint32_t smalls[MAX_NEEDS]

    cdef bint count(self, Loop* loop) noexcept nogil
    cdef bint relate(self, uint32_t condition, bint holds) noexcept nogil
    cdef bint find_counter(self, uint32_t tested) noexcept nogil
    cdef uint32_t next_of(self, uint32_t parameter) noexcept nogil
    cdef uint32_t start_of(self, uint32_t parameter) noexcept nogil
    cdef uint32_t step_of(self, uint32_t parameter) noexcept nogil
    cdef bint constant_of(self, uint32_t value, uint32_t* bits) noexcept nogil
    cdef bint invariant(self, uint32_t value) noexcept nogil
    cdef int select(self, uint32_t number, Loop* loop) noexcept nogil
    cdef int cover(self, Node* node) except -1 nogil
    cdef int bound(self, uint32_t value, int depth) except -1 nogil
    cdef int bound_of_parameter(self, uint32_t value) except -1 nogil
    cdef int bound_of_operation(self, Node* node, int depth) except -1 nogil
    cdef int bound_of_extension(self, uint32_t value, int depth) except -1 nogil
    cdef uint32_t small(self, uint32_t value) except? 0xFFFFFFFF nogil
    cdef int guard(self) except -1 nogil
    cdef int guard_counter(self) except -1 nogil
    cdef uint32_t is_long(self) except? 0xFFFFFFFF nogil
    cdef uint32_t put_way(self, uint32_t target) except? 0xFFFFFFFF nogil
    cdef int guard_multiple(self, uint32_t value) except -1 nogil
    cdef int require(self, uint16_t op, uint32_t a, uint32_t b) except -1 nogil
    cdef uint32_t put(self, uint16_t op, uint32_t a, uint32_t b) except? 0xFFFFFFFF nogil
    cdef uint64_t known(self, uint32_t value) noexcept nogil
    cdef uint32_t number_of(self, uint64_t value) except? 0xFFFFFFFF nogil
    cdef uint32_t wide(self, uint32_t value) except? 0xFFFFFFFF nogil
