"""Sockets that the host hands in: a guest can accept, receive, send and shut down, and make none."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import ClassVar

from stratavm.wasi.abi import SOCKET_RIGHTS, Fdflags, Filetype, Rights
from stratavm.wasi.descriptor import Descriptor
from stratavm.wasi.errno import Errno, WasiError
from stratavm.wasi.streams import Wait, bytes_waiting


class Socket(Descriptor):
    """A socket of the host. Waiting is done by ``wait``, which the host can interrupt; the calls never block."""

    default_rights: ClassVar[int] = SOCKET_RIGHTS

    def __init__(self, given: socket.socket, wait: Wait, flags: int = 0) -> None:
        super().__init__()
        self.socket, self._wait, self.flags = given, wait, flags
        self.filetype = Filetype.SOCKET_DGRAM if given.type == socket.SOCK_DGRAM else Filetype.SOCKET_STREAM

    def require(self, right: int) -> None:
        """As elsewhere, but a socket cannot seek."""
        if right & (Rights.FD_SEEK | Rights.FD_TELL):
            raise WasiError(Errno.SPIPE)
        super().require(right)

    def _ready(self, write: bool) -> int:
        if not self.flags & Fdflags.NONBLOCK:
            self._wait(self.socket.fileno(), write)
        return socket.MSG_DONTWAIT

    def read(self, buffers: Sequence[memoryview]) -> int:
        """Receive."""
        return self.receive(buffers)[0]

    def write(self, buffers: Sequence[memoryview]) -> int:
        """Send."""
        return self.send(buffers)

    def receive(self, buffers: Sequence[memoryview], peek: bool = False) -> tuple[int, bool]:
        """Receive, or with ``peek`` only look: (number of bytes, whether a datagram was cut off)."""
        flags = socket.MSG_PEEK * peek
        flags |= self._ready(False) if buffers else socket.MSG_DONTWAIT
        size, _, flags_out, _ = self.socket.recvmsg_into(list(buffers), 0, flags)
        return size, bool(flags_out & socket.MSG_TRUNC)

    def send(self, buffers: Sequence[memoryview]) -> int:
        """Send what fits."""
        return self.socket.sendmsg(list(buffers), (), self._ready(True) | socket.MSG_NOSIGNAL)

    def accept(self, flags: int) -> Socket:
        """The next connection of a listening socket."""
        if not self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise WasiError(Errno.INVAL)
        self._ready(False)
        timeout = self.socket.gettimeout()
        self.socket.setblocking(False)
        try:
            return Socket(self.socket.accept()[0], self._wait, flags)
        finally:
            self.socket.settimeout(timeout)

    def shutdown(self, read: bool, write: bool) -> None:
        """End one or both directions."""
        self.socket.shutdown(socket.SHUT_RDWR if read and write else socket.SHUT_RD if read else socket.SHUT_WR)

    def pollable(self, write: bool) -> int | None:
        """The host's descriptor."""
        return self.socket.fileno()

    def available(self) -> int:
        """Bytes waiting."""
        return bytes_waiting(self.socket.fileno())

    def close(self) -> None:
        """Close."""
        self.socket.close()
