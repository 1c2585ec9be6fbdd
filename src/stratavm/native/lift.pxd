# What a thread without Python compiles at level 1: see lift.py.
from libc.stdint cimport uint32_t, uint64_t

from stratavm.native.queue cimport Press
from stratavm.runtime.codemap cimport OsrPlace

cdef struct Item:
    uint32_t index            # of the function among those defined
    uint64_t loop             # of its code at level 0: where the poll there returns to; 0: the function itself
    uint64_t key              # the largest is next
    void* seen                # the slot's code when it was asked for: what is to be replaced

cdef struct Wish:             # an item on its way to the queue
    Wish* next
    uint64_t number           # among those of the queue
    Item item

cdef class LoopMaker:         # see osr.py
    cdef OsrPlace* places     # of what was made last
    cdef uint32_t n_places, cap_places

    # Compile a function to be entered at a loop, into the batch of the queue's worker; 0, or the kind of failure.
    cdef uint32_t make_into_batch(self, uint32_t index, uint64_t loop) noexcept nogil

cdef class LiftQueue(Press):
    cdef readonly LoopMaker maker  # None: nobody has asked for a loop
    cdef void* wishes         # Wish*: newest first
    cdef Item* waiting        # in no order
    cdef uint32_t n_waiting
    cdef uint64_t n_wishes
    cdef uint64_t pending     # asked for and not done, as all threads see it

    cdef int take_wishes(self) noexcept nogil
    cdef int take_back(self, uint64_t number) noexcept nogil
    cdef int put(self, const Item* item) noexcept nogil
    cdef uint32_t best(self) noexcept nogil
    cdef int take_out(self, uint32_t at) noexcept nogil
    cdef int drop_all(self, uint32_t fate) noexcept nogil
    cdef bint turn(self) noexcept nogil
    cdef uint32_t make_loop(self, uint32_t index, uint64_t loop) noexcept nogil
    cdef int publish_loop(self, uint32_t index, uint64_t loop) noexcept nogil
    cdef bint is_late(self, const Item* item) noexcept nogil
    cdef int leave_out_item(self, const Item* item, uint32_t fate) noexcept nogil
    cdef int report(self, uint32_t index, uint64_t loop, uint32_t size, uint64_t ns, uint32_t fate) noexcept nogil
