"""Claims about files that a thread reads while others do something else, and about the sum of their bytes."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stratavm.base.budget import Budget
from stratavm.base.errors import ModuleLimit
from stratavm.base.poly1305 import poly1305
from stratavm.cli.program import Options
from stratavm.cli.run import LARGE_BYTES, _read_ahead
from stratavm.engine.source import read_source
from stratavm.module.reader import Reading, call_slow, sum_of, sum_of_file

HEADER = b"\0asm\1\0\0\0"
KEY = bytes(range(32))


def begun(path: Path, least: int = 1) -> Reading:
    """A file that is being read."""
    reading = Reading.of(str(path), least)
    assert reading.begin()
    return reading


def part_of(reading: Reading, path: Path, place: int, size: int, lead: bytes = b"lead") -> int:
    """Have a part of a file read as well."""
    return reading.add(os.open(path, os.O_RDONLY), place, size, KEY, lead)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 4096, (1 << 18) - 1, 1 << 18, (1 << 20) + 77])
def test_the_bytes_are_those_of_the_file(tmp_path: Path, size: int):
    """And their sum is that of the bytes; once."""
    path = tmp_path / "file"
    data = random.Random(size).randbytes(size)
    path.write_bytes(data)
    reading = begun(path)
    found, before, after, total = reading.result()
    assert found == data and total == sum_of(data)
    assert before.st_size == size and before.st_mtime_ns == after.st_mtime_ns
    assert reading.result() is None and os.fspath(reading) == str(path)


@pytest.mark.parametrize("ns", [0, 1 << 40])
def test_however_slowly_huge_pages_come_the_bytes_are_those_of_the_files(tmp_path: Path, ns: int):
    """After the first one that is slow there is no more, in this file nor in parts of others."""
    path, other = tmp_path / "file", tmp_path / "other"
    data, part = random.Random(1).randbytes((9 << 20) + 5), random.Random(2).randbytes(5 << 20)
    path.write_bytes(data)
    other.write_bytes(part)
    call_slow(ns)
    try:
        reading = begun(path)
        number = part_of(reading, other, 0, len(part))
        reading.complete()
        content, tag = reading.part(number)
        assert content == part and tag == poly1305(KEY, b"lead" + part)
        assert reading.result()[0] == data
    finally:
        assert call_slow(1_000_000) is (ns == 0)


def test_a_source_is_the_same_however_it_was_read(tmp_path: Path):
    """Its name, its bytes, what the kernel said of its file."""
    path = tmp_path / "app.wasm"
    path.write_bytes(HEADER + bytes(5000))
    ahead, plain = read_source(begun(path)), read_source(str(path))
    assert ahead.total == sum_of(plain.binary) and not plain.total
    assert (ahead.name, ahead.binary) == (plain.name, plain.binary)
    assert ahead.file.st_ino == plain.file.st_ino and ahead.file.st_ctime_ns == plain.file.st_ctime_ns
    again = begun(path)
    read_source(again)
    assert read_source(again).binary == plain.binary  # once more, by its path
    with pytest.raises(ModuleLimit, match="too large"):
        read_source(begun(path), most=100)


def test_a_file_that_changes_meanwhile_is_not_known(tmp_path: Path):
    """What was found out of it is not kept for these numbers."""
    path = tmp_path / "app.wasm"
    path.write_bytes(HEADER + bytes(5000))
    reading = begun(path)
    time.sleep(0.02)  # the clock of files goes by ticks
    os.utime(path)
    source = read_source(reading)
    assert source.file is None and not source.total and source.binary is not None


def test_a_file_that_became_shorter_is_read_anew(tmp_path: Path):
    """A thread that found less than there was has nothing."""
    path = tmp_path / "app.wasm"
    path.write_bytes(HEADER + bytes(1 << 24))
    reading = begun(path)
    os.truncate(path, 8)
    assert read_source(reading).binary in (HEADER, HEADER + bytes(1 << 24))


@pytest.mark.parametrize("ns", [0, 1 << 40])
def test_who_waits_makes_pages_and_leaves_what_is_in_them(tmp_path: Path, ns: int):
    """While the thread fills them: the bytes are those of the file."""
    path = tmp_path / "file"
    data = random.Random(9).randbytes((24 << 20) + 123)
    path.write_bytes(data)
    call_slow(ns)
    try:
        for _ in range(4):
            found, _, _, total = begun(path).result()
            assert found == data and total == sum_of(data)
    finally:
        call_slow(1_000_000)


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


def test_who_writes_to_a_fifo_is_not_let_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A writer that waits for its reader would be ended by SIGPIPE where the file was only looked at."""
    path, opened = tmp_path / "it", []
    os.mkfifo(path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda *given: opened.append(given) or 1 / 0)
        assert Reading.of(str(path), 1) is None
    assert opened == []


def test_one_that_nobody_wants_ends(tmp_path: Path):
    """Its thread, and its file."""
    path = tmp_path / "it"
    path.write_bytes(bytes(1 << 20))
    before = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
    for _ in range(20):
        del (reading := [begun(path)])[0]
        assert reading == []
    assert len(os.listdir("/proc/self/fd")) == before[0] and len(os.listdir("/proc/self/task")) <= before[1] + 1


FORKED = """
import os, signal, sys
from stratavm.engine.source import read_source
from stratavm.module.reader import Reading
path, ends = sys.argv[1:]
reading = Reading.of(path, 1)
number = reading.add_stamp(os.path.dirname(path), (".py", ".so"), "no")
reading.begin()
if ends:
    assert len(reading.stamp(number)[0]) >= 0  # the thread has ended
child = os.fork()
if not child:
    signal.alarm(60)
    found = read_source(reading)
    assert reading.result() is None
    del reading
    os._exit(0 if found.binary == open(path, "rb").read() else 1)
assert os.waitpid(child, 0)[1] == 0
assert reading.result()[0] == read_source(path).binary
"""


@pytest.mark.parametrize("ends", ["", "ends"])
def test_a_child_that_was_forked_reads_it_itself(tmp_path: Path, ends: str):
    """The thread is its parent's: nobody waits for one that is not there, nor believes what it was reading."""
    path = tmp_path / "file.wasm"
    path.write_bytes(HEADER + random.Random(3).randbytes(64 << 20))
    subprocess.run([sys.executable, "-c", FORKED, str(path), ends], check=True, timeout=100)


LAST = """
import os, sys
from stratavm.module.reader import Reading
sys.reading = Reading.of(sys.argv[1], 1)  # goes behind all modules
sys.reading.add_sum(os.open(sys.argv[1], os.O_RDONLY), 0, 64)
sys.reading.begin()
"""


def test_one_that_goes_behind_all_modules_says_nothing(tmp_path: Path):
    """As an entry does that was read ahead for an engine that lives as long as the process, and never asked for."""
    path = tmp_path / "file.wasm"
    path.write_bytes(HEADER + bytes(1 << 16))
    done = subprocess.run([sys.executable, "-c", LAST, str(path)], check=True, capture_output=True, timeout=100)
    assert done.stderr == b""


def test_a_wait_looks_at_the_time(tmp_path: Path):
    """As all of loading does."""
    path = tmp_path / "it"
    path.write_bytes(bytes(100))
    reading = begun(path)
    with Budget(60.0):
        assert reading.result() is not None


@pytest.mark.parametrize("sizes", [(0,), (1, 15, 16, 17), (1 << 18, (1 << 20) + 5)], ids=str)
def test_parts_of_other_files_are_read_behind_it(tmp_path: Path, sizes: tuple[int, ...]):
    """Their bytes, and the tag of those with what is before them; each once."""
    path, other = tmp_path / "file", tmp_path / "other"
    data = random.Random(7).randbytes((1 << 20) + 100)
    path.write_bytes(bytes(100))
    other.write_bytes(data)
    reading = Reading.of(str(path), 1)
    numbers = [part_of(reading, other, 3, size, b"x" * (size % 200)) for size in sizes]
    reading.begin()
    for number, size in zip(numbers, sizes, strict=True):
        assert reading.part(number) == (data[3 : 3 + size], poly1305(KEY, b"x" * (size % 200), data[3 : 3 + size]))
        assert reading.part(number) is None
    assert reading.part(99) is None and reading.result()[0] == bytes(100)


def test_a_part_that_is_not_there_is_none(tmp_path: Path):
    """Nor one of a file that was never begun; nothing is left open."""
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    before = len(os.listdir("/proc/self/fd"))
    reading = Reading.of(str(path), 1)
    numbers = [part_of(reading, path, 0, 101), part_of(reading, path, 100, 0), part_of(reading, path, 200, 1)]
    assert reading.part(numbers[1]) is None and reading.result() is None
    reading.begin()
    assert reading.part(numbers[0]) is reading.part(numbers[2]) is None
    assert reading.part(numbers[1]) == (b"", poly1305(KEY, b"lead"))
    del reading
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("size", [0, 32, 1 << 18, (1 << 20) + 96])
def test_the_sum_of_a_part_is_that_of_a_file(tmp_path: Path, size: int):
    """Without its bytes; none where they are not there."""
    path, other = tmp_path / "file", tmp_path / "other"
    data = random.Random(8).randbytes((1 << 20) + 200)
    path.write_bytes(bytes(100))
    other.write_bytes(data)
    reading = Reading.of(str(path), 1)
    numbers = [reading.add_sum(os.open(other, os.O_RDONLY), 4, n) for n in (size, (1 << 21))]
    with pytest.raises(ValueError, match="no part"):
        reading.add_sum(-1, 0, 33)
    reading.begin()
    assert reading.part(numbers[0]) == (b"", sum_of(data[4 : 4 + size]))
    with other.open("rb") as file:
        assert sum_of_file(file.fileno(), 4, size) == sum_of(data[4 : 4 + size])
    assert reading.part(numbers[0]) is reading.part(numbers[1]) is None


def test_what_cannot_be_a_part_is_refused(tmp_path: Path):
    """Too many, a key of another length, no place; or too late."""
    path = tmp_path / "file"
    path.write_bytes(bytes(100))
    reading = Reading.of(str(path), 1)
    for place, size, key in ((-1, 1, KEY), (0, -1, KEY), (0, 1, b"short")):
        with pytest.raises(ValueError, match="no part"):
            reading.add(-1, place, size, key, b"")
    numbers = [part_of(reading, path, 0, 5) for _ in range(8)]
    with pytest.raises(ValueError, match="no part"):
        reading.add(-1, 0, 1, KEY, b"")
    reading.begin()
    assert [reading.part(number)[0] for number in numbers] == [bytes(5)] * 8
    late = begun(path)
    late.complete()
    with pytest.raises(ValueError, match="no part"):
        late.add(-1, 0, 1, KEY, b"")  # no descriptor: one that is taken is closed, were it the standard input


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
        options = Options(module=str(path), cache="off", profile_out=None)
        _read_ahead(options)
        assert isinstance(getattr(options, "reading", None), Reading) == expected
    options = Options(module="-")
    _read_ahead(options)
    assert not hasattr(options, "reading")
