# strata: hot
"""The validating walk over a function body: the algorithm of the specification's appendix, without the GIL.

Every method is a row or a few that go the same way; ``checker.py`` has what is seldom needed. The building walk
(``front/wasm/build_walk.py``) reads the same bytes and trusts what this one found.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.budget import look
from cython.cimports.stratavm.base.leb import leb_s32, leb_s33, leb_s64, leb_u32, leb_u64
from cython.cimports.stratavm.module._gen_walk_kinds import *
from cython.cimports.stratavm.module.checker import *
from cython.cimports.stratavm.module.valid import (
    TK_FUNC,
    VB_AGAIN,
    VB_CALLS,
    VB_LEAVES,
    VB_RETHROWS,
    VB_THROWS,
    VB_TRIES,
    Chunk,
    TypeFact,
    kept_ref,
)
from cython.cimports.stratavm.module.validate_objects import object_row
from cython.cimports.stratavm.module.walk import row_behind
from cython.cimports.stratavm.spec._gen_ops import *
from cython.cimports.stratavm.spec._gen_optables import *

from stratavm.spec import types as T

P_I32 = cython.declare(uint32_t, T.I32)
P_I64 = cython.declare(uint32_t, T.I64)
P_FUNCREF = cython.declare(uint32_t, T.FUNCREF)
P_EXNREF = cython.declare(uint32_t, T.ref(T.EXN))
P_EXN = cython.declare(uint32_t, T.ref(T.EXN, False))
P_BOTTOM = cython.declare(uint32_t, T.BOTTOM)
P_BOTTOM_REF = cython.declare(uint32_t, T.ref(T.BOTTOM_HEAP, False))
K_REF = cython.declare(uint32_t, T.REF)
K_REF_NULL = cython.declare(uint32_t, T.REF_NULL)


@cython.cclass
class ValidateWalk(Checker):
    """The walk over one body's instructions."""

    def check(self, chunk: uint32_t) -> bool:
        """Check the bodies of a chunk, without the GIL; false at the first fault."""
        i: uint32_t
        ok: cython.bint = True
        at: cython.pointer(Chunk) = cython.address(self.bodies.chunks[chunk])
        with cython.nogil:
            for i in range(at.first_body, at.last_body):
                if self.begin(cython.address(self.bodies.items[i]), at) or self.run():
                    ok = False
                    break
        return ok

    def examine(self, body, chunk):
        """Check one body and find its facts; not 0 at a fault. The walk may be used again even then."""
        self.fault = F_NONE
        return self.begin(body, chunk) or self.run()

    # ---- immediates ----------------------------------------------------------------------------

    def index(self):
        """An unsigned 32-bit immediate."""
        return leb_u32(cython.address(self.p), self.end, cython.address(self.leb))

    def prefixed(self, prefix):
        """The row of an opcode behind a prefix byte."""
        code: uint32_t = self.index()
        return NO_OP if self.leb != 0 else row_behind(prefix, code)

    def block_type(self):
        """Read a block type into ``params`` and ``results``."""
        at: cython.pointer(TypeFact)
        byte: uint8_t
        if self.p >= self.end:
            self.leb = 1
            return self.fail(1, NOTHING, NOTHING)
        byte = self.p[0]
        self.n_params = self.n_results = 0
        self.params = self.results = cython.NULL
        if byte == 0x40:
            self.p += 1
            return 0
        if byte & 0xC0 == 0x40:
            self.p += 1
            if byte == 0x63 or byte == 0x64:
                self.n_results = 1
                self.results = self.typed(byte == 0x64)
                return self.results == cython.NULL
            if self.context.singles[byte] == 0:
                return self.fail(F_VALTYPE, NOTHING, byte)
            if self.type_missing(self.context.singles[byte]):
                return 1
            self.n_results = 1
            self.results = cython.address(self.context.singles[byte])
            return 0
        index: int64_t = leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if index < 0:
            return self.fail(F_VALTYPE, NOTHING, NOTHING)
        if index >= self.context.n_types:
            return self.fail(F_TYPE_INDEX, self.context.n_types, cython.cast(uint32_t, index))
        if self.context.types[index].kind != TK_FUNC:
            return self.fail(F_NOT_FUNC, 0, cython.cast(uint32_t, index))
        at = cython.address(self.context.types[index])
        self.params, self.n_params = at.params, at.n_params
        self.results, self.n_results = at.results, at.n_results
        if (self.n_params or self.n_results > 1) and not self.context.features >> FEAT_MULTI_VALUE & 1:
            return self.fail(F_FEATURE, 0, FEAT_MULTI_VALUE)
        return 0

    def typed(self, solid):
        """The reference type whose heap type comes next: where it is kept, or NULL where it is wrong."""
        heap: int64_t = leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
        if self.leb != 0:
            self.fail(self.leb, NOTHING, NOTHING)
            return cython.NULL
        if not self.context.features >> FEAT_FUNCTION_REFERENCES & 1:
            self.fail(F_FEATURE, 0, FEAT_FUNCTION_REFERENCES)
            return cython.NULL
        if heap >= self.context.n_types:
            self.fail(F_TYPE_INDEX, self.context.n_types, cython.cast(uint32_t, heap))
            return cython.NULL
        if heap < 0 and (heap < -64 or self.context.solids[heap & 0x7F] == 0):
            self.fail(F_VALTYPE, NOTHING, cython.cast(uint32_t, heap & 0x7F))
            return cython.NULL
        if self.type_missing(kept_ref(self.context, solid, heap)[0]):
            return cython.NULL
        return kept_ref(self.context, solid, heap)

    def type_missing(self, type):
        """Fail where a value type's proposal is not enabled."""
        feature: uint32_t = self.type_feature(type)
        if self.context.features >> feature & 1:
            return 0
        return self.fail(F_FEATURE, 0, feature)

    def memory(self, index):
        """Check a memory index."""
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if index >= self.context.n_memories:
            return self.fail(F_MEMORY, self.context.n_memories, index)
        return 0

    def table(self, index):
        """Check a table index."""
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if index >= self.context.n_tables:
            return self.fail(F_TABLE, self.context.n_tables, index)
        return 0

    def data(self, index):
        """Check a data index."""
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if not self.context.has_data_count:
            return self.fail(F_DATA_COUNT, NOTHING, NOTHING)
        if index >= self.context.n_datas:
            return self.fail(F_DATA, self.context.n_datas, index)
        return 0

    def elem(self, index):
        """Check an element segment index."""
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if index >= self.context.n_elems:
            return self.fail(F_ELEM, self.context.n_elems, index)
        return 0

    # ---- the operand stack, of types -------------------------------------------------------

    def push(self, type):
        """Push a type. The main loop made room."""
        self.values[self.sp] = type
        self.sp += 1
        return 0

    def pop(self, expected):
        """Pop an operand of a type."""
        if self.sp > self.height:
            self.sp -= 1
            if self.values[self.sp] == expected:
                return 0
            return self.mismatch(self.values[self.sp], expected)
        if self.polymorphic:
            return 0
        return self.fail(F_TYPE, expected, NOTHING)

    def mismatch(self, found, expected):
        """Fail unless the type matches after all, as a subtype."""
        if self.context.matches(found, expected):
            return 0
        return self.fail(F_TYPE, expected, found)

    def pop_any(self):
        """Pop an operand of whatever type into ``popped``."""
        if self.sp > self.height:
            self.sp -= 1
            self.popped = self.values[self.sp]
            return 0
        self.popped = P_BOTTOM
        if self.polymorphic:
            return 0
        return self.fail(F_TYPE, P_BOTTOM, NOTHING)

    def pop_ref(self):
        """Pop a reference into ``popped``, of the bottom type where it is not reached."""
        if self.pop_any():
            return 1
        if self.popped == P_BOTTOM:
            self.popped = P_BOTTOM_REF
        elif self.popped & 0xFF != K_REF_NULL and self.popped & 0xFF != K_REF:
            return self.fail(F_REFERENCE, 0, self.popped)
        return 0

    def pop_list(self, types, count):
        """Pop operands of a list of types, the last first."""
        i: uint32_t
        if count == 0:  # of most blocks
            return 0
        if count > FEW:  # two bytes of a call may stand for a thousand operands: the next look comes sooner
            self.stop -= count
        for i in range(count):
            if self.pop(types[count - 1 - i]):
                return 1
        return 0

    def push_list(self, types, count):
        """Push a list of types."""
        i: uint32_t
        if self.sp + count + 16 > self.cap_values:
            self.grow(count + 16)
        for i in range(count):
            self.values[self.sp + i] = types[i]
        self.sp += count
        return 0

    def check_list(self, types, count):
        """Whether operands of these types are on top; the stack stays as it is."""
        sp: uint32_t = self.sp
        if self.pop_list(types, count):
            return 1
        self.sp = sp
        return 0

    def unreachable(self):
        """What follows up to the end of the block is not reached."""
        self.sp = self.height
        self.polymorphic = True
        return 0

    # ---- structured control --------------------------------------------------------------------

    def block(self):
        """``block``, ``loop``, ``if``."""
        op: uint32_t = self.op
        if self.block_type():
            return 1
        if op == OP_IF and self.pop(P_I32):
            return 1
        if self.pop_list(self.params, self.n_params):
            return 1
        kind: uint32_t = FK_IF if op == OP_IF else FK_LOOP if op == OP_LOOP else FK_BLOCK
        return self.enter(kind, self.params, self.n_params, self.results, self.n_results)

    def close(self):
        """The innermost frame's results are on the stack and nothing else: pop them and the frame."""
        at: cython.pointer(Frame) = cython.address(self.frames[self.n_frames - 1])
        found: uint32_t = self.sp - self.height
        if self.pop_list(at.results, at.n_results):
            return 1
        if self.sp != self.height:
            return self.fail(F_VALUES, at.n_results, found)
        self.unset(at)
        if at.kind == FK_LOOP:
            self.close_loop(at)
        self.n_frames -= 1
        if self.n_frames != 0:
            self.height = self.frames[self.n_frames - 1].height
            self.polymorphic = self.frames[self.n_frames - 1].polymorphic
        return 0

    def end_block(self):
        """``end``."""
        at: cython.pointer(Frame) = cython.address(self.frames[self.n_frames - 1])
        i: uint32_t
        if at.kind == FK_IF:
            if at.n_params != at.n_results:
                return self.fail(F_VALUES, at.n_results, at.n_params)
            for i in range(at.n_params):
                if self.mismatch(at.params[i], at.results[i]):
                    return 1
        if self.close():
            return 1
        at = cython.address(self.frames[self.n_frames])
        return self.push_list(at.results, at.n_results)

    def else_arm(self):
        """``else``."""
        at: cython.pointer(Frame) = cython.address(self.frames[self.n_frames - 1])
        if at.kind != FK_IF:
            return self.fail(F_ELSE, NOTHING, NOTHING)
        if self.close():
            return 1
        at = cython.address(self.frames[self.n_frames])
        return self.enter(FK_ELSE, at.params, at.n_params, at.results, at.n_results)

    def label(self, depth):
        """A label's types into ``results``."""
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if depth >= self.n_frames:
            return self.fail(F_LABEL, self.n_frames, depth)
        at: cython.pointer(Frame) = cython.address(self.frames[self.n_frames - 1 - depth])
        if at.kind == FK_LOOP:
            self.results, self.n_results = at.params, at.n_params
        else:
            self.results, self.n_results = at.results, at.n_results
        return 0

    def branch(self):
        """``br`` and ``br_if``."""
        depth: uint32_t = self.index()
        if self.label(depth):
            return 1
        if self.op == OP_BR_IF and self.pop(P_I32):
            return 1
        if self.pop_list(self.results, self.n_results):
            return 1
        if self.op == OP_BR_IF:
            return self.push_list(self.results, self.n_results)
        self.unreachable()
        return 0

    def branch_table(self):
        """``br_table``: every label has the arity of the default."""
        count: uint32_t = self.index()
        i: uint32_t = 0
        depth: uint32_t
        arity: uint32_t = 0
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if count > self.context.max_targets:
            return self.fail(F_TARGETS, self.context.max_targets, count)
        if self.pop(P_I32):
            return 1
        self.tables += 1
        while True:
            depth = self.index()
            if self.label(depth):
                return 1
            if i == 0:
                arity = self.n_results
            elif arity != self.n_results:
                return self.fail(F_VALUES, arity, self.n_results)
            if self.frames[self.n_frames - 1 - depth].table != self.tables:
                self.frames[self.n_frames - 1 - depth].table = self.tables
                if self.check_list(self.results, self.n_results):
                    return 1
            if i == count:
                break
            i += 1
        self.unreachable()
        return 0

    def branch_null(self):
        """``br_on_null``, which keeps the reference where it does not branch; ``br_on_non_null``, where it does."""
        depth: uint32_t = self.index()
        if self.label(depth) or self.pop_ref():
            return 1
        found: uint32_t = self.popped & ~cython.cast(uint32_t, 0xFF) | K_REF
        if self.op == OP_BR_ON_NULL:
            if self.pop_list(self.results, self.n_results):
                return 1
            return self.push_list(self.results, self.n_results) or self.push(found)
        if self.n_results == 0:
            return self.fail(F_VALUES, 0, 1)
        if self.mismatch(found, self.results[self.n_results - 1]):
            return 1
        if self.pop_list(self.results, self.n_results - 1):
            return 1
        return self.push_list(self.results, self.n_results - 1)

    # ---- exceptions ----------------------------------------------------------------------------

    def tag(self):
        """A tag's parameters into ``params``."""
        index: uint32_t = self.index()
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if index >= self.context.n_tags:
            return self.fail(F_TAG, self.context.n_tags, index)
        at: cython.pointer(TypeFact) = cython.address(self.context.types[self.context.tag_types[index]])
        self.params, self.n_params = at.params, at.n_params
        return 0

    def clause(self):
        """A clause of a ``try_table``: its label takes the tag's values, and the exception where the clause says so."""
        kind: uint32_t
        i: uint32_t
        count: uint32_t
        if self.p >= self.end:
            return self.fail(1, NOTHING, NOTHING)
        kind = self.p[0]
        self.p += 1
        if kind > 3:
            return self.fail(F_CLAUSE, NOTHING, kind)
        self.clause_kind = kind + 1
        self.n_params = 0
        if kind < 2 and self.tag():
            return 1
        if self.label(self.index()):
            return 1
        count = self.n_params + (kind & 1)
        if count > FEW:  # a few bytes may stand for a thousand types: the next look comes sooner
            self.stop -= count
        if self.n_results != count:
            return self.fail(F_VALUES, self.n_results, count)
        for i in range(self.n_params):
            if self.mismatch(self.params[i], self.results[i]):
                return 1
        return self.mismatch(P_EXN, self.results[count - 1]) if kind & 1 else 0

    def try_block(self):
        """``try_table``, whose clauses see the labels around it, and ``try``."""
        clauses: uint32_t
        self.clause_kind = 0
        if self.block_type() or self.pop_list(self.params, self.n_params):
            return 1
        params: cython.pointer(cython.const[uint32_t]) = self.params
        n_params: uint32_t = self.n_params
        results: cython.pointer(cython.const[uint32_t]) = self.results
        n_results: uint32_t = self.n_results
        self.body.flags |= VB_TRIES
        if self.op == OP_TRY:
            return self.enter(FK_TRY, params, n_params, results, n_results)
        clauses = self.index()
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        while clauses > 0:
            if self.clause():
                return 1
            clauses -= 1
        return self.enter(FK_BLOCK, params, n_params, results, n_results)

    def catch_arm(self):
        """``catch`` and ``catch_all`` of a ``try``."""
        at: cython.pointer(Frame) = cython.address(self.frames[self.n_frames - 1])
        kind: uint32_t = FK_CATCH if self.op == OP_CATCH else FK_CATCH_ALL
        if at.kind != FK_TRY and at.kind != FK_CATCH:
            return self.fail(F_CATCH, NOTHING, NOTHING)
        self.params, self.n_params = cython.NULL, 0
        if kind == FK_CATCH and self.tag():
            return 1
        if self.close():
            return 1
        at = cython.address(self.frames[self.n_frames])
        return self.enter(kind, self.params, self.n_params, at.results, at.n_results)

    def delegate(self):
        """``delegate``: the end of a ``try``; its label is one around that."""
        at: cython.pointer(Frame) = cython.address(self.frames[self.n_frames - 1])
        if at.kind != FK_TRY:
            return self.fail(F_DELEGATE, NOTHING, NOTHING)
        if self.close() or self.label(self.index()):
            return 1
        at = cython.address(self.frames[self.n_frames])
        return self.push_list(at.results, at.n_results)

    def throw(self):
        """``throw``, ``throw_ref``, ``rethrow``."""
        depth: uint32_t
        kind: uint32_t
        self.body.flags |= VB_THROWS
        if self.op == OP_THROW:
            if self.tag() or self.pop_list(self.params, self.n_params):
                return 1
        elif self.op == OP_THROW_REF:
            if self.pop(P_EXNREF):
                return 1
        else:
            depth = self.index()
            if self.label(depth):
                return 1
            kind = self.frames[self.n_frames - 1 - depth].kind
            if kind != FK_CATCH and kind != FK_CATCH_ALL:
                return self.fail(F_RETHROW, NOTHING, depth)
            self.body.flags |= VB_RETHROWS
        self.unreachable()
        return 0

    # ---- calls ---------------------------------------------------------------------------------

    def call_ref(self):
        """``call_ref`` and ``return_call_ref``."""
        type: uint32_t = self.index()
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if type >= self.context.n_types:
            return self.fail(F_TYPE_INDEX, self.context.n_types, type)
        if self.context.types[type].kind != TK_FUNC:
            return self.fail(F_NOT_FUNC, 0, type)
        if self.pop(self.context.types[type].refs[0]):
            return 1
        return self.call_type(type)

    def call(self):
        """``call`` and ``return_call``."""
        func: uint32_t = self.index()
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if func >= self.context.n_funcs:
            return self.fail(F_FUNC, self.context.n_funcs, func)
        if self.op == OP_RETURN_CALL and func < self.context.n_funcs - self.bodies.n:
            self.body.flags |= VB_LEAVES
        elif self.op == OP_RETURN_CALL and func == self.body.func:
            self.body.flags |= VB_AGAIN
        return self.call_type(self.context.func_types[func])

    def call_indirect(self):
        """``call_indirect`` and ``return_call_indirect``."""
        type: uint32_t = self.index()
        table: uint32_t = self.index()
        if self.table(table):
            return 1
        if not self.context.matches(self.context.tables[table].type, P_FUNCREF):
            return self.fail(F_NOT_FUNCREF, 0, self.context.tables[table].type)
        if type >= self.context.n_types:
            return self.fail(F_TYPE_INDEX, self.context.n_types, type)
        if self.context.types[type].kind != TK_FUNC:
            return self.fail(F_NOT_FUNC, 0, type)
        if self.pop(P_I64 if self.context.tables[table].is64 else P_I32):
            return 1
        return self.call_type(type)

    def call_type(self, type):
        """Pop arguments, push results; a tail call returns them."""
        at: cython.pointer(TypeFact) = cython.address(self.context.types[type])
        mine: cython.pointer(Frame) = cython.address(self.frames[0])
        i: uint32_t
        self.body.flags |= VB_CALLS
        if self.pop_list(at.params, at.n_params):
            return 1
        if self.op == OP_CALL or self.op == OP_CALL_INDIRECT or self.op == OP_CALL_REF:
            return self.push_list(at.results, at.n_results)
        if self.op != OP_RETURN_CALL:
            self.body.flags |= VB_LEAVES
        if at.n_results != mine.n_results:
            return self.fail(F_VALUES, mine.n_results, at.n_results)
        for i in range(at.n_results):
            if self.mismatch(at.results[i], mine.results[i]):
                return 1
        self.unreachable()
        return 0

    # ---- the loop ------------------------------------------------------------------------------

    def give_back(self):
        """``return``."""
        if self.pop_list(self.frames[0].results, self.frames[0].n_results):
            return 1
        self.unreachable()
        return 0

    def run(self):
        """Walk from the first instruction to the end of the function."""
        op: uint32_t
        kind: uint32_t
        byte: uint8_t
        while True:
            self.quick_walk()
            if self.p >= self.stop:
                if self.p >= self.end:
                    return self.fail(F_END, NOTHING, NOTHING)
                self.next_window()
                look()
            self.at = self.p
            byte = self.p[0]
            self.p += 1
            op = byte if byte < FIRST_PREFIX else self.prefixed(byte)
            self.op = op
            if not self.context.features >> OP_FEATURE[op] & 1:
                if self.leb != 0:
                    return self.fail(self.leb, NOTHING, NOTHING)
                if OP_FEATURE[op] == FEAT_NONE:
                    self.p = self.at + 1
                    return self.fail(F_ILLEGAL, NOTHING if byte < FIRST_PREFIX else self.index(), byte)
                return self.fail(F_FEATURE, 0, OP_FEATURE[op])
            if self.sp > self.body.max_stack:
                self.body.max_stack = self.sp
                if self.sp > self.context.max_stack:
                    return self.fail(F_STACK, self.context.max_stack, NOTHING)
            if self.sp + 16 > self.cap_values:
                self.grow(64)
            kind = WALK_KINDS[op]
            if kind == WK_PLAIN or kind == WK_EXPAND:
                if self.plain():
                    return 1
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
                if self.give_back():
                    return 1
            elif kind == WK_THROW or kind == WK_THROW_REF or kind == WK_RETHROW:
                if self.throw():
                    return 1
            elif kind == WK_TRY_TABLE or kind == WK_TRY:
                if self.try_block():
                    return 1
            elif kind == WK_CATCH or kind == WK_CATCH_ALL:
                if self.catch_arm():
                    return 1
            elif kind == WK_DELEGATE:
                if self.delegate():
                    return 1
            elif kind == WK_UNREACHABLE:
                self.unreachable()
            elif kind == WK_DROP:
                if self.pop_any():
                    return 1
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
            elif kind == WK_VECTOR_ACCESS or kind == WK_LANE or kind == WK_LANES or kind == WK_V128:
                if self.vector(kind):
                    return 1
            elif kind == WK_OBJECT or kind == WK_BRANCH_CAST:
                if object_row(self):
                    return 1
            elif kind == WK_UNKNOWN:
                return self.fail(F_FEATURE, 0, OP_FEATURE[op])

    # ---- other rows: immediates, operands, results ---------------------------------------------

    def select(self):
        """``select``, with and without a type."""
        first: uint32_t
        type: uint32_t
        if self.op == OP_SELECT_T:
            first = self.index()
            if self.leb != 0:
                return self.fail(self.leb, NOTHING, NOTHING)
            if first != 1:
                return self.fail(F_ARITY, 1, first)
            if self.p >= self.end:
                return self.fail(1, NOTHING, NOTHING)
            type = self.p[0]
            self.p += 1
            if type == 0x63 or type == 0x64:
                kept: cython.pointer(cython.const[uint32_t]) = self.typed(type == 0x64)
                if kept == cython.NULL:
                    return 1
                type = kept[0]
            elif type >= 0x80 or self.context.singles[type] == 0:
                return self.fail(F_VALTYPE, NOTHING, type)
            else:
                type = self.context.singles[type]
            if self.type_missing(type) or self.pop(P_I32) or self.pop(type) or self.pop(type):
                return 1
            return self.push(type)
        if self.pop(P_I32) or self.pop_any():
            return 1
        first = self.popped
        if self.pop_any():
            return 1
        type = self.popped if self.popped != P_BOTTOM else first
        if type != P_BOTTOM and (type < 0x7B or type > 0x7F):
            return self.fail(F_NUMBERS, 0, type)
        if first != type and first != P_BOTTOM:
            return self.fail(F_TYPE, type, first)
        return self.push(type)

    def global_access(self):
        """``global.get`` and ``global.set``."""
        x: uint32_t = self.index()
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if x >= self.context.n_globals:
            return self.fail(F_GLOBAL, self.context.n_globals, x)
        if self.op == OP_GLOBAL_GET:
            return self.push(self.context.globals[x].type)
        if not self.context.globals[x].mutable:
            return self.fail(F_IMMUTABLE, NOTHING, x)
        return self.pop(self.context.globals[x].type)

    def table_access(self):
        """``table.get``, ``set``, ``size``, ``grow``, ``fill``."""
        x: uint32_t = self.index()
        if self.table(x):
            return 1
        type: uint32_t = self.context.tables[x].type
        address: uint32_t = P_I64 if self.context.tables[x].is64 else P_I32
        if self.op == OP_TABLE_GET:
            return self.pop(address) or self.push(type)
        if self.op == OP_TABLE_SET:
            return self.pop(type) or self.pop(address)
        if self.op == OP_TABLE_SIZE:
            return self.push(address)
        if self.op == OP_TABLE_GROW:
            return self.pop(address) or self.pop(type) or self.push(address)
        return self.pop(address) or self.pop(type) or self.pop(address)

    def bulk_table(self):
        """``table.init``, ``table.copy``, ``elem.drop``."""
        x: uint32_t = self.index()
        y: uint32_t = 0
        if self.op != OP_ELEM_DROP:
            y = self.index()
        first: uint32_t
        if self.op == OP_ELEM_DROP:
            return self.elem(x)
        if self.op == OP_TABLE_INIT:
            if self.table(y) or self.elem(x):
                return 1
            if self.mismatch(self.context.elem_types[x], self.context.tables[y].type):
                return 1
            return self.pop(P_I32) or self.pop(P_I32) or self.pop(P_I64 if self.context.tables[y].is64 else P_I32)
        if self.table(x) or self.table(y) or self.mismatch(self.context.tables[y].type, self.context.tables[x].type):
            return 1
        first = P_I64 if self.context.tables[x].is64 else P_I32
        y = P_I64 if self.context.tables[y].is64 else P_I32
        return self.pop(P_I64 if first == P_I64 and y == P_I64 else P_I32) or self.pop(y) or self.pop(first)

    def bulk_memory(self):
        """``memory.size``, ``grow``, ``init``, ``copy``, ``fill`` and ``data.drop``."""
        x: uint32_t = self.index()
        y: uint32_t = 0
        if self.op == OP_MEMORY_INIT or self.op == OP_MEMORY_COPY:
            y = self.index()
        address: uint32_t
        if self.op == OP_DATA_DROP:
            return self.data(x)
        if self.op == OP_MEMORY_INIT:
            if self.memory(y) or self.data(x):
                return 1
            return self.pop(P_I32) or self.pop(P_I32) or self.pop(P_I64 if self.context.memory64[y] else P_I32)
        if self.memory(x):
            return 1
        address = P_I64 if self.context.memory64[x] else P_I32
        if self.op == OP_MEMORY_SIZE:
            return self.push(address)
        if self.op == OP_MEMORY_GROW:
            return self.pop(address) or self.push(address)
        if self.op == OP_MEMORY_FILL:
            return self.pop(address) or self.pop(P_I32) or self.pop(address)
        if self.memory(y):
            return 1
        y = P_I64 if self.context.memory64[y] else P_I32
        return self.pop(P_I64 if address == P_I64 and y == P_I64 else P_I32) or self.pop(y) or self.pop(address)

    def reference(self):
        """``ref.null``, ``ref.is_null``, ``ref.as_non_null``, ``ref.func``."""
        heap: int64_t
        x: uint32_t
        if self.op == OP_REF_IS_NULL:
            return self.pop_ref() or self.push(P_I32)
        if self.op == OP_REF_AS_NON_NULL:
            return self.pop_ref() or self.push(self.popped & ~cython.cast(uint32_t, 0xFF) | K_REF)
        if self.op == OP_REF_NULL:
            heap = leb_s33(cython.address(self.p), self.end, cython.address(self.leb))
            if self.leb != 0:
                return self.fail(self.leb, NOTHING, NOTHING)
            if heap >= 0:
                if not self.context.features >> FEAT_FUNCTION_REFERENCES & 1:
                    return self.fail(F_FEATURE, 0, FEAT_FUNCTION_REFERENCES)
                if heap >= self.context.n_types:
                    return self.fail(F_TYPE_INDEX, self.context.n_types, cython.cast(uint32_t, heap))
                return self.push(self.context.types[heap].refs[0])
            x = cython.cast(uint32_t, heap & 0x7F)
            if heap < -64 or self.context.singles[x] == 0 or x >= 0x7B:
                return self.fail(F_VALTYPE, NOTHING, x)
            if self.type_missing(self.context.singles[x]):
                return 1
            return self.push(self.context.singles[x])
        x = self.index()
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        if x >= self.context.n_funcs:
            return self.fail(F_FUNC, self.context.n_funcs, x)
        if not self.context.declared[x]:
            return self.fail(F_UNDECLARED, NOTHING, x)
        return self.push(0x64 | (0x100 + self.context.func_types[x]) << 8)

    def memory_argument(self, align):
        """Read a memory argument: the type of its addresses, and the logarithm of its alignment. 0 at a fault."""
        memory: uint32_t = 0
        offset: uint64_t
        align[0] = self.index()
        if align[0] & 0x40:
            if not self.context.features >> FEAT_MULTI_MEMORY & 1:
                self.fail(F_FEATURE, 0, FEAT_MULTI_MEMORY)
                return 0
            align[0] &= ~cython.cast(uint32_t, 0x40)
            memory = self.index()
        offset = leb_u64(cython.address(self.p), self.end, cython.address(self.leb))
        if self.leb == 0 and align[0] >= 0x40:
            self.fail(F_MEMOP, NOTHING, align[0])
            return 0
        if self.memory(memory):
            return 0
        if align[0] > 4 or cython.cast(uint32_t, 1) << align[0] > OP_ACCESS[self.op]:
            self.fail(F_ALIGN, natural_alignment(OP_ACCESS[self.op]), align[0])
            return 0
        if self.context.memory64[memory]:
            return P_I64
        if offset >> 32:
            self.fail(F_OFFSET, NOTHING, NOTHING)
            return 0
        return P_I32

    def atomic(self):
        """Atomic instructions: accesses of natural alignment, and the fence."""
        align: uint32_t = 0
        address: uint32_t
        if self.op == OP_ATOMIC_FENCE:
            if self.p >= self.end:
                return self.fail(F_LEB_END, NOTHING, NOTHING)
            if self.p[0] != 0:
                return self.fail(F_ZERO, NOTHING, self.p[0])
            self.p += 1
            return 0
        address = self.memory_argument(cython.address(align))
        if address == 0:
            return 1
        if align != natural_alignment(OP_ACCESS[self.op]):
            return self.fail(F_ATOMIC_ALIGN, natural_alignment(OP_ACCESS[self.op]), align)
        return self.by_signature(address)

    def vector(self, kind):
        """Rows of vectors with immediates: accesses, lanes, constants."""
        align: uint32_t = 0
        address: uint32_t = 0
        i: uint32_t
        count: uint32_t = 1 if OP_LANES[self.op] else 0
        if kind == WK_VECTOR_ACCESS:
            address = self.memory_argument(cython.address(align))
            if address == 0:
                return 1
        elif kind != WK_LANE:
            count = 16
        if self.end - self.p < count:
            return self.fail(F_LEB_END, NOTHING, NOTHING)
        if kind != WK_V128:
            for i in range(count):
                if self.p[i] >= OP_LANES[self.op]:
                    return self.fail(F_LANE, OP_LANES[self.op], self.p[i])
        self.p += count
        return self.by_signature(address)

    def by_signature(self, address):
        """Take the operands and leave the result that a row's signature names; ``address`` is the type of addresses."""
        letter: uint32_t
        signature: uint32_t = OP_SIGNATURE[self.op]
        i: uint32_t = OP_POPS[self.op]
        while i > 0:
            letter = signature >> 4 * i & 15
            if self.pop(address if letter == 7 else 0x80 - letter):
                return 1
            i -= 1
        if OP_PUSHES[self.op]:
            self.push(0x80 - (signature & 15))
        return 0

    def memory_access(self):
        """Loads and stores."""
        align: uint32_t = 0
        address: uint32_t = self.memory_argument(cython.address(align))
        if address == 0:
            return 1
        if OP_POPS[self.op] == 2:
            if self.pop(0x80 - (OP_SIGNATURE[self.op] >> 8 & 15)) or self.pop(address):
                return 1
            return 0
        return self.pop(address) or self.push(0x80 - (OP_SIGNATURE[self.op] & 15))

    def plain(self):
        """A row whose signature says all: numbers in, numbers out; of the builder's, at most one."""
        op: uint32_t = self.op
        signature: uint32_t = OP_SIGNATURE[op]
        i: uint32_t = OP_POPS[op]
        while i > 0:
            if self.pop(0x80 - (signature >> 4 * i & 15)):
                return 1
            i -= 1
        if OP_PUSHES[op]:
            self.push(0x80 - (signature & 15))
        for i in range(1, OP_PUSHES[op]):
            self.push(0x80 - (signature >> 4 * (4 + i) & 15))
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
            if self.end - self.p < width:
                return self.fail(1, NOTHING, NOTHING)
            self.p += width
        if self.leb != 0:
            return self.fail(self.leb, NOTHING, NOTHING)
        return self.push(0x80 - (OP_SIGNATURE[self.op] & 15))

    def local_access(self):
        """``local.get``, ``local.set``, ``local.tee``."""
        x: uint32_t = self.index()
        type: uint32_t
        if x >= self.body.n_locals:
            if self.leb != 0:
                return self.fail(self.leb, NOTHING, NOTHING)
            return self.fail(F_LOCAL, self.body.n_locals, x)
        type = self.local_type(x)
        if self.op == OP_LOCAL_GET:
            if self.has_unset and not self.is_set[x]:
                return self.fail(F_UNSET, 0, x)
            return self.push(type)
        if self.pop(type):
            return 1
        if self.has_unset and not self.is_set[x]:
            self.set_first(x)
        if self.loops != 0 and not self.polymorphic:
            self.assign(x)
        if self.op == OP_LOCAL_TEE:
            self.push(type)
        return 0
