# Code memory. A CodeOwner's code lives until the owner dies; bytes are written once, before anybody has their address.
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from stratavm.runtime.codemap cimport CodeRec, LandEntry, PosEntry, SiteEntry, TrapEntry

cdef struct CodeSource:       # one function to publish; the tables are copied unless they are held
    const uint8_t* code
    uint32_t size
    uint32_t func             # function index, NO_FUNC for a stub
    const TrapEntry* traps
    const PosEntry* positions
    uint32_t n_traps
    uint32_t n_positions
    const SiteEntry* sites
    uint32_t n_sites
    const LandEntry* landings
    uint32_t n_landings
    uint32_t level            # of the compiler that made it
    bint held                 # its tables live as long as the owner, who holds what they lie in

cdef struct ChunkRun:         # consecutive chunks of one owner, filled from the left
    ChunkRun* next            # in the owner's list of all runs
    uint32_t first            # chunk number
    uint32_t count
    uint64_t at               # next free byte; in an executable page unless it begins one
    uint64_t end
    bint busy                 # a thread is writing into it

cdef class CodeOwner:
    cdef readonly uint64_t serial
    cdef readonly object name
    cdef readonly object label    # func index -> name, or None
    cdef readonly object origin   # func index -> start of its instructions in the binary, or None
    cdef ChunkRun* runs
    cdef void** allocations
    cdef uint32_t n_allocations
    cdef uint32_t cap_allocations
    cdef readonly uint64_t code_bytes
    cdef readonly uint64_t pages_bytes
    cdef list held                # what tables lie in
    cdef object __weakref__
    cdef void release_runs(self) noexcept nogil
    cdef int remember(self, void* memory) noexcept nogil
    cdef uint64_t start_in(self, ChunkRun* run, uint64_t size, bint alone) noexcept nogil
    cdef ChunkRun* claim_run(self, uint64_t size, bint alone, int* status) noexcept nogil
    cdef int link_blocks(self, ChunkRun* run, CodeRec* recs, uint32_t n, uint64_t start, uint64_t end) noexcept nogil
    cdef int publish_sources(self, CodeSource* sources, uint32_t n, uint64_t* addresses, bint alone) noexcept nogil
    cdef int publish_with_gil(self, CodeSource* sources, uint32_t n, uint64_t* addresses) noexcept

cdef enum:
    PUBLISH_OK = 0
    PUBLISH_NO_MEMORY = 1
    PUBLISH_ARENA_FULL = 2
    PUBLISH_PROTECT = 3

cdef bint is_crowded() noexcept nogil
