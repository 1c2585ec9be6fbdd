# Signatures and state of the building walk.
cimport cython
from libc.stdint cimport uint8_t, uint32_t

from stratavm.front.wasm.build cimport BuildFrame, Builder
from stratavm.ir.prune cimport Pruner
from stratavm.module.valid cimport Chunk, ValidBody
from stratavm.module.validate_walk cimport ValidateWalk

@cython.final
cdef class BuildWalk(Builder):
    cdef const uint32_t* params    # of the block type read last
    cdef const uint32_t* results
    cdef uint32_t n_params, n_results
    cdef Pruner pruner             # or None: the form stays as the walk made it
    cdef ValidateWalk checker      # of bodies that are vouched for; None where all were checked
    cdef ValidBody own             # what it found out of the present one
    cdef Chunk own_chunk

    cdef int examine(self, uint32_t defined) except -1 nogil
    cdef uint32_t index(self) noexcept nogil
    cdef uint32_t prefixed(self, uint8_t prefix) noexcept nogil
    cdef int block_type(self) except -1 nogil
    cdef int block(self) except -1 nogil
    cdef int branch(self) except -1 nogil
    cdef int branch_table(self) except -1 nogil
    cdef int call(self) except -1 nogil
    cdef int call_indirect(self) except -1 nogil
    cdef int call_ref(self) except -1 nogil
    cdef int branch_null(self) except -1 nogil
    cdef int try_block(self) except -1 nogil
    cdef int throw(self) except -1 nogil
    cdef bint caught_here(self, uint32_t tag, uint32_t* depth, bint* bare) noexcept nogil
    cdef int dispatch(self, BuildFrame* frame) except -1 nogil
    cdef int clause(self, uint32_t kind, uint32_t tag, uint32_t label) except -1 nogil
    cdef uint32_t test_tag(self, uint32_t tag) except? 0xFFFFFFFF nogil
    cdef int otherwise(self, uint32_t edge) except -1 nogil
    cdef int push_payload(self, uint32_t tag) except -1 nogil
    cdef int catch_arm(self) except -1 nogil
    cdef bint next_arm(self, BuildFrame* frame) except -1 nogil
    cdef int skip_clauses(self) noexcept nogil
    cdef int delegate(self) except -1 nogil
    cdef int skip_types(self) noexcept nogil
    cdef int skip_type(self) noexcept nogil
    cdef int skip_immediates(self, uint32_t imms) noexcept nogil
    cdef int skip_dead(self) noexcept nogil
    cdef int run(self) except -1 nogil
    cdef int select(self) except -1 nogil
    cdef int global_access(self) except -1 nogil
    cdef int table_access(self) except -1 nogil
    cdef int bulk_table(self) except -1 nogil
    cdef int bulk_memory(self) except -1 nogil
    cdef int reference(self) except -1 nogil
    cdef int memory_access(self) except -1 nogil
    cdef int access_at(self, uint32_t memory) except -1 nogil
    cdef int vector_access(self) except -1 nogil
    cdef uint32_t lane(self) noexcept nogil
    cdef int lanes(self, uint32_t kind) except -1 nogil
    cdef uint32_t words(self) except? 0xFFFFFFFF nogil
    cdef uint32_t memory_argument(self) except? 0xFFFFFFFF nogil
    cdef uint8_t address_type(self, uint32_t memory) noexcept nogil
    cdef int atomic(self) except -1 nogil
    cdef int shared_access(self, uint32_t where) except -1 nogil
    cdef int check_alignment(self, uint32_t address, uint32_t where) except -1 nogil
    cdef uint32_t atomic_load(self, uint32_t shape, uint32_t where) except? 0xFFFFFFFF nogil
    cdef int atomic_store(self, uint32_t shape, uint32_t value, uint32_t where) except -1 nogil
    cdef int atomic_change(self, uint32_t shape, uint32_t change, uint32_t where) except -1 nogil
    cdef int notify_or_wait(self, uint32_t where) except -1 nogil
    cdef int plain(self) except -1 nogil
    cdef int constant_op(self) except -1 nogil
    cdef int local_access(self) except -1 nogil
