# Where machine code lies and what each address means. Readers take no lock and may be signal handlers.
from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t

cdef enum:
    CHUNK_SHIFT = 16
    CHUNK_BYTES = 65536
    ARENA_BYTES = 0x80000000
    N_CHUNKS = 32768
    SITE_BIT = 0x80000000
    NO_FUNC = 0xFFFFFFFF      # CodeRec.func of a stub: it is no guest frame

cdef struct TrapEntry:        # sorted by pc
    uint32_t pc               # offset of the trapping instruction in the function's code
    uint32_t kind             # trap kind code; NO_FRAME: the function has no frame, its return address is at rsp
    uint32_t offset           # position in the wasm body: bytes from its first instruction

cdef struct PosEntry:         # sorted by pc: calls
    uint32_t pc               # offset of the return address
    uint32_t offset

cdef struct LandEntry:        # sorted by pc: calls whose exceptions may be caught
    uint32_t pc               # offset of the return address
    uint32_t landing          # offset of the code where such an exception is looked at

cdef struct SiteEntry:        # where inlined code is from; an offset with SITE_BIT is an index of one
    uint32_t func
    uint32_t offset
    uint32_t caller           # offset of the inlined call in the function around it

cdef struct CodeRec:          # one function; immutable once published
    uint64_t start
    uint32_t size
    uint32_t func             # function index within its module, NO_FUNC for stubs
    uint64_t owner            # serial of the CodeOwner
    TrapEntry* traps
    PosEntry* positions
    uint32_t n_traps
    uint32_t n_positions
    SiteEntry* sites
    uint32_t n_sites
    uint32_t level            # of the compiler that made it
    LandEntry* landings
    uint32_t n_landings

cdef struct CodeBlock:        # what one publication put into one chunk; immutable once linked
    CodeBlock* next           # the publication before it
    uint64_t start
    uint64_t end
    CodeRec* recs             # sorted by start
    uint32_t n_recs

# Code of level 1 for who is in a loop of level 0: its poll may leave for there (on-stack replacement).
cdef enum OsrBase:
    OSR_NOWHERE = 0           # nobody wants the word
    OSR_STUB = 1              # the frame of the stub, which has the registers
    OSR_GUEST = 2             # the guest's frame

cdef struct OsrPlace:         # where a word of `exec.osr_values` is found
    int32_t offset            # from a frame pointer
    uint16_t base             # OsrBase
    uint16_t width            # bytes, 4 or 8

cdef struct OsrEntry:         # immutable once linked, `polls` aside
    OsrEntry* next
    uint64_t pc               # where the poll returns to
    uint64_t code             # 0: there will be none
    uint32_t frame_bytes      # that the code takes at once
    uint32_t polls            # that came while it was there; races between threads may lose some
    uint64_t left_ns          # processor time of the thread that left for it first, when it did; 0: nobody has
    uint32_t n
    OsrPlace* places          # behind the struct

cdef OsrEntry* find_entry(OsrEntry* newest, uint64_t pc) noexcept nogil
cdef void read_words(const OsrEntry* entry, uint64_t stub_frame, uint64_t* words) noexcept nogil

cdef uint64_t arena_base      # 0 until the first code owner
cdef CodeBlock* chunk_blocks[32768]

cdef CodeRec* find_code(uint64_t pc) noexcept nogil
cdef TrapEntry* find_trap(CodeRec* rec, uint64_t pc) noexcept nogil
cdef uint32_t find_position(CodeRec* rec, uint64_t pc) noexcept nogil
cdef uint64_t find_landing(CodeRec* rec, uint64_t pc) noexcept nogil
