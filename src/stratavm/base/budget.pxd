# What a piece of work of this thread (loading, compiling) may still use, and who may end it. Work that holds no Python
# object, on any thread, asks `look` now and then; arrays report how they grow.
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    TURNS = 4096              # of a loop between two looks: a power of two

cdef struct Quota:
    Quota* outer              # of the work around this one, in the same thread
    const uint32_t* asked     # the work ends when a bit of `mask` is set there, by any thread
    uint32_t mask
    uint32_t stopped          # what `Budget.stop` sets, where nobody else is asked
    bint signals              # Python's main thread: handlers of signals run while the work goes on
    uint64_t looked_ns
    uint64_t deadline_ns      # CLOCK_MONOTONIC, 0 = none
    int64_t bytes_left        # of scratch memory

cdef int look() except -1 nogil
cdef int grew(uint64_t size) except -1 nogil
cdef void begin_quota(Quota* quota, const uint32_t* asked, int64_t size) noexcept nogil
cdef void end_quota(Quota* quota) noexcept nogil

cdef inline int breathe(uint32_t turn) except -1 nogil:
    """In a loop: look once in a few thousand turns, but not at the first: short loops never do."""
    return look() if turn & (TURNS - 1) == 0 and turn != 0 else 0

cdef inline int rest(uint32_t count) except -1 nogil:
    """Between two loops without `breathe` over so many items: look where they are long."""
    return look() if count >= TURNS else 0

@cython.final
cdef class Budget:
    cdef Quota quota
    cdef readonly object what # that is done, for errors
    cdef Budget shared        # whose flag this one looks at, or None
    cdef int begin(self) except -1
    cdef void end(self) noexcept
