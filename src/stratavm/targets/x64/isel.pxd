# Selection of a whole function: SSA to machine IR.
from libc.stdint cimport uint32_t
from stratavm.targets.x64.select_mem cimport MemorySelector
from stratavm.targets.x64.plan cimport TypePlan
from stratavm.ir.ssa cimport Block

cdef class Selector(MemorySelector):
    cdef uint32_t* block_map       # machine block of each SSA block
    cdef uint32_t cap_block_map
    cdef uint32_t* stamps          # per SSA block: edge block made for the br_table at hand
    cdef uint32_t cap_stamps
    cdef uint32_t* stamped_by      # per SSA block: the br_table (its node + 1) that set the stamp
    cdef uint32_t cap_stamped_by
    cdef bint split_edges          # whether edges from branches to joins have blocks
    cdef uint32_t result_pointer   # register of the cells for further results

    cdef int run(self) except -1 nogil
    cdef int map_blocks(self) except -1 nogil
    cdef bint has_block(self, uint32_t edge) noexcept nogil
    cdef uint32_t edge_blocks(self, uint32_t node) noexcept nogil
    cdef int fuse(self, Block* block) noexcept nogil
    cdef int mark(self, Block* block, uint32_t node) noexcept nogil
    cdef int mark_mask(self, Block* block, uint32_t node) noexcept nogil
    cdef int open_block(self, uint32_t depth, uint32_t flags) except -1 nogil
    cdef int close_block(self) except -1 nogil
    cdef int add_edge(self, uint32_t target) except -1 nogil
    cdef int body(self, uint32_t number) except -1 nogil
    cdef int node(self, uint32_t n) except -1 nogil
    cdef int incoming_values(self, Block* block) except -1 nogil
    cdef bint polls_next(self, uint32_t number) noexcept nogil
    cdef int poll(self, uint32_t n, uint32_t number) except -1 nogil
    cdef int incoming(self, Block* block) except -1 nogil
    cdef int block_params(self, Block* block) except -1 nogil
    cdef int jump(self, uint32_t edge) except -1 nogil
    cdef uint32_t edge_target(self, uint32_t edge, uint32_t* following) noexcept nogil
    cdef int branch(self, uint32_t n, uint32_t number) except -1 nogil
    cdef int branch_table(self, uint32_t n, uint32_t number) except -1 nogil
    cdef int ret(self, uint32_t n) except -1 nogil
    cdef int call(self, uint32_t n, bint indirect) except -1 nogil
    cdef int arguments(self, TypePlan* type, uint32_t first) except -1 nogil
    cdef int call_results(self, uint32_t n, TypePlan* type, bint in_registers) except -1 nogil
