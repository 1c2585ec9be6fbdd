# Functions as Python calls them.
cimport cython
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport CallGate, FuncRec
from stratavm.runtime.func cimport FuncRef
from stratavm.runtime.instance cimport Instance
from stratavm.runtime.occupancy cimport Entry
from stratavm.runtime.store cimport Store

ctypedef PyObject* (*vectorcall_t)(PyObject*, PyObject**, size_t, PyObject*) noexcept
ctypedef object (*call_t)(Func, PyObject**, size_t, PyObject*)
ctypedef PyObject* (*raw_end_t)(PyObject*, Entry*, uint64_t*, uint32_t) noexcept
ctypedef object (*results_t)(Func, uint64_t*)
ctypedef bint (*unbox_t)(const char*, Py_ssize_t, PyObject**, uint64_t*) noexcept
ctypedef PyObject* (*raw_results_t)(PyObject*, uint64_t*) noexcept

@cython.final
cdef class Func:
    cdef vectorcall_t vectorcall      # what CPython jumps to
    cdef CallGate gate                # what its machine code reads
    cdef uint32_t cold                # calls until there is machine code; 0: never, or there is
    cdef FuncRec* rec
    cdef void* array_entry          # of its type, which ``native`` keeps
    cdef Instance instance            # None: not a guest's function
    cdef bytes params                 # codes, see ``cells``
    cdef bytes results
    cdef Py_ssize_t n_params          # -1 where the quick path does not apply
    cdef Py_ssize_t n_results
    cdef readonly Store store
    cdef readonly FuncRef native
    cdef object __weakref__
    cdef object call_slowly(self, tuple values, object keywords)
    cdef int warm(self) except -1

cdef object boxed(Func self, uint64_t* cells)
