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
    OP_RETURN_CALL_REF,
)
from cython.cimports.stratavm.ir.passes.numbers import numbers_clear, numbers_find, numbers_free, numbers_put
from cython.cimports.stratavm.ir.ssa import (
    IR_BLOCK_PARAM,
    IR_BR,
    IR_BR_IF,
    IR_BR_TABLE,
    IR_INVOKE,
    IR_PARAM,
    IR_POLL,
    IR_RESULT,
    IR_RETURN,
    IR_THROW,
    IR_TRAP,
    NO_VALUE,
    OPERANDS_LIST,
    SITE_FLAG,
    T_NONE,
    Edge,
    Node,
    Site,
    Ssa,
    edge_count,
    edge_of,
    is_atomic,
    map_values,
    move_constant,
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


def size_of(ssa):
    """Nodes that compute something; ``NO_VALUE`` for a function that is not inlined.

    Not inlined: what never returns, since it is cold; what throws or catches; what calls itself; what ends in a tail
    call, which as a call needs stack.
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
            node.op == OP_RETURN_CALL
            or node.op == OP_RETURN_CALL_INDIRECT
            or node.op == OP_RETURN_CALL_REF
            or node.op > IR_TRAP
            or IR_THROW <= node.op < IR_BR
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


def let_go(callee):
    """One holder less."""
    callee.holders -= 1
    if callee.holders == 0:
        free(callee)


@cython.auto_pickle(False)
@cython.cclass
class Templates:
    """Where ``Inline`` has small functions from."""

    def template(self, func, depth, caller, found):
        """Find a function to put in the place of its call; NULL where it stays one. Who keeps it holds it.

        ``depth`` says how many levels of calls may be inlined into each other, at least 1. ``caller`` is the function
        with the call: nothing of it comes back in what is inlined into it.
        """
        found[0] = cython.NULL
        return 0


@cython.cclass
class Inline(Stream):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "inline"})

    def __dealloc__(self):
        self.forget()
        numbers_free(cython.address(self.known))
        free(self.callees)
        free(self.choice)
        free(self.start)
        free(self.inner)
        free(self.outcome)

    # ---- what is inlined -----------------------------------------------------------------------

    def prepare(self, ssa: Ssa, source: Templates, depth: uint32_t) -> bool:
        """Choose the calls of a function that are inlined; false if there is none, so that ``run`` need not be called.

        Args:
            source: gives small functions by index, and knows those that are ``refused``.
            depth: how many levels of calls may be inlined into each other.
        """
        chosen: cython.bint
        before = self.ssa
        self.ssa = ssa
        try:
            with cython.nogil:
                chosen = self.choose_calls(source, depth) != 0
        finally:
            self.ssa = before
        return chosen

    def choose_calls(self, source, depth):
        """``prepare`` from below the GIL, for the input."""
        i: uint32_t
        number: uint32_t
        room: uint32_t = GROWTH + self.ssa.n_nodes
        block: uint32_t = 0
        callee: cython.pointer(Callee)
        self.spent = 0
        self.last_node = NO_VALUE
        self.forget()
        for i in range(self.ssa.n_nodes):
            while self.ssa.blocks[block].last <= i:
                block += 1
            if self.ssa.nodes[i].op != OP_CALL or self.may_be_caught(block, i):
                continue
            self.look_up(
                self.ssa.args[self.ssa.nodes[i].b + self.ssa.nodes[i].c], source, depth, cython.address(number)
            )
            if number == NO_VALUE:
                continue
            callee = self.callees[number]
            if callee.size > room or (callee.size > TINY and self.ssa.blocks[block].depth == 0):
                continue
            room -= callee.size
            self.choose(i, number)
        return self.n_chosen != 0

    def may_be_caught(self, block, call):
        """Whether a call's block ends with what catches its exceptions: then it stays a call."""
        last: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
        return last.op == IR_INVOKE and last.a == call

    def look_up(self, func, source, depth, number):
        """The number in ``callees`` of what a call could be replaced by; ``NO_VALUE`` if it stays a call."""
        template: cython.pointer(Callee) = cython.NULL
        number[0] = NO_VALUE
        if func == self.ssa.func or source.refuses(func):
            return 0
        if numbers_find(cython.address(self.known), func, number) or self.n_callees == MOST:
            return 0
        look()  # what the template is made of is too short for it
        vec_room(self.callees, self.cap_callees, self.n_callees + 1)
        source.template(func, depth, self.ssa.func, cython.address(template))
        if template != cython.NULL:
            number[0] = self.n_callees
            template.holders += 1
            self.callees[self.n_callees] = template
            self.n_callees += 1
        return numbers_put(cython.address(self.known), func, number[0])

    def forget(self):
        """Let go of the functions that were chosen."""
        i: uint32_t
        for i in range(self.n_callees):
            let_go(self.callees[i])
        self.n_callees = self.n_chosen = 0
        numbers_clear(cython.address(self.known))
        return 0

    def choose(self, node, number):
        """Mark a call that is inlined."""
        word: cython.size_t = cython.sizeof(uint32_t)
        if self.n_chosen == 0:
            vec_room(self.choice, self.cap_choice, self.ssa.n_nodes + 1)
            memset(self.choice, 0xFF, (self.ssa.n_nodes + 1) * word)
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
            return self.paste(i, self.callees[self.choice[i]])
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
        """Room for the callee's values; its edges, whose arguments follow later; its memory arguments
        and constants."""
        i: uint32_t
        vec_room(self.inner, self.cap_inner, callee.n_nodes + 1)
        vec_room(self.outcome, self.cap_outcome, callee.n_results + 1)
        self.first_edge = self.out.n_edges
        self.first_memarg = self.out.n_memargs
        self.first_constant = self.out.n_constants
        for i in range(callee.n_edges):
            self.out.edge(self.first_block + callee.edges[i].target, 0, callee.edges[i].nargs)
        for i in range(callee.n_memargs):
            self.out.memarg(callee.memargs[i].offset, callee.memargs[i].memory, callee.memargs[i].align)
        for i in range(callee.n_constants):
            self.out.constant(callee.constants[i])
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
        move_constant(cython.address(node), self.first_constant)
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
                moved: uint32_t = self.first_memarg if is_atomic(node.op) else 0
                self.out.arg(callee.args[node.b + node.c] + moved)
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
