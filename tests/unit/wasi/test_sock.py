"""Sockets that the host hands in."""

import socket

import pytest

from stratavm.wasi import Wasi, abi
from stratavm.wasi.abi import Fdflags, Filetype
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT, Guest

FLAGS = 0x40


@pytest.fixture
def pair():
    """A guest with one end of a stream socket as descriptor 3, and the other end."""
    mine, theirs = socket.socketpair()
    theirs.settimeout(5)
    with theirs, Wasi(sockets=[mine]) as ctx:
        yield Guest(ctx), theirs


def receive(guest: Guest, size: int, flags: int = 0, fd: int = 3) -> bytes:
    """sock_recv that succeeds."""
    guest.ok("sock_recv", fd, *guest.iovec((DATA, size)), flags, OUT, FLAGS)
    return bytes(guest.memory.data[DATA : DATA + guest.u32()])


def send(guest: Guest, data: bytes, flags: int = 0, fd: int = 3) -> Errno:
    """sock_send."""
    return guest.call("sock_send", fd, *guest.iovec(guest.put(data)), flags, OUT)


def test_sending_and_receiving(pair):
    """By the socket functions and by fd_read and fd_write."""
    guest, peer = pair
    assert send(guest, b"hello") is Errno.SUCCESS
    assert guest.write(3, b" there") == 6
    assert peer.recv(100) == b"hello there"
    peer.sendall(b"answer")
    assert receive(guest, 3, abi.RIFLAGS_PEEK) == b"ans"
    assert receive(guest, 3) == b"ans"
    assert guest.read(3, 100) == b"wer"
    guest.ok("fd_fdstat_get", 3, OUT)
    assert guest.memory.data[OUT] == Filetype.SOCKET_STREAM


def test_waitall_fills_the_buffers(pair):
    """Or ends with the connection."""
    guest, peer = pair
    peer.sendall(b"abc")
    peer.shutdown(socket.SHUT_WR)
    assert receive(guest, 10, abi.RIFLAGS_WAITALL) == b"abc"
    assert receive(guest, 10) == b""


def test_nonblocking_says_again(pair):
    """Instead of waiting."""
    guest, _ = pair
    guest.ok("fd_fdstat_set_flags", 3, Fdflags.NONBLOCK)
    assert guest.call("sock_recv", 3, *guest.iovec((DATA, 1)), 0, OUT, FLAGS) is Errno.AGAIN


def test_shutdown(pair):
    """One direction, then EPIPE; flags are checked."""
    guest, peer = pair
    for bad in (0, 4, 0xFF):
        assert guest.call("sock_shutdown", 3, bad) is Errno.INVAL
    guest.ok("sock_shutdown", 3, abi.SDFLAGS_WRITE)
    assert peer.recv(10) == b""
    assert send(guest, b"x") is Errno.PIPE


def test_accepting():
    """From a listening socket; the new connection has its own descriptor."""
    listener = socket.create_server(("127.0.0.1", 0))
    with Wasi(sockets=[listener]) as ctx, socket.create_connection(listener.getsockname()) as client:
        guest = Guest(ctx)
        guest.ok("sock_accept", 3, Fdflags.NONBLOCK, OUT)
        fd = guest.u32()
        assert send(guest, b"hi", fd=fd) is Errno.SUCCESS
        client.settimeout(5)
        assert client.recv(10) == b"hi"
        assert guest.call("sock_accept", 3, Fdflags.APPEND, OUT) is Errno.INVAL
        assert guest.call("sock_accept", fd, 0, OUT) is Errno.INVAL
        guest.ok("fd_fdstat_set_flags", 3, Fdflags.NONBLOCK)
        assert guest.call("sock_accept", 3, 0, OUT) is Errno.AGAIN


def test_a_datagram_that_is_cut_off_is_flagged():
    """The rest is lost, as everywhere."""
    mine, theirs = socket.socketpair(type=socket.SOCK_DGRAM)
    with theirs, Wasi(sockets=[mine]) as ctx:
        guest = Guest(ctx)
        theirs.send(b"0123456789")
        assert receive(guest, 4) == b"0123"
        assert guest.memory.data[FLAGS : FLAGS + 2] == b"\1\0"
        theirs.send(b"01")
        assert receive(guest, 4) == b"01"
        assert guest.memory.data[FLAGS : FLAGS + 2] == b"\0\0"


def test_other_descriptors_are_no_sockets(pair):
    """NOTSOCK; and a socket cannot seek or send with unknown flags."""
    guest, _ = pair
    assert send(guest, b"x", fd=1) is Errno.NOTSOCK
    assert send(guest, b"x", fd=44) is Errno.BADF
    assert send(guest, b"x", flags=1) is Errno.INVAL
    assert guest.call("sock_recv", 3, 0, 0, 4, OUT, FLAGS) is Errno.INVAL
    assert guest.call("fd_seek", 3, 0, 0, OUT) is Errno.SPIPE
    assert guest.try_open("x") is Errno.NOTDIR
