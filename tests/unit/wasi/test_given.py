"""What an embedder gives, and gives wrongly: every public class of ``stratavm.wasi``, every argument that could be
mistaken for another. The message says what was expected, or how to write it."""

import errno
import io
import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from stratavm.wasi import Capture, FixedClock, MemoryTree, Quotas, SystemClock, Wasi
from stratavm.wasi.abi import Oflags
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import OUT, RW, Guest

WRONG = {
    "one folder as a string": ({"preopens": "data"}, TypeError, r"write \{'data': "),
    "one folder as a path": ({"preopens": Path("data")}, TypeError, r"write \{"),
    "one tree": ({"preopens": MemoryTree()}, TypeError, "mapping or a list"),
    "folders without the guest's side": ({"preopens": ["/data"]}, TypeError, r"got '/data': write \('/data', '/path"),
    "two letters that unpack as a pair": ({"preopens": ["/d"]}, TypeError, r"expected \(host path, guest path"),
    "a path without the guest's side": ({"preopens": [Path("/data")]}, TypeError, "expected"),
    "four items": ({"preopens": [("a", "b", "ro", 1)]}, TypeError, "expected"),
    "one item": ({"preopens": [("a",)]}, TypeError, "expected"),
    "a host's side that is no path": ({"preopens": [(5, "/data")]}, TypeError, "path or a MemoryTree, got 5"),
    "an empty host's side": ({"preopens": [("", "/data")]}, TypeError, "path or a MemoryTree"),
    "a guest's side that is no string": ({"preopens": [("data", Path("/data"))]}, TypeError, "must be a string"),
    "an empty guest's side": ({"preopens": {"data": ""}}, TypeError, "must be a string"),
    "no mapping of modes": ({"preopens": {"data": ("/data", "write")}}, ValueError, "'ro' or 'rw', got 'write'"),
    "a mode and no guest's side": (
        {"preopens": {"data": "rw"}},
        ValueError,
        r"'rw' is a mode, .* for 'data' is missing",
    ),
    "a mode of a tree alone": ({"preopens": [(MemoryTree(), "ro")]}, ValueError, "write '/path in guest', 'ro'"),
    "a mode that is a number": ({"preopens": [(MemoryTree(), "/d", 1)]}, ValueError, "'ro' or 'rw', got 1"),
    "two folders at one place": (
        {"preopens": [("/usr", "/d"), ("/etc", "/d/")]},
        ValueError,
        "/usr' and '/etc' cannot both be at '/d/' in the",
    ),
    "a folder and a tree at one place": ({"preopens": {"/usr": "a/../d", MemoryTree(): "d"}}, ValueError, "both be at"),
    "a number of folders": ({"preopens": 3}, TypeError, "preopens must be a list"),
    "a command line": ({"args": "app --flag"}, TypeError, r"write \['app --flag'\]"),
    "bytes as arguments": ({"args": b"app"}, TypeError, "list of strings"),
    "an argument that is a number": ({"args": ["app", 5]}, TypeError, r"args\[1\] must be a string, got 5"),
    "an argument in bytes": ({"args": [b"app"]}, TypeError, r"args\[0\] must be a string"),
    "a mapping of arguments": ({"args": {"a": 1}}, TypeError, "args must be a list"),
    "variables as a list": ({"env": ["A=B"]}, TypeError, "must be a mapping such as"),
    "variables as pairs": ({"env": [("A", "B")]}, TypeError, "must be a mapping"),
    "variables as a string": ({"env": "A=B"}, TypeError, "must be a mapping"),
    "a variable that is a number": ({"env": {"A": 1}}, TypeError, r"env\['A'\] must be a string, got 1"),
    "a name that is bytes": ({"env": {b"A": "1"}}, TypeError, "name of a variable"),
    "one socket": ({"sockets": SimpleNamespace(fileno=lambda: 5)}, TypeError, r"write \[socket\]"),
    "one address": ({"listen": "127.0.0.1:80"}, TypeError, r"write \['127\.0\.0\.1:80'\]"),
    "an address without a port": ({"listen": ["localhost"]}, ValueError, "expected HOST:PORT"),
    "a port that there is not": ({"listen": [("::1", 65536)]}, ValueError, "listen: port"),
    "a port alone": ({"listen": [80]}, TypeError, "expected an address"),
    "a socket's number": ({"sockets": [5]}, TypeError, r"expected a socket\.socket, got 5"),
    "a time for a clock": ({"clock": 5}, TypeError, r"such as FixedClock\(\)"),
    "a clock's class": ({"clock": SystemClock}, TypeError, "must be a clock"),
    "a seed that is text": ({"seed": "x"}, TypeError, "whole number"),
    "quotas in a dict": ({"quotas": {"descriptors": 5}}, TypeError, r"Quotas\(\*\*\{'descriptors': 5\}\)"),
    "a checkpoint that cannot be called": ({"checkpoint": 5}, TypeError, "callable"),
    "an engine that is none": ({"engine": "jit1"}, TypeError, "must be an Engine"),
    "input that is a number": ({"stdin": 5}, TypeError, "^stdin: expected 'inherit', a path, bytes"),
    "output that is bytes": ({"stdout": b""}, TypeError, "^stdout: expected .* a bytearray"),
    "an error output that is a number": ({"stderr": 2}, TypeError, "^stderr: expected"),
    "a text file": ({"stderr": io.TextIOWrapper(io.BytesIO())}, TypeError, r"^stderr: .*text\.buffer"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_world_says_what_is_wrong_with_what_it_is_given(wrong):
    """At construction, and nothing stays open."""
    arguments, kind, message = WRONG[wrong]
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(kind, match=message):
        Wasi(**arguments)
    assert len(os.listdir("/proc/self/fd")) == before


LONG = b"\0asm" * 100_000
HOLDS_LONG = [
    {"args": LONG}, {"args": [LONG]}, {"args": ["\0" * 100_000]}, {"env": LONG}, {"env": {LONG: "1"}},
    {"env": {"A": LONG}},
    {"env": {"=" * 100_000: "1"}}, {"preopens": LONG}, {"preopens": [LONG]}, {"preopens": [(LONG, "/d")]},
    {"preopens": {"d" * 100_000: LONG}}, {"preopens": {"d" * 100_000: ("/d" * 100_000, LONG)}},
    {"preopens": {"d" * 100_000: "ro"}}, {"preopens": {"d": "\0" * 100_000}}, {"sockets": [LONG]}, {"listen": LONG},
    {"listen": "1" * 100_000}, {"listen": ["1" * 100_000]}, {"clock": LONG}, {"seed": LONG}, {"quotas": LONG},
    {"quotas": {"descriptors": LONG}}, {"engine": LONG}, {"checkpoint": LONG},
    {"stdin": 10**1000}, {"stdout": LONG},
]  # fmt: skip


@pytest.mark.parametrize("wrong", range(len(HOLDS_LONG)), ids=[next(iter(given)) for given in HOLDS_LONG])
def test_no_error_holds_a_whole_module(wrong):
    """That was given in the place of something else."""
    with pytest.raises((TypeError, ValueError, OSError)) as raised:
        Wasi(**HOLDS_LONG[wrong])
    assert len(str(raised.value)) < 500


def test_text_given_as_input_is_told_from_a_path():
    """A string is a path; the message says how to give the text itself."""
    for text in ("print(1)", "two\nlines", "nul\0"):
        with pytest.raises(FileNotFoundError, match=r"stdin=text\.encode\(\)"):
            Wasi(stdin=text)
    with pytest.raises(FileNotFoundError) as caught:
        Wasi(stdin=Path("nothing"))
    assert "encode" not in str(caught.value)


class Plain:
    """Anything with a fileno."""

    def __init__(self, file) -> None:
        self.fileno = file.fileno


@pytest.mark.parametrize("wrap", [lambda file: file, Plain])
def test_a_stream_is_open_for_its_direction(wrap, tmp_path):
    """Else the guest would see nothing but errors, or an empty input."""
    with open(tmp_path / "file", "wb") as out, open(tmp_path / "file", "rb") as into:
        for name, file, direction in (
            ("stdin", out, "reading"),
            ("stdout", into, "writing"),
            ("stderr", into, "writing"),
        ):
            with pytest.raises(ValueError, match=f"{name} must be open for {direction}"):
                Wasi(**{name: wrap(file)})
        with open(tmp_path / "file", "r+b") as both, Wasi(stdin=wrap(both), stdout=wrap(both)):
            pass


def test_a_file_without_a_descriptor_is_open_for_its_direction():
    """As far as it says so itself."""

    class WriteOnly(io.RawIOBase):
        def writable(self):
            return True

    with pytest.raises(ValueError, match="stdin must be open for reading"):
        Wasi(stdin=WriteOnly())
    with pytest.raises(ValueError, match="stdout must be open for writing"):
        Wasi(stdout=io.RawIOBase())


def test_a_closed_socket_is_refused():
    """It has no descriptor."""
    closed = socket.socket()
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        Wasi(sockets=[closed])


def writable(guest: Guest, fd: int) -> bool:
    """Whether a file can be made; ROFS where not."""
    error = guest.try_open("new", Oflags.CREAT, RW, fd=fd)
    assert error in (Errno.SUCCESS, Errno.ROFS)
    return error is Errno.SUCCESS


@pytest.mark.parametrize(
    ("to", "may_change"),
    [
        ("/d", False),
        (("/d",), False),
        (("/d", "ro"), False),
        (("/d", "rw"), True),
        (("/d", True), False),
        (("/d", False), True),
    ],
)
def test_a_folder_of_the_host_is_read_only_unless_it_says_rw(to, may_change, tmp_path):
    """As a mapping and as a list; earlier versions' truth value for read-only is understood."""
    listed = (tmp_path, *to) if isinstance(to, tuple) else (tmp_path, to)
    for given in ({str(tmp_path): to}, {tmp_path: to}, [listed], [list(listed)], iter([listed])):
        with Wasi(preopens=given) as wasi:
            guest = Guest(wasi)
            assert writable(guest, 3) is may_change
            guest.ok("fd_prestat_dir_name", 3, OUT, 2)
            assert bytes(guest.memory.data[OUT : OUT + 2]) == b"/d"


@pytest.mark.parametrize(("mode", "may_change"), [((), True), (("ro",), False), (("rw",), True), ((True,), False)])
def test_a_tree_in_memory_is_writable_unless_it_says_ro(mode, may_change):
    """It is there to be written to, and nothing of the host's."""
    with Wasi(preopens={MemoryTree(): ("/m", *mode)}) as wasi:
        assert writable(Guest(wasi), 3) is may_change


def test_input_may_be_any_bytes():
    """Also views and arrays."""
    for data in (b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]):
        with Wasi(stdin=data) as wasi:
            assert Guest(wasi).read(0) == b"abc"


WRONG_TREES = [
    (lambda: MemoryTree(["a"]), TypeError, "files must be a mapping"),
    (lambda: MemoryTree("a"), TypeError, "files must be a mapping"),
    (lambda: MemoryTree({"a": "text"}), TypeError, r"write text\.encode\(\)"),
    (lambda: MemoryTree({"a": 5}), TypeError, "must be bytes, got 5"),
    (lambda: MemoryTree({b"a": b""}), TypeError, "named by a string"),
    (lambda: MemoryTree({"": b""}), ValueError, "components"),
    (lambda: MemoryTree({"a/../b": b""}), ValueError, "components"),
    (lambda: MemoryTree({"a//b": b""}), ValueError, "components"),
    (lambda: MemoryTree({"a\0": b""}), ValueError, "components"),
    (lambda: MemoryTree(limit_bytes="1M"), TypeError, "limit_bytes"),
    (lambda: MemoryTree(limit_bytes=-1), ValueError, "limit_bytes"),
    (lambda: MemoryTree(now_ns=5), TypeError, "now_ns"),
    (lambda: MemoryTree({"a": b"", "a/b": b""}), NotADirectoryError, "a/b"),
    (lambda: MemoryTree({"a/b": b"", "a": b""}), IsADirectoryError, "'a'"),
    (lambda: MemoryTree({"a/b": b""}).read("a"), IsADirectoryError, "'a'"),
    (lambda: MemoryTree({"a": b""}).list("a"), NotADirectoryError, "'a'"),
    (lambda: MemoryTree().read("a"), FileNotFoundError, "'a'"),
    (lambda: MemoryTree().read(5), TypeError, "named by a string"),
    (lambda: FixedClock(1.5), TypeError, "realtime_ns"),
    (lambda: FixedClock(step_ns="5"), TypeError, "step_ns"),
    (lambda: FixedClock(step_ns=-5), ValueError, "step_ns must be between 0"),
    (lambda: Quotas(descriptors="many"), TypeError, "Quotas: descriptors"),
    (lambda: Quotas(written_bytes=-1), ValueError, "Quotas: written_bytes"),
    (lambda: Quotas(path_bytes=None), TypeError, "Quotas: path_bytes"),
    (lambda: Quotas(held_bytes=True), TypeError, "Quotas: held_bytes"),
    (lambda: Capture("64M"), TypeError, "limit_bytes"),
    (lambda: MemoryTree({"\ud800": b""}), ValueError, "a file in a MemoryTree is no text: UTF-8 cannot say '.ud800'"),
    (lambda: MemoryTree().read("\ud800"), ValueError, "a path in a MemoryTree is no text"),
    (lambda: Wasi(args=["\ud800"]), ValueError, r"args.0. is no text"),
    (lambda: Wasi(preopens={"\ud800": "/a"}), ValueError, "preopens: '.ud800' is no text"),
    (lambda: Wasi(preopens={"/tmp": "\ud800"}), ValueError, "preopens: '.ud800' is no text"),
    (lambda: Wasi(preopens={"/t\0": "/a"}), ValueError, "preopens: '/t.x00' cannot contain NUL"),
    (lambda: Wasi(stdout="\ud800"), ValueError, "stdout is no text"),
    (lambda: Wasi(stderr="a\0"), ValueError, "stderr cannot contain NUL"),
]


@pytest.mark.parametrize(("make", "kind", "message"), WRONG_TREES)
def test_the_other_classes_say_what_is_wrong(make, kind, message):
    """Trees, clocks, quotas, captures."""
    with pytest.raises(kind, match=message):
        make()


def test_files_that_take_more_than_the_limit_are_an_error_of_the_host_s():
    """ENOSPC and ENAMETOOLONG, not the exception that guests' errors are made of."""
    for files, number in (({"a": bytes(5000)}, errno.ENOSPC), ({"n" * 300: b""}, errno.ENAMETOOLONG)):
        with pytest.raises(OSError, match="MemoryTree of 4096") as caught:
            MemoryTree(files, limit_bytes=4096)
        assert caught.value.errno == number
