# Linear scan: each value gets one register for all of its life, or lives in a slot.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.machine.minst cimport MAX_REGISTERS, MCode
from stratavm.machine.regalloc.intervals cimport Event, Interval, Intervals

@cython.final
cdef class LinearScan:
    cdef Intervals intervals
    cdef Interval* items           # of `intervals`
    cdef Event* events
    cdef MCode m
    cdef uint64_t registers
    cdef uint32_t[MAX_REGISTERS] until        # by register: last position at which it is taken
    cdef uint32_t[MAX_REGISTERS] holder       # by register: the value, NO_VREG = none or reserved
    cdef uint32_t[MAX_REGISTERS] cursor       # by register: first event that may still matter
    cdef uint32_t next_call

    cdef int run(self, MCode m, uint64_t registers) except -1 nogil   # 1 = done, 0 = give up
    cdef bint _crosses_call(self, const Interval* item) noexcept nogil
    cdef bint _fits(self, uint32_t reg, uint32_t vreg, const Interval* item) noexcept nogil
    cdef bint _no_event(self, uint32_t reg, uint32_t vreg, const Interval* item) noexcept nogil
    cdef uint32_t _hinted(self, uint32_t vreg, const Interval* item, uint64_t allowed) noexcept nogil
    cdef uint32_t _awaited(self, const Interval* item) noexcept nogil
    cdef int _take(self, uint32_t reg, uint32_t vreg, Interval* item) noexcept nogil
    cdef bint _yields(self, uint32_t vreg, uint32_t pos) noexcept nogil
    cdef int _place(self, uint32_t vreg, uint32_t rclass) noexcept nogil
    cdef uint32_t _cheapest(self, uint64_t allowed, uint32_t vreg, const Interval* item) noexcept nogil
    cdef bint _reserve(self, MCode m, uint32_t number) noexcept nogil
    cdef bint _reserve_class(self, uint32_t count, uint64_t allowed, uint32_t pos) noexcept nogil
