# Signatures and state of the validating walk.
cimport cython
from libc.stdint cimport uint8_t, uint32_t

from stratavm.module.checker cimport Checker
from stratavm.module.valid cimport Chunk, ValidBody

@cython.final
cdef class ValidateWalk(Checker):
    cdef const uint32_t* params    # of the block type read last
    cdef const uint32_t* results   # of that block type, or of a label
    cdef uint32_t n_params, n_results
    cdef uint32_t popped

    cdef int examine(self, ValidBody* body, Chunk* chunk) except -1 nogil
    cdef inline uint32_t index(self) noexcept nogil
    cdef uint32_t prefixed(self, uint8_t prefix) noexcept nogil
    cdef int block_type(self) except -1 nogil
    cdef int type_missing(self, uint32_t type) except -1 nogil
    cdef const uint32_t* typed(self, bint solid) except? NULL nogil
    cdef int pop_ref(self) except -1 nogil
    cdef int branch_null(self) except -1 nogil
    cdef int call_ref(self) except -1 nogil
    cdef int memory(self, uint32_t index) except -1 nogil
    cdef int table(self, uint32_t index) except -1 nogil
    cdef int data(self, uint32_t index) except -1 nogil
    cdef int elem(self, uint32_t index) except -1 nogil
    cdef inline int push(self, uint32_t type) noexcept nogil
    cdef inline int pop(self, uint32_t expected) except -1 nogil
    cdef int mismatch(self, uint32_t found, uint32_t expected) except -1 nogil
    cdef int pop_any(self) except -1 nogil
    cdef int pop_list(self, const uint32_t* types, uint32_t count) except -1 nogil
    cdef int push_list(self, const uint32_t* types, uint32_t count) except -1 nogil
    cdef int check_list(self, const uint32_t* types, uint32_t count) except -1 nogil
    cdef inline int unreachable(self) noexcept nogil
    cdef int block(self) except -1 nogil
    cdef int close(self) except -1 nogil
    cdef int end_block(self) except -1 nogil
    cdef int else_arm(self) except -1 nogil
    cdef int label(self, uint32_t depth) except -1 nogil
    cdef int branch(self) except -1 nogil
    cdef int branch_table(self) except -1 nogil
    cdef int tag(self) except -1 nogil
    cdef int clause(self) except -1 nogil
    cdef int try_block(self) except -1 nogil
    cdef int catch_arm(self) except -1 nogil
    cdef int delegate(self) except -1 nogil
    cdef int throw(self) except -1 nogil
    cdef int call(self) except -1 nogil
    cdef int call_indirect(self) except -1 nogil
    cdef int call_type(self, uint32_t type) except -1 nogil
    cdef int give_back(self) except -1 nogil
    cdef int run(self) except -1 nogil
    cdef int select(self) except -1 nogil
    cdef int global_access(self) except -1 nogil
    cdef int table_access(self) except -1 nogil
    cdef int bulk_table(self) except -1 nogil
    cdef int bulk_memory(self) except -1 nogil
    cdef int reference(self) except -1 nogil
    cdef uint32_t memory_argument(self, uint32_t* align) except? 0xFFFFFFFF nogil
    cdef int memory_access(self) except -1 nogil
    cdef int atomic(self) except -1 nogil
    cdef int vector(self, uint32_t kind) except -1 nogil
    cdef int by_signature(self, uint32_t address) except -1 nogil
    cdef int plain(self) except -1 nogil
    cdef int constant_op(self) except -1 nogil
    cdef int local_access(self) except -1 nogil
