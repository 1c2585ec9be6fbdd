# Host functions: Python callables with a FuncRec.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport FuncRec, HostFunc
from stratavm.runtime.func cimport FuncRef, Shape
from stratavm.runtime.store cimport Store

# Runs it: arguments and results in cells. -1 with an error set is a failure, 1: the guest
# waits for what was returned (`wait_for`); no exception machinery of Cython's.
ctypedef int (*run_cells_t)(HostFunction, uint64_t*) noexcept
ctypedef int (*may_raise_t)(HostFunction, uint64_t*) except -1

cdef class HostShape(Shape):
    cdef uint32_t type_id
    cdef void* code                   # its entry under the guest calling convention, or NULL

cdef class HostFunction(FuncRef):
    cdef FuncRec own_rec
    cdef HostFunc own_host
    cdef object function
    cdef object label
    cdef run_cells_t run              # set by the class that converts
    cdef int take(self, object answer, uint64_t* cells) except -1
    cdef int become(self, Store store, HostShape shape, object function, object label) except -1

cdef int wait_for(HostFunction function, object awaitable, uint64_t* cells) except -1
cdef run_cells_t as_run_cells(may_raise_t function) noexcept
