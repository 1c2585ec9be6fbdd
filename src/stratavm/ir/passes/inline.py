# strata: hot
"""Inlining: the body of a small function takes the place of a call.

A call costs more than its instructions: no register survives it, so that all that lives across goes to memory. What is
inlined is chosen by ``callees.py``; this module puts it in place. The callee's blocks come where the call stood, its
parameters are the arguments, its returns lead to a block that goes on behind the call. Blocks of the callee lie at
least as deep as the call, so that loops stay runs of blocks.

What a trap shows stays the same. A node that came from a callee has a *site* as its position (``ssa.pxd``): function,
offset, and the position of the call, which may be a site again. The sites are a tree, whose leaf names all frames.
"""

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe, look
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import (
    OF_LOAD,
    OF_STORE,
    OP_CALL,
    OP_FLAGS,
    OP_RETURN_CALL,
    OP_RETURN_CALL_INDIRECT,
)
from cython.cimports.stratavm.ir.ssa import (
    IR_BLOCK_PARAM,
    IR_BR,
    IR_BR_IF,
    IR_BR_TABLE,
    IR_CONST_V128,
    IR_PARAM,
    IR_POLL,
    IR_RESULT,
    IR_RETURN,
    IR_TRAP,
    NO_VALUE,
    OPERANDS_LIST,
    SITE_FLAG,
    T_NONE,
    T_V128,
    Edge,
    Node,
    Site,
    Ssa,
    edge_count,
    edge_of,
    map_values,
    operand_count,
    set_edge,
)

MAX_BLOCKS = cython.declare(uint32_t, 12)
SMALL = cython.declare(uint32_t, 40)
"""Nodes of a function that is inlined into loops."""
TINY = cython.declare(uint32_t, 12)
"""Nodes of a function that is inlined everywhere: about what the call costs."""
GROWTH = cython.declare(uint32_t, 120)
"""Nodes that any function may grow by; it may also double."""
MOST = cython.declare(uint32_t, 4096)
"""Functions that are inlined into one: each is at hand until the last is in place. Programs need a few dozen."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def size_of(ssa: Ssa) -> uint32_t:
    """Nodes that compute something; ``NO_VALUE`` for a function that is not inlined.

    Not inlined: what the selection may refuse (vectors, tail calls), since its caller would be refused too; what never
    returns, since it is cold; what calls itself.
    """
    i: uint32_t
    size: uint32_t = 0
    returns: uint32_t = 0
    node: cython.pointer(Node)
    if ssa.n_blocks > MAX_BLOCKS:
        return NO_VALUE
    for i in range(ssa.n_nodes):
        node = cython.address(ssa.nodes[i])
        if (
            node.type == T_V128
            or node.op == OP_RETURN_CALL
            or node.op == OP_RETURN_CALL_INDIRECT
            or node.op == IR_CONST_V128
            or node.op > IR_TRAP
            or (node.op == OP_CALL and ssa.args[node.b + node.c] == ssa.func)
        ):
            return NO_VALUE
        if node.op == IR_RETURN:
            returns += 1
        elif node.op == IR_POLL or (
            node.op < 0x8000 or node.op == IR_BR_IF or node.op == IR_BR_TABLE or node.op == IR_RESULT
        ):
            size += 1
    return size if returns != 0 and size <= SMALL else NO_VALUE


@cython.cclass
class Inline(Stream):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "inline"})
        self.kept = []

    def __dealloc__(self):
        free(self.callees)
        free(self.choice)
        free(self.start)
        free(self.inner)
        free(self.outcome)

    # ---- what is inlined -----------------------------------------------------------------------

    def prepare(self, ssa: Ssa, source: object, depth: int) -> bool:
        """Choose the calls of a function that are inlined; false if there is none, so that ``run`` need not be called.

        Args:
            source: gives small functions by index: ``template(func, depth, caller)``, and knows those that are
                ``refused``.
            depth: how many levels of calls may be inlined into each other.
        """
        i: uint32_t
        number: uint32_t
        room: uint32_t = GROWTH + ssa.n_nodes
        block: uint32_t = 0
        callee: cython.pointer(Callee)
        known: dict = {}
        self.spent = 0
        self.last_node = NO_VALUE
        self.release()
        for i in range(ssa.n_nodes):
            while ssa.blocks[block].last <= i:
                block += 1
            if ssa.nodes[i].op != OP_CALL:
                continue
            number = self.callee_of(ssa, cython.address(ssa.nodes[i]), source, depth, known)
            if number == NO_VALUE:
                continue
            callee = cython.address(self.callees[number])
            if callee.size > room or (callee.size > TINY and ssa.blocks[block].depth == 0):
                continue
            room -= callee.size
            self.choose(ssa, i, number)
        return self.n_chosen != 0

    def callee_of(self, ssa, node, source, depth, known):
        """The number in ``callees`` of what a call could be replaced by; ``NO_VALUE`` if it stays a call."""
        func: uint32_t = ssa.args[node.b + node.c]
        if func == ssa.func or func in source.refused:
            return NO_VALUE
        if func not in known:
            if self.n_callees == MOST:
                return NO_VALUE
            look()  # what the template is made of is too short for it
            known[func] = self.n_callees
            template: object = source.template(func, depth, ssa.func)
            if template is None:
                known[func] = -1
            else:
                self.add_callee(template)
        number: int = known[func]
        return NO_VALUE if number < 0 else cython.cast(uint32_t, number)

    def release(self) -> None:
        """Forget the functions that were chosen; ``prepare`` comes before the next run."""
        self.n_callees = self.n_chosen = 0
        self.kept.clear()

    def add_callee(self, ssa):
        """Remember where the parts of a small function lie."""
        n: uint32_t = self.n_callees
        at: cython.pointer(Callee)
        vec_room(self.callees, self.cap_callees, n + 1)
        at = cython.address(self.callees[n])
        at.func = ssa.func
        at.size = size_of(ssa)
        at.n_blocks = ssa.n_blocks
        at.n_nodes = ssa.n_nodes
        at.n_edges = ssa.n_edges
        at.n_memargs = ssa.n_memargs
        at.n_sites = ssa.n_sites
        at.n_results = ssa.n_results
        at.nodes = ssa.nodes
        at.positions = ssa.positions
        at.blocks = ssa.blocks
        at.edges = ssa.edges
        at.args = ssa.args
        at.memargs = ssa.memargs
        at.sites = ssa.sites
        at.result_types = ssa.result_types
        self.kept.append(ssa)
        self.n_callees = n + 1
        return 0

    def choose(self, ssa, node, number):
        """Mark a call that is inlined."""
        word: cython.size_t = cython.sizeof(uint32_t)
        if self.n_chosen == 0:
            vec_room(self.choice, self.cap_choice, ssa.n_nodes + 1)
            memset(self.choice, 0xFF, (ssa.n_nodes + 1) * word)
        self.choice[node] = number
        self.n_chosen += 1
        return 0

    # ---- the pass ------------------------------------------------------------------------------

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1, check=False)
    def apply(self) -> cython.int:
        """Stream the input into the output."""
        block: uint32_t
        i: uint32_t
        self.begin()
        self.pasted = NO_VALUE
        vec_room(self.start, self.cap_start, self.ssa.n_blocks + 1)
        for block in range(self.ssa.n_blocks):
            self.start[block] = self.out.block(self.ssa.blocks[block].depth, self.ssa.blocks[block].flags)
            self.out.blocks[self.start[block]].params = self.ssa.blocks[block].params
            self.out.blocks[self.start[block]].preds = self.ssa.blocks[block].preds
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
                breathe(i)
                self.copy(i)
        if self.out.n_blocks:
            self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        self.finish_edges()
        for i in range(self.ssa.n_edges):
            self.out.edges[i].target = self.start[self.ssa.edges[i].target]
        return 0

    def copy(self, i):
        """A node as it is, or what takes the place of a call."""
        node: Node = self.ssa.nodes[i]
        self.position = self.ssa.positions[i]
        self.index = i
        if node.op == OP_CALL and self.n_chosen and self.choice[i] != NO_VALUE and self.spent < self.budget:
            return self.paste(i, cython.address(self.callees[self.choice[i]]))
        if node.op == IR_RESULT and node.a == self.pasted:
            self.moved[i] = self.outcome[node.c]
            return 0
        self.map_operands(cython.address(node))
        self.moved[i] = self.emit(cython.address(node))
        return 0

    # ---- a callee ------------------------------------------------------------------------------

    def paste(self, call, callee):
        """A callee's body in place of a call."""
        b: uint32_t
        k: uint32_t
        number: uint32_t
        depth: uint32_t = self.out.blocks[self.out.n_blocks - 1].depth
        self.first_block = self.out.n_blocks - 1
        self.from_position = NO_VALUE
        self.returns = 0
        self.paste_tables(callee)
        for b in range(callee.n_blocks):
            if b != 0:
                number = self.out.block(depth + callee.blocks[b].depth, callee.blocks[b].flags)
                self.out.blocks[number].params = callee.blocks[b].params
                self.out.blocks[number].preds = callee.blocks[b].preds
            for k in range(callee.blocks[b].first, callee.blocks[b].last):
                self.paste_node(call, callee, k)
        self.paste_arguments(callee)
        if callee.n_blocks > 1:
            self.go_on(callee, depth)
        self.pasted = call
        self.moved[call] = self.outcome[0] if callee.n_results else NO_VALUE
        self.inlined += 1
        self.index = call
        self.rewrote(0)
        return 0

    def paste_tables(self, callee):
        """Room for the callee's values; its edges, whose arguments follow later; its memory arguments."""
        i: uint32_t
        vec_room(self.inner, self.cap_inner, callee.n_nodes + 1)
        vec_room(self.outcome, self.cap_outcome, callee.n_results + 1)
        self.first_edge = self.out.n_edges
        self.first_memarg = self.out.n_memargs
        for i in range(callee.n_edges):
            self.out.edge(self.first_block + callee.edges[i].target, 0, callee.edges[i].nargs)
        for i in range(callee.n_memargs):
            self.out.memarg(callee.memargs[i].offset, callee.memargs[i].memory, callee.memargs[i].align)
        return 0

    def paste_node(self, call, callee, k):
        """One node of a callee."""
        e: uint32_t
        node: Node = callee.nodes[k]
        if node.op == IR_PARAM:
            self.inner[k] = self.moved[self.ssa.args[self.ssa.nodes[call].b + node.c]]
            return 0
        self.position = self.place(callee, callee.positions[k], self.ssa.positions[call])
        self.paste_operands(callee, cython.address(node))
        if node.op == IR_RETURN:
            return self.paste_return(callee, cython.address(node))
        for e in range(edge_count(cython.address(node))):
            set_edge(cython.address(node), e, self.first_edge + edge_of(cython.address(callee.nodes[k]), e))
        if node.op < 0x8000 and OP_FLAGS[node.op] & (OF_LOAD | OF_STORE):
            node.c += self.first_memarg
        self.inner[k] = self.emit(cython.address(node))
        return 0

    def paste_operands(self, callee, node):
        """Operands of a callee's node become output values; a list gets a place of its own."""
        n: uint32_t = operand_count(node.op, node.flags)
        i: uint32_t
        start: uint32_t
        if n == OPERANDS_LIST:
            start = self.out.n_args
            for i in range(node.b, node.b + node.c):
                self.out.arg(self.inner[callee.args[i]])
            if node.op != IR_RETURN:  # two immediates follow the operands
                self.out.arg(callee.args[node.b + node.c])
                self.out.arg(callee.args[node.b + node.c + 1])
            node.b = start
            return 0
        map_values(cython.address(node.a), n, self.inner)
        return 0

    def paste_return(self, callee, node):
        """The results are known, or go to the block that goes on."""
        i: uint32_t
        self.returns += 1
        if callee.n_blocks == 1:
            for i in range(node.c):
                self.outcome[i] = self.out.args[node.b + i]
            return 0
        i = self.out.edge(self.first_block + callee.n_blocks, node.b, node.c)
        self.out.node(IR_BR, T_NONE, 0, NO_VALUE, NO_VALUE, i, self.position)
        return 0

    def paste_arguments(self, callee):
        """Arguments of the callee's edges, once all its values are known."""
        i: uint32_t
        k: uint32_t
        start: uint32_t
        edge: cython.pointer(Edge)
        for i in range(callee.n_edges):
            edge = cython.address(callee.edges[i])
            start = self.out.n_args
            for k in range(edge.args, edge.args + edge.nargs):
                self.out.arg(self.inner[callee.args[k]])
            self.out.edges[self.first_edge + i].args = start
        return 0

    def go_on(self, callee, depth):
        """The block behind the callee; the results are its parameters."""
        i: uint32_t
        number: uint32_t = self.out.block(depth, 0)
        self.out.blocks[number].params = callee.n_results
        self.out.blocks[number].preds = self.returns
        for i in range(callee.n_results):
            self.outcome[i] = self.out.node(
                IR_BLOCK_PARAM, callee.result_types[i], 0, NO_VALUE, NO_VALUE, i, self.position
            )
        return 0

    def place(self, callee, position, caller):
        """A callee's position as one of the caller's: a site, and those that it hangs from."""
        site: Site
        outer: uint32_t
        if position == self.from_position:
            return self.to_position
        if position & SITE_FLAG:
            site = callee.sites[position & ~cython.cast(uint32_t, SITE_FLAG)]
            outer = self.place(callee, site.caller, caller)  # as deep as calls are inlined into each other
            self.to_position = self.out.site(site.func, site.offset, outer)
        else:
            self.to_position = self.out.site(callee.func, position, caller)
        self.from_position = position
        return self.to_position


def template_size(ssa: Ssa) -> int | None:
    """Nodes of a function that may be inlined, or None."""
    size: uint32_t = size_of(ssa)
    return None if size == NO_VALUE else size
