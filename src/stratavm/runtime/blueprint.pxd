# What the instances of a module have in common.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.module.sections cimport Datas, Functions
from stratavm.runtime.common cimport CommonRecs
from stratavm.runtime.func cimport Shape
from stratavm.runtime.typeids cimport UsedTypes

cdef struct DataSegment:
    const uint8_t* start
    uint64_t size                    # 0 once dropped

cdef struct ElementSegment:
    uint64_t* items
    uint64_t size                    # 0 once dropped

cdef struct Segments:                # VMContext.segments: what leaf builtins need besides the context
    DataSegment* data                # of the passive ones, which an instance has; all of them where it failed to begin
    const uint32_t* places           # the blueprint's: where a segment is in them, or NOWHERE; NULL: by its number
    ElementSegment* elements
    const uint32_t* recorded         # the blueprint's: functions of which there are FuncRecs
    uint32_t n_recorded
    uint32_t n_imported_funcs
    uint32_t n_data
    uint32_t n_elements
    uint32_t n_memories
    uint32_t n_tables

cdef enum:
    NOWHERE = 0xFFFFFFFF             # of an active segment: it is dropped once it is copied, and in no instance

# A data segment of an instance, or NULL: an active one, which is empty.
cdef inline DataSegment* data_segment_at(Segments* segments, uint32_t index) noexcept nogil:
    cdef uint32_t place = index if segments.places == NULL else segments.places[index]
    return NULL if place == NOWHERE else segments.data + place

cdef struct ElementPlan:             # how an element segment is initialised
    bint active
    bint kept                        # passive: not dropped at once
    bint plain                       # its elements are functions, by index
    bint placed                      # its offset is a constant
    uint32_t table
    uint32_t first                   # where its function indices begin among all, and how many they are
    uint32_t count
    uint64_t offset

cdef struct RootRun:                 # globals, one behind the other
    uint32_t first
    uint32_t count

@cython.final
cdef class Blueprint:
    cdef char* template              # VMContext, FuncRecs and segments of an instance that is all zero
    cdef CommonRecs common           # of clones; None: there is none yet
    cdef uint64_t size
    cdef uint64_t data_segments      # offsets in it
    cdef uint64_t element_segments
    cdef uint64_t func_recs          # the last: a clone of a module that confines its functions ends here
    cdef uint64_t memory_cells       # and in VMContext
    cdef uint64_t table_cells
    cdef uint64_t global_cells
    cdef uint64_t imported_cells
    cdef uint64_t tag_cells
    cdef Datas datas                 # all data segments
    cdef const uint8_t* binary       # where their contents lie
    cdef object rest                 # what reads those that are not there yet, or None
    cdef uint32_t* places            # where each is among the passive ones, or NOWHERE
    cdef uint32_t n_passive
    cdef ElementPlan* plans          # of element segments
    cdef uint32_t* indices           # of the functions in them: imported ones, then by declared ordinal
    cdef Segments counts             # without the pointers
    cdef uint32_t n_defined
    cdef uint32_t n_imported_funcs
    cdef Functions functions         # that it defines
    cdef uint32_t* recorded          # functions of which an instance has FuncRecs, ascending
    cdef uint32_t n_recorded         # as in ``counts``
    cdef uint32_t* type_ids          # canonical ones by type index, for machine code; before them &TypeIds.above
    cdef readonly object module      # the model
    cdef readonly object code        # what the tier made: keeps machine code alive
    cdef readonly str name
    cdef readonly str plan           # of memories
    cdef readonly object layout      # VMLayout
    cdef readonly tuple ids          # canonical type ids by type index
    cdef readonly list layouts       # Layout by type index, None of function types; None where there are no others
    cdef UsedTypes types             # what they come from; they mean these types as long as it lives
    cdef object attach               # of the code
    cdef object code_table           # the CodeTable that it attached, and its compiler
    cdef object compiler
    cdef object lifter               # and what is asked about functions that run much, or None
    cdef object loop_lifter          # and about loops
    cdef uint32_t n_globals
    cdef uint32_t n_imported_globals
    cdef tuple memories              # MemorySpecs of its own memories
    cdef tuple imports               # these as in the model
    cdef tuple import_ids            # type id of each import that is a function, else 0
    cdef tuple globals               # of its own, as in the model
    cdef RootRun* root_runs          # of those of its own that hold references to what is no function
    cdef uint32_t n_root_runs
    cdef bint root_exceptions        # whether some may be exnrefs, or references to objects
    cdef tuple evaluated             # the numbers, among its own, of those whose value is no plain i32
    cdef uint32_t n_tags
    cdef tuple tags                  # types of its own tags, and their ids
    cdef tuple tables                # TableSpecs of its own tables
    cdef tuple table_inits           # and what their elements begin with, None for null
    cdef tuple segments
    cdef object start
    cdef list types_from(self, uint32_t defined_index)
    cdef object func_type(self, uint32_t defined_index)
    cdef list shapes                 # Shape of each defined function, once asked for
    cdef int list_functions(self) except -1
    cdef CommonRecs common_recs(self)
    cdef uint32_t listed(self, uint32_t function) noexcept
    cdef uint32_t type_id(self, uint32_t function) except? 0
    cdef int plan_datas(self) except -1
    cdef int need_data(self, uint32_t index) except -1
    cdef int place(self) except -1
    cdef int fill(self) except -1
    cdef int plan_elements(self) except -1
    cdef int plan_roots(self) except -1
    cdef Shape shape_of(self, uint32_t defined_index, object stubs)

# What a data segment begins with. It is there: that of a passive one always, of others once somebody needed it.
cdef inline DataSegment whole_segment(Blueprint blueprint, uint32_t index) noexcept nogil:
    cdef DataSegment segment
    segment.start = blueprint.binary + blueprint.datas.records[index].start
    segment.size = blueprint.datas.records[index].end - blueprint.datas.records[index].start
    return segment
