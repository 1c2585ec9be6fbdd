# strata: hot
"""What the validating walk stands on: the quick way over plain rows, frames, lists of assigned locals per loop, errors.

Faults are numbers while the GIL is released; ``fault_error`` turns one into the exception that teaches.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.module._gen_walk_kinds import (
    WALK_KINDS,
    WK_ACCESS,
    WK_CONST,
    WK_DROP,
    WK_END,
    WK_EXPAND,
    WK_GLOBAL,
    WK_LOCAL,
    WK_PLAIN,
)
from cython.cimports.stratavm.module.chunks import has_read
from cython.cimports.stratavm.module.valid import TK_ARRAY, VB_CALLS, VB_COMPLEX, VB_LOOPS, TypeFact
from cython.cimports.stratavm.spec._gen_ops import (
    FEAT_EXCEPTIONS,
    FEAT_FUNCTION_REFERENCES,
    FEAT_GC,
    FEAT_MVP,
    FEAT_REFERENCE_TYPES,
    FEAT_SIMD,
    FIRST_PREFIX,
    OP_BLOCK,
    OP_BR_IF,
    OP_CALL,
    OP_F32_CONST,
    OP_F64_CONST,
    OP_GLOBAL_GET,
    OP_I32_CONST,
    OP_LOCAL_GET,
    OP_LOCAL_SET,
    OP_TRY_TABLE,
)
from cython.cimports.stratavm.spec._gen_optables import (
    OP_ACCESS,
    OP_FEATURE,
    OP_POPS,
    OP_PUSHES,
    OP_SIGNATURE,
)

from stratavm.base.errors import DecodeError, ModuleLimit, ValidationError
from stratavm.base.leb import LEB_MESSAGES
from stratavm.module.features import FEATURES, advice, refusal
from stratavm.spec import types as T
from stratavm.spec.index import BY_ID

T_FUNCREF = cython.declare(uint32_t, T.FUNCREF)
T_EXTERNREF = cython.declare(uint32_t, T.EXTERNREF)
V_I32 = cython.declare(uint32_t, T.I32)
V_I64 = cython.declare(uint32_t, T.I64)
K_REF = cython.declare(uint32_t, T.REF)
NO_VALUES = cython.declare(uint32_t, 0x40)  # a block type

# Entries in the lists of assigned locals of one body. Programs stay below 0.1 per byte; hostile ones could multiply.
ASSIGNED_PER_BYTE = cython.declare(uint64_t, 1)
ASSIGNED_FLOOR = cython.declare(uint64_t, 256)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def same_types(
    found: cython.pointer(uint32_t), wanted: cython.pointer(cython.const[uint32_t]), count: uint32_t
) -> cython.bint:
    """Whether two lists of types are the same; subtypes are not."""
    i: uint32_t = 0
    while i < count and found[i] == wanted[i]:
        i += 1
    return i == count


@cython.cclass
class Checker:
    """State of one worker: reused from body to body."""

    def __cinit__(self, context: Context, bodies: Bodies):
        self.context = context
        self.bodies = bodies
        self.generation = 1
        op: uint32_t
        for op in range(FIRST_PREFIX):
            self.choose_quick(op)

    def __dealloc__(self):
        vec_free(self.values)
        vec_free(self.frames)
        vec_free(self.marks)
        vec_free(self.log)
        vec_free(self.is_set)
        vec_free(self.newly_set)

    def fail(self, fault, expected, found):
        """Note the first fault; the caller returns the 1."""
        if self.fault == F_NONE:
            self.fault = fault
            self.fault_op = self.op
            self.expected = expected
            self.found = found
            self.fault_at = self.at - self.context.binary
            self.fault_func = self.body.func
        return 1

    def begin(self, body, chunk):
        """Get ready for a body: the function's frame, the types of its first locals."""
        i: uint32_t
        n: uint32_t = body.n_params if body.n_params < FIRST_LOCALS else FIRST_LOCALS
        run: uint32_t
        self.body = body
        self.chunk = chunk
        self.p = self.at = self.context.binary + body.start
        self.end = self.context.binary + body.end
        self.next_window()
        self.sp = self.n_frames = self.n_log = self.loops = self.tables = self.n_set = 0
        self.has_unset = False
        self.op = 0
        self.leb = 0
        self.work = 0
        self.generation += 1
        if not has_read(self.context.rest, body.start, body.end):
            return self.fail(F_END, NOTHING, NOTHING)
        body.first_loop = chunk.n_loops
        body.n_loops = body.max_stack = body.max_depth = body.flags = 0
        at: cython.pointer(TypeFact) = cython.address(self.context.types[body.type_index])
        for i in range(n):
            self.local_types[i] = at.params[i]
        for run in range(body.first_run, body.first_run + body.n_runs):
            while n < FIRST_LOCALS and n < self.bodies.runs[run].end:
                self.local_types[n] = self.bodies.runs[run].type
                n += 1
            if self.bodies.runs[run].type & 0xFF == K_REF:
                self.has_unset = True
        if self.has_unset:
            self.note_unset()
        return self.enter(FK_FUNC, at.params, 0, at.results, at.n_results)

    def next_window(self):
        """So far the walk goes before it looks at its budget."""
        self.stop = self.p + WINDOW if self.end - self.p > WINDOW else self.end

    def grow(self, more):
        """Room for ``more`` values. The walk checks the stack's limit between instructions."""
        if cython.cast(uint64_t, self.sp) + more >= NOTHING:
            with cython.gil:
                raise MemoryError("the operand stack outgrew its index type")
        return vec_room(self.values, self.cap_values, self.sp + more)

    def enter(self, kind, params, n_params, results, n_results):
        """Push a frame; its parameters are popped already and pushed again here."""
        i: uint32_t
        at: cython.pointer(Frame)
        if self.n_frames >= self.cap_frames:
            vec_room(self.frames, self.cap_frames, self.n_frames + 1)
        if self.n_frames != 0:
            self.frames[self.n_frames - 1].polymorphic = self.polymorphic
        at = cython.address(self.frames[self.n_frames])
        at.params, at.n_params = params, n_params
        at.results, at.n_results = results, n_results
        at.height = self.sp
        at.table = 0
        at.n_set = self.n_set
        at.kind = kind
        at.polymorphic = False
        self.n_frames += 1
        if self.n_frames > self.body.max_depth:
            self.body.max_depth = self.n_frames
        self.height = self.sp
        self.polymorphic = False
        if self.sp + n_params + 16 > self.cap_values:
            self.grow(n_params + 16)
        for i in range(n_params):
            self.values[self.sp + i] = params[i]
        self.sp += n_params
        if self.sp > self.body.max_stack:
            self.body.max_stack = self.sp
        if kind == FK_LOOP:
            self.open_loop(at)
        return 0

    # ---- the quick way -------------------------------------------------------------------------
    # Three quarters of all instructions read a local or a constant, access the first memory, or compute a number from
    # numbers. Where they are encoded shortly and nothing is wrong, a few comparisons are enough; whatever else there is
    # stays where it is, and the walk looks at it.

    def choose_quick(self, op):
        """Fill in the quick row of an opcode that has no prefix."""
        row: cython.pointer(QuickRow) = cython.address(self.quick[op])
        signature: uint32_t = OP_SIGNATURE[op]
        kind: uint32_t = WALK_KINDS[op]
        row.what = Q_NOTHING
        if not self.context.features >> OP_FEATURE[op] & 1:
            return
        row.result = cython.cast(uint8_t, 0x80 - (signature & 15))
        row.first = cython.cast(uint8_t, 0x80 - (signature >> 4 & 15))
        row.second = cython.cast(uint8_t, 0x80 - (signature >> 8 & 15))
        if kind == WK_LOCAL:
            row.what = Q_GET if op == OP_LOCAL_GET else Q_SET if op == OP_LOCAL_SET else Q_TEE
        elif kind == WK_DROP:
            row.what = Q_DROP
        elif op == OP_BR_IF:
            row.what = Q_BRANCH
        elif op == OP_BLOCK:
            row.what = Q_BLOCK
        elif kind == WK_END:
            row.what = Q_END
        elif op == OP_CALL:
            row.what = Q_CALL
        elif kind == WK_GLOBAL:
            row.what = Q_READ_GLOBAL if op == OP_GLOBAL_GET else Q_WRITE_GLOBAL
        elif kind == WK_CONST:
            row.what = Q_FOUR if op == OP_F32_CONST else Q_EIGHT if op == OP_F64_CONST else Q_LEB
            row.most = 4 if op == OP_I32_CONST else 9  # bytes in which any bits are allowed
        elif kind == WK_ACCESS and self.context.n_memories:
            row.what = Q_STORE if OP_POPS[op] == 2 else Q_LOAD
            row.most = cython.cast(uint8_t, natural_alignment(OP_ACCESS[op]))
        elif (kind == WK_PLAIN or kind == WK_EXPAND) and OP_PUSHES[op] == 1 and 1 <= OP_POPS[op] <= 2:
            row.what = Q_ONE if OP_POPS[op] == 1 else Q_TWO

    def quick_walk(self):
        """Walk over plain rows, up to the first that is not plain, not short, or wrong."""
        p: cython.pointer(cython.const[uint8_t]) = self.p
        q: cython.pointer(cython.const[uint8_t])
        last: cython.pointer(cython.const[uint8_t]) = self.stop - QUICK_BYTES
        top: cython.pointer(uint32_t) = self.values + self.sp
        high: cython.pointer(uint32_t) = self.values + self.body.max_stack
        floor: cython.pointer(uint32_t) = self.values + self.height
        full: cython.pointer(uint32_t) = self.values + min(self.cap_values - 16, self.context.max_stack)
        row: cython.pointer(QuickRow)
        frame: cython.pointer(Frame)
        x: uint32_t
        what: uint32_t
        n_locals: uint32_t = min(self.body.n_locals, FIRST_LOCALS)
        i32: uint32_t = V_I32
        address: uint32_t = V_I32
        logged: uint64_t = (self.generation << 32) + self.loop_start
        callee: cython.pointer(TypeFact)
        if self.polymorphic or self.has_unset or self.end - self.p < QUICK_BYTES or top >= full:
            return 0  # the walk checks the stack's limit, and whether locals are set
        if self.context.n_memories and self.context.memory64[0]:
            address = V_I64
        while p < last and top < full:
            if top > high:
                high = top
            row = cython.address(self.quick[p[0]])
            what = row.what
            if what == Q_GET:
                x = p[1]
                if x >= n_locals:
                    break
                top[0] = self.local_types[x]
                top += 1
                p += 2
            elif what == Q_LEB:
                q = p + 1
                while q[0] >= 0x80 and q < p + row.most:
                    q += 1
                if q[0] >= 0x80:
                    break
                top[0] = row.result
                top += 1
                p = q + 1
            elif what == Q_LOAD:
                q = p + 2
                while q[0] >= 0x80 and q < p + 5:
                    q += 1
                if p[1] > row.most or q[0] >= 0x80 or top - floor < 1 or (top - 1)[0] != address:
                    break
                (top - 1)[0] = row.result
                p = q + 1
            elif what == Q_TWO:
                if top - floor < 2 or (top - 1)[0] != row.second or (top - 2)[0] != row.first:
                    break
                top -= 1
                (top - 1)[0] = row.result
                p += 1
            elif what == Q_ONE:
                if top - floor < 1 or (top - 1)[0] != row.first:
                    break
                (top - 1)[0] = row.result
                p += 1
            elif what == Q_STORE:
                q = p + 2
                while q[0] >= 0x80 and q < p + 5:
                    q += 1
                if (
                    p[1] > row.most
                    or q[0] >= 0x80
                    or top - floor < 2
                    or (top - 1)[0] != row.second
                    or (top - 2)[0] != address
                ):
                    break
                top -= 2
                p = q + 1
            elif what == Q_SET or what == Q_TEE:
                x = p[1]
                if x >= n_locals or top - floor < 1 or (top - 1)[0] != self.local_types[x]:
                    break
                if self.loops != 0 and self.marks[x] <= logged and not self.body.flags & VB_COMPLEX:
                    break
                if what == Q_SET:
                    top -= 1
                p += 2
            elif what == Q_BRANCH:
                x = p[1]
                if x >= self.n_frames or x >= 0x80 or top - floor < 1 or (top - 1)[0] != i32:
                    break
                frame = cython.address(self.frames[self.n_frames - 1 - x])
                if (frame.n_params if frame.kind == FK_LOOP else frame.n_results) != 0:
                    break
                top -= 1
                p += 2
            elif what == Q_FOUR or what == Q_EIGHT:
                top[0] = row.result
                top += 1
                p += 5 if what == Q_FOUR else 9
            elif what == Q_DROP:
                if top - floor < 1:
                    break
                top -= 1
                p += 1
            elif what == Q_BLOCK:
                if p[1] != NO_VALUES:
                    break
                self.sp = cython.cast(uint32_t, top - self.values)
                self.enter(FK_BLOCK, cython.NULL, 0, cython.NULL, 0)  # there is room: no value moves
                floor = top
                p += 2
            elif what == Q_END:
                frame = cython.address(self.frames[self.n_frames - 1])
                if frame.kind == FK_FUNC or frame.kind == FK_LOOP or frame.n_params or frame.n_results or top != floor:
                    break
                self.n_frames -= 1
                self.height = self.frames[self.n_frames - 1].height
                self.polymorphic = self.frames[self.n_frames - 1].polymorphic
                floor = self.values + self.height
                p += 1
                if self.polymorphic:
                    break
            elif what == Q_CALL:
                x = p[1] & 0x7F
                q = p + 1
                if q[0] >= 0x80:
                    q += 1
                    x |= (q[0] & 0x7F) << 7
                if q[0] >= 0x80:
                    q += 1
                    x |= q[0] << 14
                if q[0] >= 0x80 or x >= self.context.n_funcs:
                    break
                callee = cython.address(self.context.types[self.context.func_types[x]])
                if callee.n_params > FEW or callee.n_results > 1 or top - floor < callee.n_params:
                    break
                if not same_types(top - callee.n_params, callee.params, callee.n_params):
                    break
                self.body.flags |= VB_CALLS
                top -= callee.n_params
                if callee.n_results:
                    top[0] = callee.results[0]
                    top += 1
                p = q + 1
            elif what == Q_READ_GLOBAL:
                x = p[1]
                if x >= self.context.n_globals or x >= 0x80:
                    break
                top[0] = self.context.globals[x].type
                top += 1
                p += 2
            elif what == Q_WRITE_GLOBAL:
                x = p[1]
                if x >= self.context.n_globals or x >= 0x80 or not self.context.globals[x].mutable:
                    break
                if top - floor < 1 or (top - 1)[0] != self.context.globals[x].type:
                    break
                top -= 1
                p += 2
            else:
                break
        if top > high:
            high = top
        self.p = p
        self.sp = cython.cast(uint32_t, top - self.values)
        self.body.max_stack = cython.cast(uint32_t, high - self.values)
        return 0

    def finish(self):
        """After the function's last ``end``."""
        if self.body.n_loops != 0:
            self.body.flags |= VB_LOOPS
        if self.p != self.end:
            self.at = self.p
            return self.fail(F_SIZE, NOTHING, NOTHING)
        return 0

    def local_type(self, index):
        """The type of a local below ``n_locals``."""
        if index < FIRST_LOCALS:
            return self.local_types[index]
        if index < self.body.n_params:
            return self.context.types[self.body.type_index].params[index]
        low: uint32_t = self.body.first_run
        high: uint32_t = low + self.body.n_runs - 1
        while low < high:
            middle: uint32_t = (low + high) // 2
            if self.bodies.runs[middle].end > index:
                high = middle
            else:
                low = middle + 1
        return self.bodies.runs[low].type

    # ---- locals without a default --------------------------------------------------------------

    def note_unset(self):
        """A body has locals that may not be read before they are set: all of their types but the parameters."""
        i: uint32_t
        run: uint32_t
        vec_room(self.is_set, self.cap_is_set, self.body.n_locals)
        memset(self.is_set, 1, self.body.n_locals)
        i = self.body.n_params
        for run in range(self.body.first_run, self.body.first_run + self.body.n_runs):
            if self.bodies.runs[run].type & 0xFF == K_REF:
                memset(self.is_set + i, 0, self.bodies.runs[run].end - i)
            i = self.bodies.runs[run].end
        return 0

    def set_first(self, local):
        """A local is set that was not."""
        vec_room(self.newly_set, self.cap_newly_set, self.n_set + 1)
        self.newly_set[self.n_set] = local
        self.n_set += 1
        self.is_set[local] = 1
        return 0

    def unset(self, frame):
        """What was set in a frame may not have been behind it."""
        while self.n_set > frame.n_set:
            self.n_set -= 1
            self.is_set[self.newly_set[self.n_set]] = 0

    # ---- locals assigned in each loop ----------------------------------------------------------
    # The log holds every local once per open loop. A mark is generation << 32 | (position + 1) of the local's
    # last entry, so that marks of earlier bodies need no clearing.

    def open_loop(self, frame):
        """Number the loop and begin its part of the log."""
        chunk = self.chunk
        vec_room(chunk.loops, chunk.cap_loops, chunk.n_loops + 1)
        chunk.loops[chunk.n_loops].first = 0
        chunk.loops[chunk.n_loops].count = 0
        frame.loop = chunk.n_loops
        frame.log_start = self.n_log
        frame.outer_start = self.loop_start
        self.loop_start = self.n_log
        chunk.n_loops += 1
        self.body.n_loops += 1
        self.loops += 1
        if self.n_marks < self.body.n_locals:
            free(self.marks)
            self.n_marks = 0
            self.marks = cython.cast(cython.pointer(uint64_t), calloc(self.body.n_locals, cython.sizeof(uint64_t)))
            if self.marks == cython.NULL:
                with cython.gil:
                    raise MemoryError("out of memory in the validator")
            self.n_marks = self.body.n_locals
        return 0

    def assign(self, local):
        """A local is set inside a loop."""
        mark: uint64_t = self.marks[local]
        at: cython.pointer(Assignment)
        base: uint64_t = self.generation << 32
        if mark > base + self.loop_start or self.body.flags & VB_COMPLEX:
            return 0
        vec_room(self.log, self.cap_log, self.n_log + 1)
        at = cython.address(self.log[self.n_log])
        at.local = local
        at.before = mark
        self.n_log += 1
        self.marks[local] = base + self.n_log
        return 0

    def close_loop(self, frame):
        """Copy the loop's part of the log out; keep for the outer loop what is new to it."""
        i: uint32_t
        local: uint32_t
        start: uint32_t = frame.log_start
        count: uint32_t = self.n_log - start
        to: uint32_t = start
        outer: uint64_t = (self.generation << 32) + frame.outer_start
        chunk = self.chunk
        self.loops -= 1
        self.loop_start = frame.outer_start
        self.work += count
        if self.work > ASSIGNED_FLOOR + ASSIGNED_PER_BYTE * (self.body.end - self.body.start):
            self.body.flags |= VB_COMPLEX
        if self.body.flags & VB_COMPLEX:
            self.n_log = start
            return 0
        vec_room(chunk.assigned, chunk.cap_assigned, chunk.n_assigned + count)
        chunk.loops[frame.loop].first = chunk.n_assigned
        chunk.loops[frame.loop].count = count
        for i in range(start, self.n_log):
            local = self.log[i].local
            chunk.assigned[chunk.n_assigned] = local
            chunk.n_assigned += 1
            if self.log[i].before > outer:
                self.marks[local] = self.log[i].before
            else:
                self.log[to] = self.log[i]
                to += 1
                self.marks[local] = (self.generation << 32) + to
        self.n_log = to
        if self.loops == 0:
            self.n_log = 0
            self.generation += 1
        return 0

    def type_feature(self, type):
        """The proposal that a value type needs."""
        kind: uint32_t = type & 0xFF
        if kind >= 0x7C:
            return FEAT_MVP
        if kind == 0x7B:
            return FEAT_SIMD
        if type == T_FUNCREF or type == T_EXTERNREF:
            return FEAT_REFERENCE_TYPES
        if type >> 8 == 0x69 or type >> 8 == 0x74:
            return FEAT_EXCEPTIONS
        if type >> 8 < 0x100 and type >> 8 != 0x70 and type >> 8 != 0x6F:
            return FEAT_GC
        return FEAT_FUNCTION_REFERENCES


FAULTS = {
    F_LEB_END: (DecodeError, LEB_MESSAGES[1]),
    F_LEB_LONG: (DecodeError, LEB_MESSAGES[2]),
    F_LEB_LARGE: (DecodeError, LEB_MESSAGES[3]),
    F_ILLEGAL: (DecodeError, "illegal opcode"),
    F_END: (DecodeError, "END opcode expected"),
    F_SIZE: (DecodeError, "section size mismatch"),
    F_DATA_COUNT: (DecodeError, "data count section required"),
    F_MEMOP: (DecodeError, "malformed memop flags"),
    F_VALTYPE: (DecodeError, "malformed value type"),
    F_TYPE: (ValidationError, "type mismatch"),
    F_VALUES: (ValidationError, "type mismatch"),
    F_NUMBERS: (ValidationError, "type mismatch"),
    F_REFERENCE: (ValidationError, "type mismatch"),
    F_NOT_FUNCREF: (ValidationError, "type mismatch"),
    F_ELSE: (ValidationError, "else without if"),
    F_LOCAL: (ValidationError, "unknown local"),
    F_UNSET: (ValidationError, "uninitialized local"),
    F_GLOBAL: (ValidationError, "unknown global"),
    F_FUNC: (ValidationError, "unknown function"),
    F_TABLE: (ValidationError, "unknown table"),
    F_MEMORY: (ValidationError, "unknown memory"),
    F_LABEL: (ValidationError, "unknown label"),
    F_TYPE_INDEX: (ValidationError, "unknown type"),
    F_NOT_FUNC: (ValidationError, "unknown type"),
    F_ELEM: (ValidationError, "unknown elem segment"),
    F_DATA: (ValidationError, "unknown data segment"),
    F_ALIGN: (ValidationError, "alignment must not be larger than natural"),
    F_ATOMIC_ALIGN: (ValidationError, "atomic alignment must be natural"),
    F_ZERO: (DecodeError, "zero byte expected"),
    F_OFFSET: (ValidationError, "offset out of range"),
    F_IMMUTABLE: (ValidationError, "immutable global"),
    F_UNDECLARED: (ValidationError, "undeclared function reference"),
    F_ARITY: (ValidationError, "invalid result arity"),
    F_TAG: (ValidationError, "unknown tag"),
    F_CLAUSE: (DecodeError, "malformed catch clause"),
    F_CATCH: (ValidationError, "catch without try"),
    F_DELEGATE: (ValidationError, "delegate without try"),
    F_RETHROW: (ValidationError, "invalid rethrow label"),
    F_LANE: (ValidationError, "invalid lane index"),
    F_FIELD: (ValidationError, "unknown field"),
    F_KIND: (ValidationError, "unknown type"),
    F_DEFAULT: (ValidationError, "type mismatch"),
    F_PACKED: (ValidationError, "type mismatch"),
    F_UNPACKED: (ValidationError, "type mismatch"),
    F_IMMUTABLE_FIELD: (ValidationError, "immutable field"),
    F_IMMUTABLE_ARRAY: (ValidationError, "immutable array"),
    F_NOT_NUMERIC: (ValidationError, "array type is not numeric or vector"),
    F_COPY: (ValidationError, "array types do not match"),
    F_CAST_FLAGS: (DecodeError, "malformed cast flags"),
}
"""Exception and the specification's words by fault."""


OF_OBJECTS = {
    F_KIND: lambda expected, found: (("a struct type", "an array type")[expected == TK_ARRAY], f"type {found}"),
    F_DEFAULT: lambda expected, found: ("fields and elements with a default", f"type {found}"),
    F_PACKED: lambda expected, found: ("what ends with _s or _u", f"the plain instruction, for {T.type_name(found)}"),
    F_UNPACKED: lambda expected, found: ("the plain instruction", f"what ends with _s or _u, for {T.type_name(found)}"),
    F_IMMUTABLE: lambda expected, found: ("a global that is mut", f"global {found}"),
    F_IMMUTABLE_FIELD: lambda expected, found: ("a field that is mut", f"field {found} of type {expected}"),
    F_IMMUTABLE_ARRAY: lambda expected, found: ("elements that are mut", f"type {found}"),
    F_NOT_NUMERIC: lambda expected, found: ("numbers or vectors", T.type_name(found)),
    F_COPY: lambda expected, found: (T.type_name(expected), T.type_name(found)),
    F_CAST_FLAGS: lambda expected, found: ("flags from 0 to 3", f"{found}"),
}
"""What was expected and found, by fault."""


def describe(fault: int, expected: int, found: int) -> tuple[str, str]:
    """What was expected and what was found, in words."""
    none = found == cython.cast(uint32_t, NOTHING)
    if fault in (F_TYPE, F_REFERENCE, F_NUMBERS, F_NOT_FUNCREF):
        words = {F_REFERENCE: "a reference", F_NUMBERS: "a number or vector", F_NOT_FUNCREF: "a table of functions"}
        wanted = words.get(fault) or T.type_name(expected)
        return wanted, "an empty stack" if none else T.type_name(found)
    if fault == F_VALUES:
        return f"{expected} value(s) at the end of the block", f"{found}"
    if fault == F_ALIGN:
        return f"at most 2**{expected}", f"2**{found}"
    if fault == F_ATOMIC_ALIGN:
        return f"2**{expected}", f"2**{found}"
    if fault == F_ARITY:
        return f"{expected}", f"{found}"
    if fault == F_NOT_FUNC:
        return "a function type", f"type {found}"
    if fault == F_UNSET:
        return "a local that is set before it is read", f"local {found}"
    if fault == F_RETHROW:
        return "an arm that catches", f"label {found}"
    if fault == F_ILLEGAL and expected != cython.cast(uint32_t, NOTHING):
        return "", f"{found:#x} {expected:#x}"
    if fault == F_LANE:
        return f"a lane below {expected}", f"{found}"
    if fault == F_CLAUSE:
        return "a kind from 0 to 3", f"{found}"
    if fault in OF_OBJECTS:
        return OF_OBJECTS[fault](expected, found)
    if fault in (F_FIELD, F_LABEL, F_LOCAL, F_GLOBAL, F_FUNC, F_TABLE, F_MEMORY, F_TYPE_INDEX, F_ELEM, F_DATA, F_TAG):
        return f"below {expected}" if expected else "no index at all", f"{found}"
    return "", "" if none else f"{found:#x}"


CLAUSES = ("catch", "catch_ref", "catch_all", "catch_all_ref")


def fault_error(checker: Checker) -> Exception:
    """The exception for a checker's fault."""
    fault, found, op = checker.fault, checker.found, checker.fault_op
    offset, func = checker.fault_at, checker.fault_func
    mnemonic = BY_ID[op].spelling if op in BY_ID else ""
    if op == OP_TRY_TABLE and checker.clause_kind:
        mnemonic = f"{CLAUSES[checker.clause_kind - 1]} of {mnemonic}"
    if fault == F_FEATURE:
        feature = list(FEATURES)[found]
        return ValidationError(refusal(feature), offset=offset, func=func, op=mnemonic, hint=advice(feature))
    if fault == F_STACK:
        wanted = f"at most {checker.expected} values"
        return ModuleLimit("operand stack too high", limit="operand_stack", offset=offset, expected=wanted)
    if fault == F_TARGETS:
        wanted = f"at most {checker.expected} targets"
        return ModuleLimit(
            "br_table too large", limit="br_table_targets", offset=offset, expected=wanted, found=f"{found}"
        )
    kind, message = FAULTS[fault]
    expected, got = describe(fault, checker.expected, found)
    if kind is DecodeError:
        return DecodeError(message, offset=offset, expected=expected, found=got)
    if message.startswith("unknown ") and fault not in (F_NOT_FUNC, F_KIND):
        message = f"{message} {found}"
    return ValidationError(message, offset=offset, func=func, op=mnemonic, expected=expected, found=got)
