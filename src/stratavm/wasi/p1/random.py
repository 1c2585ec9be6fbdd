"""Random bytes."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.wasi.context import Context
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.registry import PREVIEW1

CHUNK: Final = 1 << 20
"""Bytes made at a time, so that a large request costs no large allocation and can be interrupted."""


@PREVIEW1.function("random_get", "ii->i", short.RandomGet)
def random_get(ctx: Context, guest: Guest, buffer: int, length: int) -> None:
    """Fill a buffer from the system's secure source, or from the seed."""
    target = guest.bytes_at(buffer, length)
    for start in range(0, length, CHUNK):
        piece = target[start : start + CHUNK]
        piece[:] = ctx.random_bytes(piece.nbytes)
        ctx.pause(guest)
