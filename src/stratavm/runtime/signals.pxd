from libc.stdint cimport uint64_t
from stratavm.contract._gen_layout cimport Activation

cdef void walk_frames(Activation* act, uint64_t fp, uint64_t sp, bint bare) noexcept nogil
cdef int ensure_first_handler() except -1
cdef int ensure_handlers() except -1
cdef int look_at_handlers() noexcept nogil
