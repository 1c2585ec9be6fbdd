# Functions as the host sees them.
from libc.stdint cimport uint64_t
from stratavm.contract._gen_layout cimport FuncRec
from stratavm.runtime.store cimport Entry, Store

cdef class Shape:
    cdef readonly object type        # FuncType
    cdef bytes params                # cell widths, see ``func``
    cdef bytes results
    cdef void* array_entry
    cdef object keeps                # the machine code and the type ids that it refers to
    cdef public object codes         # what the boundary with Python makes of the type; None until it does

cdef class FuncRef:
    cdef FuncRec* rec
    cdef readonly Store store
    cdef readonly object type         # FuncType
    cdef Shape shape                  # its array entry, among others
    cdef readonly object instance     # Instance of a guest function, else None
    cdef bytes params                 # cell width of each parameter: 4, 8, 16, or 9 for a funcref
    cdef bytes results
    cdef list run_python(self, list args)
    cdef list run_cells(self, list args)
    cdef int go(self, uint64_t* cells) except -1
    cdef object concerned(self)
    cdef int check_made(self) except -1

cdef class LoneFunc(FuncRef):         # nothing refers to it but the host, or the oracle
    cdef FuncRec own_rec

cdef int begin_python(FuncRef function, Entry* entry) except -1
cdef int end_python(FuncRef function, Entry* entry, object failure, bint begun) except -1
cdef int fill_cells(Store store, uint64_t* cells, object values, bytes widths, tuple types) except? -1
cdef list read_cells(uint64_t* cells, bytes widths)
cpdef bytes cell_widths(object types)
