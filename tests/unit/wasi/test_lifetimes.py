"""Who owns a descriptor, and for how long: no call acts on a number of the host's that was given back."""

import gc
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from stratavm.wasi import FixedClock, MemoryTree, Wasi, abi
from stratavm.wasi.abi import Clockid, Eventtype, Oflags
from stratavm.wasi.errno import Errno
from stratavm.wasi.memfs import TREES
from stratavm.wasi.quotas import HOST_DESCRIPTORS
from stratavm.wasi.sockets import ACCEPTING
from tests.threads import at_once
from tests.unit.wasi.guest import DATA, OUT, RW, FakeMemory, Guest

SECRET = b"what the host does next"
SOON_S = 60
"""Generous: the machine may be busy."""


@contextmanager
def host_goes_on(tmp_path, count: int = 40) -> Iterator[list[int]]:
    """The host opens files: every number that is free gets one."""
    (tmp_path / "secret").write_bytes(SECRET)
    opened = [os.open(tmp_path / "secret", os.O_RDWR) for _ in range(count)]
    try:
        yield opened
    finally:
        assert (tmp_path / "secret").read_bytes() == SECRET
        for fd in opened:
            os.close(fd)


def open_numbers() -> int:
    """How many descriptors the process has."""
    return len(os.listdir("/proc/self/fd"))


def test_a_stream_outlives_the_file_object_that_it_was_made_from(tmp_path):
    """Dropped or closed by the host, whose next files get the numbers."""
    (tmp_path / "in").write_bytes(b"input")
    closed = open(tmp_path / "err", "wb")  # noqa: SIM115
    with Wasi(stdin=open(tmp_path / "in", "rb"), stdout=open(tmp_path / "out", "wb"), stderr=closed) as wasi:
        closed.close()
        gc.collect()
        guest = Guest(wasi)
        with host_goes_on(tmp_path):
            assert guest.read(0) == b"input"
            guest.write(1, b"output")
            guest.write(2, b"error")
    assert ((tmp_path / "out").read_bytes(), (tmp_path / "err").read_bytes()) == (b"output", b"error")


def test_what_the_host_wrote_to_a_file_before_comes_first(tmp_path):
    """Its buffer is flushed when the stream is made."""
    with open(tmp_path / "out", "wb") as file:
        file.write(b"host, ")
        with Wasi(stdout=file) as wasi:
            Guest(wasi).write(1, b"guest")
    assert (tmp_path / "out").read_bytes() == b"host, guest"


def test_a_socket_outlives_the_object_that_it_was_made_from(tmp_path):
    """It is closed by the host, and the guest goes on talking to the peer."""
    mine, theirs = socket.socketpair()
    with theirs, Wasi(sockets=[mine]) as wasi:
        mine.close()
        guest = Guest(wasi)
        with host_goes_on(tmp_path):
            theirs.sendall(b"hello")
            assert guest.read(3) == b"hello"
            guest.write(3, b"there")
            assert theirs.recv(100) == b"there"
    assert theirs.fileno() == -1


def test_closing_a_world_closes_the_sockets_that_it_was_given():
    """The peer sees the end."""
    mine, theirs = socket.socketpair()
    theirs.settimeout(SOON_S)
    with theirs:
        Wasi(sockets=[mine]).close()
        assert theirs.recv(1) == b""
        assert mine.fileno() == -1


# ---- waiting, and somebody else closes ----------------------------------------------------------------


def sleep_for_an_hour(guest: Guest) -> Errno:
    """poll_oneoff with a clock alone."""
    union = abi.SUBSCRIPTION_CLOCK.pack(Clockid.MONOTONIC, 3600 * 10**9, 0, 0)
    guest.put(abi.SUBSCRIPTION.pack(1, Eventtype.CLOCK, union))
    return guest.call("poll_oneoff", DATA, 0x4000, 1, OUT)


def poll_for(fd: int) -> Callable[[Guest], Errno]:
    """poll_oneoff with a descriptor: the error of its event, or of the call."""

    def wait(guest: Guest) -> Errno:
        guest.put(abi.SUBSCRIPTION.pack(1, Eventtype.FD_READ, struct.pack("<I28x", fd)))
        error = guest.call("poll_oneoff", DATA, 0x4000, 1, OUT)
        return error if error is not Errno.SUCCESS else Errno(guest.out(abi.EVENT, 0x4000)[1])

    return wait


def read_from(fd: int) -> Callable[[Guest], Errno]:
    """fd_read."""
    return lambda guest: guest.call("fd_read", fd, *guest.iovec((DATA, 64)), OUT)


def fill(guest: Guest) -> Errno:
    """fd_write of more than a pipe holds."""
    return guest.call("fd_write", 1, *guest.iovec((0, 0x20000)), OUT)


def receive(guest: Guest) -> Errno:
    """sock_recv that wants its buffer full."""
    return guest.call("sock_recv", 3, *guest.iovec((DATA, 64)), abi.RIFLAGS_WAITALL, OUT, 0x40)


def accept(guest: Guest) -> Errno:
    """sock_accept where nobody connects."""
    return guest.call("sock_accept", 4, 0, OUT)


WAITS = {
    "read": read_from(0),
    "write": fill,
    "receive": receive,
    "read of a socket": read_from(3),
    "accept": accept,
    "poll": poll_for(0),
    "poll of a socket": poll_for(3),
    "sleep": sleep_for_an_hour,
}


class Waiting:
    """A world whose streams and sockets are silent, and a guest's call that waits in it on another thread."""

    def __init__(self, call: Callable[[Guest], Errno]) -> None:
        self.pipes = [os.pipe(), os.pipe()]
        stdin, stdout = os.fdopen(self.pipes[0][0], "rb", 0), os.fdopen(self.pipes[1][1], "wb", 0)
        mine, self.theirs = socket.socketpair()
        listener = socket.create_server(("127.0.0.1", 0))
        self.wasi = Wasi(stdin=stdin, stdout=stdout, sockets=[mine, listener])
        stdin.close()
        stdout.close()
        self.guest = Guest(self.wasi)
        self.result: list[Errno] = []
        self.thread = threading.Thread(target=lambda: self.result.append(call(self.guest)), daemon=True)
        self.thread.start()
        while not any(d.users for d in self.wasi._context.table.values()) and call is not sleep_for_an_hour:
            time.sleep(0.001)
        time.sleep(0.1)
        assert self.thread.is_alive()

    def ended(self) -> Errno:
        """The call's error number."""
        self.thread.join(SOON_S)
        assert not self.thread.is_alive(), "the call still waits"
        return self.result[0]

    def close(self) -> None:
        """Close what the host has."""
        self.wasi.close()
        for fd in (self.pipes[0][1], self.pipes[1][0]):
            os.close(fd)
        self.theirs.close()


@pytest.fixture
def waiting():
    """Makes waiting calls; nothing is left open at the end."""
    made: list[Waiting] = []
    before = open_numbers()

    def make(kind: str) -> Waiting:
        made.append(Waiting(WAITS[kind]))
        return made[-1]

    yield make
    for one in made:
        one.close()
    assert open_numbers() == before


@pytest.mark.parametrize("kind", WAITS)
def test_closing_the_world_ends_a_call_that_waits_on_another_thread(kind, waiting, tmp_path):
    """With BADF, soon, and nothing is read from or written to what gets the numbers next. (A write that moved some
    bytes before says how many.)"""
    one = waiting(kind)
    one.wasi.close()
    with host_goes_on(tmp_path):
        error = one.ended()
        assert error is Errno.BADF or (kind == "write" and error is Errno.SUCCESS)
        assert SECRET[:4] not in one.guest.memory.data


@pytest.mark.parametrize("kind", ["read", "read of a socket", "poll", "poll of a socket"])
@pytest.mark.parametrize("by", ["fd_close", "fd_renumber"])
def test_a_number_that_another_thread_takes_away_ends_the_wait_for_it(kind, by, waiting, tmp_path):
    """By closing it, or by putting another descriptor in its place."""
    one, fd = waiting(kind), 3 if "socket" in kind else 0
    other = Guest(one.wasi)
    other.ok(by, *((fd,) if by == "fd_close" else (2, fd)))
    with host_goes_on(tmp_path):
        assert one.ended() is Errno.BADF
        assert SECRET[:4] not in one.guest.memory.data


@pytest.mark.parametrize("by", ["fd_close", "fd_renumber"])
def test_nothing_is_lost_where_two_threads_take_the_same_number_away(by, tmp_path):
    """While one moves a descriptor onto a number, another thread closes that, or moves a third descriptor there."""
    before = open_numbers(), len(HOST_DESCRIPTORS)
    with Wasi(preopens=[(tmp_path, "/", "rw")]) as wasi:
        guest, other, ctx = Guest(wasi), Guest(wasi), wasi._context
        source, third, target = (guest.create(name) for name in ("source", "third", "target"))
        get = ctx.get

        def found(call, fd, rights=0):
            """At the last look, the other thread comes between."""
            descriptor = get(call, fd, rights)
            if fd == target and ctx.get is found:
                ctx.get = get
                other.ok(by, *((target,) if by == "fd_close" else (third, target)))
            return descriptor

        ctx.get = found
        guest.call("fd_renumber", source, target)
        del ctx.get
        made = [guest.create(f"{n}") for n in range(3)]
        assert len(set(made)) == 3
        assert sorted(ctx._free) == sorted(set(ctx._free) - set(ctx.table))
    assert (open_numbers(), len(HOST_DESCRIPTORS)) == before


def test_a_descriptor_is_closed_when_the_last_call_that_uses_it_ends(tmp_path):
    """Not before; and its number in the world is free at once."""
    with Wasi(preopens=[(tmp_path, "/", "rw")]) as wasi:
        guest, ctx = Guest(wasi), wasi._context
        fd = guest.create("file", b"x")
        calls = [_call() for _ in range(2)]
        found = [ctx.get(call, fd) for call in calls]
        guest.ok("fd_close", fd)
        assert guest.call("fd_tell", fd, OUT) is Errno.BADF
        assert guest.create("other") == fd
        for call in calls:
            assert found[0].seek(0, abi.Whence.END) == 1
            ctx.release(call)
        with pytest.raises(OSError):
            found[0].seek(0, abi.Whence.CUR)


def test_a_call_that_comes_as_its_descriptor_is_closed_does_not_get_it(tmp_path):
    """It looks at the table again after it announced itself."""
    with Wasi(preopens=[(tmp_path, "/", "rw")]) as wasi:
        ctx, call = wasi._context, _call()

        class Racing(dict):
            """A table in which the number goes away between two looks."""

            def get(self, key: int, default: object = None) -> object:
                found = super().get(key, default)
                if key == 0 and found is not None:
                    ctx.remove(0)
                return found

        ctx.table = Racing(ctx.table)
        with pytest.raises(Exception, match="BADF"):
            ctx.get(call, 0)
        assert ctx.table.get(0) is None
        ctx.release(call)


def _call():
    """A call that is running."""
    from stratavm.wasi.guest import Guest as Call

    return Call(memoryview(bytearray(8)), 8)


def test_one_world_on_several_threads_gives_no_number_twice_and_leaks_none(tmp_path):
    """Threads open, write, list and close at once, on the host and in memory."""
    (tmp_path / "d").mkdir()
    before = open_numbers()
    with Wasi(preopens=[(tmp_path / "d", "/", "rw"), (MemoryTree(), "/m", "rw")]) as wasi:
        start, problems = open_numbers(), []

        def work(name: str) -> None:
            guest = Guest(wasi)
            try:
                for turn in range(60):
                    root = 3 + turn % 2
                    fds = [guest.create(f"{name}{i}", name.encode(), fd=root) for i in range(3)]
                    assert len(set(fds)) == 3
                    assert f"{name}0".encode() in guest.names(root)
                    for fd in fds:
                        assert guest.read(fd, 9, "fd_pread", 0) == name.encode()
                        guest.ok("fd_close", fd)
            except BaseException as problem:
                problems.append(problem)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two", "three")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems
        assert open_numbers() == start
        assert sorted(wasi._context.table) == [0, 1, 2, 3, 4]
    assert open_numbers() == before


def test_a_wait_asks_the_memory_that_it_was_called_with():
    """Two stores share a world: the deadline of one never ends, or misses, a call of the other."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", 0) as file, Wasi(stdin=file) as wasi:
        entered = threading.Event()

        class Memory(FakeMemory):
            """Its wait is ended by whoever entered first."""

            def poll(self) -> None:
                entered.set()
                if late.is_set():
                    raise TimeoutError("mine")

        class Other(FakeMemory):
            """Of another store, which nobody interrupts."""

            def poll(self) -> None:
                raise AssertionError("the other's")

        late, guest, ended = threading.Event(), Guest(wasi), []
        guest.memory = Memory()

        def wait() -> None:
            with pytest.raises(TimeoutError, match="mine"):
                read_from(0)(guest)
            ended.append(True)

        thread = threading.Thread(target=wait)
        thread.start()
        assert entered.wait(SOON_S)
        other = Guest(wasi)
        other.memory = Other()
        other.ok("fd_fdstat_get", 1, OUT)
        late.set()
        thread.join(SOON_S)
        assert ended
    os.close(writing)


def test_a_world_that_is_dropped_leaves_nothing_open(tmp_path):
    """Directories, files, streams and sockets are closed, and a tree in memory is given back what they held."""
    before, tree = open_numbers(), MemoryTree()
    for _ in range(20):
        mine, theirs = socket.socketpair()
        wasi = Wasi(
            preopens=[(tmp_path, "/", "rw"), (tree, "/m", "rw")], stdout=tmp_path / "out", stderr=bytearray(),
            sockets=[mine], clock=FixedClock(),
        )  # fmt: skip
        guest = Guest(wasi)
        guest.create("file")
        guest.create("file", b"text", fd=4)
        guest.path("path_unlink_file", 4, "file")
        guest.open(".", Oflags.DIRECTORY)
        theirs.close()
        del wasi, guest, mine
    gc.collect()
    assert open_numbers() == before
    assert tree.used_bytes == 0


def test_a_descriptor_that_a_closed_world_opens_is_closed(tmp_path):
    """The world is closed while ``path_open`` is under way."""
    (tmp_path / "file").touch()
    before = open_numbers()
    wasi = Wasi(preopens=[(tmp_path, "/", "rw")])
    directory, plainly = wasi._context.table[3], None
    plainly = directory.open

    def closing(path, how):
        opened = plainly(path, how)
        wasi.close()
        return opened

    directory.open = closing
    assert Guest(wasi).try_open("file", 0, RW) is Errno.BADF
    assert open_numbers() == before


def test_a_tree_that_guests_share_on_several_threads_keeps_count():
    """They make and remove the same names at once; in the end nothing is left, and nothing is counted."""
    tree = MemoryTree()

    def work(number: int) -> None:
        with Wasi(preopens={tree: "/"}) as wasi:
            guest = Guest(wasi)
            for turn in range(150):
                name = f"n{turn % 3}"
                guest.path("path_create_directory", 3, name + "d")
                if guest.try_open(name, Oflags.CREAT | Oflags.TRUNC, RW) is Errno.SUCCESS:
                    fd = guest.u32()
                    guest.try_write(fd, b"text" * (turn % 5))
                    guest.ok("fd_close", fd)
                guest.rename(name, name + "2")
                guest.link(name + "2", name + "3")
                for suffix in ("", "2", "3"):
                    guest.path("path_unlink_file", 3, name + suffix)
                guest.path("path_remove_directory", 3, name + "d")

    at_once(4, work)
    assert (tree.list(), tree.used_bytes) == ([], 0)


def test_a_forked_child_finds_every_lock_free():
    """Whoever held it when the process was forked."""
    with ACCEPTING.lock, TREES.lock:
        child = os.fork()
        if child == 0:

            def use() -> None:
                MemoryTree({"a": b""}).read("a")
                with ACCEPTING.lock:
                    os._exit(7)

            threading.Thread(target=use, daemon=True).start()
            time.sleep(SOON_S)
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
