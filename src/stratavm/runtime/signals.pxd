cdef int ensure_handlers() except? -1
