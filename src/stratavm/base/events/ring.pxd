# The ring: hot modules record with `ring_record`; the bus makes, drains and frees it.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef struct Cell:                 # a source of events, as code without the GIL sees it
    uint64_t identity             # label number << 48 | number
    uint64_t last                 # sequence number of its last event

cdef struct Record:               # 64 bytes
    uint64_t turn                 # whose turn the place is: the ring's protocol
    uint64_t sequence
    uint64_t source
    uint32_t kind
    uint32_t unused
    int64_t[4] values

cdef struct Overflow:             # a record that must not be dropped, and found the ring full
    Overflow* next
    Record record

cdef struct Ring:
    uint64_t head                 # next place to write; producers swap it forward
    uint64_t tail                 # next place to read; moved with the GIL held
    uint64_t mask                 # capacity - 1
    uint64_t dropped
    Overflow* overflow            # a stack, newest first
    uint8_t[64] heard             # by kind: does anybody listen?
    uint8_t[64] keeps             # by kind: never dropped
    uint8_t[64] places            # by kind: records in a row that its values take
    Record* records

# Record an event from any context, also without the GIL; kinds that are never dropped call malloc when the ring is full, so
# they are not for signal handlers. 1 = recorded, 0 = nobody listens or dropped.
cdef int ring_record(Ring* ring, Cell* source, uint32_t kind, int64_t a, int64_t b, int64_t c, int64_t d) noexcept nogil

# The same of a kind whose values take several records, which are claimed together: all of them, or none. There are four
# values for each of its places. No such kind is kept where the ring is full.
cdef int ring_record_wide(Ring* ring, Cell* source, uint32_t kind, const int64_t* values) noexcept nogil

cdef enum:
    VALUES_OF_RECORD = 4
    MOST_PLACES = 4                  # of one event

cdef Ring* new_ring(uint32_t capacity) except? NULL
cdef object free_ring(Ring* ring)
