# Selection of what touches the instance: memories, tables, globals, references.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from stratavm.targets.x64.select_vec cimport VectorSelector
from stratavm.targets.x64.plan cimport MemoryPlan
from stratavm.ir.ssa cimport MemArg, Node

cdef enum:
    MAX_POINTERS = 4           # of the context that a function may keep in registers

cdef class MemorySelector(VectorSelector):
    cdef bint keeping          # pointers of the context may stay in registers (level 1)
    cdef uint32_t n_pointers
    cdef uint32_t[4] cells     # where each is in the context
    cdef uint32_t[4] pointers  # and its register
    cdef uint32_t base         # the one that the instruction at hand goes by, or NO_VREG
    # NO_VREG is an answer: were it the mark of an error, too, each one would ask for the GIL
    cdef uint32_t pointer(self, uint32_t cell) except? 0xFFFFFFFE nogil
    cdef bint memory(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int via(self, uint32_t mop, uint32_t width, uint32_t cell, uint32_t flags) except -1 nogil
    cdef int via_address(self, uint32_t index, uint32_t scale, int32_t disp) except -1 nogil
    cdef int trap_if(self, uint32_t cc, uint32_t kind) except -1 nogil
    cdef uint32_t sum64(self, uint32_t node, uint64_t addend) except? 0xFFFFFFFF nogil
    cdef int check_bounds(self, uint32_t address, MemArg* memarg, uint32_t bytes) except -1 nogil
    cdef int check_wide(self, uint32_t address, MemArg* memarg, MemoryPlan* memory, uint32_t bytes) except -1 nogil
    cdef int check_end(self, uint32_t end, MemArg* memarg) except -1 nogil
    cdef bint within_reach(self, uint64_t address, uint64_t offset) noexcept nogil
    cdef bint inside(self, uint32_t address, MemArg* memarg, MemoryPlan* memory, uint32_t bytes) noexcept nogil
    cdef int load(self, uint32_t n) except -1 nogil
    cdef int store(self, uint32_t n) except -1 nogil
    cdef int store_lane(self, uint32_t n) except -1 nogil
    cdef bint scale_address(self, uint32_t n) noexcept nogil
    cdef uint32_t bits_of_index(self, uint32_t node) noexcept nogil
    cdef uint32_t span_of(self, uint32_t node, int steps, uint32_t* base) noexcept nogil
    cdef uint32_t span_where(self, uint32_t condition, uint32_t node, bint holds, uint32_t* base) noexcept nogil
    cdef uint32_t joined(self, uint32_t size, uint32_t number, uint32_t* base) noexcept nogil
    cdef uint32_t address(self, uint32_t n, uint32_t* index, uint32_t* scale, int32_t* disp) except? 0xFFFFFFFF nogil
    cdef uint32_t address_of(self, Node* at, uint32_t node, MemArg* memarg, uint32_t* index, uint32_t* scale, int32_t* disp) except? 0xFFFFFFFF nogil
    cdef int access(self, uint32_t n, uint32_t mop, uint32_t value, bint has_imm, int64_t imm) except -1 nogil
    cdef int global_access(self, uint32_t n, bint write) except -1 nogil
    cdef int table_access(self, uint32_t n, bint write) except -1 nogil
    cdef int table_bounds(self, uint32_t index, uint32_t table, uint32_t kind) except -1 nogil
    cdef int size_of(self, uint32_t n, bint table) except -1 nogil
    cdef int memory_bytes(self, uint32_t memory, uint32_t size) except -1 nogil
    cdef int func_ref(self, uint32_t n) except -1 nogil
    cdef int builtin(self, uint32_t number, uint32_t result, uint32_t* operands, uint32_t count, uint32_t bits) except -1 nogil
    cdef int exceptional(self, uint32_t n) except -1 nogil
    cdef int caught(self, uint32_t n) except -1 nogil
    cdef int throw(self, uint32_t n) except -1 nogil
    cdef int put_cells(self, uint32_t n) except -1 nogil
    cdef int low_half(self, uint32_t n, uint32_t found) except -1 nogil
    cdef int grow(self, uint32_t n, uint32_t number, uint64_t which, uint32_t first, uint32_t second) except -1 nogil
    cdef int bulk(self, uint32_t n) except -1 nogil
