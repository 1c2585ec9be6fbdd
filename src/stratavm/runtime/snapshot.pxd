# Snapshots: what an instance holds, and instances that begin with it.
cimport cython
from libc.stdint cimport uint64_t
from stratavm.runtime.link cimport Beginning

@cython.final
cdef class State(Beginning):
    cdef readonly tuple memories         # of its own: (pages, MemoryImage or None)
    cdef readonly bytes cells            # of its own globals, 16 bytes each; functions as ``tables`` have them, numbers in references as they are
    cdef readonly tuple tables           # of its own: 4 bytes for each element: 1 + the place of a function, or 0; of a number
                                         # in a reference its 31 bits and the highest
    cdef list images                     # a TableImage for each, or None: no clone was made whose FuncRecs are common
    cdef readonly bytes dropped_datas    # a byte for each passive data segment: whether it was dropped
    cdef readonly bytes dropped_elements # and for each element segment
    cdef readonly tuple worlds           # what its imports' worlds said of what it has seen; None: none was asked
    cdef readonly tuple constants        # bits of each imported global
    cdef readonly bint initialized       # whether it was told to initialise itself
    cdef readonly uint64_t memory_bytes  # of all its memories
    cdef readonly uint64_t kept_bytes    # of pages that are not all zero
