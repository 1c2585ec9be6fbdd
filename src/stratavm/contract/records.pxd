# Which of a module's functions have a FuncRec in its instances, and where: those with a body that can be referenced
# (`Module.recorded_funcs`), by their place among these, the *declared ordinal*.
from libc.stdint cimport uint32_t

cdef enum:
    NO_RECORD = 0xFFFFFFFF

# The declared ordinal of a function by its index, or NO_RECORD; `recorded` is ascending.
cdef inline uint32_t ordinal_of(const uint32_t* recorded, uint32_t count, uint32_t func) noexcept nogil:
    cdef uint32_t low = 0
    cdef uint32_t high = count
    cdef uint32_t middle
    while low < high:
        middle = (low + high) >> 1
        if recorded[middle] < func:
            low = middle + 1
        else:
            high = middle
    return low if low < count and recorded[low] == func else <uint32_t>NO_RECORD
