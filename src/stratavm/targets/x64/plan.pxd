# What selection and emission must know about the module, as C arrays: one per module, read by every compiling thread.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    IN_STACK = 0xFF
    ANY_LENGTH = 0xFFFFFFFF
    MOST_FIXED = 0x7FFFFFFF    # elements of a table whose length is an immediate

cdef struct ValuePlace:
    uint8_t type          # ValueType of ir/ssa.pxd
    uint8_t reg           # 0-31, IN_STACK = a stack cell
    uint8_t traced        # of a field: a reference to an object, or a handle
    uint8_t sure          # a reference that is never null
    uint32_t offset       # of the cell

cdef struct TypePlan:
    uint32_t first        # in places: parameters, then results
    uint32_t n_params
    uint32_t n_results
    uint32_t stack_bytes  # popped by the callee
    uint32_t result_bytes # area behind r9
    uint32_t own_id       # the canonical id of the type, or 0 where only the engine knows it
    uint32_t usable       # 0: not a function type
    uint32_t open         # others may be declared below it
    uint32_t size         # bytes of a struct, of an array those before its elements; 0: a function type

cdef struct MemoryPlan:
    uint32_t cell         # offset from r14 of the base pointer; the MemDef pointer is at +8
    uint32_t plan         # PLAN_GUARD or PLAN_BOUNDED
    uint32_t page_shift
    uint32_t is64
    uint64_t min_bytes    # no instance's memory is smaller

cdef class ModulePlan:
    cdef TypePlan* types
    cdef uint32_t n_types
    cdef ValuePlace* places
    cdef uint32_t* func_types      # type index by function index
    cdef uint32_t n_funcs
    cdef uint32_t n_imported_funcs
    cdef uint32_t* recorded        # functions of which instances have FuncRecs, ascending
    cdef uint32_t n_recorded
    cdef uint32_t confined         # FuncRecs in tables and references may be common: Module.confines_funcs
    cdef uint8_t* global_types     # ValueType by global index
    cdef uint32_t n_globals
    cdef uint32_t n_imported_globals
    cdef MemoryPlan* memories
    cdef uint32_t n_memories
    cdef uint32_t* table_lengths   # of tables that cannot grow, else ANY_LENGTH
    cdef uint32_t n_tables
    cdef uint32_t tables           # offsets from r14, see VMLayout
    cdef uint32_t globals
    cdef uint32_t imported_funcs
    cdef uint32_t tags
    cdef uint32_t cpu              # 1 << CPU_* of _gen_encodings
    cdef uint32_t level            # of the code that is made by it
    cdef uint32_t counting         # functions count their calls
    cdef uint32_t polling          # loops take the slow path of their polls (tests)
    cdef uint32_t leaves           # a tail call may end in another instance: a call returns with any context
    cdef uint32_t poison           # fill registers and frames with garbage (tests)
    cdef readonly object features  # names of the processor extensions in use

cdef extern from *:
    """
    #include <cpuid.h>
    static unsigned strata_cpu(void) {  /* bits by CPU_*: 1 sse42 (with SSSE3 and SSE4.1), 2 popcnt, 3 lzcnt, 4 bmi1, 5 bmi2, 6 avx */
        unsigned a = 0, b = 0, c = 0, d = 0, found = 0;
        if (__get_cpuid(1, &a, &b, &c, &d)) {
            found |= (c >> 9 & c >> 19 & c >> 20 & 1) << 1 | (c >> 23 & 1) << 2;
            if (c >> 27 & c >> 28 & 1) {  /* and the system saves the registers */
                __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
                found |= ((a & 6) == 6) << 6;
            }
        }
        if (__get_cpuid(0x80000001u, &a, &b, &c, &d))
            found |= (c >> 5 & 1) << 3;
        if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
            found |= (b >> 3 & 1) << 4 | (b >> 8 & 1) << 5;
        return found;
    }
    """
    unsigned int strata_cpu() noexcept nogil
