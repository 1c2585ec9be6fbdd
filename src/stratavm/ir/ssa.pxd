# The one declaration of the SSA form (compiler.md section 3). Producers: front ends (`front.py`), passes. Consumers:
# verify, text, targets. A value is a node index. Blocks are contiguous node ranges in wasm order; block parameters are
# nodes at the block's head; the last node of a block is its terminator.
#
# Node shapes, by op (ids: OP_* of spec rows below 0x8000 from ops.pxd, IR_* from 0x8000 below):
#   pure 1-3 operands   a, b, c = operand values (unused = NO_VALUE)          select: a = if true, b = if false, c = condition
#   loads               a = address value, c = index into memargs
#   stores              a = address, b = value, c = index into memargs
#   global.get/set      get: c = global index;  set: a = value, c = global index
#   table.get/set       get: a = index, c = table;  set: a = index, b = value, c = table
#   table.size, memory.size   c = table / memory;   memory.grow: a = delta, c = memory;
#   ref.null            none;  ref.func: c = function index;  ref.is_null, ref.as_non_null: a
#   data.drop/elem.drop c = segment index
#   atomic accesses     of a shared memory; elsewhere they are loads, stores and what lies between. WIDE: the operands as pushed;
#                       x = index into memargs, y = 0. atomic.fence: no operands, where the module has a shared memory. They end all
#                       that is known of memories, as calls do; a wait is one.
#   WIDE ops            b = start in args, c = number of operands n; args[b..b+n) operands; args[b+n], args[b+n+1] = two raw immediates
#                       (x, y) in the order of the binary format: memory.copy(dst mem, src mem), memory.fill(mem, 0),
#                       memory.init(data, mem), table.copy(dst, src), table.init(elem, table), table.fill(table, 0), table.grow(table, 0)
#                       call: WIDE, x = function index, y = 0.   call_indirect: WIDE, x = type index, y = table; its LAST operand (n-1) is the
#                       callee index value.   call_ref: WIDE, x = type index, y = 0; its LAST operand is the reference.
#                       return_call*: as call, terminators.   br_on_null, br_on_non_null: ref.is_null and IR_BR_IF.
#   multi-value results: the call node itself is result 0 (type T_NONE when there is none); further ones are IR_RESULT
#                       nodes (a = call node, c = 1, 2, …) directly behind the call.
#   IR_MULHI_U, IR_MULHI_S   a, b = i64 operands
#   terminators: IR_BR (c = edge), IR_BR_IF (a = condition i32, b = edge when non-zero, c = edge when zero),
#                IR_BR_TABLE (a = index i32, b = first edge, c = number of edges; the last is the default; one edge block per distinct
#                target is made by isel), IR_RETURN (b = start in args, c = n), IR_TRAP (c = trap kind code; unreachable is IR_TRAP),
#                IR_INVOKE (a = the call in its block, behind which nothing but results stands; b = edge where it returns, c = edge
#                where it ends with an exception: there the call gave no value, and all others are as they were before it)
#   Exceptions: IR_THROW: WIDE, the values; x = tag, y = 0.   IR_THROW_REF: a = exnref, NO_VALUE: the one in flight goes on. Both are
#                calls that do not return: IR_INVOKE or IR_TRAP follows.   Of the exception in flight, where an exceptional edge leads:
#                IR_CAUGHT: c = 0: its tag (i64), c = 1 + i: value i;  IR_EXN: an exnref of it.   IR_TAG: c = tag: what IR_CAUGHT says of it.
#   Fuel (only where asked for): IR_FUEL once per basic block of WebAssembly, where it begins. It stays in its place: what
#                it charges must not depend on passes.
#   Polls: IR_POLL first in every loop header after the block parameters. The prologue polls by itself. Where the loop keeps
#                a global in a value (pass promote): a = the value, c = the global, which holds it while others run; the poll
#                is what it holds afterwards.
cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from stratavm.ir.ops cimport OF_ATOMIC, OP_FLAGS, OP_I8X16_SHUFFLE, OP_OPERANDS

cdef enum:
    NO_VALUE = 0xFFFFFFFF

cdef enum ValueType:  # Node.type
    T_NONE = 0
    T_I32 = 1
    T_I64 = 2
    T_F32 = 3
    T_F64 = 4
    T_V128 = 5
    T_REF = 6  # funcref: FuncRec pointer or 0; externref: handle or 0; 64 bits

cdef enum IrOp:
    IR_NOP = 0x8000       # a deleted node
    IR_PARAM = 0x8001     # c = parameter index (entry block only, at its head)
    IR_BLOCK_PARAM = 0x8002  # c = position among the block's parameters
    IR_CONST = 0x8003     # type T_I32..T_F64, T_REF (0): a = low 32 bits, b = high 32 bits of the raw value
    IR_CONST_V128 = 0x8004  # a = index of two words in constants
    IR_RESULT = 0x8005
    IR_POLL = 0x8006
    IR_FUEL = 0x8007      # c = units to take: traps with out_of_fuel, without taking any, if fewer are left
    IR_MULHI_U = 0x8008   # the upper half of the product of two i64: what divisions by constants need
    IR_MULHI_S = 0x8009
    IR_MEMORY_BYTES = 0x800A  # c = memory: its present size, i64
    IR_THROW = 0x800B
    IR_THROW_REF = 0x800C
    IR_CAUGHT = 0x800D
    IR_TAG = 0x800E
    IR_EXN = 0x800F
    IR_BR = 0x8010        # terminators from here to IR_LAST_TERMINATOR
    IR_BR_IF = 0x8011
    IR_BR_TABLE = 0x8012
    IR_RETURN = 0x8013
    IR_TRAP = 0x8014
    IR_INVOKE = 0x8015
    IR_LAST_TERMINATOR = 0x801F

cdef enum NodeFlag:  # Node.flags
    NF_WIDE = 1
    NF_CHECKED = 2        # of a load or store: an access that dominates it proved that it is within the memory
    NF_FIXED = 4          # of what reads an object: nobody writes there once it is made

cdef enum BlockFlag:
    BF_LOOP_HEADER = 1
    BF_COLD = 4           # hardly ever runs, so that code is not spent on it
    BF_LATE = 8           # the same, and its code stands behind that of all others

cdef struct Node:
    uint16_t op
    uint8_t type
    uint8_t flags
    uint32_t a
    uint32_t b
    uint32_t c

cdef struct Block:
    uint32_t first        # node range [first, last)
    uint32_t last
    uint32_t params       # the first `params` nodes are IR_BLOCK_PARAM (IR_PARAM in block 0)
    uint32_t preds        # number of incoming edges
    uint32_t depth        # loop depth
    uint32_t flags

cdef struct Edge:
    uint32_t target       # block index
    uint32_t args         # start in args
    uint32_t nargs        # == blocks[target].params
    uint32_t flags

# A position counts bytes from the first instruction of the body; or, of a node that was inlined, it is SITE_FLAG + an
# index into `sites`.
cdef enum:
    SITE_FLAG = 0x80000000

cdef struct Site:
    uint32_t func         # the function that the node is from
    uint32_t offset       # its byte offset
    uint32_t caller       # position of the call that was inlined: an offset in the function around, or a site

cdef struct MemArg:
    uint64_t offset
    uint32_t memory
    uint32_t align        # log2, a hint

@cython.final
cdef class Ssa:
    # One function. Arrays are malloc'd, owned by this object and reused between functions by clear(). `swap` exchanges
    # all that lies from the first field to the last.
    cdef public uint32_t func                 # function index
    cdef public uint32_t type_index
    cdef Node* nodes
    cdef uint32_t* positions           # where each node is from (same length as nodes): see SITE_FLAG
    cdef Site* sites
    cdef uint32_t n_sites, cap_sites
    cdef readonly uint32_t n_nodes
    cdef uint32_t cap_nodes, cap_positions
    cdef uint32_t* uses                # how often each node is used, over edges too, if they were counted
    cdef uint32_t cap_uses
    cdef readonly bint counted
    cdef bint lent                     # the arrays are somebody else's, who is asked to keep them; nothing is appended
    cdef public bint entered           # it begins at the head of a loop: parameters come in memory (osr.py)
    cdef public bint sharing           # no pass will look for equal values: the pruner does
    cdef Block* blocks
    cdef uint32_t n_blocks, cap_blocks
    cdef Edge* edges
    cdef uint32_t n_edges, cap_edges
    cdef uint32_t* args
    cdef uint32_t n_args, cap_args
    cdef MemArg* memargs
    cdef uint32_t n_memargs, cap_memargs
    cdef uint64_t* constants           # pairs of words for v128
    cdef uint32_t n_constants, cap_constants
    cdef uint8_t* result_types         # ValueType of the function's results
    cdef uint32_t n_results, cap_results
    cdef uint32_t n_params

    cdef int swap(self, Ssa other) noexcept nogil
    cdef int clear(self) except -1 nogil
    cdef int copy_tables(self, Ssa other) except -1 nogil
    cdef uint32_t node(self, uint16_t op, uint8_t type, uint8_t flags, uint32_t a, uint32_t b, uint32_t c, uint32_t position) except? 0xFFFFFFFF nogil
    cdef uint32_t block(self, uint32_t depth, uint32_t flags) except? 0xFFFFFFFF nogil
    cdef uint32_t edge(self, uint32_t target, uint32_t args, uint32_t nargs) except? 0xFFFFFFFF nogil
    cdef int arg_room(self) except -1 nogil
    cdef inline uint32_t arg(self, uint32_t value) except? 0xFFFFFFFF nogil:
        """Append one word to the arguments; returns its index."""
        cdef uint32_t n = self.n_args
        if n >= self.cap_args:
            self.arg_room()
        self.args[n] = value
        self.n_args = n + 1
        return n

    cdef uint32_t memarg(self, uint64_t offset, uint32_t memory, uint32_t align) except? 0xFFFFFFFF nogil
    cdef uint32_t constant(self, uint64_t word) except? 0xFFFFFFFF nogil
    cdef int result_type(self, uint8_t type) except -1 nogil
    cdef uint32_t site(self, uint32_t func, uint32_t offset, uint32_t caller) except? 0xFFFFFFFF nogil  # a position
    cdef int count_uses(self) except -1 nogil

# A node's operands: its first fields (one that it does without holds NO_VALUE), or a list in `args`.
cdef enum:
    OPERANDS_LIST = 8         # the operands are args[b .. b + c)

cdef inline uint32_t operand_count(uint16_t op, uint8_t flags) noexcept nogil:
    """How many of the fields `a`, `b` and `c` are operands, or OPERANDS_LIST."""
    if flags & NF_WIDE or op == IR_RETURN:
        return OPERANDS_LIST
    if op < 0x8000:
        return OP_OPERANDS[op]
    if op == IR_RESULT or op == IR_BR_IF or op == IR_BR_TABLE or op == IR_INVOKE or op == IR_POLL or op == IR_THROW_REF:
        return 1
    return 2 if op == IR_MULHI_U or op == IR_MULHI_S else 0

cdef inline bint is_atomic(uint16_t op) noexcept nogil:
    """Whether a node is an atomic instruction: its first immediate is a memory argument."""
    return op < 0x8000 and OP_FLAGS[op] & OF_ATOMIC != 0

cdef inline uint32_t operands_of(Node* node, uint32_t* args, uint32_t** values) noexcept nogil:
    """Where a node's operands stand, and how many there are; each may be NO_VALUE."""
    cdef uint32_t n = operand_count(node.op, node.flags)
    values[0] = &node.a
    if n == OPERANDS_LIST:
        values[0] = args + node.b
        n = node.c
    return n

cdef inline void map_values(uint32_t* values, uint32_t n, uint32_t* moved) noexcept nogil:
    """Replace values by what they became."""
    cdef uint32_t k
    for k in range(n):
        if values[k] != NO_VALUE:
            values[k] = moved[values[k]]

cdef inline void move_constant(Node* node, uint32_t distance) noexcept nogil:
    """The words of a constant that a node names are so far behind where they were. Here alone stands which nodes have some."""
    if node.op == IR_CONST_V128:
        node.a += distance
    elif node.op == OP_I8X16_SHUFFLE:
        node.c += distance

# A terminator's edges. Here alone stands which terminators have some, and in which fields.

cdef inline uint32_t edge_count(const Node* node) noexcept nogil:
    """How many edges leave a node."""
    if node.op == IR_BR:
        return 1
    if node.op == IR_BR_IF or node.op == IR_INVOKE:
        return 2
    return node.c if node.op == IR_BR_TABLE else 0

cdef inline uint32_t edge_of(const Node* node, uint32_t k) noexcept nogil:
    """One of them, in the order in which they are written."""
    if node.op == IR_BR_TABLE:
        return node.b + k
    return node.c if k != 0 or node.op == IR_BR else node.b

cdef inline void set_edge(Node* node, uint32_t k, uint32_t edge) noexcept nogil:
    """Replace one of them. Those of a table lie in a row: the first says where."""
    if node.op == IR_BR or (k != 0 and node.op != IR_BR_TABLE):
        node.c = edge
    elif k == 0:
        node.b = edge
