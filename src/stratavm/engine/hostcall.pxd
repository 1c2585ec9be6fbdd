# Host functions on Python values.
from cpython.ref cimport PyObject
from libc.stdint cimport uint64_t
from stratavm.runtime.host cimport HostFunction

cdef class TypedHost(HostFunction):
    cdef object caller                # passed first where the callable wants it, else None
    cdef object refs                  # the public store: references to objects and back
    cdef bytes param_codes            # see ``cells``
    cdef bytes result_codes
    cdef const char* codes            # the characters of param_codes
    cdef Py_ssize_t n_params
    cdef Py_ssize_t n_results
    cdef object run(self, list values)

cdef class SpecHost(HostFunction):
    cdef object caller                # whose memory it works on
    cdef object memory                # that memory, once it was asked for
    cdef bytes codes                  # of the parameters
    cdef const char* letters          # their characters
    cdef Py_ssize_t n_params
    cdef Py_ssize_t n_results
    cdef object first(self)

ctypedef int (*take_t)(TypedHost, PyObject*, uint64_t*) except -1
ctypedef int (*raw_take_t)(TypedHost, PyObject*, uint64_t*) noexcept
ctypedef int (*take_word_t)(SpecHost, PyObject*, uint64_t*) except -1
ctypedef int (*raw_take_word_t)(SpecHost, PyObject*, uint64_t*) noexcept
