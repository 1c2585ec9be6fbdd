"""Selection of what touches the instance: memories, tables, globals, references, and the builtins behind bulk
operations.
"""

# strata: hot
import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.stratavm.base.bits import bits_of
from cython.cimports.stratavm.base.failures import fail_wrong
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_EXN_REF,
    BUILTIN_MEMORY_GROW,
    BUILTIN_RETHROW,
    BUILTIN_TABLE_GROW,
    BUILTIN_TABLE_PREPARE,
    BUILTIN_THROW,
    BUILTIN_THROW_REF,
    EXEC_THROWN,
    EXEC_THROWN_TAG,
    FUNCREC_SIZE,
    MEMDEF_BYTES,
    PLAN_BOUNDED,
    TABLEDEF_LENGTH,
    TRAP_MEMORY_OUT_OF_BOUNDS,
    TRAP_TABLE_OUT_OF_BOUNDS,
    VMCTX_FUNC_RECS,
)
from cython.cimports.stratavm.contract.records import NO_RECORD, ordinal_of
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OP_I32_ADD,
    OP_I32_GE_U,
    OP_I32_GT_U,
    OP_I32_LE_U,
    OP_I32_LT_U,
)
from cython.cimports.stratavm.ir.ssa import (
    IR_CAUGHT,
    IR_EXN,
    IR_TAG,
    IR_THROW_REF,
    NF_CHECKED,
    NO_VALUE,
    T_F32,
    T_I32,
    T_I64,
    MemArg,
    Node,
)
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_REG,
    C_SAME,
    MI_CALL,
    MI_EFFECT,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    MI_HOME,
    MI_REMAT,
    MI_TRAPS,
    NO_VREG,
    OF_NEAR,
    R_DEF,
    R_USE,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    ENC_F_FLAGS_DEF,
    ENC_NO_OPERAND,
    ENC_ROWS,
    MOP_ADD_RI,
    MOP_ADD_RR,
    MOP_AND_RR,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_CMP_RR,
    MOP_LEA_RM,
    MOP_MOV_MI,
    MOP_MOV_MR,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVZX8_RM,
    MOP_MOVZX16_RM,
    MOP_SHR_RC,
    MOP_SHR_RI,
    R8,
    R9,
    R14,
    R15,
    RAX,
    RCX,
    RDX,
    RSP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_EXTRA,
    RULE_ROW,
    RULE_SHAPE,
    RULE_WIDTH,
    S_BULK,
    S_DROP,
    S_GLOBAL_GET,
    S_GLOBAL_SET,
    S_LOAD,
    S_MEMORY_GROW,
    S_MEMORY_SIZE,
    S_REF_FUNC,
    S_REF_NULL,
    S_SELECT,
    S_TABLE_GET,
    S_TABLE_GROW,
    S_TABLE_SET,
    S_TABLE_SIZE,
)
from cython.cimports.stratavm.targets.x64.plan import ANY_LENGTH, MemoryPlan
from cython.cimports.stratavm.targets.x64.pseudo import (
    CALL_VALUE,
    CC_A,
    CC_AE,
    CC_B,
    CC_E,
    P_CALL_BUILTIN,
    P_TRAP_IF,
    P_VIA,
)
from cython.cimports.stratavm.targets.x64.rows import row_address
from cython.cimports.stratavm.targets.x64.select_base import (
    NODE_FOLDED,
    NODE_FUSED,
    cell_width,
    is_const,
    load_of,
    store_of,
    width_of,
)

U32_MAX = cython.declare(uint64_t, 0xFFFFFFFF)
CELL = cython.declare(uint32_t, 16)  # bytes of a value of an exception
TWO_31 = cython.declare(uint64_t, 0x80000000)
ANYWHERE = cython.declare(uint32_t, 0xFFFFFFFF)
"""How far a value goes of which nothing is known."""


@cython.cclass
class MemorySelector(VectorSelector):
    """Adds the shapes of ``rules_mem``, calls excepted."""

    def memory(self, n, shape):
        """Select one node of these families, loads and stores excepted; false if the shape belongs to another."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        if shape == S_GLOBAL_GET or shape == S_GLOBAL_SET:
            self.global_access(n, shape == S_GLOBAL_SET)
        elif shape == S_TABLE_GET or shape == S_TABLE_SET:
            self.table_access(n, shape == S_TABLE_SET)
        elif shape == S_TABLE_SIZE or shape == S_MEMORY_SIZE:
            self.size_of(n, shape == S_TABLE_SIZE)
        elif shape == S_MEMORY_GROW:
            self.grow(n, BUILTIN_MEMORY_GROW, at.c, at.a, NO_VREG)
        elif shape == S_TABLE_GROW:
            self.grow(n, BUILTIN_TABLE_GROW, self.ssa.args[at.b + 2], self.ssa.args[at.b], self.ssa.args[at.b + 1])
        elif shape == S_BULK:
            self.bulk(n)
        elif shape == S_DROP:
            which: uint32_t = self.constant(at.c, T_I64)
            self.builtin(RULE_EXTRA[at.op], NO_VREG, cython.address(which), 1, 0)
        elif shape == S_REF_FUNC:
            self.func_ref(n)
        elif shape != S_REF_NULL:  # a constant, loaded where it is used
            return False
        return True

    # ---- building blocks -----------------------------------------------------------------------

    def via(self, mop, width, cell, flags):
        """A row whose base is the pointer in the context at ``cell``; register operands, then via_address, follow."""
        self.base = self.pointer(cell)
        self.pseudo(P_VIA + mop, width, flags)
        self.m.last().imm = cell
        return 0

    def via_address(self, index, scale, disp):
        """The rest of the address: an index register (NO_VREG: none), the displacement, and the pointer if it has a
        register.
        """
        self.m.last().disp = disp
        if index != NO_VREG:
            self.m.last().scale = scale
            self.m.operand(index, R_USE, C_REG, 0)
        if self.base != NO_VREG:
            self.m.operand(self.base, R_USE, C_ANY, 0)
        return 0

    def pointer(self, cell):
        """The register of a pointer of the context, which never changes; NO_VREG where the access loads it itself."""
        n: uint32_t = self.n_pointers
        i: uint32_t
        if not self.keeping:
            return NO_VREG
        for i in range(n):
            if self.cells[i] == cell:
                return self.pointers[i]
        if n == MAX_POINTERS:
            return NO_VREG
        self.cells[n] = cell
        self.pointers[n] = self.fresh(T_I64)
        self.row(MOP_MOV_RM, 8, self.pointers[n], NO_VREG, NO_VREG)
        self.on_base(R14, cell)
        self.repeatable(MI_REMAT | MI_HOME)
        self.advance()
        self.n_pointers = n + 1
        return self.pointers[n]

    def trap_if(self, cc, kind):
        """Trap where a condition holds."""
        self.pseudo(P_TRAP_IF, 0, MI_FLAGS_USE | MI_TRAPS | MI_EFFECT)
        self.m.last().cc = cc
        self.m.last().aux = kind
        return 0

    def sum64(self, node, addend):
        """An address plus a number: without wrapping where it is an i32, and the number below 2**33."""
        if is_const(self.ssa, node):
            return self.constant(self.const_bits(node) + addend, T_I64)
        index: uint32_t = self.value(node)
        total: uint32_t = self.fresh(T_I64)
        if addend < TWO_31:
            self.row(MOP_LEA_RM, 8, total, NO_VREG, NO_VREG)
            row_address(self.m, index, NO_VREG, 0, cython.cast(int32_t, addend))
            return total
        large: uint32_t = self.constant(addend, T_I64)
        self.row(MOP_ADD_RR, 8, total, large, index)
        self.m.operands[self.m.last().ops + 2].constraint = C_REG
        return total

    # ---- linear memory -------------------------------------------------------------------------

    def check_bounds(self, address, memarg, bytes):
        """The bounded plan: trap unless index + offset + width is within the memory."""
        memory: cython.pointer(MemoryPlan) = cython.address(self.plan.memories[memarg.memory])
        if memory.is64:
            return self.check_wide(address, memarg, memory, bytes)
        return self.check_end(self.sum64(address, memarg.offset + bytes), memarg)

    def check_wide(self, address, memarg, memory, bytes):
        """The same for an address of 64 bits, to which nothing can be added without a look at the carry. What every
        instance has is subtracted from its size instead."""
        reach: uint64_t = memarg.offset + bytes
        index: uint32_t
        end: uint32_t
        size: uint32_t
        if reach < bytes or (is_const(self.ssa, address) and self.const_bits(address) + reach < reach):
            self.row(MOP_CMP_RI, 8, self.constant(0, T_I64), NO_VREG, NO_VREG)
            return self.trap_if(CC_E, TRAP_MEMORY_OUT_OF_BOUNDS)
        if is_const(self.ssa, address):
            return self.check_end(self.constant(self.const_bits(address) + reach, T_I64), memarg)
        index = self.value(address)
        if reach < TWO_31 and reach <= memory.min_bytes:
            size = self.fresh(T_I64)
            self.memory_bytes(memarg.memory, size)
            end = self.fresh(T_I64)
            self.row(MOP_LEA_RM, 8, end, NO_VREG, NO_VREG)
            row_address(self.m, size, NO_VREG, 0, -cython.cast(int32_t, reach))
            self.row(MOP_CMP_RR, 8, index, end, NO_VREG)
            return self.trap_if(CC_A, TRAP_MEMORY_OUT_OF_BOUNDS)
        end = self.sum64(address, reach)
        self.row(MOP_CMP_RR, 8, end, index, NO_VREG)
        self.trap_if(CC_B, TRAP_MEMORY_OUT_OF_BOUNDS)
        return self.check_end(end, memarg)

    def check_end(self, end, memarg):
        """Trap unless a place is at most the memory's size."""
        self.via(MOP_CMP_RM, 8, self.plan.memories[memarg.memory].cell + 8, MI_FLAGS_DEF)
        self.m.operand(end, R_USE, C_REG, 0)
        self.via_address(NO_VREG, 0, MEMDEF_BYTES)
        return self.trap_if(CC_A, TRAP_MEMORY_OUT_OF_BOUNDS)

    def inside(self, address, memarg, memory, bytes):
        """Whether a constant address lies in the memory's declared minimum: no instance has less."""
        return (
            is_const(self.ssa, address)
            and self.const_bits(address) <= U32_MAX
            and memarg.offset <= U32_MAX
            and self.const_bits(address) + memarg.offset + bytes <= memory.min_bytes
        )

    def load(self, n):
        """Every scalar load."""
        return self.access(n, RULE_ROW[self.ssa.nodes[n].op], NO_VREG, False, 0)

    def store(self, n):
        """Every scalar store; an integer constant goes in as an immediate."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        width: uint32_t = RULE_WIDTH[at.op]
        imm: int64_t = 0
        if RULE_ROW[at.op] == MOP_MOV_MR and self.const_imm(at.b, width, cython.address(imm)):
            if width < 4:
                imm &= 0xFF if width == 1 else 0xFFFF
            return self.access(n, MOP_MOV_MI, NO_VREG, True, imm)
        if self.marks[at.b] & NODE_FUSED:
            return self.store_lane(n)
        return self.access(n, RULE_ROW[at.op], self.value(at.b), False, 0)

    def store_lane(self, n):
        """A store of a lane, which the same instruction takes."""
        lane: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.nodes[n].b])
        number: uint32_t = lane.c
        bits: uint32_t = RULE_EXTRA[lane.op]
        mop: uint32_t = self.lane_row(number, bits)
        self.access(n, mop, self.value(lane.a), False, 0)
        self.m.last().width = bits // 8 if ENC_ROWS[mop].widths & (bits // 8) else 16
        if ENC_ROWS[mop].imm:
            self.m.last().imm |= cython.cast(int64_t, number) << 32
        return 0

    def scale_address(self, n):
        """Mark a short shift of an address that cannot lose a bit: the access does it. A check of bounds needs its
        result."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        memarg: cython.pointer(MemArg) = cython.address(self.ssa.memargs[at.c])
        shift: cython.pointer(Node) = cython.address(self.ssa.nodes[at.a])
        if memarg.offset >= TWO_31 or memarg.memory >= self.plan.n_memories:
            return False
        if self.plan.memories[memarg.memory].plan == PLAN_BOUNDED and not at.flags & NF_CHECKED:
            return False
        # Of 64 bits, what a shift loses the sum loses as well.
        if shift.type == T_I32 and self.bits_of_index(shift.a) + (self.const_bits(shift.b) & 3) > 32:
            return False
        return self.take_shift(at.a)

    def bits_of_index(self, node):
        """An i32 is below two to the power of this, as its operation says."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        bits: uint32_t = 32
        if at.op >= N_OPS or at.type != T_I32:
            return bits
        if RULE_SHAPE[at.op] == S_LOAD:
            if RULE_ROW[at.op] == MOP_MOVZX8_RM or RULE_ROW[at.op] == MOP_MOVZX16_RM:
                bits = 8 * RULE_EXTRA[at.op]
        elif RULE_ROW[at.op] == MOP_AND_RR and RULE_WIDTH[at.op] == 4 and is_const(self.ssa, at.b):
            bits = bits_of(self.const_bits(at.b))
        elif RULE_ROW[at.op] == MOP_SHR_RC and RULE_WIDTH[at.op] == 4 and is_const(self.ssa, at.b):
            bits -= self.const_bits(at.b) & 31
        return bits

    def span_of(self, node, steps, base):
        """How far an i32 goes above ``base``, which is set, modulo two to the 32nd: as its operations say it, whatever
        was tested before. ``ANYWHERE`` if nothing is known."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        bits: uint32_t = self.bits_of_index(node)
        size: uint32_t = ANYWHERE
        base[0] = 0
        if is_const(self.ssa, node):
            base[0] = cython.cast(uint32_t, self.const_bits(node))
            return 0
        if bits < 32:
            return (cython.cast(uint32_t, 1) << bits) - 1
        if at.op >= N_OPS or at.type != T_I32 or steps == 0:
            return size
        if at.op == OP_I32_ADD and is_const(self.ssa, at.b):
            size = self.span_of(at.a, steps - 1, base)
            base[0] += cython.cast(uint32_t, self.const_bits(at.b))
        elif RULE_SHAPE[at.op] == S_SELECT and is_const(self.ssa, at.a):
            size = self.span_where(at.c, at.b, False, base)
            return self.joined(size, cython.cast(uint32_t, self.const_bits(at.a)), base)
        elif RULE_SHAPE[at.op] == S_SELECT and is_const(self.ssa, at.b):
            size = self.span_where(at.c, at.a, True, base)
            return self.joined(size, cython.cast(uint32_t, self.const_bits(at.b)), base)
        return size

    def span_where(self, condition, node, holds, base):
        """The same of a value where a comparison of it, or of its sum with a number, with a number holds or not."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[condition])
        size: uint32_t = ANYWHERE
        least: uint32_t = 0
        most: uint32_t = ANYWHERE
        limit: uint32_t
        base[0] = 0
        if at.op != OP_I32_LT_U and at.op != OP_I32_LE_U and at.op != OP_I32_GT_U and at.op != OP_I32_GE_U:
            return size
        if not is_const(self.ssa, at.b):
            return size
        limit = cython.cast(uint32_t, self.const_bits(at.b))
        if at.op == OP_I32_LT_U or at.op == OP_I32_GE_U:
            if limit == 0:
                return size
            limit -= 1  # a value up to it is less, and not greater or equal
        if holds == (at.op == OP_I32_LT_U or at.op == OP_I32_LE_U):
            most = limit
        elif limit == ANYWHERE:
            return size
        else:
            least = limit + 1
        if at.a != node:
            sum: cython.pointer(Node) = cython.address(self.ssa.nodes[at.a])
            if sum.op != OP_I32_ADD or sum.a != node or not is_const(self.ssa, sum.b):
                return size
            base[0] -= cython.cast(uint32_t, self.const_bits(sum.b))
        base[0] += least
        return most - least

    def joined(self, size, number, base):
        """A span that has a number as well: above or below."""
        above: uint32_t = number - base[0]
        below: uint32_t = base[0] - number
        if size == ANYWHERE or above <= size:
            return size
        if above <= below:
            return above
        base[0] = number
        return ANYWHERE if below > ANYWHERE - size else below + size

    def address(self, n, index, scale, disp):
        """Where an access goes: index zero-extended and shifted, static offset as displacement if it fits; returns its
        flags."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        return self.address_of(at, at.a, cython.address(self.ssa.memargs[at.c]), index, scale, disp)

    def address_of(self, at, node, memarg, index, scale, disp):
        """The same of an access ``at`` whose address is another node's value."""
        memory: cython.pointer(MemoryPlan) = cython.address(self.plan.memories[memarg.memory])
        if memarg.memory >= self.plan.n_memories or (memarg.offset > U32_MAX and not memory.is64):
            fail_wrong(b"an access of memory {} at offset {}", memarg.memory, memarg.offset)
        flags: uint32_t = MI_TRAPS | MI_EFFECT
        if memory.plan == PLAN_BOUNDED:
            if not at.flags & NF_CHECKED and not self.inside(node, memarg, memory, RULE_EXTRA[at.op]):
                self.check_bounds(node, memarg, RULE_EXTRA[at.op])
            flags = MI_EFFECT
        index[0] = NO_VREG
        scale[0] = 0
        disp[0] = 0
        if self.marks[node] & NODE_FOLDED:
            index[0] = self.value(self.ssa.nodes[node].a)
            scale[0] = self.const_bits(self.ssa.nodes[node].b) & 3
            disp[0] = cython.cast(int32_t, memarg.offset)
        elif is_const(self.ssa, node) and self.within_reach(self.const_bits(node), memarg.offset):
            disp[0] = cython.cast(int32_t, self.const_bits(node) + memarg.offset)
        elif memarg.offset < TWO_31 and not is_const(self.ssa, node):
            index[0] = self.value(node)
            disp[0] = cython.cast(int32_t, memarg.offset)
        else:
            index[0] = self.sum64(node, memarg.offset)
        return flags

    def within_reach(self, address, offset):
        """Whether a constant address with its offset is a displacement."""
        return address < TWO_31 and offset < TWO_31 and address + offset < TWO_31

    def access(self, n, mop, value, has_imm, imm):
        """The access itself, on a base from the context."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        index: uint32_t = NO_VREG
        scale: uint32_t = 0
        disp: int32_t = 0
        flags: uint32_t = self.address(n, cython.address(index), cython.address(scale), cython.address(disp))
        self.via(mop, RULE_WIDTH[at.op], self.plan.memories[self.ssa.memargs[at.c].memory].cell, flags)
        self.m.last().aux = TRAP_MEMORY_OUT_OF_BOUNDS
        if has_imm:
            self.m.last().imm |= imm << 32
        elif value != NO_VREG:
            self.m.operand(value, R_USE, C_REG, 0)
        else:
            self.m.operand(self.define(n), R_DEF, C_REG, 0)
        return self.via_address(index, scale, disp)

    def folded(self, load: uint32_t, mop: uint32_t, width: uint32_t, result: uint32_t, left: uint32_t) -> cython.int:
        """An operation whose right operand, or only one (``left`` is NO_VREG), is a load; it traps where the load
        stands in the source."""
        user: uint32_t = self.at
        self.at = load
        index: uint32_t = NO_VREG
        scale: uint32_t = 0
        disp: int32_t = 0
        flags: uint32_t = self.address(load, cython.address(index), cython.address(scale), cython.address(disp))
        if ENC_ROWS[mop].flags & ENC_F_FLAGS_DEF:
            flags |= MI_FLAGS_DEF
        memory: uint32_t = self.ssa.memargs[self.ssa.nodes[load].c].memory
        self.via(mop, width, self.plan.memories[memory].cell, flags)
        self.m.last().aux = TRAP_MEMORY_OUT_OF_BOUNDS
        self.at = user
        if result != NO_VREG:
            own: cython.bint = left == NO_VREG or (self.avx and ENC_ROWS[mop].other != ENC_NO_OPERAND)
            self.m.operand(result, R_DEF, C_REG if own else C_SAME, 0 if own else 1)
            self.m.operands[self.m.last().ops].flags = OF_NEAR if own and left != NO_VREG else 0
        if left != NO_VREG:
            self.m.operand(left, R_USE, C_REG, 0)
        return self.via_address(index, scale, disp)

    # ---- globals, tables, sizes ----------------------------------------------------------------

    def global_access(self, n, write):
        """An own global lies in the context, an imported one behind a pointer in it."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        type: uint32_t = self.plan.global_types[at.c]
        width: uint32_t = width_of(type)
        mop: uint32_t = store_of(type) if write else load_of(type)
        v: uint32_t = self.value(at.a) if write else self.define(n)
        cell: uint32_t = self.plan.globals + 16 * at.c
        if at.c < self.plan.n_imported_globals:
            self.via(mop, width, cell, MI_EFFECT)
            self.m.operand(v, R_USE if write else R_DEF, C_REG, 0)
            return self.via_address(NO_VREG, 0, 0)
        self.row(mop, width, v, NO_VREG, NO_VREG)
        self.m.last().flags |= MI_EFFECT
        return self.on_base(R14, cell)

    def table_bounds(self, index, table, kind):
        """Trap unless the index is below the table's length."""
        if self.plan.table_lengths[table] != ANY_LENGTH:
            self.row(MOP_CMP_RI, 8, index, NO_VREG, NO_VREG)
            self.m.last().imm = self.plan.table_lengths[table]
            return self.trap_if(CC_AE, kind)
        self.via(MOP_CMP_RM, 8, self.plan.tables + 16 * table + 8, MI_FLAGS_DEF)
        self.m.operand(index, R_USE, C_REG, 0)
        self.via_address(NO_VREG, 0, TABLEDEF_LENGTH)
        return self.trap_if(CC_AE, kind)

    def table_access(self, n, write):
        """table.get and table.set."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        index: uint32_t = self.value(at.a)
        v: uint32_t = self.value(at.b) if write else self.define(n)
        self.table_bounds(index, at.c, TRAP_TABLE_OUT_OF_BOUNDS)
        self.via(MOP_MOV_MR if write else MOP_MOV_RM, 8, self.plan.tables + 16 * at.c, MI_EFFECT)
        self.m.operand(v, R_USE if write else R_DEF, C_REG, 0)
        return self.via_address(index, 3, 0)

    def size_of(self, n, table):
        """table.size, or memory.size in pages."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        size: uint32_t = self.fresh(T_I64)
        if table:
            self.via(MOP_MOV_RM, 8, self.plan.tables + 16 * at.c + 8, MI_EFFECT)
            self.m.operand(size, R_DEF, C_REG, 0)
            self.via_address(NO_VREG, 0, TABLEDEF_LENGTH)
        else:
            self.memory_bytes(at.c, size)
            pages: uint32_t = self.fresh(T_I64)
            self.row(MOP_SHR_RI, 8, pages, size, NO_VREG)
            self.m.last().imm = self.plan.memories[at.c].page_shift
            size = pages
        self.row(MOP_MOV_RR, width_of(at.type), self.define(n), size, NO_VREG)
        self.m.operands[self.m.last().ops].constraint = C_REG
        return 0

    def memory_bytes(self, memory, size):
        """The present size of a memory."""
        self.via(MOP_MOV_RM, 8, self.plan.memories[memory].cell + 8, MI_EFFECT)
        self.m.operand(size, R_DEF, C_REG, 0)
        return self.via_address(NO_VREG, 0, MEMDEF_BYTES)

    def func_ref(self, n):
        """ref.func: the address of the FuncRec."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        imported: uint32_t = self.plan.n_imported_funcs
        if at.c < imported:
            self.row(MOP_MOV_RM, 8, self.define(n), NO_VREG, NO_VREG)
            self.on_base(R14, self.plan.imported_funcs + 8 * at.c)
            return self.repeatable(MI_REMAT | MI_HOME)
        ordinal: uint32_t = ordinal_of(self.plan.recorded, self.plan.n_recorded, at.c)
        if ordinal == NO_RECORD:
            return self.unsupported(at.op)
        records: uint32_t = self.fresh(T_I64)
        self.row(MOP_MOV_RM, 8, records, NO_VREG, NO_VREG)
        self.on_base(R14, VMCTX_FUNC_RECS)
        self.repeatable(MI_REMAT | MI_HOME)
        self.row(MOP_ADD_RI, 8, self.define(n), records, NO_VREG)
        self.m.last().imm = cython.cast(int64_t, ordinal) * FUNCREC_SIZE
        return 0

    # ---- builtins ------------------------------------------------------------------------------

    def builtin(self, number, result, operands, count, bits):
        """Call a builtin with up to four operands under the C convention; the gate sets exec and vmctx."""
        places: uint8_t[4]
        places[0] = RDX
        places[1] = RCX
        places[2] = R8
        places[3] = R9
        self.pseudo(P_CALL_BUILTIN, 8, MI_CALL | MI_EFFECT)
        self.m.last().aux = number
        self.m.last().cc = bits
        if result != NO_VREG:
            self.m.operand(result, R_DEF, C_FIXED, RAX)
        i: uint32_t
        for i in range(count):
            self.m.operand(operands[i], R_USE, C_FIXED, places[i])
        return 0

    def exceptional(self, n):
        """What throws, and what looks at the exception in flight."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        value: uint32_t
        if at.op == IR_TAG or at.op == IR_CAUGHT or at.op == IR_EXN:
            return self.caught(n) if self.uses[n] else 0
        if at.op != IR_THROW_REF:
            return self.throw(n)
        if at.a == NO_VALUE:
            return self.builtin(BUILTIN_RETHROW, NO_VREG, cython.NULL, 0, 0)
        value = self.value(at.a)
        return self.builtin(BUILTIN_THROW_REF, NO_VREG, cython.address(value), 1, 0)

    def caught(self, n):
        """A tag of this instance, or what the exception in flight is: it stays where it is until the next one."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        cells: uint32_t
        if at.op == IR_EXN:
            return self.builtin(BUILTIN_EXN_REF, self.define(n), cython.NULL, 0, CALL_VALUE)
        if at.op == IR_TAG:
            self.row(MOP_MOV_RM, 8, self.define(n), NO_VREG, NO_VREG)
            self.on_base(R14, self.plan.tags + 8 * at.c)
            return self.repeatable(MI_REMAT | MI_HOME)
        if at.c == 0:
            self.row(MOP_MOV_RM, 8, self.define(n), NO_VREG, NO_VREG)
            return self.on_base(R15, EXEC_THROWN_TAG)
        cells = self.fresh(T_I64)
        self.row(MOP_MOV_RM, 8, cells, NO_VREG, NO_VREG)
        self.on_base(R15, EXEC_THROWN)
        self.row(load_of(at.type), width_of(at.type), self.define(n), NO_VREG, NO_VREG)
        return row_address(self.m, cells, NO_VREG, 0, cython.cast(int32_t, CELL * (at.c - 1)))

    def throw(self, n):
        """Throw: the values lie in cells where stack arguments of a call would."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        operands: uint32_t[2]
        self.put_cells(n)
        operands[0] = self.fresh(T_I64)
        self.row(MOP_MOV_RM, 8, operands[0], NO_VREG, NO_VREG)
        self.on_base(R14, self.plan.tags + 8 * self.ssa.args[at.b + at.c])
        operands[1] = self.fresh(T_I64)
        self.row(MOP_LEA_RM, 8, operands[1], NO_VREG, NO_VREG)
        self.on_base(RSP, 0)
        return self.builtin(BUILTIN_THROW, NO_VREG, operands, 2, 0)

    def put_cells(self, n):
        """Put the operands of a node into cells, where stack arguments of a call would be; there is one at least."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        i: uint32_t
        value: uint32_t
        type: uint32_t
        self.m.out_arg_bytes = max(self.m.out_arg_bytes, CELL * max(at.c, 1))
        for i in range(at.c):
            type = self.ssa.nodes[self.ssa.args[at.b + i]].type
            value = self.value(self.ssa.args[at.b + i])
            if type == T_F32:  # the rest of a cell is zero
                self.row(MOP_MOV_MI, 8, NO_VREG, NO_VREG, NO_VREG)
                self.on_base(RSP, cython.cast(int32_t, CELL * i))
            self.row(store_of(type), cell_width(type), value, NO_VREG, NO_VREG)
            self.on_base(RSP, cython.cast(int32_t, CELL * i))
        return 0

    def low_half(self, n, found):
        """A node's value is the low half of what a builtin gave, or the whole where it has 64 bits."""
        self.row(MOP_MOV_RR, width_of(self.ssa.nodes[n].type), self.define(n), found, NO_VREG)
        self.m.operands[self.m.last().ops].constraint = C_REG
        return 0

    def grow(self, n, number, which, first, second):
        """memory.grow and table.grow: the old size or -1, as the address type of the memory or table.

        What a table grows by outlives the first of its two calls. So it lies in the frame during the second as well,
        where a limiter may run guests that free the exceptions which no frame has.
        """
        values: uint32_t[3]
        if second != NO_VREG:
            values[0] = self.constant(which, T_I64)
            values[1] = self.value(first)
            values[2] = self.value(second)
            self.builtin(BUILTIN_TABLE_PREPARE, NO_VREG, values, 3, 0)
        values[1] = self.value(first)
        if second != NO_VREG:
            values[2] = self.value(second)
        values[0] = self.constant(which, T_I64)
        old: uint32_t = self.fresh(T_I64)
        self.builtin(number, old, values, 3 if second != NO_VREG else 2, CALL_VALUE)
        return self.low_half(n, old)

    def bulk(self, n):
        """copy, fill and init of memories and tables: bounds are checked inside, before anything is written."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        values: uint32_t[4]
        i: uint32_t
        for i in range(3):
            values[i + 1] = self.value(self.ssa.args[at.b + i])
        x: uint64_t = self.ssa.args[at.b + at.c]
        y: uint64_t = self.ssa.args[at.b + at.c + 1]
        values[0] = self.constant(x | y << 32, T_I64)
        return self.builtin(RULE_EXTRA[at.op], NO_VREG, values, 4, 0)
