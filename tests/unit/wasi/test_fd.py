"""Descriptors, on every kind of directory."""

import fcntl
import os
import struct

import pytest

from stratavm.wasi import Wasi, abi
from stratavm.wasi.abi import Fdflags, Filetype, Fstflags, Oflags, Rights, Whence
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT, Guest


def seek(guest: Guest, fd: int, delta: int, whence: int) -> int:
    """fd_seek that succeeds."""
    guest.ok("fd_seek", fd, delta & (1 << 64) - 1, whence, OUT)
    return guest.u64()


def fd_stat(guest: Guest, fd: int) -> tuple:
    """fd_filestat_get."""
    guest.ok("fd_filestat_get", fd, OUT)
    return guest.out(abi.FILESTAT)


def test_what_is_written_can_be_read(guest):
    """At the position and at offsets, scattered over several buffers."""
    fd = guest.create("file", b"hello world")
    assert seek(guest, fd, -5, Whence.END) == 6
    assert guest.read(fd) == b"world"
    assert guest.read(fd) == b""
    assert guest.read(fd, 5, "fd_pread", 0) == b"hello"
    assert guest.write(fd, b"J", "fd_pwrite", 0) == 1
    guest.ok("fd_tell", fd, OUT)
    assert guest.u64() == 11
    seek(guest, fd, 0, Whence.SET)
    guest.put(b"\xaa" * 0x200)
    guest.ok("fd_read", fd, *guest.iovec((DATA, 2), (0, 0), (DATA + 0x100, 3)), OUT)
    assert guest.u32() == 5
    assert guest.memory.data[DATA : DATA + 3] == b"Je\xaa"
    assert guest.memory.data[DATA + 0x100 : DATA + 0x104] == b"llo\xaa"


def test_writing_behind_the_end_leaves_zeros(guest):
    """A hole reads as zeros."""
    fd = guest.create("file")
    assert seek(guest, fd, 3, Whence.SET) == 3
    guest.write(fd, b"x")
    assert guest.read(fd, 10, "fd_pread", 0) == b"\0\0\0x"


def test_append_writes_at_the_end_wherever_the_position_is(guest):
    """Given at open, and switched later."""
    fd = guest.create("file", b"abc", fdflags=Fdflags.APPEND)
    seek(guest, fd, 0, Whence.SET)
    guest.write(fd, b"d")
    assert guest.read(fd, 10, "fd_pread", 0) == b"abcd"
    guest.ok("fd_fdstat_set_flags", fd, 0)
    seek(guest, fd, 0, Whence.SET)
    guest.write(fd, b"A")
    assert guest.read(fd, 10, "fd_pread", 0) == b"Abcd"
    assert guest.call("fd_fdstat_set_flags", fd, Fdflags.SYNC) is Errno.NOTSUP
    assert guest.call("fd_fdstat_set_flags", fd, 1 << 5) is Errno.INVAL


def test_a_position_cannot_be_negative_or_absurd(guest):
    """INVAL, and the position stays."""
    fd = guest.create("file", b"abc")
    minus = (1 << 64) - 4
    assert guest.call("fd_seek", fd, minus, Whence.CUR, OUT) is Errno.INVAL
    assert guest.call("fd_seek", fd, 1 << 63, Whence.SET, OUT) is Errno.INVAL
    assert guest.call("fd_seek", fd, 0, 3, OUT) is Errno.INVAL
    assert seek(guest, fd, 0, Whence.CUR) == 3


def test_absurd_offsets_and_sizes_are_refused(guest):
    """No size has bit 63; sizes that no disk holds are errors and not crashes."""
    fd = guest.create("file", b"abc")
    for offset in (1 << 63, (1 << 64) - 1):
        assert guest.call("fd_pread", fd, *guest.iovec((DATA, 1)), offset, OUT) is Errno.INVAL
        assert guest.try_write(fd, b"x", "fd_pwrite", offset) is Errno.INVAL
        assert guest.call("fd_filestat_set_size", fd, offset) is Errno.INVAL
        assert guest.call("fd_allocate", fd, offset, 1) is Errno.INVAL
        assert guest.call("fd_advise", fd, offset, 1, 0) is Errno.INVAL
    assert guest.call("fd_filestat_set_size", fd, (1 << 63) - 1) in (Errno.FBIG, Errno.NOSPC, Errno.INVAL)
    assert guest.call("fd_allocate", fd, 0, 0) is Errno.INVAL
    assert fd_stat(guest, fd)[4] == 3


def test_sizes_and_allocation(guest):
    """Truncation and extension with zeros; allocation never shrinks."""
    fd = guest.create("file", b"abcdef")
    guest.ok("fd_filestat_set_size", fd, 2)
    guest.ok("fd_filestat_set_size", fd, 4)
    assert guest.read(fd, 10, "fd_pread", 0) == b"ab\0\0"
    guest.ok("fd_allocate", fd, 0, 2)
    assert fd_stat(guest, fd)[4] == 4
    guest.ok("fd_allocate", fd, 4, 4)
    assert fd_stat(guest, fd)[4] == 8
    guest.ok("fd_sync", fd)
    guest.ok("fd_datasync", fd)
    for advice in range(6):
        guest.ok("fd_advise", fd, 0, 0, advice)
    assert guest.call("fd_advise", fd, 0, 0, 6) is Errno.INVAL


def test_attributes_and_timestamps(guest):
    """The flags choose; two wishes for one timestamp are INVAL."""
    fd = guest.create("file", b"abc")
    _, ino, filetype, nlink, size, *_ = fd_stat(guest, fd)
    assert (filetype, nlink, size) == (Filetype.REGULAR_FILE, 1, 3)
    assert ino == guest.stat("file")[1]
    guest.ok("fd_filestat_set_times", fd, 5_000, 7_000_000_001, Fstflags.ATIM | Fstflags.MTIM)
    assert fd_stat(guest, fd)[5:7] == (5_000, 7_000_000_001)
    guest.ok("fd_filestat_set_times", fd, 1, 9_000, Fstflags.MTIM)
    assert fd_stat(guest, fd)[5:7] == (5_000, 9_000)
    guest.ok("fd_filestat_set_times", fd, 0, 0, Fstflags.ATIM_NOW | Fstflags.MTIM_NOW)
    assert min(fd_stat(guest, fd)[5:7]) > 1_700_000_000 * 10**9
    for both in (Fstflags.ATIM | Fstflags.ATIM_NOW, Fstflags.MTIM | Fstflags.MTIM_NOW, 16):
        assert guest.call("fd_filestat_set_times", fd, 0, 0, both) is Errno.INVAL


@pytest.mark.parametrize("extreme", [0, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_extreme_timestamps_are_no_crash(guest, extreme):
    """Whatever the file system makes of them, the call ends and reading them back works."""
    fd = guest.create("file")
    error = guest.call("fd_filestat_set_times", fd, extreme, extreme, Fstflags.ATIM | Fstflags.MTIM)
    assert error in (Errno.SUCCESS, Errno.INVAL, Errno.OVERFLOW)
    fd_stat(guest, fd)
    fd_stat(guest, 3)


def test_fdstat_shows_type_flags_and_rights(guest):
    """Padding is zero."""
    fd = guest.create("file", fdflags=Fdflags.APPEND)
    guest.ok("fd_fdstat_get", fd, OUT)
    filetype, flags, rights, _ = guest.out(abi.FDSTAT)
    assert (filetype, flags) == (Filetype.REGULAR_FILE, Fdflags.APPEND)
    assert rights & Rights.FD_READ and rights & Rights.FD_WRITE and not rights & Rights.PATH_OPEN
    assert guest.memory.data[OUT + 1] == 0 and guest.memory.data[OUT + 4 : OUT + 8] == bytes(4)


def test_a_file_opened_for_reading_cannot_be_written(guest):
    """EBADF, as in POSIX, and the other way round."""
    guest.create("file", b"abc")
    reading = guest.open("file")
    assert guest.try_write(reading, b"x") is Errno.BADF
    assert guest.call("fd_filestat_set_size", reading, 0) is Errno.NOTCAPABLE
    writing = guest.open("file", 0, Rights.FD_WRITE)
    assert guest.call("fd_read", writing, *guest.iovec((DATA, 1)), OUT) is Errno.BADF


def test_closed_and_unknown_descriptors_are_bad(guest):
    """And the lowest free number is used again."""
    fd = guest.create("file")
    guest.ok("fd_close", fd)
    for number in (fd, 99, 0xFFFF_FFFF):
        assert guest.call("fd_close", number) is Errno.BADF
        assert guest.call("fd_fdstat_get", number, OUT) is Errno.BADF
    assert guest.open("file") == fd


def test_renumber_moves_and_closes(guest):
    """Onto an open descriptor only; the quota on descriptors cannot be walked around."""
    first, second = guest.create("a", b"A"), guest.create("b", b"B")
    guest.ok("fd_renumber", first, second)
    assert guest.read(second, 1, "fd_pread", 0) == b"A"
    assert guest.call("fd_fdstat_get", first, OUT) is Errno.BADF
    assert guest.call("fd_renumber", second, 0xFFFF_FFFF) is Errno.BADF
    assert guest.call("fd_renumber", first, second) is Errno.BADF
    guest.ok("fd_renumber", second, second)
    assert guest.open("b") == first
    assert guest.read(second, 1, "fd_pread", 0) == b"A"


def test_prestat_names_the_preopens_and_nothing_else(guest):
    """A guest finds its directories by asking until BADF."""
    guest.ok("fd_prestat_get", 3, OUT)
    assert guest.out(abi.PRESTAT) == (0, 1)
    guest.ok("fd_prestat_dir_name", 3, DATA, 1)
    assert guest.memory.data[DATA : DATA + 2] == b"/\xaa"
    assert guest.call("fd_prestat_dir_name", 3, DATA, 0) is Errno.NAMETOOLONG
    assert guest.call("fd_prestat_get", 4, OUT) is Errno.BADF
    assert guest.call("fd_prestat_get", guest.create("f"), OUT) is Errno.BADF


def test_readdir_lists_everything_once_with_any_buffer(guest):
    """The last entry may be cut off; the next call begins with it."""
    for index in range(20):
        guest.create(f"file{index:02}")
    guest.path("path_create_directory", 3, "dir")
    expected = sorted([b".", b"..", b"dir", *(b"file%02d" % i for i in range(20))])
    fd = guest.open(".", Oflags.DIRECTORY)
    for buffer in (32, 57, 100, 4096):
        assert sorted(guest.names(fd, buffer)) == expected


def test_cookies_stay_true_while_the_directory_changes(guest):
    """Deleting what was listed skips nothing (the guest's `rm -r`)."""
    for index in range(10):
        guest.create(f"f{index}")
    fd, cookie, seen = guest.open(".", Oflags.DIRECTORY), 0, []
    while True:
        guest.ok("fd_readdir", fd, DATA, 26, cookie, OUT)
        if guest.u32() < 26:
            break
        cookie, _, _, filetype = guest.out(abi.DIRENT, DATA)
        name = bytes(guest.memory.data[DATA + 24 : DATA + 26])
        if filetype == Filetype.REGULAR_FILE:
            seen.append(name)
            assert guest.path("path_unlink_file", 3, name) is Errno.SUCCESS
    assert sorted(seen) == [b"f%d" % i for i in range(10)]
    assert sorted(guest.names(fd)) == [b".", b".."]


def test_readdir_pads_with_zeros_and_stays_in_its_buffer(guest):
    """No byte of the host leaks between the fields."""
    guest.ok("fd_readdir", 3, DATA, 24, 0, OUT)
    assert guest.memory.data[DATA + 21 : DATA + 24] == bytes(3)
    assert guest.memory.data[DATA + 24] == 0xAA
    guest.ok("fd_readdir", 3, DATA, 4096, 1 << 63, OUT)
    assert guest.u32() == 0
    assert guest.call("fd_readdir", 3, 0x1FFFF, 2, 0, OUT) is Errno.FAULT
    assert guest.call("fd_readdir", guest.create("f"), DATA, 64, 0, OUT) is Errno.NOTDIR


def test_a_directory_cannot_be_read_written_or_sought(guest):
    """EBADF or EISDIR, never bytes."""
    for name in ("fd_read", "fd_write"):
        assert guest.call(name, 3, *guest.iovec((DATA, 1)), OUT) in (Errno.BADF, Errno.ISDIR)
    assert guest.call("fd_seek", 3, 0, Whence.SET, OUT) is Errno.BADF
    assert guest.call("fd_filestat_set_size", 3, 0) is Errno.NOTCAPABLE
    guest.ok("fd_sync", 3)


def test_the_older_interface_has_its_own_layouts(guest):
    """``wasi_unstable``: 56-byte filestat, other numbers for whence."""
    old = Guest(guest.ctx, "wasi_unstable")
    fd = old.create("file", b"abcdef")
    old.ok("fd_filestat_get", fd, OUT)
    assert old.out(abi.FILESTAT_UNSTABLE)[2:5] == (Filetype.REGULAR_FILE, 1, 6)
    assert old.memory.data[OUT + 56] == 0xAA
    old.ok("path_filestat_get", 3, 0, *old.put(b"file"), OUT)
    assert old.out(abi.FILESTAT_UNSTABLE)[4] == 6
    assert [seek(old, fd, 1, 2), seek(old, fd, 1, 0), seek(old, fd, 0, 1)] == [1, 2, 6]


def test_iovec_lists_are_checked_before_anything_happens(guest):
    """A bad entry at the end of the list: FAULT, and nothing was written."""
    fd = guest.create("file", b"abc")
    good, bad = guest.put(b"xyz"), (0x1FFFF, 2)
    assert guest.call("fd_write", fd, *guest.iovec(good, bad), OUT) is Errno.FAULT
    assert guest.call("fd_write", fd, *guest.iovec(good, (0xFFFF_FFFF, 0xFFFF_FFFF)), OUT) is Errno.FAULT
    assert guest.call("fd_write", fd, 0x1FFFC, 1, OUT) is Errno.FAULT
    assert guest.call("fd_write", fd, 0, 0x1000_0001, OUT) is Errno.INVAL
    assert guest.call("fd_write", fd, *guest.iovec(good), 0x1FFFD) is Errno.FAULT
    assert fd_stat(guest, fd)[4] == 3
    many = [(DATA, 1)] * 1025
    assert guest.call("fd_read", fd, *guest.iovec(*many, at=0x8000), OUT) is Errno.INVAL


def test_the_sum_of_buffers_must_fit_the_result():
    """2**32 bytes in buffers that overlap: INVAL instead of a count that wraps."""
    guest = Guest(Wasi(stdin=b"x"))
    entry = struct.pack("<II", 0, 0x20000)
    guest.put(entry * 1024, 0x8000)
    assert guest.call("fd_read", 0, 0x8000, 1024, OUT) in (Errno.SUCCESS, Errno.INVAL)
    guest.memory.data.extend(bytes(0x800000))
    guest.put(struct.pack("<II", 0, 0x800000) * 1024, 0x8000)
    assert guest.call("fd_read", 0, 0x8000, 1024, OUT) is Errno.INVAL


def test_append_is_set_and_taken_away_on_the_host_s_file(host):
    """Also after the same flags were asked for twice."""
    fd = host.create("log", b"abc")
    descriptor = host.ctx.table[fd]
    for flags in (Fdflags.APPEND, Fdflags.APPEND, 0, 0, Fdflags.NONBLOCK, Fdflags.APPEND):
        host.ok("fd_fdstat_set_flags", fd, flags)
        assert bool(fcntl.fcntl(descriptor.fd, fcntl.F_GETFL) & os.O_APPEND) is bool(flags & Fdflags.APPEND)
        assert descriptor.flags == flags
