# Selection of a whole function: SSA to machine IR.
from libc.stdint cimport uint32_t
from stratavm.targets.x64.select_object cimport ObjectSelector
from stratavm.targets.x64.plan cimport TypePlan
from stratavm.ir.ssa cimport Block, Node

cdef enum:
    NO_BLOCK = 0xFFFFFFFF      # for block_map: no way leads there any more
    MOST_EARLY = 6             # values that a loop has computed before it

cdef class Selector(ObjectSelector):
    cdef uint32_t* block_map       # machine block of each SSA block, or NO_BLOCK
    cdef uint32_t cap_block_map
    cdef uint32_t* stamps          # per SSA block: edge block made for the br_table at hand
    cdef uint32_t cap_stamps
    cdef uint32_t* stamped_by      # per SSA block: the br_table (its node + 1) that set the stamp
    cdef uint32_t cap_stamped_by
    cdef bint split_edges          # whether edges from branches to joins have blocks
    cdef uint32_t result_pointer   # register of the cells for further results
    cdef bint leaving              # what innermost loops compute from values of outside leaves them (level 0)
    cdef uint32_t[6] leavers       # such nodes of the loop at hand
    cdef uint32_t n_leavers

    cdef int run(self) except -1 nogil
    cdef int map_blocks(self) except -1 nogil
    cdef bint has_block(self, uint32_t edge) noexcept nogil
    cdef uint32_t edge_blocks(self, uint32_t node) noexcept nogil
    cdef uint32_t tests(self, uint32_t edge) noexcept nogil
    cdef bint negates(self, Node* node) noexcept nogil
    cdef bint decided(self, uint32_t edge) noexcept nogil
    cdef int pass_by(self, uint32_t edge) noexcept nogil
    cdef uint32_t way_of(self, uint32_t test, bint holds) noexcept nogil
    cdef uint32_t straight(self, uint32_t edge) noexcept nogil
    cdef int fuse(self, Block* block) noexcept nogil
    cdef int mark(self, Block* block, uint32_t node) noexcept nogil
    cdef int mark_shared(self, Block* block, uint32_t n) noexcept nogil
    cdef int mark_mask(self, Block* block, uint32_t node) noexcept nogil
    cdef int open_block(self, uint32_t depth, uint32_t flags) except -1 nogil
    cdef int close_block(self) except -1 nogil
    cdef int add_edge(self, uint32_t target) except -1 nogil
    cdef int body(self, uint32_t number) except -1 nogil
    cdef int node(self, uint32_t n) except -1 nogil
    cdef int incoming_values(self, Block* block) except -1 nogil
    cdef bint polls_next(self, uint32_t number) noexcept nogil
    cdef int poll(self, uint32_t n, uint32_t number) except -1 nogil
    cdef bint enters_loop(self, uint32_t edge, uint32_t header) noexcept nogil
    cdef int leave(self, uint32_t header) except -1 nogil
    cdef uint32_t loop_end(self, uint32_t header) noexcept nogil
    cdef int find_leavers(self, uint32_t first, uint32_t last) noexcept nogil
    cdef bint outside(self, uint32_t value, uint32_t first) noexcept nogil
    cdef bint can_leave(self, uint32_t n, uint32_t first) noexcept nogil
    cdef int keep_operands(self, uint32_t n) except -1 nogil
    cdef int incoming(self, Block* block) except -1 nogil
    cdef int block_params(self, Block* block) except -1 nogil
    cdef int jump(self, uint32_t edge) except -1 nogil
    cdef uint32_t edge_target(self, uint32_t edge, uint32_t* following) noexcept nogil
    cdef int go(self, uint32_t edge, uint32_t number) except -1 nogil
    cdef int branch(self, uint32_t condition, uint32_t taken, uint32_t otherwise, uint32_t number) except -1 nogil
    cdef int invoke(self, uint32_t returns, uint32_t lands, uint32_t number) except -1 nogil
    cdef int branch_table(self, uint32_t n, uint32_t number) except -1 nogil
    cdef uint32_t table_length(self, uint32_t n, uint32_t* low) noexcept nogil
    cdef int ret(self, uint32_t n) except -1 nogil
    cdef int call(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int arguments(self, TypePlan* type, uint32_t first, bint tail) except -1 nogil
    cdef int call_results(self, uint32_t n, TypePlan* type, bint in_registers) except -1 nogil
