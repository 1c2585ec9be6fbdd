# strata: hot
"""A universal hash: who does not know its key cannot say of two texts whether they have the same value, and nobody can
for more than one key in 2**106. Values are no secret's keepers by themselves: what is made of them is for
``container.py``.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import int64_t, uint8_t, uint64_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.posix.unistd import pread

PRIME: int = (1 << 127) - 1
KEY_BYTES = 256
WORDS = cython.declare(uint64_t, 16)
"""Of 15 bytes, in a block."""
BLOCK = cython.declare(cython.size_t, 240)
PIECE_BYTES = cython.declare(cython.size_t, 240 << 10)
"""Of a file, between two looks at the bytes: they are still near the processor."""
SHORT_BYTES = cython.declare(cython.size_t, 1 << 16)
"""So many take less time than another thread would need to take the GIL."""


@cython.auto_pickle(False)
@cython.final
@cython.cclass
class UniversalHash:
    """A key.

    A text is filled up with zeros to blocks of 16 words w1 … w16 of 15 bytes, little endian. A block has the value
    (w1 + k1)(w2 + k2) + … + (w15 + k15)(w16 + k16), and the blocks b1 … bn together b1·x**(n-1) + … + bn, all modulo
    2**127 - 1. Two texts of the same size that differ have the same value under less than one key in 2**120, for blocks
    that have the same one, and n in 2**127, for the points x.

    Args:
        key: 256 bytes: 15 for each of the k, and 16 for x, of which 127 bits count.
    """

    key: uint64_t[38]

    def __init__(self, key: bytes) -> None:
        i: uint64_t
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key has {KEY_BYTES} bytes, got {len(key)}")
        for i in range(WORDS):
            word: object = int.from_bytes(key[15 * i : 15 * i + 15], "little")
            self.key[2 * i] = word & ((1 << 60) - 1)
            self.key[2 * i + 1] = word >> 60
        point: object = int.from_bytes(key[15 * WORDS :], "little") & PRIME
        for i in range(3):
            times: object = (point << (43 * i)) % PRIME
            self.key[2 * (WORDS + i)] = times & 0xFFFFFFFFFFFFFFFF
            self.key[2 * (WORDS + i) + 1] = times >> 64

    def of(self, data: bytes) -> bytes:
        """The value of some bytes, as 16 bytes."""
        value: uint64_t[2]
        at: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
        size: cython.size_t = len(data)
        memset(value, 0, cython.sizeof(value))
        if size <= SHORT_BYTES:
            add_bytes(self, value, at, size)
        else:
            with cython.nogil:
                add_bytes(self, value, at, size)
        return as_bytes(value)

    def of_file(self, descriptor: cython.int, offset: int64_t, size: cython.size_t) -> bytes:
        """The value of so many bytes of a file, which is read by pieces and not kept; empty where they are not
        there."""
        value: uint64_t[2]
        done: cython.size_t = 0
        piece: cython.size_t
        got: cython.Py_ssize_t = 0
        scratch: bytes = PyBytes_FromStringAndSize(cython.NULL, PIECE_BYTES)
        to: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(scratch))
        memset(value, 0, cython.sizeof(value))
        while done < size:
            piece = min(size - done, PIECE_BYTES)
            with cython.nogil:
                got = pread(descriptor, to, piece, offset + cython.cast(int64_t, done))
                if got == cython.cast(cython.Py_ssize_t, piece):
                    add_bytes(self, value, to, piece)
            if got != cython.cast(cython.Py_ssize_t, piece):
                return b""
            done += piece
        return as_bytes(value)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def add_bytes(
    own: UniversalHash, value: cython.pointer(uint64_t), at: cython.pointer(uint8_t), size: cython.size_t
) -> cython.void:
    """Go on with a text; only its last part need not be whole blocks."""
    last: uint8_t[240]
    blocks: cython.size_t = size // BLOCK
    rest: cython.size_t = size % BLOCK
    add_blocks(value, own.key, at, blocks)
    if rest:
        memset(last, 0, BLOCK)
        memcpy(last, at + blocks * BLOCK, rest)
        add_blocks(value, own.key, last, 1)


@cython.cfunc
def as_bytes(value: cython.pointer(uint64_t)) -> bytes:
    """A value below the prime, little endian."""
    low: object = value[0]
    high: object = value[1]
    found: object = (high << 64 | low) % PRIME
    return found.to_bytes(16, "little")
