# strata: hot
"""Loop-invariant code motion: what a loop computes again and again from values of outside is computed before it.

Only pure nodes that cannot trap move: a loop polls in its header, and no load moves across a poll (the idea page on
effects). They move to the *entry* of the loop, its one forward predecessor, where that ends in a plain branch; so they
run at most once more than before. A node moves out of several loops at once. Each loop has room for a few such values,
since every one occupies a register throughout. Operations of one cycle leave small loops inside of others only, and one
loop each: in a program of 2,500 functions 1,416 of them moved, and the spills cost 0.6 % of its code. Comparisons stay,
since selection fuses them with the branch that follows. Two walks, linear.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import (
    OF_CALLS,
    OF_COMPARE,
    OF_CONTROL,
    OF_LOAD,
    OF_QUICK,
    OF_READS,
    OF_STORE,
    OF_TRAP,
    OF_WRITES,
    OP_FLAGS,
)
from cython.cimports.stratavm.ir.passes.stream import UNCHANGED
from cython.cimports.stratavm.ir.ssa import (
    IR_CONST,
    IR_CONST_V128,
    IR_MULHI_S,
    IR_MULHI_U,
    NO_VALUE,
    OPERANDS_LIST,
    Node,
    operand_count,
    operands_of,
)

ROOM = cython.declare(uint32_t, 6)
"""Values that a loop may have computed before it."""
KEPT = cython.declare(uint32_t, 3)
"""Of that room, for what takes longer than a cycle."""
TIGHT = cython.declare(uint32_t, 48)
"""Nodes of a loop that operations of one cycle leave."""
DEPTH = cython.declare(uint32_t, 16)
"""Loops that a node leaves at once, at most: a thousand constants inside a thousand loops are work of a million."""
STAYS = cython.declare(
    uint32_t,
    OF_TRAP | OF_LOAD | OF_STORE | OF_READS | OF_WRITES | OF_CALLS | OF_CONTROL | OF_COMPARE | OF_QUICK,
)
"""What has an effect or may trap, and what is not worth a register."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def constant(op: uint32_t) -> cython.bint:
    """Whether a node is made again wherever it is used, so that it costs no register."""
    return op == IR_CONST or op == IR_CONST_V128


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def movable(node: cython.pointer(Node)) -> cython.bint:
    """Whether a node may run earlier and more often: no effect, no trap; and gains from it."""
    if node.op >= 0x8000:
        return constant(node.op) or node.op == IR_MULHI_U or node.op == IR_MULHI_S
    return not OP_FLAGS[node.op] & STAYS and operand_count(node.op, node.flags) != OPERANDS_LIST


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def quick(node: cython.pointer(Node)) -> cython.bint:
    """Whether a node is an operation of one cycle, which is worth a register in small loops only."""
    return node.op < 0x8000 and OP_FLAGS[node.op] & STAYS == OF_QUICK


@cython.cclass
class Licm(Loops):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "licm"})

    def __dealloc__(self):
        free(self.place)
        free(self.room)
        free(self.first)
        free(self.tail)
        free(self.next)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1, check=False)
    def apply(self) -> cython.int:
        """The pass."""
        block: uint32_t
        if self.loopless():
            return UNCHANGED
        self.begin()
        self.reserve()
        self.find_extents()
        for block in range(self.ssa.n_blocks):
            breathe(block)
            self.choose(block)
        if not self.moving:
            return UNCHANGED
        self.rebuild()
        self.finish_edges()
        return 0

    def reserve(self):
        """Room for the function; nothing moves yet."""
        self.moving = False
        nodes: uint32_t = self.ssa.n_nodes + 1
        blocks: uint32_t = self.ssa.n_blocks + 1
        i: uint32_t
        vec_room(self.place, self.cap_place, nodes)
        vec_room(self.next, self.cap_next, nodes)
        vec_room(self.room, self.cap_room, blocks)
        vec_room(self.first, self.cap_first, blocks)
        vec_room(self.tail, self.cap_tail, blocks)
        for i in range(self.ssa.n_blocks):
            self.room[i] = ROOM
            self.first[i] = NO_VALUE
        return 0

    def choose(self, block):
        """Decide where each node of a block is computed."""
        i: uint32_t
        at: uint32_t
        node: cython.pointer(Node)
        for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
            self.place[i] = block
            node = cython.address(self.ssa.nodes[i])
            if self.around[block] == NO_VALUE or self.spent >= self.budget:
                continue
            if movable(node):
                at = self.target(node, block, DEPTH)
            elif quick(node) and self.is_tight(self.around[block]):
                at = self.target(node, block, 1)
            else:
                continue
            if at != block:
                self.move(i, at)
        return 0

    def target(self, node, block, left):
        """The outermost block that a node may move to: its operands are there, and each loop has room."""
        farthest: uint32_t = self.farthest(node)
        header: uint32_t = self.around[block]
        free_: cython.bint = constant(node.op)
        while header != NO_VALUE and left:
            left -= 1
            if not self.has_entry(header) or (header <= farthest and farthest != NO_VALUE):
                break
            if not free_:
                if self.room[header] == 0:
                    break
                self.room[header] -= 1
            block = self.entry[header]
            header = self.around[block]
        return block

    def is_tight(self, header):
        """Whether a loop inside another is small, and has room for more than what takes long."""
        first: uint32_t = self.ssa.blocks[header].first
        if self.outer[header] == NO_VALUE or self.room[header] <= KEPT or self.extent[header] - header > TIGHT:
            return False
        return self.ssa.blocks[self.extent[header] - 1].last - first <= TIGHT

    def farthest(self, node):
        """The last block that computes an operand; ``NO_VALUE`` without operands."""
        values: cython.pointer(uint32_t) = cython.NULL
        block: uint32_t = NO_VALUE
        k: uint32_t
        for k in range(operands_of(node, self.ssa.args, cython.address(values))):
            if values[k] != NO_VALUE and (block == NO_VALUE or self.place[values[k]] > block):
                block = self.place[values[k]]
        return block

    def move(self, i, block):
        """Append a node to those that move to the end of a block."""
        self.moving = True
        self.place[i] = block
        self.next[i] = NO_VALUE
        if self.first[block] == NO_VALUE:
            self.first[block] = i
        else:
            self.next[self.tail[block]] = i
        self.tail[block] = i
        if not constant(self.ssa.nodes[i].op):
            self.index = i
            self.hoisted += 1
            self.rewrote(0)
        return 0

    def rebuild(self):
        """Write the output: what stays in its order, what arrived before the terminator."""
        block: uint32_t
        i: uint32_t
        end: uint32_t
        arrived: uint32_t
        for block in range(self.ssa.n_blocks):
            self.out.block(self.ssa.blocks[block].depth, self.ssa.blocks[block].flags)
            self.out.blocks[block].params = self.ssa.blocks[block].params
            self.out.blocks[block].preds = self.ssa.blocks[block].preds
            end = self.ssa.blocks[block].last - 1
            for i in range(self.ssa.blocks[block].first, end):
                if self.place[i] == block:
                    self.copy(i)
            arrived = self.first[block]
            while arrived != NO_VALUE:
                self.copy(arrived)
                arrived = self.next[arrived]
            self.copy(end)
        if self.out.n_blocks:
            self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        return 0

    def copy(self, i):
        """Put a node into the output."""
        node: Node = self.ssa.nodes[i]
        self.position = self.ssa.positions[i]
        self.map_operands(cython.address(node))
        self.moved[i] = self.emit(cython.address(node))
        return 0
