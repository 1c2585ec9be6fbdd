# Parallel moves: all sources are read before any destination is written.
cimport cython
from libc.stdint cimport uint32_t
from stratavm.machine.minst cimport MAX_REGISTERS, MCode

cdef enum:
    PLACE_REMAT = MAX_REGISTERS    # index in tables by place of all that is computed again: nobody writes there
    PLACE_SLOTS = MAX_REGISTERS + 1    # index of slot 0: registers come first

cdef struct PendingMove:
    uint32_t src
    uint32_t dst
    uint32_t vreg
    uint32_t done

@cython.final
cdef class ParallelMove:
    cdef PendingMove* items
    cdef uint32_t n, cap
    cdef uint32_t* reads       # by place: pending moves that read it
    cdef uint32_t* writer      # by place: 1 + the pending move that writes it
    cdef uint32_t cap_reads, cap_writer
    cdef uint32_t places       # a place from here on is a mistake
    cdef uint32_t* ready
    cdef uint32_t n_ready, cap_ready
    cdef uint32_t spare        # slot pair where a value of a cycle waits; NO_LOC until needed

    cdef int start(self, MCode m) except -1 nogil       # once per function, when n_slots is known (upper bound)
    cdef int _room(self, uint32_t place) except -1 nogil
    cdef bint may_wait(self, MCode m) noexcept nogil    # whether `spare` may be needed
    cdef bint writes(self, uint32_t dst) noexcept nogil # whether a move of the set goes there
    cdef int discard(self) noexcept nogil
    cdef int add(self, uint32_t src, uint32_t dst, uint32_t vreg) except -1 nogil
    cdef int resolve(self, MCode m, uint32_t at) except -1 nogil  # append the sequence to m.moves; empty again
    cdef int _refuse(self, uint32_t src, uint32_t dst, uint32_t vreg) except -1 nogil
    cdef int _emit(self, MCode m, uint32_t at, uint32_t src, uint32_t dst, uint32_t vreg) except -1 nogil
    cdef int _cycle(self, MCode m, uint32_t at, uint32_t first) except -1 nogil
    cdef uint32_t _hold(self, MCode m, uint32_t first) except? 0xFFFFFFFF nogil
