# strata: hot
"""Unrolling: a small innermost loop stands several times behind itself, and polls once for all of them.

The copies are whole: each keeps its exits, so that no count has to be known. A branch back to the header leads to the
next copy, from the last one to the header. What is saved is the poll and the jump of all copies but one.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.ir.ops import (
    OF_CALLS,
    OF_CONTROL,
    OP_FLAGS,
    OP_MEMORY_ATOMIC_NOTIFY,
    OP_MEMORY_ATOMIC_WAIT64,
)
from cython.cimports.stratavm.ir.ssa import (
    BF_COLD,
    IR_BLOCK_PARAM,
    IR_CONST,
    IR_CONST_V128,
    IR_FUEL,
    IR_INVOKE,
    IR_POLL,
    Node,
)

FOUR = cython.declare(uint32_t, 14)
"""Nodes of a loop that is copied to four."""
TWO = cython.declare(uint32_t, 40)
"""Nodes of a loop that is copied to two."""


@cython.cclass
class Unroll(Copies):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "unroll"})
        self.chained = True

    @property
    def unrolled(self) -> int:
        """Loops since creation: for the ablation rows."""
        return self.copied

    def copies_of(self, loop):
        """How often a loop should stand: by its size; a call costs more than what is saved, and so does code for what
        hardly ever happens."""
        i: uint32_t
        size: uint32_t = 0
        node: cython.pointer(Node)
        if self.ssa.blocks[loop.first].flags & BF_COLD:
            return 1
        for i in range(loop.low, loop.high):
            node = cython.address(self.ssa.nodes[i])
            if node.op == IR_INVOKE or (node.op < 0x8000 and OP_FLAGS[node.op] & (OF_CALLS | OF_CONTROL)):
                return 1
            if OP_MEMORY_ATOMIC_NOTIFY <= node.op <= OP_MEMORY_ATOMIC_WAIT64:  # calls as well, of the runtime
                return 1
            if (
                node.op != IR_BLOCK_PARAM
                and node.op != IR_CONST
                and node.op != IR_CONST_V128
                and node.op != IR_POLL
                and node.op != IR_FUEL
            ):
                size += 1
        return 4 if size <= FOUR else 2 if size <= TWO else 1
