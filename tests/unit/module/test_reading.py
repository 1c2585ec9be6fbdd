"""Claims about files that a thread reads while others do something else, and about the sum of their bytes."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from stratavm.base.budget import Budget
from stratavm.base.errors import ModuleLimit
from stratavm.cli.main import LARGE_BYTES, _read_ahead
from stratavm.cli.program import Options
from stratavm.engine.source import read_source
from stratavm.module.reader import Reading, sum_of

HEADER = b"\0asm\1\0\0\0"


@pytest.mark.parametrize("size", [1, 31, 32, 33, 4096, (1 << 18) - 1, 1 << 18, (1 << 20) + 77])
def test_the_bytes_are_those_of_the_file(tmp_path: Path, size: int):
    """And their sum is that of the bytes; once."""
    path = tmp_path / "file"
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    reading = Reading.of(str(path), 1)
    found, before, after, total = reading.result()
    assert found == data and total == sum_of(data)
    assert before.st_size == size and before.st_mtime_ns == after.st_mtime_ns
    assert reading.result() is None and os.fspath(reading) == str(path)


def test_a_source_is_the_same_however_it_was_read(tmp_path: Path):
    """Its name, its bytes, what the kernel said of its file."""
    path = tmp_path / "app.wasm"
    path.write_bytes(HEADER + bytes(5000))
    ahead, plain = read_source(Reading.of(str(path), 1)), read_source(str(path))
    assert ahead.total == sum_of(plain.binary) and not plain.total
    assert (ahead.name, ahead.binary) == (plain.name, plain.binary)
    assert ahead.file.st_ino == plain.file.st_ino and ahead.file.st_ctime_ns == plain.file.st_ctime_ns
    again = Reading.of(str(path), 1)
    read_source(again)
    assert read_source(again).binary == plain.binary  # once more, by its path
    with pytest.raises(ModuleLimit, match="too large"):
        read_source(Reading.of(str(path), 1), most=100)


def test_a_file_that_changes_meanwhile_is_not_known(tmp_path: Path):
    """What was found out of it is not kept for these numbers."""
    path = tmp_path / "app.wasm"
    path.write_bytes(HEADER + bytes(5000))
    reading = Reading.of(str(path), 1)
    time.sleep(0.02)  # the clock of files goes by ticks
    os.utime(path)
    source = read_source(reading)
    assert source.file is None and not source.total and source.binary is not None


def test_a_file_that_became_shorter_is_read_anew(tmp_path: Path):
    """A thread that found less than there was has nothing."""
    path = tmp_path / "app.wasm"
    path.write_bytes(HEADER + bytes(1 << 24))
    reading = Reading.of(str(path), 1)
    os.truncate(path, 8)
    assert read_source(reading).binary in (HEADER, HEADER + bytes(1 << 24))


@pytest.mark.parametrize("what", ["absent", "folder", "fifo", "small", "nul"])
def test_anything_else_is_left_to_who_reads_it(tmp_path: Path, what: str):
    """He says what is wrong with it."""
    path = tmp_path / "it"
    if what == "folder":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "small":
        path.write_bytes(bytes(99))
    before = len(os.listdir("/proc/self/fd"))
    assert Reading.of("a\0b" if what == "nul" else str(path), 100) is None
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_that_nobody_wants_ends(tmp_path: Path):
    """Its thread, and its file."""
    path = tmp_path / "it"
    path.write_bytes(bytes(1 << 20))
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for _ in range(20):
        del (reading := [Reading.of(str(path), 1)])[0]
        assert reading == []
    assert len(os.listdir("/proc/self/fd")) == before[0] and len(os.listdir("/proc/self/task")) <= before[1] + 1


def test_a_wait_looks_at_the_time(tmp_path: Path):
    """As all of loading does."""
    path = tmp_path / "it"
    path.write_bytes(bytes(100))
    reading = Reading.of(str(path), 1)
    with Budget(60.0):
        assert reading.result() is not None


def test_other_bytes_have_another_sum():
    """Any word, any length, zeros at the end."""
    chance = random.Random(1)
    data = bytearray(chance.randbytes(1000))
    sums = {sum_of(bytes(data))}
    for at in range(0, 1000, 3):
        data[at] ^= 1 << chance.randrange(8)
        sums.add(sum_of(bytes(data)))
        data[at] ^= 0xFF
        sums.add(sum_of(bytes(data)))
    sums |= {sum_of(bytes(n)) for n in range(100)}
    assert len(sums) == 1 + 2 * 334 + 100
    halves = bytes(range(64)), bytes(range(32, 64)) + bytes(range(32))
    assert sum_of(halves[0]) != sum_of(halves[1])


def test_the_command_reads_large_programs_ahead(tmp_path: Path):
    """Not small ones, nor standard input."""
    for name, size, expected in (("large", LARGE_BYTES, True), ("small", LARGE_BYTES - 1, False)):
        path = tmp_path / name
        path.write_bytes(bytes(size))
        options = Options(module=str(path))
        _read_ahead(options)
        assert isinstance(options.reading, Reading) == expected
    options = Options(module="-")
    _read_ahead(options)
    assert not hasattr(options, "reading")
