# The cold half of the building walk: frames, joins, locals, edges. The hot half is `build_walk.py`.
#
# Locals. `locals` holds the current value of each. A change inside a frame is noted once in the log, with the value before:
# every frame owns the log from `log_start` on. A branch to a frame's end takes a snapshot of what differs from the frame's
# start; the join compares the snapshots and makes a parameter only where they differ. Nothing ever copies all locals.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from stratavm.ir.ssa cimport IR_CONST, NO_VALUE, Node
from stratavm.ir.stage cimport Source
from stratavm.module.valid cimport Bodies, Chunk, Context, ValidBody

cdef enum FrameKind:
    BK_FUNC = 0
    BK_BLOCK = 1
    BK_LOOP = 2
    BK_IF = 3
    BK_ELSE = 4
    BK_TRY = 5                 # try_table with clauses
    BK_TRY_BODY = 6            # try, before its first arm
    BK_ARM = 7                 # an arm of it

cdef struct BuildFrame:
    const uint32_t* params
    const uint32_t* results
    uint32_t n_params
    uint32_t n_results
    uint32_t height            # of the value stack below the parameters
    uint32_t log_start
    uint32_t first_pending     # branches to the end, oldest first
    uint32_t last_pending
    uint32_t n_pending
    uint32_t header            # loop: its block
    uint32_t loop              # loop: its facts
    uint32_t saved             # if: where its parameters lie in the stash
    uint32_t else_edge         # if: the edge for a zero condition, until `else`
    uint32_t table             # the br_table that branched here last
    uint32_t table_edge        # its edge
    uint32_t first_thrown      # try: calls in its body that may end with an exception, as branches to what looks at that
    uint32_t last_thrown
    uint32_t n_thrown
    uint32_t outer             # try: 1 + the frame of the try around it, 0 = none
    uint32_t n_saved           # arm: locals that differ from the try's start where exceptions arrive; `saved` has them
    uint32_t exn               # arm: what it caught, as an exnref
    const uint8_t* clauses     # try_table: those of the binary; else NULL
    uint8_t kind

cdef struct Change:            # an entry of the log
    uint32_t local             # NO_VALUE: withdrawn
    uint32_t before            # value
    uint32_t stamp             # of the local before: position + 1 of its earlier entry, or 0

cdef struct Pending:           # a branch to a frame's end
    uint32_t next
    uint32_t edge              # first of its edges, chained by Edge.target until the join
    uint32_t values            # operands, in the stash
    uint32_t snapshot          # pairs (local, value), in the stash
    uint32_t n_snapshot

cdef struct Seen:              # a local in a join
    uint32_t join              # which one
    uint32_t count             # snapshots that hold it
    uint32_t value
    uint8_t differs

cdef inline uint8_t value_type(uint32_t packed) noexcept nogil:
    """ValueType of a packed value type."""
    return <uint8_t>(0x80 - packed) if 0x7B <= packed <= 0x7F else 6

cdef class Builder(Source):
    cdef readonly Context context
    cdef readonly Bodies bodies
    cdef ValidBody* body
    cdef Chunk* chunk          # whose arrays hold its loops
    cdef const uint8_t* base   # of the module's bytes
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef const uint8_t* at     # of the instruction
    cdef int leb
    cdef uint32_t op
    cdef bint live             # whether the present point can be reached
    cdef uint32_t loop         # loops so far, skipped ones included
    cdef uint32_t loop_depth
    cdef uint32_t* values      # nodes
    cdef uint32_t sp, cap_values
    cdef BuildFrame* frames
    cdef uint32_t n_frames, cap_frames
    cdef uint32_t* locals
    cdef uint32_t* stamps      # by local: position + 1 of its last entry in the log, or 0
    cdef uint32_t* current     # by local: scratch of a join
    cdef Seen* seen            # by local: scratch of a join
    cdef uint32_t cap_locals, cap_stamps, cap_current, cap_seen
    cdef uint32_t joins
    cdef Change* log
    cdef uint32_t n_log, cap_log
    cdef Pending* pendings
    cdef uint32_t n_pendings, cap_pendings
    cdef uint32_t* stash
    cdef uint32_t n_stash, cap_stash
    cdef uint32_t* touched     # locals of a join
    cdef uint32_t n_touched, cap_touched
    cdef uint32_t tries        # 1 + the frame of the innermost try whose body the present point is in, 0 = none
    cdef uint32_t tables       # br_tables so far
    cdef uint32_t table_index
    cdef uint32_t table_first
    cdef bint fuel             # whether to charge fuel
    cdef uint32_t charge       # IR_FUEL of the present basic block, or NO_VALUE
    cdef uint32_t cost         # of its operators so far
    cdef uint32_t ends         # of blocks so far, to look at the budget now and then
    cdef uint64_t work
    cdef uint64_t budget

    cdef int begin(self, ValidBody* body, Chunk* chunk) except -1 nogil
    cdef int grow(self, uint32_t more) except -1 nogil
    cdef uint32_t position(self) noexcept nogil
    cdef uint32_t emit(self, uint16_t op, uint8_t type, uint32_t a, uint32_t b, uint32_t c) except? 0xFFFFFFFF nogil
    cdef uint32_t constant(self, uint8_t type, uint64_t bits) except? 0xFFFFFFFF nogil
    cdef uint32_t wide(self, uint16_t op, uint8_t type, uint32_t n, uint32_t x, uint32_t y) except? 0xFFFFFFFF nogil
    cdef int push(self, uint32_t value) noexcept nogil
    cdef int set_local(self, uint32_t local, uint32_t value) except -1 nogil
    cdef int open_function(self) except -1 nogil
    cdef uint32_t again_edge(self, uint32_t* values) except? 0xFFFFFFFF nogil
    cdef int go_again(self) except -1 nogil
    cdef int emit_call(self, uint32_t type, uint32_t x, uint32_t y, uint32_t more) except -1 nogil
    cdef int enter(self, uint32_t kind, const uint32_t* params, uint32_t n_params, const uint32_t* results, uint32_t n_results) except -1 nogil
    cdef int enter_loop(self, const uint32_t* params, uint32_t n_params, const uint32_t* results, uint32_t n_results) except -1 nogil
    cdef int enter_if(self, uint32_t condition, const uint32_t* params, uint32_t n_params, const uint32_t* results, uint32_t n_results) except -1 nogil
    cdef int else_arm(self) except -1 nogil
    cdef int end_block(self) except -1 nogil
    cdef int finish(self) except -1 nogil
    cdef int branch_to(self, uint32_t depth) except -1 nogil
    cdef int branch_if(self, uint32_t condition, uint32_t depth) except -1 nogil
    cdef int branch_unless(self, uint32_t condition, uint32_t depth) except -1 nogil
    cdef int open_table(self, uint32_t index) except -1 nogil
    cdef int table_edge(self, uint32_t depth) except -1 nogil
    cdef int close_table(self, uint32_t count) except -1 nogil
    cdef int emit_return(self) except -1 nogil
    cdef int emit_trap(self, uint32_t kind) except -1 nogil
    cdef int trap_where(self, uint32_t condition, uint32_t kind) except -1 nogil
    cdef int next_charge(self) except -1 nogil
    cdef int close_charge(self) noexcept nogil
    cdef int refuse(self, uint32_t op) except -1 nogil
    cdef int expand(self, uint32_t op) except -1 nogil
    cdef uint32_t template_value(self, uint32_t at, uint32_t number) noexcept nogil

    cdef int spend(self, uint64_t units) except -1 nogil
    cdef uint32_t stash_put(self, uint32_t word) except? 0xFFFFFFFF nogil
    cdef uint32_t next_block(self) except? 0xFFFFFFFF nogil
    cdef uint32_t edge_to(self, uint32_t depth) except? 0xFFFFFFFF nogil
    cdef uint32_t loop_edge(self, BuildFrame* frame) except? 0xFFFFFFFF nogil
    cdef uint32_t add_pending(self, BuildFrame* frame, uint32_t values) except? 0xFFFFFFFF nogil
    cdef uint32_t pending_edge(self, uint32_t pending) except? 0xFFFFFFFF nogil
    cdef int take_snapshot(self, Pending* pending, uint32_t log_start) except -1 nogil
    cdef uint32_t link_pending(self, BuildFrame* frame) except? 0xFFFFFFFF nogil
    cdef int fall_through(self, BuildFrame* frame) except -1 nogil
    cdef int forget(self, uint32_t start) noexcept nogil
    cdef int zero_locals(self) except -1 nogil
    cdef int room_for_locals(self, uint32_t n) except -1 nogil
    cdef int undo(self, uint32_t position) noexcept nogil
    cdef int merge(self, uint32_t start, uint32_t parent) noexcept nogil
    cdef int join(self) except -1 nogil
    cdef uint32_t meet(self, BuildFrame* frame, uint32_t flags) except? 0xFFFFFFFF nogil
    cdef int swap_ways(self, BuildFrame* frame) noexcept nogil
    cdef uint32_t thrown_edge(self, uint32_t frame) except? 0xFFFFFFFF nogil
    cdef int invoke(self, uint32_t call) except -1 nogil
    cdef int never_returns(self, uint32_t call) except -1 nogil
    cdef int land(self, BuildFrame* frame) except -1 nogil
    cdef int end_try(self, BuildFrame* frame) except -1 nogil  # of the walk
    cdef int pass_on(self, uint32_t frame) except -1 nogil
    cdef uint32_t late_block(self) except? 0xFFFFFFFF nogil
    cdef int compare_snapshots(self, BuildFrame* frame) except -1 nogil
    cdef int join_results(self, BuildFrame* frame, uint32_t block) except -1 nogil
    cdef int fill_edges(self, BuildFrame* frame, uint32_t block, uint32_t kept, uint32_t differing) except -1 nogil

# The per-instruction part of the builder, inline for the walk.

cdef inline uint32_t put_node(Builder b, uint16_t op, uint8_t type, uint32_t x, uint32_t y, uint32_t z) except? 0xFFFFFFFF nogil:
    """`emit` without a call where there is room."""
    cdef uint32_t n = b.ssa.n_nodes
    cdef Node* at
    if n >= b.ssa.cap_nodes or n >= b.ssa.cap_positions:
        return b.emit(op, type, x, y, z)
    at = &b.ssa.nodes[n]
    at.op = op
    at.type = type
    at.flags = 0
    at.a = x
    at.b = y
    at.c = z
    b.ssa.positions[n] = <uint32_t>(b.at - b.base)
    b.ssa.n_nodes = n + 1
    return n

cdef inline int put_value(Builder b, uint32_t value) noexcept nogil:
    """Push a value. The main loop made room."""
    b.values[b.sp] = value
    b.sp += 1
    return 0

cdef inline uint32_t put_constant(Builder b, uint8_t type, uint64_t bits) except? 0xFFFFFFFF nogil:
    """A constant's node."""
    return put_node(b, IR_CONST, type, <uint32_t>bits, <uint32_t>(bits >> 32), NO_VALUE)

cdef inline int put_local(Builder b, uint32_t local, uint32_t value) except -1 nogil:
    """`set_local`; a call only where the log needs an entry."""
    if b.n_frames > 1 and b.stamps[local] <= b.frames[b.n_frames - 1].log_start:
        return b.set_local(local, value)
    b.locals[local] = value
    return 0
