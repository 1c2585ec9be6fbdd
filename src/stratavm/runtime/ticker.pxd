# The clock of running guests.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.native cimport load_32

cdef uint32_t ticker_state    # see TICKER_TICKS
cdef uint64_t period_ns       # between two ticks: Python's switch interval
cdef uint32_t is_fine         # it looks more often, at guests on fibers: `quicken` begins that, and the park ends it
cdef enum:
    TICKER_TICKS = 1          # neither absent nor parked; entries want to see just that
    TICKER_ATTENTIVE = 3      # it ticks, and the next entry is to tell it
cdef int wake_ticker() except? -1

# Whether it ticks, attentive or not.
cdef inline bint is_ticking() noexcept nogil:
    return load_32(&ticker_state) & 1

cdef void meet_newcomer() noexcept nogil
cdef void quicken() noexcept nogil
cdef int update_period() except -1
