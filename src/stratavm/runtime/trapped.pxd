# Activations that trapped.
from stratavm.contract._gen_layout cimport Activation

cdef int poison(void* vmctx) except? -1
cdef int poison_between(list instances, Activation* act) except? -1
cdef str fault_detail(Activation* act)
cdef object guest_frames(Activation* act)
