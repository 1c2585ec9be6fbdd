# strata: hot
"""What passes over loops have in common: the extent of a loop, the block before it, where it leads, predecessors.

A loop is the run of blocks from its header to its last way back, and to the end of each loop that begins before that:
WebAssembly is structured, so that every block on a way back lies there. What else its construct holds lies behind it,
at the same ``depth``, and runs once: here alone stands where a loop ends.
"""

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
        free(self.extent)
        free(self.around)
        free(self.outer)

    def loopless(self):
        """Whether the function has no loop at all, like most: then the pass is done."""
        block: uint32_t
        flags: uint32_t = 0
        self.spent = 0
        self.last_node = NO_VALUE
        for block in range(self.ssa.n_blocks):
            flags |= self.ssa.blocks[block].flags
        return not flags & BF_LOOP_HEADER

    def find_extents(self):
        """Where each loop ends, and the block before it: the one forward predecessor of its header, if that only leads
        there. The first edge may come from it; a second one or a choice undoes it: then a header is its own entry."""
        block: uint32_t
        k: uint32_t
        target: uint32_t
        only: cython.bint
        node: cython.pointer(Node)
        vec_room(self.entry, self.cap_entry, self.ssa.n_blocks + 1)
        vec_room(self.extent, self.cap_extent, self.ssa.n_blocks + 1)
        vec_room(self.around, self.cap_around, self.ssa.n_blocks + 1)
        vec_room(self.outer, self.cap_outer, self.ssa.n_blocks + 1)
        memset(self.entry, 0xFF, (self.ssa.n_blocks + 1) * cython.sizeof(uint32_t))
        for block in range(self.ssa.n_blocks):
            self.extent[block] = block
            node = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
            for k in range(edge_count(node)):
                target = self.ssa.edges[edge_of(node, k)].target
                if target <= block:
                    self.extent[target] = block + 1
                elif self.ssa.blocks[target].flags & BF_LOOP_HEADER:
                    only = node.op == IR_BR and self.entry[target] == NO_VALUE
                    self.entry[target] = block if only else target
        self.close_extents()
        return self.nest()

    def close_extents(self):
        """A loop also holds all of each loop that begins in it. Every loop is passed by once: those behind it that do
        not lie in another are a list, of which each takes some from the front."""
        block: uint32_t = self.ssa.n_blocks
        behind: uint32_t = NO_VALUE
        while block:
            block -= 1
            if self.extent[block] == block:
                continue
            while behind != NO_VALUE and behind < self.extent[block]:
                self.extent[block] = max(self.extent[block], self.extent[behind])
                behind = self.outer[behind]
            self.outer[block] = behind
            behind = block
        return 0

    def nest(self):
        """The innermost loop of each block, and the next one around each loop."""
        block: uint32_t
        current: uint32_t = NO_VALUE
        for block in range(self.ssa.n_blocks):
            while current != NO_VALUE and block >= self.extent[current]:
                current = self.outer[current]
            self.outer[block] = current
            if self.extent[block] != block:
                current = block
            self.around[block] = current
        return 0

    def has_entry(self, header):
        """Whether there is a block before a loop, in no other loop than it: one may lie in a loop that it leaves."""
        return self.entry[header] < header and self.around[self.entry[header]] == self.outer[header]

    def loop_end(self, header, most):
        """The block behind a loop of at most ``most`` blocks in which no other lies; its own header if it is none."""
        block: uint32_t
        end: uint32_t = self.extent[header]
        if end - header > most:
            return header
        for block in range(header + 1, end):
            if self.ssa.blocks[block].flags & BF_LOOP_HEADER:
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
