# Rows of objects of guests, for the building walk.
from stratavm.front.wasm.build cimport Builder

cdef int object_row(Builder walk) except -1 nogil
