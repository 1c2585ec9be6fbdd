# Emission of what makes, writes and asks for objects of guests.
from libc.stdint cimport uint32_t
from stratavm.machine.minst cimport MInst, MOperand
from stratavm.targets.x64.emit_values cimport Cold, ValueEmitter
from stratavm.targets.x64.encoder cimport Mem

cdef class ObjectEmitter(ValueEmitter):
    cdef int of_objects(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int cold_object(self, Cold* c) except -1 nogil
    cdef int note(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int cold_note(self, Cold* c) except -1 nogil
    cdef int new_object(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int clear(self, uint32_t object_, uint32_t size) except -1 nogil
    cdef int end_of(self, MInst* inst, uint32_t object_, uint32_t length) except -1 nogil
    cdef int cold_new(self, Cold* c) except -1 nogil
    cdef Mem noted(self, Cold* c) noexcept nogil
    cdef int is_of(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int cold_is(self, Cold* c) except -1 nogil
