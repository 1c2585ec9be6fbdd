# strata: hot
"""The cold half of the building walk: frames, joins, locals, edges. ``build.pxd`` says how locals are followed.

No recursion, and time linear in the body but for what the SSA form itself needs: edges times the values that differ. A
budget bounds that product; a body over it is a ``ResourceLimit``, which the tier answers with the oracle.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.failures import Failure, fail_limit, fail_unsupported_by
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.front.wasm._gen_expand import (
    EXPANSION_ENDS,
    EXPANSION_RESULTS,
    EXPANSION_VALUES,
    NO_STEP,
    OP_EXPANSION,
    STEP_OP,
    STEP_OPERANDS,
    STEP_TYPE,
    STEP_WORD,
)
from cython.cimports.stratavm.ir.ops import OP_CALL, OP_CALL_INDIRECT, OP_CALL_REF, OP_POPS, OP_PUSHES
from cython.cimports.stratavm.ir.ssa import (
    BF_LATE,
    BF_LOOP_HEADER,
    IR_BLOCK_PARAM,
    IR_BR,
    IR_BR_IF,
    IR_BR_TABLE,
    IR_CONST,
    IR_CONST_V128,
    IR_FUEL,
    IR_INVOKE,
    IR_NOP,
    IR_PARAM,
    IR_POLL,
    IR_RESULT,
    IR_RETURN,
    IR_THROW_REF,
    IR_TRAP,
    NF_WIDE,
    NO_VALUE,
    T_NONE,
    T_V128,
    Block,
    Ssa,
)
from cython.cimports.stratavm.module.valid import VB_AGAIN, VB_COMPLEX, Chunk, LoopFact, TypeFact

from stratavm.base.errors import TRAPS_BY_NAME, Unsupported
from stratavm.spec.index import BY_ID

TRAP_UNREACHABLE = cython.declare(uint32_t, TRAPS_BY_NAME["unreachable"].code)
AGAIN = cython.declare(uint32_t, 1)  # the block that a tail call of the function itself leads to
# Units of work are words copied: edge arguments, snapshots, results of calls. Programs need at most two per byte.
WORK_FLOOR = cython.declare(uint64_t, 1 << 20)
WORK_PER_BYTE = cython.declare(uint64_t, 16)
WORK_LIMIT = cython.declare(uint64_t, 1 << 25)


@cython.cfunc
@cython.nogil
@cython.exceptval(-1)
def refuse_size(func: uint32_t) -> cython.int:
    """The body needs more edge arguments than the budget allows."""
    return fail_limit(b"ssa_work", b"function {} is too complex to compile", func)


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_unknown(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """What ``refuse`` says."""
    row = BY_ID[failure.details[0]]
    at = failure.details[1]
    raise Unsupported(f"{at:#x}: the compiler does not know {row.mnemonic} yet", feature=row.feature)


@cython.cclass
class Builder:
    """State of one worker: reused from body to body."""

    def __init__(self, ssa: Ssa, context: Context, bodies: Bodies, fuel: bool) -> None:
        super().__init__(ssa)
        self.context = context
        self.bodies = bodies
        self.fuel = fuel

    def __dealloc__(self):
        vec_free(self.values)
        vec_free(self.frames)
        vec_free(self.locals)
        vec_free(self.stamps)
        vec_free(self.current)
        vec_free(self.seen)
        vec_free(self.log)
        vec_free(self.pendings)
        vec_free(self.stash)
        vec_free(self.touched)

    # ---- small things --------------------------------------------------------------------------

    def position(self):
        """Offset of the instruction that is being read, in the binary."""
        return cython.cast(uint32_t, self.at - self.base)

    def emit(self, op, type, a, b, c):
        """Append a node that belongs to the present instruction."""
        return self.ssa.node(op, type, 0, a, b, c, self.position())

    def constant(self, type, bits):
        """Append a constant of up to 64 bits."""
        return self.ssa.node(
            IR_CONST, type, 0, cython.cast(uint32_t, bits), cython.cast(uint32_t, bits >> 32), NO_VALUE, self.position()
        )

    def push(self, value):
        """Push a value; ``grow`` made room."""
        self.values[self.sp] = value
        self.sp += 1
        return 0

    def grow(self, more):
        """Room for ``more`` values: the validator limited the stack."""
        return vec_room(self.values, self.cap_values, self.sp + more)

    def wide(self, op, type, n, x, y):
        """A node whose operands, the top ``n`` values, and two raw immediates lie among the arguments."""
        i: uint32_t
        start: uint32_t = self.ssa.n_args
        self.sp -= n
        for i in range(n):
            self.ssa.arg(self.values[self.sp + i])
        self.ssa.arg(x)
        self.ssa.arg(y)
        return self.ssa.node(op, type, NF_WIDE, NO_VALUE, start, n, self.position())

    def spend(self, units):
        """Count work; refuse a body whose SSA form is out of proportion to it."""
        self.work += units
        if self.work > self.budget:
            return refuse_size(self.body.func)
        return 0

    def stash_put(self, word):
        """Keep a word until its frame ends; returns its index."""
        n: uint32_t = self.n_stash
        vec_room(self.stash, self.cap_stash, n + 1)
        self.stash[n] = word
        self.n_stash = n + 1
        return n

    def next_block(self):
        """Open the next block at the present loop depth."""
        return self.ssa.block(self.loop_depth, 0)

    def refuse(self, op):
        """``Unsupported``: a row that the compiler does not know."""
        return fail_unsupported_by(raise_unknown, op, self.position())

    def expand(self, op):
        """A row that is no node of its own: the nodes of its template, and a value for each result. The template's
        values lie on the stack meanwhile, its operands first.
        """
        results: uint32_t[4]
        number: uint32_t = OP_EXPANSION[op]
        n: uint32_t = OP_POPS[op]
        at: uint32_t = self.sp - n
        step: uint32_t
        i: uint32_t
        self.grow(EXPANSION_VALUES)
        for step in range(EXPANSION_ENDS[number - 1], EXPANSION_ENDS[number]):
            if STEP_OP[step] == IR_CONST:
                self.values[at + n] = self.constant(STEP_TYPE[step], STEP_WORD[step])
            else:
                self.values[at + n] = self.emit(
                    STEP_OP[step],
                    STEP_TYPE[step],
                    self.template_value(at, STEP_OPERANDS[3 * step]),
                    self.template_value(at, STEP_OPERANDS[3 * step + 1]),
                    self.template_value(at, STEP_OPERANDS[3 * step + 2]),
                )
            n += 1
        for i in range(OP_PUSHES[op]):
            results[i] = self.values[at + EXPANSION_RESULTS[4 * number + i]]
        self.sp = at
        for i in range(OP_PUSHES[op]):
            self.push(results[i])
        return self.spend(n)

    def template_value(self, at, number):
        """A value of the template that is expanded."""
        return NO_VALUE if number == NO_STEP else self.values[at + number]

    # ---- start and end of a body ---------------------------------------------------------------

    def begin(self, body, chunk):
        """Empty everything; the entry block with the parameters and the zeros of the locals."""
        i: uint32_t
        at: cython.pointer(TypeFact) = cython.address(self.context.types[body.type_index])
        self.body, self.chunk = body, chunk
        self.base = self.p = self.at = self.context.binary + body.start  # it was validated, so it is there
        self.end = self.context.binary + body.end
        self.sp = self.n_frames = self.n_log = self.n_pendings = self.n_stash = 0
        self.loop = self.loop_depth = self.tables = self.tries = self.op = 0
        self.leb = 0
        self.live = True
        self.work = 0
        self.budget = WORK_FLOOR + WORK_PER_BYTE * (body.end - body.start)
        if self.budget > WORK_LIMIT:
            self.budget = WORK_LIMIT
        self.ssa.clear()
        if body.flags & VB_COMPLEX:
            return refuse_size(body.func)
        self.room_for_locals(body.n_locals)
        self.ssa.func, self.ssa.type_index = body.func, body.type_index
        for i in range(at.n_results):
            self.ssa.result_type(value_type(at.results[i]))
        self.ssa.block(0, 0)
        for i in range(body.n_params):
            self.locals[i] = self.ssa.node(
                IR_PARAM, value_type(at.params[i]), 0, NO_VALUE, NO_VALUE, i, self.position()
            )
        self.ssa.n_params = self.ssa.blocks[0].params = body.n_params
        if body.flags & VB_AGAIN:
            self.open_function()
        self.zero_locals()
        self.charge = NO_VALUE
        self.cost = 0
        self.next_charge()
        return self.enter(BK_FUNC, at.params, 0, at.results, at.n_results)

    def next_charge(self):
        """A basic block of WebAssembly begins: at the function's start, in a loop or an arm of an ``if``, behind the
        ``end`` of anything but a loop, and behind what branches on a condition. What blocks are does not depend on what
        is reached.
        """
        if not self.fuel:
            return 0
        self.close_charge()
        if self.live:
            self.charge = self.emit(IR_FUEL, T_NONE, NO_VALUE, NO_VALUE, 0)
        return 0

    def close_charge(self):
        """A basic block of WebAssembly has ended: say what it costs where it began."""
        if self.charge != NO_VALUE:
            if self.cost == 0:
                self.ssa.nodes[self.charge].op = IR_NOP
            self.ssa.nodes[self.charge].c = self.cost
        self.charge = NO_VALUE
        self.cost = 0
        return 0

    def zero_locals(self):
        """Declared locals start as the zero of their type, one node per type."""
        zeros: uint32_t[8]
        i: uint32_t
        run: uint32_t
        local: uint32_t = self.body.n_params
        type: uint8_t
        for i in range(8):
            zeros[i] = NO_VALUE
        for run in range(self.body.first_run, self.body.first_run + self.body.n_runs):
            type = value_type(self.bodies.runs[run].type)
            if zeros[type] == NO_VALUE and local < self.bodies.runs[run].end:
                if type == T_V128:
                    i = self.ssa.constant(0)
                    self.ssa.constant(0)
                    zeros[type] = self.emit(IR_CONST_V128, type, i, NO_VALUE, NO_VALUE)
                else:
                    zeros[type] = self.constant(type, 0)
            while local < self.bodies.runs[run].end:
                self.locals[local] = zeros[type]
                local += 1
        return 0

    def room_for_locals(self, n):
        """The arrays by local; no entry of theirs survives from the body before."""
        word: cython.size_t = cython.sizeof(uint32_t)
        vec_room(self.locals, self.cap_locals, n)
        vec_room(self.stamps, self.cap_stamps, n)
        vec_room(self.current, self.cap_current, n)
        vec_room(self.touched, self.cap_touched, n)
        if n != 0:
            memset(self.stamps, 0, n * word)
        if self.cap_seen < n or self.joins > (cython.cast(uint32_t, 1) << 30):
            vec_room(self.seen, self.cap_seen, n)
            memset(self.seen, 0, self.cap_seen * cython.sizeof(Seen))
            self.joins = 0
        return 0

    def finish(self):
        """After the function's last ``end``."""
        if self.live:
            self.emit_return()
        self.close_charge()
        self.ssa.blocks[self.ssa.n_blocks - 1].last = self.ssa.n_nodes
        return 0

    # ---- locals --------------------------------------------------------------------------------

    def set_local(self, local, value):
        """Bind a local, and log the old value once for each frame."""
        at: cython.pointer(Change)
        if self.n_frames > 1 and self.stamps[local] <= self.frames[self.n_frames - 1].log_start:
            vec_room(self.log, self.cap_log, self.n_log + 1)
            at = cython.address(self.log[self.n_log])
            at.local = local
            at.before = self.locals[local]
            at.stamp = self.stamps[local]
            self.n_log += 1
            self.stamps[local] = self.n_log
        self.locals[local] = value
        return 0

    def undo(self, position):
        """Give every local the value that it had at a position of the log."""
        at: cython.pointer(Change)
        while self.n_log > position:
            self.n_log -= 1
            at = cython.address(self.log[self.n_log])
            if at.local != NO_VALUE:
                self.locals[at.local] = at.before
                self.stamps[at.local] = at.stamp
        return 0

    def merge(self, start, parent):
        """A frame's part of the log, from ``start``, becomes its parent's, which begins at ``parent``.

        A local may have one entry only: the parent's stays. The shorter part is searched, so that nested frames cost
        n log n altogether.
        """
        i: uint32_t
        to: uint32_t = start
        at: cython.pointer(Change)
        if start == parent:
            return 0
        if self.n_log - start > start - parent:
            for i in range(parent, start):
                at = cython.address(self.log[i])
                if at.local != NO_VALUE and self.stamps[at.local] > start:
                    self.log[self.stamps[at.local] - 1].local = NO_VALUE
                    self.stamps[at.local] = i + 1
            return 0
        for i in range(start, self.n_log):
            at = cython.address(self.log[i])
            if at.local == NO_VALUE:
                continue
            if at.stamp > parent:
                self.stamps[at.local] = at.stamp
            else:
                self.log[to] = at[0]
                to += 1
                self.stamps[self.log[to - 1].local] = to
        self.n_log = to
        return 0

    # ---- frames --------------------------------------------------------------------------------

    def enter(self, kind, params, n_params, results, n_results):
        """Push a frame; its parameters are the top of the stack."""
        at: cython.pointer(BuildFrame)
        vec_room(self.frames, self.cap_frames, self.n_frames + 1)
        at = cython.address(self.frames[self.n_frames])
        at.params, at.n_params = params, n_params
        at.results, at.n_results = results, n_results
        at.height = self.sp - n_params
        at.log_start = self.n_log
        at.first_pending = at.last_pending = NO_VALUE
        at.n_pending = 0
        at.header = at.else_edge = at.table_edge = NO_VALUE
        at.loop = at.saved = at.table = at.n_thrown = at.outer = at.n_saved = 0
        at.first_thrown = at.last_thrown = at.exn = NO_VALUE
        at.clauses = cython.NULL
        at.kind = kind
        self.n_frames += 1
        return 0

    def enter_loop(self, params, n_params, results, n_results):
        """A header block whose parameters are the block's parameters and every local that the loop assigns."""
        i: uint32_t
        local: uint32_t
        first: uint32_t = self.body.first_loop + self.loop
        chunk: cython.pointer(Chunk) = self.chunk
        fact: LoopFact = chunk.loops[first]
        frame: cython.pointer(BuildFrame)
        self.enter(BK_LOOP, params, n_params, results, n_results)
        frame = cython.address(self.frames[self.n_frames - 1])
        frame.loop = first
        frame.header = self.ssa.n_blocks
        self.loop += 1
        i = self.loop_edge(frame)
        self.emit(IR_BR, T_NONE, NO_VALUE, NO_VALUE, i)
        self.loop_depth += 1
        self.ssa.block(self.loop_depth, BF_LOOP_HEADER)
        self.ssa.blocks[frame.header].preds = 1
        self.ssa.blocks[frame.header].params = n_params + fact.count
        for i in range(n_params):
            self.values[frame.height + i] = self.emit(IR_BLOCK_PARAM, value_type(params[i]), NO_VALUE, NO_VALUE, i)
        for i in range(fact.count):
            local = chunk.assigned[fact.first + i]
            self.set_local(
                local,
                self.emit(IR_BLOCK_PARAM, self.ssa.nodes[self.locals[local]].type, NO_VALUE, NO_VALUE, n_params + i),
            )
        self.emit(IR_POLL, T_NONE, NO_VALUE, NO_VALUE, NO_VALUE)
        return self.next_charge()

    def enter_if(self, condition, params, n_params, results, n_results):
        """A branch on the condition; the parameters are kept for the other arm."""
        i: uint32_t
        then: uint32_t
        frame: cython.pointer(BuildFrame)
        self.enter(BK_IF, params, n_params, results, n_results)
        frame = cython.address(self.frames[self.n_frames - 1])
        frame.saved = self.n_stash
        self.spend(n_params)
        for i in range(n_params):
            self.stash_put(self.values[frame.height + i])
        then = self.ssa.edge(self.ssa.n_blocks, self.ssa.n_args, 0)
        frame.else_edge = self.ssa.edge(NO_VALUE, self.ssa.n_args, 0)
        self.emit(IR_BR_IF, T_NONE, condition, then, frame.else_edge)
        self.ssa.blocks[self.next_block()].preds = 1
        return self.next_charge()

    def else_arm(self):
        """The other arm starts from the state at the ``if``."""
        i: uint32_t
        block: uint32_t
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1])
        if self.live:
            self.fall_through(frame)
        self.undo(frame.log_start)
        self.sp = frame.height + frame.n_params
        for i in range(frame.n_params):
            self.values[frame.height + i] = self.stash[frame.saved + i]
        block = self.next_block()
        self.ssa.edges[frame.else_edge].target = block
        self.ssa.blocks[block].preds = 1
        frame.else_edge = NO_VALUE
        frame.kind = BK_ELSE
        self.live = True
        return self.next_charge()

    def fall_through(self, frame):
        """End the block with a branch to the frame's end."""
        edge: uint32_t = self.pending_edge(self.add_pending(frame, self.sp - frame.n_results))
        self.emit(IR_BR, T_NONE, NO_VALUE, NO_VALUE, edge)
        return 0

    def end_block(self):
        """``end``: a join if a branch leads here, else the same block goes on, or the dead code does."""
        pending: uint32_t
        block: cython.pointer(Block)
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1])
        self.ends += 1
        breathe(self.ends)
        if frame.kind >= BK_TRY:
            self.end_try(frame)
        if frame.n_pending != 0 or frame.else_edge != NO_VALUE:
            if self.live:
                self.fall_through(frame)
            if frame.else_edge != NO_VALUE:
                pending = self.link_pending(frame)
                self.pendings[pending].edge = frame.else_edge
                self.pendings[pending].values = frame.saved
            return self.join()
        if not self.live:
            self.undo(frame.log_start)
        elif self.n_frames > 1:
            if self.n_frames == 2:
                self.forget(frame.log_start)
            else:
                self.merge(frame.log_start, self.frames[self.n_frames - 2].log_start)
        self.n_frames -= 1
        if frame.kind == BK_LOOP:
            self.loop_depth -= 1
            block = cython.address(self.ssa.blocks[self.ssa.n_blocks - 1])
            if self.live and block.first == self.ssa.n_nodes:
                block.depth = self.loop_depth
            return 0
        return self.next_charge()

    def forget(self, start):
        """Drop the log from ``start``: the function's own frame keeps none."""
        while self.n_log > start:
            self.n_log -= 1
            if self.log[self.n_log].local != NO_VALUE:
                self.stamps[self.log[self.n_log].local] = 0
        return 0

    # ---- edges ---------------------------------------------------------------------------------

    def link_pending(self, frame):
        """A new branch to the frame's end, without values, snapshot or edge."""
        n: uint32_t = self.n_pendings
        at: cython.pointer(Pending)
        vec_room(self.pendings, self.cap_pendings, n + 1)
        at = cython.address(self.pendings[n])
        at.next = at.edge = NO_VALUE
        at.values = at.snapshot = self.n_stash
        at.n_snapshot = 0
        if frame.n_pending == 0:
            frame.first_pending = n
        else:
            self.pendings[frame.last_pending].next = n
        frame.last_pending = n
        frame.n_pending += 1
        self.n_pendings = n + 1
        return n

    def add_pending(self, frame, values):
        """A branch to the frame's end: the results, from ``values`` on the stack, and what changed since its start."""
        i: uint32_t
        n: uint32_t = self.link_pending(frame)
        self.spend(frame.n_results)
        for i in range(frame.n_results):
            self.stash_put(self.values[values + i])
        if frame.kind != BK_FUNC:
            self.take_snapshot(cython.address(self.pendings[n]), frame.log_start)
        return n

    def take_snapshot(self, pending, log_start):
        """The locals that differ from a frame's start, each once."""
        i: uint32_t
        at: cython.pointer(Change)
        pending.snapshot = self.n_stash
        self.spend(self.n_log - log_start)
        for i in range(log_start, self.n_log):
            at = cython.address(self.log[i])
            if at.local != NO_VALUE and at.stamp <= log_start:
                self.stash_put(at.local)
                self.stash_put(self.locals[at.local])
                pending.n_snapshot += 1
        return 0

    def pending_edge(self, pending):
        """One more edge for a branch to a frame's end; the join gives it target and arguments."""
        edge: uint32_t = self.ssa.edge(self.pendings[pending].edge, 0, 0)
        self.pendings[pending].edge = edge
        return edge

    def loop_edge(self, frame):
        """An edge to a loop's header."""
        i: uint32_t
        start: uint32_t = self.ssa.n_args
        chunk: cython.pointer(Chunk) = self.chunk
        fact: LoopFact = chunk.loops[frame.loop]
        self.spend(frame.n_params + fact.count)
        for i in range(frame.n_params):
            self.ssa.arg(self.values[self.sp - frame.n_params + i])
        for i in range(fact.count):
            self.ssa.arg(self.locals[chunk.assigned[fact.first + i]])
        return self.ssa.edge(frame.header, start, frame.n_params + fact.count)

    def edge_to(self, depth):
        """An edge to a label, with the operands on top of the stack."""
        header: uint32_t
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1 - depth])
        if frame.kind == BK_LOOP:
            header = frame.header
            self.ssa.blocks[header].preds = self.ssa.blocks[header].preds + 1
            return self.loop_edge(frame)
        return self.pending_edge(self.add_pending(frame, self.sp - frame.n_results))

    def branch_to(self, depth):
        """An unconditional branch; what follows is dead."""
        edge: uint32_t
        if depth == self.n_frames - 1:
            return self.emit_return()
        edge = self.edge_to(depth)
        self.emit(IR_BR, T_NONE, NO_VALUE, NO_VALUE, edge)
        self.live = False
        return 0

    def branch_if(self, condition, depth):
        """A conditional branch, and the block that runs where it is not taken."""
        taken: uint32_t = self.edge_to(depth)
        other: uint32_t = self.ssa.edge(self.ssa.n_blocks, self.ssa.n_args, 0)
        self.emit(IR_BR_IF, T_NONE, condition, taken, other)
        self.ssa.blocks[self.next_block()].preds = 1
        return self.next_charge()

    def branch_unless(self, condition, depth):
        """A branch where a condition is zero, and the block that runs where it is not."""
        taken: uint32_t = self.edge_to(depth)
        other: uint32_t = self.ssa.edge(self.ssa.n_blocks, self.ssa.n_args, 0)
        self.emit(IR_BR_IF, T_NONE, condition, other, taken)
        self.ssa.blocks[self.next_block()].preds = 1
        return self.next_charge()

    def open_table(self, index):
        """Begin a ``br_table``: its index, and where its edges start."""
        self.tables += 1
        self.table_index = index
        self.table_first = self.ssa.n_edges
        return 0

    def table_edge(self, depth):
        """One entry of a ``br_table``; entries with the same label share arguments."""
        header: uint32_t
        edge: uint32_t
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1 - depth])
        if frame.kind == BK_LOOP:
            header = frame.header
            self.ssa.blocks[header].preds = self.ssa.blocks[header].preds + 1
            if frame.table == self.tables:
                edge = frame.table_edge
                self.ssa.edge(frame.header, self.ssa.edges[edge].args, self.ssa.edges[edge].nargs)
            else:
                frame.table_edge = self.loop_edge(frame)
        else:
            if frame.table != self.tables:
                frame.table_edge = self.add_pending(frame, self.sp - frame.n_results)
            self.pending_edge(frame.table_edge)
        frame.table = self.tables
        return 0

    def close_table(self, count):
        """End a ``br_table`` of ``count`` edges; what follows is dead."""
        self.emit(IR_BR_TABLE, T_NONE, self.table_index, self.table_first, count)
        self.live = False
        return 0

    def emit_return(self):
        """The function's results are on top of the stack."""
        i: uint32_t
        n: uint32_t = self.frames[0].n_results
        start: uint32_t = self.ssa.n_args
        for i in range(n):
            self.ssa.arg(self.values[self.sp - n + i])
        self.emit(IR_RETURN, T_NONE, NO_VALUE, start, n)
        self.live = False
        return 0

    def emit_trap(self, kind):
        """A trap; what follows is dead."""
        self.emit(IR_TRAP, T_NONE, NO_VALUE, NO_VALUE, kind)
        self.live = False
        return 0

    def trap_where(self, condition, kind):
        """A trap where a condition holds, and the block that runs where it does not."""
        trap: uint32_t = self.ssa.edge(self.ssa.n_blocks, self.ssa.n_args, 0)
        other: uint32_t = self.ssa.edge(self.ssa.n_blocks + 1, self.ssa.n_args, 0)
        self.emit(IR_BR_IF, T_NONE, condition, trap, other)
        self.ssa.blocks[self.next_block()].preds = 1
        self.emit(IR_TRAP, T_NONE, NO_VALUE, NO_VALUE, kind)
        self.ssa.blocks[self.next_block()].preds = 1
        return 0

    def emit_call(self, type, x, y, more):
        """A call; ``more`` operands lie above the arguments (the index of an indirect call, or the reference)."""
        i: uint32_t
        at: cython.pointer(TypeFact) = cython.address(self.context.types[type])
        result: uint8_t = T_NONE
        call: uint32_t
        returns: cython.bint = self.op == OP_CALL or self.op == OP_CALL_INDIRECT or self.op == OP_CALL_REF
        if at.n_results > 0 and returns:
            result = value_type(at.results[0])
        call = self.wide(cython.cast(uint32_t, self.op), result, at.n_params + more, x, y)
        if not returns:
            self.live = False
            return 0
        self.spend(at.n_results)
        self.grow(at.n_results + 16)
        for i in range(at.n_results):
            if i == 0:
                self.push(call)
            else:
                self.push(self.emit(IR_RESULT, value_type(at.results[i]), call, NO_VALUE, i))
        return self.invoke(call) if self.tries else 0

    # ---- exceptions ----------------------------------------------------------------------------

    def swap_ways(self, frame):
        """The branches to a try's end change places with those that exceptions take out of its body."""
        frame.first_pending, frame.first_thrown = frame.first_thrown, frame.first_pending
        frame.last_pending, frame.last_thrown = frame.last_thrown, frame.last_pending
        frame.n_pending, frame.n_thrown = frame.n_thrown, frame.n_pending
        return 0

    def thrown_edge(self, frame):
        """An edge that an exception takes to what looks at it behind a try's body; ``frame`` is 1 + the try's."""
        at: cython.pointer(BuildFrame) = cython.address(self.frames[frame - 1])
        pending: uint32_t
        self.swap_ways(at)
        pending = self.link_pending(at)
        self.take_snapshot(cython.address(self.pendings[pending]), at.log_start)
        self.swap_ways(at)
        return self.pending_edge(pending)

    def invoke(self, call):
        """The ways out of a call in a try's body; the next block is where it returns."""
        thrown: uint32_t = self.thrown_edge(self.tries)
        other: uint32_t = self.ssa.edge(self.ssa.n_blocks, self.ssa.n_args, 0)
        self.emit(IR_INVOKE, T_NONE, call, other, thrown)
        self.ssa.blocks[self.next_block()].preds = 1
        return 0

    def never_returns(self, call):
        """Behind what throws nothing runs."""
        if self.tries:
            self.invoke(call)
        return self.emit_trap(TRAP_UNREACHABLE)

    def late_block(self):
        """Open a block with one way to it, whose code stands behind that of others."""
        block: uint32_t = self.next_block()
        self.ssa.blocks[block].preds = 1
        self.ssa.blocks[block].flags = BF_LATE
        return block

    def land(self, frame):
        """The block where the exceptions of a try's body arrive: locals are what they were at each call."""
        results: uint32_t = frame.n_results
        self.undo(frame.log_start)
        self.swap_ways(frame)
        frame.n_results = 0
        self.meet(frame, BF_LATE)
        frame.n_results = results
        self.swap_ways(frame)
        frame.n_thrown = 0
        self.sp = frame.height
        self.live = True
        return 0

    def end_try(self, frame):
        """``end`` of a try: nobody comes to the block behind it but who branched there. The walk knows how."""
        return 0

    def pass_on(self, frame):
        """The exception at hand goes on to a try around (1 + its frame), or out of the function (0)."""
        edge: uint32_t
        if frame == 0:
            self.emit(IR_THROW_REF, T_NONE, NO_VALUE, NO_VALUE, NO_VALUE)
            return self.emit_trap(TRAP_UNREACHABLE)
        edge = self.thrown_edge(frame)
        self.emit(IR_BR, T_NONE, NO_VALUE, NO_VALUE, edge)
        self.live = False
        return 0

    def open_function(self):
        """Tail calls of the function itself are ways back to a loop, which begins behind the parameters and has as many
        of its own. What a call would set anew is set in it."""
        i: uint32_t
        edge: uint32_t = self.again_edge(self.locals)
        self.emit(IR_BR, T_NONE, NO_VALUE, NO_VALUE, edge)
        self.loop_depth += 1
        self.ssa.block(self.loop_depth, BF_LOOP_HEADER)
        self.ssa.blocks[AGAIN].params = self.body.n_params
        self.ssa.blocks[AGAIN].preds = 1
        for i in range(self.body.n_params):
            self.locals[i] = self.emit(IR_BLOCK_PARAM, self.ssa.nodes[i].type, NO_VALUE, NO_VALUE, i)
        self.emit(IR_POLL, T_NONE, NO_VALUE, NO_VALUE, NO_VALUE)
        return 0

    def again_edge(self, values):
        """An edge to that loop."""
        i: uint32_t
        start: uint32_t = self.ssa.n_args
        self.spend(self.body.n_params)
        for i in range(self.body.n_params):
            self.ssa.arg(values[i])
        return self.ssa.edge(AGAIN, start, self.body.n_params)

    def go_again(self):
        """A tail call of the function itself; what follows is dead."""
        edge: uint32_t = self.again_edge(self.values + (self.sp - self.body.n_params))
        self.emit(IR_BR, T_NONE, NO_VALUE, NO_VALUE, edge)
        self.ssa.blocks[AGAIN].preds = self.ssa.blocks[AGAIN].preds + 1
        self.live = False
        return 0

    # ---- joins ---------------------------------------------------------------------------------

    def join(self):
        """The block at a frame's end. Parameters: the results, then the locals, that differ between the edges."""
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1])
        self.undo(frame.log_start)
        self.n_frames -= 1
        self.meet(frame, 0)
        self.sp = frame.height + frame.n_results
        self.live = True
        return self.next_charge()

    def meet(self, frame, flags):
        """The block where the branches to a frame's end meet; its number."""
        i: uint32_t
        block: uint32_t
        kept: uint32_t = self.n_stash  # indices of the results that are parameters go to the stash
        differing: uint32_t
        self.compare_snapshots(frame)
        differing = self.n_touched
        block = self.next_block()
        self.ssa.blocks[block].flags = flags
        self.join_results(frame, block)
        for i in range(differing):
            self.current[self.touched[i]] = self.emit(
                IR_BLOCK_PARAM,
                self.ssa.nodes[self.seen[self.touched[i]].value].type,
                NO_VALUE,
                NO_VALUE,
                self.ssa.blocks[block].params,
            )
            self.ssa.blocks[block].params = self.ssa.blocks[block].params + 1
        self.fill_edges(frame, block, kept, differing)
        for i in range(differing):
            self.set_local(self.touched[i], self.seen[self.touched[i]].value)
        return block

    def compare_snapshots(self, frame):
        """Set the locals on which all edges agree; leave those that differ in ``touched``.

        The locals have the values of the frame's start, which an edge without an entry keeps.
        """
        i: uint32_t
        local: uint32_t
        value: uint32_t
        kept: uint32_t = 0
        pending: uint32_t = frame.first_pending
        at: cython.pointer(Pending)
        seen: cython.pointer(Seen)
        self.joins += 1
        self.n_touched = 0
        while pending != NO_VALUE:
            at = cython.address(self.pendings[pending])
            self.spend(at.n_snapshot)
            for i in range(at.n_snapshot):
                local = self.stash[at.snapshot + 2 * i]
                value = self.stash[at.snapshot + 2 * i + 1]
                seen = cython.address(self.seen[local])
                if seen.join != self.joins:
                    seen.join = self.joins
                    seen.count = 0
                    seen.value = value
                    seen.differs = False
                    self.touched[self.n_touched] = local
                    self.n_touched += 1
                seen.count += 1
                if seen.value != value:
                    seen.differs = True
            pending = at.next
        for i in range(self.n_touched):
            local = self.touched[i]
            seen = cython.address(self.seen[local])
            if seen.count < frame.n_pending and seen.value != self.locals[local]:
                seen.differs = True
            if seen.differs:
                self.touched[kept] = local
                kept += 1
            elif seen.value != self.locals[local]:
                self.set_local(local, seen.value)
        self.n_touched = kept
        return 0

    def join_results(self, frame, block):
        """The results on the stack: a parameter where the edges differ; its index goes to the stash."""
        i: uint32_t
        first: uint32_t
        pending: uint32_t
        differs: cython.bint
        self.spend(cython.cast(uint64_t, frame.n_results) * frame.n_pending)
        self.sp = frame.height
        self.grow(frame.n_results + 16)
        for i in range(frame.n_results):
            first = self.stash[self.pendings[frame.first_pending].values + i]
            differs = False
            pending = self.pendings[frame.first_pending].next
            while pending != NO_VALUE and not differs:
                differs = self.stash[self.pendings[pending].values + i] != first
                pending = self.pendings[pending].next
            if differs:
                self.stash_put(i)
                first = self.emit(
                    IR_BLOCK_PARAM, value_type(frame.results[i]), NO_VALUE, NO_VALUE, self.ssa.blocks[block].params
                )
                self.ssa.blocks[block].params = self.ssa.blocks[block].params + 1
            self.values[frame.height + i] = first
        return 0

    def fill_edges(self, frame, block, kept, differing):
        """Give every edge its target and arguments.

        On entry ``current`` holds the parameter nodes of the differing locals; they move to ``seen.value`` here, and
        ``current`` becomes the values on one edge after another.
        """
        i: uint32_t
        k: uint32_t
        start: uint32_t
        edge: uint32_t
        following: uint32_t
        results: uint32_t = self.ssa.blocks[block].params - differing
        pending: uint32_t = frame.first_pending
        at: cython.pointer(Pending)
        for i in range(differing):
            self.seen[self.touched[i]].value = self.current[self.touched[i]]
        self.spend(cython.cast(uint64_t, self.ssa.blocks[block].params) * frame.n_pending)
        while pending != NO_VALUE:
            at = cython.address(self.pendings[pending])
            for i in range(differing):
                self.current[self.touched[i]] = self.locals[self.touched[i]]
            for k in range(at.n_snapshot):
                self.current[self.stash[at.snapshot + 2 * k]] = self.stash[at.snapshot + 2 * k + 1]
            start = self.ssa.n_args
            for i in range(results):
                self.ssa.arg(self.stash[at.values + self.stash[kept + i]])
            for i in range(differing):
                self.ssa.arg(self.current[self.touched[i]])
            edge = at.edge
            while edge != NO_VALUE:
                following = self.ssa.edges[edge].target
                self.ssa.edges[edge].target = block
                self.ssa.edges[edge].args = start
                self.ssa.edges[edge].nargs = results + differing
                self.ssa.blocks[block].preds = self.ssa.blocks[block].preds + 1
                edge = following
            pending = at.next
        return 0
