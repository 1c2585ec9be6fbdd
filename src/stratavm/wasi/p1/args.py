"""Command-line arguments and environment variables."""

from __future__ import annotations

from _collections_abc import Sequence

from stratavm.wasi.context import Context
from stratavm.wasi.guest import Guest
from stratavm.wasi.p1 import short
from stratavm.wasi.registry import PREVIEW1


def write_strings(guest: Guest, strings: Sequence[bytes], pointers: int, buffer: int) -> None:
    """Write C strings one after the other, and where each begins."""
    data = b"".join(strings)
    guest.check(pointers, 4 * len(strings))
    guest.write_bytes(buffer, data)
    for index, string in enumerate(strings):
        guest.write_u32(pointers + 4 * index, buffer)
        buffer += len(string)


def write_sizes(guest: Guest, strings: Sequence[bytes], count: int, size: int) -> None:
    """Write how many strings there are, and their total size."""
    guest.check(size, 4)
    guest.write_u32(count, len(strings))
    guest.write_u32(size, sum(map(len, strings)))


@PREVIEW1.function("args_get", "ii->i", short.ArgsGet)
def args_get(ctx: Context, guest: Guest, argv: int, argv_buf: int) -> None:
    """Write the arguments and pointers to them."""
    ctx.gave_args = True
    write_strings(guest, ctx.args, argv, argv_buf)


@PREVIEW1.function("args_sizes_get", "ii->i", short.ArgsSizesGet)
def args_sizes_get(ctx: Context, guest: Guest, argc: int, argv_buf_size: int) -> None:
    """Write the number of arguments and the bytes they take."""
    ctx.gave_args = True
    write_sizes(guest, ctx.args, argc, argv_buf_size)


@PREVIEW1.function("environ_get", "ii->i", short.EnvironGet)
def environ_get(ctx: Context, guest: Guest, environ: int, environ_buf: int) -> None:
    """Write the variables as ``NAME=value`` and pointers to them."""
    ctx.gave_environ = True
    write_strings(guest, ctx.environ, environ, environ_buf)


@PREVIEW1.function("environ_sizes_get", "ii->i", short.EnvironSizesGet)
def environ_sizes_get(ctx: Context, guest: Guest, count: int, size: int) -> None:
    """Write the number of variables and the bytes they take."""
    ctx.gave_environ = True
    write_sizes(guest, ctx.environ, count, size)
