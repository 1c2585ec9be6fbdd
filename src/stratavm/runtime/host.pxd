# Host functions: Python callables with a FuncRec.
cimport cython
from libc.stdint cimport uint64_t
from stratavm.runtime._gen_layout cimport FuncRec, HostFunc
from stratavm.runtime.func cimport FuncRef

@cython.no_gc_clear  # cycles end in the lists and dicts of the Store, which are cleared
cdef class HostFunction(FuncRef):
    cdef FuncRec own_rec
    cdef HostFunc own_host
    cdef object function
    cdef object label
    cdef int invoke(self, uint64_t* cells) except -1
