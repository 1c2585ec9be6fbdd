"""Selection of vector operations: rows of one or two instructions, lanes, tests and shuffles."""

# strata: hot
import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_CALLS,
    OP_FLAGS,
    OP_OPERANDS,
    OP_V128_AND,
    OP_V128_ANDNOT,
)
from cython.cimports.stratavm.ir.ssa import IR_CONST_V128, T_F32, T_F64, T_I32, T_I64, T_V128, Block, Node
from cython.cimports.stratavm.machine.minst import C_REG, NO_VREG
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    ENC_F_COMMUTES,
    ENC_ROWS,
    MOP_INSERTPS_RMI,
    MOP_INSERTPS_RRI,
    MOP_MOVAPS_RR,
    MOP_MOVDDUP_RM,
    MOP_MOVDDUP_RR,
    MOP_MOVF_MR,
    MOP_MOVG2X_RR,
    MOP_MOVHPS_MR,
    MOP_MOVHPS_RM,
    MOP_MOVLHPS_RR,
    MOP_MOVLPS_RM,
    MOP_MOVSD_RR,
    MOP_MOVSX8_RM,
    MOP_MOVSX16_RM,
    MOP_MOVUPS_RM,
    MOP_MOVX2G_RR,
    MOP_MOVZX8_RM,
    MOP_MOVZX16_RM,
    MOP_PACKSSWB_RR,
    MOP_PALIGNR_RRI,
    MOP_PBLENDW_RRI,
    MOP_PEXTRB_MRI,
    MOP_PEXTRD_MRI,
    MOP_PEXTRW_MRI,
    MOP_POR_RR,
    MOP_PSHUFB_RM,
    MOP_PSHUFB_RR,
    MOP_PSHUFD_RRI,
    MOP_PSHUFHW_RRI,
    MOP_PSHUFLW_RRI,
    MOP_PTEST_RM,
    MOP_PTEST_RR,
    MOP_PUNPCKHBW_RR,
    MOP_PUNPCKHDQ_RR,
    MOP_PUNPCKHQDQ_RR,
    MOP_PUNPCKHWD_RR,
    MOP_PUNPCKLBW_RR,
    MOP_PUNPCKLDQ_RR,
    MOP_PUNPCKLQDQ_RR,
    MOP_PUNPCKLWD_RR,
    MOP_SHUFPS_RRI,
    MOP_VBROADCASTSS_RM,
    RIP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_CC,
    RULE_EXTRA,
    RULE_ROW,
    RULE_ROW2,
    RULE_SHAPE,
    RULE_WIDTH,
    S_STORE,
    S_V_BITMASK,
    S_V_BITSELECT,
    S_V_EXTRACT,
    S_V_FCOMPARE,
    S_V_FEXTRACT,
    S_V_FREPLACE,
    S_V_FSPLAT,
    S_V_NEG,
    S_V_ONE,
    S_V_ORDER,
    S_V_Q15,
    S_V_REPLACE,
    S_V_ROUND,
    S_V_SAR8,
    S_V_SAR64,
    S_V_SHIFT,
    S_V_SHIFT8,
    S_V_SHUFFLE,
    S_V_SPLAT,
    S_V_TEST,
    S_V_TRUNC_ZERO_U,
    S_V_TWO,
)
from cython.cimports.stratavm.targets.x64.pseudo import CC_AE, CC_B, CC_NE
from cython.cimports.stratavm.targets.x64.rows import row_address_reg
from cython.cimports.stratavm.targets.x64.select_base import (
    MOST_KEPT,
    NODE_FOLDED,
    NODE_FUSED,
    UNKNOWN_KEPT,
    is_const,
)

SWAPPED = cython.declare(uint32_t, 1)  # bits of a rule's extra
INVERTED = cython.declare(uint32_t, 2)
TURNED = cython.declare(uint32_t, SWAPPED << 4)  # the same of a comparison of floats
NOTHING = cython.declare(uint32_t, NO_VREG)
"""No such pattern."""
ALL = cython.declare(uint64_t, 0xFFFFFFFFFFFFFFFF)
CLEARED = cython.declare(uint64_t, 0x80)
"""Of pshufb: a byte becomes zero."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def runs_of(lanes: cython.pointer(cython.const[uint8_t]), size: uint32_t) -> cython.bint:
    """Whether bytes are moved in groups of so many, each of which was one before."""
    i: uint32_t
    for i in range(16):
        if i & (size - 1):
            if lanes[i] != lanes[i - 1] + 1:
                return False
        elif lanes[i] & (size - 1):
            return False
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def selector_of(lanes: cython.pointer(cython.const[uint8_t]), first: uint32_t, size: uint32_t) -> uint32_t:
    """The immediate that picks four groups of so many bytes, from the byte ``first`` on."""
    i: uint32_t
    imm: uint32_t = 0
    for i in range(4):
        imm |= (lanes[first + i * size] // size & 3) << 2 * i
    return imm


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def stays(lanes: cython.pointer(cython.const[uint8_t]), first: uint32_t, last: uint32_t) -> cython.bint:
    """Whether the bytes [first, last) stay where they are."""
    i: uint32_t = first
    while i < last and lanes[i] == i:
        i += 1
    return i == last


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def rotation_of(lanes: cython.pointer(cython.const[uint8_t]), bytes: uint32_t) -> uint32_t:
    """How far the bytes, of so many that go round, are moved down; 0 if they are not moved alike."""
    i: uint32_t
    for i in range(1, 16):
        if lanes[i] != (lanes[0] + i) % bytes:
            return 0
    return lanes[0]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def mask_of(lanes: cython.pointer(cython.const[uint8_t]), first: uint32_t, source: uint32_t) -> uint64_t:
    """Eight bytes of what pshufb wants, from the lane ``first`` on: lanes of the other source are cleared."""
    i: uint32_t
    mask: uint64_t = 0
    for i in range(8):
        lane: uint32_t = lanes[first + i]
        mask |= (cython.cast(uint64_t, lane & 15) if lane >> 4 == source else CLEARED) << 8 * i
    return mask


@cython.cclass
class VectorSelector(VectorSequences):
    """Adds the shapes of ``rules_vector``."""

    def vector(self, n, shape):
        """Select one node of this family; false if the shape belongs to another."""
        v: uint32_t
        if shape < S_V_TWO or shape > S_V_TRUNC_ZERO_U:
            return False
        if shape == S_V_TEST:
            self.set_condition(n)
            return True
        if shape >= S_V_NEG:
            if shape <= S_V_Q15:
                return self.integers(n, shape)
            return self.widening(n, shape) or self.floats(n, shape)
        v = self.simple(n, shape)
        if v == NOTHING:
            v = self.lane_op(n, shape)
        if v == NOTHING:
            return False
        self.finish(n, v)
        return True

    # ---- constants that loops have in registers ------------------------------------------------

    def keep(self, n):
        """A constant that loops behind it want in a register is loaded here, and stays in one as long as there is room;
        the allocator may read it from memory, or load it again. With AVX, since elsewhere it is copied anyhow."""
        i: uint32_t
        if not self.again or not self.avx:
            return 0
        if self.n_kept == UNKNOWN_KEPT:
            self.find_kept()
        for i in range(self.n_kept):
            if self.kept[i] == n:
                self.vregs[n] = self.vector_constant(n)
        return 0

    def hold(self, first, last):
        """Load the constants that the nodes [first, last) of an innermost loop want in registers, where no pass ran; a
        loop that calls has none."""
        i: uint32_t
        j: uint32_t
        k: uint32_t
        x: uint32_t
        at: cython.pointer(Node)
        self.n_kept = 0
        for i in range(first, last):
            at = cython.address(self.ssa.nodes[i])
            if at.op >= N_OPS:
                continue
            if OP_FLAGS[at.op] & OF_CALLS:
                self.n_kept = 0
                break
            if RULE_SHAPE[at.op] < S_V_TWO or RULE_SHAPE[at.op] > S_V_TRUNC_ZERO_U:
                continue
            for k in range(OP_OPERANDS[at.op]):
                x = at.a if k == 0 else at.b if k == 1 else at.c
                if self.ssa.nodes[x].op != IR_CONST_V128 or not self.in_register(i, k, x):
                    continue
                j = 0
                while j < self.n_kept and self.kept[j] != x:
                    j += 1
                if j == self.n_kept and j < MOST_HELD:
                    self.kept[j] = x
                    self.n_kept += 1
        for i in range(self.n_kept):
            self.vregs[self.kept[i]] = self.vector_constant(self.kept[i])
        self.held_until = last
        return 0

    def let_go(self):
        """Behind that loop, they are loaded where they are used: other ways may lead there."""
        i: uint32_t
        for i in range(self.n_kept):
            self.vregs[self.kept[i]] = NO_VREG
        self.n_kept = 0
        self.held_until = NO_VREG
        return 0

    def find_kept(self):
        """Find the constants that are wanted in registers deeper in loops than they stand."""
        i: uint32_t
        j: uint32_t
        k: uint32_t
        x: uint32_t
        number: uint32_t
        block: cython.pointer(Block)
        at: cython.pointer(Node)
        nodes: uint32_t[32]
        depths: uint32_t[32]
        seen: uint32_t = 0
        self.n_kept = 0
        for number in range(self.ssa.n_blocks):
            block = cython.address(self.ssa.blocks[number])
            for i in range(block.first, block.last):
                at = cython.address(self.ssa.nodes[i])
                if at.op == IR_CONST_V128:
                    nodes[seen % SEEN] = i
                    depths[seen % SEEN] = block.depth
                    seen += 1
                if at.op >= N_OPS or RULE_SHAPE[at.op] < S_V_TWO or RULE_SHAPE[at.op] > S_V_TRUNC_ZERO_U:
                    continue
                for k in range(OP_OPERANDS[at.op]):
                    x = at.a if k == 0 else at.b if k == 1 else at.c
                    if self.ssa.nodes[x].op != IR_CONST_V128 or not self.in_register(i, k, x):
                        continue
                    for j in range(seen if seen < SEEN else SEEN):
                        if nodes[j] == x and depths[j] < block.depth and self.n_kept < MOST_KEPT:
                            depths[j] = block.depth  # once
                            self.kept[self.n_kept] = x
                            self.n_kept += 1
        return 0

    def in_register(self, n, k, constant):
        """Whether an operand that is a constant has to be in a register: memory can be the right one of most rows."""
        op: uint32_t = self.ssa.nodes[n].op
        other: uint32_t = self.ssa.nodes[n].a
        if RULE_SHAPE[op] == S_V_TWO:
            if k and ENC_ROWS[RULE_ROW[op]].flags & ENC_F_COMMUTES and self.uses[other] == 1:
                return (
                    RULE_ROW[self.ssa.nodes[other].op] == MOP_MOVUPS_RM if self.ssa.nodes[other].op < N_OPS else False
                )
            return (k == 0) == (RULE_EXTRA[op] & SWAPPED == 0)
        return RULE_SHAPE[op] != S_V_BITSELECT or not self.is_zero(constant)

    # ---- loads as memory operands --------------------------------------------------------------

    def load_width(self, load):
        """Bytes of a load with one use that can move, else 0: of whole vectors, which need not be aligned, with AVX; of
        bytes and words, whose upper bits nobody but a scalar operation asks for."""
        width: uint32_t = NumericSelector.load_width(self, load)
        row: uint32_t
        if width or not self.folding or self.uses[load] != 1:
            return width
        row = RULE_ROW[self.ssa.nodes[load].op]
        if row == MOP_MOVUPS_RM:
            return 16 if self.avx else 0
        if row == MOP_MOVZX8_RM or row == MOP_MOVSX8_RM:
            return 1
        return 2 if row == MOP_MOVZX16_RM or row == MOP_MOVSX16_RM else 0

    def fold_operand(self, n, barrier, width):
        """Mark the load in ``barrier``, of so many bytes, if it can be the memory operand of ``n``."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        shape: uint32_t = RULE_SHAPE[at.op]
        wanted: uint32_t = 16
        right: uint32_t = at.b
        if shape < S_V_TWO:
            return NumericSelector.fold_operand(self, n, barrier, width)
        if shape == S_V_TWO:
            if RULE_EXTRA[at.op] & SWAPPED or (at.a == barrier and ENC_ROWS[RULE_ROW[at.op]].flags & ENC_F_COMMUTES):
                right = at.a
        elif shape == S_V_FCOMPARE:
            right = at.a if RULE_EXTRA[at.op] & TURNED else at.b
        elif shape == S_V_ONE:
            right = at.a
            wanted = RULE_EXTRA[at.op]
        elif shape == S_V_FSPLAT or (shape == S_V_SPLAT and RULE_EXTRA[at.op] >= 32):
            right = at.a
            wanted = 8 if RULE_EXTRA[at.op] == 64 else 4 if self.avx else 0
        elif shape == S_V_REPLACE or shape == S_V_FREPLACE:
            wanted = RULE_EXTRA[at.op] >> 3
        else:
            return False
        if right != barrier or wanted != width:
            return False
        self.marks[barrier] |= NODE_FOLDED
        return True

    def from_memory(self, n, load, mop, left, imm):
        """A row that reads a folded load."""
        v: uint32_t = self.fresh(self.ssa.nodes[n].type)
        width: uint32_t = RULE_WIDTH[self.ssa.nodes[n].op]
        self.folded(load, mop, width, v, left)
        self.m.last().imm |= cython.cast(int64_t, imm) << 32
        return v

    def simple(self, n, shape):
        """Arithmetic, comparisons and shifts of one or two instructions, or of a few where counts are known."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t
        b: uint32_t
        if shape == S_V_TWO:
            return self.pair(n)
        if shape == S_V_ONE:
            if self.marks[self.ssa.nodes[n].a] & NODE_FOLDED:
                return self.from_memory(n, self.ssa.nodes[n].a, RULE_ROW2[op], NO_VREG, 0)
            return self.two(RULE_ROW[op], self.value(self.ssa.nodes[n].a), NO_VREG)
        if shape == S_V_ROUND:
            return self.by(RULE_ROW[op], self.value(self.ssa.nodes[n].a), RULE_EXTRA[op])
        if shape == S_V_SHIFT:
            return self.shift_lanes(n)
        if shape == S_V_SHIFT8:
            return self.shift8(n)
        if shape == S_V_SAR8:
            return self.sar8(n)
        if shape == S_V_SAR64:
            return self.sar64(n)
        if shape != S_V_ORDER and shape != S_V_FCOMPARE:
            return NOTHING
        if shape == S_V_FCOMPARE:
            return self.compare_floats(n)
        a = self.value(self.ssa.nodes[n].a)
        b = self.value(self.ssa.nodes[n].b)
        a = self.two(RULE_ROW2[op], self.two(RULE_ROW[op], a, b), a)
        return self.inverted(a) if RULE_EXTRA[op] & INVERTED else a

    def compare_floats(self, n):
        """A comparison of floats by its predicate."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        if RULE_EXTRA[op] & TURNED:
            a, b = b, a
        a = self.value(a)
        if self.marks[b] & NODE_FOLDED:
            return self.from_memory(n, b, RULE_ROW2[op], a, RULE_EXTRA[op] & 15)
        return self.mix(RULE_ROW[op], a, self.value(b), RULE_EXTRA[op] & 15)

    def pair(self, n):
        """Two inputs."""
        op: uint32_t = self.ssa.nodes[n].op
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        v: uint32_t
        constant: cython.pointer(Node)
        if RULE_EXTRA[op] & SWAPPED or self.marks[a] & NODE_FOLDED:
            a, b = b, a
        constant = cython.address(self.ssa.nodes[b])
        v = self.value(a)
        if self.marks[b] & NODE_FOLDED:
            v = self.from_memory(n, b, RULE_ROW2[op], v, 0)
        elif constant.op == IR_CONST_V128 and not self.again:
            v = self.with_words(RULE_ROW2[op], v, self.ssa.constants[constant.a], self.ssa.constants[constant.a + 1])
        else:
            v = self.two(RULE_ROW[op], v, self.value(b))
        return self.inverted(v) if RULE_EXTRA[op] & INVERTED else v

    def shift_lanes(self, n):
        """A shift that an instruction does, once the count is below the bits of a lane."""
        op: uint32_t = self.ssa.nodes[n].op
        count: uint32_t = self.ssa.nodes[n].b
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        if not is_const(self.ssa, count):
            return self.two(RULE_ROW[op], v, self.count(count, RULE_EXTRA[op], 0))
        if self.const_bits(count) & (RULE_EXTRA[op] - 1) == 0:
            return v
        return self.by(RULE_ROW2[op], v, self.const_bits(count) & (RULE_EXTRA[op] - 1))

    # ---- what a later node does itself ---------------------------------------------------------

    def mark_vector(self, n, first):
        """Mark the ``and`` whose bits a test asks for, and the lane that a store writes: either instruction does it."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        storing: cython.bint = RULE_SHAPE[at.op] == S_STORE
        value: uint32_t = at.b if storing else at.a
        inner: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        if self.uses[value] != 1 or value < first or inner.op >= N_OPS or self.marks[value]:
            return 0
        if not storing:
            if RULE_ROW[at.op] == 0 and (inner.op == OP_V128_AND or inner.op == OP_V128_ANDNOT):
                self.marks[value] |= NODE_FUSED
        elif RULE_EXTRA[inner.op] == 8 * RULE_EXTRA[at.op]:
            if RULE_SHAPE[inner.op] == S_V_EXTRACT or (RULE_SHAPE[inner.op] == S_V_FEXTRACT and inner.c):
                self.marks[value] |= NODE_FUSED
        return 0

    def lane_row(self, lane, bits):
        """The instruction that stores a lane of so many bits."""
        if bits == 8:
            return MOP_PEXTRB_MRI
        if bits == 16:
            return MOP_PEXTRW_MRI
        if lane == 0:
            return MOP_MOVF_MR
        return MOP_PEXTRD_MRI if bits == 32 else MOP_MOVHPS_MR

    # ---- tests ---------------------------------------------------------------------------------

    def is_condition(self, node):
        """Whether the node is a comparison that can be left in the flags."""
        op: uint32_t = self.ssa.nodes[node].op
        return (op < N_OPS and RULE_SHAPE[op] == S_V_TEST) or NumericSelector.is_condition(self, node)

    def flags_of(self, node):
        """Emit the comparison; returns the condition code that holds where it is true."""
        op: uint32_t = self.ssa.nodes[node].op
        v: uint32_t
        if RULE_SHAPE[op] != S_V_TEST:
            return NumericSelector.flags_of(self, node)
        if self.marks[self.ssa.nodes[node].a] & NODE_FUSED:
            return self.common_bits(self.ssa.nodes[node].a)
        v = self.value(self.ssa.nodes[node].a)
        if RULE_ROW[op]:  # whether all lanes are true
            if self.mask_lane(self.ssa.nodes[node].a, 4) >= RULE_EXTRA[op]:  # no bit of them is clear
                self.row(MOP_PTEST_RM, 16, v, NO_VREG, NO_VREG)
                row_address_reg(self.m, RIP, NO_VREG, 0, self.m.constant16(ALL, ALL))
                return CC_B
            v = self.two(RULE_ROW[op], self.zero(), v)  # none equals zero
        self.row(MOP_PTEST_RR, 16, v, v, NO_VREG)
        self.m.operands[self.m.last().ops + 1].constraint = C_REG
        return RULE_CC[op]

    def common_bits(self, node):
        """Whether an ``and`` has a bit: of two vectors the zero flag tells it, of one and not the other the carry."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        a: uint32_t = at.a
        b: uint32_t = at.b
        without: cython.bint = at.op == OP_V128_ANDNOT
        if without or self.ssa.nodes[a].op == IR_CONST_V128:
            a, b = b, a
        at = cython.address(self.ssa.nodes[b])
        a = self.value(a)
        if at.op == IR_CONST_V128 and not self.again:
            self.row(MOP_PTEST_RM, 16, a, NO_VREG, NO_VREG)
            row_address_reg(
                self.m,
                RIP,
                NO_VREG,
                0,
                self.m.constant16(self.ssa.constants[at.a], self.ssa.constants[at.a + 1]),
            )
        else:
            self.row(MOP_PTEST_RR, 16, a, self.value(b), NO_VREG)
        return CC_AE if without else CC_NE

    # ---- lanes ---------------------------------------------------------------------------------

    def lane_op(self, n, shape):
        """Lanes to and from vectors, and shuffles."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        lane: uint32_t = at.c
        if shape == S_V_SPLAT:
            return self.splat(n)
        if shape == S_V_FSPLAT:
            return self.float_splat(n)
        if shape == S_V_EXTRACT:
            return self.extract(n)
        if shape == S_V_FEXTRACT:
            return self.float_extract(n)
        if shape == S_V_FREPLACE:
            return self.float_replace(n)
        if shape == S_V_BITMASK:
            return self.bitmask(n)
        if shape == S_V_SHUFFLE:
            return self.shuffle(n)
        if shape != S_V_REPLACE:
            return NOTHING
        v: uint32_t = self.value(at.a)
        if self.marks[self.ssa.nodes[n].b] & NODE_FOLDED:
            return self.from_memory(n, self.ssa.nodes[n].b, RULE_ROW2[self.ssa.nodes[n].op], v, lane)
        value: uint32_t = self.value(self.ssa.nodes[n].b)
        result: uint32_t = self.fresh(T_V128)
        self.row(RULE_ROW[self.ssa.nodes[n].op], RULE_WIDTH[self.ssa.nodes[n].op], result, v, value)
        self.m.last().imm = lane
        return result

    def splat(self, n):
        """An integer in each lane."""
        bits: uint32_t = RULE_EXTRA[self.ssa.nodes[n].op]
        v: uint32_t
        if self.marks[self.ssa.nodes[n].a] & NODE_FOLDED:
            return self.splat_of(n)
        v = self.fresh(T_V128)
        self.row(MOP_MOVG2X_RR, 8 if bits == 64 else 4, v, self.value(self.ssa.nodes[n].a), NO_VREG)
        if bits == 8:
            return self.two(MOP_PSHUFB_RR, v, self.zero())
        if bits == 64:
            return self.by(MOP_PSHUFD_RRI, v, 0x44)
        if bits == 16:
            v = self.by(MOP_PSHUFLW_RRI, v, 0)
        return self.by(MOP_PSHUFD_RRI, v, 0)

    def splat_of(self, n):
        """A load of four or eight bytes into each lane."""
        wide: cython.bint = RULE_EXTRA[self.ssa.nodes[n].op] == 64
        mop: uint32_t = MOP_MOVDDUP_RM if wide else MOP_VBROADCASTSS_RM
        return self.from_memory(n, self.ssa.nodes[n].a, mop, NO_VREG, 0)

    def float_splat(self, n):
        """A float in each lane. Its slot is narrower than what is read."""
        v: uint32_t = self.ssa.nodes[n].a
        if self.marks[v] & NODE_FOLDED:
            return self.splat_of(n)
        v = self.value(v)
        if RULE_EXTRA[self.ssa.nodes[n].op] == 64:
            return self.two(MOP_MOVDDUP_RR, v, NO_VREG)
        v = self.by(MOP_PSHUFD_RRI, v, 0)
        self.m.operands[self.m.last().ops + 1].constraint = C_REG
        return v

    def extract(self, n):
        """A lane as an integer."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        op: uint32_t = at.op
        lane: uint32_t = at.c
        width: uint32_t = RULE_WIDTH[op]
        wide: cython.bint = RULE_EXTRA[op] == 64
        v: uint32_t = self.value(at.a)
        result: uint32_t = self.fresh(T_I64 if wide else T_I32)
        if lane == 0 and width < 16:
            self.row(MOP_MOVX2G_RR, width, result, v, NO_VREG)
            return result
        self.row(RULE_ROW[op], width, result, v, NO_VREG)
        self.m.last().imm = lane
        if RULE_ROW2[op] == 0:
            return result
        v = self.fresh(T_I32)
        self.row(RULE_ROW2[op], 4, v, result, NO_VREG)
        self.m.operands[self.m.last().ops + 1].constraint = C_REG
        return v

    def float_extract(self, n):
        """A lane as a float: where floats are, lane 0 already is."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        wide: cython.bint = RULE_EXTRA[at.op] == 64
        lane: uint32_t = at.c
        v: uint32_t = self.value(at.a)
        result: uint32_t = self.fresh(T_F64 if wide else T_F32)
        if lane == 0:
            self.row(MOP_MOVAPS_RR, 16, result, v, NO_VREG)
            return result
        self.row(MOP_PSHUFD_RRI, 16, result, v, NO_VREG)
        self.m.last().imm = 0xEE if wide else lane
        return result

    def float_replace(self, n):
        """A float into a lane."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        wide: cython.bint = RULE_EXTRA[at.op] == 64
        lane: uint32_t = at.c
        v: uint32_t = self.value(at.a)
        value: uint32_t = self.ssa.nodes[n].b
        if self.marks[value] & NODE_FOLDED and wide:
            return self.from_memory(n, value, MOP_MOVHPS_RM if lane else MOP_MOVLPS_RM, v, 0)
        if self.marks[value] & NODE_FOLDED:
            return self.from_memory(n, value, MOP_INSERTPS_RMI, v, lane << 4)
        value = self.value(value)
        if not wide:
            return self.mix(MOP_INSERTPS_RRI, v, value, lane << 4)
        return self.two(MOP_MOVLHPS_RR if lane else MOP_MOVSD_RR, v, value)

    def bitmask(self, n):
        """The signs of all lanes."""
        op: uint32_t = self.ssa.nodes[n].op
        v: uint32_t = self.value(self.ssa.nodes[n].a)
        result: uint32_t = self.fresh(T_I32)
        if RULE_ROW2[op]:
            v = self.two(MOP_PACKSSWB_RR, v, self.zero())
        self.row(RULE_ROW[op], 16, result, v, NO_VREG)
        return result

    # ---- shuffles ------------------------------------------------------------------------------

    def shuffle(self, n):
        """Sixteen bytes out of two vectors, by the shortest way that is known."""
        lanes: uint8_t[16]
        i: uint32_t
        a: uint32_t = self.ssa.nodes[n].a
        b: uint32_t = self.ssa.nodes[n].b
        first: uint32_t = 0
        second: uint32_t = 0
        memcpy(lanes, self.ssa.constants + self.ssa.nodes[n].c, 16)
        for i in range(16):
            if a == b:
                lanes[i] &= 15
            if lanes[i] < 16:
                first += 1
            else:
                second += 1
        if second == 0:
            return self.shuffle_one(self.value(a), lanes)
        if first == 0:
            for i in range(16):
                lanes[i] &= 15
            return self.shuffle_one(self.value(b), lanes)
        first = self.value(a)
        return self.shuffle_two(first, self.value(b), lanes)

    def shuffle_one(self, v, lanes):
        """Out of one vector."""
        by: uint32_t
        if stays(lanes, 0, 16):
            return v
        if runs_of(lanes, 4):
            return self.by(MOP_PSHUFD_RRI, v, selector_of(lanes, 0, 4))
        if runs_of(lanes, 2):
            if stays(lanes, 8, 16) and lanes[0] < 8 and lanes[2] < 8 and lanes[4] < 8 and lanes[6] < 8:
                return self.by(MOP_PSHUFLW_RRI, v, selector_of(lanes, 0, 2))
            if stays(lanes, 0, 8) and lanes[8] >= 8 and lanes[10] >= 8 and lanes[12] >= 8 and lanes[14] >= 8:
                return self.by(MOP_PSHUFHW_RRI, v, selector_of(lanes, 8, 2))
        by = self.interleave(v, v, lanes)
        if by != NOTHING:
            return by
        by = rotation_of(lanes, 16)
        if by:
            return self.mix(MOP_PALIGNR_RRI, v, v, by)
        return self.with_words(MOP_PSHUFB_RM, v, mask_of(lanes, 0, 0), mask_of(lanes, 8, 0))

    def shuffle_two(self, a, b, lanes):
        """Out of two vectors, each of which gives at least a byte."""
        imm: uint32_t = 0
        i: uint32_t
        v: uint32_t = self.interleave(a, b, lanes)
        if v != NOTHING:
            return v
        imm = rotation_of(lanes, 32)
        if imm:
            return self.mix(MOP_PALIGNR_RRI, b, a, imm) if imm < 16 else self.mix(MOP_PALIGNR_RRI, a, b, imm - 16)
        for i in range(16):
            if lanes[i] & 15 != i:
                v = self.by_dwords(a, b, lanes)
                return v if v != NOTHING else self.by_bytes(a, b, lanes)
        if not runs_of(lanes, 2):
            return self.by_bytes(a, b, lanes)
        for i in range(8):
            imm |= (lanes[2 * i] >> 4) << i
        return self.mix(MOP_PBLENDW_RRI, a, b, imm)

    def interleave(self, a, b, lanes):
        """Lanes of both in turn, from both lower or both upper halves; for one vector ``a`` is ``b``."""
        size: uint32_t
        k: uint32_t
        mops: uint32_t[8]
        first: uint32_t = 0 if a == b else 16
        mops[0], mops[1] = MOP_PUNPCKLBW_RR, MOP_PUNPCKHBW_RR
        mops[2], mops[3] = MOP_PUNPCKLWD_RR, MOP_PUNPCKHWD_RR
        mops[4], mops[5] = MOP_PUNPCKLDQ_RR, MOP_PUNPCKHDQ_RR
        mops[6], mops[7] = MOP_PUNPCKLQDQ_RR, MOP_PUNPCKHQDQ_RR
        for k in range(8):
            size = 1 << (k >> 1)
            if interleaves(lanes, size, 8 * (k & 1), 0, first):
                return self.two(mops[k], a, b)
            if first and interleaves(lanes, size, 8 * (k & 1), first, 0):
                return self.two(mops[k], b, a)
        return NOTHING

    def by_dwords(self, a, b, lanes):
        """Lanes of four bytes: the lower two from one vector and the upper two from the other, or each by itself."""
        i: uint32_t
        sources: uint32_t = 0
        imm: uint32_t = selector_of(lanes, 0, 4)
        blend: uint32_t = 0
        if not runs_of(lanes, 4):
            return NOTHING
        for i in range(4):
            if lanes[4 * i] >= 16:
                sources |= 1 << i
                blend |= 3 << 2 * i
        if sources == 0b1100:
            return self.mix(MOP_SHUFPS_RRI, a, b, imm)
        if sources == 0b0011:
            return self.mix(MOP_SHUFPS_RRI, b, a, imm)
        a = self.by(MOP_PSHUFD_RRI, a, imm)
        return self.mix(MOP_PBLENDW_RRI, a, self.by(MOP_PSHUFD_RRI, b, imm), blend)

    def by_bytes(self, a, b, lanes):
        """What each vector gives, in its places; both together."""
        a = self.with_words(MOP_PSHUFB_RM, a, mask_of(lanes, 0, 0), mask_of(lanes, 8, 0))
        return self.two(MOP_POR_RR, a, self.with_words(MOP_PSHUFB_RM, b, mask_of(lanes, 0, 1), mask_of(lanes, 8, 1)))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def interleaves(
    lanes: cython.pointer(cython.const[uint8_t]), size: uint32_t, start: uint32_t, even: uint32_t, odd: uint32_t
) -> cython.bint:
    """Whether groups of so many bytes come in turn from the byte ``start`` on of two vectors, which begin there."""
    i: uint32_t
    for i in range(16):
        if lanes[i] != (odd if i // size & 1 else even) + start + i // (2 * size) * size + i % size:
            return False
    return True
