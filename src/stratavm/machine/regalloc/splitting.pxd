# Linear scan over ranges with holes: values are split around calls and loops, and where registers run out.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.machine.minst cimport MAX_REGISTERS, MCode
from stratavm.machine.regalloc.ranges cimport Ranges

cdef enum:
    MAX_TENANTS = 24            # parts that hold one register now or again later; a register with more takes no further
    MAX_STEPS = 64              # ranges or claims looked at for one question; beyond, the answer is the careful one

cdef struct Tenants:
    uint32_t n
    uint32_t[24] items

@cython.final
cdef class SplittingScan:
    cdef Ranges t
    cdef MCode m
    cdef uint64_t registers
    cdef uint32_t pos               # start of the part at hand
    cdef Tenants[MAX_REGISTERS] tenants        # by register
    cdef uint32_t[MAX_REGISTERS] claim         # by register: the first that may still matter
    cdef uint32_t[MAX_REGISTERS] free_until    # by register: first position where the part at hand would clash
    cdef uint32_t[MAX_REGISTERS] clash         # by register: the part that is there now, or NONE
    cdef uint32_t* heap             # parts to come, the earliest first
    cdef uint32_t n_heap, cap_heap
    cdef bint failed

    cdef int run(self, MCode m, Ranges t, uint64_t registers) except -1 nogil      # 1 = done, 0 = give up
    cdef bint _before(self, uint32_t a, uint32_t b) noexcept nogil
    cdef int _push(self, uint32_t c) except -1 nogil
    cdef uint32_t _pop(self) noexcept nogil
    cdef int _fail(self) noexcept nogil
    cdef int _process(self, uint32_t c) except -1 nogil
    cdef bint _waits(self, uint32_t need, uint32_t start) noexcept nogil
    cdef int _preset(self, uint32_t c) except -1 nogil
    cdef uint32_t _after_last_use(self, uint32_t c, uint32_t call) noexcept nogil
    cdef uint32_t _call(self, uint32_t c) noexcept nogil
    cdef uint32_t _held(self, uint32_t c, uint32_t need) noexcept nogil
    cdef int _measure(self, uint32_t c, uint32_t reg) noexcept nogil
    cdef uint32_t _meeting(self, uint32_t a, uint32_t b) noexcept nogil
    cdef uint32_t _claimed(self, uint32_t c, uint32_t reg) noexcept nogil
    cdef uint32_t _hinted(self, uint32_t c, uint64_t allowed, uint32_t limit) noexcept nogil
    cdef uint32_t _fits(self, uint32_t c, uint32_t reg, uint64_t allowed, uint32_t limit) noexcept nogil
    cdef int _take(self, uint32_t c, uint32_t reg, uint32_t need, uint32_t held) noexcept nogil
    cdef int _cut(self, uint32_t c, uint32_t pos) except -1 nogil
    cdef int _cut_at_call(self, uint32_t c, uint32_t pos) except -1 nogil
    cdef uint32_t _legal(self, uint32_t c, uint32_t pos) noexcept nogil
    cdef uint32_t _last_use(self, uint32_t c, uint32_t pos) noexcept nogil
    cdef int _partly(self, uint32_t c, uint32_t need, uint32_t call, uint32_t limit, uint64_t allowed) except -1 nogil
    cdef uint32_t _cheapest(self, uint32_t c, uint32_t held, uint64_t allowed) noexcept nogil
    cdef uint32_t _depth(self, uint32_t use) noexcept nogil
    cdef uint32_t _next_use(self, uint32_t c) noexcept nogil
    cdef bint _is_worse(self, uint32_t c, uint32_t need) noexcept nogil
    cdef int _evict(self, uint32_t reg) except -1 nogil
    cdef int _spill(self, uint32_t c, uint32_t start, bint early) except -1 nogil
    cdef uint32_t _worthy(self, uint32_t c, uint32_t start, uint32_t* pos, bint early) noexcept nogil
    cdef uint32_t _reload(self, uint32_t c, uint32_t use, uint32_t start) noexcept nogil
    cdef uint32_t _early(self, uint32_t c, uint32_t use, uint32_t start) noexcept nogil
    cdef uint32_t _outermost(self, uint32_t inside, uint32_t outside) noexcept nogil
    cdef uint32_t _call_before(self, uint32_t pos) noexcept nogil
