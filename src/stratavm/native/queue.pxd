# What a thread without Python compiles and publishes: see queue.py.
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from stratavm.base.budget cimport Quota
from stratavm.native.background cimport Job
from stratavm.native.execmem cimport CodeOwner
from stratavm.native.worker cimport Worker
from stratavm.runtime.codetable cimport CodeTable

cdef enum Fate:               # what became of a function that was asked for
    PUBLISHED = 0
    LATE = 1                  # other code was there first
    NO_ROOM = 2               # for code, or no memory
    REFUSED = 3               # by the compiler
    UNWANTED = 4              # no instance is left that could call it
    CROWDED_OUT = 5           # by others that are worth more

cdef struct Delivery:         # one function
    uint32_t index            # among those defined
    uint32_t size             # in bytes, of the code; of what was not published 0, as the next
    uint64_t ns               # that it took
    uint64_t loop             # where its poll returns to; 0: the function itself
    int thread                # the kernel's number of the thread that compiled it
    uint32_t fate

cdef struct Report:           # of several; one piece of memory, `made` behind the struct
    Report* next
    uint32_t n
    Delivery* made

cdef struct Request:          # functions to compile; the indices lie behind the struct
    Request* next
    uint32_t n

# Lists that threads with and without the GIL hand to each other: the first word of an item is the next one.
cdef int add(void** head, void** item) noexcept nogil
cdef void** take_all(void** head) noexcept nogil
cdef void** in_turn(void** item) noexcept nogil
cdef Report* new_report(uint32_t room) noexcept nogil

cdef class Press

cdef struct Task:
    Job job
    void* press               # whose job it is

cdef class Press:
    cdef Task task
    cdef object work          # what was given away last, weak; or None
    cdef object __weakref__
    cdef Worker worker
    cdef CodeOwner owner
    cdef CodeTable table
    cdef Quota quota          # of the thread that runs a piece
    cdef void* reports        # Report*: what nobody has been told yet, newest first
    cdef readonly uint64_t code_bytes     # published by it
    cdef readonly uint32_t n_made, n_stopped, n_failed

    cpdef bint look_after(self, object taker) except -1
    cdef int piece(self) noexcept nogil
    cdef uint32_t make(self, uint32_t index, void *seen) noexcept nogil
    cdef int publish(self, Report* report) noexcept nogil
    cdef int deliver(self) noexcept nogil
    cdef int leave_out(self, uint32_t index, uint32_t fate) noexcept nogil
    cdef list collect(self, bint whole)

cdef class CallQueue(Press):
    cdef void* requests       # Request*: newest first
    cdef uint32_t* waiting    # the last is next
    cdef uint32_t n_waiting
    cdef uint8_t* level       # by defined index: 0 never asked for, 1 a callee of what was called, 2 a callee of that, …

    cdef int take_requests(self) noexcept nogil
    cdef int put(self, uint32_t index, uint8_t level) noexcept nogil
    cdef int put_callees(self, uint8_t level) noexcept nogil

cdef class Pile:
    cdef uint32_t* indices    # of the functions to compile, in the order in which they are handed out
    cdef uint64_t n
    cdef uint64_t taken       # by all together
    cdef uint32_t most        # bytes of a body; longer ones are left

    cdef uint32_t take(self) noexcept nogil
    cdef int end(self) noexcept nogil

cdef class Sweep(Press):
    cdef Pile pile
    cdef uint32_t pending     # index of the function at hand, or NO_VALUE
    cdef uint32_t* left       # indices of those that are refused, or long
    cdef readonly uint32_t n_left
    cdef uint32_t finished    # nothing is left for it to do
    cdef uint32_t failure     # kind of what ended it early

    cdef bint turn(self) noexcept nogil
    cdef int leave(self) noexcept nogil
    cdef int sweep(self) except -1 nogil
    cdef int wait_for(self, Sweep other) except -1 nogil
    cdef int end_well(self) except -1 nogil
