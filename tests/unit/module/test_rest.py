"""Claims about binaries of which only what loading reads is kept: the rest is read when somebody asks for it, and is
what it was, or it is refused.
"""

from __future__ import annotations

import gc
import mmap
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stratavm.engine.source import read_source
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.module.names import unread_names
from stratavm.module.reader import Reading, sum_of, sum_of_file
from tests.forks import forked

CHUNK = 1 << 16
CODE, DATA, CUSTOM, TYPES = 10, 11, 0, 1


def leb(number: int) -> bytes:
    """A number of the binary format."""
    found = b""
    while number > 127:
        found, number = found + bytes((number & 127 | 128,)), number >> 7
    return found + bytes((number,))


def section(number: int, content: bytes) -> bytes:
    """A section of a binary."""
    return bytes((number,)) + leb(len(content)) + content


def binary_of(*sections: tuple[int, bytes]) -> bytes:
    """Something that looks like a binary from outside."""
    return b"\0asm\1\0\0\0" + b"".join(section(*each) for each in sections)


def content(chunks: int, lead: bytes = b"") -> bytes:
    """Bytes without zeros."""
    return lead + bytes(1 + n % 255 for n in range(chunks * CHUNK + 77))


SECTIONS = (
    (TYPES, content(1)),
    (CODE, content(4)),
    (DATA, content(3)),
    (CUSTOM, content(2, b"\4name")),
    (CUSTOM, content(1, b"\4same")),
    (CUSTOM, content(3, b"\x0b.debug_info")),
    *((CUSTOM, b"\x0a.debug_str" + bytes(99)) for _ in range(9)),
    (CUSTOM, content(4, b"\x0a.debug_loc")),
)
PROGRAM = binary_of(*SECTIONS)


def left(path: Path, later_ms: int = 0, sums: bytes = b"") -> Reading:
    """A file that is read, of which the rest is left."""
    reading = Reading.of(str(path), 1)
    reading.leave_rest(later_ms, sums)
    assert reading.begin()
    reading.complete()
    return reading


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Its file."""
    path = tmp_path / "program.wasm"
    path.write_bytes(PROGRAM)
    return path


def missing(buffer: bytes, whole: bytes = PROGRAM) -> list[int]:
    """The chunks that are zero; the others are right."""
    found = []
    for at in range(0, len(whole), CHUNK):
        if buffer[at : at + CHUNK] != whole[at : at + CHUNK]:
            assert buffer[at : at + CHUNK] == bytes(len(whole[at : at + CHUNK]))
            found.append(at // CHUNK)
    return found


def test_code_data_names_and_what_is_for_debuggers_are_left_and_nothing_else(program):
    """Sum and size are those of the whole; a chunk that begins or ends such a section is there."""
    reading = left(program)
    data, before, after, total = reading.result()
    assert total == reading.total == sum_of(PROGRAM) and len(data) == before.st_size == after.st_size
    assert reading.has_rest() and reading.buffer is data and reading.result() is None
    gone = missing(data)
    code, same, last = (PROGRAM.index(section(*each)) for each in (SECTIONS[1], SECTIONS[4], SECTIONS[-1]))
    before, between, behind = (
        [n for n in gone if f <= n * CHUNK < t] for f, t in ((code, same), (same, last), (last, 1 << 30))
    )
    assert len(before) >= 6 and len(between) >= 2 and len(behind) >= 3
    assert code // CHUNK < gone[0] and same // CHUNK + 1 < between[0] and len(before + between + behind) == len(gone)


def test_what_is_needed_is_there_then(program):
    """In chunks; twice is once."""
    reading = left(program)
    data = reading.result()[0]
    gone = missing(data)
    for _ in range(2):
        reading.need(gone[2] * CHUNK + 5, gone[2] * CHUNK + 6)
        assert missing(data) == [n for n in gone if n != gone[2]]
    reading.need(gone[0] * CHUNK, gone[1] * CHUNK + 1)
    reading.need(len(PROGRAM) - 1, len(PROGRAM))
    assert missing(data) == gone[3:]
    assert reading.whole() is data and data == PROGRAM


@pytest.mark.parametrize("how", ["flip", "cut", "gone", "replaced"])
def test_what_has_changed_is_refused_and_stays_zero(program, how):
    """Whatever happens to the file: of one that was replaced or removed the open one is read."""
    reading = left(program)
    data = reading.result()[0]
    gone = missing(data)
    if how == "gone":
        program.unlink()
    elif how == "replaced":
        other = program.with_name("other")
        other.write_bytes(bytes(len(PROGRAM)))
        other.rename(program)
    else:
        with open(program, "r+b") as file:
            if how == "cut":
                file.truncate(gone[1] * CHUNK + 100)
            else:
                file.seek(gone[1] * CHUNK + 100)
                file.write(b"\0")
    if how in ("gone", "replaced"):
        assert reading.whole() == PROGRAM
        return
    with pytest.raises(OSError, match="has changed since it was read"):
        reading.need(gone[1] * CHUNK, gone[1] * CHUNK + 1)
    with pytest.raises(OSError, match=str(program)):
        reading.whole()
    assert data[gone[1] * CHUNK : (gone[1] + 1) * CHUNK] == bytes(CHUNK)


def opened(path: Path) -> list[int]:
    """Descriptors of a file."""
    numbers = [int(n) for n in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{n}").exists()]
    return [n for n in numbers if os.path.samestat(os.fstat(n), path.stat())]


def sums_of(whole: bytes) -> bytes:
    """What ``Reading.sums`` gives of such a file, worked out anew: four lanes behind each chunk, and the sum of all."""
    behind, lanes = b"", [0] * 4
    for at in range(0, len(whole), CHUNK):
        chunk = whole[at : at + CHUNK]
        for words in struct.iter_unpack("<4Q", chunk[: len(chunk) // 32 * 32]):
            mixed = [lane ^ word for lane, word in zip(lanes, words, strict=True)]
            lanes = [((m << 31 | m >> 33) * 0x9E3779B97F4A7C15) % (1 << 64) for m in mixed]
        behind += struct.pack("<4Q", *lanes)
    return behind + sum_of(whole)


@pytest.fixture(scope="module")
def known() -> bytes:
    """The sums of the program: on file systems that give none as well, what somebody says of them is checked."""
    return sums_of(PROGRAM)


@pytest.fixture
def settled(program: Path) -> bytes:
    """The sums of its file, which is on the disk."""
    with open(program, "r+b") as file:
        os.fsync(file.fileno())
    reading = left(program)
    reading.result()
    if not (sums := reading.sums()):
        pytest.skip("a change of a file need not show in its times here")
    return sums


def test_the_sums_of_a_file_are_those_behind_its_chunks(settled, known):
    """And that of all."""
    assert settled == known and len(known) == (len(PROGRAM) + CHUNK - 1) // CHUNK * 32 + 8


def changed(path: Path, at: int) -> None:
    """One byte is another."""
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes((PROGRAM[at] ^ 0x80,)))


def test_of_a_file_whose_sums_are_known_what_can_wait_is_not_read(program, known):
    """What is there is the same, and so is what is read when it is wanted."""
    first = left(program)
    gone = missing(first.result()[0])
    reading = left(program, sums=known)
    data, _, _, total = reading.result()
    assert missing(data) == gone and total == reading.total == sum_of(PROGRAM) and reading.sums() == known
    reading.need(gone[0] * CHUNK, gone[0] * CHUNK + 1)
    assert missing(data) == gone[1:] and reading.whole() == PROGRAM and reading.sums() == known
    changed(program, gone[1] * CHUNK + 5)
    reading = left(program, sums=known)
    assert reading.result()[3] == sum_of(PROGRAM), "nobody has looked at that chunk"
    with pytest.raises(OSError, match="has changed since it was read"):
        reading.need(gone[1] * CHUNK, gone[1] * CHUNK + 1)
    assert reading.sums() == b"", "it is not what the next start should believe"


def test_where_what_is_read_has_changed_all_is_read(program, known):
    """Whichever chunk it is, and in the bytes behind the last whole block as well: nothing of the old file is taken."""
    gone = missing(left(program).result()[0])
    there = [n for n in range(len(PROGRAM) // CHUNK + 1) if n not in gone]
    places = [n * CHUNK + 50 for n in there] + [len(PROGRAM) - 1, 0]
    assert there[0] == 0 and there[-1] == len(PROGRAM) // CHUNK and len(PROGRAM) % 32
    for at in places:
        changed(program, at)
        now = program.read_bytes()
        data, _, _, total = left(program, sums=known).result()
        assert total == sum_of(now) != sum_of(PROGRAM)
        assert data == now if at == 0 else set(missing(data, now)) <= {*gone}
        program.write_bytes(PROGRAM)


def test_sums_that_are_wrong_change_nothing(program, known):
    """Of another length, of another file, or damaged."""
    chance = random.Random(3)
    damaged = [bytearray(known) for _ in range(20)]
    for each in damaged:
        each[chance.randrange(len(each))] ^= 1 << chance.randrange(8)
    for sums in (known[:-1], known + b"?", b"?", bytes(len(known)), *map(bytes, damaged)):
        reading = left(program, sums=sums)
        assert reading.result()[3] == sum_of(PROGRAM)
        try:
            assert reading.whole() == PROGRAM
        except OSError:  # the sums of a chunk that can wait are wrong: it is refused
            assert sums[:-8] != known[:-8]


def test_a_page_that_a_mapping_has_changed_may_change_again_without_a_trace(program, settled):
    """Until it is on the disk. The kernel may write it there at any time, and then it is settled."""
    with open(program, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        for _ in range(100):
            mapping[:4] = PROGRAM[:4]
            reading = left(program)
            reading.result()
            if not reading.sums():
                break
        else:
            pytest.fail("it was believed each time")
        mapping.flush()
        os.fsync(file.fileno())
        before = os.stat(program).st_ctime_ns
        time.sleep(0.02)
        mapping[:4] = PROGRAM[:4]
        assert os.stat(program).st_ctime_ns > before, "of one that is clean a change shows"


def test_who_closes_all_files_has_it_read_again_by_its_name(program, monkeypatch):
    """As a process does that leaves its terminal: its folder is another one then."""
    monkeypatch.chdir(program.parent)
    reading = left(Path(program.name))
    assert reading.result()[1].st_size == len(PROGRAM)
    mine = opened(program)
    assert len(mine) == 1
    monkeypatch.chdir("/")
    with open(os.devnull) as other:
        os.dup2(other.fileno(), mine[0])
        assert reading.whole() == PROGRAM
        del reading
        gc.collect()
        assert os.path.samestat(os.fstat(mine[0]), os.fstat(other.fileno())), "it is somebody else's now"
        os.close(mine[0])


def test_what_is_at_its_place_by_then_is_not_waited_for(program):
    """A FIFO, to which nobody writes."""

    def refused() -> bool:
        reading = left(program)
        reading.result()
        os.closerange(3, 1024)
        program.unlink()
        os.mkfifo(program)
        try:
            reading.whole()
        except OSError:
            return True
        return False

    assert forked(refused)


def forged(whole: bytes, chunk: int) -> bytes:
    """Another content of a chunk, behind which the sum of the file is what it was: a second block undoes what the first
    one does to each of its four lanes."""
    odd, most = 0x9E3779B97F4A7C15, (1 << 64) - 1
    lanes = (0, 0, 0, 0)
    begin = chunk * CHUNK
    words = struct.unpack_from(f"<{begin // 8 + 8}Q", whole)

    def behind(lanes: tuple[int, ...], block: tuple[int, ...]) -> tuple[int, ...]:
        mixed = (lane ^ word for lane, word in zip(lanes, block, strict=True))
        return tuple((lane << 31 | lane >> 33) * odd & most for lane in mixed)

    for at in range(0, begin // 8, 4):
        lanes = behind(lanes, words[at : at + 4])
    first, second = words[-8:-4], words[-4:]
    other = tuple(word ^ 1 for word in first)
    undone = tuple(a ^ b ^ c for a, b, c in zip(second, behind(lanes, first), behind(lanes, other), strict=True))
    return struct.pack("<8Q", *other, *undone) + whole[begin + 64 : begin + CHUNK]


def test_what_is_there_never_changes(program):
    """A sum can be forged: of two threads that read different bytes for a chunk the first one wins, since what it has
    put there may have been found valid. A lock that a thread of the parent had when a child was forked is nobody's."""
    reading = left(program)
    data = reading.result()[0]
    first, second = missing(data)[:2]
    others = [forged(PROGRAM, chunk) for chunk in (first, second)]
    with open(program, "r+b") as file:
        file.seek(first * CHUNK)
        file.write(others[0])
    assert sum_of(program.read_bytes()) == sum_of(PROGRAM)
    reading.need(first * CHUNK, first * CHUNK + 1)
    assert data[first * CHUNK : (first + 1) * CHUNK] == others[0] != PROGRAM[first * CHUNK : (first + 1) * CHUNK]
    reading.put(first, PROGRAM[first * CHUNK : (first + 1) * CHUNK])
    assert data[first * CHUNK : (first + 1) * CHUNK] == others[0], "it was put there before"
    reading.put(second, others[1], os.getppid())
    assert data[second * CHUNK : (second + 1) * CHUNK] == others[1]
    reading.need(second * CHUNK, second * CHUNK + 1)
    assert data[second * CHUNK : (second + 1) * CHUNK] == others[1]
    for number, chunk in ((first, b"short"), (1 << 20, others[0])):
        with pytest.raises(ValueError, match="no chunk"):
            reading.put(number, chunk)


def test_a_cycle_with_one_goes_and_closes_its_files(program):
    """The collector clears the others of the cycle: what the thread uses is there until that has ended."""
    reading = left(program, later_ms=3_600_000)
    reading.kept = [reading]
    assert reading.result()[0] and opened(program)
    del reading
    gc.collect()
    assert not opened(program)


def test_a_file_that_is_given_by_pieces_is_summed_up():
    """As some file systems do, among them that of processes."""
    code = "import mmap; many = [mmap.mmap(-1, 4096) for _ in range(300)]; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            other.stdout.readline()
            with open(f"/proc/{other.pid}/maps", "rb", buffering=0) as file:
                data = b"".join(iter(lambda: file.read(1 << 20), b""))
                size = len(data) // 32 * 32
                assert sum_of_file(file.fileno(), 0, size) == sum_of(data[:size])
                assert sum_of_file(file.fileno(), 0, size + 32) == b"", "it ends before that"
        finally:
            other.kill()


def test_the_rest_is_read_later_where_that_was_said(program):
    """Then the file may be written anew."""
    reading = left(program, later_ms=1)
    data = reading.result()[0]
    deadline = time.monotonic() + 30
    while missing(data):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    program.write_bytes(b"another")
    assert reading.whole() == PROGRAM
    waits = left(program, later_ms=3_600_000)  # what is not wanted any more ends at once
    del waits


def test_a_child_that_was_forked_reads_it_as_well(program):
    """It has no thread."""
    reading = left(program, later_ms=3_600_000)
    data = reading.result()[0]
    assert forked(lambda: bool(missing(data)) and reading.whole() == PROGRAM) and missing(data)


@pytest.mark.parametrize(("there", "names"), [(0, {}), (8, {"module": "m"}), (99, {"module": "m", "funcs": {5: "f"}})])
def test_names_that_cannot_be_read_any_more_are_left_out(there, names):
    """They are for people: who tells of a trap ends with no other error."""
    data = section(0, b"\1m") + section(1, b"\1\5\1f")

    class Rest:
        def need(self, first, last):
            if last > there:
                raise OSError("the file has changed")

    found = unread_names((data, DEFAULT_LIMITS, 0, len(data), Rest()))
    assert {kind: value for kind in ("module", "funcs") if (value := getattr(found, kind))} == names


@pytest.mark.parametrize("data", [b"(module)" * 20_000, b"\x89s" + bytes(CHUNK), PROGRAM[:CHUNK], b"\0asm"])
def test_of_anything_else_all_is_kept(tmp_path, data):
    """Text, small images, and what has nothing that can wait."""
    path = tmp_path / "file"
    path.write_bytes(data)
    found = left(path).result()
    assert found[0] == data and found[3] == sum_of(data)


@pytest.mark.parametrize("damage", [b"\x0a\xff\xff\xff\xff\x0f", b"\x0a\xff\xff\xff\xff\xff\xff", b"\x0a", b"\x0b\x80"])
def test_sections_that_do_not_fit_leave_nothing(tmp_path, damage):
    """What they say is for the decoder to judge."""
    path = tmp_path / "file"
    data = binary_of((TYPES, content(1))) + damage + content(2)
    path.write_bytes(data)
    assert left(path).result()[0] == data


def test_chance_finds_nothing_that_is_wrong(tmp_path):
    """Sections of any order and size: what is there is right, and all of it in the end."""
    chance = random.Random(5)
    for _ in range(40):
        sections = [
            (chance.choice((CODE, DATA, CUSTOM, TYPES)), content(chance.randrange(3), chance.choice((b"", b"\4name"))))
            for _ in range(chance.randrange(1, 12))
        ]
        data = binary_of(*sections)
        path = tmp_path / "file"
        path.write_bytes(data)
        reading = left(path)
        found = reading.result()
        missing(found[0], data)
        assert found[3] == sum_of(data)
        for _ in range(3):
            first = chance.randrange(len(data))
            last = chance.randrange(first, len(data)) + 1
            reading.need(first, last)
            assert found[0][first:last] == data[first:last]
        assert reading.whole() == data


def test_a_file_that_changes_while_it_is_read_is_read_anew(program, monkeypatch):
    """In one go, and nothing is known of its file."""
    reading = left(program)
    plain = os.fstat
    monkeypatch.setattr(os, "fstat", lambda number: (os.utime(number), plain(number))[1])
    source = read_source(reading)
    assert source.binary == PROGRAM and source.rest is None and source.file is None
