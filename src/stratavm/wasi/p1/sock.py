"""Sockets that the host handed in."""

from __future__ import annotations

from _collections_abc import Coroutine

from stratavm.base.forms import TYPE_CHECKING, Any, TypeAlias, cast
from stratavm.base.importing import partial
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
from stratavm.wasi.p1.fd import tell_u32
from stratavm.wasi.p1.path import tell_number
from stratavm.wasi.patience import Rest, told_later
from stratavm.wasi.registry import PREVIEW1

if TYPE_CHECKING:
    from stratavm.wasi.sockets import Socket

Received: TypeAlias = "tuple[int, bool]"
"""The number of bytes, and whether a datagram was cut off."""


def _socket(ctx: Context, guest: Guest, fd: int, rights: int) -> Socket:
    """The socket of a number; NOTSOCK for anything else."""
    found = ctx.get(guest, fd)
    if found.filetype not in (Filetype.SOCKET_DGRAM, Filetype.SOCKET_STREAM):
        raise WasiError(Errno.NOTSOCK)
    found.require(rights)
    return cast("Socket", found)


@PREVIEW1.function("sock_accept", "iii->i")
def sock_accept(ctx: Context, guest: Guest, fd: int, flags: int, out: int) -> Rest:
    """Accept a connection."""
    listener = _socket(ctx, guest, fd, Rights.SOCK_ACCEPT)
    if flags & ~Fdflags.NONBLOCK:
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    number = ctx.open(True, lambda: ctx.attempt(guest, listener, False, listener.accept, flags))
    if isinstance(number, int):
        tell_number(ctx, guest, out, number)
        return None
    return told_later(partial(tell_number, ctx, guest, out), number)


@PREVIEW1.function("sock_recv", "iiiiii->i")
def sock_recv(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, flags: int, out: int, out_flags: int) -> Rest:
    """Receive."""
    found = _socket(ctx, guest, fd, Rights.FD_READ)
    if flags & ~(RIFLAGS_PEEK | RIFLAGS_WAITALL):
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    guest.check(out_flags, 2)
    buffers = guest.iovecs(iovs, count)
    peek = bool(flags & RIFLAGS_PEEK)
    tell = partial(_tell_received, guest, out, out_flags)
    received = ctx.attempt(guest, found, False, found.receive, buffers, peek)
    if flags & RIFLAGS_WAITALL and not peek and buffers:
        return told_later(tell, _fill(ctx, guest, found, buffers, received))
    if isinstance(received, tuple):
        tell(received)
        return None
    return told_later(tell, received)


def _tell_received(guest: Guest, out: int, out_flags: int, received: tuple[int, bool]) -> None:
    size, truncated = received
    guest.write_u32(out, size)
    guest.write_bytes(out_flags, bytes((ROFLAGS_DATA_TRUNCATED * truncated, 0)))


async def _fill(
    ctx: Context, guest: Guest, found: Socket, buffers: list[memoryview], received: Received | Coroutine[Any, Any, Any]
) -> tuple[int, bool]:
    """Receive until the buffers are full or the peer is done: how much there is then."""
    size = 0
    while True:
        more, truncated = received if isinstance(received, tuple) else await received
        size += more
        left = rest(buffers, size)
        if not more or not left:
            return size, truncated
        received = ctx.attempt(guest, found, False, found.receive, left)


@PREVIEW1.function("sock_send", "iiiii->i")
def sock_send(ctx: Context, guest: Guest, fd: int, iovs: int, count: int, flags: int, out: int) -> Rest:
    """Send."""
    found = _socket(ctx, guest, fd, Rights.FD_WRITE)
    if flags:
        raise WasiError(Errno.INVAL)
    guest.check(out, 4)
    return tell_u32(guest, out, ctx.write(guest, found, guest.iovecs(iovs, count)))


@PREVIEW1.function("sock_shutdown", "ii->i")
def sock_shutdown(ctx: Context, guest: Guest, fd: int, how: int) -> None:
    """End one or both directions."""
    found = _socket(ctx, guest, fd, Rights.SOCK_SHUTDOWN)
    if not how or how & ~(SDFLAGS_READ | SDFLAGS_WRITE):
        raise WasiError(Errno.INVAL)
    found.shutdown(bool(how & SDFLAGS_READ), bool(how & SDFLAGS_WRITE))
