# Asynchronous calls.
from libc.stdint cimport uint32_t
from stratavm.engine.func cimport Func
from stratavm.runtime.fibers cimport Fiber

cdef class AsyncCall(Fiber):
    cdef Func function
    cdef tuple arguments
    cdef object loop                  # what is asked of the event loop, as in engine/asynchronous
    cdef bint watches                 # what that says, once it was suspended
    cdef readonly object result
    cdef public object task           # that awaits it, or None: set by whoever runs it
    cdef public object timer          # of the loop, or None: what watches the deadline while it waits
    cdef readonly uint32_t reason     # why it is to end instead of going on: kind of trap, or CLOSED; 0: none
    cdef bint waits                   # for somebody to call `answer`, `fail` or `stop`
    cdef int cancels                  # requests of ours to cancel the task
    cdef int cancelling               # and of others before the first of these
    cdef AsyncCall caller             # whose host function has made this call, which has not begun yet
    cdef uint32_t caller_parks        # how often that one had been suspended then
    cdef bint lets_in                 # a call that the host function has made, which begins
    cdef int introduce(self) except -1
    cdef int check(self) except -1
    cdef int fill(self) except -1
    cdef object went(self, bint suspended)
    cdef object go_on(self, uint32_t status)
    cdef int forget_cancel(self) except -1
