# What validation knows of a module, in C arrays: the context that the walks consult (types, functions, tables …) and the
# facts of each body. Written once by `valid.py` and the validating walk, immutable afterwards: any thread may read.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from stratavm.module.chunks cimport ReadJob

cdef enum:
    NO_INDEX = 0xFFFFFFFF

cdef enum TypeKind:
    TK_FUNC = 0
    TK_STRUCT = 1
    TK_ARRAY = 2

cdef struct TypeFact:
    const uint32_t* params     # packed value types; results follow the parameters. Or fields, an array's one element
    const uint32_t* results    # of fields: 1 where they may be set
    uint32_t n_params
    uint32_t n_results
    uint32_t canonical         # equal for equivalent types of this module
    uint32_t super             # type index or NO_INDEX
    uint32_t kind
    uint32_t defaults          # whether all fields have a default
    uint32_t refs[2]           # packed: the references to it, nullable and not; block types point here

cdef struct GlobalFact:
    uint32_t type
    uint32_t mutable

cdef struct TableFact:
    uint32_t type              # of elements
    uint32_t is64

cdef struct LocalRun:
    uint32_t end               # local index behind the run, parameters included
    uint32_t type

cdef enum BodyFlag:
    VB_CALLS = 2
    VB_LOOPS = 4
    VB_COMPLEX = 8             # the lists of assigned locals outgrew their budget and are missing
    VB_TRIES = 16              # has a try_table or a try
    VB_THROWS = 32             # has a throw, throw_ref or rethrow
    VB_RETHROWS = 64           # has a rethrow
    VB_LEAVES = 128            # a tail call of an import, through a table or through a reference
    VB_AGAIN = 256             # a tail call of the function itself

cdef struct ValidBody:
    uint32_t func              # function index
    uint32_t type_index
    uint32_t start             # instruction bytes within Module.binary
    uint32_t end
    uint32_t first_run         # in Bodies.runs: locals without the parameters
    uint32_t n_runs
    uint32_t n_params
    uint32_t n_locals          # parameters included
    uint32_t max_stack
    uint32_t max_depth
    uint32_t chunk             # whose arrays hold the loops
    uint32_t first_loop
    uint32_t n_loops
    uint32_t flags

cdef struct LoopFact:
    uint32_t first             # in Chunk.assigned
    uint32_t count

cdef struct Chunk:             # the facts of consecutive bodies
    uint32_t first_body
    uint32_t last_body
    LoopFact* loops            # in the order of the loop instructions, unreachable ones included
    uint32_t n_loops, cap_loops
    uint32_t* assigned
    uint32_t n_assigned, cap_assigned

@cython.final
cdef class Context:
    cdef readonly object module
    cdef const uint8_t* binary
    cdef ReadJob* rest         # what reads parts of it that are not there yet; NULL: all are
    cdef uint64_t features     # bit set by position in features.FEATURES
    cdef TypeFact* types
    cdef uint32_t n_types
    cdef uint32_t* pool        # parameters and results of all types
    cdef uint32_t* func_types  # type index by function index
    cdef uint8_t* declared     # functions that ref.func may name
    cdef uint32_t n_funcs
    cdef TableFact* tables
    cdef uint32_t n_tables
    cdef uint8_t* memory64
    cdef uint8_t* shared       # memories that other threads see
    cdef bint sharing          # whether there is one
    cdef uint32_t n_memories
    cdef GlobalFact* globals
    cdef uint32_t n_globals
    cdef uint32_t* tag_types   # type index by tag index
    cdef uint32_t n_tags
    cdef uint32_t* elem_types
    cdef uint32_t n_elems
    cdef uint32_t n_datas
    cdef bint has_data_count
    cdef uint32_t max_stack    # operands of one body
    cdef uint32_t max_targets  # of a br_table, the default not counted
    cdef uint32_t singles[128] # packed value type by its one byte: block types point here
    cdef uint32_t solids[128]  # the same references, not null

    cdef bint matches(self, uint32_t found, uint32_t expected) noexcept nogil
    cdef bint heap_matches(self, uint32_t found, uint32_t expected) noexcept nogil

# Where the context keeps a reference type: `heap` is a type index, or the number of an abstract heap type, which is
# negative. Both must exist.
cdef inline const uint32_t* kept_ref(Context context, bint solid, int64_t heap) noexcept nogil:
    if heap >= 0:
        return &context.types[heap].refs[solid]
    return &context.solids[heap & 0x7F] if solid else &context.singles[heap & 0x7F]

@cython.final
cdef class Bodies:
    cdef ValidBody* items
    cdef uint32_t n
    cdef LocalRun* runs
    cdef uint32_t n_runs
    cdef Chunk* chunks         # NULL where the bodies are vouched for
    cdef uint32_t n_chunks
    cdef readonly bint vouched # no walk has been over them in this process: facts are found when a body is built
