# strata: hot
"""Promotion: a small innermost loop keeps a global that it sets in a value, which goes around as a parameter.

Nothing in the loop may call or write but to memory and this one global. Reads become the value. What others see stays
true by two rules. A poll is where others run: it stores the value before, in its rare path, and is what the global
holds after. A trap leaves the global behind: so where anything in the loop may trap, each ``global.set`` stays, but for
those that another follows first; where nothing may and one block follows the loop, that block sets the global. Another
global could be the same, if both are imported, so that a loop that uses two stays as it is. Two walks, linear.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import (
    OF_CALLS,
    OF_LOAD,
    OF_STORE,
    OF_TRAP,
    OF_WRITES,
    OP_FLAGS,
    OP_GLOBAL_GET,
    OP_GLOBAL_SET,
)
from cython.cimports.stratavm.ir.passes.stream import UNCHANGED
from cython.cimports.stratavm.ir.ssa import (
    BF_LOOP_HEADER,
    IR_BLOCK_PARAM,
    IR_FUEL,
    IR_POLL,
    IR_RETURN,
    IR_THROW,
    IR_THROW_REF,
    IR_TRAP,
    NO_VALUE,
    T_F64,
    T_NONE,
    Edge,
    Node,
    edge_count,
    edge_of,
)

MAX_BLOCKS = cython.declare(uint32_t, 16)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def shows(node: cython.pointer(Node)) -> cython.bint:
    """Whether others may see globals as they are at a node: it may trap, or leaves the function."""
    if node.op >= 0x8000:
        return (
            node.op == IR_FUEL
            or node.op == IR_POLL
            or node.op == IR_TRAP
            or node.op == IR_RETURN
            or node.op == IR_THROW
            or node.op == IR_THROW_REF
        )
    return (OP_FLAGS[node.op] & (OF_TRAP | OF_LOAD | OF_STORE)) != 0


@cython.cclass
class Promote(Loops):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "promote"})

    def __dealloc__(self):
        free(self.kept)
        free(self.loop)
        free(self.behind)
        free(self.arriving)
        free(self.source)
        free(self.final)
        free(self.meets)
        free(self.dead)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1, check=False)
    def apply(self) -> cython.int:
        """The pass."""
        block: uint32_t
        if self.loopless() or not self.sets():
            return UNCHANGED
        self.begin()
        self.reserve()
        self.find_extents()
        self.find()
        for block in range(self.ssa.n_blocks):
            breathe(block)
            self.put_block(block)
        if self.out.n_blocks:
            self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        return 0

    def sets(self):
        """Whether a loop sets a global: in few functions one does."""
        block: uint32_t
        i: uint32_t
        for block in range(self.ssa.n_blocks):
            if self.ssa.blocks[block].depth:
                for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
                    if self.ssa.nodes[i].op == OP_GLOBAL_SET:
                        return True
        return False

    def reserve(self):
        """Room for the function; nothing is kept yet."""
        blocks: uint32_t = self.ssa.n_blocks + 1
        vec_room(self.kept, self.cap_kept, blocks)
        vec_room(self.loop, self.cap_loop, blocks)
        vec_room(self.behind, self.cap_behind, blocks)
        vec_room(self.arriving, self.cap_arriving, blocks)
        vec_room(self.source, self.cap_source, blocks)
        vec_room(self.final, self.cap_final, blocks)
        vec_room(self.meets, self.cap_meets, blocks)
        vec_room(self.dead, self.cap_dead, self.ssa.n_nodes + 1)
        memset(self.loop, 0xFF, blocks * cython.sizeof(uint32_t))
        memset(self.behind, 0xFF, blocks * cython.sizeof(uint32_t))
        memset(self.meets, 0, blocks)
        memset(self.dead, 0, self.ssa.n_nodes + 1)
        self.n_kept = 0
        return 0

    # ---- which loops ---------------------------------------------------------------------------

    def find(self):
        """The loops that keep a global, and how."""
        block: uint32_t
        i: uint32_t
        quiet: cython.bint = False
        kept: cython.pointer(Kept)
        for block in range(self.ssa.n_blocks):
            if not self.ssa.blocks[block].flags & BF_LOOP_HEADER or self.spent >= self.budget:
                continue
            kept = cython.address(self.kept[self.n_kept])
            kept.first = block
            kept.end = self.loop_end(block, MAX_BLOCKS)
            if kept.end == block or not self.has_entry(block) or not self.suits(kept, cython.address(quiet)):
                continue
            kept.exit = self.exit_of(block, kept.end) if quiet else 0
            if kept.exit == 0:
                kept.exit = NO_VALUE
            elif kept.exit != NO_VALUE:
                self.behind[kept.exit] = self.n_kept
            for i in range(block, kept.end):
                self.loop[i] = self.n_kept
            self.spread(kept)
            self.n_kept += 1
            self.index = self.ssa.blocks[block].first + self.ssa.blocks[block].params
            self.promoted += 1
            self.rewrote(0)
        return 0

    def suits(self, kept, quiet):
        """Whether a loop uses one global, sets it, and lets nobody else do so; and whether all of it is quiet: nothing
        shows the global. On the way, the sets that another one follows first."""
        block: uint32_t
        i: uint32_t
        before: uint32_t
        sets: cython.bint = False
        node: cython.pointer(Node)
        kept.index = NO_VALUE
        quiet[0] = True
        for block in range(kept.first, kept.end):
            before = NO_VALUE
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
                node = cython.address(self.ssa.nodes[i])
                if shows(node) and node.op != IR_POLL:
                    quiet[0] = False
                    before = NO_VALUE
                if node.op >= 0x8000:
                    continue
                if node.op == OP_GLOBAL_GET or node.op == OP_GLOBAL_SET:
                    if kept.index != NO_VALUE and kept.index != node.c:
                        return False
                    kept.index = node.c
                    kept.type = node.type if node.op == OP_GLOBAL_GET else self.ssa.nodes[node.a].type
                    if node.op == OP_GLOBAL_SET:
                        sets = True
                        if before != NO_VALUE:
                            self.dead[before] = 1
                        before = i
                elif OP_FLAGS[node.op] & OF_CALLS or OP_FLAGS[node.op] & (OF_WRITES | OF_STORE) == OF_WRITES:
                    return False
        return sets and kept.type <= T_F64

    def spread(self, kept):
        """Where different values of the global meet in the loop: edges lead forward, but for those to the header."""
        block: uint32_t
        i: uint32_t
        k: uint32_t
        target: uint32_t
        value: uint32_t
        node: cython.pointer(Node)
        for block in range(kept.first, kept.end):
            self.arriving[block] = NO_VALUE
            self.source[block] = kept.first
        self.arriving[kept.first] = self.ssa.blocks[kept.first].first + self.ssa.blocks[kept.first].params
        for block in range(kept.first, kept.end):
            value = self.arriving[block]
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
                if self.ssa.nodes[i].op == OP_GLOBAL_SET:
                    value = self.ssa.nodes[i].a
            node = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
            for k in range(edge_count(node)):
                target = self.ssa.edges[edge_of(node, k)].target
                if target <= kept.first or target >= kept.end:
                    continue
                self.source[target] = block
                if self.arriving[target] == NO_VALUE:
                    self.arriving[target] = value
                elif self.arriving[target] != value:
                    self.meets[target] = 1
                    self.arriving[target] = self.ssa.n_nodes + target
        return 0

    # ---- the output ----------------------------------------------------------------------------

    def gets_parameter(self, block):
        """Whether the value arrives as a parameter of a block: of a header, where values meet, and behind a loop."""
        if self.behind[block] != NO_VALUE or self.meets[block]:
            return True
        return self.loop[block] != NO_VALUE and self.kept[self.loop[block]].first == block

    def put_block(self, block):
        """A block; what the global is at its end."""
        i: uint32_t
        first: uint32_t = self.ssa.blocks[block].first
        self.out.block(self.ssa.blocks[block].depth, self.ssa.blocks[block].flags)
        self.out.blocks[block].params = self.ssa.blocks[block].params
        self.out.blocks[block].preds = self.ssa.blocks[block].preds
        for i in range(first, first + self.ssa.blocks[block].params):
            self.put_node(i, block)
        if self.gets_parameter(block):
            self.put_parameter(block)
        elif self.loop[block] != NO_VALUE:
            self.value = self.final[self.source[block]]
        for i in range(first + self.ssa.blocks[block].params, self.ssa.blocks[block].last):
            self.put_node(i, block)
        return 0

    def put_parameter(self, block):
        """The parameter; behind a loop the global is set to it."""
        number: uint32_t = self.behind[block] if self.behind[block] != NO_VALUE else self.loop[block]
        kept: cython.pointer(Kept) = cython.address(self.kept[number])
        self.position = self.ssa.positions[self.ssa.blocks[kept.first].last - 1]
        self.value = self.out.node(
            IR_BLOCK_PARAM, kept.type, 0, NO_VALUE, NO_VALUE, self.ssa.blocks[block].params, self.position
        )
        self.out.blocks[block].params = self.ssa.blocks[block].params + 1
        if self.behind[block] != NO_VALUE:
            self.out.node(OP_GLOBAL_SET, T_NONE, 0, self.value, NO_VALUE, kept.index, self.position)
        return 0

    def put_node(self, i, block):
        """A node, unless the value stands for it."""
        node: Node = self.ssa.nodes[i]
        k: uint32_t
        self.position = self.ssa.positions[i]
        self.map_operands(cython.address(node))
        if self.loop[block] != NO_VALUE and (
            node.op == IR_POLL or node.op == OP_GLOBAL_GET or node.op == OP_GLOBAL_SET
        ):
            return self.keep(cython.address(node), cython.address(self.kept[self.loop[block]]), i)
        if edge_count(cython.address(node)) != 0:
            self.final[block] = self.value
            for k in range(edge_count(cython.address(node))):
                self.put_edge(edge_of(cython.address(node), k))
        self.moved[i] = self.emit(cython.address(node))
        return 0

    def keep(self, node, kept, i):
        """A poll, a read or a write of a global that is kept."""
        if node.op == OP_GLOBAL_GET:
            self.moved[i] = self.value
            return 0
        if node.op == IR_POLL:
            node.type = kept.type
            node.a = self.value
            node.c = kept.index
            self.value = self.emit(node)
            self.moved[i] = self.value
            return 0
        self.value = node.a
        if kept.exit == NO_VALUE and not self.dead[i]:
            self.emit(node)
        return 0

    def put_edge(self, edge):
        """An edge, with the value of the global where it arrives; into the loop that keeps it, it is read first."""
        at: cython.pointer(Edge) = cython.address(self.ssa.edges[edge])
        target: uint32_t = at.target
        start: uint32_t = at.args
        value: uint32_t = self.value
        kept: cython.pointer(Kept)
        i: uint32_t
        if not self.gets_parameter(target):
            for i in range(at.args, at.args + at.nargs):
                self.out.args[i] = self.moved[self.ssa.args[i]]
            return 0
        if self.loop[target] != NO_VALUE and self.entry[target] == self.out.n_blocks - 1:
            kept = cython.address(self.kept[self.loop[target]])
            value = self.out.node(OP_GLOBAL_GET, kept.type, 0, NO_VALUE, NO_VALUE, kept.index, self.position)
        start = self.out.n_args
        for i in range(at.args, at.args + at.nargs):
            self.out.arg(self.moved[self.ssa.args[i]])
        self.out.arg(value)
        self.out.edges[edge].args = start
        self.out.edges[edge].nargs = at.nargs + 1
        return 0
