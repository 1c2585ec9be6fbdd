# Canonical type ids, and for how long they are what they are.
cimport cython
from libc.stdint cimport uint32_t, uint64_t

cdef struct AboveHeader:             # of ``TypeIds.above``
    uint32_t* before                 # the smaller one that it took the place of: somebody may still read that
    uint32_t unused
    uint32_t room                    # ids that it has; right before the first

@cython.final
cdef class TypeIds:
    cdef dict groups                 # Group by its structure: those that have users
    cdef dict owners                 # Group by id, of those that have users
    cdef dict supers                 # ids of the declared supertypes by id
    cdef uint32_t* above             # the supertype's id by that of a type, without marks, else 0: for machine code, behind their header
    cdef uint32_t* unused            # ids that were given back, as a stack
    cdef uint32_t n_unused
    cdef uint32_t room
    cdef uint32_t last               # the largest id ever given
    cdef uint32_t most
    cdef readonly uint32_t live      # ids that are in use
    cdef int note(self, uint32_t number, uint32_t above) except -1
    cdef tuple take(self, uint32_t count)
    cdef void give_back(self, uint32_t number) noexcept

@cython.final
cdef class Group:
    cdef TypeIds home
    cdef object key
    cdef tuple ids
    cdef uint64_t users

@cython.final
cdef class UsedTypes:
    cdef TypeIds home
    cdef list groups                 # Groups, in the order of the module
    cdef readonly list ids           # by type index
    cdef bint join(self, object key) except? 0
    cdef int hold(self, Group group) except -1
    cdef int keep(self, object type) except -1
