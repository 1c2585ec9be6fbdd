# strata: hot
"""Copies of small innermost loops, behind each other: what unrolling and versions for cases have in common.

The copies are whole: each keeps its exits. A value that is used behind the loop has several versions then, so that the
block behind gets a parameter for it; where that needs more than one such block, the loop stays as it is. Linear:
innermost loops do not overlap, and the function may double.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.passes.stream import UNCHANGED
from cython.cimports.stratavm.ir.ssa import (
    BF_COLD,
    BF_LOOP_HEADER,
    IR_BLOCK_PARAM,
    IR_POLL,
    IR_RETURN,
    NO_VALUE,
    OPERANDS_LIST,
    Edge,
    Node,
    edge_count,
    edge_of,
    operand_count,
    operands_of,
    set_edge,
)

MAX_BLOCKS = cython.declare(uint32_t, 6)
GROWTH = cython.declare(uint32_t, 200)
"""Nodes that any function may grow by; it may also double."""


@cython.cclass
class Copies(Loops):
    """The base of a pass that copies loops: scratch memory, reused from function to function."""

    def __dealloc__(self):
        free(self.loops)
        free(self.loop)
        free(self.number)
        free(self.added)
        free(self.following)
        free(self.escapes)
        free(self.home)
        free(self.inner)
        free(self.marks)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1, check=False)
    def apply(self) -> cython.int:
        """The pass."""
        block: uint32_t = 0
        copy: uint32_t
        if self.loopless():
            return UNCHANGED
        self.begin()
        self.reserve()
        self.find_extents()
        self.find_loops()
        self.find_escapes()
        self.settle()
        if self.spent == 0:
            return UNCHANGED
        while block < self.ssa.n_blocks:
            breathe(block)
            self.at = cython.NULL
            self.copy = 0
            if self.loop[block] != NO_VALUE and self.loops[self.loop[block]].copies > 1:
                self.put_choice(self.loop[block])
                self.at = cython.address(self.loops[self.loop[block]])
                for copy in range(self.at.copies):
                    self.copy = copy
                    for block in range(self.at.first, self.at.end):
                        self.put_block(block)
                block = self.at.end
            else:
                self.put_block(block)
                block += 1
        if self.out.n_blocks:
            self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        return self.count_preds()

    def reserve(self):
        """Room for the function; nothing is known yet."""
        nodes: uint32_t = self.ssa.n_nodes + 1
        blocks: uint32_t = self.ssa.n_blocks + 1
        word: cython.size_t = cython.sizeof(uint32_t)
        vec_room(self.loop, self.cap_loop, blocks)
        vec_room(self.number, self.cap_number, blocks)
        vec_room(self.added, self.cap_added, blocks)
        vec_room(self.following, self.cap_following, nodes)
        vec_room(self.escapes, self.cap_escapes, nodes)
        vec_room(self.home, self.cap_home, nodes)
        vec_room(self.inner, self.cap_inner, nodes)
        vec_room(self.marks, self.cap_marks, nodes)
        memset(self.marks, 0, nodes)
        memset(self.loop, 0xFF, blocks * word)
        memset(self.added, 0xFF, blocks * word)
        memset(self.home, 0xFF, nodes * word)
        memset(self.escapes, 0, nodes)
        self.n_loops = 0
        return 0

    # ---- which loops ---------------------------------------------------------------------------

    def find_loops(self):
        """Innermost loops that the pass wants more than once, as far as the function may grow."""
        block: uint32_t
        end: uint32_t
        i: uint32_t
        room: uint32_t = GROWTH + self.ssa.n_nodes
        loop: cython.pointer(Loop)
        for block in range(self.ssa.n_blocks):
            if not self.ssa.blocks[block].flags & BF_LOOP_HEADER:
                continue
            end = self.loop_end(block, MAX_BLOCKS)
            if end == block:
                continue
            vec_room(self.loops, self.cap_loops, self.n_loops + 1)
            loop = cython.address(self.loops[self.n_loops])
            loop.first = block
            loop.end = end
            loop.low = self.ssa.blocks[block].first
            loop.high = self.ssa.blocks[end - 1].last
            loop.escaped = NO_VALUE
            loop.n_escaped = 0
            loop.copies = self.copies_of(loop)
            if loop.copies == 1 or (loop.high - loop.low) * (loop.copies - 1) > room:
                continue
            room -= (loop.high - loop.low) * (loop.copies - 1)
            loop.exit = self.exit_of(block, end)
            for i in range(block, end):
                self.loop[i] = self.n_loops
            for i in range(loop.low, loop.high):
                self.home[i] = self.n_loops
            self.n_loops += 1
        return 0

    def copies_of(self, loop):
        """How often a loop should stand: the choice of the pass."""
        return 1

    def find_escapes(self):
        """Values of loops that are used outside."""
        block: uint32_t
        i: uint32_t
        k: uint32_t
        edge: cython.pointer(Edge)
        node: cython.pointer(Node)
        if self.n_loops == 0:
            return 0
        for block in range(self.ssa.n_blocks):
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
                self.used_by(cython.address(self.ssa.nodes[i]), self.loop[block])
            node = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
            for k in range(edge_count(node)):
                edge = cython.address(self.ssa.edges[edge_of(node, k)])
                for i in range(edge.args, edge.args + edge.nargs):
                    self.used(self.ssa.args[i], self.loop[block])
        return 0

    def used_by(self, node, loop):
        """The operands of a node in a loop, or outside of all."""
        values: cython.pointer(uint32_t) = cython.NULL
        k: uint32_t
        for k in range(operands_of(node, self.ssa.args, cython.address(values))):
            if values[k] != NO_VALUE:
                self.used(values[k], loop)
        return 0

    def used(self, value, loop):
        """A value is used in a loop, or outside of all."""
        at: cython.pointer(Loop)
        if self.home[value] == NO_VALUE or self.home[value] == loop or self.escapes[value]:
            return 0
        at = cython.address(self.loops[self.home[value]])
        self.escapes[value] = 1
        self.following[value] = at.escaped
        at.escaped = value
        at.n_escaped += 1
        return 0

    def settle(self):
        """Give up the loops whose values no single block behind can take; number the blocks of the output."""
        i: uint32_t
        block: uint32_t = 0
        number: uint32_t = 0
        loop: cython.pointer(Loop)
        for i in range(self.n_loops):
            loop = cython.address(self.loops[i])
            homeless: cython.bint = loop.n_escaped != 0 and (loop.exit == 0 or loop.exit == NO_VALUE)
            if loop.copies == 1 or self.spent >= self.budget or homeless:
                loop.copies = 1
                continue
            if loop.n_escaped:
                self.added[loop.exit] = i
            self.index = loop.low
            self.copied += 1
            self.rewrote(0)
        for block in range(self.ssa.n_blocks):
            if self.loop[block] != NO_VALUE and not self.chained:
                loop = cython.address(self.loops[self.loop[block]])
                number += loop.first == block and loop.copies > 1
            self.number[block] = number
            number += 1
            if self.loop[block] != NO_VALUE and self.loops[self.loop[block]].end == block + 1:
                loop = cython.address(self.loops[self.loop[block]])
                number += (loop.end - loop.first) * (loop.copies - 1)
        return 0

    # ---- the output ----------------------------------------------------------------------------

    def put_choice(self, number):
        """Copies that are not chained have a block before them, which chooses one."""
        return 0

    def put_block(self, block):
        """A block, or the present copy of it."""
        i: uint32_t
        params: uint32_t = self.ssa.blocks[block].first + self.ssa.blocks[block].params
        flags: uint32_t = self.ssa.blocks[block].flags
        number: uint32_t
        if self.copy:
            flags = flags & ~cython.cast(uint32_t, BF_LOOP_HEADER) if self.chained else flags | BF_COLD
        number = self.out.block(self.ssa.blocks[block].depth, flags)
        self.out.blocks[number].params = self.ssa.blocks[block].params
        for i in range(self.ssa.blocks[block].first, params):
            self.put_node(i)
        if self.added[block] != NO_VALUE:
            self.put_added(block)
        for i in range(params, self.ssa.blocks[block].last):
            if self.copy == 0 or not self.chained or self.ssa.nodes[i].op != IR_POLL:
                self.put_node(i)
            elif self.ssa.nodes[i].a != NO_VALUE:
                self.inner[i] = self.value_of(self.ssa.nodes[i].a)  # nobody else ran
        return 0

    def put_added(self, block):
        """Parameters for the values that escape from the loop before; from here on they are these."""
        loop: cython.pointer(Loop) = cython.address(self.loops[self.added[block]])
        number: uint32_t = self.out.n_blocks - 1
        value: uint32_t = loop.escaped
        while value != NO_VALUE:
            self.moved[value] = self.out.node(
                IR_BLOCK_PARAM,
                self.ssa.nodes[value].type,
                0,
                NO_VALUE,
                NO_VALUE,
                self.out.blocks[number].params,
                self.ssa.positions[value],
            )
            self.out.blocks[number].params = self.out.blocks[number].params + 1
            value = self.following[value]
        return 0

    def put_node(self, i):
        """A node with its operands in the present copy."""
        node: Node = self.ssa.nodes[i]
        value: uint32_t
        self.position = self.ssa.positions[i]
        self.operands(cython.address(node))
        if edge_count(cython.address(node)) != 0:
            self.terminator(cython.address(node))
        if self.copy == 0 and self.at != cython.NULL:
            node.flags |= self.marks[i]
        value = self.emit(cython.address(node))
        if self.copy == 0:
            self.moved[i] = value
        if self.at != cython.NULL:
            self.inner[i] = value
        return 0

    def value_of(self, value):
        """What a value is in the present copy."""
        if self.at != cython.NULL and self.at.low <= value < self.at.high:
            return self.inner[value]
        return self.moved[value]

    def operands(self, node):
        """Operands become output values; the copies have lists of their own."""
        n: uint32_t = operand_count(node.op, node.flags)
        fields: cython.pointer(uint32_t) = cython.address(node.a)
        i: uint32_t
        start: uint32_t
        if n == OPERANDS_LIST:
            if self.copy == 0:
                for i in range(node.b, node.b + node.c):
                    self.out.args[i] = self.value_of(self.ssa.args[i])
                return 0
            start = self.out.n_args
            for i in range(node.b, node.b + node.c):
                self.out.arg(self.value_of(self.ssa.args[i]))
            if node.op != IR_RETURN:  # two immediates follow the operands
                self.out.arg(self.ssa.args[node.b + node.c])
                self.out.arg(self.ssa.args[node.b + node.c + 1])
            node.b = start
            return 0
        for i in range(n):
            if fields[i] != NO_VALUE:
                fields[i] = self.value_of(fields[i])
        return 0

    def terminator(self, node):
        """The edges of a branch: in the first copy those of the input, in others new ones."""
        k: uint32_t
        before: Node = node[0]
        for k in range(edge_count(node)):
            set_edge(node, k, self.put_edge(edge_of(cython.address(before), k)))
        return 0

    def put_edge(self, edge):
        """An edge with its arguments: definitions come before uses, so that all are known."""
        at: cython.pointer(Edge) = cython.address(self.ssa.edges[edge])
        adds: cython.bint = self.added[at.target] != NO_VALUE
        i: uint32_t
        start: uint32_t = at.args
        count: uint32_t = at.nargs
        value: uint32_t
        if self.copy or adds:
            start = self.out.n_args
            for i in range(at.args, at.args + at.nargs):
                self.out.arg(self.value_of(self.ssa.args[i]))
            if adds:
                value = self.loops[self.added[at.target]].escaped
                while value != NO_VALUE:
                    self.out.arg(self.value_of(value))
                    count += 1
                    value = self.following[value]
        else:
            for i in range(at.args, at.args + at.nargs):
                self.out.args[i] = self.value_of(self.ssa.args[i])
        if self.copy:
            return self.out.edge(self.target_of(at.target), start, count)
        self.out.edges[edge].target = self.target_of(at.target)
        self.out.edges[edge].args = start
        self.out.edges[edge].nargs = count
        return edge

    def target_of(self, block):
        """Where an edge leads: in a loop to the same copy, back to the header of chained copies to the next."""
        blocks: uint32_t
        if self.at == cython.NULL or block < self.at.first or block >= self.at.end:
            return self.number[block]
        blocks = self.at.end - self.at.first
        if block != self.at.first or not self.chained:
            return self.number[block] + self.copy * blocks
        return self.number[block] + (self.copy + 1) * blocks if self.copy + 1 < self.at.copies else self.number[block]
