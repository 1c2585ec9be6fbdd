# Builtins that act on instances.
from libc.stdint cimport uint32_t
from stratavm.contract._gen_layout cimport ExecContext

cdef void suspend_for(ExecContext* context, object request) noexcept
cdef uint32_t poll_on_fiber(ExecContext* context) noexcept
