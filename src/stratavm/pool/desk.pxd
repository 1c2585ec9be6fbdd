# Whose turn is next.

cdef enum:                            # where a ticket is
    QUEUED = 0                        # in the queue
    OUTSIDE = 1                       # waiting for room in it
    HELD = 2                          # with a slot
    TURN = 3                          # with one, and waiting for a turn
    GONE = 4                          # nowhere

cdef enum:                            # where a line is
    NOWHERE = 0                       # it wants nothing
    FRESH = 1                         # it has just come
    OLD = 2                           # it goes round
    BLOCKED = 3                       # it waits for a slot
    RESTS = 4                         # it waits for the end of the rest

cdef class Line:
    cdef readonly object tenant
    cdef long long quantum_ns
    cdef long long most_saved_ns
    cdef public long long deficit_ns
    cdef readonly long long saved_ns
    cdef readonly long long cpu_ns
    cdef long long epoch
    cdef long long most_running       # the tenant's own limits
    cdef long long most_queued
    cdef readonly Py_ssize_t queued
    cdef readonly Py_ssize_t running
    cdef double passes                # of the desk, when it wanted something last
    cdef readonly bint is_due
    cdef readonly bint makes_way
    cdef bint began_last
    cdef int place
    cdef list queue                   # a heap of (-priority, serial, Ticket)
    cdef readonly object outside      # tickets: those that wait for room,
    cdef readonly object turns                 # that have heard from the host,
    cdef readonly object slow                  # that a tick has suspended
    cdef object codel

cdef class Ticket:
    cdef readonly Line line
    cdef readonly object priority
    cdef readonly double arrived
    cdef readonly double queued_at
    cdef double since
    cdef readonly long long cpu_ns
    cdef int ticks
    cdef int place
    cdef public long long number
    cdef bint is_new
    cdef object future
    cdef object refused               # the reason, or None

cdef class Desk:
    cdef readonly object policy
    cdef readonly Py_ssize_t limit
    cdef readonly Py_ssize_t running
    cdef readonly Py_ssize_t queued
    cdef readonly Py_ssize_t turns
    cdef readonly Py_ssize_t slow
    cdef readonly bint rests
    cdef readonly long long cpu_ns
    cdef readonly list shed
    cdef long long most_running       # of the policy, with the spare ones
    cdef dict given                   # tenants with settings
    cdef dict known                   # name -> Line
    cdef object fresh                 # lines: those that have just come,
    cdef object old                   # that go round,
    cdef dict blocked                 # that wait for a slot,
    cdef list resting                 # that rest,
    cdef dict has_outside             # that have tickets outside
    cdef long long epoch
    cdef double passes
    cdef object serials
    cpdef Line line(self, object name)
    cdef int forget_some(self) except -1
    cpdef Py_ssize_t count_active(self) except -1
    cdef bint wants_turn(self)
    cdef bint has_waiting(self)
    cdef bint is_free(self, Line line)
    cpdef bint begin_at_once(self, Ticket ticket) except -1
    cdef bint is_full(self, Line line) except -1
    cdef bint make_room(self, Line line) except -1
    cdef int queue(self, Ticket ticket) except -1
    cdef int join(self, Line line) except -1
    cdef int settle(self, Line line) except -1
    cdef int drop(self, Ticket ticket) except -1
    cpdef int want_turn(self, Ticket ticket) except -1
    cpdef int want_to_compute(self, Ticket ticket) except -1
    cpdef int rest(self) except -1
    cpdef int wake(self) except -1
    cpdef int charge(self, Ticket ticket, long long cpu_ns) except -1
    cpdef bint computes(self, Ticket ticket) except -1
    cpdef int leave(self, Ticket ticket) except -1
    cdef int unblock(self, Line line) except -1
    cdef bint unblock_one(self) except -1
    cdef int let_in(self, double now) except -1
    cdef bint has_slot(self, Line line) except -1
    cpdef Ticket next(self, double now)
    cdef bint can_go_on(self, Line line) except -1
    cdef Ticket went_on(self, Line line)
    cdef Line next_line(self)
    cdef int set_aside(self, Line line) except -1
    cdef int go_round(self, Line line) except -1
    cdef int pay(self, Line line) except -1
    cdef Ticket start(self, Line line, double now)
