# The instruction scheduler of level 1: between selection and allocation.
from libc.stdint cimport int32_t, uint32_t
from stratavm.machine.minst cimport MBlock, MCode, MInst, TargetFacts
from stratavm.machine.regalloc.intervals cimport Intervals

cdef enum:
    WINDOW = 256               # instructions of one window at most
    MAX_LINKS = 4096           # dependences of one window at most

cdef struct Unit:
    # instructions that stay together: a constant and its user, flags and what reads them
    uint32_t first             # in the window
    uint32_t count
    uint32_t height            # cycles from its start to the end of the window on the longest way
    uint32_t ready             # cycle at which its inputs are there
    uint32_t waits             # units before it that are not placed yet
    uint32_t links             # first of its outgoing dependences

cdef struct Link:
    uint32_t to
    uint32_t latency
    uint32_t next

cdef struct ValueState:
    uint32_t window            # stamp: the rest means the window of this number
    uint32_t unit              # that defines it, NO_UNIT: before the window
    uint32_t latency
    uint32_t uses              # in the window
    uint32_t left              # of these, not placed yet
    uint32_t users             # units that read it since the last one tied to it: list in `readers`

cdef struct Reader:
    uint32_t unit
    uint32_t next

cdef class Scheduler:
    cdef Intervals intervals
    cdef ValueState* values
    cdef uint32_t cap_values
    cdef int32_t* live         # by instruction and class: change of the number of live values, then the number
    cdef uint32_t cap_live
    cdef uint32_t number       # of the window at hand
    cdef MInst[256] saved
    cdef Unit[256] units
    cdef Link[4096] links
    cdef Reader[4096] readers
    cdef uint32_t n_units, n_links, n_readers
    cdef uint32_t[256] source  # the order found
    cdef uint32_t[256] order   # the order made
    cdef uint32_t[256] open    # units without unplaced predecessors
    cdef uint32_t[6] port_free
    cdef uint32_t clock
    cdef uint32_t slots        # of the issue width, used in this cycle
    cdef int32_t[2] pressure
    cdef int32_t[2] peak
    cdef MCode m
    cdef const TargetFacts* target   # of `m`
    cdef uint32_t depth        # blocks in fewer loops stay as they are
    cdef uint32_t begin, end   # the window
    cdef uint32_t stop         # behind its block
    cdef readonly uint32_t moved     # of these, changed

    cdef int run(self) except -1 nogil
    cdef bint worthwhile(self, MBlock* block) noexcept nogil
    cdef int count_live(self) except -1 nogil
    cdef uint32_t unit_end(self, uint32_t at) noexcept nogil
    cdef bint tested(self, uint32_t at) noexcept nogil
    cdef uint32_t flags_end(self, uint32_t begin) noexcept nogil
    cdef int window(self, uint32_t begin, uint32_t last) except -1 nogil
    cdef bint link(self, uint32_t before, uint32_t after, uint32_t latency) noexcept nogil
    cdef bint depend(self) noexcept nogil
    cdef bint depend_unit(self, uint32_t u) noexcept nogil
    cdef bint read(self, uint32_t u, uint32_t vreg, bint tied) noexcept nogil
    cdef ValueState* state(self, uint32_t vreg) noexcept nogil
    cdef int heights(self) noexcept nogil
    cdef int restart(self) noexcept nogil
    cdef uint32_t start_of(self, uint32_t u) noexcept nogil
    cdef int place(self, uint32_t u) noexcept nogil
    cdef int growth(self, uint32_t u, int32_t* change) noexcept nogil
    cdef int forget(self, uint32_t u) noexcept nogil
    cdef bint costly(self, uint32_t u) noexcept nogil
    cdef uint32_t evaluate(self) noexcept nogil
    cdef int search(self) noexcept nogil
    cdef uint32_t choose(self, uint32_t count) noexcept nogil
    cdef int apply(self) noexcept nogil
