# Rows of objects without the GIL.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport ExecContext, VMContext

cdef enum:
    NOT_ALONE = 0xFFFFFFFF           # nothing was done: it takes the GIL

cdef uint64_t make_alone(ExecContext* context, VMContext* vm, uint64_t type_index, uint64_t length) noexcept nogil
cdef uint32_t run_alone(ExecContext* context, VMContext* vm, uint64_t* cells, uint64_t row, uint64_t x, uint64_t y) noexcept nogil
