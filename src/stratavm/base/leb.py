"""LEB128, the variable-length integers of the binary format: writing, and strict reading from Python.

Hot modules read with the inline functions of ``leb.pxd``; both follow section 5.2.2 of the specification: at most
``ceil(bits / 7)`` bytes, and the unused bits of the last byte are zero (or copies of the sign).
"""

from __future__ import annotations

from stratavm.base.errors import DecodeError

LEB_MESSAGES = (
    "",
    "unexpected end of section or function",
    "integer representation too long",
    "integer too large",
)
"""The specification's words by error number of ``leb.pxd``."""
END, LONG, LARGE = 1, 2, 3


def uleb(value: int) -> bytes:
    """Unsigned LEB128 of a non-negative integer."""
    if value < 0:
        raise ValueError(f"{value} has no unsigned LEB128")
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def sleb(value: int) -> bytes:
    """Signed LEB128."""
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)


def _read(data: bytes, at: int, end: int, bits: int, signed: bool) -> tuple[int, int]:
    """The value and the position behind it. The order of the checks is the reference interpreter's."""
    value, shift, position = 0, 0, at
    while True:
        left = bits - shift
        if left <= 0:
            raise DecodeError(LEB_MESSAGES[LONG], offset=at, expected=f"at most {position - at} bytes")
        if position >= end:
            raise DecodeError(LEB_MESSAGES[END], offset=position)
        byte = data[position]
        position += 1
        unused = 0x7F & -1 << (left - signed) if left < 7 else 0
        if byte & unused not in ((0, unused) if signed else (0,)):
            raise DecodeError(LEB_MESSAGES[LARGE], offset=at, expected=f"{bits} bits")
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if signed and byte & 0x40 else value), position


def read_uleb(data: bytes, at: int, bits: int = 32, end: int | None = None) -> tuple[int, int]:
    """Read an unsigned integer of ``bits`` bits at ``at``: (value, position behind it)."""
    return _read(data, at, len(data) if end is None else end, bits, signed=False)


def read_sleb(data: bytes, at: int, bits: int = 32, end: int | None = None) -> tuple[int, int]:
    """Read a signed integer of ``bits`` bits at ``at``: (value, position behind it)."""
    return _read(data, at, len(data) if end is None else end, bits, signed=True)
