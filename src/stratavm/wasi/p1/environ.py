"""Environment variables."""

from __future__ import annotations

from stratavm.wasi.context import Context
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short_given
from stratavm.wasi.p1.args import write_sizes, write_strings
from stratavm.wasi.registry import PREVIEW1


@PREVIEW1.function("environ_get", "ii->i", short_given.EnvironGet)
def environ_get(ctx: Context, guest: Guest, environ: int, environ_buf: int) -> None:
    """Write the variables as ``NAME=value`` and pointers to them."""
    write_strings(guest, ctx.environ, environ, environ_buf)


@PREVIEW1.function("environ_sizes_get", "ii->i", short_given.EnvironSizesGet)
def environ_sizes_get(ctx: Context, guest: Guest, count: int, size: int) -> None:
    """Write the number of variables and the bytes they take."""
    write_sizes(guest, ctx.environ, count, size)
