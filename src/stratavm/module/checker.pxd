# What the validating walk stands on: the quick way over plain rows, frames, label types, lists of assigned locals, errors.
# The rows themselves are in `validate_walk.py`.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.module.valid cimport Bodies, Chunk, Context, ValidBody

cdef enum FrameKind:
    FK_FUNC = 0
    FK_BLOCK = 1
    FK_LOOP = 2
    FK_IF = 3
    FK_ELSE = 4
    FK_TRY = 5                 # of the legacy form; a try_table is a block
    FK_CATCH = 6               # an arm of it
    FK_CATCH_ALL = 7

cdef enum:
    NOTHING = 0xFFFFFFFF       # as a found type: the stack is empty
    WINDOW = 16384             # bytes of a body between two looks at the budget
    QUICK_BYTES = 12           # no row of the quick walk is longer
    FEW = 16                   # types that are popped at once without bringing that look nearer
    FIRST_LOCALS = 64          # types of locals that are looked up directly; the rest by binary search over runs

cdef enum Fault:  # rows of `checker.FAULTS`
    F_NONE = 0
    F_LEB_END = 1
    F_LEB_LONG = 2
    F_LEB_LARGE = 3
    F_ILLEGAL = 4
    F_END = 5
    F_SIZE = 6
    F_DATA_COUNT = 7
    F_MEMOP = 8
    F_VALTYPE = 9
    F_FEATURE = 10
    F_TYPE = 11
    F_VALUES = 12
    F_ELSE = 13
    F_LOCAL = 14
    F_GLOBAL = 15
    F_FUNC = 16
    F_TABLE = 17
    F_MEMORY = 18
    F_LABEL = 19
    F_TYPE_INDEX = 20
    F_ELEM = 21
    F_DATA = 22
    F_ALIGN = 23
    F_OFFSET = 24
    F_IMMUTABLE = 25
    F_UNDECLARED = 26
    F_ARITY = 27
    F_REFERENCE = 28
    F_NOT_FUNC = 29
    F_NOT_FUNCREF = 30
    F_NUMBERS = 31
    F_TARGETS = 32
    F_STACK = 33
    F_UNSET = 34
    F_ZERO = 35
    F_ATOMIC_ALIGN = 36
    F_TAG = 37
    F_CLAUSE = 38
    F_CATCH = 39
    F_DELEGATE = 40
    F_RETHROW = 41
    F_LANE = 42
    F_FIELD = 43
    F_KIND = 44
    F_DEFAULT = 45
    F_PACKED = 46
    F_UNPACKED = 47
    F_IMMUTABLE_FIELD = 48
    F_IMMUTABLE_ARRAY = 49
    F_NOT_NUMERIC = 50
    F_COPY = 51
    F_CAST_FLAGS = 52

cdef enum Quick:               # what `quick_walk` does with a row
    Q_NOTHING = 0              # leave it to the walk
    Q_GET
    Q_SET
    Q_TEE
    Q_LEB                      # an integer constant
    Q_FOUR                     # a constant of so many bytes
    Q_EIGHT
    Q_LOAD
    Q_STORE
    Q_ONE                      # numbers in, a number out
    Q_TWO
    Q_DROP
    Q_BRANCH                   # br_if
    Q_BLOCK                    # of no values, as those that end
    Q_END
    Q_CALL
    Q_READ_GLOBAL
    Q_WRITE_GLOBAL

cdef struct QuickRow:
    uint8_t what
    uint8_t first              # operand types, the upper one last
    uint8_t second
    uint8_t result
    uint8_t most               # an access's alignment, or a constant's bytes

cdef struct Frame:
    const uint32_t* params
    const uint32_t* results
    uint32_t n_params
    uint32_t n_results
    uint32_t height            # of the stack below the parameters
    uint32_t loop              # index of the loop among the chunk's
    uint32_t log_start
    uint32_t outer_start       # log_start of the loop around this one
    uint32_t table             # the br_table that checked this label last
    uint32_t n_set             # locals that were set for the first time before it
    uint8_t kind
    uint8_t polymorphic        # after br, return, unreachable: operands come out of nothing

cdef struct Assignment:
    uint32_t local
    uint64_t before            # the local's mark before this entry

cdef class Checker:
    cdef readonly Context context
    cdef readonly Bodies bodies
    cdef ValidBody* body
    cdef Chunk* chunk
    cdef const uint8_t* p
    cdef const uint8_t* end
    cdef const uint8_t* at     # of the instruction
    cdef const uint8_t* stop   # where the walk looks at its budget next: the end, in most bodies
    cdef int leb               # sticky error of leb.pxd's readers
    cdef uint32_t op
    cdef uint32_t* values      # packed value types
    cdef uint32_t sp, cap_values
    cdef Frame* frames
    cdef uint32_t n_frames, cap_frames
    cdef uint32_t height       # of the innermost frame
    cdef bint polymorphic      # of the innermost frame
    cdef uint32_t tables       # br_tables so far
    cdef uint32_t local_types[FIRST_LOCALS]
    cdef uint64_t* marks       # by local: generation and position of its last entry
    cdef uint32_t n_marks
    cdef uint64_t generation
    cdef uint32_t loops        # open ones
    cdef uint32_t loop_start   # log_start of the innermost
    cdef Assignment* log
    cdef uint32_t n_log, cap_log
    cdef uint64_t work
    cdef bint has_unset        # a local of the body has no default
    cdef uint8_t* is_set       # by local, in such a body
    cdef uint32_t cap_is_set
    cdef uint32_t* newly_set   # locals that were set for the first time, in order; what a frame sets is unset at its end
    cdef uint32_t n_set, cap_newly_set
    cdef QuickRow[256] quick   # by opcode
    cdef readonly uint32_t fault, fault_op, expected, found, fault_func
    cdef readonly uint32_t clause_kind     # of the clause of the last try_table that was looked at, from 1; 0: none
    cdef readonly uint64_t fault_at

    cdef int fail(self, uint32_t fault, uint32_t expected, uint32_t found) except -1 nogil
    cdef int begin(self, ValidBody* body, Chunk* chunk) except -1 nogil
    cdef void next_window(self) noexcept nogil
    cdef void choose_quick(self, uint32_t op) noexcept
    cdef int quick_walk(self) except -1 nogil
    cdef int grow(self, uint32_t more) except -1 nogil
    cdef int enter(self, uint32_t kind, const uint32_t* params, uint32_t n_params, const uint32_t* results, uint32_t n_results) except -1 nogil
    cdef int finish(self) except -1 nogil
    cdef uint32_t local_type(self, uint32_t index) noexcept nogil
    cdef int open_loop(self, Frame* frame) except -1 nogil
    cdef int close_loop(self, Frame* frame) except -1 nogil
    cdef int assign(self, uint32_t local) except -1 nogil
    cdef uint32_t type_feature(self, uint32_t type) noexcept nogil
    cdef int note_unset(self) except -1 nogil
    cdef int set_first(self, uint32_t local) except -1 nogil
    cdef void unset(self, Frame* frame) noexcept nogil

cdef inline uint32_t natural_alignment(uint32_t size) noexcept nogil:
    """log2 of an access's size."""
    cdef uint32_t log = 0
    while size > 1:
        size >>= 1
        log += 1
    return log
