# Builtins that act on instances.
from stratavm.contract._gen_layout cimport ExecContext

cdef void suspend_for(ExecContext* context, object request) noexcept
