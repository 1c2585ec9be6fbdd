"""LEB128, the variable-length integers of the binary format: writing, and strict reading from Python.

Hot modules read with the inline functions of ``leb.pxd``; both follow section 5.2.2 of the specification: at most
``ceil(bits / 7)`` bytes, and the unused bits of the last byte are zero (or copies of the sign).
"""

from __future__ import annotations

from stratavm.base.errors import DecodeError

END = "unexpected end"
LONG = "integer representation too long"
LARGE = "integer too large"


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


def _read(data: bytes, at: int, end: int, bits: int) -> tuple[int, int, int]:
    """The raw value, the position behind it and the last byte; refuses an encoding of too many bytes."""
    value = shift = 0
    last = at + (bits + 6) // 7
    position = at
    while True:
        if position >= end:
            raise DecodeError(END, offset=position)
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position, byte
        if position == last:
            raise DecodeError(LONG, offset=at, expected=f"at most {last - at} bytes")


def read_uleb(data: bytes, at: int, bits: int = 32, end: int | None = None) -> tuple[int, int]:
    """Read an unsigned integer of ``bits`` bits at ``at``: (value, position behind it)."""
    value, position, _ = _read(data, at, len(data) if end is None else end, bits)
    if value >> bits:
        raise DecodeError(LARGE, offset=at, expected=f"{bits} bits")
    return value, position


def read_sleb(data: bytes, at: int, bits: int = 32, end: int | None = None) -> tuple[int, int]:
    """Read a signed integer of ``bits`` bits at ``at``: (value, position behind it)."""
    value, position, last = _read(data, at, len(data) if end is None else end, bits)
    if last & 0x40:
        value -= 1 << 7 * (position - at)
    if not -(1 << bits - 1) <= value < 1 << bits - 1:
        raise DecodeError(LARGE, offset=at, expected=f"{bits} bits")
    return value, position
