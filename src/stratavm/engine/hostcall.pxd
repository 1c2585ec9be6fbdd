# Host functions on Python values.
cimport cython
from stratavm.runtime.host cimport HostFunction

@cython.no_gc_clear  # cycles end in the lists and dicts of the Store, which are cleared
cdef class TypedHost(HostFunction):
    cdef object caller                # passed first where the callable wants it, else None
    cdef object refs                  # the public store: references to objects and back
    cdef bytes param_codes            # see ``cells``
    cdef bytes result_codes
    cdef object run(self, list values)
