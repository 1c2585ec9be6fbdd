# Cells of calls that are roots of collections.
from libc.stdint cimport uint64_t
from stratavm.contract._gen_layout cimport ExecContext

cdef struct ResultCells:
    ExecContext* exec                # of the store whose guests write there; NULL: nobody looks at them
    uint64_t* words
    uint64_t n                       # words
    ResultCells* after
    ResultCells* before

cdef void keep_cells(ResultCells* cells, ExecContext* context, uint64_t* words, uint64_t n) noexcept
cdef void drop_cells(ResultCells* cells) noexcept
cdef ResultCells* next_cells(ExecContext* context, ResultCells* after) noexcept nogil
