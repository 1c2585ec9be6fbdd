# strata: hot
"""Selection of atomic instructions on memories that other threads see.

Loads are plain ones, stores are exchanges: all that others must see in order is in the order of locked instructions.
What an instruction changes in memory it does as one step, or, where none says what was there before, in a loop.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.failures import fail_wrong
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_MEMORY_NOTIFY,
    BUILTIN_MEMORY_WAIT,
    EXEC_WAITED,
    TRAP_MEMORY_OUT_OF_BOUNDS,
)
from cython.cimports.stratavm.ir.ssa import NF_WIDE, T_I32, T_I64
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_REG,
    C_SAME,
    MI_EFFECT,
    MI_FLAGS_DEF,
    NO_VREG,
    R_DEF,
    R_TEMP,
    R_USE,
    R_USE_LATE,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    MOP_CMP_RR,
    MOP_LOCKOR_MI,
    MOP_LOCKXADD_MR,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVZX8_RR,
    MOP_MOVZX16_RR,
    MOP_NEG_R,
    R15,
    RAX,
    RSP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_EXTRA,
    RULE_ROW,
    RULE_ROW2,
    RULE_ROW3,
    RULE_WIDTH,
    S_ATOMIC_CMPXCHG,
    S_ATOMIC_FENCE,
    S_ATOMIC_LOAD,
    S_ATOMIC_LOGIC,
    S_ATOMIC_NOTIFY,
    S_ATOMIC_STORE,
    S_ATOMIC_SUB,
    S_ATOMIC_WAIT,
    S_ATOMIC_XCHG,
)
from cython.cimports.stratavm.targets.x64.pseudo import CC_B, P_CHANGE, P_VIA
from cython.cimports.stratavm.targets.x64.select_base import is_const


@cython.cclass
class AtomicSelector(MemorySelector):
    """Adds the shapes of ``rules_atomic``."""

    def atomic(self, n, shape):
        """Select one node of this family; false if the shape belongs to another."""
        if not S_ATOMIC_LOAD <= shape <= S_ATOMIC_FENCE:
            return False
        if shape == S_ATOMIC_FENCE:
            self.fence()
            return True
        self.now = cython.address(self.ssa.nodes[n])
        if not self.now.flags & NF_WIDE:
            fail_wrong(b"node {} of function {} is no access of a shared memory", n, self.ssa.func)
        self.operands = self.ssa.args + self.now.b
        self.where = cython.address(self.ssa.memargs[self.operands[self.now.c]])
        if shape == S_ATOMIC_LOAD:
            self.read(n)
        elif shape == S_ATOMIC_STORE or shape == S_ATOMIC_XCHG:
            self.exchange(n, RULE_ROW[self.now.op], self.value(self.operands[1]))
        elif shape == S_ATOMIC_CMPXCHG:
            self.compare_exchange(n)
        elif shape == S_ATOMIC_NOTIFY or shape == S_ATOMIC_WAIT:
            self.waits(n, shape == S_ATOMIC_NOTIFY)
        else:
            self.change(n, shape)
        return True

    # ---- building blocks -----------------------------------------------------------------------

    def reach(self):
        """Where the access goes, and that it may. What else it needs is in registers before: nothing changes flags or
        memory between."""
        self.index = NO_VREG
        self.scale = 0
        self.disp = 0
        self.reached = self.address_of(
            self.now,
            self.operands[0],
            self.where,
            cython.address(self.index),
            cython.address(self.scale),
            cython.address(self.disp),
        )
        return 0

    def there(self, op, flags):
        """An operation on that place, by the memory's base; its operands in registers and the address follow."""
        self.base = self.pointer(self.plan.memories[self.where.memory].cell)
        self.pseudo(op, RULE_WIDTH[self.now.op], self.reached | flags)
        self.m.last().imm = self.plan.memories[self.where.memory].cell
        self.m.last().aux = TRAP_MEMORY_OUT_OF_BOUNDS
        return 0

    def arrive(self):
        """The address of the newest instruction."""
        return self.via_address(self.index, self.scale, self.disp)

    def result(self, n):
        """The register of what an instruction of so many bytes reads: the node's, if nothing is left to do."""
        if RULE_WIDTH[self.now.op] < 4 or (self.now.type != T_I32 and self.now.type != T_I64):
            return self.fresh(T_I64)
        return self.define(n)

    def widen(self, n, found):
        """A byte or two that were read, as the node's value; the rest of their register is what it was."""
        width: uint32_t = RULE_WIDTH[self.now.op]
        if width >= 4 or self.uses[n] == 0:
            return 0
        return self.row(MOP_MOVZX8_RR if width == 1 else MOP_MOVZX16_RR, 4, self.define(n), found, NO_VREG)

    # ---- accesses ------------------------------------------------------------------------------

    def read(self, n):
        """A plain load: the processor keeps loads in order, and everything behind a locked instruction behind it."""
        self.reach()
        self.there(P_VIA + RULE_ROW[self.now.op], 0)
        self.m.operand(self.define(n), R_DEF, C_REG, 0)
        return self.arrive()

    def exchange(self, n, mop, value):
        """A register for what is in memory: ``xchg``, which is a store, too, and ``xadd``."""
        found: uint32_t = self.result(n)
        self.reach()
        self.there(P_VIA + mop, MI_FLAGS_DEF if mop == MOP_LOCKXADD_MR else 0)
        self.m.operand(found, R_DEF, C_SAME, 1)
        self.m.operand(value, R_USE, C_REG, 0)
        self.arrive()
        return self.widen(n, found)

    def change(self, n, shape):
        """add, sub, and, or, xor."""
        if self.uses[n] == 0:
            return self.change_unseen()
        if shape == S_ATOMIC_LOGIC:
            return self.logic(n)
        return self.add(n, shape == S_ATOMIC_SUB)

    def change_unseen(self):
        """One of which nobody asks what was there."""
        imm: int64_t = 0
        width: uint32_t = RULE_WIDTH[self.now.op]
        if self.const_imm(self.operands[1], width, cython.address(imm)):
            if width < 4:
                imm &= 0xFF if width == 1 else 0xFFFF
            self.reach()
            self.there(P_VIA + RULE_ROW2[self.now.op], MI_FLAGS_DEF)
            self.m.last().imm |= imm << 32
            return self.arrive()
        value: uint32_t = self.value(self.operands[1])
        self.reach()
        self.there(P_VIA + RULE_ROW[self.now.op], MI_FLAGS_DEF)
        self.m.operand(value, R_USE, C_REG, 0)
        return self.arrive()

    def add(self, n, minus):
        """A sum with what was there."""
        node: uint32_t = self.operands[1]
        value: uint32_t
        if minus and is_const(self.ssa, node):
            bits: uint64_t = 0 - self.const_bits(node)
            value = self.constant(bits if self.now.type == T_I64 else cython.cast(uint32_t, bits), self.now.type)
        elif minus:
            value = self.fresh(self.now.type)
            self.row(MOP_NEG_R, 8 if self.now.type == T_I64 else 4, value, self.value(node), NO_VREG)
        else:
            value = self.value(node)
        return self.exchange(n, MOP_LOCKXADD_MR, value)

    def logic(self, n):
        """A loop, as processors have no such instruction that says what was there."""
        value: uint32_t = self.value(self.operands[1])
        scratch: uint32_t = self.fresh(T_I64)
        self.reach()
        self.there(P_CHANGE, MI_FLAGS_DEF)
        self.m.last().imm |= cython.cast(int64_t, RULE_ROW3[self.now.op]) << 32
        self.m.operand(self.define(n), R_DEF, C_FIXED, RAX)
        self.m.operand(value, R_USE_LATE, C_REG, 0)
        self.m.operand(scratch, R_TEMP, C_REG, 0)
        self.m.last().disp = self.disp
        if self.index != NO_VREG:
            self.m.last().scale = self.scale
            self.m.operand(self.index, R_USE_LATE, C_REG, 0)
        if self.base != NO_VREG:
            self.m.operand(self.base, R_USE_LATE, C_ANY, 0)
        return 0

    def compare_exchange(self, n):
        """Of what is expected, the bits of the width count; where it is found, rax keeps the others."""
        width: uint32_t = RULE_WIDTH[self.now.op]
        expected: uint32_t = self.value(self.operands[1])
        new: uint32_t = self.value(self.operands[2])
        found: uint32_t = self.fresh(T_I64)
        self.reach()
        self.there(P_VIA + RULE_ROW[self.now.op], MI_FLAGS_DEF)
        self.m.operand(found, R_DEF, C_FIXED, RAX)
        self.m.operand(expected, R_USE, C_FIXED, RAX)
        self.m.operand(new, R_USE, C_REG, 0)
        self.arrive()
        if width < 4 or self.uses[n] == 0:
            return self.widen(n, found)
        self.row(MOP_MOV_RR, width, self.define(n), found, NO_VREG)
        self.m.operands[self.m.last().ops].constraint = C_REG
        return 0

    def waits(self, n, wakes):
        """A wait, or what ends one: a builtin, which looks at the place itself. What it gives lies in the context."""
        values: uint32_t[4]
        i: uint32_t
        bytes: uint64_t = RULE_EXTRA[self.now.op]
        address: uint32_t = self.sum64(self.operands[0], self.where.offset)
        if self.plan.memories[self.where.memory].is64 and self.where.offset:
            self.row(MOP_CMP_RR, 8, address, self.value(self.operands[0]), NO_VREG)
            self.trap_if(CC_B, TRAP_MEMORY_OUT_OF_BOUNDS)
        for i in range(1, self.now.c):
            values[i + 1] = self.value(self.operands[i])
        values[0] = self.constant(self.where.memory | (0 if wakes else bytes << 32), T_I64)
        values[1] = address
        self.builtin(BUILTIN_MEMORY_NOTIFY if wakes else BUILTIN_MEMORY_WAIT, NO_VREG, values, 1 + self.now.c, 0)
        if self.uses[n] == 0:
            return 0
        self.row(MOP_MOV_RM, 4, self.define(n), NO_VREG, NO_VREG)
        return self.on_base(R15, EXEC_WAITED)

    def fence(self):
        """All loads behind it come after all stores before it: a locked instruction that changes nothing."""
        self.row(MOP_LOCKOR_MI, 4, NO_VREG, NO_VREG, NO_VREG)
        self.on_base(RSP, 0)
        self.m.last().flags |= MI_EFFECT | MI_FLAGS_DEF
        return 0
