# What Python has of guests' objects.
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from stratavm.runtime.blueprint cimport Blueprint
from stratavm.runtime.objects cimport ObjectRef
from stratavm.runtime.residents cimport Residence

@cython.final
cdef class GuestType:
    cdef Blueprint blueprint         # of a module that declares it: the id means this type as long as it lives
    cdef readonly uint32_t index     # among the types of that module
    cdef uint32_t type_id
    cdef object composite
    cdef object layout
    cdef bytes codes                 # of its fields, of an array of its element: how the bytes are read
    cdef tuple storages              # types of values, with canonical ids
    cdef dict numbers                # of fields by name
    cdef uint64_t element            # bytes of an element, 0 of a struct
    cdef GuestObject made(self, Residence store, object count)
    cdef list listed(self, object values)
    cdef list converted(self, Residence store, list given)
    cdef object bits(self, Residence store, Py_ssize_t at, object value)
    cdef int check_default(self, Py_ssize_t at) except -1
    cdef object number_of(self, object name)
    cdef str label(self, Py_ssize_t at)
    cdef str called(self)

@cython.final
cdef class GuestObject(ObjectRef):
    cdef GuestType shape             # None until it was asked for
