# The store: one ExecContext, its occupant, and everything that lives as long as it.
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from stratavm.base.events.core cimport Source
from stratavm.base.events.ring cimport Ring
from stratavm.runtime._gen_layout cimport Activation, ExecContext, FuncRec
from stratavm.runtime.funcindex cimport FuncIndex
from stratavm.runtime.handles cimport Handles
from stratavm.runtime.kinds cimport RUNTIME_KINDS
from stratavm.runtime.quota cimport Quota
from stratavm.runtime.template cimport StoreTemplate
from stratavm.runtime.threads cimport ThreadBlock

cdef struct Entry:            # an entry into the store, on the C stack of the caller
    Activation act
    ThreadBlock* block
    ExecContext* prev_running
    void* prev_greenlet       # set for calls that Python runs
    uint32_t prev_in_guest
    bint outermost
    bint hurried              # it has another store's deadline, until it has ended

cdef class Resident:
    cdef int let_go(self) except -1

@cython.final
cdef class Store:
    cdef ExecContext* exec
    cdef readonly StoreTemplate template
    cdef readonly list instances      # strong: a funcref is a raw address into one of them
    cdef list hosts                   # host functions, or None; strong, for the same reason
    cdef FuncIndex index              # of both, or None
    cdef Py_ssize_t n_indexed         # so many instances, and host functions, are in it
    cdef Py_ssize_t hosts_indexed
    cdef dict functions               # FuncRec address -> FuncRef, or None
    cdef object in_flight             # a host exception on its way out
    cdef Handles handles              # or None
    cdef bint crowded                 # so many handles that a collection is due
    cdef uint32_t pinned              # > 0: the boundary holds handles that no guest holds yet
    cdef readonly bint closed
    cdef readonly bint keep_on_abort
    cdef bint aborted                 # the call under way was abandoned midway, not trapped
    cdef uint64_t bound_to            # serial of the one thread that may enter, 0 = any
    cdef uint64_t stack_bytes         # the guests' stack budget, 0 = what the thread has
    cdef uint64_t stack_limit         # lowest SP of the call under way, if there is a budget
    cdef uint64_t deadline            # own deadline, CLOCK_MONOTONIC ns, 0 = none: the earliest of the next
    cdef list deadlines               # that the host has set and not taken away, or None
    cdef uint32_t forced              # pending bits for the next call
    cdef object fuel_given            # units that the host has given so far; a Python int, which cannot overflow
    cdef readonly uint32_t n_memories # living ones: what the limits count
    cdef readonly uint32_t n_tables
    cdef uint32_t made_memories       # ever made: what they are numbered by
    cdef uint32_t made_tables
    cdef readonly Quota quota         # of bytes, that all memories, tables, handles … of the store share; None before it begins
    cdef readonly Source source       # of the events of this store, or None
    cdef Ring* ring                   # of its bus, or NULL
    cdef uint8_t[RUNTIME_KINDS] kinds # in that ring, by the names of kinds.pxd
    cdef public object reporter       # reporter(source, function or its name, error): the engine's; not to hold this store
    cdef object reported              # the error that the reporter saw last
    cdef object __weakref__

    cdef int enter(self, Entry* entry) except -1
    cdef void attend(self) noexcept
    cdef int wake(self, Entry* entry) except -1
    cdef int refuse(self, ThreadBlock* block) except -1
    cdef uint64_t budget(self, ThreadBlock* block, bint outermost) noexcept
    cdef void occupy(self, ThreadBlock* block) noexcept
    cdef void occupy_slowly(self, ThreadBlock* block) noexcept
    cdef int keep(self, object host) except -1
    cdef object owner_of(self, object address)
    cdef Handles all_handles(self)
    cdef void settle(self) noexcept
    cpdef object collect_handles(self)
    cdef void leave(self, Entry* entry) noexcept
    cdef void adopt_deadline(self) noexcept
    cdef int check_access(self) except -1
    cdef int check_thread(self) except -1
    cdef int check_entry(self) except -1
    cdef object why_closed(self)
    cdef int begin(self, StoreTemplate template, bint thread_bound, str on_abort) except -1
    cdef int shut(self) except -1
    cdef int admit(self, str kind, Py_ssize_t now) except -1
    cdef int count_instance(self) except -1
    cdef int count_memory(self) except -1
    cdef int count_table(self) except -1
    cdef void note(self, uint32_t kind, int64_t a, int64_t b, int64_t c) noexcept
    cdef object trap_error(self, Entry* entry)
    cdef int report(self, FuncRec* rec, object error, bint outermost) except -1
    cpdef object deliver(self)

# Functions that raise, and the same for callers that look at the error themselves: no frame of theirs in tracebacks.
ctypedef int (*end_of_call_t)(Store, Entry*, uint32_t) except -1
ctypedef int (*raw_end_of_call_t)(Store, Entry*, uint32_t) noexcept
ctypedef int (*after_call_t)(Store) except -1
ctypedef int (*raw_after_call_t)(Store) noexcept

cdef inline bint has_events(Store store) noexcept:
    return store.ring != NULL and (store.ring.head != store.ring.tail or store.ring.overflow != NULL)

cdef inline bint was_entered(Store store) noexcept:
    return store.exec.real_limit != 0  # the first call sets it, and none takes it back

cdef inline int deliver_events(Store store) except -1:
    if has_events(store):
        store.deliver()
    return 0

cdef int run_entry(Store store, FuncRec* rec, void* cells) except? -1
cdef int end_machine_call(Store store, FuncRec* rec, Entry* entry, uint32_t trapped) noexcept
cdef uint32_t poll_status(ExecContext* context, bint in_machine_code) noexcept
