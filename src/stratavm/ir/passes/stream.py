# strata: hot
"""What passes that stream one SSA form into another have in common: copied tables, forwarding, a budget of rewrites."""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ssa import (
    NO_VALUE,
    OPERANDS_LIST,
    Edge,
    Ssa,
    map_values,
    operand_count,
)
from cython.cimports.stratavm.ir.stage import Stage

NOTES = cython.declare(uint32_t, 16)
"""Rewrites and rules of one node that are noted at most."""


@cython.cclass
class Stream:
    """The base of a pass, which says in ``apply`` what it does; ``kinds`` names its rewrites by number."""

    def __init__(self, kinds: dict) -> None:
        super().__init__()
        self.kinds = kinds

    def __dealloc__(self):
        free(self.moved)
        free(self.rewritten)
        free(self.notes)

    def rewrite(self, ssa: Ssa, out: Ssa) -> Ssa:
        """As of any stage; with room for notes."""
        self.n_notes = 0
        if self.explains:
            vec_room(self.notes, self.cap_notes, NOTES * (ssa.n_nodes + 1))
        return Stage.rewrite(self, ssa, out)

    @property
    def last(self) -> tuple[str, int]:
        """Kind and input node of the last rewrite of the last run: with a budget, the one that used it up."""
        return ("", -1) if self.last_node == NO_VALUE else (self.kinds[self.last_kind], self.last_node)

    @property
    def explained(self) -> list:
        """Name and input node of everything that was done in the last run, in order."""
        i: uint32_t
        return [(self.kinds[self.notes[i].number], self.notes[i].node) for i in range(self.n_notes)]

    def begin(self):
        """An output with the input's tables, and room for the forwarding."""
        vec_room(self.moved, self.cap_moved, self.ssa.n_nodes + 1)
        vec_room(self.rewritten, self.cap_rewritten, self.ssa.n_args + 1)
        memset(self.rewritten, 0, self.ssa.n_args + 1)
        self.spent = 0
        self.last_node = NO_VALUE
        return self.copy_tables()

    def copy_tables(self):
        """What stays as it is, but for arguments, which are rewritten in place later."""
        self.out.clear()
        return self.out.copy_tables(self.ssa)

    def map_operands(self, node):
        """Operands become output values; a list is rewritten in place."""
        n: uint32_t = operand_count(node.op, node.flags)
        i: uint32_t
        if n == OPERANDS_LIST:
            for i in range(node.b, node.b + node.c):
                self.out.args[i] = self.moved[self.ssa.args[i]]
            return 0
        map_values(cython.address(node.a), n, self.moved)
        return 0

    def emit(self, node):
        """Append a node as it is."""
        return self.out.node(node.op, node.type, node.flags, node.a, node.b, node.c, self.position)

    def rewrote(self, kind):
        """Count a rewrite against the budget; remember which it was."""
        self.spent += 1
        self.last_kind = kind
        self.last_node = self.index
        return self.note(kind) if self.explains else 0

    def note(self, number):
        """Keep what was done to the node at hand, for ``explained``."""
        if self.n_notes < self.cap_notes:
            self.notes[self.n_notes].number = number
            self.notes[self.n_notes].node = self.index
            self.n_notes += 1
        return 0

    def finish_edges(self):
        """Arguments of the input's edges, once every value is known. A list that edges of one table share is
        rewritten once."""
        i: uint32_t
        k: uint32_t
        edge: cython.pointer(Edge)
        for i in range(self.ssa.n_edges):
            edge = cython.address(self.out.edges[i])
            if edge.nargs == 0 or self.rewritten[edge.args]:
                continue
            self.rewritten[edge.args] = 1
            for k in range(edge.args, edge.args + edge.nargs):
                self.out.args[k] = self.moved[self.ssa.args[k]]
        return 0
