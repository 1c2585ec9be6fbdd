# strata: hot
"""The SSA form of one function: growable C arrays. Owns their memory; what the nodes mean is written in ``ssa.pxd``.

``dump`` and ``load`` convert to and from :class:`SsaView`, plain Python data that the printer, the verifier, the
evaluator and tests read.
"""

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free

from stratavm.base.importing import begin_import, end_import

IR_OPS = {
    "nop": IR_NOP,
    "param": IR_PARAM,
    "block_param": IR_BLOCK_PARAM,
    "const": IR_CONST,
    "const_v128": IR_CONST_V128,
    "result": IR_RESULT,
    "poll": IR_POLL,
    "fuel": IR_FUEL,
    "mulhi_u": IR_MULHI_U,
    "mulhi_s": IR_MULHI_S,
    "memory_bytes": IR_MEMORY_BYTES,
    "throw": IR_THROW,
    "throw_ref": IR_THROW_REF,
    "caught": IR_CAUGHT,
    "tag": IR_TAG,
    "exn": IR_EXN,
    "br": IR_BR,
    "br_if": IR_BR_IF,
    "br_table": IR_BR_TABLE,
    "return": IR_RETURN,
    "trap": IR_TRAP,
    "invoke": IR_INVOKE,
}
"""Numbers of the operations that are not rows, by name."""
FIRST_TERMINATOR: int = IR_BR
LAST_TERMINATOR: int = IR_LAST_TERMINATOR
TYPE_NAMES = ("none", "i32", "i64", "f32", "f64", "v128", "ref")
"""Names by ``ValueType``."""
NOTHING: int = 0xFFFFFFFF
"""``NO_VALUE`` for Python."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def copy_bytes(to: cython.p_void, source: cython.p_void, size: cython.size_t) -> cython.void:
    """``memcpy``, also of nothing to nowhere."""
    if size != 0:
        memcpy(to, source, size)


@cython.cclass
class Ssa:
    """One function in SSA form. Reused between functions: ``clear`` keeps the memory."""

    def __dealloc__(self):
        if self.lent:
            return
        vec_free(self.nodes)
        vec_free(self.positions)
        vec_free(self.blocks)
        vec_free(self.edges)
        vec_free(self.args)
        vec_free(self.memargs)
        vec_free(self.constants)
        vec_free(self.result_types)
        vec_free(self.sites)
        vec_free(self.uses)

    def clear(self):
        """Empty, for the next function; the arrays keep their size."""
        self.n_nodes = self.n_blocks = self.n_edges = self.n_args = 0
        self.n_memargs = self.n_constants = self.n_results = self.n_params = self.n_sites = 0
        self.func = self.type_index = 0
        self.counted = self.entered = False
        return 0

    def copy_tables(self, other):
        """After ``clear``: all that another form has besides nodes and blocks."""
        self.func = other.func
        self.type_index = other.type_index
        self.n_params = other.n_params
        self.entered = other.entered
        vec_room(self.edges, self.cap_edges, other.n_edges)
        vec_room(self.args, self.cap_args, other.n_args)
        vec_room(self.memargs, self.cap_memargs, other.n_memargs)
        vec_room(self.constants, self.cap_constants, other.n_constants)
        vec_room(self.result_types, self.cap_results, other.n_results)
        vec_room(self.sites, self.cap_sites, other.n_sites)
        copy_bytes(self.edges, other.edges, other.n_edges * cython.sizeof(Edge))
        copy_bytes(self.args, other.args, other.n_args * cython.sizeof(uint32_t))
        copy_bytes(self.memargs, other.memargs, other.n_memargs * cython.sizeof(MemArg))
        copy_bytes(self.constants, other.constants, other.n_constants * cython.sizeof(uint64_t))
        copy_bytes(self.result_types, other.result_types, other.n_results)
        copy_bytes(self.sites, other.sites, other.n_sites * cython.sizeof(Site))
        self.n_edges = other.n_edges
        self.n_args = other.n_args
        self.n_memargs = other.n_memargs
        self.n_constants = other.n_constants
        self.n_results = other.n_results
        self.n_sites = other.n_sites
        return 0

    def assign(self, other: Ssa) -> None:
        """Become a copy of another form."""
        self.clear()
        self.copy_tables(other)
        vec_room(self.nodes, self.cap_nodes, other.n_nodes)
        vec_room(self.positions, self.cap_positions, other.n_nodes)
        vec_room(self.blocks, self.cap_blocks, other.n_blocks)
        copy_bytes(self.nodes, other.nodes, other.n_nodes * cython.sizeof(Node))
        copy_bytes(self.positions, other.positions, other.n_nodes * cython.sizeof(uint32_t))
        copy_bytes(self.blocks, other.blocks, other.n_blocks * cython.sizeof(Block))
        self.n_nodes = other.n_nodes
        self.n_blocks = other.n_blocks

    def swap(self, other):
        """Exchange the contents with another form's: whoever works on a form goes on with what the other one held."""
        between: cython.char[512]
        ours: cython.p_char = cython.cast(cython.p_char, cython.address(self.func))
        theirs: cython.p_char = cython.cast(cython.p_char, cython.address(other.func))
        size: cython.size_t = cython.cast(cython.p_char, cython.address(self.n_params) + 1) - ours
        memcpy(between, ours, size)
        memcpy(ours, theirs, size)
        memcpy(theirs, between, size)
        return 0

    def node(self, op, type, flags, a, b, c, position):
        """Append a node to the open block; returns its index, which is its value."""
        n: uint32_t = self.n_nodes
        at: cython.pointer(Node)
        vec_room(self.nodes, self.cap_nodes, n + 1)
        vec_room(self.positions, self.cap_positions, n + 1)
        at = cython.address(self.nodes[n])
        at.op = op
        at.type = type
        at.flags = flags
        at.a = a
        at.b = b
        at.c = c
        self.positions[n] = position
        self.n_nodes = n + 1
        return n

    def block(self, depth, flags):
        """Open a block after the last node; returns its index."""
        n: uint32_t = self.n_blocks
        at: cython.pointer(Block)
        vec_room(self.blocks, self.cap_blocks, n + 1)
        if n != 0:
            self.blocks[n - 1].last = self.n_nodes
        at = cython.address(self.blocks[n])
        at.first = self.n_nodes
        at.last = self.n_nodes
        at.params = 0
        at.preds = 0
        at.depth = depth
        at.flags = flags
        self.n_blocks = n + 1
        return n

    def edge(self, target, args, nargs):
        """Append an edge to ``target`` with ``nargs`` arguments from index ``args``; returns its index."""
        n: uint32_t = self.n_edges
        at: cython.pointer(Edge)
        vec_room(self.edges, self.cap_edges, n + 1)
        at = cython.address(self.edges[n])
        at.target = target
        at.args = args
        at.nargs = nargs
        at.flags = 0
        self.n_edges = n + 1
        return n

    def arg_room(self):
        """Room for one more argument."""
        return vec_room(self.args, self.cap_args, self.n_args + 1)

    def memarg(self, offset, memory, align):
        """Append a memory immediate; returns its index."""
        n: uint32_t = self.n_memargs
        at: cython.pointer(MemArg)
        vec_room(self.memargs, self.cap_memargs, n + 1)
        at = cython.address(self.memargs[n])
        at.offset = offset
        at.memory = memory
        at.align = align
        self.n_memargs = n + 1
        return n

    def count_uses(self):
        """Fill ``uses`` of a form that the pruner did not see, which counts as it marks."""
        i: uint32_t
        k: uint32_t
        vec_room(self.uses, self.cap_uses, self.n_nodes)
        memset(self.uses, 0, self.n_nodes * cython.sizeof(uint32_t))
        for i in range(self.n_nodes):
            values: cython.pointer(uint32_t) = cython.NULL
            for k in range(operands_of(cython.address(self.nodes[i]), self.args, cython.address(values))):
                if values[k] != NO_VALUE:
                    self.uses[values[k]] += 1
        for i in range(self.n_edges):
            for k in range(self.edges[i].nargs):
                self.uses[self.args[self.edges[i].args + k]] += 1
        self.counted = True
        return 0

    # ---- for the printer, the verifier, the evaluator and tests -------------------------------

    def dump(self) -> "SsaView":
        """A copy as plain Python data."""
        i: uint32_t
        begin_import()
        try:
            from stratavm.ir.view import SsaView
        finally:
            end_import()

        return SsaView(
            func=self.func,
            type_index=self.type_index,
            n_params=self.n_params,
            nodes=[
                (
                    self.nodes[i].op, self.nodes[i].type, self.nodes[i].flags,
                    self.nodes[i].a, self.nodes[i].b, self.nodes[i].c,
                )
                for i in range(self.n_nodes)
            ],
            positions=[self.positions[i] for i in range(self.n_nodes)],
            blocks=[
                (
                    self.blocks[i].first, self.blocks[i].last, self.blocks[i].params,
                    self.blocks[i].preds, self.blocks[i].depth, self.blocks[i].flags,
                )
                for i in range(self.n_blocks)
            ],
            edges=[(self.edges[i].target, self.edges[i].args, self.edges[i].nargs) for i in range(self.n_edges)],
            args=[self.args[i] for i in range(self.n_args)],
            memargs=[
                (self.memargs[i].offset, self.memargs[i].memory, self.memargs[i].align) for i in range(self.n_memargs)
            ],
            constants=[self.constants[i] for i in range(self.n_constants)],
            result_types=[self.result_types[i] for i in range(self.n_results)],
            sites=[(self.sites[i].func, self.sites[i].offset, self.sites[i].caller) for i in range(self.n_sites)],
        )  # fmt: skip

    def use_counts(self) -> list:
        """How often each node is used, if ``counted``."""
        i: uint32_t
        return [self.uses[i] for i in range(self.n_nodes)]

    def counts(self) -> tuple[int, int, int]:
        """Nodes, blocks and entries of the side array of operands."""
        return self.n_nodes, self.n_blocks, self.n_args

    def load(self, view) -> None:
        """Replace the contents by a view's. For tests: build one by hand, compile it."""
        self.clear()
        self.func = view.func
        self.type_index = view.type_index
        for fields, position in zip(view.nodes, view.positions, strict=True):
            op, type, flags, a, b, c = fields
            self.node(op, type, flags, a, b, c, position)
        for first, _, params, preds, depth, flags in view.blocks:
            number = self.block(depth, flags)
            self.blocks[number].first = first
            self.blocks[number].params = params
            self.blocks[number].preds = preds
        for i, fields in enumerate(view.blocks):
            self.blocks[cython.cast(uint32_t, i)].last = fields[1]
        for target, args, nargs in view.edges:
            self.edge(target, args, nargs)
        for value in view.args:
            self.arg(value)
        for offset, memory, align in view.memargs:
            self.memarg(offset, memory, align)
        for word in view.constants:
            self.constant(word)
        for type in view.result_types:
            self.result_type(type)
        for func, offset, caller in view.sites:
            self.site(func, offset, caller)
        self.n_params = view.n_params

    def constant(self, word):
        """Append a word of a vector constant; returns its index."""
        n: uint32_t = self.n_constants
        vec_room(self.constants, self.cap_constants, n + 1)
        self.constants[n] = word
        self.n_constants = n + 1
        return n

    def result_type(self, type):
        """Append the type of a result of the function."""
        n: uint32_t = self.n_results
        vec_room(self.result_types, self.cap_results, n + 1)
        self.result_types[n] = type
        self.n_results = n + 1
        return 0

    def site(self, func, offset, caller):
        """Append where an inlined node is from; returns it as a position."""
        n: uint32_t = self.n_sites
        at: cython.pointer(Site)
        vec_room(self.sites, self.cap_sites, n + 1)
        at = cython.address(self.sites[n])
        at.func = func
        at.offset = offset
        at.caller = caller
        self.n_sites = n + 1
        return SITE_FLAG | n


def count_operands(op: int, flags: int) -> int:
    """``operand_count`` for Python."""
    return operand_count(op, flags)


def edges_out(fields: tuple) -> object:
    """The edges that leave a node of a view, in the order in which they are written; most have none."""
    node: Node
    node.op, node.type, node.flags, node.a, node.b, node.c = fields
    count: uint32_t = edge_count(cython.address(node))
    first: uint32_t = edge_of(cython.address(node), 0)
    return (first, edge_of(cython.address(node), 1)) if count == 2 else range(first, first + count)
