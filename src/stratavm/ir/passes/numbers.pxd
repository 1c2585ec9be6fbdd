# Numbers by key: a small hash table for one thread. A key is below 0xFFFFFFFF.
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memset

from stratavm.base.vec cimport vec_reserve

cdef struct Numbers:
    uint32_t* items           # pairs of a key + 1, 0 in what is free, and its number
    uint32_t n
    uint32_t capacity         # pairs: a power of two, at least twice n; or 0

cdef inline uint32_t* numbers_place(Numbers* numbers, uint32_t key) noexcept nogil:
    """The pair of a key, or the free one where it belongs."""
    cdef uint32_t mask = numbers.capacity - 1
    cdef uint32_t at = key * <uint32_t>0x9E3779B1
    at = (at ^ at >> 15) & mask
    while numbers.items[2 * at] != 0 and numbers.items[2 * at] != key + 1:
        at = (at + 1) & mask
    return numbers.items + 2 * at

cdef inline bint numbers_find(Numbers* numbers, uint32_t key, uint32_t* number) noexcept nogil:
    """Whether a key is there; its number."""
    cdef uint32_t* place
    if numbers.n == 0:
        return False
    place = numbers_place(numbers, key)
    if place[0] == 0:
        return False
    number[0] = place[1]
    return True

cdef inline int numbers_room(Numbers* numbers) except -1 nogil:
    """Room for one key more."""
    cdef Numbers larger
    cdef uint32_t i, words = 0
    cdef uint32_t* place
    if 2 * (numbers.n + 1) <= numbers.capacity:
        return 0
    larger.items = NULL
    larger.n = numbers.n
    larger.capacity = 2 * numbers.capacity if numbers.capacity != 0 else 32
    vec_reserve(<void**>&larger.items, &words, 2 * larger.capacity, sizeof(uint32_t))
    memset(larger.items, 0, 2 * larger.capacity * sizeof(uint32_t))
    for i in range(numbers.capacity):
        if numbers.items[2 * i] != 0:
            place = numbers_place(&larger, numbers.items[2 * i] - 1)
            place[0] = numbers.items[2 * i]
            place[1] = numbers.items[2 * i + 1]
    free(numbers.items)
    numbers[0] = larger
    return 0

cdef inline int numbers_put(Numbers* numbers, uint32_t key, uint32_t number) except -1 nogil:
    """Add a key that is not there."""
    cdef uint32_t* place
    numbers_room(numbers)
    place = numbers_place(numbers, key)
    place[0] = key + 1
    place[1] = number
    numbers.n += 1
    return 0

cdef inline int numbers_clear(Numbers* numbers) noexcept nogil:
    """Take all keys out. A large table that holds few of them is given back: what is cleared was filled."""
    if numbers.capacity > 32 * (numbers.n + 1):
        free(numbers.items)
        memset(numbers, 0, sizeof(Numbers))
    elif numbers.n != 0:
        memset(numbers.items, 0, 2 * <size_t>numbers.capacity * sizeof(uint32_t))
        numbers.n = 0
    return 0

cdef inline int numbers_free(Numbers* numbers) noexcept nogil:
    """Give the memory back."""
    free(numbers.items)
    return 0
