# Growable C arrays on malloc: the only allocation in hot passes. Growth is overflow-checked; failure raises MemoryError.
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc

from stratavm.base.budget cimport grew
from stratavm.base.failures cimport fail_memory

cdef inline int vec_reserve "strata_vec_reserve"(void** items, uint32_t* capacity, uint32_t needed, size_t item_size) except -1 nogil:
    """Make room for ``needed`` items of ``item_size`` bytes. ``capacity`` counts items."""
    cdef size_t wanted, limit
    cdef void* grown
    if needed <= capacity[0]:
        return 0
    wanted = <size_t>capacity[0] * 2
    if wanted < needed:
        wanted = needed
    if wanted < 16:
        wanted = 16
    limit = 0xFFFFFFFF
    if wanted > limit or wanted > (limit << 14) // item_size:
        fail_memory(b"a compiler array outgrew its index type")
    grew((wanted - capacity[0]) * item_size)
    grown = realloc(items[0], wanted * item_size)
    if grown == NULL:
        fail_memory(b"out of memory in a compiler array")
    items[0] = grown
    capacity[0] = <uint32_t>wanted
    return 0

cdef extern from *:
    """
    #define STRATA_VEC_ROOM(items, capacity, needed) \\
        ((needed) <= (capacity) ? 0 : strata_vec_reserve((void **)&(items), &(capacity), (needed), sizeof(*(items))))
    """
    # `vec_reserve` for the pointer `items` and its uint32_t `capacity`, both by name: C knows what the items are, and
    # nothing is called where there is room.
    int vec_room "STRATA_VEC_ROOM"(void* items, uint32_t capacity, uint32_t needed) except -1 nogil
