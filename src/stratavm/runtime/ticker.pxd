# The clock of running guests.
from libc.stdint cimport uint32_t, uint64_t

cdef uint32_t ticker_state    # see TICKER_TICKS
cdef uint64_t period_ns       # between two ticks: Python's switch interval
cdef enum:
    TICKER_TICKS = 1          # neither absent nor parked
cdef int wake_ticker() except? -1
