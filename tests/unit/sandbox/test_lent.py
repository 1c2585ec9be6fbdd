"""Claims about descriptors that a process of its own gets: it leaves this one's as they were."""

import fcntl
import os
import pty
import socket
import subprocess
import sys

import pytest

import stratavm
from stratavm.sandbox.lent import lent

MEDDLE = """
import fcntl, os
flags = fcntl.fcntl(0, fcntl.F_GETFL)
fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_NONBLOCK | os.O_APPEND)
"""


def flags(fd: int) -> int:
    """Of the description, which others share."""
    return fcntl.fcntl(fd, fcntl.F_GETFL)


@pytest.fixture(params=["pipe", "output pipe", "terminal", "socket", "file"])
def shared(request, tmp_path):
    """A descriptor, whether it is an output, and whether the process gets a description of its own."""
    ends = socket.socketpair()
    reading, writing = os.pipe()
    master, terminal = pty.openpty()
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield {
        "pipe": (reading, False, True),
        "output pipe": (writing, True, True),
        "terminal": (terminal, True, True),
        "socket": (ends[0].fileno(), False, False),
        "file": (file, True, False),
    }[request.param]
    for fd in (reading, writing, master, terminal, file):
        os.close(fd)
    for end in ends:
        end.close()


def test_flags_are_what_they_were_when_the_process_has_ended(shared):
    """Of pipes and terminals also while it runs."""
    fd, write, own = shared
    before = flags(fd)
    with lent(fd, write=write) as given:
        subprocess.run([sys.executable, "-c", MEDDLE], stdin=given, check=True)
        assert flags(given) & os.O_NONBLOCK
        assert (flags(fd) == before) is own
    assert flags(fd) == before
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(given)


def test_no_descriptor_gives_more_access_than_it_had():
    """A pipe's end is the end that it was."""
    reading, writing = os.pipe()
    for fd, write in ((reading, True), (writing, False)):
        with lent(fd, write=write) as given:
            assert flags(given) & os.O_ACCMODE == flags(fd) & os.O_ACCMODE
        os.close(fd)


def test_a_closed_descriptor_stays_closed():
    """The process has none in its place."""
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    with lent(reading, write=False) as given:
        assert given is None


def test_a_file_has_a_position_of_its_own_for_reading_only(tmp_path):
    """The process neither moves this one's, nor writes where it was to read."""
    (tmp_path / "in").write_bytes(b"0123456789")
    with open(tmp_path / "in", "r+b", buffering=0) as file:
        file.seek(4)
        with lent(file.fileno(), write=False, own_position=True) as given:
            assert os.read(given, 3) == b"456"
            assert file.tell() == 4
            with pytest.raises(OSError, match="Bad file"):
                os.write(given, b"x")


def test_a_run_of_its_own_reads_a_file_from_where_it_stands(tmp_path):
    """And leaves it standing there."""
    (tmp_path / "in").write_bytes(b"head:body\n")
    echo = """(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\40\\00\\00\\00")
      (func (export "_start")
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
    with open(tmp_path / "in", "rb", buffering=0) as file:
        file.seek(5)
        assert stratavm.run(echo, stdin=file, isolate=True).stdout == b"body\n"
        assert file.tell() == 5
