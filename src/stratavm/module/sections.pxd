# Functions and data segments as records: what the decoder writes once and all later stages read, on any thread.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

cdef struct FunctionRecord:
    uint32_t type_index
    uint32_t start             # of the instructions within Module.binary, and behind their last `end`
    uint32_t end
    uint32_t first_run         # of locals; those of the next function follow: there is a record behind the last one

cdef struct RunRecord:
    uint32_t count
    uint32_t type

cdef enum DataKind:
    DATA_PASSIVE = 0
    DATA_PLAIN = 1             # active, at a constant i32
    DATA_COMPUTED = 2          # active, at what its expression says
    DATA_WIDE = 3              # active, at a constant i64 below 2**32

cdef struct DataRecord:
    uint32_t kind
    uint32_t start             # of the content within Module.binary
    uint32_t end
    uint32_t memory
    uint32_t place             # DATA_PLAIN, DATA_WIDE: where the segment goes, as raw bits
    uint32_t first             # of its expression within Module.binary
    uint32_t last              # behind it

cdef class Items:
    cdef uint32_t n
    cdef object item(self, uint32_t index)

@cython.final
cdef class Functions(Items):
    cdef FunctionRecord* records
    cdef RunRecord* runs
    cdef uint32_t n_runs, cap_runs
    cdef public bint leaves    # a tail call of one of them may end in another instance; known once the bodies are valid
    cdef int reserve(self, uint32_t count) except -1
    cdef int body(self, uint32_t index, uint32_t start, uint32_t end, uint32_t first_run) except -1
    cdef int run(self, uint32_t count, uint32_t type) except -1

@cython.final
cdef class Datas(Items):
    cdef DataRecord* records
    cdef bytes binary          # expressions lie in it
    cdef object rest           # what reads those that are not there yet, or None
    cdef tuple made            # the items, where they were no part of a binary
    cdef int reserve(self, uint32_t count) except -1

cdef object wide_place(bytes code)
cdef object new_const(bytes code, object offset, object lone_i32)
