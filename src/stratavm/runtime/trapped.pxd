# Activations that trapped.
from libc.stdint cimport uint32_t
from stratavm.contract._gen_layout cimport Activation, ExecContext

cdef int poison(void* vmctx) except? -1
cdef int poison_between(list instances, Activation* act) except? -1
cdef uint32_t found_type(Activation* act) noexcept nogil
cdef str fault_detail(Activation* act, uint32_t found_id)
cdef object guest_frames(Activation* act)
cdef uint32_t offer(ExecContext* context) noexcept nogil
