# strata: hot
"""Which functions have a call of certain others in them, by the bytes of their bodies."""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t

CALL = cython.declare(uint8_t, 0x10)
LONGEST = cython.declare(uint32_t, 5)
"""Bytes of a number."""


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def number_at(data: cython.pointer(cython.const[uint8_t]), at: uint64_t, end: uint64_t) -> uint32_t:
    """The number that begins there, however it is padded; what it is not matters to nobody."""
    value: uint64_t = 0
    shift: uint32_t = 0
    i: uint64_t
    for i in range(at, min(at + LONGEST, end)):
        value |= cython.cast(uint64_t, data[i] & 0x7F) << shift
        if data[i] < 0x80:
            break
        shift += 7
    return cython.cast(uint32_t, value)


def callers(binary: bytes, bodies: list, wanted: list) -> list[tuple[int, int]]:
    """Functions in which a direct call of a wanted one may be, and the first that was found in each.

    Bytes are read without knowing where instructions begin: none is missed, and some that are found are constants.

    Args:
        bodies: where the body of each defined function lies.
        wanted: function indices, the imported ones counted.
    """
    found: list = []
    data: cython.pointer(cython.const[uint8_t]) = binary
    length: uint64_t = len(binary)
    most: uint32_t = max(wanted, default=0)
    marks: bytearray = bytearray(most // 8 + 1)
    mark: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), cython.cast(cython.p_char, marks))
    index: uint32_t
    i: uint64_t
    end: uint64_t
    callee: uint32_t
    for callee in wanted:
        mark[callee >> 3] |= cython.cast(uint8_t, 1 << (callee & 7))
    for index in range(len(bodies)):
        i, end = bodies[index]
        end = min(end, length)
        while i < end:
            if data[i] == CALL:
                callee = number_at(data, i + 1, end)
                if callee <= most and mark[callee >> 3] & (1 << (callee & 7)):
                    found.append((index, callee))
                    break
            i += 1
    return found
