# The store: one ExecContext, its occupant, and everything that lives as long as it.
from libc.stdint cimport uint32_t
from stratavm.contract._gen_layout cimport ATTENTION_ABORTED, ExecContext, FuncRec
from stratavm.runtime.occupancy cimport Entry, mark, stands
from stratavm.runtime.residents cimport Residence
from stratavm.runtime.template cimport StoreTemplate
from stratavm.runtime.threads cimport ThreadBlock

cdef class Store(Residence):
    cdef int begin(self, StoreTemplate template, bint thread_bound, str on_abort) except -1
    cdef int shut(self) except -1
    cdef object trap_error(self, Entry* entry)
    cdef int poison_all(self, Entry* entry) except -1
    cdef int report(self, FuncRec* rec, object error, bint outermost) except -1

# Functions that raise, and the same for callers that look at the error themselves: no frame of theirs in tracebacks.
ctypedef int (*end_of_call_t)(Store, Entry*, uint32_t) except -1
ctypedef int (*raw_end_of_call_t)(Store, Entry*, uint32_t) noexcept
ctypedef int (*after_call_t)(Store) except -1
ctypedef int (*raw_after_call_t)(Store) noexcept

# Whether the call under way was abandoned midway, not trapped.
cdef inline bint is_aborted(Store store) noexcept:
    return stands(store.exec, ATTENTION_ABORTED)

cdef inline void set_aborted(Store store, bint on) noexcept:
    mark(store.exec, ATTENTION_ABORTED, on)

cdef void remember_report(Store store, object error) noexcept
cdef uint32_t begins_late(ExecContext* context, Entry* entry) noexcept
cdef int run_entry(Store store, FuncRec* rec, void* array_entry, void* cells) except? -1
cdef int end_fiber_call(Store store, Entry* entry, uint32_t trapped) noexcept
cdef int end_machine_call(Store store, FuncRec* rec, Entry* entry, uint32_t trapped) noexcept
cdef bint python_is_quiet(ExecContext* context, ThreadBlock* block) noexcept
cdef bint past_deadline(ExecContext* context) noexcept nogil
cdef uint32_t poll_status(ExecContext* context, bint in_machine_code) noexcept
