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
    cdef bint wants                   # the caller, as its first argument

cdef class TypedHost(HostFunction):
    cdef object caller                # passed first where the callable wants it, else None
    cdef bytes param_codes            # see ``cells``
    cdef bytes result_codes
    cdef const char* codes            # the characters of param_codes
    cdef Py_ssize_t n_params
    cdef Py_ssize_t n_results
    cdef object convert(self, list values)
    cdef int fit(self, object store, HostShape shape, object function, object name, object caller) except -1

cdef class SpecHost(HostFunction):
    cdef object caller                # whose memory it works on
    cdef object memory                # that memory, once it was asked for
    cdef ShortWay short               # what is tried first, or None
    cdef Memory plain                 # the memory, if short ways can work on it
    cdef bytes codes                  # of the parameters
    cdef const char* letters          # their characters
    cdef Py_ssize_t n_params
    cdef Py_ssize_t n_results
    cdef object first(self)
    cdef int fit(self, object store, HostShape shape, object function, object name, object caller) except -1

ctypedef int (*take_t)(TypedHost, PyObject*, uint64_t*) except -1
ctypedef int (*raw_take_t)(TypedHost, PyObject*, uint64_t*) noexcept
ctypedef int (*take_word_t)(SpecHost, PyObject*, uint64_t*) except -1
ctypedef int (*raw_take_word_t)(SpecHost, PyObject*, uint64_t*) noexcept

cdef tuple codes_of_shape(Shape shape)
