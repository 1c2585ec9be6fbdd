# A heap as it lies in memory: one reservation, tables first, blocks behind them. Nothing in it is Python's.
#
# Blocks are 32 KiB, granules 16 bytes. Each granule has a side byte: whether an object begins there, and the epoch of
# the last collection that found it reachable. A granule with another epoch than the heap's is free, unless it lies in a
# hole that was handed out since; allocation writes no side bytes.
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from stratavm.base.bits cimport lowest_of
from stratavm.base.events.ring cimport Cell, Ring

cdef extern from * nogil:
    """
    #define strata_seen_ptr(p) __atomic_load_n((void **)(p), __ATOMIC_ACQUIRE)
    #define strata_show_ptr(p, v) __atomic_store_n((void **)(p), (void *)(v), __ATOMIC_RELEASE)
    #include <sched.h>
    static inline void strata_hold_lock(uint32_t *word) {
        while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
            sched_yield();
    }
    #define strata_let_lock_go(word) __atomic_store_n(word, 0, __ATOMIC_RELEASE)
    #define strata_add(word, count) __atomic_add_fetch(word, count, __ATOMIC_RELAXED)
    #define strata_word_at(p) __atomic_load_n(p, __ATOMIC_RELAXED)
    #define strata_keep_bits(p, bits) __atomic_fetch_and(p, (uint8_t)(bits), __ATOMIC_RELAXED)
    #define strata_add_bits(p, bits) __atomic_fetch_or(p, (uint8_t)(bits), __ATOMIC_RELAXED)
    static inline void strata_raise_to(uint64_t *word, uint64_t least) {
        uint64_t now = __atomic_load_n(word, __ATOMIC_RELAXED);
        while (now < least && !__atomic_compare_exchange_n(word, &now, least, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    }
    """
    uint64_t add "strata_add"(uint64_t* word, uint64_t count)
    void raise_to "strata_raise_to"(uint64_t* word, uint64_t least)
    uint64_t word_at "strata_word_at"(const uint64_t* place)  # as others may be writing it: once, and all of it
    void keep_bits "strata_keep_bits"(uint8_t* place, uint8_t bits)  # of a byte that others write too
    void add_bits "strata_add_bits"(uint8_t* place, uint8_t bits)
    void* seen "strata_seen_ptr"(void* place)
    void show "strata_show_ptr"(void* place, void* value)
    void lock "strata_hold_lock"(uint32_t* word)  # without the GIL: whoever has it may want that
    void unlock "strata_let_lock_go"(uint32_t* word)
    void prefetch "__builtin_prefetch"(const void* address)

cdef enum:
    GRANULE_SHIFT = 4
    BLOCK_SHIFT = 15
    BLOCK_GRANULES = 2048
    PART_BLOCKS = 64                 # blocks become usable by so many, as many as a large page has
    SMALL_PARTS = 4                  # those of a heap's beginning are on small pages
    MEDIUM = 512                     # larger objects do not make a hole go to waste: they have blocks of their own
    LARGE = 8192                     # still larger ones have whole blocks, which belong to nobody else
    TYPE_MASK = 0x1FFFFFFF           # of a canonical id, without its marks
    HEAD_STACK = 1 << 18             # objects that wait for their fields to be looked at, at most
    HEAD_ARRAYS = 1 << 12            # arrays of which a part was looked at
    ARRAY_PART = 256                 # elements that are looked at in one go

cdef enum:                           # bits of a side byte
    EPOCH = 7                        # 1 to 7; 0: no collection has seen it
    WAITING_NEW = 0x10               # as WAITING, of a look at new objects in the midst of a collection in slices
    WAITING = 0x20                   # reachable, and its fields are still to be looked at, by slices
    REWRITTEN = 0x08                 # of ``waiting``: much was written into a large array since slices were there
    UNLOGGED = 0x40                  # old, and no reference was written here since the last collection
    START = 0x80                     # an object begins here

cdef enum:                           # kinds of blocks
    UNUSED = 0
    SMALL = 1                        # objects of up to LARGE bytes
    HEAD = 2                         # a larger one begins here
    TAIL = 3                         # and goes on here
    LEAVING = 4                      # it was garbage; its pages are still to be given back to the kernel

cdef enum:                           # bits of ``zeroed``, of a block that is UNUSED
    ALL_ZEROS = 1                    # its bytes are zeros
    CLEAR = 2                        # by its side bytes no object begins there

cdef enum:                           # what a pause is spent on
    AT_ROOTS = 0                     # the guest's, and what the host holds
    AT_NEW = 1                       # new objects, and words of old ones that were noted
    AT_OLD = 2                       # all that is reachable, or a slice of it
    AT_FREEING = 3                   # what was not reached is free
    AT_HOLES = 4                     # a hole is looked for
    AT_LARGE = 5                     # a large object has its blocks
    AT_CLEANING = 6                  # side bytes with old numbers are cleared
    AT_GIVING = 7                    # pages go back to the kernel
    PARTS = 8

cdef enum:                           # kinds of notes
    NOTE_PAUSE = 0
    NOTE_NURSERY = 1                 # its size, what the pause took and may take, the next size, rate, keeping, whether
                                     # it was given up, bytes handed out, what the look may take, room, bytes of large
                                     # objects, the next keeping, what its roots took, what a pause should,
                                     # survival
    NOTE_GROWTH = 2                  # reachable bytes, bytes born, rate, soft limit, share, what may grow, what had when
                                     # slices began and what has, room, runway, trigger, survival, speed, looking,
                                     # nanoseconds of a slice, whether there are slices,
                                     # and a thread beside the guest, or that it rests shortly or is away: 0 to 4
    NOTE_SLICES = 3                  # bytes left, rate, nanoseconds of a slice, runway, bytes between two, survival,
                                     # speed, looking, thousandths that are the guest's, bytes unseen, room, bytes in
                                     # all, runway in the beginning, what has grown old since, whether a thread makes
                                     # marks beside the guest (2: it rests shortly), and whether the next slice is left
                                     # to it
    NOTE_KEPT = 4                    # bytes made, survival, nurseries in a row before, words noted
    NOTE_BESIDE = 5                  # bytes that threads have looked at in a collection, nanoseconds of their processors
                                     # and of the wall for it, collections without one before, and from here on,
                                     # and whether the collection at hand goes on without
    NOTES = 6

cdef enum:
    VALUES = 16                      # of a note, and of an event of the ring at most
    LONG_ONES = 32                   # pauses that are remembered one by one

cdef struct TypeInfo:                # what the collector knows of a type
    uint32_t size                    # bytes of an object, of an array without its elements; 0: no such type
    uint32_t element                 # bytes of an element, 0 of a struct
    uint32_t n_traced                # of an array 1 if its elements are traced
    uint32_t* traced                 # offsets of the words that may be references, ascending

cdef struct Totals:                  # of all heaps of an engine; others add to them meanwhile
    uint64_t heaps                   # that live
    uint64_t used                    # bytes of blocks in use, as of the last pause of each
    uint64_t live                    # of them reachable, as far as is known
    uint64_t collections
    uint64_t minors                  # of them those that looked at new objects only
    uint64_t cycles                  # and those that went on in slices
    uint64_t pauses
    uint64_t stood_ns                # the threads' processor time of all pauses
    uint64_t longest_ns

cdef struct TypeTable:
    TypeInfo** types                 # by number, replaced as a whole when it grows; a type's is never NULL
    uint32_t room
    Totals totals

cdef struct HeapWindow:              # what machine code has of a heap
    uint64_t next                    # where the next object begins
    uint64_t end                     # of the hole; in it lies what was there before
    uint64_t side                    # the side byte of an object is at (address >> 4) + side

cdef struct Hole:                    # handed out since the last collection
    uint32_t start                   # granules of the heap
    uint32_t used                    # up to here there are objects
    uint32_t end
    uint32_t before                  # the hole of the same block that was handed out before it + 1, or 0
    uint32_t known                   # whether the starts of its objects have side bytes

cdef struct Note:                    # of the journal
    uint64_t kind
    uint64_t at_ns                   # by the clock on the wall
    uint64_t[VALUES] values

cdef struct Pause:                   # the one at hand
    uint64_t began_ns                # by the clock on the wall
    uint64_t turned_ns               # by the same: since then ``part``
    uint64_t began_cpu_ns            # by the thread's clock, if it was asked
    uint64_t before_ns               # that had passed then, by the clock on the wall
    uint64_t slack_ns                # that others had of its processor, as far as is known
    uint64_t[PARTS] parts_ns             # by the clock on the wall
    uint32_t part
    uint8_t standing
    uint8_t exact                    # whether the thread's clock was asked
    uint8_t collects                 # whether it is one however short

cdef struct ArrayPart:
    uint32_t granule
    uint32_t index

ctypedef void (*visit_t)(void* owner, HeapState* state) noexcept nogil

cdef struct HeapState:
    HeapWindow* window               # ``own`` or the words of an ExecContext
    HeapWindow own
    HeapWindow aside                 # where objects of medium size are made that no hole has room for
    TypeTable* table
    TypeInfo** types                 # of the table, as the collection at hand has seen it
    void* mapping
    uint64_t mapped                  # bytes of the reservation
    char* base                       # first block
    uint64_t extent                  # bytes from there that have ever been used
    uint8_t* side
    uint8_t* kinds                   # of blocks
    uint8_t* zeroed                  # what is known of an unused block: ALL_ZEROS, CLEAR
    uint16_t* live                   # granules of a small block that the last collection found reachable
    uint16_t* counts                 # the same for the collection at hand: ``live`` itself, where that is one pause
    uint16_t* spare
    uint32_t* spans                  # blocks of a large object, at its head; how far that is, at others
    uint32_t* fresh                  # the hole of a block that was handed out last + 1
    uint8_t* waiting                 # whether objects of a block are marked WAITING; of a large one: REWRITTEN
    uint8_t* largest                 # granules of a small block's largest hole + 1, at most; 0: nobody knows
    uint32_t* stack                  # granules of objects
    ArrayPart* parts
    Hole* holes
    uint32_t n_holes
    uint32_t room_holes
    uint32_t hole                    # of the window + 1
    uint32_t hole_aside              # of ``aside`` + 1
    uint32_t ready                   # holes in a row that were found ahead, for the window: the first of them + 1
    uint32_t n_ready
    uint32_t n_stack
    uint32_t most_stack
    uint32_t n_parts
    uint32_t overflowed              # blocks with objects that wait and are not on the stack, of slices or of the look at hand
    uint32_t* met                    # old objects that a look at new ones has found before slices have
    uint32_t n_met
    uint32_t met_blocks              # where there are more of these
    uint32_t floor_stack             # entries below are not of the look at hand: of a collection in slices under way
    uint32_t floor_parts
    uint32_t limit_stack             # so many entries may be there just now
    uint32_t limit_parts
    uint32_t n_blocks                # that can be used
    uint32_t room_blocks             # that there is address space for
    uint32_t most_blocks             # that may be used at once
    uint32_t used_blocks             # that are not UNUSED
    uint32_t unused                  # no block before it is UNUSED
    uint32_t block                   # where the search for holes goes on
    uint32_t granule                 # within it
    uint8_t epoch
    uint8_t previous                 # what was found by an earlier collection has this one while the next is under way
    uint8_t wanted                   # by number: whether ``mark`` marks who has it; new objects have none, 0
    uint8_t gray                     # WAITING, or what is that for the look at hand
    uint8_t unfound                  # the number of old objects that a look at new ones hands over to slices; in slices,
                                     # or where none go on, no number
    uint8_t marking                  # a full collection goes on in slices
    uint8_t closing                  # a slice has found nothing left: the next look with roots may end the collection
    uint32_t put_off                 # so often it could not, as that had met too much
    uint32_t beside                  # a thread that makes marks beside the guest (``beside``): 1, it does; 2, it ends
    uint32_t beside_called           # it is to see what the guest wants
    uint32_t beside_ends             # it is to give back what it has, and to end
    uint32_t hungry                  # the guest has nothing to look at in a slice
    uint32_t had                     # the stack and what else both use: 0, nobody has them; 1, somebody does; 2, and who
                                     # wants them sleeps
    uint32_t claimed                 # 1: by the guest, for its pause; 2, and the thread sleeps meanwhile
    uint8_t guest_has                # the guest has them
    uint8_t beside_given_up          # the collection at hand goes on without one, which got no processor
    uint8_t beside_missed            # the last full collection had no thread, as others had them all
    uint8_t left_beside              # the next slice is left to the thread, which keeps up
    HeapState* shadow                # the heap as the thread sees it, with a stack of its own; owned
    uint32_t* beside_stack
    ArrayPart* beside_parts
    uint8_t* beside_waiting          # as ``waiting``
    uint16_t* beside_counts          # as ``counts``, until the end of the collection
    uint64_t beside_process          # where it is: one that was forked has none
    uint64_t beside_most             # threads that the process may have for it; 0: none
    uint64_t beside_least            # bytes that a full collection looks at for which it is worth one
    uint64_t beside_sliced           # bytes that threads have looked at in the collection at hand
    uint64_t beside_ns               # in so much of their processors' time
    uint64_t beside_wall_ns          # and of the wall's
    uint64_t beside_rests            # full collections that have none, as was decided last
    uint64_t beside_resting          # of them those to come, and the one at hand
    uint64_t beside_bytes            # that they have looked at in others
    uint8_t small_pages              # the heap is to have no large ones
    uint8_t has_asked                # it counts among those for which large ones are made
    uint32_t large_pages             # that it has
    char* lost_part                  # of the reservation, that may be another's mapping by now; or NULL
    uint8_t poison                   # freed granules are filled with POISON, and looked at before they are given again
    uint8_t always                   # every allocation collects first
    uint8_t collecting               # or the host does not allow it just now: nothing is collected
    uint8_t generational             # whoever writes a reference into an old object notes it
    uint8_t incremental              # full collections go on in slices, while the guest runs
    uint8_t lost                     # something was written, and there was no memory to note it
    uint8_t rootless                 # roots are not known just now: slices go on, and no collection begins
    uint64_t dangling                # under ``always``: words of objects that referred to what was freed
    uint64_t dangling_at             # the object that had the last of them
    uint32_t counted_blocks          # that the store's budget has
    Ring* ring                       # where decisions are told; NULL: nowhere
    Cell* cell                       # as whose
    uint8_t[NOTES] numbers           # of their events there, by NOTE_
    uint8_t in_totals                # whether the engine's have this heap
    uint64_t told_used               # what they have of it
    uint64_t told_live
    uint64_t allocated               # bytes that were handed out since the last collection
    uint64_t allocated_large         # of them for large objects
    uint64_t handed                  # and before it, ever
    uint64_t handed_large            # of them for large objects
    uint64_t handed_before           # for others, when it was measured last
    uint64_t nursery                 # with so many it is time to look for garbage among them
    uint64_t looked_at               # bytes of objects of which fields were looked at, ever
    uint64_t grown                   # bytes of objects that grew old since the last full collection
    uint64_t trigger                 # with so many, handed out or grown old, it is time for a full one
    uint64_t live_bytes              # that are reachable, as far as the last collection saw
    uint64_t least                   # the trigger is no smaller
    uint64_t collections
    uint64_t minors                  # of them those that looked at new objects only
    uint32_t start_block             # where the search for holes began after the last collection
    uint32_t start_granule
    uint64_t* log                    # words of old objects that were written to
    uint64_t n_log
    uint64_t room_log
    uint64_t noted                   # writes that were noted since they were counted last
    uint64_t cycles                  # full collections in slices
    uint64_t slices
    uint64_t slice_bytes             # are handed out between two slices
    uint64_t next_slice              # with so many bytes handed out, ever, it is time for the next
    uint64_t rate                    # bytes that are looked at in a microsecond
    uint64_t keeping                 # bytes that grow old in a microsecond without a look at them
    uint32_t clean                   # side bytes of blocks before it have no other number than the heap's
    uint64_t stood_ns                # the thread's processor time of all collections
    uint64_t longest_ns              # and of the longest
    uint64_t most_ns                 # the longest ever
    uint32_t[64] pauses              # how many took 2 ** n nanoseconds or more, and less than twice that
    uint64_t pause_ns                # that a collection should take at most, of the thread's processor time
    uint64_t damaged                 # freed runs that somebody wrote to
    uint8_t* handle_marks            # by handle: whether a reachable word is it; or NULL
    uint64_t n_handle_marks
    visit_t visit                    # tells the roots
    uint8_t only_new                 # they are asked for by who looks for new objects: what held old ones does no matter
    const uint64_t* later            # roots that are looked at in parts: who puts one in while marks are made, or takes
    uint64_t n_later                 # one out, says so (``note_admitted``)
    uint64_t later_at                # where that goes on
    void* owner
    uint64_t* held                   # objects that the host has
    uint32_t n_held
    uint32_t room_held
    uint32_t held_lock               # the host may drop what it has on any thread, and while the guest's collects
    uint32_t leaving                 # blocks that are LEAVING
    uint32_t first_leaving           # no block before it is
    uint32_t waiting_at              # where blocks are looked at for objects that wait
    uint32_t work                    # that drain has done since it looked at the clock
    uint64_t ends                    # full collections that have ended
    uint8_t fixed                    # sizes are constants, for comparison
    uint64_t factor                  # then: thousandths of what is reachable that may grow old
    uint64_t slice_ns                # that a slice may take
    uint64_t soft                    # bytes that the heap should take at most
    uint64_t share                   # thousandths of the time that full collections may take
    uint64_t born                    # bytes that grow old in a millisecond of the guest's
    uint64_t runway                  # bytes that may grow old while marks are made
    uint64_t grown_before            # that had grown old when the collection in slices began
    uint64_t to_look_at              # that were reachable then, as far as is known
    uint64_t sliced                  # of them those that slices have looked at
    uint64_t survival                # thousandths of the bytes that are handed out that grow old
    uint64_t surviving               # the same in millionths: of many bytes a thousandth is much
    uint64_t tenured                 # nurseries in a row that grew old without a look at them
    uint64_t speed                   # bytes that are handed out in a millisecond of the guest's
    uint64_t looking                 # thousandths of the guest's time that looks at new objects take besides
    uint64_t looked_cpu_ns           # what the thread's clock said at the beginning of the last of these
    uint64_t looked_stood_ns         # and how long all pauses before had been
    uint64_t ended_cpu_ns            # what the thread's clock said at the end of the last full collection
    uint64_t ended_stood_ns          # and how long all pauses before had been
    Pause pause
    uint64_t known_cpu_ns            # what the thread's clock said last
    Note* journal                    # a ring; NULL: nobody reads it
    uint64_t room_journal
    uint64_t n_journal               # that were ever noted there
    uint64_t n_taken                 # that were read
    Note[LONG_ONES] long_ones               # pauses of a millisecond or more, the last of them
    uint64_t n_long

cdef enum:
    POISON_BYTE = 0xDB

# Bytes of an object, rounded up.
cdef inline uint64_t size_of(const TypeInfo* info, const uint32_t* header) noexcept nogil:
    return (info.size + <uint64_t>info.element * header[1] + 15) & ~<uint64_t>15

cdef inline TypeInfo* info_of(HeapState* state, const uint32_t* header) noexcept nogil:
    return state.types[header[0] & TYPE_MASK]

# Bytes of objects that slices and threads have looked at in the full collection at hand.
cdef inline uint64_t sliced_of(const HeapState* state) noexcept nogil:
    return state.sliced + state.beside_sliced

# The types of the table as it is now.
cdef inline void look_up_types(HeapState* state) noexcept nogil:
    state.types = <TypeInfo**>seen(&state.table.types)

cdef inline uint32_t* header_at(HeapState* state, uint32_t granule) noexcept nogil:
    return <uint32_t*>(state.base + (<uint64_t>granule << GRANULE_SHIFT))

# A mask of the bytes, of eight side bytes, that have neither number: their highest bits.
cdef inline uint64_t free_of(uint64_t word, uint64_t epoch, uint64_t previous) noexcept nogil:
    cdef uint64_t numbers = word & 0x0707070707070707ULL
    cdef uint64_t other = (numbers ^ (epoch * 0x0101010101010101ULL)) + 0x7F7F7F7F7F7F7F7FULL
    cdef uint64_t older = (numbers ^ (previous * 0x0101010101010101ULL)) + 0x7F7F7F7F7F7F7F7FULL
    return other & older & 0x8080808080808080ULL

# The first granule in [at, end), within a block, that has neither of the numbers of the heap, or ``end``.
cdef inline uint32_t first_free(HeapState* state, uint32_t at, uint32_t end) noexcept nogil:
    cdef uint64_t found
    cdef uint32_t skipped
    while at < end:
        skipped = at & 7
        found = free_of((<const uint64_t*>(state.side + (at - skipped)))[0], state.epoch, state.previous)
        found >>= 8 * skipped
        if found != 0:
            at += lowest_of(found) >> 3
            return at if at < end else end
        at += 8 - skipped
    return end

# The first granule in [at, end), within a block, that has one of them, or ``end``.
cdef inline uint32_t first_live(HeapState* state, uint32_t at, uint32_t end) noexcept nogil:
    cdef uint64_t found
    cdef uint32_t skipped
    while at < end:
        skipped = at & 7
        found = free_of((<const uint64_t*>(state.side + (at - skipped)))[0], state.epoch, state.previous)
        found = (found ^ 0x8080808080808080ULL) >> 8 * skipped
        if found != 0:
            at += lowest_of(found) >> 3
            return at if at < end else end
        at += 8 - skipped
    return end
