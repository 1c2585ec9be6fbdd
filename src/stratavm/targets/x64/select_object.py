# strata: hot
"""Selection of objects of guests, of numbers in references, and of what asks what a reference is.

Objects are Python's: their rows call a builtin, with operands in cells, where it leaves the result. A number in a
reference is 31 bits below bit 63 (``spec/types.py``).
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import BUILTIN_OBJECT_OP, BUILTIN_REF_IS, TRAP_NULL_I31
from cython.cimports.stratavm.ir.ssa import T_I32, T_I64, T_NONE, Node
from cython.cimports.stratavm.machine.minst import NO_VREG
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    MOP_ADD_RR,
    MOP_AND_RI,
    MOP_LEA_RM,
    MOP_OR_RR,
    MOP_SAR_RI,
    MOP_SHR_RI,
    RSP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import RULE_EXTRA, S_I31_GET, S_OBJECT, S_REF_I31, S_REF_TEST
from cython.cimports.stratavm.targets.x64.pseudo import CALL_VALUE, CC_E
from cython.cimports.stratavm.targets.x64.select_base import load_of, width_of

from stratavm.spec import types as T

I31_BITS = cython.declare(uint64_t, T.I31_BITS)
I31_TAG = cython.declare(uint64_t, T.I31_TAG)
TAG_BIT = cython.declare(uint32_t, T.I31_TAG.bit_length() - 1)
HEAP_I31 = cython.declare(uint32_t, (T.I31 - 0x80) & 0xFFFFFFFF)  # as the binary has it


@cython.cclass
class ObjectSelector(AtomicSelector):
    """Adds the shapes of ``rules_object``."""

    def object(self, n, shape):
        """Select one node of this family; false if the shape belongs to another."""
        if shape == S_OBJECT:
            self.ask(n)
        elif shape == S_REF_TEST:
            self.test(n)
        elif shape == S_REF_I31:
            self.number(n)
        elif shape == S_I31_GET:
            self.number_of(n)
        else:
            return False
        return True

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

    def test(self, n):
        """Whether a reference is of a heap type, and not null: a number says so itself."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        values: uint32_t[2]
        found: uint32_t = self.fresh(T_I64)
        values[0] = self.value(at.a)
        if at.c == HEAP_I31:
            self.row(MOP_SHR_RI, 8, found, values[0], NO_VREG)
            self.m.last().imm = TAG_BIT
        else:
            values[1] = self.constant(at.c, T_I64)
            self.builtin(BUILTIN_REF_IS, found, values, 2, CALL_VALUE)
        return self.low_half(n, found)

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
        self.against_zero(at.a, 8)
        self.trap_if(CC_E, TRAP_NULL_I31)
        if not RULE_EXTRA[at.op]:
            self.row(MOP_AND_RI, 4, self.define(n), value, NO_VREG)
            self.m.last().imm = I31_BITS
            return 0
        twice: uint32_t = self.fresh(T_I32)
        self.row(MOP_ADD_RR, 4, twice, value, value)
        self.row(MOP_SAR_RI, 4, self.define(n), twice, NO_VREG)
        self.m.last().imm = 1
        return 0
