# Wrap-around arithmetic as C: the functions of wrap.py for hot modules. Operands convert as C does (modulo 2**n).
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

cdef inline uint32_t add32(uint32_t a, uint32_t b) noexcept nogil:
    return a + b

cdef inline uint32_t sub32(uint32_t a, uint32_t b) noexcept nogil:
    return a - b

cdef inline uint32_t mul32(uint32_t a, uint32_t b) noexcept nogil:
    return a * b

cdef inline uint32_t shl32(uint32_t a, uint32_t b) noexcept nogil:
    return a << (b & 31)

cdef inline uint32_t shr_u32(uint32_t a, uint32_t b) noexcept nogil:
    return a >> (b & 31)

cdef inline uint32_t shr_s32(uint32_t a, uint32_t b) noexcept nogil:
    return <uint32_t>(<int32_t>a >> (b & 31))

cdef inline uint32_t rotl32(uint32_t a, uint32_t b) noexcept nogil:
    return (a << (b & 31)) | (a >> ((0 - b) & 31))

cdef inline uint32_t rotr32(uint32_t a, uint32_t b) noexcept nogil:
    return (a >> (b & 31)) | (a << ((0 - b) & 31))

cdef inline int32_t s32(uint32_t a) noexcept nogil:
    return <int32_t>a

cdef inline uint64_t add64(uint64_t a, uint64_t b) noexcept nogil:
    return a + b

cdef inline uint64_t sub64(uint64_t a, uint64_t b) noexcept nogil:
    return a - b

cdef inline uint64_t mul64(uint64_t a, uint64_t b) noexcept nogil:
    return a * b

cdef inline uint64_t shl64(uint64_t a, uint64_t b) noexcept nogil:
    return a << (b & 63)

cdef inline uint64_t shr_u64(uint64_t a, uint64_t b) noexcept nogil:
    return a >> (b & 63)

cdef inline uint64_t shr_s64(uint64_t a, uint64_t b) noexcept nogil:
    return <uint64_t>(<int64_t>a >> (b & 63))

cdef inline uint64_t rotl64(uint64_t a, uint64_t b) noexcept nogil:
    return (a << (b & 63)) | (a >> ((0 - b) & 63))

cdef inline uint64_t rotr64(uint64_t a, uint64_t b) noexcept nogil:
    return (a >> (b & 63)) | (a << ((0 - b) & 63))

cdef inline int64_t s64(uint64_t a) noexcept nogil:
    return <int64_t>a
