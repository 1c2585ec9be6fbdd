# Who is inside a store: its ExecContext, the activations of calls, what is pending for them, deadlines.
#
# All that a store consists of is declared here, at the root of its classes: those that derive from it add methods only.
# So each has the size of the root, and gets the root's list of free objects and its one deallocation.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from stratavm.base.events.core cimport Source
from stratavm.base.events.ring cimport Ring
from stratavm.contract._gen_layout cimport Activation, ATTENTION_CLOSED, ATTENTION_FIBER, ExecContext, FiberState
from stratavm.runtime.handles cimport FuncIndex, Handles
from stratavm.runtime.kinds cimport RUNTIME_KINDS
from stratavm.runtime.quota cimport FuelPot, Quota
from stratavm.runtime.template cimport StoreTemplate
from stratavm.runtime.threads cimport ThreadBlock

cdef struct Entry:            # an entry into the store, on the C stack of the caller
    Activation act
    ThreadBlock* block
    ExecContext* prev_running
    void* prev_greenlet       # set for calls that Python runs
    uint32_t prev_in_guest
    bint outermost
    void* parent              # owned Fiber of the guest over which the host has entered, or NULL
    bint hurried              # it has another store's deadline, until it has ended

cdef uint64_t NEVER
cdef uint64_t PARKED
cdef uint32_t FORCED

cdef class Occupied:
    cdef ExecContext* exec
    cdef uint64_t bound_to            # serial of the one thread that may enter, 0 = any
    cdef uint64_t stack_bytes         # the guests' stack budget, 0 = what the thread has
    cdef uint64_t stack_limit         # lowest SP of the call under way, if there is a budget
    cdef uint64_t own_deadline        # CLOCK_MONOTONIC ns, 0 = none: the earliest of the next
    cdef list deadlines               # that the host has set and not taken away, or None
    cdef uint32_t forced              # pending bits for the next call
    cdef readonly object parked       # the Fiber of the guest that is suspended in here, or None
    cdef list under                   # Fibers of the guests over which the host has entered, the innermost last; or None
    cdef uint32_t entries             # how often a call that Python made, or that was nested, has entered
    cdef readonly Source source       # of the events of this store, or None
    cdef Ring* ring                   # of its bus, or NULL
    cdef uint8_t[RUNTIME_KINDS] kinds # in that ring, by the names of kinds.pxd

    # What lives in it, and how much may.
    cdef readonly StoreTemplate template
    cdef readonly list instances      # strong: a funcref is a raw address into one of them
    cdef list hosts                   # host functions, or None; strong, for the same reason
    cdef FuncIndex index              # of both, or None
    cdef Py_ssize_t n_indexed         # so many instances, and host functions, are in it
    cdef Py_ssize_t hosts_indexed
    cdef dict functions               # FuncRec address -> FuncRef, or None
    cdef Handles handles              # or None
    cdef object objects               # its Objects, or None: no guest has made one yet
    cdef uint32_t pinned              # > 0: the boundary holds handles that no guest holds yet
    cdef object fuel_given            # units that the host has given so far; a Python int, which cannot overflow
    cdef FuelPot fuel_pot             # that it draws from with others, or None
    cdef object fuel_seen             # what of it was read last, and in vain until then
    cdef readonly uint32_t n_memories # living ones: what the limits count
    cdef readonly uint32_t n_tables
    cdef uint32_t made_memories       # ever made: what they are numbered by
    cdef uint32_t made_tables
    cdef readonly Quota quota         # of bytes, that all memories, tables, handles … of the store share; None before it begins
    cdef readonly Quota memory_quota  # of bytes, that all memories of the store share

    # How its calls end.
    cdef object in_flight             # a host exception on its way out
    cdef object thrown_error          # the WasmException that it came with, where a host function raised it; or None
    cdef object thrown                # the Exn of the exec's `thrown`, or None
    cdef list spent                   # what goes at the next throw: what was thrown, or kept, before; or None
    cdef readonly bint keep_on_abort
    cdef public object reporter       # reporter(source, function or its name, error): the engine's; not to hold this store
    cdef object reported              # the error that the reporter saw last

    cdef readonly object engine       # of a store that an engine has
    cdef object __weakref__

    cdef int begin_occupancy(self, ExecContext* first, bint thread_bound, uint64_t stack_bytes) except -1
    cdef int enter(self, Entry* entry) except -1
    cdef void leave(self, Entry* entry) noexcept
    cdef void go_on_fiber(self, Entry* entry, FiberState* state, uint64_t limit) noexcept
    cdef int come_back(self, Entry* entry, FiberState* state, uint64_t limit) except -1
    cdef void step_out(self, Entry* entry, object fiber) noexcept
    cdef void step_back(self, Entry* entry) noexcept
    cdef void drop(self, Entry* entry) noexcept
    cdef void leave_fiber(self, uint64_t limit) noexcept
    cdef int check_access(self) except -1
    cdef int check_thread(self) except -1
    cdef int check_entry(self) except -1
    cdef object why_closed(self)
    cdef void settle(self) noexcept
    cdef void note(self, uint32_t kind, int64_t a, int64_t b, int64_t c) noexcept
    cpdef object deliver(self)

# The bits of ``ExecContext.attention`` are the state itself, or are set where it is: nobody works the word out. They
# change under the GIL only. Where one stands, calls take the long way in and out.
cdef inline bint stands(ExecContext* context, uint32_t bits) noexcept nogil:
    return context.attention & bits != 0

cdef inline void mark(ExecContext* context, uint32_t bit, bint on) noexcept nogil:
    context.attention = context.attention | bit if on else context.attention & ~bit

# Of two deadlines, where 0 is none.
cdef inline uint64_t earlier(uint64_t one, uint64_t other) noexcept nogil:
    return other if one == 0 or (other != 0 and other < one) else one

# None, the store of an object that no initialiser has seen, is as good as closed.
cdef inline bint is_closed(Occupied store) noexcept:
    return store is None or stands(store.exec, ATTENTION_CLOSED)

cdef inline bint has_events(Occupied store) noexcept:
    return store.ring != NULL and (store.ring.head != store.ring.tail or store.ring.overflow != NULL)

cdef inline bint was_entered(Occupied store) noexcept:
    return store.exec.real_limit != 0  # the first call sets it, and none takes it back

cdef inline int deliver_events(Occupied store) except -1:
    if has_events(store):
        store.deliver()
    return 0

# The fiber that the newest call of a store is on, or NULL.
cdef inline FiberState* fiber_here(ExecContext* context) noexcept nogil:
    return context.activation.fiber if stands(context, ATTENTION_FIBER) else NULL

cdef void request(ExecContext* context, uint32_t bits) noexcept nogil
