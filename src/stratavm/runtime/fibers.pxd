# Guests on stacks of their own.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport ExecContext, FiberState, FuncRec
from stratavm.runtime.func cimport FuncRef
from stratavm.runtime.occupancy cimport Entry
from stratavm.runtime.resultcells cimport ResultCells
from stratavm.runtime.stacks cimport FiberStack
from stratavm.runtime.store cimport Store
from stratavm.runtime.table cimport Table

ctypedef uint32_t (*start_t)(FiberState*, ExecContext*, FuncRec*, void*, void*, uint64_t) noexcept nogil
ctypedef uint32_t (*resume_t)(FiberState*, ExecContext*, uint32_t) noexcept nogil

cdef enum:
    FIBER_NEW = 0
    FIBER_RUNS = 1
    FIBER_PARKED = 2
    FIBER_ENDED = 3

cdef class Bulk:
    cdef Store store
    cdef char* to
    cdef char* origin                 # NULL: the value is written again and again
    cdef uint64_t left                # bytes
    cdef uint64_t value
    cdef bint had_part                # the first step is to wait for a turn
    cdef Table table                  # that is to grow by what is written; None: there is none
    cdef uint64_t growths             # of it
    cdef int go_on(self, uint64_t n) except -1

cdef class Fiber:
    cdef readonly Store store
    cdef FuncRef native
    cdef FiberStack stack
    cdef FiberState* state            # these three lie on its stack
    cdef Entry* entry
    cdef uint64_t limit               # its lowest SP
    cdef uint64_t* cells              # arguments, then results
    cdef ResultCells roots            # says where these are, as long as there is the stack
    cdef readonly int phase
    cdef object request               # what the guest waits for: an awaitable; None: a turn of the loop
    cdef readonly uint32_t parks      # how often it was suspended so far
    cdef readonly bint is_left        # it was given up while a call of its host function is inside
    cdef int take_room(self) except -1
    cdef bint start(self) except -1
    cdef bint resume(self, uint32_t status) except -1
    cdef bint came_back(self, uint32_t status) except -1
    cdef int check_parked(self) except -1
    cdef int give_up(self) except -1
    cdef int take(self, object answer) except -1
    cdef uint32_t kept(self, object error) noexcept
