# strata: hot
"""The building walk over a validated function body: WebAssembly to SSA, without the GIL.

Every method is a row or a few that go the same way; ``build.py`` has frames, joins, locals and edges. Nothing is
checked: the validating walk (``module/validate_walk.py``) read the same bytes before, when the module was loaded or,
where its bodies are vouched for, just now.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.base.failures import Failure, fail_by, fail_wrong
from cython.cimports.stratavm.base.leb import leb_s32, leb_s33, leb_s64, leb_u32, leb_u64
from cython.cimports.stratavm.front.wasm.build import (
    BK_ARM,
    BK_BLOCK,
    BK_TRY,
    BK_TRY_BODY,
    BuildFrame,
    put_constant,
    put_local,
    put_node,
    put_value,
    value_type,
)
from cython.cimports.stratavm.front.wasm.walk_objects import object_row
from cython.cimports.stratavm.ir.ops import *
from cython.cimports.stratavm.ir.prune import Pruner
from cython.cimports.stratavm.ir.ssa import (
    IR_BR_IF,
    IR_CAUGHT,
    IR_CONST_V128,
    IR_EXN,
    IR_TAG,
    IR_THROW,
    IR_THROW_REF,
    NO_VALUE,
    T_I32,
    T_I64,
    T_NONE,
    T_REF,
    T_V128,
    Ssa,
)
from cython.cimports.stratavm.module._gen_walk_kinds import *
from cython.cimports.stratavm.module.valid import Bodies, Context, TypeFact, ValidBody, kept_ref
from cython.cimports.stratavm.module.validate_walk import ValidateWalk
from cython.cimports.stratavm.module.walk import row_behind

from stratavm.base.errors import TRAPS_BY_NAME, ValidationError

TRAP_UNREACHABLE = cython.declare(uint32_t, TRAPS_BY_NAME["unreachable"].code)
TRAP_UNALIGNED_ATOMIC = cython.declare(uint32_t, TRAPS_BY_NAME["unaligned_atomic"].code)
TRAP_NOT_SHARED = cython.declare(uint32_t, TRAPS_BY_NAME["not_shared"].code)
SHAPES = cython.declare(uint32_t, 7)
"""Widths of atomic accesses: rows of one meaning follow each other in their order."""
CATCH_ALL = cython.declare(uint32_t, 2)  # kinds of clauses from here on name no tag
NEAR_WORDS = cython.declare(uint32_t, 32)
"""Words of constants that are looked through for equal ones."""
WITH_REF = cython.declare(uint32_t, 1)  # bit of those that give a reference, too


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_invalid(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """A body that was vouched for is not what was said of it."""
    raise ValidationError(
        "a function that was found to be valid before is not", func=failure.details[0], offset=failure.details[1],
        hint="did the file of the module change?",
    )  # fmt: skip


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def type_of(shape: uint32_t) -> uint8_t:
    """The type of an atomic access's value."""
    return T_I32 if shape == 0 or shape == 2 or shape == 3 else T_I64


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def load_of(shape: uint32_t) -> uint16_t:
    """The load of an atomic access's width."""
    if shape < 2:
        return OP_I64_LOAD if shape else OP_I32_LOAD
    if shape < 4:
        return OP_I32_LOAD8_U if shape == 2 else OP_I32_LOAD16_U
    return OP_I64_LOAD8_U if shape == 4 else OP_I64_LOAD16_U if shape == 5 else OP_I64_LOAD32_U


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def store_of(shape: uint32_t) -> uint16_t:
    """The store of an atomic access's width."""
    if shape < 2:
        return OP_I64_STORE if shape else OP_I32_STORE
    if shape < 4:
        return OP_I32_STORE8 if shape == 2 else OP_I32_STORE16
    return OP_I64_STORE8 if shape == 4 else OP_I64_STORE16 if shape == 5 else OP_I64_STORE32


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def change_of(change: uint32_t, wide: cython.bint) -> uint16_t:
    """The operation between a load and a store: add, sub, and, or, xor are numbers 2 to 6."""
    if change == 2:
        return OP_I64_ADD if wide else OP_I32_ADD
    if change == 3:
        return OP_I64_SUB if wide else OP_I32_SUB
    if change == 4:
        return OP_I64_AND if wide else OP_I32_AND
    if change == 5:
        return OP_I64_OR if wide else OP_I32_OR
    return OP_I64_XOR if wide else OP_I32_XOR


@cython.cclass
class BuildWalk(Builder):
    """The walk over one body's instructions."""

    def __init__(self, ssa: Ssa, context: Context, bodies: Bodies, fuel: bool, prune: bool) -> None:
        super().__init__(ssa, context, bodies, fuel)
        self.pruner = Pruner(ssa) if prune else None
        self.checker = ValidateWalk(context, bodies) if bodies.vouched else None

    def __dealloc__(self):
        free(self.own_chunk.loops)
        free(self.own_chunk.assigned)

    def build(self, defined):
        """Build the SSA form of a defined function; with ``fuel``, charge every basic block."""
        if defined >= self.bodies.n:
            fail_wrong(b"defined function {} of {}", defined, self.bodies.n)
        if self.bodies.vouched:
            self.examine(defined)
            self.begin(cython.address(self.own), cython.address(self.own_chunk))
        else:
            body: cython.pointer(ValidBody) = cython.address(self.bodies.items[defined])
            self.begin(body, cython.address(self.bodies.chunks[body.chunk]))
        self.run()
        return 0 if self.pruner is None else self.pruner.prune()

    def examine(self, defined):
        """Validate a body, and find its facts: of this walk alone, since several threads may build it at once."""
        self.own = self.bodies.items[defined]
        self.own_chunk.n_loops = self.own_chunk.n_assigned = 0
        if self.checker.examine(cython.address(self.own), cython.address(self.own_chunk)):
            fail_by(raise_invalid, b"", self.checker.fault_func, self.checker.fault_at)
        return 0

    def is_short(self, defined, most):
        """Whether a function has at most so many bytes of instructions."""
        if defined >= self.bodies.n:
            return 0
        return self.bodies.items[defined].end - self.bodies.items[defined].start <= most

    # ---- immediates ----------------------------------------------------------------------------

    def index(self):
        """An unsigned 32-bit immediate."""
        return leb_u32(cython.address(self.p), self.end, cython.address(self.leb))

    def prefixed(self, prefix):
        """The row of an opcode behind a prefix byte."""
        return row_behind(prefix, self.index())

    def block_type(self):
        """Read a block type into ``params`` and ``results``."""
        at: cython.pointer(TypeFact)
        byte: uint8_t
        byte = self.p[0]
        self.n_params = self.n_results = 0
        self.params = self.results = cython.NULL
        if byte == 0x40:
            self.p += 1
            return 0
        if byte == 0x63 or byte == 0x64:
            self.p += 1
            self.n_results = 1
            self.results = kept_ref(
                self.context,
                byte == 0x64,
                leb_s33(cython.address(self.p), self.end, cython.address(self.leb)),
            )
            return 0
        if byte & 0xC0 == 0x40:
            self.p += 1
            self.n_results = 1
            self.results = cython.address(self.context.singles[byte])
            return 0
        index: int64_t = leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
        at = cython.address(self.context.types[index])
        self.params, self.n_params = at.params, at.n_params
        self.results, self.n_results = at.results, at.n_results
        return 0

    # ---- structured control --------------------------------------------------------------------

    def block(self):
        """``block``, ``loop``, ``if``."""
        op: uint32_t = self.op
        self.block_type()
        if op == OP_IF:
            self.sp -= 1
            return self.enter_if(self.values[self.sp], self.params, self.n_params, self.results, self.n_results)
        if op == OP_LOOP:
            return self.enter_loop(self.params, self.n_params, self.results, self.n_results)
        return self.enter(BK_BLOCK, self.params, self.n_params, self.results, self.n_results)

    def branch(self):
        """``br`` and ``br_if``."""
        depth: uint32_t = self.index()
        if self.op == OP_BR_IF:
            self.sp -= 1
            return self.branch_if(self.values[self.sp], depth)
        return self.branch_to(depth)

    def branch_null(self):
        """``br_on_null`` and ``br_on_non_null``: a branch on a comparison. The reference stays where it is not null."""
        depth: uint32_t = self.index()
        reference: uint32_t = self.values[self.sp - 1]
        null: uint32_t = put_node(self, OP_REF_IS_NULL, T_I32, reference, NO_VALUE, NO_VALUE)
        if self.op == OP_BR_ON_NULL:
            self.sp -= 1
            self.branch_if(null, depth)
            return put_value(self, reference)
        self.branch_unless(null, depth)
        self.sp -= 1
        return 0

    def branch_table(self):
        """``br_table``: every label has the arity of the default."""
        count: uint32_t = self.index()
        i: uint32_t = 0
        depth: uint32_t
        self.sp -= 1
        self.open_table(self.values[self.sp])
        while True:
            depth = self.index()
            self.table_edge(depth)
            if i == count:
                break
            i += 1
        return self.close_table(count + 1)

    # ---- calls ---------------------------------------------------------------------------------

    def call(self):
        """``call`` and ``return_call``."""
        func: uint32_t = self.index()
        if self.op == OP_RETURN_CALL and func == self.body.func:
            return self.go_again()
        return self.emit_call(self.context.func_types[func], func, 0, 0)

    def call_indirect(self):
        """``call_indirect`` and ``return_call_indirect``."""
        type: uint32_t = self.index()
        table: uint32_t = self.index()
        return self.emit_call(type, type, table, 1)

    def call_ref(self):
        """``call_ref`` and ``return_call_ref``."""
        type: uint32_t = self.index()
        return self.emit_call(type, type, 0, 1)

    # ---- exceptions ----------------------------------------------------------------------------

    def try_block(self):
        """``try_table`` and ``try``. What has no clauses is a block."""
        is_table: cython.bint = self.op == OP_TRY_TABLE
        frame: cython.pointer(BuildFrame)
        self.block_type()
        before: cython.pointer(cython.const[uint8_t]) = self.p
        if is_table:
            self.skip_clauses()
            if before[0] == 0:
                return self.enter(BK_BLOCK, self.params, self.n_params, self.results, self.n_results)
        self.enter(BK_TRY if is_table else BK_TRY_BODY, self.params, self.n_params, self.results, self.n_results)
        frame = cython.address(self.frames[self.n_frames - 1])
        frame.clauses = before if is_table else cython.NULL
        frame.outer = self.tries
        self.tries = self.n_frames
        return 0

    def skip_clauses(self):
        """Pass over the clauses of a ``try_table``."""
        count: uint32_t = self.index()
        kind: uint8_t
        while count > 0:
            kind = self.p[0]
            self.p += 1
            if kind < CATCH_ALL:
                self.index()
            self.index()
            count -= 1
        return 0

    def throw(self):
        """``throw``, ``throw_ref``, ``rethrow``. What is caught here without a reference to it is a branch."""
        depth: uint32_t = 0
        bare: cython.bint = False
        x: uint32_t = 0
        if self.op == OP_THROW:
            x = self.index()
            count: uint32_t = self.context.types[self.context.tag_types[x]].n_params
            if self.caught_here(x, cython.address(depth), cython.address(bare)):
                if bare:
                    self.sp -= count
                return self.branch_to(depth)
            return self.never_returns(self.wide(IR_THROW, T_NONE, count, x, 0))
        if self.op == OP_THROW_REF:
            self.sp -= 1
            x = self.values[self.sp]
        else:
            x = self.frames[self.n_frames - 1 - self.index()].exn
        return self.never_returns(put_node(self, IR_THROW_REF, T_NONE, x, NO_VALUE, NO_VALUE))

    def caught_here(self, tag, depth, bare):
        """Whether a clause around catches a tag for sure, and gives no reference: where to (a label's depth), and
        whether without the values. Two tags may be one; so what comes first and is of another decides nothing."""
        frame: cython.pointer(BuildFrame)
        start: cython.pointer(cython.const[uint8_t]) = self.p
        kind: uint32_t
        count: uint32_t
        number: uint32_t
        found: cython.bint = False
        if self.tries == 0 or self.frames[self.tries - 1].clauses == cython.NULL:
            return False
        frame = cython.address(self.frames[self.tries - 1])
        self.p = frame.clauses
        count = self.index()
        kind = self.p[0]
        self.p += 1
        number = self.index() if kind < CATCH_ALL else tag
        if count > 0 and number == tag and not kind & WITH_REF:
            found = True
            bare[0] = kind == CATCH_ALL
            depth[0] = self.n_frames - self.tries + 1 + self.index()
        self.p = start
        return found

    def end_try(self, frame):
        """``end`` of a try: what arrives with an exception looks for its clause, or goes on to a try around."""
        if frame.kind != BK_ARM:
            self.tries = frame.outer
        if self.live and (frame.n_thrown != 0 or frame.else_edge != NO_VALUE):
            self.fall_through(frame)
            self.live = False
        if frame.kind == BK_ARM:
            if frame.else_edge != NO_VALUE and self.next_arm(frame):
                self.pass_on(self.tries)
        elif frame.n_thrown != 0:
            self.land(frame)
            if frame.clauses != cython.NULL:
                self.dispatch(frame)
            if self.live:
                self.pass_on(self.tries)
        return 0

    def dispatch(self, frame):
        """The clauses of a ``try_table``, where its exceptions arrive: labels count from around it."""
        at: cython.pointer(cython.const[uint8_t]) = self.p
        kind: uint32_t
        tag: uint32_t
        edge: uint32_t
        count: uint32_t
        self.p = frame.clauses
        count = self.index()
        while count > 0 and self.live:
            count -= 1
            kind = self.p[0]
            self.p += 1
            if kind < CATCH_ALL:
                tag = self.index()
                edge = self.test_tag(tag)
                self.clause(kind, tag, self.index())
                self.otherwise(edge)
                self.sp = frame.height
            else:
                self.clause(kind, 0, self.index())
        self.p = at
        return 0

    def clause(self, kind, tag, label):
        """The branch of a clause, with what it gives."""
        exception: uint32_t = NO_VALUE
        if kind & WITH_REF:
            exception = put_node(self, IR_EXN, T_REF, NO_VALUE, NO_VALUE, NO_VALUE)
        if kind < CATCH_ALL:
            self.push_payload(tag)
        if kind & WITH_REF:
            self.push(exception)
        return self.branch_to(label + 1)

    def test_tag(self, tag):
        """Ask whether the exception in flight has a tag: it has in the next block, and not where the edge leads."""
        found: uint32_t = put_node(self, IR_CAUGHT, T_I64, NO_VALUE, NO_VALUE, 0)
        wanted: uint32_t = put_node(self, IR_TAG, T_I64, NO_VALUE, NO_VALUE, tag)
        same: uint32_t = put_node(self, OP_I64_EQ, T_I32, found, wanted, NO_VALUE)
        then: uint32_t = self.ssa.edge(self.ssa.n_blocks, self.ssa.n_args, 0)
        edge: uint32_t = self.ssa.edge(NO_VALUE, self.ssa.n_args, 0)
        self.emit(IR_BR_IF, T_NONE, same, then, edge)
        self.late_block()
        return edge

    def otherwise(self, edge):
        """Open the block of an edge that ``test_tag`` gave."""
        self.ssa.edges[edge].target = self.late_block()
        self.live = True
        return 0

    def push_payload(self, tag):
        """The values of the exception in flight, which has this tag."""
        i: uint32_t
        at: cython.pointer(TypeFact) = cython.address(self.context.types[self.context.tag_types[tag]])
        self.spend(at.n_params)
        self.grow(at.n_params + 16)
        for i in range(at.n_params):
            self.push(self.emit(IR_CAUGHT, value_type(at.params[i]), NO_VALUE, NO_VALUE, 1 + i))
        return 0

    def catch_arm(self):
        """``catch`` and ``catch_all``: an arm of a ``try``, tested in their order."""
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1])
        i: uint32_t
        tag: uint32_t = self.index() if self.op == OP_CATCH else 0
        if self.live:
            self.fall_through(frame)
            self.live = False
        if frame.kind == BK_TRY_BODY:
            frame.kind = BK_ARM
            self.tries = frame.outer
            if frame.n_thrown != 0:
                self.land(frame)
                frame.saved = self.n_stash
                for i in range(frame.log_start, self.n_log):
                    if self.log[i].local != NO_VALUE:
                        self.stash_put(self.log[i].local)
                        self.stash_put(self.locals[self.log[i].local])
                        frame.n_saved += 1
        elif frame.else_edge != NO_VALUE:
            self.next_arm(frame)
        if self.live:
            if self.op == OP_CATCH:
                frame.else_edge = self.test_tag(tag)
            frame.exn = put_node(self, IR_EXN, T_REF, NO_VALUE, NO_VALUE, NO_VALUE)
            if self.op == OP_CATCH:
                self.push_payload(tag)
        return self.next_charge()

    def next_arm(self, frame):
        """Where the arm before is not the one: the locals are what they were as the exception arrived. Always true."""
        i: uint32_t
        edge: uint32_t = frame.else_edge
        frame.else_edge = NO_VALUE
        self.undo(frame.log_start)
        for i in range(frame.n_saved):
            self.set_local(self.stash[frame.saved + 2 * i], self.stash[frame.saved + 2 * i + 1])
        self.sp = frame.height
        self.otherwise(edge)
        return True

    def delegate(self):
        """``delegate``: the end of a ``try`` whose exceptions go on at a label around it."""
        frame: cython.pointer(BuildFrame) = cython.address(self.frames[self.n_frames - 1])
        around: uint32_t = self.n_frames - 1 - self.index()  # 1 + the frame of the label
        to: uint32_t = frame.outer
        while to > around:
            to = self.frames[to - 1].outer
        self.tries = frame.outer
        if frame.n_thrown != 0:
            if self.live:
                self.fall_through(frame)
            self.land(frame)
            self.pass_on(to)
        frame.kind = BK_BLOCK
        return self.end_block()

    # ---- code that no live edge reaches ----------------------------------------------------

    def skip_types(self):
        """Pass over a vector of value types."""
        count: uint32_t = self.index()
        while count > 0:
            self.skip_type()
            count -= 1
        return 0

    def skip_type(self):
        """Pass over a value type or a block type."""
        byte: uint8_t = self.p[0]
        leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
        if byte == 0x63 or byte == 0x64:
            leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
        return 0

    def skip_immediates(self, imms):
        """Pass over the immediates of a row."""
        kind: uint32_t
        count: uint32_t
        while imms != 0:
            kind = imms & 0xFF
            imms >>= 8
            if kind == IMM_BLOCKTYPE:
                self.skip_type()
            elif kind == IMM_VALTYPES:
                self.skip_types()
            elif kind == IMM_F32:
                self.p += 4
            elif kind == IMM_F64:
                self.p += 8
            elif kind == IMM_V128 or kind == IMM_LANES16:
                self.p += 16
            elif kind == IMM_LANE or kind == IMM_CASTFLAGS or kind == IMM_ZERO:
                self.p += 1
            elif kind == IMM_LABELS:
                count = self.index()
                while count > 0:
                    self.index()
                    count -= 1
                self.index()
            elif kind == IMM_CATCHES:
                self.skip_clauses()
            elif kind == IMM_MEMARG:
                if self.index() & 0x40:
                    self.index()
                leb_u64(cython.address(self.p), self.end, cython.address(self.leb))
            else:
                leb_s64(cython.address(self.p), self.end, cython.address(self.leb))
        return 0

    def skip_dead(self):
        """Pass over instructions up to the frame's own ``else``, ``catch`` or ``end``. Nested frames are counted."""
        depth: uint32_t = 0
        op: uint32_t
        before: cython.pointer(cython.const[uint8_t])
        while self.p < self.end:
            before = self.p
            self.p += 1
            op = before[0] if before[0] < FIRST_PREFIX else self.prefixed(before[0])
            if op == OP_END or op == OP_ELSE or op == OP_CATCH or op == OP_CATCH_ALL or op == OP_DELEGATE:
                if depth == 0:
                    self.p = before
                    break
                if op == OP_END or op == OP_DELEGATE:
                    depth -= 1
            elif op == OP_BLOCK or op == OP_LOOP or op == OP_IF or op == OP_TRY_TABLE or op == OP_TRY:
                depth += 1
                if op == OP_LOOP:
                    self.loop += 1
            self.skip_immediates(OP_IMMS[op])
        return 0

    # ---- the loop ------------------------------------------------------------------------------

    def run(self):
        """Walk from the first instruction to the end of the function."""
        op: uint32_t
        kind: uint32_t
        byte: uint8_t
        while True:
            if not self.live:
                self.skip_dead()
            self.at = self.p
            byte = self.p[0]
            self.p += 1
            op = byte if byte < FIRST_PREFIX else self.prefixed(byte)
            self.op = op
            if self.sp + 16 > self.cap_values:
                self.grow(64)
            self.cost += OP_FUEL[op]
            kind = WALK_KINDS[op]
            if kind == WK_PLAIN:
                if self.plain():
                    return 1
            elif kind == WK_EXPAND:
                self.expand(op)
            elif kind == WK_LOCAL:
                if self.local_access():
                    return 1
            elif kind == WK_CONST:
                if self.constant_op():
                    return 1
            elif kind == WK_ACCESS:
                if self.memory_access():
                    return 1
            elif kind == WK_GLOBAL:
                if self.global_access():
                    return 1
            elif kind == WK_BLOCK:
                if self.block():
                    return 1
            elif kind == WK_ELSE:
                if self.else_arm():
                    return 1
            elif kind == WK_END:
                if self.end_block():
                    return 1
                if self.n_frames == 0:
                    return self.finish()
            elif kind == WK_BRANCH:
                if self.branch():
                    return 1
            elif kind == WK_BR_TABLE:
                if self.branch_table():
                    return 1
            elif kind == WK_CALL:
                if self.call():
                    return 1
            elif kind == WK_CALL_INDIRECT:
                if self.call_indirect():
                    return 1
            elif kind == WK_CALL_REF:
                if self.call_ref():
                    return 1
            elif kind == WK_BRANCH_NULL:
                if self.branch_null():
                    return 1
            elif kind == WK_RETURN:
                self.emit_return()
            elif kind == WK_UNREACHABLE:
                self.emit_trap(TRAP_UNREACHABLE)
            elif kind == WK_DROP:
                self.sp -= 1
            elif kind == WK_SELECT:
                if self.select():
                    return 1
            elif kind == WK_MEMORY:
                if self.bulk_memory():
                    return 1
            elif kind == WK_TABLE:
                if self.table_access():
                    return 1
            elif kind == WK_BULK_TABLE:
                if self.bulk_table():
                    return 1
            elif kind == WK_REFERENCE:
                if self.reference():
                    return 1
            elif kind == WK_ATOMIC:
                if self.atomic():
                    return 1
            elif kind == WK_VECTOR_ACCESS:
                if self.vector_access():
                    return 1
            elif kind == WK_LANE or kind == WK_LANES or kind == WK_V128:
                if self.lanes(kind):
                    return 1
            elif kind == WK_TRY_TABLE or kind == WK_TRY:
                if self.try_block():
                    return 1
            elif kind == WK_THROW or kind == WK_THROW_REF or kind == WK_RETHROW:
                if self.throw():
                    return 1
            elif kind == WK_CATCH or kind == WK_CATCH_ALL:
                if self.catch_arm():
                    return 1
            elif kind == WK_DELEGATE:
                if self.delegate():
                    return 1
                if self.n_frames == 0:
                    return self.finish()
            elif kind == WK_OBJECT or kind == WK_BRANCH_CAST:
                if object_row(self):
                    return 1
            elif kind == WK_UNKNOWN:
                return self.refuse(op)

    # ---- other rows: immediates, operands, results ---------------------------------------------

    def select(self):
        """``select``, with and without a type."""
        if self.op == OP_SELECT_T:
            self.skip_types()
        self.sp -= 2
        self.values[self.sp - 1] = put_node(
            self,
            OP_SELECT,
            self.ssa.nodes[self.values[self.sp - 1]].type,
            self.values[self.sp - 1],
            self.values[self.sp],
            self.values[self.sp + 1],
        )
        return 0

    def global_access(self):
        """``global.get`` and ``global.set``."""
        x: uint32_t = self.index()
        if self.op == OP_GLOBAL_GET:
            return put_value(
                self, put_node(self, OP_GLOBAL_GET, value_type(self.context.globals[x].type), NO_VALUE, NO_VALUE, x)
            )
        self.sp -= 1
        put_node(self, OP_GLOBAL_SET, T_NONE, self.values[self.sp], NO_VALUE, x)
        return 0

    def table_access(self):
        """``table.get``, ``set``, ``size``, ``grow``, ``fill``."""
        x: uint32_t = self.index()
        address: uint8_t = T_I64 if self.context.tables[x].is64 else T_I32
        if self.op == OP_TABLE_GET:
            self.values[self.sp - 1] = put_node(self, OP_TABLE_GET, T_REF, self.values[self.sp - 1], NO_VALUE, x)
        elif self.op == OP_TABLE_SET:
            self.sp -= 2
            put_node(self, OP_TABLE_SET, T_NONE, self.values[self.sp], self.values[self.sp + 1], x)
        elif self.op == OP_TABLE_SIZE:
            put_value(self, put_node(self, OP_TABLE_SIZE, address, NO_VALUE, NO_VALUE, x))
        elif self.op == OP_TABLE_GROW:
            put_value(self, self.wide(OP_TABLE_GROW, address, 2, x, 0))
        else:
            self.wide(OP_TABLE_FILL, T_NONE, 3, x, 0)
        return 0

    def bulk_table(self):
        """``table.init``, ``table.copy``, ``elem.drop``."""
        x: uint32_t = self.index()
        y: uint32_t = 0
        if self.op != OP_ELEM_DROP:
            y = self.index()
        if self.op == OP_ELEM_DROP:
            put_node(self, OP_ELEM_DROP, T_NONE, NO_VALUE, NO_VALUE, x)
        else:
            self.wide(self.op, T_NONE, 3, x, y)
        return 0

    def bulk_memory(self):
        """``memory.size``, ``grow``, ``init``, ``copy``, ``fill`` and ``data.drop``."""
        x: uint32_t = self.index()
        y: uint32_t = 0
        if self.op == OP_MEMORY_INIT or self.op == OP_MEMORY_COPY:
            y = self.index()
        if self.op == OP_DATA_DROP:
            put_node(self, OP_DATA_DROP, T_NONE, NO_VALUE, NO_VALUE, x)
        elif self.op == OP_MEMORY_SIZE:
            put_value(self, put_node(self, OP_MEMORY_SIZE, self.address_type(x), NO_VALUE, NO_VALUE, x))
        elif self.op == OP_MEMORY_GROW:
            self.values[self.sp - 1] = put_node(
                self, OP_MEMORY_GROW, self.address_type(x), self.values[self.sp - 1], NO_VALUE, x
            )
        else:
            self.wide(self.op, T_NONE, 3, x, y)
        return 0

    def reference(self):
        """``ref.null``, ``ref.is_null``, ``ref.as_non_null``, ``ref.func``."""
        if self.op == OP_REF_AS_NON_NULL:
            self.values[self.sp - 1] = put_node(
                self, OP_REF_AS_NON_NULL, T_REF, self.values[self.sp - 1], NO_VALUE, NO_VALUE
            )
            return 0
        if self.op == OP_REF_IS_NULL:
            self.values[self.sp - 1] = put_node(
                self, OP_REF_IS_NULL, T_I32, self.values[self.sp - 1], NO_VALUE, NO_VALUE
            )
            return 0
        if self.op == OP_REF_NULL:
            leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
            return put_value(self, put_constant(self, T_REF, 0))
        return put_value(self, put_node(self, OP_REF_FUNC, T_REF, NO_VALUE, NO_VALUE, self.index()))

    def address_type(self, memory):
        """The type of a memory's addresses."""
        return T_I64 if self.context.memory64[memory] else T_I32

    def memory_argument(self):
        """Read a memory argument into the form; its number there."""
        align: uint32_t = self.index()
        memory: uint32_t = 0
        offset: uint64_t
        if align & 0x40:
            align &= ~cython.cast(uint32_t, 0x40)
            memory = self.index()
        offset = leb_u64(cython.address(self.p), self.end, cython.address(self.leb))
        return self.ssa.memarg(offset, memory, align)

    def memory_access(self):
        """Loads and stores."""
        return self.access_at(self.memory_argument())

    def access_at(self, memory):
        """One whose memory argument was read."""
        if OP_POPS[self.op] == 2:
            self.sp -= 2
            put_node(self, self.op, T_NONE, self.values[self.sp], self.values[self.sp + 1], memory)
            return 0
        self.values[self.sp - 1] = put_node(
            self, self.op, OP_SIGNATURE[self.op] & 15, self.values[self.sp - 1], NO_VALUE, memory
        )
        return 0

    # ---- vectors -------------------------------------------------------------------------------

    def vector_access(self):
        """Vector loads and stores. One of a lane, of lanes that get wider, or of one value for all lanes is two nodes:
        a narrower access, and what makes a vector of its value or takes it out of one.
        """
        memory: uint32_t = self.memory_argument()
        part: uint16_t = OP_PART[self.op]
        via: uint16_t = OP_VIA[self.op]
        value: uint32_t
        if part == 0:
            return self.access_at(memory)
        if OP_FLAGS[self.op] & OF_STORE:
            self.sp -= 2
            value = put_node(self, via, OP_SIGNATURE[via] & 15, self.values[self.sp + 1], NO_VALUE, self.lane())
            put_node(self, part, T_NONE, self.values[self.sp], value, memory)
            return 0
        self.sp -= OP_POPS[self.op]
        value = put_node(self, part, OP_SIGNATURE[part] & 15, self.values[self.sp], NO_VALUE, memory)
        if OP_POPS[self.op] == 2:
            value = put_node(self, via, T_V128, self.values[self.sp + 1], value, self.lane())
        else:
            value = put_node(self, via, T_V128, value, NO_VALUE, NO_VALUE)
        return put_value(self, value)

    def lane(self):
        """Read the number of a lane."""
        self.p += 1
        return self.p[-1]

    def lanes(self, kind):
        """Constants, shuffles, and what takes a lane out of a vector or replaces it."""
        a: uint32_t = NO_VALUE
        b: uint32_t = NO_VALUE
        self.sp -= OP_POPS[self.op]
        if kind == WK_V128:
            return put_value(self, put_node(self, IR_CONST_V128, T_V128, self.words(), NO_VALUE, NO_VALUE))
        a = self.values[self.sp]
        if OP_POPS[self.op] == 2:
            b = self.values[self.sp + 1]
        a = put_node(self, self.op, OP_SIGNATURE[self.op] & 15, a, b, self.words() if kind == WK_LANES else self.lane())
        return put_value(self, a)

    def words(self):
        """Read sixteen bytes as two words of the form's constants; their number there, which equal ones near share."""
        word: uint64_t[2]
        i: uint32_t
        n: uint32_t = self.ssa.n_constants
        memcpy(word, self.p, 16)
        self.p += 16
        i = n - NEAR_WORDS if n > NEAR_WORDS else 0
        while i < n:
            if self.ssa.constants[i] == word[0] and self.ssa.constants[i + 1] == word[1]:
                return i
            i += 2
        self.ssa.constant(word[0])
        self.ssa.constant(word[1])
        return n

    # ---- atomic instructions: where no other thread sees the memory, they are what they say in turn ----------

    def atomic(self):
        """Atomic loads, stores and changes; what waits and wakes; the fence, which orders nothing for one thread."""
        where: uint32_t
        shape: uint32_t
        change: uint32_t
        if self.op == OP_ATOMIC_FENCE:
            self.p += 1
            if self.context.sharing:
                put_node(self, OP_ATOMIC_FENCE, T_NONE, NO_VALUE, NO_VALUE, NO_VALUE)
            return 0
        where = self.memory_argument()
        self.check_alignment(self.values[self.sp - OP_POPS[self.op]], where)
        if self.context.shared[self.ssa.memargs[where].memory]:
            return self.shared_access(where)
        self.sp -= OP_POPS[self.op]
        if self.op < OP_I32_ATOMIC_LOAD:
            return self.notify_or_wait(where)
        shape = (self.op - OP_I32_ATOMIC_LOAD) % SHAPES
        change = (self.op - OP_I32_ATOMIC_LOAD) // SHAPES
        if change == 0:
            return put_value(self, self.atomic_load(shape, where))
        if change == 1:
            return self.atomic_store(shape, self.values[self.sp + 1], where)
        return self.atomic_change(shape, change, where)

    def shared_access(self, where):
        """One of a memory that other threads see: a node of its own."""
        value: uint32_t = self.wide(self.op, OP_SIGNATURE[self.op] & 15, OP_POPS[self.op], where, 0)
        return put_value(self, value) if OP_PUSHES[self.op] else 0

    def check_alignment(self, address, where):
        """A trap where an address and its offset are no multiple of the width: before bounds are looked at."""
        mask: uint32_t = OP_ACCESS[self.op] - 1
        low: uint32_t = cython.cast(uint32_t, self.ssa.memargs[where].offset) & mask
        if mask == 0:
            return 0
        if self.ssa.nodes[address].type == T_I64:
            address = put_node(self, OP_I32_WRAP_I64, T_I32, address, NO_VALUE, NO_VALUE)
        if low:
            address = put_node(self, OP_I32_ADD, T_I32, address, put_constant(self, T_I32, low), NO_VALUE)
        return self.trap_where(
            put_node(self, OP_I32_AND, T_I32, address, put_constant(self, T_I32, mask), NO_VALUE), TRAP_UNALIGNED_ATOMIC
        )

    def atomic_load(self, shape, where):
        """What the memory has at the address on the stack, zero-extended."""
        return put_node(self, load_of(shape), type_of(shape), self.values[self.sp], NO_VALUE, where)

    def atomic_store(self, shape, value, where):
        """Store a value's low bits at the address on the stack."""
        put_node(self, store_of(shape), T_NONE, self.values[self.sp], value, where)
        return 0

    def atomic_change(self, shape, change, where):
        """Read, compute, write: the result is what was there."""
        old: uint32_t = self.atomic_load(shape, where)
        operand: uint32_t = self.values[self.sp + 1]
        type: uint8_t = type_of(shape)
        equal: uint32_t
        width: uint32_t = 8 * OP_ACCESS[self.op]
        if change == 8:  # cmpxchg: what was there is written again where it is not the low bits of what was expected
            if width < (32 if type == T_I32 else 64):
                equal = put_constant(self, type, (cython.cast(uint64_t, 1) << width) - 1)
                operand = put_node(self, OP_I32_AND if type == T_I32 else OP_I64_AND, type, operand, equal, NO_VALUE)
            equal = put_node(self, OP_I32_EQ if type == T_I32 else OP_I64_EQ, T_I32, old, operand, NO_VALUE)
            operand = put_node(self, OP_SELECT, type, self.values[self.sp + 2], old, equal)
        elif change < 7:
            operand = put_node(self, change_of(change, type == T_I64), type, old, operand, NO_VALUE)
        self.atomic_store(shape, operand, where)
        return put_value(self, old)

    def notify_or_wait(self, where):
        """Nobody waits at a memory that is not shared, and nobody may."""
        shape: uint32_t = 1 if self.op == OP_MEMORY_ATOMIC_WAIT64 else 0
        self.atomic_load(shape, where)  # for its bounds
        if self.op == OP_MEMORY_ATOMIC_NOTIFY:
            return put_value(self, put_constant(self, T_I32, 0))
        return self.emit_trap(TRAP_NOT_SHARED)

    def plain(self):
        """A row whose signature says all: numbers in, numbers out; of the builder's, at most one."""
        op: uint32_t = self.op
        signature: uint32_t = OP_SIGNATURE[op]
        n: uint32_t = OP_POPS[op]
        a: uint32_t = NO_VALUE
        b: uint32_t = NO_VALUE
        c: uint32_t = NO_VALUE
        self.sp -= n
        if n > 0:
            a = self.values[self.sp]
        if n > 1:
            b = self.values[self.sp + 1]
        if n > 2:
            c = self.values[self.sp + 2]
        a = put_node(self, op, signature & 15, a, b, c)
        if OP_PUSHES[op]:
            put_value(self, a)
        return 0

    def constant_op(self):
        """``i32.const`` and its kin."""
        bits: uint64_t = 0
        width: uint32_t
        i: uint32_t
        if self.op == OP_I32_CONST:
            bits = cython.cast(uint32_t, leb_s32(cython.address(self.p), self.end, cython.address(self.leb)))
        elif self.op == OP_I64_CONST:
            bits = cython.cast(uint64_t, leb_s64(cython.address(self.p), self.end, cython.address(self.leb)))
        else:
            width = 4 if self.op == OP_F32_CONST else 8
            for i in range(width):
                bits |= cython.cast(uint64_t, self.p[i]) << 8 * i
            self.p += width
        return put_value(self, put_constant(self, OP_SIGNATURE[self.op] & 15, bits))

    def local_access(self):
        """``local.get``, ``local.set``, ``local.tee``."""
        x: uint32_t = self.index()
        if self.op == OP_LOCAL_GET:
            return put_value(self, self.locals[x])
        put_local(self, x, self.values[self.sp - 1])
        if self.op == OP_LOCAL_SET:
            self.sp -= 1
        return 0
