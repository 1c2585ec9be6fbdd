# strata: hot
"""Value numbering: one walk that folds constants, applies identities, shares what was computed, and forwards loads.

The walk streams the input into a new form. A value is shared where the block that computed it dominates; what reads
memory or globals carries an *epoch*, which every write, call and poll ends, so that a load is shared or fed by a store
only where nothing can have come between. Objects have epochs by kinds of places, no two of which are ever the same, and
these go on where ways meet between which nothing wrote. A trapping operation may be shared: its twin has trapped
already, or will not. Nothing moves. The hash buckets are bounded (``PROBES``), so that the pass is linear. Sources:
Click, "Global code motion, global value numbering" (1995) for the idea; the effects rules are in the idea page on
effects.
"""

import cython
from cython.cimports.libc.stdint import int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.ir.ops import (
    N_OPS,
    OF_CALLS,
    OF_COMPARE,
    OF_CONTROL,
    OF_LOAD,
    OF_QUICK,
    OF_READS,
    OF_STORE,
    OF_WRITES,
    OP_ACCESS,
    OP_ARRAY_FILL,
    OP_ARRAY_GET,
    OP_ARRAY_LEN,
    OP_ARRAY_NEW,
    OP_ARRAY_NEW_DEFAULT,
    OP_ARRAY_NEW_FIXED,
    OP_ARRAY_SET,
    OP_FLAGS,
    OP_GLOBAL_GET,
    OP_GLOBAL_SET,
    OP_MEMORY_SIZE,
    OP_OPERANDS,
    OP_RELOAD,
    OP_STRUCT_GET,
    OP_STRUCT_NEW,
    OP_STRUCT_SET,
)
from cython.cimports.stratavm.ir.passes.algebra import CHANGED, NONE, flags_of
from cython.cimports.stratavm.ir.passes.dominance import Dominance
from cython.cimports.stratavm.ir.passes.identities import Identities, order_operands
from cython.cimports.stratavm.ir.ssa import (
    BF_LOOP_HEADER,
    IR_BR_IF,
    IR_CONST,
    IR_CONST_V128,
    IR_MULHI_S,
    IR_MULHI_U,
    IR_NOP,
    IR_POLL,
    IR_THROW,
    IR_THROW_REF,
    NF_CHECKED,
    NF_FIXED,
    NO_VALUE,
    T_I32,
    T_NONE,
    T_V128,
    MemArg,
    Node,
)

from stratavm.ir.passes._gen_rule_names import RULES

PROBES = cython.declare(cython.int, 12)
"""Entries of a bucket that are looked at: the newest ones."""
VF_FOLD = cython.declare(uint32_t, 1)
VF_SHARE = cython.declare(uint32_t, 2)
VF_LOADS = cython.declare(uint32_t, 4)
VF_CHECKS = cython.declare(uint32_t, 16)
VF_STRENGTH = cython.declare(uint32_t, 32)
FIELDS = cython.declare(uint32_t, 16)
"""Fields of a new struct that are known."""
REDUCTIONS = cython.declare(cython.int, 6)
"""Identities applied to one node, one after the other."""

SWITCHES = {"fold": 1, "share": 2, "loads": 4, "checks": 16, "strength": 32}
"""What can be switched off alone, for ablation and for finding a culprit."""
KINDS = {number: name for name, number in SWITCHES.items()} | {rule[0]: name for name, rule in RULES.items()}
"""Names of what is done to a node, rules among them."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def kind_of(op: uint32_t, type: uint8_t, field: uint32_t) -> uint32_t:
    """The kind of the place that a row is about. What can be written has one type, whatever the type of the reference
    says; and a field has one number."""
    return FIRST_FIELD + field % (PLACES - FIRST_FIELD) if op < OP_ARRAY_NEW else type


@cython.cclass
class Values(Identities):
    """Scratch memory of the pass, reused from function to function."""

    def __init__(self, switches: object = ("fold", "share", "loads")) -> None:
        super().__init__(KINDS)
        self.flags = 0
        self.tree = Dominance()
        for name in switches:
            self.flags |= SWITCHES[name]
        self.strong = (self.flags & VF_STRENGTH) != 0

    def __dealloc__(self):
        free(self.memory)
        free(self.globals)
        free(self.places)
        free(self.heads)
        free(self.entries)
        free(self.same)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(-1, check=False)
    def apply(self) -> cython.int:
        """The pass."""
        block: uint32_t
        i: uint32_t
        self.begin()
        self.reserve()
        self.tree.find(self.ssa)
        for block in range(self.ssa.n_blocks):
            self.out.block(self.ssa.blocks[block].depth, self.ssa.blocks[block].flags)
            self.out.blocks[block].params = self.ssa.blocks[block].params
            self.out.blocks[block].preds = self.ssa.blocks[block].preds
            self.enter_block(block)
            for i in range(self.ssa.blocks[block].first, self.ssa.blocks[block].last):
                breathe(i)
                self.moved[i] = self.rewrite(i)
            self.leave_block(block)
        if self.out.n_blocks:
            self.out.blocks[self.out.n_blocks - 1].last = self.out.n_nodes
        self.finish_edges()
        return 0

    def reserve(self):
        """Room for the function; an empty hash table."""
        nodes: uint32_t = self.ssa.n_nodes + 1
        blocks: uint32_t = self.ssa.n_blocks + 1
        word: cython.size_t = cython.sizeof(uint32_t)
        vec_room(self.memory, self.cap_memory, blocks)
        vec_room(self.globals, self.cap_globals, blocks)
        vec_room(self.places, self.cap_places, blocks * PLACES)
        memset(self.ended, 0, cython.sizeof(self.ended))
        self.mask = 15
        while self.mask < nodes:
            self.mask = self.mask * 2 + 1
        vec_room(self.heads, self.cap_heads, self.mask + 1)
        memset(self.heads, 0xFF, (self.mask + 1) * word)
        self.n_entries = 0
        self.epochs = 0
        return 0

    def enter_block(self, block):
        """Epochs go on from a single predecessor; a join or a loop begins new ones."""
        only: uint32_t = self.tree.only[block]
        self.block = block
        self.enter_objects(block)
        if only != NO_VALUE and not self.ssa.blocks[block].flags & BF_LOOP_HEADER:
            self.now_memory = self.memory[only]
            self.now_globals = self.globals[only]
        else:
            self.epochs += 2
            self.now_memory = self.epochs - 1
            self.now_globals = self.epochs
        return 0

    def enter_objects(self, block):
        """Epochs of objects go on from where all ways to a block come from, if none ended on them: they lie between the
        two in the order of blocks, and a loop is entered by its header alone, where all epochs end."""
        kind: uint32_t
        above: uint32_t = self.tree.dominator[block]
        if block == 0 or self.ssa.blocks[block].flags & BF_LOOP_HEADER:
            return self.end_objects()
        for kind in range(PLACES):
            if self.ended[kind] <= above:
                self.now[kind] = self.places[above * PLACES + kind]
            else:
                self.epochs += 1
                self.now[kind] = self.epochs
        return 0

    def leave_block(self, block):
        """Note the epochs for the blocks behind."""
        self.memory[block] = self.now_memory
        self.globals[block] = self.now_globals
        memcpy(self.places + block * PLACES, self.now, cython.sizeof(self.now))
        return 0

    # ---- nodes ----

    def rewrite(self, index):
        """Put an input node, or what stands for it, into the output; its value there."""
        node: Node = self.ssa.nodes[index]
        flags: uint32_t
        self.index = index
        self.position = self.ssa.positions[index]
        self.map_operands(cython.address(node))
        if node.op >= 0x8000:
            if node.op == IR_CONST:
                return self.constant(node.type, node.a | cython.cast(uint64_t, node.b) << 32)
            if node.op == IR_CONST_V128:
                low: uint64_t = self.ssa.constants[node.a]
                high: uint64_t = self.ssa.constants[node.a + 1]
                value: uint32_t = self.find_vector(low, high)
                return value if value != NO_VALUE else self.learn_vector(low, high, self.emit(cython.address(node)))
            if node.op == IR_POLL or node.op == IR_THROW or node.op == IR_THROW_REF:
                return self.effect(cython.address(node))
            if node.op == IR_MULHI_U or node.op == IR_MULHI_S:
                return self.pure(cython.address(node))
            if (
                node.op == IR_BR_IF
                and self.flags & VF_FOLD
                and self.spent < self.budget
                and self.branch(cython.address(node))
            ):
                self.folded += 1
                self.rewrote(VF_FOLD)
            return self.emit(cython.address(node))
        flags = OP_FLAGS[node.op]
        if OP_STRUCT_NEW <= node.op < OP_ARRAY_FILL:
            return self.object(cython.address(node))
        if flags & OF_LOAD or node.op == OP_GLOBAL_GET or node.op == OP_MEMORY_SIZE:
            return self.load(cython.address(node))
        if flags & (OF_WRITES | OF_CALLS | OF_STORE | OF_CONTROL):
            return self.effect(cython.address(node))
        if flags & OF_READS:
            return self.emit(cython.address(node))
        return self.pure(cython.address(node))

    def pure(self, node):
        """A node without effect: fold it, find it, or compute it."""
        value: uint32_t
        equal: int64_t
        if self.flags & VF_FOLD and self.spent < self.budget:
            equal = self.reduce(node)
            if equal != NONE:
                return cython.cast(uint32_t, equal)
        if not self.flags & VF_SHARE or self.spent >= self.budget:
            return self.emit(node)
        a: uint32_t = node.a
        b: uint32_t = node.b
        c: uint32_t = node.c
        if not flags_of(node.op) & OF_COMPARE:  # one that stands behind a branch becomes flags there
            a = self.alike(a)
            b = self.alike(b)
            if node.op < N_OPS and OP_OPERANDS[node.op] == 3:
                c = self.alike(c)
        value = self.find(node.op, node.type, a, b, c, 0)
        if value != NO_VALUE and (b == node.b or self.is_near(node.op)):
            self.shared += 1
            self.rewrote(VF_SHARE)
            return value
        value = self.emit(node)
        self.learn(node.op, node.type, a, b, c, 0, value)
        return value

    def is_near(self, op):
        """Whether what was found is worth a register up to here: an operation of one cycle with a constant is not, on
        the way into a loop or out of it."""
        return not flags_of(op) & OF_QUICK or self.ssa.blocks[self.found].depth == self.ssa.blocks[self.block].depth

    def reduce(self, node):
        """Apply identities until none applies, a bounded number of times."""
        equal: int64_t = NONE
        changed: cython.bint = False
        self.reduced = False
        turns: cython.int
        for turns in range(REDUCTIONS):
            changed = order_operands(self, node) == CHANGED or changed
            equal = self.identity(node)
            changed = equal != NONE or changed
            if equal != CHANGED:
                break
        if changed:
            self.folded += 1
            self.rewrote(VF_STRENGTH if self.reduced else VF_FOLD)
        return NONE if equal == CHANGED else equal

    def load(self, node):
        """What reads memory or globals: known since the last write, or read now."""
        value: uint32_t
        a: uint32_t = 0
        b: uint32_t = 0
        c: uint32_t = node.c
        epoch: uint32_t = self.now_globals if node.op == OP_GLOBAL_GET else self.now_memory
        where: cython.pointer(MemArg)
        if not self.flags & VF_LOADS or self.spent >= self.budget:
            return self.access(node)
        if OP_FLAGS[node.op] & OF_LOAD:
            where = cython.address(self.ssa.memargs[node.c])
            if where.offset >> 32:
                return self.access(node)
            a = self.alike(node.a)
            b = cython.cast(uint32_t, where.offset)
            c = where.memory
        value = self.find(node.op, node.type, a, b, c, epoch)
        if value != NO_VALUE:
            self.loads += 1
            self.rewrote(VF_LOADS)
            return value
        value = self.access(node)
        self.learn(node.op, node.type, a, b, c, epoch, value)
        return value

    def effect(self, node):
        """What writes, calls or polls: ends epochs; a whole store and a global.set tell what a load will find."""
        value: uint32_t = self.access(node)
        load: uint16_t
        where: cython.pointer(MemArg)
        self.epochs += 2
        if node.op == OP_GLOBAL_SET:
            self.now_globals = self.epochs
            if self.flags & VF_LOADS:
                self.learn(OP_GLOBAL_GET, self.out.nodes[node.a].type, 0, 0, node.c, self.now_globals, node.a)
            return value
        self.now_memory = self.epochs - 1
        if node.op < 0x8000 and OP_FLAGS[node.op] & OF_STORE:
            load = OP_RELOAD[node.op]
            where = cython.address(self.ssa.memargs[node.c])
            if load and self.flags & VF_LOADS and not where.offset >> 32:
                self.learn(
                    load,
                    self.out.nodes[node.b].type,
                    self.alike(node.a),
                    cython.cast(uint32_t, where.offset),
                    where.memory,
                    self.now_memory,
                    node.b,
                )
            return value
        self.now_globals = self.epochs
        self.end_objects()
        return value

    # ---- objects ----

    def end_objects(self):
        """Whatever can be written in an object may have been."""
        kind: uint32_t
        self.epochs += 1
        for kind in range(PLACES):
            self.now[kind] = self.epochs
            self.ended[kind] = self.block
        return 0

    def object(self, node):
        """A row that makes an object, or is about one place of it."""
        args: cython.pointer(uint32_t) = self.out.args + node.b
        value: uint32_t
        if not self.flags & VF_LOADS or self.spent >= self.budget:
            return self.effect(node) if OP_FLAGS[node.op] & OF_CALLS else self.emit(node)
        if node.op == OP_ARRAY_LEN:
            value = self.length_of(cython.address(self.out.nodes[args[0]]))
            return self.known(value) if value != NO_VALUE else self.place(node, 0, 0, True)
        if OP_STRUCT_GET <= node.op < OP_STRUCT_SET:
            return self.place(node, args[2], kind_of(node.op, node.type, args[2]), node.flags & NF_FIXED != 0)
        if OP_ARRAY_GET <= node.op < OP_ARRAY_SET:
            return self.place(node, self.alike(args[1]), kind_of(node.op, node.type, 0), node.flags & NF_FIXED != 0)
        if node.op == OP_STRUCT_SET:
            return self.put(node, OP_STRUCT_GET, args[3], args[1])
        if node.op == OP_ARRAY_SET:
            return self.put(node, OP_ARRAY_GET, self.alike(args[1]), args[2])
        value = self.effect(node)
        if node.op == OP_STRUCT_NEW:
            self.know_fields(node, value)
        return value

    def known(self, value):
        """What was read before, or written: the value takes the place of a load."""
        self.loads += 1
        self.rewrote(VF_LOADS)
        return value

    def length_of(self, array):
        """How many elements a new array has, if the node makes one; else ``NO_VALUE``."""
        if array.op == OP_ARRAY_NEW_FIXED:
            return self.constant(T_I32, array.c)
        if array.op == OP_ARRAY_NEW_DEFAULT:
            return self.out.args[array.b]
        if OP_ARRAY_NEW <= array.op < OP_ARRAY_GET:
            return self.out.args[array.b + 1]
        return NO_VALUE

    def place(self, node, b, kind, fixed):
        """What reads a place of an object: known since a write to places of its kind, or for good; or read now."""
        a: uint32_t = self.alike(self.out.args[node.b])
        epoch: uint32_t = 0 if fixed else self.now[kind]
        value: uint32_t = self.find(node.op, node.type, a, b, NO_VALUE, epoch)
        if value != NO_VALUE:
            return self.known(value)
        self.check_index(node, a, b)
        value = self.emit(node)
        self.learn(node.op, node.type, a, b, NO_VALUE, epoch, value)
        return value

    def check_index(self, node, a, b):
        """Mark what reads or writes an element that another one reached: an array's length never changes."""
        if not OP_ARRAY_GET <= node.op <= OP_ARRAY_SET:
            return 0
        if self.find(IR_NOP, T_NONE, a, b, NO_VALUE, 0) == NO_VALUE:
            return self.learn(IR_NOP, T_NONE, a, b, NO_VALUE, 0, 0)
        node.flags |= NF_CHECKED
        self.checks += 1
        return self.rewrote(VF_LOADS)

    def put(self, node, load, b, value):
        """What writes a place: any of its kind may be that. What is there now is known, unless the place is packed:
        that is read by other rows than ``load``."""
        type: uint8_t = self.out.nodes[value].type
        kind: uint32_t = kind_of(node.op, type, b)
        a: uint32_t = self.alike(self.out.args[node.b])
        self.check_index(node, a, b)
        written: uint32_t = self.emit(node)
        self.epochs += 1
        self.now[kind] = self.epochs
        self.ended[kind] = self.block
        self.learn(load, type, a, b, NO_VALUE, self.epochs, value)
        return written

    def know_fields(self, node, made):
        """What is in a new struct: until something is written there, and for good where nothing can be."""
        i: uint32_t
        value: uint32_t
        type: uint8_t
        for i in range(node.c if node.c < FIELDS else FIELDS):
            value = self.out.args[node.b + i]
            type = self.out.nodes[value].type
            self.learn(OP_STRUCT_GET, type, made, i, NO_VALUE, self.now[kind_of(OP_STRUCT_GET, type, i)], value)
            self.learn(OP_STRUCT_GET, type, made, i, NO_VALUE, 0, value)
        return 0

    # ---- accesses ----

    def access(self, node):
        """Emit what loads, stores or acts. An access that cannot be out of bounds any more is marked: memories only
        grow, so that a check that passed holds for good, across calls and polls too."""
        if self.flags & VF_CHECKS and node.op < 0x8000 and OP_FLAGS[node.op] & (OF_LOAD | OF_STORE):
            self.check(node)
        return self.emit(node)

    def check(self, node):
        """Find an access of the same base that reaches at least as far; without one, this is what others find."""
        where: cython.pointer(MemArg) = cython.address(self.ssa.memargs[node.c])
        end: uint64_t = where.offset + OP_ACCESS[node.op]
        entry: cython.pointer(Entry)
        probes: cython.int
        at: uint32_t
        if where.offset >> 32 or end >> 32:
            return 0
        at = self.heads[self.hash(IR_NOP, node.a, 0, where.memory, 0)]
        for probes in range(PROBES):
            if at == NO_VALUE or self.spent >= self.budget:
                break
            entry = cython.address(self.entries[at])
            if (
                entry.op == IR_NOP
                and entry.a == node.a
                and entry.c == where.memory
                and entry.value >= end
                and self.tree.dominates(entry.block, self.block)
            ):
                node.flags |= NF_CHECKED
                self.checks += 1
                return self.rewrote(VF_CHECKS)
            at = entry.next
        return self.learn(IR_NOP, 0, node.a, 0, where.memory, 0, cython.cast(uint32_t, end))

    # ---- what the identities build ----

    def make(self, op, type, a, b):
        """A pure node that an identity needs: known already, or computed here. No identity is applied to it."""
        first: uint32_t = self.alike(a)
        second: uint32_t = self.alike(b)
        value: uint32_t = self.find(op, type, first, second, NO_VALUE, 0)
        if value != NO_VALUE and self.flags & VF_SHARE:
            return value
        value = self.out.node(op, type, 0, a, b, NO_VALUE, self.position)
        self.learn(op, type, first, second, NO_VALUE, 0, value)
        return value

    def constant(self, type, bits):
        """A constant, shared within its block only: selection makes it again where it is used."""
        low: uint32_t = cython.cast(uint32_t, bits)
        high: uint32_t = cython.cast(uint32_t, bits >> 32)
        value: uint32_t = self.find(IR_CONST, type, low, high, self.block, 0)
        if value != NO_VALUE and self.flags & VF_SHARE:
            return value
        value = self.out.node(IR_CONST, type, 0, low, high, NO_VALUE, self.position)
        self.learn(IR_CONST, type, low, high, self.block, 0, value)
        vec_room(self.same, self.cap_same, value + 1)
        self.same[value] = self.find(IR_CONST, type, low, high, NO_VALUE, 0)
        if self.same[value] == NO_VALUE:
            self.same[value] = value
            self.learn(IR_CONST, type, low, high, NO_VALUE, 0, value)
            self.entries[self.n_entries - 1].block = 0  # whatever block asks
        return value

    def find_vector(self, low, high):
        """A constant of 128 bits, if it is known here."""
        if not self.flags & VF_SHARE:
            return NO_VALUE
        return self.find(
            IR_CONST_V128, T_V128, cython.cast(uint32_t, low), cython.cast(uint32_t, low >> 32),
            cython.cast(uint32_t, high), cython.cast(uint32_t, high >> 32),
        )  # fmt: skip

    def learn_vector(self, low, high, value):
        """A constant of 128 bits is known from here on."""
        self.learn(
            IR_CONST_V128, T_V128, cython.cast(uint32_t, low), cython.cast(uint32_t, low >> 32),
            cython.cast(uint32_t, high), cython.cast(uint32_t, high >> 32), value,
        )  # fmt: skip
        return value

    def vector(self, low, high):
        """A constant of 128 bits that a rule needs: known already, or made here."""
        value: uint32_t = self.find_vector(low, high)
        return value if value != NO_VALUE else self.learn_vector(low, high, Identities.vector(self, low, high))

    def alike(self, value):
        """What an operand is known by: equal constants of all blocks by the first of them."""
        if value == NO_VALUE or self.out.nodes[value].op != IR_CONST:
            return value
        return self.same[value]

    # ---- the table ----

    def hash(self, op, a, b, c, epoch):
        """A bucket number."""
        h: uint64_t = op * cython.cast(uint64_t, 0x9E3779B97F4A7C15)
        h = (h ^ a) * cython.cast(uint64_t, 0xFF51AFD7ED558CCD)
        h = (h ^ (h >> 32) ^ b) * cython.cast(uint64_t, 0xC4CEB9FE1A85EC53)
        h = (h ^ (h >> 32) ^ c ^ cython.cast(uint64_t, epoch) << 20) * cython.cast(uint64_t, 0x9E3779B97F4A7C15)
        return cython.cast(uint32_t, h >> 32) & self.mask

    def find(self, op, type, a, b, c, epoch):
        """The value of an operation where it is known here, or ``NO_VALUE``."""
        at: uint32_t = self.heads[self.hash(op, a, b, c, epoch)]
        entry: cython.pointer(Entry)
        probes: cython.int
        for probes in range(PROBES):
            if at == NO_VALUE:
                return NO_VALUE
            entry = cython.address(self.entries[at])
            if (
                entry.op == op
                and entry.type == type
                and entry.a == a
                and entry.b == b
                and entry.c == c
                and entry.epoch == epoch
                and self.tree.dominates(entry.block, self.block)
            ):
                self.found = entry.block
                return entry.value
            at = entry.next
        return NO_VALUE

    def learn(self, op, type, a, b, c, epoch, value):
        """An operation's value is known from here on."""
        slot: uint32_t = self.hash(op, a, b, c, epoch)
        entry: cython.pointer(Entry)
        vec_room(self.entries, self.cap_entries, self.n_entries + 1)
        entry = cython.address(self.entries[self.n_entries])
        entry.op = op
        entry.type = type
        entry.a = a
        entry.b = b
        entry.c = c
        entry.epoch = epoch
        entry.value = value
        entry.block = self.block
        entry.next = self.heads[slot]
        self.heads[slot] = self.n_entries
        self.n_entries += 1
        return 0
