# Instances: a VMContext and everything it points to.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport FuncRec, MemDef, TableDef, VMContext
from stratavm.runtime.blueprint cimport Blueprint, DataSegment, ElementPlan, Segments
from stratavm.runtime.codemap cimport CodeRec
from stratavm.runtime.codetable cimport CodeTable
from stratavm.runtime.common cimport CommonRecs
from stratavm.runtime.exceptions cimport Tag
from stratavm.runtime.func cimport FuncRef, LoneFunc
from stratavm.runtime.globals cimport Global
from stratavm.runtime.memory cimport Memory
from stratavm.runtime.store cimport Store
from stratavm.runtime.table cimport Table

cdef class Instance:
    cdef VMContext* vm
    cdef Segments seg
    cdef DataSegment* all_datas          # owned: where its initialisation failed, else NULL
    cdef readonly Store store
    cdef readonly Py_ssize_t number      # among the instances of its store
    cdef readonly Blueprint blueprint
    cdef readonly list memories
    cdef readonly list tables
    cdef list made_globals               # a Global each, or None as long as nobody in Python has asked for it
    cdef list imported_funcs    # FuncRefs
    cdef readonly list tags
    cdef readonly uint32_t n_imported_funcs
    cdef readonly uint32_t n_defined
    cdef public object oracle            # the oracle's program for this instance
    cdef public object compiler          # defined index -> code address, for lazy stubs
    cdef public object loop_lifter       # (defined index, where a loop's poll returns): makes an entry for it
    cdef public object lifter            # (defined index, calls, ticks) -> calls at which it is asked again; or None
    cdef void* table                     # owned: the CodeTable where its code comes from, or NULL; holds no objects
    cdef void* common                    # owned: the CommonRecs that it has instead of FuncRecs of its own, or NULL
    cdef bint calls                      # whether it may call what is there: until its store is closed
    cdef dict lone                       # LoneFuncs by index, or None
    cdef readonly list retired           # Versions of before whose code guests may still be in; None: there was none
    cdef readonly object before          # the Version that a rollback puts back, or None
    cdef bytes binary                    # the first version's, whose data segments it has; None: there was one alone
    cdef uint64_t charged                # bytes of the store's quota
    cdef readonly bint closed
    cdef readonly bint poisoned
    cdef readonly object module          # of an engine, as the next three: the class there adds methods only
    cdef object made                     # its Exports, once asked for
    cdef tuple binders                   # Binders, one for each import; None: it was made without
    cdef bint initialized
    cdef object __weakref__
    cdef int begin(self, Store store, Blueprint blueprint, CommonRecs common) except -1
    cdef int let_go(self) except -1
    cpdef int take_code(self, CodeTable table, object compiler) except -1
    cdef int call_nothing(self) noexcept
    cdef int charge_bytes(self, uint64_t count) except -1
    cdef int have_pages(self) except -1
    cdef int copy_active_datas(self, object evaluate, uint32_t covered) except -1
    cdef int keep_datas(self, uint32_t first) except -1
    cdef void free_dropped(self) noexcept
    cdef int add_memory(self, Memory memory) except -1
    cdef int import_global(self, uint32_t index, Global variable) except -1
    cdef Global global_of(self, uint32_t index)
    cdef int add_table(self, Table table) except -1
    cdef int add_tag(self, Tag tag) except -1
    cdef bint all_show(self) except -1
    cdef int set_element(self, uint32_t index, object evaluate) except -1
    cdef int make_element(self, uint32_t index, list items) except -1
    cdef int write_functions(self, ElementPlan* how, uint64_t* to) except -1
    cdef int keep_elements(self, uint32_t first) except -1
    cdef uint64_t listed(self, uint32_t place) except? 0
    cdef uint32_t place_of(self, Py_ssize_t index) except? 0xFFFFFFFE
    cdef LoneFunc lone_func(self, uint32_t index)
    cdef int introduce(self, FuncRef function, FuncRec* rec) except -1
    cdef object program(self)
    cdef uint64_t make_object(self, uint32_t type_index, uint64_t count, bint step) except 0
    cdef uint64_t checked_ref(self, Py_ssize_t index) except? 0
    cpdef FuncRef callee(self, Py_ssize_t index)
    cpdef FuncRef function_of(self, uint64_t address)
    cdef int init_tables(self, object evaluate) except -1
    cpdef object add_imported_func(self, FuncRef function)
    cdef char* cell(self, uint64_t offset) noexcept nogil
    cdef uint32_t segment(self, object index, uint32_t count) except? 0xFFFFFFFF

# Whether code is of another version than its instance has by now: no better code is made for it.
cdef inline bint is_old(VMContext* vm, CodeRec* rec) noexcept nogil:
    return (<CodeTable>(<Instance>vm.instance).table).owner != rec.owner

cdef inline MemDef* memory_at(VMContext* vm, uint32_t index) noexcept nogil:
    return (<MemDef**>(<char*>vm + sizeof(VMContext) + 16 * <uint64_t>index))[1]

cdef inline TableDef* table_at(VMContext* vm, uint32_t index) noexcept nogil:
    cdef uint64_t first = (<Segments*>vm.segments).n_memories
    return (<TableDef**>(<char*>vm + sizeof(VMContext) + 16 * (first + index)))[1]
