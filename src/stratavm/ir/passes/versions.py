# strata: hot
"""Bounds checks out of loops: a small innermost loop gets a version without them, chosen before it.

A check cannot move out of a loop: its trap would come before the effects of the rounds before it, and before polls. So
the loop stands twice. Before it, where it is long enough, the highest address of each access is computed in 64 bits; if
all lie within the memory, which can only grow, no check is missed in the first version. Else the second one runs, which
is the loop as it was, and traps where it would.

An address is bounded from its parts: every operation here gives at most the sum, product or shift of the bounds of its
operands, wherever 32 bits wrap. Addresses of 64 bits are bounded in the same way where what comes from before the loop
is below 2**32, which is one more thing to look at there: then nothing in between wraps at all. A counter is bounded by
the test that every way back to the header passes: it is what it was before the loop, or has been tested. Another value
to which each round adds the same gets as far as the number of rounds allows. Linear: the depth of addresses and their
number are bounded.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.stratavm.base.bits import bits_of, log2_exact
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_LOAD,
    OF_STORE,
    OP_ACCESS,
    OP_FLAGS,
    OP_I32_ADD,
    OP_I32_AND,
    OP_I32_EQ,
    OP_I32_EQZ,
    OP_I32_LE_S,
    OP_I32_LE_U,
    OP_I32_LOAD8_U,
    OP_I32_LOAD16_U,
    OP_I32_LT_S,
    OP_I32_LT_U,
    OP_I32_MUL,
    OP_I32_NE,
    OP_I32_OR,
    OP_I32_SHL,
    OP_I32_SHR_U,
    OP_I64_ADD,
    OP_I64_AND,
    OP_I64_EQ,
    OP_I64_EQZ,
    OP_I64_EXTEND_I32_S,
    OP_I64_EXTEND_I32_U,
    OP_I64_GT_U,
    OP_I64_LE_U,
    OP_I64_LOAD8_U,
    OP_I64_LOAD16_U,
    OP_I64_LOAD32_U,
    OP_I64_LT_U,
    OP_I64_MUL,
    OP_I64_SHL,
    OP_I64_SHR_U,
    OP_I64_SUB,
    OP_MIRROR,
    OP_NARROW,
    OP_NEGATION,
)
from cython.cimports.stratavm.ir.passes.fold import fold
from cython.cimports.stratavm.ir.ssa import (
    IR_BR,
    IR_BR_IF,
    IR_CONST,
    IR_MEMORY_BYTES,
    NF_CHECKED,
    NO_VALUE,
    T_I32,
    T_I64,
    T_NONE,
    Edge,
    MemArg,
    Node,
    Ssa,
    edge_count,
    edge_of,
)

from stratavm.ir.prune import Pruner

MOST = cython.declare(uint32_t, 80)
"""Nodes of a loop that gets a second version."""
DEPTH = cython.declare(cython.int, 5)
"""Operations between an address and what bounds it."""
TWO_31 = cython.declare(uint64_t, 0x8000_0000)
TWO_32 = cython.declare(uint64_t, 0x1_0000_0000)
ALL_ONES = cython.declare(uint32_t, 0xFFFF_FFFF)
SHORT = cython.declare(uint32_t, 8)
"""Rounds that do not pay for the choice."""
BITS = cython.declare(cython.int, 62)
"""Of a bound to which an offset below 2**31 can be added, and another bound."""
PRODUCT = cython.declare(cython.int, 64)
"""Of start + step × rounds, each below 2**32: an offset below 2**31 can be added, and nothing else."""
COUNT_BELOW = cython.declare(cython.int, 1)
COUNT_UP_TO = cython.declare(cython.int, 2)
COUNT_UNLIKE = cython.declare(cython.int, 3)
COUNT_DOWN = cython.declare(cython.int, 4)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def compares(op: uint32_t) -> cython.bint:
    """Whether an operation is a comparison of two integers."""
    return op < N_OPS and OP_NEGATION[op] != 0


@cython.cclass
class Versions(Copies):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self) -> None:
        super().__init__({0: "versions"})
        self.chained = False
        self.guarding = False

    def __dealloc__(self):
        free(self.counted)

    def reserve(self):
        """Room for the function: one entry per loop."""
        vec_room(self.counted, self.cap_counted, self.ssa.n_blocks + 1)
        return Copies.reserve(self)

    # ---- which loops ---------------------------------------------------------------------------

    def copies_of(self, loop):
        """Two for a loop of which an access can be bounded before it."""
        i: uint32_t
        node: cython.pointer(Node)
        self.select(self.n_loops, loop)
        self.now.n_needs = 0
        self.now.rounds = False
        if loop.high - loop.low > MOST or not self.has_entry(loop.first):
            return 1
        if not self.count(loop):
            return 1
        self.building = False
        for i in range(loop.low, loop.high):
            node = cython.address(self.ssa.nodes[i])
            if (
                node.op < 0x8000
                and OP_FLAGS[node.op] & (OF_LOAD | OF_STORE)
                and not node.flags & NF_CHECKED
                and self.cover(node)
            ):
                self.marks[i] = NF_CHECKED
        self.building = True
        return 2 if self.now.n_needs else 1

    def select(self, number, loop):
        """The loop at hand."""
        self.now = cython.address(self.counted[number])
        self.low = loop.low
        self.high = loop.high
        self.params = loop.low + self.ssa.blocks[loop.first].params
        return 0

    def cover(self, node):
        """Whether an access is bounded before the loop; a constant address is selection's business."""
        memarg: cython.pointer(MemArg) = cython.address(self.ssa.memargs[node.c])
        end: uint64_t = memarg.offset + OP_ACCESS[node.op]
        bits: cython.int
        need: cython.pointer(Need)
        i: uint32_t
        if memarg.offset >= TWO_31 or end >= TWO_31:
            return False
        if self.ssa.nodes[node.a].type == T_I32 and self.ssa.nodes[self.now.counter].type != T_I32:
            return False
        for i in range(self.now.n_needs):
            need = cython.address(self.now.needs[i])
            if need.address == node.a and need.memory == memarg.memory:
                need.end = max(need.end, end)
                return True
        if self.now.n_needs == MAX_NEEDS or self.ssa.nodes[node.a].op == IR_CONST:
            return False
        bits = self.bound(node.a, DEPTH)
        if bits == 0 or (bits > BITS and bits != PRODUCT):
            return False
        need = cython.address(self.now.needs[self.now.n_needs])
        need.address = node.a
        need.memory = memarg.memory
        need.end = end
        self.now.n_needs += 1
        return True

    # ---- how often a loop goes round -----------------------------------------------------------

    def count(self, loop):
        """Find the counter of a loop: there is one way back, and a test that decides whether it is taken, at its
        beginning or in the header."""
        block: uint32_t
        k: uint32_t
        ways: uint32_t = 0
        latch: uint32_t = 0
        node: cython.pointer(Node)
        for block in range(loop.first, loop.end):
            node = cython.address(self.ssa.nodes[self.ssa.blocks[block].last - 1])
            for k in range(edge_count(node)):
                if self.ssa.edges[edge_of(node, k)].target == loop.first:
                    ways += 1
                    latch = block
                    self.now.back = edge_of(node, k)
        if ways != 1:
            return False
        self.now.into = self.ssa.nodes[self.ssa.blocks[self.entry[loop.first]].last - 1].c
        node = cython.address(self.ssa.nodes[self.ssa.blocks[latch].last - 1])
        if node.op == IR_BR_IF and self.relate(node.a, node.b == self.now.back):
            return True
        node = cython.address(self.ssa.nodes[self.ssa.blocks[loop.first].last - 1])
        if node.op != IR_BR_IF or latch == loop.first:
            return False
        stays: cython.bint = loop.first < self.ssa.edges[node.b].target < loop.end
        leaves: cython.bint = not loop.first < self.ssa.edges[node.c].target < loop.end
        return stays == leaves and self.relate(node.a, stays)

    def relate(self, condition, holds):
        """What a condition that must hold (or not) says about a counter and something from outside."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[condition])
        op: uint32_t = node.op
        tested: uint32_t = node.a
        self.now.limit = node.b
        if not compares(op):
            if op == OP_I32_EQZ or op == OP_I64_EQZ:
                holds = not holds
            else:
                tested = condition
            self.now.limit = NO_VALUE
            op = OP_I32_NE
        elif not holds or op == OP_I32_EQ or op == OP_I64_EQ:
            op = OP_NEGATION[op]
            holds = not holds
        if not holds:
            return False
        if self.now.limit != NO_VALUE and not self.invariant(self.now.limit):
            tested = self.now.limit
            self.now.limit = node.a
            op = OP_MIRROR[op] if OP_MIRROR[op] else op
        if self.now.limit != NO_VALUE and not self.invariant(self.now.limit):
            return False
        op = OP_NARROW[op]
        if op == OP_I32_NE:
            self.now.relation = COUNT_UNLIKE
        elif op == OP_I32_LT_S or op == OP_I32_LT_U:
            self.now.relation = COUNT_BELOW
        elif op == OP_I32_LE_S or op == OP_I32_LE_U:
            self.now.relation = COUNT_UP_TO
        else:
            return False
        self.now.is_signed = op == OP_I32_LT_S or op == OP_I32_LE_S
        return self.find_counter(tested)

    def find_counter(self, tested):
        """The parameter that is tested, or whose next value is; and whether its steps are such that the test ends
        the loop."""
        parameter: uint32_t
        step: uint32_t = 0
        known: cython.bint
        for parameter in range(self.low, self.params):
            if tested != parameter and tested != self.next_of(parameter):
                continue
            self.now.counter = parameter
            self.now.early = tested == parameter
            self.now.step = self.step_of(parameter)
            if self.now.step == NO_VALUE:
                return False
            known = self.constant_of(self.now.step, cython.address(step))
            self.now.shift = log2_exact(step) if known else -1
            if self.now.relation != COUNT_UNLIKE:
                return step < TWO_31 if known else not self.now.is_signed
            if self.now.limit != NO_VALUE and not (
                self.constant_of(self.now.limit, cython.address(step)) and step == 0
            ):
                return self.now.shift >= 0
            known = known and self.constant_of(self.now.step, cython.address(step))
            self.now.relation = COUNT_DOWN
            self.now.shift = log2_exact(cython.cast(uint32_t, 0 - step)) if known else -1
            return self.now.shift >= 0
        return False

    def next_of(self, parameter):
        """What a parameter of the header is in the next round."""
        return self.ssa.args[self.ssa.edges[self.now.back].args + parameter - self.low]

    def start_of(self, parameter):
        """What a parameter of the header is in the first round."""
        return self.ssa.args[self.ssa.edges[self.now.into].args + parameter - self.low]

    def step_of(self, parameter):
        """What each round adds to a parameter; ``NO_VALUE`` where that is not all, or changes."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[self.next_of(parameter)])
        if node.op != OP_I32_ADD and node.op != OP_I64_ADD:
            return NO_VALUE
        if node.a == parameter and self.invariant(node.b):
            return node.b
        return node.a if node.b == parameter and self.invariant(node.a) else NO_VALUE

    def invariant(self, value):
        """Whether a value is the same in all rounds."""
        return value < self.low or self.ssa.nodes[value].op == IR_CONST

    def constant_of(self, value, bits):
        """The number that a value is, if it is one; of 64 bits, if it is the extension of a signed one of 32."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        bits[0] = node.a
        if node.op != IR_CONST or node.type == T_I32:
            return node.op == IR_CONST
        return (node.b == 0 and node.a < TWO_31) or (node.b == ALL_ONES and node.a > TWO_31)

    # ---- how far an address gets ---------------------------------------------------------------

    def bound(self, value, depth):
        """A number that a value never exceeds, from before the loop: how many bits it has, 0 where there is none.
        ``term`` is that number, where something is built."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        if node.op == IR_CONST:
            self.term = self.number_of(node.a)
            if node.a >= TWO_31 or (node.type == T_I64 and node.b):  # negative: of no use as an address or in a sum
                return 0
            return bits_of(node.a)
        if value < self.low:
            self.term = self.wide(value)
            return 32
        if depth == 0 or node.op >= 0x8000:
            return self.bound_of_parameter(value) if self.low <= value < self.params else 0
        if node.op == OP_I32_LOAD8_U or node.op == OP_I64_LOAD8_U:
            self.term = self.number_of(0xFF)
            return 8
        if node.op == OP_I32_LOAD16_U or node.op == OP_I64_LOAD16_U:
            self.term = self.number_of(0xFFFF)
            return 16
        if node.op == OP_I64_LOAD32_U:
            self.term = self.number_of(TWO_32 - 1)
            return 32
        if node.op == OP_I64_EXTEND_I32_U:
            return self.bound(node.a, depth - 1)
        if node.op == OP_I64_EXTEND_I32_S:
            return self.bound_of_extension(node.a, depth - 1)
        return self.bound_of_operation(node, depth - 1)

    def bound_of_extension(self, value, depth):
        """Of the sign extension of an i32 that has no sign: it is small, or the counter of signed comparisons."""
        bits: cython.int = self.bound(value, depth)
        if value == self.now.counter and self.now.is_signed:
            return bits
        return bits if bits < 32 else 0

    def bound_of_parameter(self, value):
        """A counter, or what grows with it."""
        step: uint32_t
        bits: cython.int
        if value == self.now.counter:
            self.term = self.highest
            return 34
        step = self.step_of(value)
        if step == NO_VALUE or self.now.shift < 0:
            return 0
        self.now.rounds = True
        bits = self.bound(step, 0)
        if bits == 0:
            return 0
        self.term = self.put(OP_I64_MUL, self.last_round, self.term)
        self.term = self.put(OP_I64_ADD, self.wide(self.start_of(value)), self.term)
        return PRODUCT if bits == 32 else 33 + bits

    def bound_of_operation(self, node, depth):
        """From the bounds of the operands."""
        number: uint32_t = 0
        left: cython.int
        right: cython.int
        term: uint32_t
        op: uint32_t = OP_NARROW[node.op]
        wide: cython.bint = node.type == T_I64
        if op == OP_I32_AND and self.constant_of(node.b, cython.address(number)) and not (wide and number >= TWO_31):
            self.term = self.number_of(number)
            return bits_of(number)
        if op == OP_I32_ADD or op == OP_I32_OR or op == OP_I32_MUL:
            left = self.bound(node.a, depth)
            term = self.term
            right = self.bound(node.b, depth)
            if left == 0 or right == 0:
                return 0
            self.term = self.put(OP_I64_MUL if op == OP_I32_MUL else OP_I64_ADD, term, self.term)
            left = left + right if op == OP_I32_MUL else max(left, right) + 1
            return left if left <= BITS else 0
        if op == OP_I32_SHL or op == OP_I32_SHR_U:
            left = self.bound(node.a, depth) if self.constant_of(node.b, cython.address(number)) else 0
            if left == 0 or left > BITS:
                return 0
            number &= 63 if wide else 31
            self.term = self.put(OP_I64_SHL if op == OP_I32_SHL else OP_I64_SHR_U, self.term, self.number_of(number))
            if op == OP_I32_SHL:
                left += number
            return left if left <= BITS else 0
        return 0

    # ---- the choice before the loop ------------------------------------------------------------

    def terminator(self, node):
        """The branch into a loop that has two versions: to the choice between them if there are rounds enough to pay
        for it."""
        number: uint32_t = NO_VALUE
        edge: cython.pointer(Edge)
        loop: cython.pointer(Loop)
        if self.at == cython.NULL and node.op == IR_BR:
            number = self.loop[self.ssa.edges[node.c].target]
        Copies.terminator(self, node)
        if number == NO_VALUE or self.loops[number].copies == 1:
            return 0
        loop = cython.address(self.loops[number])
        self.select(number, loop)
        node.op = IR_BR_IF
        node.a = self.is_long()
        node.b = self.out.edge(self.number[loop.first] - 1, self.out.n_args, 0)
        edge = cython.address(self.out.edges[node.c])
        edge.target += loop.end - loop.first
        return 0

    def is_long(self):
        """Whether a loop has more than a few rounds, which also says that its counter begins before the limit."""
        start: uint32_t = self.wide(self.start_of(self.now.counter))
        few: uint32_t = self.number_of(cython.cast(uint64_t, SHORT) << max(self.now.shift, 0))
        limit: uint32_t = start
        if self.now.relation != COUNT_DOWN:
            limit = self.wide(self.now.limit)
            few = self.put(OP_I64_ADD, start, few)
        return self.out.node(OP_I64_GT_U, T_I32, 0, limit, few, NO_VALUE, self.position)

    def put_choice(self, number):
        """The block before two versions of a loop: it passes the arguments on to one of them."""
        loop: cython.pointer(Loop) = cython.address(self.loops[number])
        entry: uint32_t = self.entry[loop.first]
        fast: uint32_t
        self.out.block(self.ssa.blocks[entry].depth, 0)
        self.position = self.ssa.positions[self.ssa.blocks[entry].last - 1]
        self.select(number, loop)
        self.guard()
        fast = self.put_way(self.number[loop.first])
        self.put_way(self.number[loop.first] + loop.end - loop.first)
        return self.out.node(IR_BR_IF, T_NONE, 0, self.holds, fast, fast + 1, self.position)

    def put_way(self, target):
        """An edge with the arguments of the edge into the loop."""
        edge: cython.pointer(Edge) = cython.address(self.ssa.edges[self.now.into])
        start: uint32_t = self.out.n_args
        i: uint32_t
        for i in range(edge.args, edge.args + edge.nargs):
            self.out.arg(self.moved[self.ssa.args[i]])
        return self.out.edge(target, start, edge.nargs)

    def guard(self):
        """Whether every address that is bounded lies within its memory."""
        i: uint32_t
        need: cython.pointer(Need)
        bytes: uint32_t = 0
        self.holds = NO_VALUE
        self.n_small = 0
        self.guarding = True
        self.guard_counter()
        for i in range(self.now.n_needs):
            need = cython.address(self.now.needs[i])
            self.bound(need.address, DEPTH)
            self.term = self.put(OP_I64_ADD, self.term, self.number_of(need.end))
            if i == 0 or need.memory != self.now.needs[i - 1].memory:
                bytes = self.out.node(IR_MEMORY_BYTES, T_I64, 0, NO_VALUE, NO_VALUE, need.memory, self.position)
            self.require(OP_I64_LE_U, self.term, bytes)
        self.guarding = False
        return 0

    def guard_counter(self):
        """The highest value of the counter, how often the loop goes back at most, and what must hold for both. The
        counter begins before the limit: ``is_long`` said so."""
        start: uint32_t = self.wide(self.start_of(self.now.counter))
        step: uint32_t
        if self.now.relation == COUNT_DOWN:
            self.highest = start
            self.last_round = self.put(OP_I64_SHR_U, start, self.number_of(self.now.shift))
            return self.guard_multiple(start)
        self.highest = self.wide(self.now.limit)
        if self.now.relation == COUNT_UNLIKE:
            self.guard_multiple(self.put(OP_I64_SUB, self.highest, start))
        else:
            step = self.wide(self.now.step)
            if self.now.early:  # the step comes after the test
                self.highest = self.put(OP_I64_ADD, self.highest, step)
            if self.now.relation == COUNT_BELOW:
                self.highest = self.put(OP_I64_SUB, self.highest, self.number_of(1))
            if self.now.is_signed or self.now.rounds:
                # the step leads to no sign and to no smaller number
                step = self.put(OP_I64_ADD, self.highest, step)
                self.require(OP_I64_LT_U, step, self.number_of(TWO_31 if self.now.is_signed else TWO_31 * 2))
        if self.now.rounds:
            self.last_round = self.put(
                OP_I64_SHR_U, self.put(OP_I64_SUB, self.highest, start), self.number_of(self.now.shift)
            )
        return 0

    def guard_multiple(self, value):
        """Steps of more than one must meet what they are compared with."""
        if self.now.shift:
            rest: uint32_t = self.put(
                OP_I64_AND, value, self.number_of((cython.cast(uint64_t, 1) << self.now.shift) - 1)
            )
            self.require(OP_I64_EQ, rest, self.number_of(0))
        return 0

    def require(self, op, a, b):
        """One more comparison must hold."""
        value: uint32_t = self.out.node(op, T_I32, 0, a, b, NO_VALUE, self.position)
        if self.holds != NO_VALUE:
            value = self.out.node(OP_I32_AND, T_I32, 0, self.holds, value, NO_VALUE, self.position)
        self.holds = value
        return 0

    def put(self, op, a, b):
        """An operation on i64, where something is built; of numbers it is one."""
        result: uint64_t = 0
        if not self.building:
            return 0
        if (
            b != NO_VALUE
            and self.out.nodes[a].op == IR_CONST
            and self.out.nodes[b].op == IR_CONST
            and fold(op, self.known(a), self.known(b), cython.address(result))
        ):
            return self.number_of(result)
        return self.out.node(op, T_I64, 0, a, b, NO_VALUE, self.position)

    def known(self, value):
        """The number that a constant of the output is."""
        return self.out.nodes[value].a | cython.cast(uint64_t, self.out.nodes[value].b) << 32

    def number_of(self, value):
        """A number, where something is built."""
        if not self.building:
            return 0
        return self.out.node(
            IR_CONST,
            T_I64,
            0,
            cython.cast(uint32_t, value),
            cython.cast(uint32_t, value >> 32),
            NO_VALUE,
            self.position,
        )

    def wide(self, value):
        """A value from before the loop as i64, where something is built; the guard requires that it is below 2**32."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        if not self.building:
            return 0
        if node.type == T_I64:
            return self.small(value)
        if node.op == IR_CONST:
            return self.number_of(node.a)
        return self.put(OP_I64_EXTEND_I32_U, self.moved[value], NO_VALUE)

    def small(self, value):
        """An i64 from before the loop; the guard requires once that it is below 2**32."""
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        found: uint32_t = self.moved[value]
        i: uint32_t
        if node.op == IR_CONST:
            found = self.number_of(node.a | cython.cast(uint64_t, node.b) << 32)
        if not self.guarding or (node.op == IR_CONST and node.b == 0):
            return found
        for i in range(self.n_small):
            if self.smalls[i] == value:
                return found
        if self.n_small < MAX_NEEDS:
            self.smalls[self.n_small] = value
            self.n_small += 1
        self.require(OP_I64_LT_U, found, self.number_of(TWO_32))
        return found


def versions(ssa: Ssa, out: Ssa) -> None:
    """Run the pass and remove what it left dead: for tests; the compiler keeps a ``Versions`` and a ``Pruner``."""
    Versions().run(ssa, out)
    Pruner().run(out)
