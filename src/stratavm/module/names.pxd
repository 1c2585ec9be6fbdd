cpdef object read_names(tuple place)
cpdef object unread_names(tuple place)
