# strata: hot
"""Removes dead values: block parameters that nothing uses but each other, and pure nodes without effect or trap.

The builder cannot know which locals are read later, so that two thirds of its join parameters are dead; each would cost
a move on every edge. Linear: one mark from the nodes that act, one compaction in place. Loads and everything else that
may trap stay.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ssa import (
    IR_BLOCK_PARAM,
    IR_CONST,
    IR_CONST_V128,
    IR_MEMORY_BYTES,
    IR_MULHI_S,
    IR_MULHI_U,
    IR_NOP,
    NO_VALUE,
    Edge,
    Node,
    map_values,
    operands_of,
)
from cython.cimports.stratavm.spec._gen_ops import OF_CALLS, OF_CONTROL, OF_TRAP, OF_WRITES
from cython.cimports.stratavm.spec._gen_optables import OP_FLAGS

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


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
    )


@cython.final
@cython.cclass
class Pruner:
    """Scratch memory of the pass, reused from function to function."""

    def __dealloc__(self):
        free(self.live)
        free(self.moved)
        free(self.pending)
        free(self.home)
        free(self.incoming)
        free(self.following)
        free(self.rewritten)

    def run(self, ssa: Ssa) -> None:
        """Prune a function, without the GIL."""
        self.ssa = ssa
        with cython.nogil:
            self.prune()

    def prune(self):
        """The pass."""
        self.reserve()
        self.link_edges()
        self.mark_backwards()
        while self.n_pending != 0:
            self.n_pending -= 1
            self.mark_operands(self.pending[self.n_pending])
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
        memset(self.live, 0, nodes)
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

    def mark(self, value):
        """A value is used. One that the walk has passed already (it comes over a back edge) waits."""
        if not self.live[value]:
            self.live[value] = 1
            if value > self.cursor:
                self.pending[self.n_pending] = value
                self.n_pending += 1
        return 0

    def mark_backwards(self):
        """What acts is used, and what it uses: definitions come before uses, so that one walk backwards marks most."""
        i: uint32_t = self.ssa.n_nodes
        while i > 0:
            i -= 1
            if self.live[i] or acts(self.ssa.nodes[i].op):
                self.live[i] = 1
                self.cursor = i
                self.mark_operands(i)
        self.cursor = 0
        return 0

    def mark_operands(self, index):
        """What a live node uses is live; a parameter uses its argument on every edge."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[index])
        values: cython.pointer(uint32_t) = cython.NULL
        edge: uint32_t
        i: uint32_t
        if node.op == IR_BLOCK_PARAM:
            edge = self.incoming[self.home[index]]
            while edge != NO_VALUE:
                self.mark(self.ssa.args[self.ssa.edges[edge].args + node.c])
                edge = self.following[edge]
            return 0
        for i in range(operands_of(node, self.ssa.args, cython.address(values))):
            if values[i] != NO_VALUE:
                self.mark(values[i])
        return 0

    def rename(self, node):
        """Give a node's operands their new indices: definitions come before uses, so they have them already."""
        values: cython.pointer(uint32_t) = cython.NULL
        n: uint32_t = operands_of(node, self.ssa.args, cython.address(values))
        map_values(values, n, self.moved)
        return 0

    def compact(self):
        """Move the live nodes together. ``home`` holds the old first node of each block afterwards."""
        block: uint32_t
        i: uint32_t
        to: uint32_t = 0
        params: uint32_t
        first: uint32_t
        last: uint32_t
        for block in range(self.ssa.n_blocks):
            first = self.ssa.blocks[block].first
            last = self.ssa.blocks[block].last
            params = self.ssa.blocks[block].params
            self.ssa.blocks[block].first = to
            for i in range(first, last):
                if not self.live[i]:
                    continue
                self.ssa.nodes[to] = self.ssa.nodes[i]
                self.ssa.positions[to] = self.ssa.positions[i]
                self.moved[i] = to
                if self.ssa.nodes[to].op == IR_BLOCK_PARAM:
                    self.ssa.nodes[to].c = to - self.ssa.blocks[block].first
                else:
                    self.rename(cython.address(self.ssa.nodes[to]))
                to += 1
            self.ssa.blocks[block].last = to
            self.home[block] = first  # a block has at least one node: home is long enough, and not read any more
            if block != 0:
                self.ssa.blocks[block].params = self.count_params(first, params)
        self.ssa.n_nodes = to
        return 0

    def count_params(self, first, params):
        """Live ones among a block's old parameters."""
        i: uint32_t
        count: uint32_t = 0
        for i in range(first, first + params):
            count += self.live[i]
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
