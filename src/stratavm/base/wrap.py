"""Wrap-around arithmetic by name, for Python that must mean the same compiled and not.

Operands are any integers, results unsigned unless the name says ``s``. Hot modules cimport the inline functions of
the same names from ``wrap.pxd``.
"""

from __future__ import annotations

from typing import Final

M32: Final = 0xFFFF_FFFF
M64: Final = 0xFFFF_FFFF_FFFF_FFFF


def u32(a: int) -> int:
    """The low 32 bits."""
    return a & M32


def u64(a: int) -> int:
    """The low 64 bits."""
    return a & M64


def s32(a: int) -> int:
    """The low 32 bits as a signed number."""
    return (a & M32 ^ 0x8000_0000) - 0x8000_0000


def s64(a: int) -> int:
    """The low 64 bits as a signed number."""
    return (a & M64 ^ 1 << 63) - (1 << 63)


def add32(a: int, b: int) -> int:
    """Sum modulo 2**32."""
    return a + b & M32


def sub32(a: int, b: int) -> int:
    """Difference modulo 2**32."""
    return a - b & M32


def mul32(a: int, b: int) -> int:
    """Product modulo 2**32."""
    return a * b & M32


def shl32(a: int, b: int) -> int:
    """Left shift by ``b`` modulo 32."""
    return a << (b & 31) & M32


def shr_u32(a: int, b: int) -> int:
    """Logical right shift by ``b`` modulo 32."""
    return (a & M32) >> (b & 31)


def shr_s32(a: int, b: int) -> int:
    """Arithmetic right shift by ``b`` modulo 32."""
    return s32(a) >> (b & 31) & M32


def rotl32(a: int, b: int) -> int:
    """Left rotation by ``b`` modulo 32."""
    a &= M32
    return (a << (b & 31) | a >> (-b & 31)) & M32


def rotr32(a: int, b: int) -> int:
    """Right rotation by ``b`` modulo 32."""
    return rotl32(a, -b)


def add64(a: int, b: int) -> int:
    """Sum modulo 2**64."""
    return a + b & M64


def sub64(a: int, b: int) -> int:
    """Difference modulo 2**64."""
    return a - b & M64


def mul64(a: int, b: int) -> int:
    """Product modulo 2**64."""
    return a * b & M64


def shl64(a: int, b: int) -> int:
    """Left shift by ``b`` modulo 64."""
    return a << (b & 63) & M64


def shr_u64(a: int, b: int) -> int:
    """Logical right shift by ``b`` modulo 64."""
    return (a & M64) >> (b & 63)


def shr_s64(a: int, b: int) -> int:
    """Arithmetic right shift by ``b`` modulo 64."""
    return s64(a) >> (b & 63) & M64


def rotl64(a: int, b: int) -> int:
    """Left rotation by ``b`` modulo 64."""
    a &= M64
    return (a << (b & 63) | a >> (-b & 63)) & M64


def rotr64(a: int, b: int) -> int:
    """Right rotation by ``b`` modulo 64."""
    return rotl64(a, -b)
