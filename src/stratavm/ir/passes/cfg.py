# strata: hot
"""Simplification of the control-flow graph, and of the parameters of blocks.

Branches on constants, and on comparisons of constants, are decided; an edge to a block that only branches on goes to
where that leads, and so does one that brings a constant to a block that only asks what it is brought: the second half
of ``if (result i32) … else i32.const 0 end br_if``. What cannot be reached goes away; a block that has one predecessor,
which leads nowhere else, is joined to it. A parameter that has the same value on every edge is that value: also where
the edge of a loop brings the parameter itself, and where each edge brings an equal constant. An edge into a loop is not
threaded: the block before a loop is where invariants go.

Everything is decided on the input (rounds over the parameters are bounded), then written in one walk. Linear.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import look
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_CALLS,
    OF_CONTROL,
    OF_LOAD,
    OF_READS,
    OF_STORE,
    OF_TRAP,
    OF_WRITES,
    OP_FLAGS,
)
from cython.cimports.stratavm.ir.passes.fold import fold
from cython.cimports.stratavm.ir.ssa import (
    BF_LOOP_HEADER,
    IR_BR,
    IR_BR_IF,
    IR_BR_TABLE,
    IR_CONST,
    IR_POLL,
    NO_VALUE,
    T_I32,
    T_I64,
    Block,
    Edge,
    Node,
    edge_count,
    edge_of,
    operand_count,
    operands_of,
    set_edge,
)

MANY = cython.declare(uint32_t, 0xFFFFFFFE)
"""Different values arrive at a parameter."""
ROUNDS = cython.declare(cython.int, 3)
"""Looks at the parameters: each can find those that became plain by the one before."""
HOPS = cython.declare(cython.int, 8)
"""Empty blocks that an edge is led through."""
STEPS = cython.declare(cython.int, 2)
"""Operations on constants that a condition may consist of: a comparison, and the negation of one."""
ASKS = cython.declare(uint32_t, 6)
"""Nodes of a block that only asks what its parameter is, or only brings constants to one that does."""
EFFECTS = cython.declare(uint32_t, OF_TRAP | OF_LOAD | OF_STORE | OF_READS | OF_WRITES | OF_CALLS | OF_CONTROL)
"""What no node of a block has that an edge may pass by."""


@cython.cclass
class Cfg(Stream):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "cfg"})

    def __dealloc__(self):
        free(self.taken)
        free(self.lead)
        free(self.incoming)
        free(self.source)
        free(self.number)
        free(self.old)
        free(self.kept)
        free(self.live)
        free(self.merged)
        free(self.forward)
        free(self.seen)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1, check=False)
    def apply(self) -> cython.int:
        """The pass."""
        turns: cython.int
        self.begin()
        self.out.n_edges = 0
        self.reserve()
        self.asks = self.asking()
        if self.asks and not self.ssa.counted:
            self.ssa.count_uses()
        self.decide()
        for turns in range(ROUNDS):
            self.changed = False
            self.gather()
            look()
            self.settle()
            look()
            if not self.changed:
                break
        self.join()
        self.rebuild()
        self.arguments()
        return 0

    def reserve(self):
        """Room for the function; nothing is known yet."""
        nodes: uint32_t = self.ssa.n_nodes + 1
        blocks: uint32_t = self.ssa.n_blocks + 1
        word: cython.size_t = cython.sizeof(uint32_t)
        i: uint32_t
        vec_room(self.taken, self.cap_taken, blocks)
        vec_room(self.incoming, self.cap_incoming, blocks)
        vec_room(self.source, self.cap_source, blocks)
        vec_room(self.number, self.cap_number, blocks)
        vec_room(self.old, self.cap_old, blocks)
        vec_room(self.kept, self.cap_kept, blocks)
        vec_room(self.live, self.cap_live, blocks)
        vec_room(self.merged, self.cap_merged, blocks)
        vec_room(self.forward, self.cap_forward, nodes)
        vec_room(self.seen, self.cap_seen, nodes)
        vec_room(self.lead, self.cap_lead, self.ssa.n_edges + 1)
        for i in range(self.ssa.n_edges):
            self.lead[i] = i
        self.standin = NO_VALUE
        memset(self.live, 0, blocks)
        memset(self.merged, 0, blocks)
        memset(self.incoming, 0, blocks * word)
        for i in range(self.ssa.n_blocks):
            self.taken[i] = NO_VALUE
            self.kept[i] = self.ssa.blocks[i].params
        for i in range(self.ssa.n_nodes):
            self.forward[i] = i
        return 0

    # ---- edges ----

    def edges_of(self, block):
        """Edges that leave a block, decided branches considered."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
        return edge_count(node) if self.taken[block] == NO_VALUE else 1

    def edge_of(self, block, k):
        """One of them."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
        return edge_of(node, k) if self.taken[block] == NO_VALUE else self.taken[block]

    def empty(self, block):
        """Whether a block only leads on: without arguments, which would need a place, and not into a loop."""
        at: cython.pointer(Node)
        edge: cython.pointer(Edge)
        if self.ssa.blocks[block].last - self.ssa.blocks[block].first != 1:
            return False
        at = cython.address(self.ssa.nodes[self.ssa.blocks[block].first])
        if at.op != IR_BR:
            return False
        edge = cython.address(self.ssa.edges[at.c])
        return edge.nargs == 0 and edge.target > block and not self.ssa.blocks[edge.target].flags & BF_LOOP_HEADER

    def follow(self, edge, alone):
        """The edge that an edge amounts to, led through empty blocks; and past blocks that it decides, if it is not one
        of a table, whose edges to one block have one list of arguments (``alone``)."""
        hops: cython.int
        target: uint32_t
        for hops in range(HOPS):
            target = self.ssa.edges[edge].target
            if self.empty(target):
                edge = self.ssa.nodes[self.ssa.blocks[target].first].c
                continue
            target = self.past(edge) if alone and self.asks else NO_VALUE
            if target == NO_VALUE:
                break
            edge = target
        return edge

    # ---- blocks that only ask ----

    def asking(self):
        """Whether there is a block that may do nothing but ask what its parameter is."""
        block: uint32_t = 1
        while block < self.ssa.n_blocks and not self.may_ask(block):
            block += 1
        return block < self.ssa.n_blocks

    def may_ask(self, block):
        """Whether a block is short, has one parameter and several ways to go, and heads no loop."""
        at: cython.pointer(Block) = cython.address(self.ssa.blocks[block])
        op: uint32_t = self.ssa.nodes[at.last - 1].op
        return (
            at.params == 1
            and at.last - at.first <= ASKS
            and (op == IR_BR_IF or op == IR_BR_TABLE)
            and not at.flags & BF_LOOP_HEADER
        )

    def private(self, block):
        """Whether a block has no effect, and nothing outside of it and of its edges uses what it defines: then it need
        not be passed through by who knows its outcome."""
        at: cython.pointer(Block) = cython.address(self.ssa.blocks[block])
        values: cython.pointer(uint32_t) = cython.NULL
        node: cython.pointer(Node)
        outside: uint32_t = 0
        i: uint32_t
        k: uint32_t
        for i in range(at.first, at.last):
            node = cython.address(self.ssa.nodes[i])
            if i >= at.first + at.params and i < at.last - 1:
                if node.op != IR_CONST and (node.op >= N_OPS or OP_FLAGS[node.op] & EFFECTS):
                    return False
            if i < at.last - 1:
                outside += self.ssa.uses[i]
            for k in range(operands_of(node, self.ssa.args, cython.address(values))):
                outside -= at.first <= values[k] < at.last
        if self.ssa.nodes[at.last - 1].op == IR_BR:
            outside -= at.first <= self.ssa.args[self.ssa.edges[self.ssa.nodes[at.last - 1].c].args] < at.last
        return outside == 0

    def past(self, edge):
        """The edge that is taken in the end where an edge brings a constant to a block that only asks for it, or leads
        to one that does nothing but that. ``NO_VALUE`` where it does not, or where that leads into a loop."""
        block: uint32_t = self.ssa.edges[edge].target
        at: cython.pointer(Block) = cython.address(self.ssa.blocks[block])
        if at.params == 0 and at.last - at.first <= ASKS and self.ssa.nodes[at.last - 1].op == IR_BR:
            edge = self.ssa.nodes[at.last - 1].c
            if self.ssa.edges[edge].nargs != 1:
                return NO_VALUE
            return self.answer(edge) if not at.flags & BF_LOOP_HEADER and self.private(block) else NO_VALUE
        return self.answer(edge)

    def answer(self, edge):
        """The same for an edge that brings the constant itself."""
        block: uint32_t = self.ssa.edges[edge].target
        bits: uint64_t = 0
        if self.ssa.edges[edge].nargs != 1:
            return NO_VALUE
        while self.passes_on(block):
            block = self.ssa.edges[self.ssa.nodes[self.ssa.blocks[block].last - 1].c].target
        if not self.may_ask(block):
            return NO_VALUE
        if not self.constant(self.ssa.args[self.ssa.edges[edge].args], STEPS, cython.address(bits)):
            return NO_VALUE
        if not self.private(block):
            return NO_VALUE
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
        self.standin = self.ssa.blocks[block].first
        self.standin_bits = bits
        known: cython.bint = self.constant(node.a, STEPS, cython.address(bits))
        self.standin = NO_VALUE
        if not known:
            return NO_VALUE
        edge = self.choice(node, bits)
        block = self.ssa.edges[edge].target
        if self.ssa.blocks[block].flags & BF_LOOP_HEADER and self.ssa.blocks[block].first >= self.index:
            return NO_VALUE
        return edge

    def passes_on(self, block):
        """Whether a block does nothing but hand its one parameter to a block behind it, and nobody else has it."""
        at: cython.pointer(Block) = cython.address(self.ssa.blocks[block])
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[at.last - 1])
        if at.params != 1 or at.last - at.first != 2 or node.op != IR_BR or self.ssa.uses[at.first] != 1:
            return False
        edge: cython.pointer(Edge) = cython.address(self.ssa.edges[node.c])
        return edge.nargs == 1 and edge.target > block and self.ssa.args[edge.args] == at.first

    def choice(self, node, bits):
        """The edge that a branch takes on a number."""
        if node.op == IR_BR_IF:
            return node.b if bits else node.c
        return node.b + cython.cast(uint32_t, min(bits, node.c - 1))

    def decide(self):
        """Which branches are decided, what is reached, and from where."""
        block: uint32_t
        k: uint32_t
        edge: uint32_t
        target: uint32_t
        self.live[0] = 1
        for block in range(self.ssa.n_blocks):
            if not self.live[block]:
                continue
            self.index = self.ssa.blocks[block].last - 1
            self.branch(block)
            for k in range(self.edges_of(block)):
                edge = self.edge_of(block, k)
                if self.spent < self.budget:
                    self.lead[edge] = self.follow(edge, self.ssa.nodes[self.index].op != IR_BR_TABLE)
                    if self.lead[edge] != edge:
                        self.threaded += 1
                        self.rewrote(0)
                target = self.ssa.edges[self.lead[edge]].target
                self.live[target] = 1
                self.incoming[target] += 1
                self.source[target] = block
        return 0

    def branch(self, block):
        """Decide a branch on a constant, and one whose ways lead to the same place."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[self.index])
        bits: uint64_t = 0
        if (node.op != IR_BR_IF and node.op != IR_BR_TABLE) or self.spent >= self.budget:
            return 0
        known: cython.bint = self.constant(node.a, STEPS, cython.address(bits))
        if known:
            self.taken[block] = self.choice(node, bits)
        elif (
            node.op == IR_BR_IF
            and self.ssa.edges[self.follow(node.b, False)].target == self.ssa.edges[self.follow(node.c, False)].target
            and self.ssa.edges[self.follow(node.b, False)].nargs == 0
        ):
            self.taken[block] = node.b
        else:
            return 0
        self.branches += 1
        self.rewrote(0)
        return 0

    def constant(self, value, steps, bits):
        """Whether a value is a constant, or what ``steps`` operations at most make of constants."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        operands: uint64_t[2]
        count: uint32_t = operand_count(node.op, node.flags)
        if value == self.standin:
            bits[0] = self.standin_bits
            return True
        if node.op == IR_CONST:
            bits[0] = node.a
            if node.type == T_I64:
                bits[0] |= cython.cast(uint64_t, node.b) << 32
            return node.type == T_I32 or node.type == T_I64
        if steps == 0 or node.op >= N_OPS or count == 0 or count > 2:
            return False
        operands[1] = 0
        if not self.constant(node.a, steps - 1, operands):
            return False
        if count == 2 and not self.constant(node.b, steps - 1, operands + 1):
            return False
        return fold(node.op, operands[0], operands[1], bits)

    # ---- parameters ----

    def value_of(self, value):
        """What a value is known to be."""
        while self.forward[value] != value:
            value = self.forward[value]
        return value

    def equal(self, a, b):
        """Whether two values are the same: one value, or equal constants."""
        x: cython.pointer(Node) = cython.address(self.ssa.nodes[a])
        y: cython.pointer(Node) = cython.address(self.ssa.nodes[b])
        return a == b or (x.op == IR_CONST and y.op == IR_CONST and x.type == y.type and x.a == y.a and x.b == y.b)

    def gather(self):
        """The one value that arrives at each parameter, if it is one."""
        block: uint32_t
        k: uint32_t
        i: uint32_t
        first: uint32_t
        value: uint32_t
        edge: cython.pointer(Edge)
        for block in range(1, self.ssa.n_blocks):
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].first + self.ssa.blocks[block].params):
                self.seen[i] = NO_VALUE
        for block in range(self.ssa.n_blocks):
            if not self.live[block]:
                continue
            for k in range(self.edges_of(block)):
                edge = cython.address(self.ssa.edges[self.lead[self.edge_of(block, k)]])
                first = self.ssa.blocks[edge.target].first
                for i in range(edge.nargs):
                    value = self.value_of(self.ssa.args[edge.args + i])
                    if value == first + i or self.seen[first + i] == MANY:
                        continue
                    if self.seen[first + i] == NO_VALUE:
                        self.seen[first + i] = value
                    elif not self.equal(self.seen[first + i], value):
                        self.seen[first + i] = MANY
        return 0

    def settle(self):
        """A parameter at which one value arrives is that value."""
        block: uint32_t
        i: uint32_t
        value: uint32_t
        for block in range(1, self.ssa.n_blocks):
            if not self.live[block]:
                continue
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].first + self.ssa.blocks[block].params):
                if self.spent >= self.budget:
                    return 0
                if self.forward[i] != i or self.seen[i] == NO_VALUE or self.seen[i] == MANY:
                    continue
                value = self.value_of(self.seen[i])
                if value == i:
                    continue
                self.forward[i] = value
                self.kept[block] -= 1
                self.params += 1
                self.changed = True
                self.index = i
                self.rewrote(0)
        return 0

    def join(self):
        """Number the blocks that stay; find those that continue the one before."""
        block: uint32_t
        before: uint32_t = NO_VALUE
        count: uint32_t = 0
        for block in range(self.ssa.n_blocks):
            if not self.live[block]:
                continue
            if (
                before != NO_VALUE
                and self.incoming[block] == 1
                and self.source[block] == before
                and self.edges_of(before) == 1
                and self.kept[block] == 0
                and not self.ssa.blocks[block].flags & BF_LOOP_HEADER
                and self.ssa.blocks[block].depth == self.ssa.blocks[before].depth
                and self.spent < self.budget
            ):
                self.merged[block] = 1
                self.joined += 1
                self.index = self.ssa.blocks[block].first
                self.rewrote(0)
            else:
                self.number[block] = count
                self.old[count] = block
                count += 1
            before = block
        return 0

    # ---- the output ----

    def rebuild(self):
        """Write what stays."""
        block: uint32_t
        before: uint32_t = NO_VALUE
        for block in range(self.ssa.n_blocks):
            if not self.live[block]:
                continue
            if before != NO_VALUE and not self.merged[block]:
                self.terminator(before)
            if not self.merged[block]:
                self.out.block(self.ssa.blocks[block].depth, self.ssa.blocks[block].flags)
                self.out.blocks[self.out.n_blocks - 1].params = self.kept[block]
                self.out.blocks[self.out.n_blocks - 1].preds = self.incoming[block]
            self.head(block)
            self.body(block)
            before = block
        self.terminator(before)
        self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        return 0

    def head(self, block):
        """Parameters that stay, a loop's poll, then parameters that are constants: here they dominate all uses."""
        i: uint32_t
        position: uint32_t = 0
        value: uint32_t
        node: cython.pointer(Node)
        first: uint32_t = self.ssa.blocks[block].first
        for i in range(first, first + self.ssa.blocks[block].params):
            if self.forward[i] == i:
                node = cython.address(self.ssa.nodes[i])
                self.moved[i] = self.out.node(node.op, node.type, 0, node.a, node.b, position, self.ssa.positions[i])
                position += 1
        i = first + self.ssa.blocks[block].params
        if self.ssa.nodes[i].op == IR_POLL:
            self.copy(i)
        for i in range(first, first + self.ssa.blocks[block].params):
            if self.forward[i] != i:
                value = self.value_of(i)
                node = cython.address(self.ssa.nodes[value])
                if node.op == IR_CONST:
                    self.moved[i] = self.out.node(
                        IR_CONST, node.type, 0, node.a, node.b, node.c, self.ssa.positions[value]
                    )
                else:
                    self.moved[i] = self.moved[value]
        return 0

    def body(self, block):
        """Nodes between the parameters and the terminator."""
        i: uint32_t
        first: uint32_t = self.ssa.blocks[block].first + self.ssa.blocks[block].params
        for i in range(first, self.ssa.blocks[block].last - 1):
            if i != first or self.ssa.nodes[i].op != IR_POLL:
                self.copy(i)
        return 0

    def copy(self, i):
        """A node as it is."""
        node: Node = self.ssa.nodes[i]
        self.position = self.ssa.positions[i]
        self.map_operands(cython.address(node))
        self.moved[i] = self.emit(cython.address(node))
        return 0

    def terminator(self, block):
        """The end of a block: its edges are written now, one behind the other."""
        i: uint32_t = self.ssa.blocks[block].last - 1
        node: Node = self.ssa.nodes[i]
        before: Node = node
        k: uint32_t
        self.position = self.ssa.positions[i]
        if self.taken[block] != NO_VALUE:
            node.op = IR_BR
            node.flags = 0
            node.a = NO_VALUE
            node.b = NO_VALUE
            node.c = self.put_edge(self.taken[block])
        else:
            self.map_operands(cython.address(node))
            for k in range(edge_count(cython.address(before))):
                set_edge(cython.address(node), k, self.put_edge(edge_of(cython.address(before), k)))
        self.moved[i] = self.emit(cython.address(node))
        return 0

    def put_edge(self, edge):
        """An edge of the output; its arguments are rewritten at the end. One that was led past a block has a list of
        its own, with the arguments of the input meanwhile."""
        at: cython.pointer(Edge) = cython.address(self.ssa.edges[self.lead[edge]])
        args: uint32_t = at.args
        i: uint32_t
        if self.lead[edge] != edge and self.kept[at.target]:
            args = self.out.n_args
            for i in range(at.args, at.args + at.nargs):
                self.out.arg(self.ssa.args[i])
        return self.out.edge(self.number[at.target], args, self.kept[at.target])

    def arguments(self):
        """Arguments of the edges, in place: those of parameters that stay. A list that edges share has one target."""
        e: uint32_t
        i: uint32_t
        to: uint32_t
        block: uint32_t
        first: uint32_t
        edge: cython.pointer(Edge)
        for e in range(self.out.n_edges):
            edge = cython.address(self.out.edges[e])
            block = self.old[edge.target]
            if edge.nargs == 0 or (edge.args < self.ssa.n_args and self.rewritten[edge.args]):
                continue
            if edge.args < self.ssa.n_args:
                self.rewritten[edge.args] = 1
            first = self.ssa.blocks[block].first
            to = edge.args
            for i in range(self.ssa.blocks[block].params):
                if self.forward[first + i] == first + i:
                    self.out.args[to] = self.moved[self.out.args[edge.args + i]]
                    to += 1
        return 0
