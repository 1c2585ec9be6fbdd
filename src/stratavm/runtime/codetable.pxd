# Slots of code by function: see codetable.py.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from stratavm.runtime.codemap cimport OsrEntry, OsrPlace

cdef struct Tally:                       # what is known of how much a function runs, where functions count their calls
    uint32_t calls                       # that were seen; races between stores may lose some
    uint32_t ask_at                      # so many calls and the tier is asked what to do; 0: at `Tallies.first`
    uint32_t ticks                       # that found a guest in its code of level 0
    void* plain                          # code of it that is known to be of level 0

cdef struct Tallies:
    Tally* of                            # by defined index; NULL where functions do not count
    uint32_t first                       # calls after which the tier is asked for the first time
    uint32_t period                      # calls between two credits, on average
    bint ticks                           # whether a tick counts
    uint32_t polls                       # of a loop of level 0, after which it is asked about its code; 0: at ticks
    uint32_t seen_ticks                  # of all functions: when one was found for the 1st, 2nd, 4th, ... time, all its
    uint32_t young_ticks                 # with fewer a program is young: `is_due`; 0: it never is
    uint32_t young_calls                 # from which on the tier of a young one is asked even so
    bint patient                         # the tier may be asked some ticks later
    uint32_t put_off[8]                  # functions about which it will be, by defined index; races may lose some
    uint32_t n_put_off
    uint32_t waited                      # ticks since it was asked about such ones

cdef enum:
    NEVER_AGAIN = 0xFFFFFFFF             # Tally.ask_at
    MOST_PUT_OFF = 8                     # functions about which the tier is asked together
    PATIENCE = 4                         # ticks for which one waits for others

# Whether the tier is to be asked now about a function that was just entered, or found by a tick (`ticks`); notes both.
cdef bint is_due(Tallies* tallies, uint32_t at, uint32_t ticks) noexcept nogil

# One of the functions that were put off, which is forgotten; NO_FUNC: there is none, or at a tick, it is not yet time.
cdef uint32_t next_put_off(Tallies* tallies, bint at_tick) noexcept nogil

# Whether the code at an address, a function's, is above level 0. That it is not is kept in mind.
cdef bint has_better(Tally* tally, void* address) noexcept nogil

# Entries until a word of counters runs out that began by a random byte.
cdef uint32_t span_of(uint32_t period, uint32_t chance) noexcept nogil

@cython.final
cdef class CodeTable:
    cdef void** codes                    # VMContext.slots of its instances
    cdef readonly uint32_t count
    cdef readonly uint64_t owner         # serial of the CodeOwner that holds the code
    cdef uint64_t first_stub             # 0: there are no lazy stubs
    cdef uint32_t stub_bytes
    cdef Tallies tallies
    cdef void* entries                   # OsrEntry*: newest first
    cdef uint32_t attached               # instances that may call its functions
    cdef uint32_t* watch                 # set to 1 when none is left, where somebody compiles for them; else NULL
    cdef public object fallback          # gives an instance its program for the oracle; None: no function needs one
    cdef void* stub_of(self, uint32_t index) noexcept nogil
    cdef bint link(self, OsrEntry* entry) noexcept nogil
    cdef OsrEntry* entry_at(self, uint64_t pc) noexcept nogil
    # `add_entry` without the GIL, unless the poll finds one already: 1; 0: it does; -1: there is no memory
    cdef int offer_entry(
        self, uint64_t pc, uint64_t code, uint32_t frame_bytes, const OsrPlace* places, uint32_t n
    ) noexcept nogil
    cdef bint offer(self, uint32_t index, void* seen, void* code) noexcept nogil
    cdef void* seen(self, uint32_t index) noexcept nogil
    cdef bint is_still(self, uint32_t index, void* seen) noexcept nogil
    cdef bint lacks(self, uint32_t index) noexcept nogil
    cdef uint32_t checked(self, object index) except? 0xFFFFFFFF
    cdef int detach(self) noexcept
