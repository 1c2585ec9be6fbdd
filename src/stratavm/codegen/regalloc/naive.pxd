from libc.stdint cimport uint32_t
from stratavm.codegen.minst cimport MCode
from stratavm.codegen.regalloc.allocator cimport Allocator

cdef int allocate_naive(Allocator a, MCode m) except -1 nogil
