# Functions that were compiled and not published yet, without Python objects.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.native.execmem cimport CodeSource
from stratavm.runtime.codetable cimport CodeTable
from stratavm.targets.x64.emit cimport Emitter

cdef struct Made:
    uint32_t index            # of the function among those defined
    uint64_t at               # of its code in `bytes`; behind it traps, returns, sites and landings
    uint32_t size
    uint32_t n_traps
    uint32_t n_returns
    uint32_t n_sites
    uint32_t n_landings
    uint32_t level            # of the compiler
    uint64_t ns               # that it took
    void* seen                # what its slot had when it was begun

@cython.final
cdef class Batch:
    cdef Made* made
    cdef uint32_t n_made, cap_made
    cdef uint8_t* bytes
    cdef uint32_t n_bytes, cap_bytes
    cdef CodeSource* sources
    cdef uint32_t cap_sources
    cdef uint64_t* addresses
    cdef uint32_t cap_addresses

    cdef int clear(self) noexcept nogil
    cdef int take(self, Emitter emitter, uint32_t index, uint64_t ns, void* seen) except -1 nogil
    cdef uint64_t put(self, const void* items, uint64_t size) except? 0xFFFFFFFFFFFFFFFF nogil
    cdef int drop_late(self, CodeTable table) noexcept nogil
    cdef int point(self, uint32_t first) except -1 nogil
