"""A process that has no descriptor left: each place that opens one says so, and leaves nothing open."""

import asyncio
import contextlib
import errno
import os
import resource
import socket

import pytest

import stratavm
from stratavm.tiers.jit import lazy
from stratavm.wasi import Wasi
from stratavm.wasi.abi import Oflags, Rights
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT
from tests.unit.wasi.loops import LoopGuest

MOST_OPENED = 12
"""No operation here opens as many."""
LOOKED_AT = 2000
"""Numbers of descriptors."""


@contextlib.contextmanager
def free_descriptors(count):
    """Let the process open so many more, and no other one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest() + 1 + MOST_OPENED, before[1]))
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def opened():
    """Numbers that are in use, found without opening a folder."""
    found = set()
    for number in range(LOOKED_AT):
        with contextlib.suppress(OSError):
            os.fstat(number)
            found.add(number)
    return found


def highest():
    """The largest number in use."""
    return max(map(int, os.listdir("/proc/self/fd")))


def refused(act):
    """Call something with 0, 1, 2, … descriptors left until it has enough: how often it had not."""
    for count in range(MOST_OPENED):
        before = opened()
        with free_descriptors(count):
            try:
                result = act()
                failed = result is Errno.MFILE
            except OSError as error:
                assert error.errno == errno.EMFILE, error
                failed = True
                result = None
        if not failed:
            return count, result
        assert opened() == before, "something is left open"
    raise AssertionError("never enough")


@pytest.fixture(autouse=True)
def nobody_looks_ahead(monkeypatch):
    """Threads that compile ahead begin at some call or other, and load modules then, which takes descriptors."""
    monkeypatch.setattr(lazy, "BEGIN_AT", (1 << 30, 1 << 30))


@pytest.fixture
def folder(tmp_path):
    """Some files."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"text")
    return tmp_path


PATH = "sub/file"
FUNCTIONS = {
    "path_open": lambda g: (3, 1, *g.put(PATH.encode()), 0, Rights.FD_READ, 0, 0, OUT),
    "path_open a folder": lambda g: (3, 1, *g.put(b"sub"), Oflags.DIRECTORY, Rights.FD_READDIR, 0, 0, OUT),
    "path_open a new file": lambda g: (3, 1, *g.put(b"sub/new"), Oflags.CREAT, Rights.FD_WRITE, 0, 0, OUT),
    "fd_readdir": lambda g: (3, DATA, 4096, 0, OUT),
    "path_filestat_get": lambda g: (3, 1, *g.put(PATH.encode()), DATA + 64),
    "path_filestat_set_times": lambda g: (3, 1, *g.put(PATH.encode()), 5, 5, 5),
    "path_create_directory": lambda g: (3, *g.put(b"sub/made")),
    "path_symlink": lambda g: (*g.put(b"file"), 3, *g.put(b"sub/link", DATA + 64)),
    "path_link": lambda g: (3, 0, *g.put(PATH.encode()), 3, *g.put(b"sub/hard", DATA + 64)),
    "path_rename": lambda g: (3, *g.put(PATH.encode()), 3, *g.put(b"sub/moved", DATA + 64)),
    "path_unlink_file": lambda g: (3, *g.put(PATH.encode())),
    "path_remove_directory": lambda g: (3, *g.put(b"sub/empty")),
}


@pytest.mark.parametrize("way", ["blocking", "asyncio"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_guest_gets_a_number(folder, name, way):
    """MFILE; and once there is room it is done. (uvloop itself needs descriptors whenever it begins to run.)"""
    loop = asyncio.new_event_loop()
    (folder / "sub" / "empty").mkdir()
    with Wasi(preopens=[(folder, "/", "rw")]) as wasi:
        guest = LoopGuest(wasi)
        function = name.split()[0]
        arguments = FUNCTIONS[name](guest)

        def act():
            if way == "blocking":
                return Errno(guest.instance.exports[function](*arguments))
            return Errno(loop.run_until_complete(guest.start(function, *arguments)))

        loop.run_until_complete(guest.call("fd_filestat_get", 3, DATA + 256))  # what is made once is there
        try:
            assert refused(act)[1] is Errno.SUCCESS
        finally:
            loop.close()


@pytest.mark.parametrize("way", ["blocking", "asyncio"])
def test_a_connection_waits_for_a_descriptor(way):
    """``sock_accept`` says MFILE; the connection is not lost."""
    listener = socket.create_server(("127.0.0.1", 0))
    loop = asyncio.new_event_loop()
    with socket.create_connection(listener.getsockname()) as peer, Wasi(sockets=[listener]) as wasi:
        guest = LoopGuest(wasi)

        def act():
            if way == "blocking":
                return Errno(guest.instance.exports.sock_accept(3, 0, OUT))
            return Errno(loop.run_until_complete(guest.start("sock_accept", 3, 0, OUT)))

        count, result = refused(act)
        assert count and result is Errno.SUCCESS
        peer.sendall(b"x")
        assert loop.run_until_complete(guest.read(guest.u32())) == b"x"
    loop.close()
    listener.close()


def test_the_embedder_gets_an_error(folder):
    """EMFILE, from each way to give a program something, and from loading."""
    (folder / "m.wat").write_text("(module)")
    given = socket.create_server(("127.0.0.1", 0))
    with open(folder / PATH, "rb", 0) as file:
        for make in (
            lambda: Wasi(stdin=str(folder / PATH)),
            lambda: Wasi(stdin=file),
            lambda: Wasi(stdin="inherit"),
            lambda: Wasi(stdout=str(folder / "out"), stderr=str(folder / "err")),
            lambda: Wasi(preopens={folder: "/", folder / "sub": "/sub"}),
            lambda: Wasi(sockets=[given]),
            lambda: Wasi(listen=["127.0.0.1:0", "127.0.0.1:0"]),
            lambda: stratavm.Module(folder / "m.wat"),
        ):
            count, made = refused(make)
            assert count
            if isinstance(made, Wasi):
                made.close()
    given.close()
