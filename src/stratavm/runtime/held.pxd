# Which exnrefs the guests of a store hold in the midst of a call.
from stratavm.runtime.residents cimport Residence

cdef int free_unheld(Residence store, set held, bint step) except -1
