"""Sockets that the host hands in: a guest can accept, receive, send and shut down, and make none itself."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from stratavm.base.forms import ClassVar, Final
from stratavm.wasi.abi import SOCKET_RIGHTS, Filetype, Rights
from stratavm.wasi.channel import bytes_waiting, duplicate
from stratavm.wasi.descriptor import Descriptor
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.held import ForkLock

ACCEPTING: Final = ForkLock()


def own_socket(fd: int) -> socket.socket:
    """A socket object on a duplicate, which waits for nothing by itself and changes no flag of the host's socket."""
    own = socket.socket(fileno=duplicate(fd))
    if own.gettimeout():  # a default for new sockets, which does not block then, but makes Python wait
        own.settimeout(0)
    return own


class Socket(Descriptor):
    """A socket of the host, by a descriptor of its own. The calls never block.

    Args:
        given: what the host handed in; closed together with the guest's.
        flags: the guest's.
        is_own: it is the guest's alone, which needs no other descriptor for it.
    """

    default_rights: ClassVar[int] = SOCKET_RIGHTS
    on_host = True

    def __init__(self, given: socket.socket, flags: int = 0, *, is_own: bool = False) -> None:
        super().__init__()
        self.given, self.flags = given, flags
        self.socket = given if is_own else own_socket(given.fileno())
        self.filetype = Filetype.SOCKET_DGRAM if given.type == socket.SOCK_DGRAM else Filetype.SOCKET_STREAM

    def require(self, right: int) -> None:
        """As elsewhere, but a socket cannot seek."""
        if right & (Rights.FD_SEEK | Rights.FD_TELL):
            raise WasiError(Errno.SPIPE)
        super().require(right)

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Receive."""
        return self.receive(buffers)[0]

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Send."""
        return self.send(buffers)

    def receive(self, buffers: Sequence[memoryview], peek: bool = False) -> tuple[int, bool]:
        """Receive, or with ``peek`` only look: (number of bytes, whether a datagram was cut off)."""
        flags = socket.MSG_DONTWAIT | socket.MSG_PEEK * peek
        size, _, flags_out, _ = self.socket.recvmsg_into(list(buffers), 0, flags)
        return size, bool(flags_out & socket.MSG_TRUNC)

    def send(self, buffers: Sequence[memoryview]) -> int:
        """Send what fits."""
        return self.socket.sendmsg(list(buffers), (), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def accept(self, flags: int) -> Socket:
        """The next connection of a listening socket.

        No flag of the call says that it must not block: the socket is told for the time of it.
        """
        if not self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise WasiError(Errno.INVAL)
        with ACCEPTING.lock:
            blocking = os.get_blocking(self.socket.fileno())
            os.set_blocking(self.socket.fileno(), False)
            try:
                connection = self.socket.accept()[0]
            finally:
                os.set_blocking(self.socket.fileno(), blocking)
        connection.settimeout(None)  # as of a default for new sockets, which may say otherwise
        return Socket(connection, flags, is_own=True)  # without another descriptor, for which there may be no room

    def shutdown(self, read: bool, write: bool) -> None:
        """End one or both directions."""
        self.socket.shutdown(socket.SHUT_RDWR if read and write else socket.SHUT_RD if read else socket.SHUT_WR)

    def pollable(self) -> int | None:
        """The descriptor of its own."""
        return self.socket.fileno()

    def available(self) -> int:
        """Bytes waiting."""
        return bytes_waiting(self.socket.fileno())

    def close(self) -> None:
        """Close both."""
        self.socket.close()
        self.given.close()
