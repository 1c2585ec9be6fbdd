# Tables.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport TableDef
from stratavm.runtime.common cimport CommonRecs, TableImage
from stratavm.runtime.store cimport Store

@cython.final
cdef class TableSpec:
    cdef object declared             # TableType as declared
    cdef uint64_t minimum            # elements
    cdef uint64_t maximum            # elements that it declares, if any
    cdef bint holds_handles
    cdef bint holds_functions

cdef class Table:
    cdef TableDef d
    cdef readonly Store store
    cdef object declared
    cdef readonly uint32_t number    # among the tables of its store
    cdef uint64_t reserved           # bytes of address space, 0 = on the heap
    cdef uint64_t committed          # bytes of it that are usable, and charged
    cdef uint64_t spoiled            # elements up to here may hold what a growth under way has written
    cdef uint64_t growths            # that have begun to write
    cdef uint64_t ahead              # the length of a growth that is written ahead
    cdef uint64_t prepared           # up to here elements behind the length are prepared_raw,
    cdef uint64_t prepared_raw
    cdef uint64_t prepared_growths   # unless another growth has begun
    cdef uint64_t answered           # the length that the limiter was asked for ahead; 0: none
    cdef uint64_t answered_growths   # growths by then
    cdef bint answer                 # what it said
    cdef CommonRecs common           # FuncRecs that elements may be besides those of the store; None: only those
    cdef TableImage image            # what is mapped into it; None: it began in another way
    cdef bint counted                # among the living tables of its store
    cdef readonly bint holds_handles
    cdef readonly bint holds_functions
    cdef object __weakref__
    cdef int begin(self, Store store, TableSpec spec, object raw, uint64_t length, TableImage image) except -1
    cdef int reserve(self, uint64_t top, uint64_t length, TableImage image) except -1
    cdef bint shows(self, TableImage image) except -1
    cdef int check_raw(self, uint64_t raw) except -1
    cdef uint64_t place(self, object index) except? 0xFFFFFFFFFFFFFFFF
    cdef int put(self, uint64_t at, uint64_t* items, uint64_t count) except -1
    cdef int commit(self, uint64_t size) except -1
    cdef int spread(self, uint64_t length, uint64_t raw) except -1
    cdef bint begin_ahead(self, uint64_t delta, uint64_t raw) except -1
    cdef bint goes_ahead(self, uint64_t growths, uint64_t left, uint64_t n, uint64_t raw) noexcept
    cdef bint is_allowed(self, object size) except -1
    cdef int commit_for(self, uint64_t length) except -1
    cdef object extend_as_prepared(self, object delta, object raw)
    cdef int resize(self, uint64_t length, uint64_t raw) except -1

cdef object too_long(object length, object top)
