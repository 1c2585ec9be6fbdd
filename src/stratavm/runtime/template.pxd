# Templates of stores.
cimport cython
from libc.stdint cimport uint8_t, uint64_t
from stratavm.base.events.core cimport Bus, Channel
from stratavm.contract._gen_layout cimport ExecContext
from stratavm.runtime.kinds cimport RUNTIME_KINDS

cdef void* builtin_table[64]         # filled by runtime/builtin_calls and others at import
cdef uint64_t NO_FUEL                # exec.fuel where fuel is not counted

@cython.final
cdef class StoreTemplate:
    cdef ExecContext exec             # what a new one begins with
    cdef readonly object runtime
    cdef readonly object limits       # StoreLimits
    cdef readonly object gc           # GcConfig
    cdef object allocator             # of the runtime
    cdef object stubs                 # of the runtime, or None
    cdef Bus bus                      # or None
    cdef Channel memory_written       # of it: whether somebody wants to know of copies into memories
    cdef readonly str memory_plan     # of memories that the host makes
    cdef uint8_t[RUNTIME_KINDS] kinds # numbers in its ring, by the names of kinds.pxd
    cdef object admit                 # of the limits, as the numbers below
    cdef Py_ssize_t max_instances
    cdef Py_ssize_t max_memories
    cdef Py_ssize_t max_tables
    cdef uint64_t memory_bytes
    cdef uint64_t memories_bytes
    cdef uint64_t table_elements
    cdef uint64_t total_bytes
    cdef uint64_t bounded_reservation
    cdef uint64_t stack_bytes
    cdef void* fiber_gate             # machine code of fibers, see contract/stubs.py; NULL until `prepare_fibers`
    cdef void* fiber_value_gate
    cdef void* fiber_start
    cdef void* fiber_resume
    cdef int prepare_fibers(self) except -1
    cdef object number_kinds(self)
