# strata: hot
"""Selection of objects of guests, of numbers in references, and of what asks what a reference is.

What reads, writes and makes them is instructions: a reference is an address, and where a value lies says the plan
(ADR-0077 has the write barrier and allocation). Other rows call a builtin with operands in cells, where it leaves the
result. A number in a reference is 31 bits below bit 63 (``spec/types.py``).
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.bits import lowest_of
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_OBJECT_NEW,
    BUILTIN_OBJECT_OP,
    BUILTIN_REF_IS,
    EXEC_WAITED,
    TRAP_ARRAY_OUT_OF_BOUNDS,
    TRAP_CAST_FAILURE,
    TRAP_NULL_ARRAY,
    TRAP_NULL_I31,
    TRAP_NULL_REFERENCE,
    TRAP_NULL_STRUCTURE,
)
from cython.cimports.stratavm.heap.state import LARGE
from cython.cimports.stratavm.ir.ops import (
    OP_ARRAY_GET,
    OP_ARRAY_GET_S,
    OP_ARRAY_LEN,
    OP_ARRAY_NEW,
    OP_ARRAY_NEW_DEFAULT,
    OP_ARRAY_NEW_FIXED,
    OP_ARRAY_SET,
    OP_CALL,
    OP_I32_EQZ,
    OP_REF_AS_NON_NULL,
    OP_REF_I31,
    OP_REF_IS_NULL,
    OP_REF_TEST,
    OP_REF_TEST_NULL,
    OP_STRUCT_GET,
    OP_STRUCT_GET_S,
    OP_STRUCT_NEW,
    OP_STRUCT_NEW_DEFAULT,
    OP_STRUCT_SET,
)
from cython.cimports.stratavm.ir.ssa import (
    IR_BR_IF,
    IR_PARAM,
    NF_CHECKED,
    NO_VALUE,
    T_I32,
    T_I64,
    T_NONE,
    Node,
    edge_count,
    edge_of,
)
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_REG,
    MI_EFFECT,
    MI_EXIT,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    MI_MOVE,
    MI_TERMINATOR,
    MI_TRAPS,
    NO_VREG,
    R_DEF,
    R_TEMP,
    R_USE,
    R_USE_LATE,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    MOP_ADD_RR,
    MOP_AND_RI,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_LEA_RM,
    MOP_MOV_MI,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVSX8_RM,
    MOP_MOVSX16_RM,
    MOP_MOVZX8_RM,
    MOP_MOVZX16_RM,
    MOP_OR_RR,
    MOP_SAR_RI,
    R15,
    RIP,
    RSP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_EXTRA,
    S_I31_GET,
    S_OBJECT,
    S_REF_AS_NON_NULL,
    S_REF_I31,
    S_REF_TEST,
)
from cython.cimports.stratavm.targets.x64.plan import TypePlan, ValuePlace
from cython.cimports.stratavm.targets.x64.pseudo import (
    CALL_VALUE,
    CC_AE,
    CC_E,
    CC_LE,
    CC_S,
    IS_ARRAY,
    IS_NULLABLE,
    IS_OPEN,
    IS_STRUCT,
    P_IS,
    P_NEW,
    P_NOTE,
    P_SETCC,
    P_TRAP,
)
from cython.cimports.stratavm.targets.x64.rows import row_address, row_address_reg
from cython.cimports.stratavm.targets.x64.select_base import is_const, load_of, store_of, width_of

from stratavm.spec import types as T

I31_BITS = cython.declare(uint64_t, T.I31_BITS)
I31_TAG = cython.declare(uint64_t, T.I31_TAG)
LENGTH = cython.declare(uint32_t, 4)  # where an array's length is
MOST_FIXED_ELEMENTS = cython.declare(uint32_t, 64)
MOST_FILLED = cython.declare(uint32_t, 16)  # elements of an array that get the same value one by one
HEAP_I31 = cython.declare(uint32_t, (T.I31 - 0x80) & 0xFFFFFFFF)  # as the binary has them
HEAP_EQ = cython.declare(uint32_t, (T.EQ - 0x80) & 0xFFFFFFFF)
HEAP_STRUCT = cython.declare(uint32_t, (T.STRUCT - 0x80) & 0xFFFFFFFF)
HEAP_ARRAY = cython.declare(uint32_t, (T.ARRAY - 0x80) & 0xFFFFFFFF)
LEAST_ADDRESS = cython.declare(uint64_t, 1 << 32)  # of an object


@cython.cclass
class ObjectSelector(AtomicSelector):
    """Adds the shapes of ``rules_object``."""

    def __cinit__(self):
        self.sure = self.origins = cython.NULL
        self.cap_sure = self.cap_origins = 0

    def __dealloc__(self):
        vec_free(self.sure)
        vec_free(self.origins)

    def object(self, n, shape):
        """Select one node of this family; false if the shape belongs to another."""
        if shape == S_OBJECT:
            self.row_of_objects(n, self.ssa.nodes[n].op)
        elif shape == S_REF_TEST:
            self.test(n)
        elif shape == S_REF_I31:
            self.number(n)
        elif shape == S_I31_GET:
            self.number_of(n)
        elif shape == S_REF_AS_NON_NULL:
            self.check_null(self.ssa.nodes[n].a, TRAP_NULL_REFERENCE)
            self.row(MOP_MOV_RR, 8, self.define(n), self.value(self.ssa.nodes[n].a), NO_VREG)
            self.m.last().flags |= MI_MOVE
        else:
            return False
        return True

    def row_of_objects(self, n, op):
        """A row of structs and arrays."""
        if OP_STRUCT_GET <= op <= OP_STRUCT_SET:
            return self.field(n, op == OP_STRUCT_SET)
        if OP_ARRAY_GET <= op <= OP_ARRAY_SET:
            return self.element(n, op == OP_ARRAY_SET)
        if op == OP_ARRAY_LEN:
            return self.length(n)
        if op == OP_STRUCT_NEW or op == OP_STRUCT_NEW_DEFAULT or op == OP_ARRAY_NEW_FIXED:
            return self.make(n)
        if op == OP_ARRAY_NEW_DEFAULT or op == OP_ARRAY_NEW:
            return self.new_array(n, op == OP_ARRAY_NEW)
        return self.ask(n)

    def immediate(self, n, which):
        """An immediate of a row of objects: they lie behind its operands."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        return self.ssa.args[at.b + at.c + which]

    def place_of(self, n, field):
        """Where a field lies, or an array's elements, of the type that the first immediate names."""
        return cython.address(self.plan.places[self.plan.types[self.immediate(n, 0)].first + field])

    # ---- null ------------------------------------------------------------------------------------

    def forget_checks(self):
        """Begin a function: nothing is known of references."""
        vec_room(self.sure, self.cap_sure, self.ssa.n_nodes + 1)
        vec_room(self.origins, self.cap_origins, self.ssa.n_blocks + 1)
        memset(self.sure, 0xFF, cython.cast(cython.size_t, self.ssa.n_nodes) * cython.sizeof(uint32_t))
        memset(self.origins, 0xFF, cython.cast(cython.size_t, self.ssa.n_blocks) * cython.sizeof(uint32_t))
        return 0

    def enter_block(self, number):
        """Begin a block: what is known in it is known in those that only it leads to, and a test at its end is known
        where it leads."""
        last: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[number].last - 1])
        i: uint32_t
        target: uint32_t
        self.here = number
        for i in range(edge_count(last)):
            target = self.ssa.edges[edge_of(last, i)].target
            if self.ssa.blocks[target].preds == 1:
                self.origins[target] = number
        if last.op == IR_BR_IF:
            self.learn(last.a, self.ssa.edges[last.b].target, self.ssa.edges[last.c].target)
        return 0

    def learn(self, test, taken, otherwise):
        """What a branch says of a reference, in the one or in the other block to which it leads."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[test])
        target: uint32_t = taken
        holds: cython.bint = True
        if at.op == OP_I32_EQZ:
            at, holds = cython.address(self.ssa.nodes[at.a]), False
        if at.op == OP_I32_EQZ:
            at, holds = cython.address(self.ssa.nodes[at.a]), True
        if at.op != OP_REF_TEST and at.op != OP_REF_IS_NULL:
            return 0
        if holds != (at.op == OP_REF_TEST):
            target = otherwise
        if self.ssa.blocks[target].preds == 1 and not self.is_sure(at.a):
            self.sure[at.a] = target
        return 0

    def is_sure(self, node):
        """Whether a reference is known not to be null here: by its type, because it is new, or by a check or a test in
        a block from which all ways lead here."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        type: cython.pointer(TypePlan)
        block: uint32_t = self.here
        i: uint32_t
        if at.op == OP_STRUCT_NEW or at.op == OP_STRUCT_NEW_DEFAULT or OP_ARRAY_NEW <= at.op < OP_ARRAY_GET:
            return True
        if at.op == OP_REF_AS_NON_NULL or at.op == OP_REF_I31:
            return True
        if at.op == OP_STRUCT_GET and self.place_of(node, self.immediate(node, 1)).sure:
            return True
        if at.op == OP_ARRAY_GET and self.place_of(node, 0).sure:
            return True
        if at.op == IR_PARAM and not self.ssa.entered:
            type = cython.address(self.plan.types[self.plan.func_types[self.ssa.func]])
            if self.plan.places[type.first + at.c].sure:
                return True
        if at.op == OP_CALL:
            type = cython.address(self.plan.types[self.plan.func_types[self.immediate(node, 0)]])
            if self.plan.places[type.first + type.n_params].sure:
                return True
        if self.sure[node] == NO_VALUE:
            return False
        for i in range(MOST_BLOCKS):
            if block == self.sure[node]:
                return True
            block = self.origins[block]
            if block == NO_VALUE:
                return False
        return False

    def check_null(self, node, kind):
        """A trap where a reference is null, unless it is known not to be."""
        if not self.is_sure(node):
            self.against_zero(node, 8)
            self.trap_if(CC_E, kind)
            self.sure[node] = self.here
        return 0

    def not_null(self, node, kind):
        """The register of a reference; a trap where it is null."""
        self.check_null(node, kind)
        return self.value(node)

    def load_value(self, n, bytes, reference, index, scale, offset):
        """A node's value out of an object, extended where it is packed."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        signed: cython.bint = at.op == OP_STRUCT_GET_S or at.op == OP_ARRAY_GET_S
        mop: uint32_t = load_of(at.type)
        width: uint32_t = width_of(at.type)
        if bytes == 1:
            mop = MOP_MOVSX8_RM if signed else MOP_MOVZX8_RM
        elif bytes == 2:
            mop = MOP_MOVSX16_RM if signed else MOP_MOVZX16_RM
        self.row(mop, width, self.define(n), NO_VREG, NO_VREG)
        row_address(self.m, reference, index, scale, offset)
        self.m.last().flags |= MI_EFFECT
        return 0

    def save_value(self, type, bytes, value, reference, index, scale, offset):
        """A value into an object."""
        self.row(store_of(type), bytes, value, NO_VREG, NO_VREG)
        row_address(self.m, reference, index, scale, offset)
        self.m.last().flags |= MI_EFFECT
        return 0

    def note(self, node, reference, index, scale, offset):
        """The write barrier, before a node's value takes the place of a reference in an object: unless it is null or a
        number, which refers to none that a collection could miss."""
        if is_const(self.ssa, node) or self.ssa.nodes[node].op == OP_REF_I31:
            return 0
        self.pseudo(P_NOTE, 8, MI_EFFECT | MI_FLAGS_DEF)
        return row_address(self.m, reference, index, scale, offset)

    def field(self, n, write):
        """``struct.get`` and ``struct.set``."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        place: cython.pointer(ValuePlace) = self.place_of(n, self.immediate(n, 1))
        reference: uint32_t = self.not_null(self.ssa.args[at.b], TRAP_NULL_STRUCTURE)
        value: uint32_t
        if write:
            value = self.value(self.ssa.args[at.b + 1])
            if place.traced:
                self.note(self.ssa.args[at.b + 1], reference, NO_VREG, 0, place.offset)
            return self.save_value(
                self.ssa.nodes[self.ssa.args[at.b + 1]].type, place.reg, value, reference, NO_VREG, 0, place.offset
            )
        return self.load_value(n, place.reg, reference, NO_VREG, 0, place.offset) if self.uses[n] else 0

    def element(self, n, write):
        """``array.get`` and ``array.set``."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        place: cython.pointer(ValuePlace) = self.place_of(n, 0)
        checked: cython.bint = at.flags & NF_CHECKED != 0
        reference: uint32_t
        if checked:
            reference = self.value(self.ssa.args[at.b])
        else:
            reference = self.not_null(self.ssa.args[at.b], TRAP_NULL_ARRAY)
        index: uint32_t = self.value(self.ssa.args[at.b + 1])
        value: uint32_t
        twice: uint32_t
        scale: uint32_t = lowest_of(place.reg)
        if not checked:
            self.row(MOP_CMP_RM, 4, index, NO_VREG, NO_VREG)
            row_address(self.m, reference, NO_VREG, 0, LENGTH)
            self.m.last().flags |= MI_EFFECT
            self.trap_if(CC_AE, TRAP_ARRAY_OUT_OF_BOUNDS)
        if scale > 3:  # no address has a scale of 16
            twice = self.fresh(T_I64)
            self.row(MOP_LEA_RM, 8, twice, NO_VREG, NO_VREG)
            row_address(self.m, index, index, 0, 0)
            index, scale = twice, 3
        if write:
            value = self.value(self.ssa.args[at.b + 2])
            if place.traced:
                self.note(self.ssa.args[at.b + 2], reference, index, scale, place.offset)
            return self.save_value(
                self.ssa.nodes[self.ssa.args[at.b + 2]].type, place.reg, value, reference, index, scale, place.offset
            )
        return self.load_value(n, place.reg, reference, index, scale, place.offset) if self.uses[n] else 0

    def length(self, n):
        """``array.len``."""
        reference: uint32_t = self.not_null(self.ssa.args[self.ssa.nodes[n].b], TRAP_NULL_ARRAY)
        return self.load_value(n, 4, reference, NO_VREG, 0, LENGTH) if self.uses[n] else 0

    def new(self, n, size, length, zeros):
        """A new object of so many bytes and elements, of ``zeros`` or of what was there before: inline where the window
        may have room for it."""
        if size > LARGE:
            return self.ask_for(n, self.constant(length, T_I64))
        self.pseudo(P_NEW, 8, MI_EFFECT | MI_FLAGS_DEF)
        self.m.last().aux = self.immediate(n, 0)
        self.m.last().cc = zeros
        self.m.last().imm = (size + 15) & ~cython.cast(uint64_t, 15) | cython.cast(uint64_t, length) << 32
        self.m.operand(self.define(n), R_DEF, C_REG, 0)
        return 0

    def new_of_length(self, n, place, length):
        """A new array of zeros, of a length that is not known: inline unless it turns out to be large."""
        most: uint64_t = (LARGE - place.offset) // place.reg
        self.pseudo(P_NEW, 8, MI_EFFECT | MI_FLAGS_DEF)
        self.m.last().aux = self.immediate(n, 0)
        self.m.last().cc = lowest_of(place.reg)
        self.m.last().imm = place.offset | most << 32
        self.m.operand(self.define(n), R_DEF, C_REG, 0)
        self.m.operand(length, R_USE_LATE, C_REG, 0)
        return 0

    def ask_for(self, n, length):
        """A new object of zeros, which the runtime makes."""
        values: uint32_t[2]
        values[0] = self.constant(self.immediate(n, 0), T_I64)
        values[1] = length
        self.builtin(BUILTIN_OBJECT_NEW, NO_VREG, values, 2, 0)
        self.row(MOP_MOV_RM, 8, self.define(n), NO_VREG, NO_VREG)
        self.on_base(R15, EXEC_WAITED)
        self.m.last().flags |= MI_EFFECT
        return 0

    def new_array(self, n, filled):
        """``array.new`` and ``array.new_default``: of a length that is known, inline, unless elements cost fuel."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        place: cython.pointer(ValuePlace) = self.place_of(n, 0)
        length: uint32_t = self.ssa.args[at.b + 1 if filled else at.b]
        count: uint64_t
        i: uint32_t
        zeros: cython.bint = not filled or self.is_zeroed(self.ssa.args[at.b])
        if self.immediate(n, 1):
            return self.ask(n)
        if not is_const(self.ssa, length):
            return self.new_of_length(n, place, self.value(length)) if zeros else self.ask(n)
        count = self.const_bits(length)
        if not zeros and count > MOST_FILLED:
            return self.ask(n)
        self.new(n, place.offset + place.reg * count, cython.cast(uint32_t, count), zeros)
        for i in range(0 if zeros else cython.cast(uint32_t, count)):
            self.put(n, self.ssa.args[at.b], place, i)
        return 0

    def is_zeroed(self, node):
        """Whether a value is all zeros."""
        return is_const(self.ssa, node) and self.const_bits(node) == 0

    def make(self, n):
        """``struct.new`` and ``array.new_fixed``: the operands go into a new object, all of them, since it has what was
        there before. Nothing between collects, so that these stores need no barrier, nor traps or polls: a stale word
        of the stack may name the object later."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        type: uint32_t = self.immediate(n, 0)
        place: cython.pointer(ValuePlace) = self.plan.places + self.plan.types[type].first
        i: uint32_t
        fixed: cython.bint = at.op == OP_ARRAY_NEW_FIXED
        if fixed and at.c > MOST_FIXED_ELEMENTS:
            return self.ask(n)
        bytes: uint64_t = self.plan.types[type].size + (place.reg * at.c if fixed else 0)
        self.new(n, bytes, at.c if fixed else 0, at.op == OP_STRUCT_NEW_DEFAULT)
        for i in range(at.c):
            self.put(n, self.ssa.args[at.b + i], place if fixed else place + i, i if fixed else 0)
        return 0

    def put(self, n, node, place, at):
        """The first value of a field of a new object, or of an element."""
        offset: uint32_t = place.offset + place.reg * at
        if self.is_zeroed(node):
            return self.clear(self.define(n), place.reg, offset)
        value: uint32_t = self.value(node)
        return self.save_value(self.ssa.nodes[node].type, place.reg, value, self.define(n), NO_VREG, 0, offset)

    def clear(self, reference, bytes, offset):
        """Zeros into a field of a new object, or into an element; a vector of zeros is a value as others are."""
        self.row(MOP_MOV_MI, bytes, NO_VREG, NO_VREG, NO_VREG)
        row_address(self.m, reference, NO_VREG, 0, offset)
        self.m.last().flags |= MI_EFFECT
        return 0

    def ask(self, n):
        """A row of objects: the runtime does it."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        values: uint32_t[4]
        self.put_cells(n)
        values[0] = self.fresh(T_I64)
        self.row(MOP_LEA_RM, 8, values[0], NO_VREG, NO_VREG)
        self.on_base(RSP, 0)
        values[1] = self.constant(at.op, T_I64)
        values[2] = self.constant(self.ssa.args[at.b + at.c], T_I64)
        values[3] = self.constant(self.ssa.args[at.b + at.c + 1], T_I64)
        self.builtin(BUILTIN_OBJECT_OP, NO_VREG, values, 4, 0)
        if at.type != T_NONE and self.uses[n]:
            self.row(load_of(at.type), width_of(at.type), self.define(n), NO_VREG, NO_VREG)
            self.on_base(RSP, 0)
        return 0

    def is_inline(self, node):
        """Whether a test of a reference is instructions: it is if it is not for a type of functions."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        return at.c >= self.plan.n_types or self.plan.types[at.c].size != 0

    def is_condition(self, node):
        """Whether the node is a comparison that can be left in the flags."""
        op: uint32_t = self.ssa.nodes[node].op
        if op == OP_REF_TEST or op == OP_REF_TEST_NULL:
            return self.is_inline(node)
        return AtomicSelector.is_condition(self, node)

    def flags_of(self, node):
        """Emit the comparison; returns the condition code that holds where it is true."""
        op: uint32_t = self.ssa.nodes[node].op
        if op == OP_REF_TEST or op == OP_REF_TEST_NULL:
            return self.flags_of_test(node, op == OP_REF_TEST_NULL)
        return AtomicSelector.flags_of(self, node)

    def flags_of_test(self, node, nullable):
        """Whether a reference is of a heap type: null is 0, handles are below 2^32, numbers have bit 63, and all else
        has the address of an object, whose header says the type."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        reference: uint32_t = self.value(at.a)
        heap: uint32_t = at.c
        before: uint32_t
        bits: uint32_t = IS_NULLABLE if nullable else 0
        if heap == HEAP_I31:
            self.row(MOP_CMP_RI, 8, reference, NO_VREG, NO_VREG)
            return CC_LE if nullable else CC_S
        if heap == HEAP_EQ:
            if nullable:  # which becomes the greatest
                before = self.fresh(T_I64)
                self.row(MOP_LEA_RM, 8, before, NO_VREG, NO_VREG)
                row_address(self.m, reference, NO_VREG, 0, -1)
                reference = before
            self.row(MOP_CMP_RM, 8, reference, NO_VREG, NO_VREG)
            row_address_reg(self.m, RIP, NO_VREG, 0, self.m.constant(LEAST_ADDRESS - nullable))
            return CC_AE
        if heap == HEAP_STRUCT:
            bits |= IS_STRUCT
        elif heap == HEAP_ARRAY:
            bits |= IS_ARRAY
        elif self.plan.types[heap].open:
            bits |= IS_OPEN
        at_pool: uint32_t = self.m.constant(LEAST_ADDRESS)
        self.pseudo(P_IS, 8, MI_FLAGS_DEF)
        self.m.last().cc = bits
        self.m.last().aux = at_pool
        self.m.last().imm = heap
        self.m.operand(reference, R_USE, C_REG, 0)
        if bits & IS_OPEN:
            self.m.operand(self.fresh(T_I64), R_TEMP, C_REG, 0)
            self.m.operand(self.fresh(T_I64), R_TEMP, C_REG, 0)
        return CC_E

    def test(self, n):
        """Whether a reference is of a heap type, as a number."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        values: uint32_t[2]
        null: uint32_t
        low: uint32_t
        if self.is_inline(n):
            return self.set_condition(n)
        found: uint32_t = self.fresh(T_I64)
        values[0] = self.value(at.a)
        values[1] = self.constant(at.c, T_I64)
        self.builtin(BUILTIN_REF_IS, found, values, 2, CALL_VALUE)
        if at.op == OP_REF_TEST:
            return self.low_half(n, found)
        low = self.fresh(T_I32)
        null = self.fresh(T_I32)
        self.row(MOP_MOV_RR, 4, low, found, NO_VREG)
        self.m.operands[self.m.last().ops].constraint = C_REG
        self.row(MOP_CMP_RI, 8, self.value(at.a), NO_VREG, NO_VREG)
        self.pseudo(P_SETCC, 4, MI_FLAGS_USE)
        self.m.last().cc = CC_E
        self.m.operand(null, R_DEF, C_REG, 0)
        return self.row(MOP_OR_RR, 4, self.define(n), low, null)

    def trap(self, kind):
        """A trap, which ends the block at hand. That of a cast says where the reference is that was wrong."""
        node: uint32_t = self.reference_tested(self.here) if kind == TRAP_CAST_FAILURE else NO_VALUE
        reference: uint32_t = NO_VREG if node == NO_VALUE else self.value(node)
        self.pseudo(P_TRAP, 0, MI_TRAPS | MI_EFFECT | MI_TERMINATOR | MI_EXIT)
        self.m.last().aux = kind
        if reference != NO_VREG:
            self.m.operand(reference, R_USE, C_ANY, 0)
        return 0

    def reference_tested(self, block):
        """The reference whose cast a block's trap is of; NO_VALUE where nothing says so.

        A cast that a pass found to fail has no branch: the one that leads to its trap is another instruction's."""
        at: cython.pointer(Node)
        origin: uint32_t = self.origins[block]
        trap: uint32_t = self.ssa.blocks[block].last - 1
        branch: uint32_t
        if origin == NO_VALUE:
            return NO_VALUE
        branch = self.ssa.blocks[origin].last - 1
        at = cython.address(self.ssa.nodes[branch])
        if at.op != IR_BR_IF or self.ssa.positions[branch] != self.ssa.positions[trap]:
            return NO_VALUE
        at = cython.address(self.ssa.nodes[at.a])
        while at.op == OP_I32_EQZ:
            at = cython.address(self.ssa.nodes[at.a])
        if at.op != OP_REF_TEST and at.op != OP_REF_TEST_NULL and at.op != OP_REF_IS_NULL:
            return NO_VALUE
        return at.a

    def number(self, n):
        """``ref.i31``: the low bits of a number below the tag."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        low: uint32_t = self.fresh(T_I32)
        tag: uint32_t = self.constant(I31_TAG, T_I64)
        self.row(MOP_AND_RI, 4, low, self.value(at.a), NO_VREG)
        self.m.last().imm = I31_BITS
        self.row(MOP_OR_RR, 8, self.define(n), low, tag)
        return 0

    def number_of(self, n):
        """``i31.get_s`` and ``i31.get_u``."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        value: uint32_t = self.value(at.a)
        self.check_null(at.a, TRAP_NULL_I31)
        if not RULE_EXTRA[at.op]:
            self.row(MOP_AND_RI, 4, self.define(n), value, NO_VREG)
            self.m.last().imm = I31_BITS
            return 0
        twice: uint32_t = self.fresh(T_I32)
        self.row(MOP_ADD_RR, 4, twice, value, value)
        self.row(MOP_SAR_RI, 4, self.define(n), twice, NO_VREG)
        self.m.last().imm = 1
        return 0
