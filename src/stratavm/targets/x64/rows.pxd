# Machine IR from rows: roles, constraints and flags come from the table.
from libc.stdint cimport int32_t, uint32_t
from stratavm.machine.minst cimport MCode

cdef enum:
    ROW_OPERANDS = 4      # values that a row takes at most, besides its address

cdef uint32_t row_inst(MCode m, uint32_t mop, uint32_t width, const uint32_t* values) except? 0xFFFFFFFF nogil
cdef int row_address(MCode m, uint32_t base, uint32_t index, uint32_t scale, int32_t disp) except -1 nogil
cdef int row_address_reg(MCode m, uint32_t reg, uint32_t index, uint32_t scale, int32_t disp) except -1 nogil
