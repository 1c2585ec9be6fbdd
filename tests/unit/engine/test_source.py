"""Claims about where modules come from."""

import io
import os
import re
import threading
import time
from pathlib import Path

import pytest

import stratavm
from stratavm.base.budget import Budget
from stratavm.base.errors import DeadlineExceeded
from stratavm.engine import source
from stratavm.engine.source import PIECE, read_source, read_up_to
from stratavm.module.reader import call_slow, copied, read_bytes

SOON_S = 30
"""Generous: the machine may be busy."""


class Greedy(io.BytesIO):
    """A file that notes the most it was asked for at once, as memory is taken for it."""

    most = 0

    def read(self, size=-1):
        """Read."""
        self.most = max(self.most, size)
        return super().read(size)

    def read1(self, size=-1):
        """Read what there is."""
        self.most = max(self.most, size)
        return super().read1(size)


@pytest.mark.parametrize("size", [0, 1, 5, PIECE, 3 * PIECE + 1])
@pytest.mark.parametrize("expected", [0, 1, 5, PIECE])
def test_a_file_is_read_whole_and_never_asked_for_more_than_it_may_have(size, expected):
    """Also one that has more than was expected, and one that says nothing of its size (a FIFO)."""
    file = Greedy(bytes(size))
    assert read_up_to(file, 1 << 30, expected) == bytes(size)
    assert file.most <= PIECE + 1


def test_what_is_over_the_limit_is_seen():
    """One byte more is read, and no second."""
    assert len(read_up_to(io.BytesIO(bytes(100)), 10)) == 11
    assert len(read_up_to(io.BytesIO(bytes(100)), 10, 10)) == 11


@pytest.fixture
def fifo(tmp_path):
    """A FIFO that nobody has opened."""
    os.mkfifo(tmp_path / "fifo.wasm")
    return tmp_path / "fifo.wasm"


@pytest.mark.parametrize(
    "load",
    [
        lambda path: stratavm.Module(path, timeout=0.1),
        lambda path: stratavm.Module(path, engine=stratavm.Engine(load_timeout=0.1)),
        lambda path: stratavm.load(path, load_timeout=0.1),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_a_time_limit_covers_the_reading_of_a_module(load, begun, fifo):
    """From a FIFO that nobody writes to, or that somebody began to write to."""
    writer = os.open(fifo, os.O_RDWR) if begun else None
    if writer is not None:
        os.write(writer, b"\0asm")
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        load(fifo)
    assert time.monotonic() - started < SOON_S
    if writer is not None:
        os.close(writer)


def test_a_run_ends_in_time_though_its_module_is_a_fifo(fifo):
    """``reason`` says so, as for any other end."""
    assert stratavm.run(fifo, timeout=0.1).reason == "timeout"


def test_reading_counts_as_loading(fifo):
    """What was read in half of the time leaves the other half for the rest."""
    writer = os.open(fifo, os.O_RDWR)
    os.write(writer, b"(module")
    threading.Timer(0.1, os.write, (writer, b")")).start()
    threading.Timer(0.2, os.close, (writer,)).start()
    assert stratavm.Module(fifo, timeout=SOON_S).exports == ()


def test_a_module_comes_whole_from_a_fifo_that_is_written_slowly(fifo):
    """However many pieces it is written in, and however late the writer comes."""
    binary = b"\0asm\1\0\0\0" + b"".join(b"\0\x05\x01a" + bytes((n, n, n)) for n in range(5))

    def write():
        with open(fifo, "wb", buffering=0) as file:
            for byte in binary:
                file.write(bytes((byte,)))

    thread = threading.Thread(target=write)
    thread.start()
    with Budget(SOON_S):
        assert read_source(fifo).binary == binary
    thread.join()


def test_what_cannot_be_read_is_named():
    """Opening says of which file it is; reading does not."""
    with pytest.raises(OSError, match="Input/output error: '/proc/self/mem'"):
        stratavm.Module("/proc/self/mem")


def test_a_path_of_bytes_is_named(tmp_path):
    """What is wrong with the module is said first."""
    path = tmp_path / "broken.wasm"
    path.write_bytes(b"\0asm\1\0\0\0\xff")

    class Place:
        """A path in the form of the system."""

        def __fspath__(self):
            return os.fsencode(path)

    with pytest.raises(stratavm.DecodeError) as error:
        stratavm.Module(Place())
    assert "broken.wasm" in error.value.__notes__[0]


def test_a_folder_is_no_module(tmp_path):
    """It can be opened, and not read."""
    with pytest.raises(IsADirectoryError):
        stratavm.Module(tmp_path)


@pytest.mark.parametrize("size", [0, 1, 4096, PIECE + 1])
@pytest.mark.parametrize("wanted", [0, 1, 4096, PIECE, 3 * PIECE])
def test_bytes_of_a_file_are_as_many_as_are_wanted_and_there(size, wanted, tmp_path):
    """What is behind them is read next."""
    path = tmp_path / "some.wasm"
    content = os.urandom(size)
    path.write_bytes(content)
    with open(path, "rb", buffering=0) as file:
        assert read_bytes(file.fileno(), wanted) == content[:wanted]
        assert file.read() == content[wanted:]


def test_a_file_that_grew_or_shrank_since_it_was_looked_at_is_read_as_it_is(tmp_path):
    """Its size is a hint."""
    path = tmp_path / "some.wasm"
    path.write_bytes(bytes(100))
    for expected in (1, 99, 100, 101, PIECE):
        with open(path, "rb", buffering=0) as file:
            assert read_up_to(file, 1 << 20, expected) == bytes(100)
    with open(path, "rb", buffering=0) as file:
        assert len(read_up_to(file, 10, 10)) == 11


def advice_of(data):
    """What the kernel was told of the memory in the middle of some bytes."""
    middle, inside = id(data) + len(data) // 2, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= middle < int(found[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return line.split()
    return []


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/transparent_hugepage"), reason="the kernel has no huge pages")
def test_a_large_file_is_read_into_huge_pages(tmp_path):
    """Its memory is marked so, whether there are any or not, unless they came slowly to this process before."""
    call_slow(1 << 60)  # whatever it takes a busy machine
    path = tmp_path / "large.wasm"
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    with open(path, "rb", buffering=0) as file:
        data = read_bytes(file.fileno(), 16 << 20)
    assert not call_slow(1_000_000) and "hg" in advice_of(data)


@pytest.mark.skipif(not os.path.exists("/sys/kernel/mm/transparent_hugepage"), reason="the kernel has no huge pages")
@pytest.mark.parametrize("is_copy", [False, True], ids=["read", "copied"])
def test_no_more_huge_pages_are_asked_for_after_one_that_came_slowly(tmp_path, is_copy):
    """Where a host has taken memory back, 40 MB of them take it 150 ms, and of small ones 25."""
    path, size = tmp_path / "large.wasm", 40 << 20
    call_slow(0)
    try:
        if is_copy:
            data = copied(bytes(size + 1), 1, size)
        else:
            with open(path, "wb") as file:
                file.truncate(size)
            with open(path, "rb", buffering=0) as file:
                data = read_bytes(file.fileno(), size)
        assert data == bytes(size) and "hg" not in advice_of(data)
    finally:
        assert call_slow(1_000_000)


def test_reading_a_large_file_ends_in_time(tmp_path):
    """A look at the time follows each piece."""
    path = tmp_path / "large.wasm"
    with open(path, "wb") as file:
        file.truncate(512 << 20)
    with open(path, "rb", buffering=0) as file, Budget(0), pytest.raises(DeadlineExceeded):
        read_bytes(file.fileno(), 512 << 20)


def test_what_cannot_be_read_says_why():
    """As ``open`` does."""
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_bytes(-1, 1)
    with pytest.raises(ValueError, match="no negative number"):
        read_bytes(0, -1)


@pytest.mark.parametrize("named", ["", "other.wasm"])
def test_an_error_says_of_which_file_it_is(named, tmp_path, monkeypatch):
    """The one that it names; where it names none, that is the one which was read."""
    path = tmp_path / "own.wasm"
    path.write_bytes(b"\0asm\1\0\0\0")

    def fail(*_):
        raise OSError(5, "Input/output error", *([named] if named else []))

    monkeypatch.setattr(source, "read_up_to", fail)
    with pytest.raises(OSError, match="Input/output") as raised:
        read_source(path)
    assert raised.value.filename == (named or str(path))
