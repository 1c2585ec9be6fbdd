"""Machine IR: the arrays of one function between selection and emission."""

# strata: hot
import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.string import memchr
from cython.cimports.stratavm.base.failures import fail_limit
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free

from stratavm.machine.target import Target, mask

cython.declare(SHARING_WINDOW=uint32_t, MAX_POOL_WORDS=uint32_t)
SHARING_WINDOW = 16  # words of the constant pool that are searched for an equal one
MAX_POOL_WORDS = 1 << 24

SPARE_REGISTERS = 2
"""Registers of a class that the scheduler leaves to the allocator."""


@cython.cfunc
def table_of(values: bytes) -> cython.pointer(cython.const[uint8_t]):
    """A table of the record, which lives as long as the record."""
    return cython.cast(cython.pointer(cython.const[uint8_t]), PyBytes_AS_STRING(values))


@cython.cfunc
@cython.exceptval(-1)
def read_class(facts: cython.pointer(TargetFacts), number: uint32_t, rclass) -> cython.int:
    """The C side of a ``RegisterClass``."""
    facts.classes[number] = mask(rclass.registers)
    facts.scratch[number] = rclass.scratch
    facts.order_size[number] = len(rclass.order)
    facts.pressure[number] = len(rclass.order) - SPARE_REGISTERS
    for i, reg in enumerate(rclass.order):
        facts.order[number][cython.cast(uint32_t, i)] = reg
    return 0


@cython.cclass
class MCode:
    """One function of machine IR for one target. Fields are in ``minst.pxd``; reused by ``clear``."""

    def __init__(self, target: Target) -> None:
        self.record = target
        facts: cython.pointer(TargetFacts) = cython.address(self.target)
        timings = target.timings
        facts.allocatable = target.allocatable
        facts.n_registers = max(n for c in target.classes for n in c.registers) + 1
        facts.crosses = target.crosses
        for i, rclass in enumerate(target.classes):
            read_class(facts, i, rclass)
        facts.latency, facts.ports = table_of(timings.latency), table_of(timings.ports)
        facts.busy, facts.reads = table_of(timings.busy), table_of(timings.reads)
        facts.rows, facts.timed = len(timings.reads), len(timings.latency)
        facts.pseudo, facts.behind = target.pseudo, target.behind
        facts.port_count, facts.issue = timings.port_count, timings.issue

    def __dealloc__(self):
        vec_free(self.insts)
        vec_free(self.operands)
        vec_free(self.blocks)
        vec_free(self.edges)
        vec_free(self.edge_args)
        vec_free(self.block_params)
        vec_free(self.vclass)
        vec_free(self.vwidth)
        vec_free(self.constants)
        vec_free(self.moves)

    def clear(self):
        """Empty it, keeping the memory."""
        self.n_insts = self.n_operands = self.n_blocks = self.n_edges = self.n_edge_args = 0
        self.n_block_params = self.n_vregs = self.n_constants = self.n_moves = self.n_slots = 0
        self.out_arg_bytes = 0
        return 0

    def vreg_room(self):
        """Room for one more virtual register."""
        vec_room(self.vclass, self.cap_vclass, self.n_vregs + 1)
        return vec_room(self.vwidth, self.cap_vwidth, self.n_vregs + 1)

    def inst_room(self):
        """Room for one more instruction."""
        return vec_room(self.insts, self.cap_insts, self.n_insts + 1)

    def operand_room(self):
        """Room for one more operand of the newest instruction, which has a limit."""
        if self.last().nops == 0xFF:
            fail_limit(b"operands", b"an instruction has more than 255 operands")
        return vec_room(self.operands, self.cap_operands, self.n_operands + 1)

    def block(self, depth, flags):
        """Start a block at the next instruction; returns its number."""
        n: uint32_t = self.n_blocks
        vec_room(self.blocks, self.cap_blocks, n + 1)
        b: cython.pointer(MBlock) = cython.address(self.blocks[n])
        b.first = b.last = self.n_insts
        b.params = self.n_block_params
        b.edges = self.n_edges
        b.nparams = b.nedges = 0
        b.depth = depth
        b.flags = flags
        self.n_blocks = n + 1
        return n

    def end_block(self):
        """The newest block ends after the newest instruction, its terminator."""
        self.blocks[self.n_blocks - 1].last = self.n_insts
        return 0

    def block_param(self, vreg):
        """Add a parameter to the newest block."""
        n: uint32_t = self.n_block_params
        vec_room(self.block_params, self.cap_block_params, n + 1)
        self.block_params[n] = vreg
        self.blocks[self.n_blocks - 1].nparams += 1
        self.n_block_params = n + 1
        return 0

    def edge(self, target):
        """Add a successor to the newest block; returns the number of the edge."""
        n: uint32_t = self.n_edges
        vec_room(self.edges, self.cap_edges, n + 1)
        e: cython.pointer(MEdge) = cython.address(self.edges[n])
        e.target = target
        e.args = self.n_edge_args
        e.nargs = 0
        self.blocks[self.n_blocks - 1].nedges += 1
        self.n_edges = n + 1
        return n

    def edge_arg(self, vreg):
        """Add an argument to the newest edge."""
        n: uint32_t = self.n_edge_args
        vec_room(self.edge_args, self.cap_edge_args, n + 1)
        self.edge_args[n] = vreg
        self.edges[self.n_edges - 1].nargs += 1
        self.n_edge_args = n + 1
        return 0

    def move(self, at, src, dst, vreg):
        """Append a move (allocators only; in order of ``at``)."""
        n: uint32_t = self.n_moves
        vec_room(self.moves, self.cap_moves, n + 1)
        m: cython.pointer(Move) = cython.address(self.moves[n])
        m.at = at
        m.src = src
        m.dst = dst
        m.vreg = vreg
        self.n_moves = n + 1
        return 0

    def constant(self, word):
        """Byte offset of an 8-byte word in the constant pool; recent ones are shared."""
        n: uint32_t = self.n_constants
        i: uint32_t = n - SHARING_WINDOW if n > SHARING_WINDOW else 0
        while i < n:
            if self.constants[i] == word:
                return i * 8
            i += 1
        if n >= MAX_POOL_WORDS:
            fail_limit(b"constants", b"the constant pool of one function is too large")
        vec_room(self.constants, self.cap_constants, n + 1)
        self.constants[n] = word
        self.n_constants = n + 1
        return n * 8

    def constant16(self, low, high):
        """Byte offset of two words of the constant pool, a multiple of 16; recent ones are shared."""
        n: uint32_t = self.n_constants + (self.n_constants & 1)
        i: uint32_t = n - SHARING_WINDOW if n > SHARING_WINDOW else 0
        while i + 1 < self.n_constants:
            if self.constants[i] == low and self.constants[i + 1] == high:
                return i * 8
            i += 2
        if n + 2 > MAX_POOL_WORDS:
            fail_limit(b"constants", b"the constant pool of one function is too large")
        vec_room(self.constants, self.cap_constants, n + 2)
        if n != self.n_constants:
            self.constants[n - 1] = 0
        self.constants[n] = low
        self.constants[n + 1] = high
        self.n_constants = n + 2
        return n * 8

    def has_wide(self):
        """Whether a value has 16 bytes."""
        return self.n_vregs != 0 and memchr(self.vwidth, 16, self.n_vregs) != cython.NULL


# ---- to and from plain Python values -----------------------------------------------------------


def snapshot(m: MCode):
    """A copy as plain values, with whatever places and moves there are."""
    from stratavm.machine.mfunc import Block, Edge, MFunction  # a tool's module: compiling does without

    f = MFunction(m.record, slots=m.n_slots)
    i: uint32_t
    k: uint32_t
    f.vregs = [(m.vclass[i], m.vwidth[i]) for i in range(m.n_vregs)]
    for i in range(m.n_blocks):
        b: cython.pointer(MBlock) = cython.address(m.blocks[i])
        params = [m.block_params[b.params + k] for k in range(b.nparams)]
        block = Block(b.first, params, depth=b.depth, flags=b.flags)
        for k in range(b.first, b.last):
            block.insts.append(_inst(m, cython.address(m.insts[k])))
        for k in range(b.nedges):
            e: cython.pointer(MEdge) = cython.address(m.edges[b.edges + k])
            block.edges.append(Edge(e.target, _args(m, e)))
        f.blocks.append(block)
    f.moves = [(m.moves[i].at, m.moves[i].src, m.moves[i].dst, m.moves[i].vreg) for i in range(m.n_moves)]
    return f


def fingerprint(m: MCode, registers: int) -> bytes:
    """An allocation to so many registers as bytes, places and moves included: equal ones are the same."""
    counts = (m.n_insts, m.n_operands, m.n_blocks, m.n_edges, m.n_edge_args, m.n_block_params, m.n_vregs, m.n_moves)
    return b"".join(
        (
            repr((m.record.name, registers, m.n_slots, counts)).encode(),
            raw(m.insts, m.n_insts * cython.sizeof(MInst)),
            raw(m.operands, m.n_operands * cython.sizeof(MOperand)),
            raw(m.blocks, m.n_blocks * cython.sizeof(MBlock)),
            raw(m.edges, m.n_edges * cython.sizeof(MEdge)),
            raw(m.edge_args, m.n_edge_args * cython.sizeof(uint32_t)),
            raw(m.block_params, m.n_block_params * cython.sizeof(uint32_t)),
            raw(m.vclass, m.n_vregs),
            raw(m.vwidth, m.n_vregs),
            raw(m.moves, m.n_moves * cython.sizeof(Move)),
        )
    )


@cython.cfunc
def raw(at: cython.p_void, size: cython.size_t) -> bytes:
    """Memory as it is; none where there is none."""
    return cython.cast(cython.p_char, at)[:size] if size else b""


@cython.cfunc
def _args(m: MCode, e: cython.pointer(MEdge)) -> list:
    k: uint32_t
    return [m.edge_args[e.args + k] for k in range(e.nargs)]


@cython.cfunc
def _inst(m: MCode, i: cython.pointer(MInst)) -> object:
    from stratavm.machine.mfunc import Inst, Operand

    k: uint32_t
    operands = []
    for k in range(i.nops):
        o: cython.pointer(MOperand) = cython.address(m.operands[i.ops + k])
        operands.append(Operand(o.vreg, o.role, o.constraint, o.reg, o.loc, (o.flags & OF_SWAP) != 0))
    return Inst(i.op, i.width, i.flags, operands, i.cc, i.imm, i.disp, i.scale, i.aux)


def build(f) -> MCode:
    """The arrays of a function given as plain values."""
    m: MCode = MCode(f.target)
    for rclass, width in f.vregs:
        m.vreg(rclass, width)
    for block in f.blocks:
        m.block(block.depth, block.flags)
        for vreg in block.params:
            m.block_param(vreg)
        for inst in block.insts:
            n: uint32_t = m.inst(inst.op, inst.width, inst.flags)
            m.insts[n].cc = inst.cc
            m.insts[n].imm = inst.imm
            m.insts[n].disp = inst.disp
            m.insts[n].scale = inst.scale
            m.insts[n].aux = inst.aux
            for o in inst.operands:
                at: uint32_t = m.operand(o.vreg, o.role, o.constraint, o.reg)
                m.operands[at].flags = OF_SWAP if o.swaps else 0
        m.end_block()
        for edge in block.edges:
            m.edge(edge.target)
            for vreg in edge.args:
                m.edge_arg(vreg)
    return m
