"""Sockets that the host handed in."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, cast
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
from stratavm.wasi.buffers import rest
from stratavm.wasi.context import Context
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.guest import Guest
from stratavm.wasi.registry import PREVIEW1

if TYPE_CHECKING:
    from stratavm.wasi.sockets import Socket


def _socket(ctx: Context, guest: Guest, fd: int, rights: int) -> Socket:
    """The socket of a number; NOTSOCK for anything else."""
    found = ctx.get(guest, fd)
    if found.filetype not in (Filetype.SOCKET_DGRAM, Filetype.SOCKET_STREAM):
        raise WasiError(Errno.NOTSOCK)
    found.require(rights)
    return cast("Socket", found)


@PREVIEW1.function("sock_accept", "iii->i")
def sock_accept(ctx: Context, guest: Guest, fd: int, flags: int, out: int) -> None:
    """Accept a connection."""
    listener = _socket(ctx, guest, fd, Rights.SOCK_ACCEPT)
    if flags & ~Fdflags.NONBLOCK:
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    guest.write_u32(out, ctx.open(True, lambda: ctx.patiently(guest, listener, False, listener.accept, flags)))


@PREVIEW1.function("sock_recv", "iiiiii->i")
def sock_recv(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, flags: int, out: int, out_flags: int) -> None:
    """Receive."""
    found = _socket(ctx, guest, fd, Rights.FD_READ)
    if flags & ~(RIFLAGS_PEEK | RIFLAGS_WAITALL):
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    guest.check(out_flags, 2)
    buffers = guest.iovecs(iovs, count)
    peek = bool(flags & RIFLAGS_PEEK)
    if not buffers:  # nothing to wait for
        size, truncated = found.receive(buffers, peek)
    else:
        size, truncated = ctx.patiently(guest, found, False, found.receive, buffers, peek)
        if flags & RIFLAGS_WAITALL and not peek:
            size = _fill(ctx, guest, found, buffers, size)
    guest.write_u32(out, size)
    guest.write_bytes(out_flags, bytes((ROFLAGS_DATA_TRUNCATED * truncated, 0)))


def _fill(ctx: Context, guest: Guest, found: Socket, buffers: list[memoryview], size: int) -> int:
    """Receive until the buffers are full or the peer is done; returns how much there is then."""
    more = size
    while more and (left := rest(buffers, size)):
        more = ctx.patiently(guest, found, False, found.receive, left)[0]
        size += more
    return size


@PREVIEW1.function("sock_send", "iiiii->i")
def sock_send(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, flags: int, out: int) -> None:
    """Send."""
    found = _socket(ctx, guest, fd, Rights.FD_WRITE)
    if flags:
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    guest.write_u32(out, ctx.write(guest, found, guest.iovecs(iovs, count)))


@PREVIEW1.function("sock_shutdown", "ii->i")
def sock_shutdown(ctx: Context, guest: Guest, fd: int, how: int) -> None:
    """End one or both directions."""
    found = _socket(ctx, guest, fd, Rights.SOCK_SHUTDOWN)
    if not how or how & ~(SDFLAGS_READ | SDFLAGS_WRITE):
        raise WasiError(Errno.INVAL)
    found.shutdown(bool(how & SDFLAGS_READ), bool(how & SDFLAGS_WRITE))
