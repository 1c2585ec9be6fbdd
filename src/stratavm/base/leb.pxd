# Strict LEB128 readers for hot modules, after section 5.2.2 of the specification. Errors are sticky: a reader that
# fails sets `error[0]`, returns 0 and does not move; the caller tests at a convenient place. `LEB_MESSAGES` of leb.py
# has the words.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

ctypedef const uint8_t* bytes_t

cdef enum:
    LEB_OK = 0
    LEB_END = 1     # the input ended inside
    LEB_LONG = 2    # more bytes than the width allows
    LEB_LARGE = 3   # unused bits of the last byte are set

cdef inline uint64_t leb_slow(bytes_t* at, bytes_t end, int bits, bint is_signed, int* error) noexcept nogil:
    """Read `bits` wide, any length. The order of the checks is the reference interpreter's."""
    cdef bytes_t p = at[0]
    cdef uint64_t value = 0
    cdef int shift = 0
    cdef int left
    cdef uint8_t byte, unused
    while True:
        left = bits - shift
        if left <= 0:
            error[0] = LEB_LONG
            return 0
        if p >= end:
            error[0] = LEB_END
            return 0
        byte = p[0]
        p += 1
        if left < 7:
            if is_signed:
                unused = <uint8_t>(0x7F & (0xFF << (left - 1)))
                if (byte & unused) != 0 and (byte & unused) != unused:
                    error[0] = LEB_LARGE
                    return 0
            elif (byte & 0x7F) >> left:
                error[0] = LEB_LARGE
                return 0
        value |= <uint64_t>(byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if is_signed and byte & 0x40 and shift < 64:
        value |= ~<uint64_t>0 << shift
    at[0] = p
    return value

cdef inline uint32_t leb_u32(bytes_t* at, bytes_t end, int* error) noexcept nogil:
    """An unsigned 32-bit integer."""
    cdef uint32_t value
    if at[0] < end and at[0][0] < 0x80:
        value = at[0][0]
        at[0] += 1
        return value
    return <uint32_t>leb_slow(at, end, 32, False, error)

cdef inline uint64_t leb_u64(bytes_t* at, bytes_t end, int* error) noexcept nogil:
    """An unsigned 64-bit integer."""
    return leb_slow(at, end, 64, False, error)

cdef inline int32_t leb_s32(bytes_t* at, bytes_t end, int* error) noexcept nogil:
    """A signed 32-bit integer."""
    cdef int32_t value
    if at[0] < end and at[0][0] < 0x80:
        value = at[0][0]
        at[0] += 1
        return value - ((value & 0x40) << 1)
    return <int32_t>leb_slow(at, end, 32, True, error)

cdef inline int64_t leb_s33(bytes_t* at, bytes_t end, int* error) noexcept nogil:
    """A signed 33-bit integer: block types and heap types."""
    return <int64_t>leb_slow(at, end, 33, True, error)

cdef inline int64_t leb_s64(bytes_t* at, bytes_t end, int* error) noexcept nogil:
    """A signed 64-bit integer."""
    return <int64_t>leb_slow(at, end, 64, True, error)
