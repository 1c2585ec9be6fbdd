# Instances: a VMContext and everything it points to.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.runtime._gen_layout cimport FuncRec, MemDef, TableDef, VMContext
from stratavm.runtime.store cimport Store

cdef struct DataSegment:
    const uint8_t* start
    uint64_t size                    # 0 once dropped

cdef struct ElementSegment:
    uint64_t* items
    uint64_t size                    # 0 once dropped

cdef struct Segments:                # VMContext.segments: what leaf builtins need besides the context
    DataSegment* data
    ElementSegment* elements
    uint32_t n_data
    uint32_t n_elements
    uint32_t n_memories
    uint32_t n_tables

cdef class Instance:
    cdef VMContext* vm
    cdef Segments seg
    cdef readonly Store store
    cdef readonly Py_ssize_t number      # among the instances of its store
    cdef readonly object module          # the model
    cdef readonly object code            # what the tier attached: keeps machine code alive
    cdef readonly object name
    cdef readonly object layout          # VMLayout
    cdef readonly list memories
    cdef readonly list tables
    cdef readonly list globals
    cdef readonly list imported_funcs    # FuncRefs
    cdef readonly uint32_t n_imported_funcs
    cdef readonly uint32_t n_defined
    cdef public object oracle            # the oracle's program for this instance
    cdef public object compiler          # defined index -> code address, for lazy stubs
    cdef readonly bint closed
    cdef readonly bint poisoned
    cdef object keep                     # buffers that native structs point into
    cdef object __weakref__
    cdef char* cell(self, uint64_t offset) noexcept nogil
    cdef uint32_t segment(self, object index, uint32_t count) except? 0xFFFFFFFF

cdef inline MemDef* memory_at(VMContext* vm, uint32_t index) noexcept nogil:
    return (<MemDef**>(<char*>vm + sizeof(VMContext) + 16 * <uint64_t>index))[1]

cdef inline TableDef* table_at(VMContext* vm, uint32_t index) noexcept nogil:
    cdef uint64_t first = (<Segments*>vm.segments).n_memories
    return (<TableDef**>(<char*>vm + sizeof(VMContext) + 16 * (first + index)))[1]
