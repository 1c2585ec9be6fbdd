# strata: hot
"""A form that begins in the middle of a function: at the head of a loop, with what is known there as parameters.

The output's parts begin with that header and with those of the loops around it, the innermost first. A part has what
can be reached from its header by edges that do not lead to a block before it; an edge that does goes back to a loop
around, and so to that part. So each part is entered at its header alone, and loops keep one entry: what is left of the
loops around is peeled in front of them.

A value that a part uses is defined in that part, or before the header of it and all parts that lead there; then it is
what it was where the function is entered, a parameter. ADR-0030 says why.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import rest
from cython.cimports.stratavm.base.failures import fail_limit, fail_wrong
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import OP_REF_NULL
from cython.cimports.stratavm.ir.ssa import (
    BF_LOOP_HEADER,
    IR_BR,
    IR_BR_IF,
    IR_BR_TABLE,
    IR_CONST,
    IR_CONST_V128,
    IR_INVOKE,
    IR_PARAM,
    NF_WIDE,
    NO_VALUE,
    OPERANDS_LIST,
    T_NONE,
    Block,
    Edge,
    Node,
    Ssa,
    edge_count,
    edge_of,
    operand_count,
    operands_of,
)

MOST_NODES = cython.declare(uint32_t, 1 << 17)
"""Nodes of a form, peeled ones included. The largest functions of programs have a fifth of that."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def is_constant(op: uint32_t) -> cython.bint:
    """Whether a value is computed again where it is wanted."""
    return op == IR_CONST or op == IR_CONST_V128 or op == OP_REF_NULL


@cython.cclass
class OsrForm:
    """Scratch memory of the transformation, reused from function to function."""

    def __dealloc__(self):
        free(self.home)
        free(self.heads)
        free(self.start)
        free(self.stop)
        free(self.parts)
        free(self.number)
        free(self.wanted)
        free(self.entry)
        free(self.moved)
        free(self.preds)
        free(self.values)

    def run(self, ssa: Ssa, header: uint32_t, out: Ssa) -> list[int]:
        """Make ``out`` of a form that begins at the head of a loop of ``ssa``. Returns which of the values there its
        parameters are.

        Raises:
            ResourceLimit: it would be too large.
        """
        i: uint32_t
        self.attach(ssa, out)
        self.make(header)
        return [self.values[i] for i in range(self.n_values)]

    def attach(self, ssa, out):
        """Say what ``make`` works on."""
        self.ssa = ssa
        self.out = out
        return 0

    def make(self, header):
        """``run`` from below the GIL; ``values`` has the parameters."""
        head: uint32_t
        i: uint32_t
        self.header = header
        if header >= self.ssa.n_blocks or not self.ssa.blocks[header].flags & BF_LOOP_HEADER:
            fail_wrong(b"block {} heads no loop", header)
        self.reserve()
        self.n_blocks = 1
        self.n_nodes = 0
        for i in range(self.ssa.blocks[header].params):
            self.wanted[self.ssa.blocks[header].first + i] = True
        head = header
        self.n_parts = 0
        while head != NO_VALUE:
            vec_room(self.parts, self.cap_parts, self.n_parts + 1)
            self.parts[self.n_parts] = head
            self.n_parts += 1
            self.start[head] = self.n_blocks
            self.n_blocks += self.reach(head)
            self.want(head)
            if self.n_nodes > MOST_NODES:
                return fail_limit(b"osr_nodes", b"{} nodes from the loop on, the limit is {}", self.n_nodes, MOST_NODES)
            rest(self.ssa.n_nodes)
            head = self.behind(head)
        self.begin()
        for i in range(self.n_parts):
            self.reach(self.parts[i])
            self.part(i)
            rest(self.ssa.n_nodes)
        self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        for i in range(self.n_blocks):
            self.out.blocks[i].preds = self.preds[i]
        return 0

    # ---- what is where -------------------------------------------------------------------------

    def reserve(self):
        """Room for the function; where each node is; how far each loop goes."""
        nodes: uint32_t = self.ssa.n_nodes
        blocks: uint32_t = self.ssa.n_blocks
        b: uint32_t
        i: uint32_t
        target: uint32_t
        vec_room(self.home, self.cap_home, nodes)
        vec_room(self.wanted, self.cap_wanted, nodes)
        vec_room(self.entry, self.cap_entry, nodes)
        vec_room(self.moved, self.cap_moved, nodes)
        vec_room(self.values, self.cap_values, nodes)
        vec_room(self.heads, self.cap_heads, blocks)
        vec_room(self.start, self.cap_start, blocks)
        vec_room(self.stop, self.cap_stop, blocks)
        vec_room(self.number, self.cap_number, blocks)
        memset(self.wanted, 0, nodes)
        memset(self.heads, 0, blocks)
        memset(self.stop, 0, blocks * cython.sizeof(uint32_t))
        for b in range(blocks):
            for i in range(self.ssa.blocks[b].first, self.ssa.blocks[b].last):
                self.home[i] = b
            last: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[b].last - 1])
            for i in range(edge_count(last)):
                target = self.ssa.edges[edge_of(last, i)].target
                if target <= b:
                    self.stop[target] = b + 1
        return 0

    def reach(self, head):
        """Number the blocks of a part; returns how many there are. One walk in their order is enough: an edge back
        within the part leads to the header of a loop, which has been reached before what is in it."""
        b: uint32_t
        i: uint32_t
        target: uint32_t
        n: uint32_t = self.start[head]
        memset(self.number, 0xFF, self.ssa.n_blocks * cython.sizeof(uint32_t))
        self.number[head] = 0
        for b in range(head, self.ssa.n_blocks):
            if self.number[b] == NO_VALUE:
                continue
            self.number[b] = n
            n += 1
            last: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[b].last - 1])
            for i in range(edge_count(last)):
                target = self.ssa.edges[edge_of(last, i)].target
                if target > b:
                    self.number[target] = 0
        return n - self.start[head]

    def behind(self, head):
        """The header of the part behind that of another; NO_VALUE behind the last."""
        while head > 0:
            head -= 1
            if self.heads[head]:
                return head
        return NO_VALUE

    def want(self, head):
        """Note what a part that was reached uses from outside, and which parts it leads to."""
        b: uint32_t
        i: uint32_t
        k: uint32_t
        for b in range(head, self.ssa.n_blocks):
            if self.number[b] == NO_VALUE:
                continue
            block: cython.pointer(Block) = cython.address(self.ssa.blocks[b])
            self.n_nodes += block.last - block.first
            for i in range(block.first, block.last):
                values: cython.pointer(uint32_t) = cython.NULL
                k = operands_of(cython.address(self.ssa.nodes[i]), self.ssa.args, cython.address(values))
                self.want_values(values, k)
            last: cython.pointer(Node) = cython.address(self.ssa.nodes[block.last - 1])
            for i in range(edge_count(last)):
                edge: cython.pointer(Edge) = cython.address(self.ssa.edges[edge_of(last, i)])
                self.want_values(self.ssa.args + edge.args, edge.nargs)
                if edge.target < head:
                    self.heads[edge.target] = True
        return 0

    def want_values(self, values, n):
        """Those that the part at hand does not define."""
        k: uint32_t
        for k in range(n):
            if values[k] != NO_VALUE and self.number[self.home[values[k]]] == NO_VALUE:
                self.wanted[values[k]] = True
        return 0

    # ---- the output ----------------------------------------------------------------------------

    def begin(self):
        """The entry block: parameters, constants, and a way to the loop."""
        i: uint32_t
        k: uint32_t
        self.out.clear()
        self.out.copy_tables(self.ssa)
        self.out.n_edges = self.out.n_args = self.out.n_sites = 0
        self.out.entered = True
        vec_room(self.preds, self.cap_preds, self.n_blocks)
        memset(self.preds, 0, self.n_blocks * cython.sizeof(uint32_t))
        self.n_values = 0
        self.out.block(0, 0)
        for i in range(self.ssa.n_nodes):
            if self.wanted[i] and not is_constant(self.ssa.nodes[i].op):
                self.values[self.n_values] = i
                self.entry[i] = self.out.node(
                    IR_PARAM, self.ssa.nodes[i].type, 0, NO_VALUE, NO_VALUE, self.n_values, self.ssa.positions[i]
                )
                self.n_values += 1
        self.out.n_params = self.out.blocks[0].params = self.n_values
        for i in range(self.ssa.n_nodes):
            if self.wanted[i] and is_constant(self.ssa.nodes[i].op):
                node: cython.pointer(Node) = cython.address(self.ssa.nodes[i])
                self.entry[i] = self.out.node(
                    node.op, node.type, node.flags, node.a, node.b, node.c, self.ssa.positions[i]
                )
        block: cython.pointer(Block) = cython.address(self.ssa.blocks[self.header])
        k = self.out.n_args
        for i in range(block.params):
            self.out.arg(self.entry[block.first + i])
        k = self.out.edge(self.start[self.header], k, block.params)
        self.preds[self.start[self.header]] += 1
        self.out.node(IR_BR, T_NONE, 0, NO_VALUE, NO_VALUE, k, self.ssa.positions[block.first])
        return 0

    def value(self, node):
        """What a value of the input is in the part at hand."""
        if node == NO_VALUE:
            return NO_VALUE
        return self.entry[node] if self.number[self.home[node]] == NO_VALUE else self.moved[node]

    def part(self, which):
        """Copy a part that was reached."""
        b: uint32_t
        i: uint32_t
        n: uint32_t
        head: uint32_t = self.parts[which]
        for b in range(head, self.ssa.n_blocks):
            if self.number[b] == NO_VALUE:
                continue
            n = self.out.block(self.depth(which, b), self.ssa.blocks[b].flags)
            self.out.blocks[n].params = self.ssa.blocks[b].params
            for i in range(self.ssa.blocks[b].first, self.ssa.blocks[b].last):
                self.copy(head, i)
        return 0

    def depth(self, which, block):
        """Loops around a block that are loops in its part, too."""
        depth: uint32_t = self.ssa.blocks[block].depth
        around: uint32_t
        for around in range(which + 1, self.n_parts):
            if block < self.stop[self.parts[around]] and depth > 0:
                depth -= 1
        return depth

    def copy(self, head, i):
        """One node."""
        node: Node = self.ssa.nodes[i]
        n: uint32_t = operand_count(node.op, node.flags)
        k: uint32_t
        first: uint32_t
        if n == OPERANDS_LIST:
            node.b = self.put_args(node.b, node.c, 2 if node.flags & NF_WIDE else 0)
        else:
            node.a = self.value(node.a) if n > 0 else node.a
            node.b = self.value(node.b) if n > 1 else node.b
            node.c = self.value(node.c) if n > 2 else node.c
        if node.op == IR_BR:
            node.c = self.put_edge(head, node.c)
        elif node.op == IR_BR_IF or node.op == IR_INVOKE:
            node.b = self.put_edge(head, node.b)
            node.c = self.put_edge(head, node.c)
        elif node.op == IR_BR_TABLE:
            first = self.out.n_edges
            for k in range(node.c):
                self.put_edge(head, node.b + k)
            node.b = first
        elif edge_count(cython.address(node)):
            fail_wrong(b"terminator {:#x} at the head of a loop", node.op)
        self.moved[i] = self.out.node(node.op, node.type, node.flags, node.a, node.b, node.c, self.ssa.positions[i])
        return 0

    def put_args(self, first, n, raw):
        """A list of operands, with so many raw words behind them."""
        k: uint32_t
        start: uint32_t = self.out.n_args
        for k in range(n):
            self.out.arg(self.value(self.ssa.args[first + k]))
        for k in range(n, n + raw):
            self.out.arg(self.ssa.args[first + k])
        return start

    def put_edge(self, head, edge):
        """An edge, within the part or to the header of another."""
        at: cython.pointer(Edge) = cython.address(self.ssa.edges[edge])
        target: uint32_t = self.start[at.target] if at.target < head else self.number[at.target]
        start: uint32_t = self.put_args(at.args, at.nargs, 0)
        self.preds[target] += 1
        return self.out.edge(target, start, at.nargs)
