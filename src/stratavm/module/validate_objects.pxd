# The validating walk over rows of objects: structs, arrays, i31 and casts.
from stratavm.module.checker cimport Checker

cdef int object_row(Checker walk) except -1 nogil
