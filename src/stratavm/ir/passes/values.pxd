# Value numbering with folding and load forwarding: see values.py.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from stratavm.ir.passes.dominance cimport Dominance
from stratavm.ir.passes.identities cimport Identities
from stratavm.ir.ssa cimport Node

cdef struct Entry:            # a value that is known: `op` on these operands gives `value`
    uint16_t op
    uint8_t type
    uint32_t a
    uint32_t b
    uint32_t c
    uint32_t epoch            # of memory or globals; 0 for what depends on neither
    uint32_t value
    uint32_t block            # where it was computed: valid in the blocks that this one dominates
    uint32_t next

cdef enum:
    PLACES = 16                # of places in objects: elements of arrays by type, then fields by number
    FIRST_FIELD = 8

@cython.final
cdef class Values(Identities):
    cdef Dominance tree
    cdef uint32_t* memory     # by block: memory epoch at its end
    cdef uint32_t* globals    # by block: globals epoch at its end
    cdef uint32_t* places     # by block: epochs of objects at its end, by kind of place
    cdef uint32_t* heads      # hash table
    cdef Entry* entries
    cdef uint32_t* same       # by constant of the output: the first one that is equal
    cdef uint32_t cap_memory, cap_globals, cap_places, cap_heads, cap_entries, cap_same
    cdef uint32_t n_entries, mask
    cdef uint32_t epochs      # epochs given out
    cdef uint32_t now_memory, now_globals
    cdef uint32_t[PLACES] now  # epochs of objects
    cdef uint32_t[PLACES] ended  # the last block in which one ended
    cdef uint32_t block
    cdef uint32_t found       # where the value was computed that the table gave
    cdef uint32_t flags       # VF_*
    cdef public uint64_t folded, shared, loads, checks   # counts since creation: for the ablation rows

    cdef int reserve(self) except -1 nogil
    cdef int enter_block(self, uint32_t block) noexcept nogil
    cdef int enter_objects(self, uint32_t block) noexcept nogil
    cdef int leave_block(self, uint32_t block) noexcept nogil
    cdef int end_objects(self) noexcept nogil
    cdef uint32_t rewrite(self, uint32_t index) except? 0xFFFFFFFF nogil
    cdef uint32_t pure(self, Node* node) except? 0xFFFFFFFF nogil
    cdef uint32_t load(self, Node* node) except? 0xFFFFFFFF nogil
    cdef uint32_t access(self, Node* node) except? 0xFFFFFFFF nogil
    cdef int check(self, Node* node) except -1 nogil
    cdef uint32_t effect(self, Node* node) except? 0xFFFFFFFF nogil
    cdef uint32_t object(self, Node* node) except? 0xFFFFFFFF nogil
    cdef uint32_t known(self, uint32_t value) noexcept nogil
    cdef uint32_t length_of(self, Node* array) except? 0xFFFFFFFF nogil
    cdef uint32_t place(self, Node* node, uint32_t b, uint32_t kind, bint fixed) except? 0xFFFFFFFF nogil
    cdef uint32_t put(self, Node* node, uint16_t load, uint32_t b, uint32_t value) except? 0xFFFFFFFF nogil
    cdef int check_index(self, Node* node, uint32_t a, uint32_t b) except -1 nogil
    cdef int know_fields(self, Node* node, uint32_t made) except -1 nogil
    cdef uint32_t find(self, uint16_t op, uint8_t type, uint32_t a, uint32_t b, uint32_t c, uint32_t epoch) noexcept nogil
    cdef int learn(self, uint16_t op, uint8_t type, uint32_t a, uint32_t b, uint32_t c, uint32_t epoch, uint32_t value) except -1 nogil
    cdef uint32_t hash(self, uint16_t op, uint32_t a, uint32_t b, uint32_t c, uint32_t epoch) noexcept nogil
    cdef bint is_near(self, uint32_t op) noexcept nogil
    cdef uint32_t find_vector(self, uint64_t low, uint64_t high) noexcept nogil
    cdef uint32_t learn_vector(self, uint64_t low, uint64_t high, uint32_t value) except? 0xFFFFFFFF nogil
    cdef uint32_t alike(self, uint32_t value) noexcept nogil
    cdef int64_t reduce(self, Node* node) except -1 nogil
