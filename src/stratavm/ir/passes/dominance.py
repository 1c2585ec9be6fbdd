# strata: hot
"""Dominators of a function's blocks, for passes that use what an earlier block computed or proved.

Blocks lie in an order in which only back edges lead backwards, and the graph is reducible, so that back edges do not
matter and one walk is enough (Cooper, Harvey, Kennedy, "A simple, fast dominance algorithm"). The common dominator of
two blocks is found in logarithmic time through jump pointers (Myers, "An applicative random-access stack", 1983):
step by step it is quadratic for a chain of blocks with an exit each.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ssa import NO_VALUE, Node, edge_count, edge_of


@cython.cclass
class Dominance:
    """The tree of one function after another; keeps its memory."""

    def __dealloc__(self):
        free(self.dominator)
        free(self.depth)
        free(self.jump)
        free(self.number)
        free(self.size)
        free(self.only)
        free(self.free_number)

    def find(self, ssa):
        """The dominators of a function's blocks, and which have a single predecessor."""
        block: uint32_t
        self.reserve(ssa.n_blocks + 1)
        for block in range(ssa.n_blocks):
            self.dominator[block] = NO_VALUE
            self.only[block] = NO_VALUE
            self.size[block] = 1
        self.dominator[0] = self.depth[0] = self.jump[0] = 0
        for block in range(ssa.n_blocks):
            if block != 0 and not self.settle(block):
                continue
            self.leave(ssa, block)
        return self.number_tree(ssa.n_blocks)

    def reserve(self, blocks):
        """Room for the function."""
        vec_room(self.dominator, self.cap_dominator, blocks)
        vec_room(self.depth, self.cap_depth, blocks)
        vec_room(self.jump, self.cap_jump, blocks)
        vec_room(self.number, self.cap_number, blocks)
        vec_room(self.size, self.cap_size, blocks)
        vec_room(self.only, self.cap_only, blocks)
        vec_room(self.free_number, self.cap_free_number, blocks)
        return 0

    def settle(self, block):
        """All predecessors of a block are known, so its dominator is. False where it cannot be reached."""
        above: uint32_t = self.dominator[block]
        far: uint32_t
        reached: cython.bint = above != NO_VALUE
        if not reached:
            above = 0
            self.dominator[block] = 0  # nothing is shared with it
        far = self.jump[above]
        self.depth[block] = self.depth[above] + 1
        if self.depth[above] - self.depth[far] == self.depth[far] - self.depth[self.jump[far]]:
            self.jump[block] = self.jump[far]
        else:
            self.jump[block] = above
        return reached

    def leave(self, ssa, block):
        """The edges out of a reachable block."""
        k: uint32_t
        node: cython.pointer(Node) = cython.address(ssa.nodes[ssa.blocks[block].last - 1])
        for k in range(edge_count(node)):
            self.visit(ssa, block, edge_of(node, k))
        return 0

    def visit(self, ssa, block, edge):
        """One of them."""
        target: uint32_t = ssa.edges[edge].target
        if target <= block:
            return 0
        if self.dominator[target] == NO_VALUE:
            self.dominator[target] = block
            self.only[target] = block
        else:
            self.dominator[target] = self.meet(self.dominator[target], block)
            if self.only[target] != block:
                self.only[target] = NO_VALUE
        return 0

    def meet(self, a, b):
        """The closest common dominator."""
        far: uint32_t
        if self.depth[a] < self.depth[b]:
            far = a
            a = b
            b = far
        while self.depth[a] > self.depth[b]:
            a = self.jump[a] if self.depth[self.jump[a]] >= self.depth[b] else self.dominator[a]
        while a != b:
            if self.jump[a] != self.jump[b]:
                a = self.jump[a]
                b = self.jump[b]
            else:
                a = self.dominator[a]
                b = self.dominator[b]
        return a

    def number_tree(self, n_blocks):
        """Preorder numbers, so that whether a block dominates another is two comparisons."""
        block: uint32_t = n_blocks
        above: uint32_t
        while block > 1:
            block -= 1
            self.size[self.dominator[block]] += self.size[block]
        self.number[0] = 0
        self.free_number[0] = 1
        for block in range(1, n_blocks):
            above = self.dominator[block]
            self.number[block] = self.free_number[above]
            self.free_number[above] += self.size[block]
            self.free_number[block] = self.number[block] + 1
        return 0
