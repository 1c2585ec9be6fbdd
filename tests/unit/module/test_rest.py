"""Claims about binaries of which only what loading reads is kept: the rest is read when somebody asks for it, and is
what it was, or it is refused.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from stratavm.engine.source import read_source
from stratavm.module.reader import Reading, sum_of

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


def left(path: Path, later_ms: int = 0) -> Reading:
    """A file that is read, of which the rest is left."""
    reading = Reading.of(str(path), 1)
    reading.leave_rest(later_ms)
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


def test_who_closes_all_files_has_it_read_again_by_its_name(program, monkeypatch):
    """As a process does that leaves its terminal: its folder is another one then."""
    monkeypatch.chdir(program.parent)
    reading = left(Path(program.name))
    assert reading.result()[1].st_size == len(PROGRAM)
    mine = [int(n) for n in os.listdir("/proc/self/fd") if Path(f"/proc/self/fd/{n}").exists()]
    mine = [n for n in mine if os.path.samestat(os.fstat(n), program.stat())]
    assert len(mine) == 1
    monkeypatch.chdir("/")
    with open(os.devnull) as other:
        os.dup2(other.fileno(), mine[0])
        assert reading.whole() == PROGRAM


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
    child = os.fork()
    if not child:
        code = 1
        try:
            code = 0 if missing(data) and reading.whole() == PROGRAM else 2
            del reading, data
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0 and missing(data)


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
