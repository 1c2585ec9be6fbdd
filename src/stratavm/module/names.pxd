cpdef object read_names(bytes data, object limits)
