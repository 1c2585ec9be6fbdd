# The clock of running guests.
from libc.stdint cimport uint32_t

cdef uint32_t ticker_state    # see TICKER_TICKS
cdef enum:
    TICKER_TICKS = 1          # neither absent nor parked
cdef int wake_ticker() except? -1
