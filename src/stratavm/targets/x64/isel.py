# strata: hot
"""Selection: SSA to x86-64 machine IR, block by block in order. Here: control flow and calls; values are in
``select_*``.

Rules (``rules_*``) say which shape an opcode has; the order of instructions is that of the nodes, except that a
comparison whose only user is a branch or select of its block is emitted there, as flags.
"""

import cython
from cython.cimports.libc.stdint import int32_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.failures import fail_wrong
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.contract._gen_layout import TRAP_OUT_OF_FUEL, TRAP_UNDEFINED_ELEMENT
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_CALLS,
    OF_COMPARE,
    OF_CONTROL,
    OF_LOAD,
    OF_QUICK,
    OF_READS,
    OF_STORE,
    OF_TRAP,
    OF_WRITES,
    OP_FLAGS,
    OP_RETURN_CALL,
    OP_RETURN_CALL_INDIRECT,
    OP_RETURN_CALL_REF,
)
from cython.cimports.stratavm.ir.ssa import (
    BF_LATE,
    BF_LOOP_HEADER,
    IR_BLOCK_PARAM,
    IR_BR,
    IR_BR_IF,
    IR_BR_TABLE,
    IR_CONST,
    IR_CONST_V128,
    IR_EXN,
    IR_FUEL,
    IR_INVOKE,
    IR_MEMORY_BYTES,
    IR_MULHI_S,
    IR_MULHI_U,
    IR_NOP,
    IR_PARAM,
    IR_POLL,
    IR_RESULT,
    IR_RETURN,
    IR_THROW,
    IR_TRAP,
    NO_VALUE,
    T_I64,
    T_V128,
    Block,
    Edge,
    Node,
    Ssa,
    edge_count,
    edge_of,
    operands_of,
)
from cython.cimports.stratavm.machine.minst import (
    C_ANY,
    C_FIXED,
    C_REG,
    C_SAME,
    MI_CALL,
    MI_EFFECT,
    MI_EXIT,
    MI_FLAGS_DEF,
    MI_FLAGS_USE,
    MI_INVOKE,
    MI_TERMINATOR,
    MI_TRAPS,
    NO_VREG,
    R_DEF,
    R_TEMP,
    R_USE,
    MBlock,
    MCode,
)
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    CPU_AVX,
    CPU_BMI1,
    MOP_AND_RR,
    MOP_LEA_RM,
    MOP_MOV_RM,
    R9,
    R10,
    RAX,
    RBP,
    RSP,
)
from cython.cimports.stratavm.targets.x64._gen_rules import (
    RULE_ROW,
    RULE_SHAPE,
    RULE_WIDTH,
    S_ALU,
    S_CALL,
    S_CALL_INDIRECT,
    S_CALL_REF,
    S_EQZ,
    S_LOAD,
    S_SELECT,
    S_STORE,
    S_V_TEST,
)
from cython.cimports.stratavm.targets.x64.plan import IN_STACK, ModulePlan, TypePlan, ValuePlace
from cython.cimports.stratavm.targets.x64.pseudo import (
    P_BR_TABLE,
    P_CALL,
    P_CALL_IMPORT,
    P_CALL_INDIRECT,
    P_CALL_REF,
    P_FUEL,
    P_INVOKE,
    P_JCC,
    P_JMP,
    P_LANDING,
    P_PARAMS,
    P_POLL,
    P_RETURN,
    POLL_FLOAT,
    POLL_IMPORTED,
)
from cython.cimports.stratavm.targets.x64.rows import row_address
from cython.cimports.stratavm.targets.x64.select_base import (
    NEAR,
    NODE_EARLY,
    NODE_FOLDED,
    NODE_FUSED,
    NODE_LATE,
    cell_width,
    class_of,
    is_const,
    is_fixed,
    load_of,
    store_of,
    width_of,
)

from stratavm.base import switches

# STRATA_POLL=never leaves the polls of loops out, to measure what they cost: such code cannot be stopped.
POLLS = cython.declare(cython.bint, switches.POLL.value() != "never")

STAYS = cython.declare(
    uint32_t, OF_TRAP | OF_LOAD | OF_STORE | OF_READS | OF_WRITES | OF_CALLS | OF_CONTROL | OF_COMPARE
)
"""What does not leave a loop: what has an effect or may trap, and comparisons, which wait for their branch."""
TIGHT = cython.declare(uint32_t, 64)
"""Nodes of a loop that operations of one cycle leave."""
MOST_ENTRIES = cython.declare(uint32_t, 256)
"""Entries of a br_table of which there is one for all that its index can be: as for a byte, as in interpreters."""
MOST_TESTS = cython.declare(uint32_t, 3)
"""Selects and branches that compare anew."""
STEPS = cython.declare(cython.int, 3)
"""Operations between an index and what bounds it."""


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def is_tail_call(op: uint32_t) -> cython.bint:
    """Whether an operation calls a function in the place of the one that it is in."""
    return op == OP_RETURN_CALL or op == OP_RETURN_CALL_INDIRECT or op == OP_RETURN_CALL_REF


@cython.cclass
class Selector(ObjectSelector):
    """Selects one function after another; reuses its arrays."""

    def __cinit__(self):
        self.block_map = cython.NULL
        self.stamps = cython.NULL
        self.stamped_by = cython.NULL
        self.cap_block_map = self.cap_stamps = self.cap_stamped_by = 0
        self.result_pointer = NO_VREG

    def __dealloc__(self):
        vec_free(self.block_map)
        vec_free(self.stamps)
        vec_free(self.stamped_by)

    def attach(self, plan: ModulePlan, ssa: Ssa, m: MCode, machine=(), split_edges: bool = False) -> None:
        """Say what ``run`` works on, and which passes of the machine level take part (``worker.MACHINE_PASSES``).

        ``split_edges``: a block on each edge from a branch to a join, where an allocator may move values.
        """
        self.split_edges = split_edges
        self.folding = "fold-loads" in machine
        self.leas = "lea" in machine
        self.leaving = "invariants" in machine
        self.tricks = "bits" in machine and (plan.cpu >> CPU_BMI1 & 1) != 0
        self.zeroing = "zero" in machine
        self.again = "remat" in machine
        self.keeping = split_edges and "pointers" in machine
        self.avx = plan.cpu >> CPU_AVX & 1
        self.plan = plan
        self.ssa = ssa
        self.m = m

    def run(self):
        """Fill ``m`` from ``ssa``."""
        self.prepare()
        self.forget_checks()
        self.result_pointer = self.held_until = self.tested = NO_VREG
        self.n_pointers = self.n_leavers = 0
        if self.ssa.func >= self.plan.n_funcs or not self.plan.types[self.plan.func_types[self.ssa.func]].usable:
            fail_wrong(b"function {} has a type that is none of a function", self.ssa.func, 0)
        self.map_blocks()
        i: uint32_t
        for i in range(self.ssa.n_blocks):
            self.fuse(cython.address(self.ssa.blocks[i]))
            if self.folding or self.leas or self.tricks:
                self.fold_block(self.ssa.blocks[i].first, self.ssa.blocks[i].last)
        for i in range(self.ssa.n_blocks):
            self.body(i)
        return self.place_early()

    # ---- blocks and edges ----------------------------------------------------------------------

    def map_blocks(self):
        """Number the machine blocks: each SSA block is followed by the edge blocks that its terminator needs."""
        n: uint32_t = self.ssa.n_blocks
        vec_room(self.block_map, self.cap_block_map, n + 1)
        vec_room(self.stamps, self.cap_stamps, n + 1)
        vec_room(self.stamped_by, self.cap_stamped_by, n + 1)
        memset(self.stamped_by, 0, cython.cast(cython.size_t, n) * cython.sizeof(uint32_t))
        memset(self.stamps, 0, cython.cast(cython.size_t, n) * cython.sizeof(uint32_t))
        number: uint32_t = 0
        i: uint32_t
        block: cython.pointer(Block)
        for i in range(n):
            block = cython.address(self.ssa.blocks[i])
            if block.last <= block.first or block.last > self.ssa.n_nodes:
                fail_wrong(b"block {} of function {} has no terminator", i, self.ssa.func)
            if self.stamps[i] and self.stamps[i] == block.preds:
                self.block_map[i] = NO_BLOCK
                continue
            self.block_map[i] = number
            number += 1 + self.edge_blocks(block.last - 1)
        memset(self.stamped_by, 0, cython.cast(cython.size_t, n) * cython.sizeof(uint32_t))
        return 0

    def edge_blocks(self, node):
        """How many edge blocks a terminator needs. ``stamps`` counts the ways that pass a test by."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        count: uint32_t = 0
        i: uint32_t
        edge: cython.pointer(Edge)
        if at.op == IR_BR:
            if self.tests(at.c) == 0:
                return 0
            self.stamps[self.ssa.edges[at.c].target] += 1
            if not self.decided(at.c):
                at = cython.address(self.ssa.nodes[self.tests(at.c)])
                return self.has_block(at.b) + self.has_block(at.c)
        elif at.op == IR_BR_IF or at.op == IR_INVOKE:
            count += self.has_block(at.b)
            count += at.op == IR_INVOKE or self.has_block(at.c)  # where exceptions land, there is one always
            self.pass_by(at.b)
            self.pass_by(at.c)
        elif at.op == IR_BR_TABLE:
            for i in range(at.c):
                edge = cython.address(self.ssa.edges[at.b + i])
                if self.has_block(at.b + i) and self.stamped_by[edge.target] != node + 1:
                    self.stamped_by[edge.target] = node + 1
                    count += 1
                self.pass_by(at.b + i)
        return count

    # ---- tests of a parameter that are passed by ----------------------------------------------------

    def tests(self, edge):
        """The terminator of the block where an edge leads, if all that this does is to ask whether its one parameter,
        which nothing else uses, is zero: ``if (result i32) … else i32.const 0 end br_if``. Else 0. What has passes of
        its own for that (``cfg``) finds none."""
        e: cython.pointer(Edge) = cython.address(self.ssa.edges[edge])
        if e.nargs != 1 or self.split_edges:
            return 0
        block: cython.pointer(Block) = cython.address(self.ssa.blocks[e.target])
        first: uint32_t = block.first
        last: uint32_t = block.last - 1
        node: cython.pointer(Node) = cython.address(self.ssa.nodes[last])
        if node.op != IR_BR_IF or self.uses[first] != 1 or block.flags & BF_LOOP_HEADER:
            return 0
        if node.a == first:
            return last if last == first + 1 else 0
        if last != first + 2 or node.a != first + 1 or self.uses[first + 1] != 1:
            return 0
        node = cython.address(self.ssa.nodes[first + 1])
        return last if self.negates(node) and node.a == first else 0

    def negates(self, node):
        """Whether a node asks whether an i32 is zero."""
        return node.op < N_OPS and RULE_SHAPE[node.op] == S_EQZ and RULE_WIDTH[node.op] == 4

    def decided(self, edge):
        """Whether the argument of an edge that leads to a test is a constant."""
        return is_const(self.ssa, self.ssa.args[self.ssa.edges[edge].args])

    def pass_by(self, edge):
        """Count a way that passes a test by, of a terminator that has more ways: its test is decided."""
        if self.tests(edge) and self.decided(edge):
            self.stamps[self.ssa.edges[edge].target] += 1
        return 0

    def way_of(self, test, holds):
        """The edge of a test that is taken if its parameter is not zero (``holds``), or is."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[test])
        if self.ssa.nodes[at.a].op != IR_BLOCK_PARAM:
            holds = not holds
        return at.b if holds else at.c

    def straight(self, edge):
        """Where an edge really leads, if it goes to tests that are decided. Each leads forward."""
        test: uint32_t = self.tests(edge)
        while test and self.decided(edge):
            edge = self.way_of(test, self.const_bits(self.ssa.args[self.ssa.edges[edge].args]) != 0)
            test = self.tests(edge)
        return edge

    def has_block(self, edge):
        """Whether an edge of a branch has a block of its own (a ``br_table`` has one per distinct target)."""
        e: cython.pointer(Edge) = cython.address(self.ssa.edges[edge])
        return e.nargs != 0 or (self.split_edges and self.ssa.blocks[e.target].preds > 1)

    def fuse(self, block):
        """Mark the comparisons of a block that their only user turns into a conditional instruction, and what is one
        instruction with another node."""
        last: uint32_t = block.last - 1
        i: uint32_t
        nodes: cython.pointer(Node) = self.ssa.nodes
        for i in range(block.first, last):
            if nodes[i].op >= N_OPS:
                if nodes[i].op == IR_MULHI_U or nodes[i].op == IR_MULHI_S:
                    self.mark_product(i, block.first)
            elif RULE_SHAPE[nodes[i].op] == S_SELECT:
                self.mark(block, nodes[i].c)
                self.mark_shared(block, i)
            elif RULE_SHAPE[nodes[i].op] == S_STORE or RULE_SHAPE[nodes[i].op] == S_V_TEST:
                self.mark_vector(i, block.first)
            elif RULE_SHAPE[nodes[i].op] == S_ALU and nodes[i].type == T_I64:
                self.mark_carry(i, block.first)
        if nodes[last].op == IR_BR_IF:
            self.mark(block, nodes[last].a)
        elif nodes[last].op == IR_BR and self.tests(nodes[last].c):
            self.mark(block, self.ssa.args[self.ssa.edges[nodes[last].c].args])
        return 0

    def mark(self, block, node):
        """Mark a condition, and the comparison that it negates or the mask that it tests; never deeper, so that nothing
        recurses on the input."""
        if self.uses[node] != 1 or node < block.first or node >= block.last:
            return 0
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if not self.is_condition(node):
            return self.mark_mask(block, node)
        self.marks[node] |= NODE_FUSED
        if self.is_zero_test(at):
            return self.mark_mask(block, at.b if is_const(self.ssa, at.a) else at.a)
        if RULE_SHAPE[at.op] != S_EQZ:
            return 0
        if not self.is_condition(at.a):
            return self.mark_mask(block, at.a)
        if self.uses[at.a] == 1 and at.a >= block.first and RULE_SHAPE[self.ssa.nodes[at.a].op] != S_EQZ:
            self.marks[at.a] |= NODE_FUSED
        return 0

    def mark_shared(self, block, n):
        """Mark a comparison that several selects of a block, of which ``n`` is the first, and perhaps its branch make
        into flags: each compares anew where they are not there any more, which is shorter than a number and its tests.
        """
        node: uint32_t = self.ssa.nodes[n].c
        last: uint32_t = block.last - 1
        i: uint32_t
        found: uint32_t = self.ssa.nodes[last].op == IR_BR_IF and self.ssa.nodes[last].a == node
        at: cython.pointer(Node)
        if self.uses[node] == 1 or node < block.first or node >= block.last or self.marks[node]:
            return 0
        for i in range(n, min(last, n + NEAR)):
            at = cython.address(self.ssa.nodes[i])
            found += at.op < N_OPS and RULE_SHAPE[at.op] == S_SELECT and at.c == node
        if found == self.uses[node] and found <= MOST_TESTS and self.is_condition(node):
            self.marks[node] |= NODE_FUSED
        return 0

    def mark_mask(self, block, node):
        """Mark an ``and`` that nothing but a comparison with zero uses."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[node])
        if self.uses[node] == 1 and node >= block.first and at.op < N_OPS and RULE_ROW[at.op] == MOP_AND_RR:
            self.marks[node] |= NODE_FUSED
        return 0

    def open_block(self, depth, flags):
        """Begin the next machine block."""
        n: uint32_t = self.m.n_blocks
        vec_room(self.m.blocks, self.m.cap_blocks, n + 1)
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[n])
        block.first = self.m.n_insts
        block.last = self.m.n_insts
        block.params = self.m.n_block_params
        block.nparams = 0
        block.edges = self.m.n_edges
        block.nedges = 0
        block.depth = depth
        block.flags = flags
        self.m.n_blocks = n + 1
        return 0

    def close_block(self):
        """End the newest machine block."""
        block: cython.pointer(MBlock) = cython.address(self.m.blocks[self.m.n_blocks - 1])
        block.last = self.m.n_insts
        block.nedges = self.m.n_edges - block.edges
        return 0

    def add_edge(self, target):
        """An edge of the newest block, without arguments yet."""
        n: uint32_t = self.m.n_edges
        vec_room(self.m.edges, self.m.cap_edges, n + 1)
        self.m.edges[n].target = target
        self.m.edges[n].args = self.m.n_edge_args
        self.m.edges[n].nargs = 0
        self.m.n_edges = n + 1
        return 0

    def body(self, number):
        """One SSA block and the edge blocks behind it."""
        block: cython.pointer(Block) = cython.address(self.ssa.blocks[number])
        if self.block_map[number] == NO_BLOCK:
            return 0
        self.open_block(block.depth, block.flags)
        self.enter_block(number)
        self.at = block.first
        if block.first >= self.held_until:
            self.let_go()
        self.quotient = NO_VREG
        if number == 0:
            self.incoming(block)
        else:
            self.block_params(block)
        i: uint32_t
        op: uint32_t
        nodes: cython.pointer(Node) = self.ssa.nodes
        for i in range(block.first, block.last):
            breathe(i)
            op = nodes[i].op
            if op == IR_CONST:
                continue
            self.at = i
            if op < N_OPS:
                self.node(i)
            elif op == IR_MULHI_U or op == IR_MULHI_S:
                self.high_product(i, op == IR_MULHI_S)
            elif op == IR_MEMORY_BYTES:
                self.memory_bytes(self.ssa.nodes[i].c, self.define(i))
            elif op == IR_POLL:
                self.poll(i, number)
            elif op == IR_FUEL:
                self.pseudo(P_FUEL, 0, MI_TRAPS | MI_EFFECT | MI_FLAGS_DEF)
                self.m.last().imm = self.ssa.nodes[i].c
                self.m.last().aux = TRAP_OUT_OF_FUEL
            elif op == IR_BR:
                if self.leaving and self.enters_loop(nodes[i].c, number + 1):
                    self.leave(number + 1)
                    self.at = i
                self.go(nodes[i].c, number)
            elif op == IR_BR_IF:
                self.branch(nodes[i].a, nodes[i].b, nodes[i].c, number)
            elif op == IR_BR_TABLE:
                self.branch_table(i, number)
            elif op == IR_INVOKE:
                self.invoke(nodes[i].b, nodes[i].c, number)
            elif op == IR_RETURN:
                self.ret(i)
            elif op == IR_TRAP:
                self.trap(nodes[i].c)
                self.close_block()
            elif IR_THROW <= op <= IR_EXN:
                self.exceptional(i)
            elif op == IR_CONST_V128:
                self.keep(i)
            elif op != IR_PARAM and op != IR_BLOCK_PARAM and op != IR_RESULT and op != IR_NOP:
                self.unsupported(op)
        return 0

    def node(self, n):
        """An operation that is a row."""
        op: uint32_t = self.ssa.nodes[n].op
        shape: uint32_t = RULE_SHAPE[op]
        if self.marks[n] & (NODE_FUSED | NODE_FOLDED | NODE_EARLY | NODE_LATE):
            return 0
        if self.uses[n] == 0 and not OP_FLAGS[op] & (OF_TRAP | OF_CALLS | OF_WRITES | OF_READS):
            return 0
        if shape == S_LOAD:
            return self.load(n)
        if shape == S_STORE:
            return self.store(n)
        if (
            self.numeric(n, shape)
            or self.memory(n, shape)
            or self.vector(n, shape)
            or self.atomic(n, shape)
            or self.object(n, shape)
        ):
            return 0
        if shape == S_CALL or shape == S_CALL_INDIRECT or shape == S_CALL_REF:
            return self.call(n, shape)
        return self.unsupported(op)

    # ---- what leaves a loop ----------------------------------------------------------------------

    def enters_loop(self, edge, header):
        """Whether an edge leads to the next block, and that heads a loop."""
        return self.ssa.edges[edge].target == header and self.ssa.blocks[header].flags & BF_LOOP_HEADER

    def leave(self, header):
        """Compute what an innermost loop would compute in each round from values of outside, in the block before it,
        which leads there alone. What level 1 does with more care (``ir.passes.licm``), for where no pass ran."""
        i: uint32_t
        n: uint32_t
        shape: uint32_t
        last: uint32_t = self.loop_end(header)
        self.n_leavers = 0
        if last:
            self.find_leavers(self.ssa.blocks[header].first, last)
            if self.avx and self.ssa.n_constants:
                self.hold(self.ssa.blocks[header].first, last)
        for i in range(self.n_leavers):
            n = self.leavers[i]
            self.at = n
            shape = RULE_SHAPE[self.ssa.nodes[n].op]
            if not self.numeric(n, shape) and not self.vector(n, shape) and not self.object(n, shape):
                fail_wrong(b"node {} cannot leave its loop", n)
        return 0

    def loop_end(self, header):
        """The node behind the last way back to a header, if no other loop lies between and one way leads there from
        outside; else 0."""
        block: cython.pointer(Block) = cython.address(self.ssa.blocks[header])
        depth: uint32_t = block.depth
        ways: uint32_t = block.preds
        end: uint32_t = 0
        number: uint32_t
        k: uint32_t
        node: cython.pointer(Node)
        for number in range(header, self.ssa.n_blocks):
            block = cython.address(self.ssa.blocks[number])
            if number > header and (block.flags & BF_LOOP_HEADER or block.depth < depth):
                if block.depth > depth:
                    return 0
                break
            node = cython.address(self.ssa.nodes[block.last - 1])
            for k in range(edge_count(node)):
                if self.ssa.edges[edge_of(node, k)].target == header:
                    end = block.last
                    ways -= 1
        return end if ways == 1 else 0

    def find_leavers(self, first, last):
        """Mark the nodes [first, last) that leave their loop. None leaves one that calls: nothing stays in a register
        there."""
        i: uint32_t
        op: uint32_t
        tight: cython.bint = last - first <= TIGHT
        nodes: cython.pointer(Node) = self.ssa.nodes
        for i in range(first, last):
            op = nodes[i].op
            if op >= N_OPS:
                continue
            if OP_FLAGS[op] & OF_CALLS:
                while self.n_leavers:
                    self.n_leavers -= 1
                    self.marks[self.leavers[self.n_leavers]] &= ~cython.cast(uint8_t, NODE_EARLY)
                return 0
            if OP_FLAGS[op] & STAYS or (OP_FLAGS[op] & OF_QUICK and not tight) or self.n_leavers == MOST_EARLY:
                continue
            if self.can_leave(i, first):
                self.marks[i] |= NODE_EARLY
                self.leavers[self.n_leavers] = i
                self.n_leavers += 1
        return 0

    def can_leave(self, n, first):
        """Whether a node has a value of its own, which comes from outside."""
        k: uint32_t
        known: cython.bint = True
        values: cython.pointer(uint32_t) = cython.NULL
        count: uint32_t = operands_of(cython.address(self.ssa.nodes[n]), self.ssa.args, cython.address(values))
        if count == 0 or self.marks[n] & (NODE_FUSED | NODE_FOLDED | NODE_LATE) or self.uses[n] == 0:
            return False
        for k in range(count):
            known = known and (values[k] == NO_VALUE or self.outside(values[k], first))
        return known

    def outside(self, value, first):
        """Whether a value is known before the node ``first`` of a loop, itself or as a part of its user."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[value])
        if value < first or is_fixed(self.ssa, value) or self.marks[value] & NODE_EARLY:
            return True
        if not self.marks[value] & NODE_FOLDED or RULE_SHAPE[at.op] == S_LOAD:
            return False
        return is_const(self.ssa, at.b) and (at.a < first or is_const(self.ssa, at.a) or self.marks[at.a] & NODE_EARLY)

    def keep_operands(self, poll):
        """What the nodes that left the loop of a poll are computed from is alive there: level 1 computes them again
        where it goes on from that poll (``native.osr``)."""
        i: uint32_t
        k: uint32_t
        value: uint32_t
        values: cython.pointer(uint32_t) = cython.NULL
        for i in range(self.n_leavers):
            node: cython.pointer(Node) = cython.address(self.ssa.nodes[self.leavers[i]])
            for k in range(operands_of(node, self.ssa.args, cython.address(values))):
                value = values[k]
                if value != NO_VALUE and self.marks[value] & NODE_FOLDED:
                    value = self.ssa.nodes[value].a
                if value < poll and not is_fixed(self.ssa, value):
                    self.m.operand(self.define(value), R_USE, C_ANY, 0)
        self.n_leavers = 0
        return 0

    def incoming(self, block):
        """The parameters of the function: registers in one pseudo operation, then loads of the stack cells."""
        if self.ssa.entered:
            return self.incoming_values(block)
        type: cython.pointer(TypePlan) = cython.address(self.plan.types[self.plan.func_types[self.ssa.func]])
        place: cython.pointer(ValuePlace)
        self.pseudo(P_PARAMS, 0, MI_EFFECT)
        i: uint32_t
        at: cython.pointer(Node)
        for i in range(block.first, block.first + block.params):
            at = cython.address(self.ssa.nodes[i])
            if at.op != IR_PARAM or at.c >= type.n_params:
                fail_wrong(b"parameter node {} of function {} is wrong", i, self.ssa.func)
            place = cython.address(self.plan.places[type.first + at.c])
            if place.reg != IN_STACK and self.uses[i]:
                self.m.operand(self.define(i), R_DEF, C_FIXED, place.reg)
        if type.result_bytes:
            self.result_pointer = self.fresh(T_I64)
            self.m.operand(self.result_pointer, R_DEF, C_FIXED, R9)
        for i in range(block.first, block.first + block.params):
            at = cython.address(self.ssa.nodes[i])
            place = cython.address(self.plan.places[type.first + at.c])
            if place.reg == IN_STACK and self.uses[i]:
                self.row(load_of(at.type), width_of(at.type), self.define(i), NO_VREG, NO_VREG)
                self.on_base(RBP, 16 + place.offset)
        return 0

    def incoming_values(self, block):
        """The parameters of a form that begins at the head of a loop: words in memory, at rax, the result pointer
        behind them."""
        type: cython.pointer(TypePlan) = cython.address(self.plan.types[self.plan.func_types[self.ssa.func]])
        words: uint32_t = self.fresh(T_I64)
        at: cython.pointer(Node)
        i: uint32_t
        offset: int32_t = 0
        self.pseudo(P_PARAMS, 0, MI_EFFECT)
        self.m.operand(words, R_DEF, C_FIXED, RAX)
        for i in range(block.first, block.first + block.params):
            at = cython.address(self.ssa.nodes[i])
            if self.uses[i]:
                self.row(load_of(at.type), width_of(at.type), self.define(i), NO_VREG, NO_VREG)
                row_address(self.m, words, NO_VREG, 0, offset)
            offset += 16 if at.type == T_V128 else 8
        if type.result_bytes:
            self.result_pointer = self.fresh(T_I64)
            self.row(MOP_MOV_RM, 8, self.result_pointer, NO_VREG, NO_VREG)
            row_address(self.m, words, NO_VREG, 0, offset)
        return 0

    def polls_next(self, number):
        """Whether a loop begins with another one, which polls itself."""
        last: cython.pointer(Node) = cython.address(self.ssa.nodes[self.ssa.blocks[number].last - 1])
        if last.op != IR_BR or self.ssa.edges[last.c].target <= number:
            return False
        inner: cython.pointer(Block) = cython.address(self.ssa.blocks[self.ssa.edges[last.c].target])
        return self.ssa.nodes[inner.first + inner.params].op == IR_POLL

    def poll(self, n, number):
        """Where others run; the value that is a global's meanwhile stays in one register."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        if at.a == NO_VALUE and self.keeping and self.polls_next(number):
            return 0
        if at.a == NO_VALUE:
            if not POLLS:
                return 0
            self.pseudo(P_POLL, 0, MI_EFFECT)
            return self.keep_operands(n) if self.n_leavers and self.plan.counting else 0
        if not POLLS:
            self.vregs[n] = self.value(at.a)
            return 0
        result: uint32_t = self.define(n)
        value: uint32_t = self.value(at.a)
        self.pseudo(P_POLL, width_of(at.type), MI_EFFECT)
        self.m.last().cc = (POLL_FLOAT if class_of(at.type) else 0) | (
            POLL_IMPORTED if at.c < self.plan.n_imported_globals else 0
        )
        self.m.last().aux = self.plan.globals + 16 * at.c
        self.m.operand(result, R_DEF, C_SAME, 1)
        return self.m.operand(value, R_USE, C_REG, 0)

    def block_params(self, block):
        """The block's parameters as virtual registers."""
        n: uint32_t = self.m.n_block_params
        vec_room(self.m.block_params, self.m.cap_block_params, n + block.params + 1)
        i: uint32_t
        for i in range(block.params):
            self.m.block_params[n + i] = self.define(block.first + i)
        self.m.n_block_params = n + block.params
        self.m.blocks[self.m.n_blocks - 1].nparams = block.params
        return 0

    def jump(self, edge):
        """An unconditional branch with its arguments."""
        edge = self.straight(edge)
        e: cython.pointer(Edge) = cython.address(self.ssa.edges[edge])
        first: uint32_t = self.m.n_edge_args
        vec_room(self.m.edge_args, self.m.cap_edge_args, first + e.nargs + 1)
        i: uint32_t
        for i in range(e.nargs):
            self.m.edge_args[first + i] = self.value(self.ssa.args[e.args + i])
        self.add_edge(self.block_map[e.target])
        self.m.edges[self.m.n_edges - 1].nargs = e.nargs
        self.m.n_edge_args = first + e.nargs
        return self.pseudo(P_JMP, 0, MI_TERMINATOR)

    def edge_target(self, edge, following):
        """Where a conditional branch goes: its target, or a new edge block that will pass the arguments."""
        if not self.has_block(edge):
            return self.block_map[self.ssa.edges[edge].target]
        following[0] += 1
        return following[0] - 1

    def go(self, edge, number):
        """Where a block has one way: a jump, or what its target would test."""
        test: uint32_t = self.tests(edge)
        if test and not self.decided(edge):
            value: uint32_t = self.ssa.args[self.ssa.edges[edge].args]
            return self.branch(value, self.way_of(test, True), self.way_of(test, False), number)
        self.jump(edge)
        return self.close_block()

    def branch(self, condition, taken, otherwise, number):
        """A conditional branch, and its edge blocks."""
        cc: uint32_t = self.condition(condition)
        following: uint32_t = self.block_map[number] + 1
        self.add_edge(self.edge_target(taken, cython.address(following)))
        self.add_edge(self.edge_target(otherwise, cython.address(following)))
        self.pseudo(P_JCC, 0, MI_TERMINATOR | MI_FLAGS_USE)
        self.m.last().cc = cc
        self.close_block()
        i: uint32_t
        edges: uint32_t[2]
        edges[0] = taken
        edges[1] = otherwise
        for i in range(2):
            if self.has_block(edges[i]):
                self.open_block(self.ssa.blocks[number].depth, self.ssa.blocks[number].flags & BF_LATE)
                self.jump(edges[i])
                self.close_block()
        return 0

    def invoke(self, returns, lands, number):
        """The ways out of a call: where it returns to, and where it lands with an exception. There the stack is put in
        order, then arguments are passed; its code stands behind that of all others."""
        following: uint32_t = self.block_map[number] + 2
        block: cython.pointer(Block) = cython.address(self.ssa.blocks[number])
        self.add_edge(self.edge_target(returns, cython.address(following)))
        self.add_edge(self.block_map[number] + 1)
        self.pseudo(P_INVOKE, 0, MI_TERMINATOR | MI_INVOKE)
        self.close_block()
        self.open_block(block.depth, BF_LATE)
        self.pseudo(P_LANDING, 0, MI_EFFECT)
        self.jump(lands)
        self.close_block()
        if self.has_block(returns):
            self.open_block(block.depth, block.flags & BF_LATE)
            self.jump(returns)
            self.close_block()
        return 0

    def branch_table(self, n, number):
        """A jump table: an edge per entry, an edge block per distinct target that has one."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        index: uint32_t = self.value(at.a)
        scratch: uint32_t = self.fresh(T_I64)
        low: uint32_t = 0
        following: uint32_t = self.block_map[number] + 1
        first: uint32_t = following
        target: uint32_t
        i: uint32_t
        for i in range(at.c):
            target = self.ssa.edges[at.b + i].target
            if self.has_block(at.b + i) and self.stamped_by[target] == n + 1:
                self.add_edge(self.stamps[target])
                continue
            self.add_edge(self.edge_target(at.b + i, cython.address(following)))
            self.stamped_by[target] = n + 1
            self.stamps[target] = following - 1
        self.pseudo(P_BR_TABLE, 0, MI_TERMINATOR)
        self.m.last().imm = self.table_length(n, cython.address(low))
        self.m.last().aux = low
        self.m.operand(index, R_USE, C_REG, 0)
        self.m.operand(scratch, R_TEMP, C_REG, 0)
        self.close_block()
        for i in range(at.c):
            target = self.ssa.edges[at.b + i].target
            if self.has_block(at.b + i) and self.stamps[target] == first:
                first += 1
                self.open_block(self.ssa.blocks[number].depth, self.ssa.blocks[number].flags & BF_LATE)
                self.jump(at.b + i)
                self.close_block()
        return 0

    def table_length(self, n, low):
        """How many entries the table of a br_table has that has one for each index that its operations can give, even
        where the processor goes on past a wrong guess, and the index of the first; 0 if that would be too many, so that
        the index is clamped."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        most: uint64_t = 2 * cython.cast(uint64_t, at.c)
        size: uint32_t = self.span_of(at.a, STEPS, low)
        if most > MOST_ENTRIES:
            most = MOST_ENTRIES
        if cython.cast(uint64_t, low[0]) + size < most:
            size += low[0]
            low[0] = 0
        if size < most:
            return size + 1
        low[0] = 0
        return 0

    def ret(self, n):
        """Return: cells first, then the registers."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        type: cython.pointer(TypePlan) = cython.address(self.plan.types[self.plan.func_types[self.ssa.func]])
        first: uint32_t = type.first + type.n_params
        place: cython.pointer(ValuePlace)
        values: uint32_t[16]
        regs: uint32_t[16]
        count: uint32_t = 0
        i: uint32_t
        v: uint32_t
        if at.c != type.n_results:
            fail_wrong(b"return of {} values, the type has {}", at.c, type.n_results)
        for i in range(at.c):
            place = cython.address(self.plan.places[first + i])
            v = self.value(self.ssa.args[at.b + i])
            if place.reg == IN_STACK:
                self.row(store_of(place.type), cell_width(place.type), v, NO_VREG, NO_VREG)
                row_address(self.m, self.result_pointer, NO_VREG, 0, place.offset)
            else:
                values[count] = v
                regs[count] = place.reg
                count += 1
        self.pseudo(P_RETURN, 0, MI_TERMINATOR | MI_EXIT | MI_EFFECT)
        self.m.last().imm = type.stack_bytes
        for i in range(count):
            self.m.operand(values[i], R_USE, C_FIXED, regs[i])
        return self.close_block()

    # ---- calls ---------------------------------------------------------------------------------

    def call(self, n, shape):
        """A call through a slot, an imported FuncRec, a table or a reference; in the place of this function, maybe."""
        at: cython.pointer(Node) = cython.address(self.ssa.nodes[n])
        tail: cython.bint = is_tail_call(at.op)
        x: uint32_t = self.ssa.args[at.b + at.c]
        table: uint32_t = self.ssa.args[at.b + at.c + 1]
        indirect: cython.bint = shape != S_CALL
        type_index: uint32_t = x if indirect else self.plan.func_types[x]
        type: cython.pointer(TypePlan) = cython.address(self.plan.types[type_index])
        index: uint32_t = NO_VREG
        if not type.usable or at.c != type.n_params + (1 if indirect else 0):
            fail_wrong(b"a call of type {} with {} operands", type_index, at.c)
        area: uint32_t = type.stack_bytes if tail else type.stack_bytes + type.result_bytes
        if area > self.m.out_arg_bytes:
            self.m.out_arg_bytes = area
        if indirect:
            index = self.value(self.ssa.args[at.b + at.c - 1])
        if shape == S_CALL_INDIRECT:
            self.table_bounds(index, table, TRAP_UNDEFINED_ELEMENT)
        self.arguments(type, at.b, tail)
        if not indirect:
            # The operands were appended to P_CALL by arguments(): now say whom.
            if x < self.plan.n_imported_funcs:
                self.m.last().op = P_CALL_IMPORT
                self.m.last().aux = self.plan.imported_funcs + 8 * x
            else:
                self.m.last().aux = x - self.plan.n_imported_funcs
        else:
            self.m.last().op = P_CALL_INDIRECT if shape == S_CALL_INDIRECT else P_CALL_REF
            self.m.last().flags |= MI_TRAPS
            self.m.last().aux = type_index
            if shape == S_CALL_INDIRECT:
                self.m.last().disp = self.plan.tables + 16 * table
            self.m.operand(index, R_USE, C_FIXED, R10)
        self.m.last().imm = type.stack_bytes
        if tail:
            return self.close_block()
        self.call_results(n, type, True)
        return self.call_results(n, type, False)

    def arguments(self, type, first, tail):
        """Store the stack arguments, then begin a P_CALL with the register arguments. A ``tail`` call has the cells for
        further results that this function was given."""
        values: uint32_t[17]
        regs: uint32_t[17]
        count: uint32_t = 0
        place: cython.pointer(ValuePlace)
        i: uint32_t
        v: uint32_t
        for i in range(type.n_params):
            place = cython.address(self.plan.places[type.first + i])
            v = self.value(self.ssa.args[first + i])
            if place.reg == IN_STACK:
                self.row(store_of(place.type), cell_width(place.type), v, NO_VREG, NO_VREG)
                self.on_base(RSP, place.offset)
            else:
                values[count] = v
                regs[count] = place.reg
                count += 1
        if type.result_bytes:
            v = self.result_pointer
            if not tail:
                v = self.fresh(T_I64)
                self.row(MOP_LEA_RM, 8, v, NO_VREG, NO_VREG)
                self.on_base(RSP, type.stack_bytes)
            values[count] = v
            regs[count] = R9
            count += 1
        self.pseudo(P_CALL, 0, (MI_TERMINATOR | MI_EXIT if tail else MI_CALL) | MI_EFFECT)
        for i in range(count):
            self.m.operand(values[i], R_USE, C_FIXED, regs[i])
        return 0

    def call_results(self, n, type, in_registers):
        """Results in registers are operands of the call; the others are loaded from their cells behind it."""
        first: uint32_t = type.first + type.n_params
        place: cython.pointer(ValuePlace)
        at: cython.pointer(Node)
        node: uint32_t = n
        number: uint32_t = 0
        while number < type.n_results:
            place = cython.address(self.plan.places[first + number])
            if self.uses[node] and (place.reg != IN_STACK) == in_registers:
                if in_registers:
                    self.m.operand(self.define(node), R_DEF, C_FIXED, place.reg)
                else:
                    self.row(load_of(place.type), width_of(place.type), self.define(node), NO_VREG, NO_VREG)
                    self.on_base(RSP, type.stack_bytes + place.offset)
            node += 1
            if node >= self.ssa.n_nodes:
                break
            at = cython.address(self.ssa.nodes[node])
            if at.op != IR_RESULT or at.a != n:
                break
            number = at.c
        return 0
