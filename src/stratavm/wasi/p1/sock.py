"""Sockets that the host handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from stratavm.wasi.abi import (
    RIFLAGS_PEEK,
    RIFLAGS_WAITALL,
    ROFLAGS_DATA_TRUNCATED,
    SDFLAGS_READ,
    SDFLAGS_WRITE,
    Fdflags,
    Filetype,
    Rights,
)
from stratavm.wasi.context import Context
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.registry import PREVIEW1

if TYPE_CHECKING:
    from stratavm.wasi.sockets import Socket


def _socket(ctx: Context, fd: int, rights: int) -> Socket:
    """The socket of a number; NOTSOCK for anything else."""
    found = ctx.get(fd)
    if found.filetype not in (Filetype.SOCKET_DGRAM, Filetype.SOCKET_STREAM):
        raise WasiError(Errno.NOTSOCK)
    found.require(rights)
    return cast("Socket", found)


@PREVIEW1.function("sock_accept", "iii->i")
def sock_accept(ctx: Context, guest: Guest, fd: int, flags: int, out: int) -> None:
    """Accept a connection."""
    listener = _socket(ctx, fd, Rights.SOCK_ACCEPT)
    if flags & ~Fdflags.NONBLOCK:
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    if len(ctx.table) >= ctx.quotas.descriptors:
        raise WasiError(Errno.MFILE)
    guest.write_u32(out, ctx.insert(listener.accept(flags)))


@PREVIEW1.function("sock_recv", "iiiiii->i")
def sock_recv(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, flags: int, out: int, out_flags: int) -> None:
    """Receive."""
    found = _socket(ctx, fd, Rights.FD_READ)
    if flags & ~(RIFLAGS_PEEK | RIFLAGS_WAITALL):
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    guest.check(out_flags, 2)
    buffers = guest.iovecs(iovs, count)
    size, truncated = found.receive(buffers, peek=bool(flags & RIFLAGS_PEEK))
    if flags & RIFLAGS_WAITALL and not flags & RIFLAGS_PEEK:
        size += _fill(found, buffers, size)
    guest.write_u32(out, size)
    guest.bytes_at(out_flags, 2)[:] = bytes((ROFLAGS_DATA_TRUNCATED * truncated, 0))


def _fill(found: Socket, buffers: list[memoryview], size: int) -> int:
    """Receive until the buffers are full or the peer is done; returns what was received in addition."""
    start = size
    while size:
        rest, before = [], size
        for buffer in buffers:
            rest.append(buffer[min(before, buffer.nbytes) :])
            before = max(before - buffer.nbytes, 0)
        more = found.receive([b for b in rest if b.nbytes])[0] if any(b.nbytes for b in rest) else 0
        if not more:
            break
        size += more
    return size - start


@PREVIEW1.function("sock_send", "iiiii->i")
def sock_send(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, flags: int, out: int) -> None:
    """Send."""
    found = _socket(ctx, fd, Rights.FD_WRITE)
    if flags:
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    buffers = guest.iovecs(iovs, count)
    ctx.may_write(sum(b.nbytes for b in buffers))
    sent = found.send(buffers)
    ctx.wrote(sent)
    guest.write_u32(out, sent)


@PREVIEW1.function("sock_shutdown", "ii->i")
def sock_shutdown(ctx: Context, guest: Guest, fd: int, how: int) -> None:
    """End one or both directions."""
    found = _socket(ctx, fd, Rights.SOCK_SHUTDOWN)
    if not how or how & ~(SDFLAGS_READ | SDFLAGS_WRITE):
        raise WasiError(Errno.INVAL)
    found.shutdown(bool(how & SDFLAGS_READ), bool(how & SDFLAGS_WRITE))
