# strata: hot
"""What passes over loops have in common: edges of terminators, the block before a loop, predecessors."""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ssa import BF_LOOP_HEADER, IR_BR, NO_VALUE, Node, edge_count, edge_of


@cython.cclass
class Loops(Stream):
    """The base of a pass over loops."""

    def __dealloc__(self):
        free(self.entry)

    def loopless(self):
        """Whether the function has no loop at all, like most: then the pass is done."""
        block: uint32_t
        flags: uint32_t = 0
        self.spent = 0
        self.last_node = NO_VALUE
        for block in range(self.ssa.n_blocks):
            flags |= self.ssa.blocks[block].flags
        return not flags & BF_LOOP_HEADER

    def find_entries(self):
        """The block before each loop: the one forward predecessor of its header, if that only leads there. The first
        edge may come from it; a second one or a choice undoes it: then a header is its own entry."""
        block: uint32_t
        k: uint32_t
        target: uint32_t
        only: cython.bint
        node: cython.pointer(Node)
        vec_room(self.entry, self.cap_entry, self.ssa.n_blocks + 1)
        memset(self.entry, 0xFF, (self.ssa.n_blocks + 1) * cython.sizeof(uint32_t))
        for block in range(self.ssa.n_blocks):
            node = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
            for k in range(edge_count(node)):
                target = self.ssa.edges[edge_of(node, k)].target
                if target > block and self.ssa.blocks[target].flags & BF_LOOP_HEADER:
                    only = node.op == IR_BR and self.entry[target] == NO_VALUE
                    self.entry[target] = block if only else target
        return 0

    def has_entry(self, header):
        """Whether there is a block before a loop."""
        return self.entry[header] < header

    def loop_end(self, header, most):
        """The block behind a loop of at most ``most`` blocks in which no other lies; its own header if it is none.
        WebAssembly is structured, so that a loop is the run of blocks from its header on that lie at least as deep."""
        end: uint32_t = header + 1
        depth: uint32_t = self.ssa.blocks[header].depth
        while (
            end < self.ssa.n_blocks
            and end - header <= most
            and self.ssa.blocks[end].depth >= depth
            and not self.ssa.blocks[end].flags & BF_LOOP_HEADER
        ):
            end += 1
        if end - header > most or (end < self.ssa.n_blocks and self.ssa.blocks[end].depth > depth):
            return header
        return end

    def exit_of(self, first, end):
        """The one block that the blocks [first, end) lead to, if nothing else leads there; ``NO_VALUE`` where they lead
        nowhere, 0, where no edge leads, otherwise."""
        block: uint32_t
        k: uint32_t
        target: uint32_t
        found: uint32_t = NO_VALUE
        arrivals: uint32_t = 0
        node: cython.pointer(Node)
        for block in range(first, end):
            node = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
            for k in range(edge_count(node)):
                target = self.ssa.edges[edge_of(node, k)].target
                if first <= target < end:
                    continue
                if found != NO_VALUE and found != target:
                    return 0
                found = target
                arrivals += 1
        return found if found == NO_VALUE or arrivals == self.ssa.blocks[found].preds else 0

    def count_preds(self):
        """Predecessors of each block of the output."""
        i: uint32_t
        target: uint32_t
        for i in range(self.out.n_blocks):
            self.out.blocks[i].preds = 0
        for i in range(self.out.n_edges):
            target = self.out.edges[i].target
            self.out.blocks[target].preds = self.out.blocks[target].preds + 1
        return 0
