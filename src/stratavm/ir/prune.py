# strata: hot
"""Removes dead values: block parameters that nothing uses but each other, and pure nodes without effect or trap. Where
the form asks for it (``Ssa.sharing``), equal ones too.

The builder cannot know which locals are read later, so that two thirds of its join parameters are dead; each would cost
a move on every edge. Linear: one mark from the nodes that act, one compaction in place. Loads and everything else that
may trap stay. The marks count: how often each value is used is known afterwards (``Ssa.uses``).

Sharing is for what no pass sees: level 0. On its way the compaction keeps the newest operations in a small table, and
what is computed again in a block, or in the one behind it that only it leads to, becomes what is there. Over no call:
nothing stays in a register there. No comparison: the branch that follows would need its value in a register.

Loads are shared too, and have what was stored before them. Another table has an entry for four bytes from a base; what
a store may have changed is not asked for: its own bytes stand in its entry, and whatever has another base is forgotten.
Code that was compiled without optimisation keeps its locals in memory, and reads what it has just written.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import rest
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.ir.ops import (
    OF_CALLS,
    OF_COMPARE,
    OF_CONTROL,
    OF_LOAD,
    OF_READS,
    OF_STORE,
    OF_TRAP,
    OF_WRITES,
    OP_ACCESS,
    OP_FLAGS,
    OP_GLOBAL_SET,
    OP_RELOAD,
)
from cython.cimports.stratavm.ir.ssa import (
    IR_BLOCK_PARAM,
    IR_CAUGHT,
    IR_CONST,
    IR_CONST_V128,
    IR_EXN,
    IR_MEMORY_BYTES,
    IR_MULHI_S,
    IR_MULHI_U,
    IR_NOP,
    IR_POLL,
    IR_TAG,
    NO_VALUE,
    Edge,
    MemArg,
    Node,
    Ssa,
    edge_count,
    edge_of,
    map_values,
    operands_of,
)

UNLIKE = cython.declare(
    uint32_t, OF_TRAP | OF_LOAD | OF_STORE | OF_READS | OF_WRITES | OF_CALLS | OF_CONTROL | OF_COMPARE
)
"""What is computed anew each time."""
SHARED = cython.declare(uint32_t, 1 << 31)  # what an operation gives is known by its operands, and worth a register
MIX = cython.declare(uint64_t, 0x9E3779B97F4A7C15)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def acts(op: uint32_t) -> cython.bint:
    """Whether a node must stay though nothing uses it. Results of calls stay: they lie directly behind their call."""
    if op < 0x8000:
        return (OP_FLAGS[op] & (OF_TRAP | OF_WRITES | OF_CALLS | OF_CONTROL)) != 0
    return not (
        op == IR_BLOCK_PARAM
        or op == IR_CONST
        or op == IR_CONST_V128
        or op == IR_NOP
        or op == IR_MULHI_U
        or op == IR_MULHI_S
        or op == IR_MEMORY_BYTES
        or op == IR_CAUGHT
        or op == IR_TAG
        or op == IR_EXN
    )


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def equal(a: cython.pointer(Node), b: cython.pointer(Node)) -> cython.bint:
    """Whether two nodes are the same operation of the same values."""
    return a.op == b.op and a.a == b.a and a.b == b.b and a.c == b.c and a.type == b.type and a.flags == b.flags


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def kind_of(op: uint32_t) -> uint32_t:
    """What knowledge of values has to do with an operation: ``SHARED``, its flags if it is about memory, or 0."""
    flags: uint32_t
    if op >= 0x8000:
        return SHARED if op == IR_CONST else OF_WRITES if op == IR_POLL else 0
    flags = OP_FLAGS[op]
    return flags & (OF_LOAD | OF_STORE | OF_CALLS | OF_WRITES) if flags & UNLIKE else SHARED


@cython.cclass
class Pruner:
    """Scratch memory of the pass, reused from function to function. From below the GIL it prunes ``ssa``."""

    def __init__(self, ssa: Ssa | None = None) -> None:
        self.ssa = ssa

    def __dealloc__(self):
        vec_free(self.live)
        vec_free(self.moved)
        vec_free(self.pending)
        vec_free(self.home)
        vec_free(self.incoming)
        vec_free(self.following)
        vec_free(self.rewritten)

    def run(self, ssa: Ssa) -> None:
        """Prune a function, without the GIL."""
        before = self.ssa
        self.ssa = ssa
        try:
            with cython.nogil:
                self.prune()
        finally:
            self.ssa = before

    def prune(self):
        """The pass."""
        self.reserve()
        self.link_edges()
        rest(self.ssa.n_nodes)
        self.mark_backwards()
        rest(self.ssa.n_nodes)
        while self.n_pending != 0:
            self.n_pending -= 1
            self.mark_operands(self.pending[self.n_pending])
        rest(self.ssa.n_nodes)
        self.compact()
        self.rewrite_edges()
        return 0

    def reserve(self):
        """Room for the function, marks cleared."""
        nodes: uint32_t = self.ssa.n_nodes
        vec_room(self.live, self.cap_live, nodes)
        vec_room(self.moved, self.cap_moved, nodes)
        vec_room(self.pending, self.cap_pending, nodes)
        vec_room(self.home, self.cap_home, nodes)
        vec_room(self.incoming, self.cap_incoming, self.ssa.n_blocks)
        vec_room(self.following, self.cap_following, self.ssa.n_edges + 1)
        vec_room(self.rewritten, self.cap_rewritten, self.ssa.n_args + 1)
        vec_room(self.ssa.uses, self.ssa.cap_uses, nodes)
        memset(self.live, 0, nodes * cython.sizeof(uint32_t))
        memset(self.rewritten, 0, self.ssa.n_args + 1)
        self.n_pending = 0
        return 0

    def link_edges(self):
        """Chain the edges by target; note the block of each parameter."""
        i: uint32_t
        k: uint32_t
        target: uint32_t
        for i in range(self.ssa.n_blocks):
            self.incoming[i] = NO_VALUE
            for k in range(self.ssa.blocks[i].first, self.ssa.blocks[i].first + self.ssa.blocks[i].params):
                self.home[k] = i
        for i in range(self.ssa.n_edges):
            target = self.ssa.edges[i].target
            self.following[i] = self.incoming[target]
            self.incoming[target] = i
        return 0

    def mark_backwards(self):
        """What acts is used, and what it uses: definitions come before uses, so that one walk backwards marks most."""
        live: cython.pointer(uint32_t) = self.live
        args: cython.pointer(uint32_t) = self.ssa.args
        values: cython.pointer(uint32_t) = cython.NULL
        node: cython.pointer(Node)
        i: uint32_t = self.ssa.n_nodes
        k: uint32_t
        while i > 0:
            i -= 1
            node = cython.address(self.ssa.nodes[i])
            if acts(node.op):
                live[i] |= ACTS
            elif live[i] == 0:
                continue
            elif node.op == IR_BLOCK_PARAM:
                self.cursor = i
                self.mark_arguments(i)
                continue
            for k in range(operands_of(node, args, cython.address(values))):
                if values[k] != NO_VALUE:
                    live[values[k]] += 1  # the walk comes there yet
        self.cursor = 0
        return 0

    def mark_arguments(self, index):
        """A parameter uses its argument on every edge."""
        edge: uint32_t = self.incoming[self.home[index]]
        position: uint32_t = self.ssa.nodes[index].c
        while edge != NO_VALUE:
            self.mark(self.ssa.args[self.ssa.edges[edge].args + position])
            edge = self.following[edge]
        return 0

    def mark_operands(self, index):
        """What a live node uses is live."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[index])
        values: cython.pointer(uint32_t) = cython.NULL
        i: uint32_t
        if node.op == IR_BLOCK_PARAM:
            return self.mark_arguments(index)
        for i in range(operands_of(node, self.ssa.args, cython.address(values))):
            if values[i] != NO_VALUE:
                self.mark(values[i])
        return 0

    def compact(self):
        """Move the live nodes together: definitions come before uses, so that operands have their new indices already.
        ``home`` holds the old first node of each block afterwards.
        """
        live: cython.pointer(uint32_t) = self.live  # locals: what is stored could else be one of these fields
        moved: cython.pointer(uint32_t) = self.moved
        nodes: cython.pointer(Node) = self.ssa.nodes
        positions: cython.pointer(uint32_t) = self.ssa.positions
        uses: cython.pointer(uint32_t) = self.ssa.uses
        args: cython.pointer(uint32_t) = self.ssa.args
        values: cython.pointer(uint32_t) = cython.NULL
        block: uint32_t
        i: uint32_t
        to: uint32_t = 0
        start: uint32_t
        n: uint32_t
        kind: uint32_t
        params: uint32_t
        first: uint32_t
        last: uint32_t
        sharing: cython.bint = self.ssa.sharing
        if sharing:
            memset(self.newest, 0, cython.sizeof(self.newest))
            memset(self.cells, 0, cython.sizeof(self.cells))
            self.since = self.written = self.foreign = 0
            self.base = NO_VALUE
        for block in range(self.ssa.n_blocks):
            if sharing and not self.goes_on(block):
                self.since = to
            first = self.ssa.blocks[block].first
            last = self.ssa.blocks[block].last
            params = self.ssa.blocks[block].params
            self.ssa.blocks[block].first = start = to
            for i in range(first, last):
                if live[i] == 0:
                    continue
                node: cython.pointer(Node) = nodes + to
                node[0] = nodes[i]
                positions[to] = positions[i]
                uses[to] = live[i] & ~cython.cast(uint32_t, ACTS)
                moved[i] = to
                if node.op == IR_BLOCK_PARAM:
                    node.c = to - start
                else:
                    n = operands_of(node, args, cython.address(values))
                    map_values(values, n, moved)
                    kind = kind_of(node.op) if sharing else 0
                    if kind == SHARED:
                        if self.share(node, to, cython.address(moved[i])):
                            continue
                    elif kind and self.known(kind, node, to, cython.address(moved[i])):
                        continue
                to += 1
            self.ssa.blocks[block].last = to
            self.home[block] = first  # a block has at least one node: home is long enough, and not read any more
            if block != 0:
                self.ssa.blocks[block].params = self.count_params(first, params)
        self.ssa.n_nodes = to
        self.ssa.counted = True
        return 0

    def goes_on(self, block):
        """Whether a block follows the one before it, and no other: what is known there is known here."""
        k: uint32_t
        leads: cython.bint = False
        node: cython.pointer(Node)
        if block == 0 or self.ssa.blocks[block].preds != 1:
            return False
        node = cython.address(self.ssa.nodes[self.ssa.blocks[block - 1].last - 1])
        for k in range(edge_count(node)):
            leads |= self.ssa.edges[edge_of(node, k)].target == block
        return leads

    def known(self, kind, node, to, moved):
        """Whether the node that was put at ``to`` reads what is known already; else what it changes is not any more."""
        if kind & OF_LOAD:
            return self.load(node, to, moved)
        if kind & OF_STORE:
            self.store(node, to)
        elif kind & OF_CALLS:
            self.since = to
        elif node.op != OP_GLOBAL_SET:
            self.wrote(to, NO_VALUE)
        return False

    def share(self, node, to, moved):
        """Whether the node that was put at ``to`` is one that is there already, which then takes its uses."""
        hash: uint64_t
        slot: uint32_t
        known: uint32_t
        hash = (cython.cast(uint64_t, node.a) << 32 | node.b) * MIX ^ node.op
        slot = cython.cast(uint32_t, (hash * MIX) >> 32) & (NEWEST - 1)
        known = self.newest[slot]
        if known <= self.since or not equal(node, cython.address(self.ssa.nodes[known - 1])):
            self.newest[slot] = to + 1
            return False
        return self.replace(node, to, known - 1, moved)

    def replace(self, node, to, known, moved):
        """Another value takes the uses of the node at ``to``, which is left out."""
        k: uint32_t
        uses: cython.pointer(uint32_t) = self.ssa.uses
        values: cython.pointer(uint32_t) = cython.NULL
        moved[0] = known
        uses[known] = uses[known] + uses[to]
        for k in range(operands_of(node, self.ssa.args, cython.address(values))):
            if values[k] != NO_VALUE:
                uses[values[k]] = uses[values[k]] - 1
        return True

    def cell_of(self, node):
        """The entry for the bytes of an access, or ``NO_VALUE`` where these are not in one, or all of two."""
        where: cython.pointer(MemArg) = cython.address(self.ssa.memargs[node.c])
        width: uint32_t = OP_ACCESS[node.op]
        hash: uint64_t
        if where.offset >> 32 or ((where.offset & 3) + width > 4 and (width != 8 or where.offset & 7)):
            return NO_VALUE
        hash = (cython.cast(uint64_t, node.a) << 32 | where.offset >> 3) * MIX
        return cython.cast(uint32_t, hash >> 32) & (CELLS - 2) | cython.cast(uint32_t, where.offset) >> 2 & 1

    def load(self, node, to, moved):
        """Whether a load's value is known: from one like it, or from a store."""
        cell: uint32_t = self.cell_of(node)
        at: uint32_t
        other: cython.pointer(Node)
        here: cython.pointer(MemArg)
        there: cython.pointer(MemArg)
        if cell == NO_VALUE:
            return False
        at = self.cells[cell]
        self.cells[cell] = to + 1
        if at <= self.since:
            return False
        at -= 1
        other = cython.address(self.ssa.nodes[at])
        if other.a != node.a or (at < self.written and (node.a != self.base or at <= self.foreign)):
            return False
        here = cython.address(self.ssa.memargs[node.c])
        there = cython.address(self.ssa.memargs[other.c])
        if here.offset != there.offset or here.memory != there.memory:
            return False
        if other.op != node.op:
            if OP_RELOAD[other.op] != node.op:
                return False
            self.cells[cell] = at + 1
            return self.replace(node, to, other.b, moved)
        self.cells[cell] = at + 1
        return self.replace(node, to, at, moved)

    def store(self, node, to):
        """Remember a store, and forget what it may have changed."""
        cell: uint32_t = self.cell_of(node)
        if cell == NO_VALUE:
            return self.wrote(to, NO_VALUE)
        self.wrote(to, node.a)
        self.cells[cell] = to + 1
        if OP_ACCESS[node.op] == 8:
            self.cells[cell + 1] = 0
        elif cell & 1 and self.cells[cell - 1] and OP_ACCESS[self.ssa.nodes[self.cells[cell - 1] - 1].op] == 8:
            self.cells[cell - 1] = 0
        return 0

    def wrote(self, to, base):
        """Memory is written at ``to``: in entries of that base alone, or anywhere."""
        if base == NO_VALUE:
            self.foreign = to
        elif base != self.base:
            self.foreign = self.written
        self.written = to
        self.base = base
        return 0

    def count_params(self, first, params):
        """Live ones among a block's old parameters."""
        i: uint32_t
        count: uint32_t = 0
        for i in range(first, first + params):
            count += self.live[i] != 0
        return count

    def rewrite_edges(self):
        """Drop the arguments of dead parameters. A list that edges of one table share is rewritten once."""
        i: uint32_t
        k: uint32_t
        to: uint32_t
        first: uint32_t
        edge: cython.pointer(Edge)
        for i in range(self.ssa.n_edges):
            edge = cython.address(self.ssa.edges[i])
            if edge.nargs != 0 and not self.rewritten[edge.args]:
                self.rewritten[edge.args] = 1
                first = self.home[edge.target]
                to = edge.args
                for k in range(edge.nargs):
                    if self.live[first + k]:
                        self.ssa.args[to] = self.moved[self.ssa.args[edge.args + k]]
                        to += 1
            edge.nargs = self.ssa.blocks[edge.target].params
        return 0
