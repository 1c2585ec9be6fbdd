# What rewrite rules know of values, and how they make nodes: see algebra.py.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from stratavm.base.bits cimport bits_of
from stratavm.ir.passes.stream cimport Stream
from stratavm.ir.ssa cimport IR_CONST, NO_VALUE, T_I32, T_I64, Node
from stratavm.ir.ops cimport (
    N_OPS,
    OF_COMMUTES,
    OP_FLAGS,
    OP_I32_AND,
    OP_I32_SHR_U,
    OP_I32_WRAP_I64,
    OP_I64_EXTEND_I32_U,
    OP_NARROW,
    OP_NEGATION,
    OP_RESULT_BITS,
    OP_SIGN_BITS,
    OP_TWIN,
)

cdef enum:
    NONE = -2                 # a rule does not apply (a value is never negative)
    CHANGED = -3              # the node was changed into a cheaper one

cdef class Algebra(Stream):
    cdef bint strong          # strength reduction takes part
    cdef bint reduced         # the newest rule was one of it

    cdef uint32_t make(self, uint32_t op, uint8_t type, uint32_t a, uint32_t b) except? 0xFFFFFFFF nogil
    cdef uint32_t constant(self, uint8_t type, uint64_t bits) except? 0xFFFFFFFF nogil
    cdef uint32_t vector(self, uint64_t low, uint64_t high) except? 0xFFFFFFFF nogil

cdef inline int64_t did(Algebra r, uint32_t rule, int64_t result) noexcept nogil:
    """What a rule returns that applies: the value that the node is equal to, or CHANGED."""
    if r.explains:
        r.note(rule)
    return result

cdef inline bint is_const(Algebra r, uint32_t value, uint64_t* bits) noexcept nogil:
    """Whether an output value is a constant, and its raw bits."""
    cdef Node* node
    if value == NO_VALUE:
        return False
    node = &r.out.nodes[value]
    if node.op != IR_CONST:
        return False
    bits[0] = node.a | <uint64_t>node.b << 32
    return True

cdef inline uint32_t narrow(uint32_t op) noexcept nogil:
    """The i32 twin of an i64 operation; other operations stay."""
    return OP_NARROW[op] if op < N_OPS else op

cdef inline bint is_wide(uint32_t op) noexcept nogil:
    """Whether an operation is an i64 twin."""
    return OP_NARROW[op] != op

cdef inline uint32_t sized(uint32_t op, bint wide) noexcept nogil:
    """An i32 operation, or its i64 twin."""
    return OP_TWIN[op] if wide else op

cdef inline uint32_t negation_of(uint32_t op) noexcept nogil:
    """The comparison that is 1 where this one is 0; 0 for other operations."""
    return OP_NEGATION[op] if op < N_OPS else 0

cdef inline uint32_t flags_of(uint32_t op) noexcept nogil:
    """What is known of an operation's kind and effects; of the IR's own that these rules see: an upper half of a product
    commutes."""
    return OP_FLAGS[op] if op < N_OPS else OF_COMMUTES

cdef inline uint32_t sign_from(uint32_t op) noexcept nogil:
    """Bits that an operation extends with their sign; 0 for others."""
    return OP_SIGN_BITS[op] if op < N_OPS else 0

cdef inline uint64_t low_bits(int width) noexcept nogil:
    """A mask of so many bits."""
    return <uint64_t>0 - 1 if width >= 64 else (<uint64_t>1 << width) - 1

cdef inline uint64_t ones_of(bint wide) noexcept nogil:
    """All bits of an i32, or of an i64."""
    return <uint64_t>0 - 1 if wide else <uint64_t>0xFFFFFFFF

cdef inline int length_of(uint64_t bits) noexcept nogil:
    """Bits up to the highest that is set."""
    return bits_of(bits) if bits else 0

cdef inline bint is_zero(Algebra r, uint32_t value) noexcept nogil:
    """Whether an output value is the constant 0."""
    cdef uint64_t bits = 1
    return is_const(r, value, &bits) and bits == 0

cdef inline int width_of(Algebra r, uint32_t value) noexcept nogil:
    """Low bits of an integer that may be set: all higher ones are zero."""
    cdef Node* node = &r.out.nodes[value]
    cdef uint32_t op = node.op
    cdef uint64_t bits = 0
    cdef int cap = 32 if node.type == T_I32 else 64
    cdef int turns
    for turns in range(4):
        op = node.op
        if node.type == T_I32 and cap > 32:
            cap = 32
        if op != OP_I64_EXTEND_I32_U and op != OP_I32_WRAP_I64:
            break
        node = &r.out.nodes[node.a]
    if op == IR_CONST:
        return min(cap, length_of(node.a | <uint64_t>node.b << 32))
    if op >= N_OPS:
        return cap
    if OP_RESULT_BITS[op]:
        return min(cap, <int>OP_RESULT_BITS[op])
    op = OP_NARROW[op]
    if op == OP_I32_AND and is_const(r, node.b, &bits):
        return min(cap, length_of(bits))
    if op == OP_I32_SHR_U and is_const(r, node.b, &bits):
        return min(cap, 64 - <int>(bits & 63) if node.type == T_I64 else 32 - <int>(bits & 31))
    return cap
