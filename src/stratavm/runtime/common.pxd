# What clones of a module have in common besides code: FuncRecs, and what their tables begin with.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport FuncRec

@cython.final
cdef class CommonRecs:
    cdef FuncRec* recs                   # owned
    cdef uint64_t bytes
    cdef void** codes                    # of the CodeTable that they have code of; NULL: none yet
    cdef int begin(self, const FuncRec* originals, uint32_t count) except -1
    cdef int take_code(self, void** codes, uint32_t n_imported_funcs) except -1
    cdef inline bint has(self, uint64_t raw) noexcept:      # whether a raw funcref is one of them
        cdef uint64_t at = raw - <uint64_t>self.recs
        return at < self.bytes and at % sizeof(FuncRec) == 0

@cython.final
cdef class TableImage:
    cdef readonly bytes places           # its elements: 4 bytes each, 1 + the place of a function, or 0
    cdef readonly object shown           # MemoryImage of the raw elements; None: ``raws`` has them
    cdef bytes raws
    cdef readonly dict imported          # 1 + place of each element that is an imported function, and null in the image
    cdef uint64_t length                 # elements
    cdef CommonRecs recs                 # where they point to
    cdef const uint64_t* content(self) noexcept
