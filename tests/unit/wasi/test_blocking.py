"""Nothing blocks for longer than the host wants: one test for each class of host operation (docs/ideas/waiting.md)."""

import os
import socket
import threading
import time

import pytest

from stratavm.wasi import MemoryTree, Wasi, channel, streams
from stratavm.wasi.abi import Fdflags, Oflags
from stratavm.wasi.errno import Errno
from stratavm.wasi.hostfs import HostFile
from stratavm.wasi.memfs import MemoryFile
from stratavm.wasi.p1 import fd as p1_fd
from stratavm.wasi.patience import Blocking
from tests.unit.wasi.ends import LARGE, Ends
from tests.unit.wasi.guest import DATA, OUT, RW, FakeMemory, Guest


class Stopping(FakeMemory):
    """A memory whose store wants to end the call at the given look."""

    def __init__(self, looks: int = 3) -> None:
        super().__init__()
        self.left = looks

    def poll(self) -> None:
        """TimeoutError at the last look."""
        self.left -= 1
        if self.left <= 0:
            raise TimeoutError("over")


def test_a_write_that_nobody_takes_is_ended_by_the_host(ends, way):
    """The guest writes for ever to a stalled reader; the store's deadline is heard all the same."""
    with Wasi(stdout=ends.stdout) as wasi:
        guest = Guest(wasi)
        guest.memory = Stopping()
        with pytest.raises(TimeoutError, match="over"):
            while True:
                guest.ok("fd_write", 1, *guest.iovec((0, LARGE)), OUT)


def test_a_read_where_nothing_comes_is_ended_by_the_host(ends, way):
    """The same for input."""
    with Wasi(stdin=ends.stdin) as wasi:
        guest = Guest(wasi)
        guest.memory = Stopping()
        with pytest.raises(TimeoutError, match="over"):
            guest.read(0)


def test_a_guest_that_does_not_want_to_wait_does_not(ends, way):
    """With NONBLOCK a write moves what fits, and then both say AGAIN."""
    with Wasi(stdin=ends.stdin, stdout=ends.stdout) as wasi:
        guest = Guest(wasi)
        for fd in (0, 1):
            guest.ok("fd_fdstat_set_flags", fd, Fdflags.NONBLOCK)
        if ends.kind in ("terminal", "terminal_s_master", "process_input"):
            assert guest.call("fd_read", 0, *guest.iovec((DATA, 1)), OUT) is Errno.AGAIN
        for _ in range(100):
            error = guest.call("fd_write", 1, *guest.iovec((0, LARGE)), OUT)
            if error is not Errno.SUCCESS:
                break
        assert error is Errno.AGAIN


def test_the_host_s_descriptors_keep_their_flags(ends):
    """O_NONBLOCK is shared with whoever has the description: a shell's terminal, a child's pipe."""
    if ends.kind == "fifo_by_path":
        return
    before = [os.get_blocking(f.fileno()) for f in (ends.stdin, ends.stdout)]
    with Wasi(stdin=ends.stdin, stdout=ends.stdout) as wasi:
        Guest(wasi).write(1, b"x")
        assert [os.get_blocking(f.fileno()) for f in (ends.stdin, ends.stdout)] == before
    assert [os.get_blocking(f.fileno()) for f in (ends.stdin, ends.stdout)] == before


def test_a_large_write_arrives_whole_and_in_order(way):
    """A reader that is slow gets everything, although each call of the host writes only what fits."""
    reading, writing = os.pipe()
    got = bytearray()

    def read() -> None:
        while piece := os.read(reading, 3000):
            got.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    text = bytes(i % 251 for i in range(LARGE - DATA))
    with os.fdopen(writing, "wb", 0) as file, Wasi(stdout=file) as wasi:
        assert Guest(wasi).write(1, text) == len(text)
    thread.join(20)
    os.close(reading)
    assert got == text


def test_input_arrives_whole_and_in_order(way):
    """By small reads, to the end."""
    reading, writing = os.pipe()
    text = bytes(i % 251 for i in range(5000))
    os.write(writing, text)
    os.close(writing)
    with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file) as wasi:
        guest, got = Guest(wasi), b""
        while piece := guest.read(0, 777):
            got += piece
    assert got == text


def test_a_reader_that_went_away_is_an_error(way):
    """EPIPE, by either way."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb", 0) as file, Wasi(stdout=file) as wasi:
        assert Guest(wasi).try_write(1, b"x") is Errno.PIPE


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_data_that_another_reader_takes_first_leaves_the_wait_as_it_was(kind, way, tmp_path, monkeypatch):
    """The descriptor was ready, and then was not: the call goes on waiting, and can be ended."""
    ends = Ends(kind, tmp_path)
    plainly, stolen = Blocking._ready, []

    def with_thief(self, descriptor, readiness):
        os.write(ends.others[0] if ends.others else ends.stdout.fileno(), b"x")
        ready = plainly(self, descriptor, readiness)
        stolen.append((ready, os.read(ends.stdin.fileno(), 100)))
        return ready

    monkeypatch.setattr(Blocking, "_ready", with_thief)
    with Wasi(stdin=ends.stdin) as wasi:
        guest = Guest(wasi)
        guest.memory = Stopping(5)
        with pytest.raises(TimeoutError, match="over"):
            guest.read(0)
    assert stolen == [(True, b"x")] * 5
    ends.close()


def test_a_socket_with_a_timeout_of_the_host_s_does_not_make_the_guest_wait_for_it():
    """Python waits inside calls on such sockets; the guest's socket is another object."""
    mine, theirs = socket.socketpair()
    mine.settimeout(600)
    with theirs, Wasi(sockets=[mine]) as wasi:
        guest = Guest(wasi)
        guest.ok("fd_fdstat_set_flags", 3, Fdflags.NONBLOCK)
        start = time.monotonic()
        assert guest.call("fd_read", 3, *guest.iovec((DATA, 1)), OUT) is Errno.AGAIN
        assert time.monotonic() - start < 60


def test_accepting_where_another_takes_the_connection_first_goes_on_waiting(monkeypatch):
    """The listening socket was ready; its own mode is as before."""
    listener = socket.create_server(("127.0.0.1", 0))
    with Wasi(sockets=[listener]) as wasi, socket.create_connection(listener.getsockname()):
        plainly, taken = Blocking._ready, []

        def with_thief(self, descriptor, readiness):
            ready = plainly(self, descriptor, readiness)
            if not taken:
                taken.append(listener.accept()[0])
            return ready

        monkeypatch.setattr(Blocking, "_ready", with_thief)
        wasi._context.table[3].socket.accept()[0].close()  # nothing is left for the first try
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()
            guest = Guest(wasi)
            guest.memory = Stopping()
            connecting = socket.create_connection(listener.getsockname())
            taken.append(listener.accept()[0])
            with pytest.raises(TimeoutError, match="over"):
                guest.call("sock_accept", 3, 0, OUT)
            connecting.close()
        assert listener.gettimeout() is None and os.get_blocking(listener.fileno())
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("kind", ["host", "memory"])
def test_listing_a_large_directory_is_ended_by_the_host(kind, tmp_path):
    """It looks between the entries; what was counted for the half listing is given back."""
    names = [f"f{i:04}" for i in range(1500)]
    if kind == "host":
        for name in names:
            (tmp_path / name).touch()
    root = tmp_path if kind == "host" else MemoryTree(dict.fromkeys(names, b""))
    with Wasi(preopens=[(root, "/")]) as wasi:
        guest = Guest(wasi)
        guest.memory = Stopping(4)
        with pytest.raises(TimeoutError, match="over"):
            guest.call("fd_readdir", 3, DATA, 4096, 0, OUT)
        assert wasi._context.ledger.taken_bytes == 0
        guest.memory = FakeMemory()
        assert sorted(guest.names(3)) == sorted([b".", b"..", *(n.encode() for n in names)])


@pytest.mark.parametrize("kind", ["host", "memory"])
def test_a_large_file_is_moved_in_pieces_between_which_the_host_may_interrupt(kind, tmp_path, monkeypatch):
    """All of it arrives, at the position and at an offset; a look comes after each piece."""
    for owner in (HostFile, MemoryFile):
        monkeypatch.setattr(owner, "piece_bytes", 1000)
    with Wasi(preopens=[(tmp_path if kind == "host" else MemoryTree(), "/", "rw")]) as wasi:
        guest = Guest(wasi)
        fd = guest.create("file")
        text = bytes(i % 251 for i in range(4500))
        guest.memory = counting = Stopping(1000)
        assert guest.write(fd, text) == 4500
        assert 1000 - counting.left == 4
        guest.ok("fd_seek", fd, 0, 0, OUT)
        assert guest.read(fd, 8000) == text
        assert guest.write(fd, text, "fd_pwrite", 10) == 4500
        assert guest.read(fd, 8000, "fd_pread", 10) == text
        assert guest.read(fd, 8000, "fd_pread", 9) == text[9:10] + text
        guest.memory.left = 2
        with pytest.raises(TimeoutError, match="over"):
            guest.write(fd, text)


@pytest.mark.parametrize("kind", ["host", "memory"])
def test_reserving_a_large_range_is_ended_by_the_host(kind, tmp_path, monkeypatch):
    """Piece by piece."""
    monkeypatch.setattr(p1_fd, "ALLOCATED_AT_ONCE", 1000)
    with Wasi(preopens=[(tmp_path if kind == "host" else MemoryTree(), "/", "rw")]) as wasi:
        guest = Guest(wasi)
        fd = guest.create("file")
        guest.ok("fd_allocate", fd, 10, 4500)
        assert guest.stat("file")[4] == 4510
        guest.memory = Stopping(3)
        guest.put(b"file")
        with pytest.raises(TimeoutError, match="over"):
            guest.call("fd_allocate", fd, 0, 1 << 20)


def test_an_error_behind_the_first_piece_is_left_to_the_next_call(monkeypatch):
    """This one says how much was moved."""
    monkeypatch.setattr(MemoryFile, "piece_bytes", 1000)
    with Wasi(preopens=[(MemoryTree(limit_bytes=3000), "/", "rw")]) as wasi:
        guest = Guest(wasi)
        fd = guest.open("file", Oflags.CREAT, RW)
        assert guest.write(fd, bytes(5000)) == 2000
        assert guest.try_write(fd, bytes(5000)) is Errno.NOSPC


def test_a_descriptor_that_is_not_open_for_writing_is_not_opened_anew_for_it():
    """A stream gives no more than the host's descriptor had."""
    reading, writing = os.pipe()
    own = channel.channel_of(reading, write=True)
    with pytest.raises(OSError, match="Bad file"):
        own.write([memoryview(b"x")])
    own.close()
    os.close(reading)
    os.close(writing)


def test_devices_that_never_block_are_read_at_once():
    """/dev/zero and /dev/null, by path."""
    with Wasi(stdin="/dev/zero", stdout="/dev/null") as wasi:
        guest = Guest(wasi)
        assert guest.read(0, 100) == bytes(100)
        assert guest.write(1, bytes(LARGE)) == LARGE


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_an_end_is_read_in_pieces(device, monkeypatch):
    """It gives as much as it is asked for, and gigabytes of that take half a minute."""
    monkeypatch.setattr(streams, "FILE_PIECE", 1000)
    with Wasi(stdin=device, stdout="/dev/null") as wasi:
        guest = Guest(wasi)
        assert len(guest.read(0, 4500)) == 4500
        assert guest.write(1, bytes(4500)) == 4500
        guest.memory = Stopping(3)
        with pytest.raises(TimeoutError, match="over"):
            guest.read(0, 8000)


def test_a_thread_that_hangs_does_not_hold_the_world(tmp_path, monkeypatch):
    """The world is closed while a thread sits in a write; the thread ends in its time."""
    monkeypatch.setattr(channel, "opened_anew", lambda fd, *, write: None)
    monkeypatch.setattr(channel, "CAN_ASK", False)
    others = set(threading.enumerate())
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    os.read(reading, 4096)  # room for a piece of 4096, and the guest writes more
    with os.fdopen(writing, "wb", 0) as file:
        wasi = Wasi(stdout=file)
        guest = Guest(wasi)
        guest.memory = Stopping(3)
        with pytest.raises(TimeoutError, match="over"):
            guest.write(1, bytes(10_000))
        wasi.close()
        threads = [t for t in threading.enumerate() if t.name == "stratavm-stream" and t not in others]
        assert threads
    os.close(reading)
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
