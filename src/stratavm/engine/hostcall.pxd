# Host functions on Python values.
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t
from stratavm.engine.shortway cimport ShortWay
from stratavm.runtime.func cimport Shape
from stratavm.runtime.host cimport HostFunction, HostShape
from stratavm.runtime.memory cimport Memory

cdef class Offered:
    cdef readonly bint makes          # a new object at each ``bind``
    cdef object runtime
    cdef object where
    cdef object item                  # what was defined
    cdef object function
    cdef HostShape shape
    cdef bint is_spec
    cdef bint per_store               # ``function`` makes one for each store
    cdef ShortWay short               # of a spec's function, or None
    cdef bint wants                   # the caller, as its first argument

cdef class PythonHost(HostFunction):
    cdef object caller                # passed first where it is wanted, else None; of a spec: whose memory it is
    cdef object memory                # that memory, once a spec's function was called
    cdef Memory plain                 # the memory, if short ways can work on it
    cdef ShortWay short               # what a spec tries first, or None
    cdef bytes param_codes            # see ``cells``
    cdef bytes result_codes
    cdef const char* codes            # the characters of param_codes
    cdef Py_ssize_t n_params
    cdef Py_ssize_t n_results
    cdef bint is_spec
    cdef bint gives_any               # one result, and it may be any object
    cdef object invoke(self, list values)
    cdef bint waits(self, object answer) except -1
    cdef object first(self)
    cdef int fit(self, object store, Offered what, object caller) except -1

ctypedef int (*take_t)(PythonHost, PyObject*, uint64_t*) except -1
ctypedef int (*raw_take_t)(PythonHost, PyObject*, uint64_t*) noexcept

cdef tuple codes_of_shape(Shape shape)
