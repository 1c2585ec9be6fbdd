cdef int ensure_first_handler() except -1
cdef int ensure_handlers() except -1
cdef int look_at_handlers() noexcept nogil
