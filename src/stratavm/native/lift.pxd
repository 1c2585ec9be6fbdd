# What a thread without Python compiles at level 1: see lift.py.
from libc.stdint cimport uint32_t, uint64_t

from stratavm.native.queue cimport Press

cdef enum:
    NO_LOOP = 0xFFFFFFFF      # Item.loop of a whole function

cdef struct Item:
    uint32_t index            # of the function among those defined
    uint32_t loop             # to be entered there; or NO_LOOP
    uint64_t key              # the largest is next
    void* seen                # the slot's code when it was asked for: what is to be replaced

cdef struct Wish:             # an item on its way to the queue
    Wish* next
    Item item

cdef class LiftQueue(Press):
    cdef void* wishes         # Wish*: newest first
    cdef Item* waiting        # in no order
    cdef uint32_t n_waiting
    cdef uint64_t pending     # asked for and not done, as all threads see it

    cdef int take_wishes(self) noexcept nogil
    cdef int put(self, const Item* item) noexcept nogil
    cdef uint32_t best(self) noexcept nogil
    cdef int take_out(self, uint32_t at) noexcept nogil
    cdef int drop_all(self, uint32_t fate) noexcept nogil
    cdef bint turn(self) noexcept nogil
    cdef uint32_t make_loop(self, uint32_t index, uint32_t loop) noexcept nogil
