"""Random bytes."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.wasi.context import Context
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.patience import Rest
from stratavm.wasi.registry import PREVIEW1

CHUNK: Final = 1 << 18
"""Bytes made at a time, so that a large request costs no large allocation and can be interrupted."""


@PREVIEW1.function("random_get", "ii->i", short.RandomGet)
def random_get(ctx: Context, guest: Guest, buffer: int, length: int) -> Rest:
    """Fill a buffer from the system's secure source, or from the seed."""
    guest.check(buffer, length)
    ctx.gave_random = True
    if length > CHUNK:
        return _fill(ctx, guest, buffer, length)
    guest.write_bytes(buffer, ctx.random_bytes(length))
    ctx.pause(guest)
    return None


async def _fill(ctx: Context, guest: Guest, buffer: int, length: int) -> None:
    """By and by."""
    for start in range(0, length, CHUNK):
        guest.write_bytes(buffer + start, ctx.random_bytes(min(CHUNK, length - start)))
        await guest.waits.pause(ctx, guest)
