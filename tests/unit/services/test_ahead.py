"""Claims about entries that are read while a command is imported: they are what they would be when asked for."""

from __future__ import annotations

import gc
import mmap
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stratavm import Engine, Linker, Module, Store
from stratavm.base.files import stamp_of
from stratavm.engine import codecache, keptimage
from stratavm.engine.codecache import CodeNotKept, CodeRestored, ImageRestored
from stratavm.module.reader import Reading, sum_of_file
from stratavm.services import diskcache
from stratavm.services.ahead import KNOWN, READ, ROW_BYTES, SUM, look_ahead
from stratavm.services.diskcache import DiskCache, default_folders, digest
from stratavm.testing import EventRecorder

pytestmark = pytest.mark.usefixtures("home")

COUNT = 40


@pytest.fixture(scope="module")
def binary() -> bytes:
    """A program whose code takes more than is read by the way."""
    stores = "".join(f"(i32.store (i32.const {8 * n}) (i32.const {n}))" for n in range(150))
    functions = "".join(f'(func (export "f{n}") (result i32) {stores} (i32.const {n}))' for n in range(COUNT))
    padding = f'(data "{"x" * (1 << 16)}")'
    return Module(f"(module (memory 1) {functions} {padding})", engine=Engine(cache=False)).model.binary


@pytest.fixture
def program(tmp_path: Path, binary: bytes, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its file, which counts as left alone for long from the first start on, however quick the machine is."""
    path = tmp_path / "program.wasm"
    path.write_bytes(binary)
    monkeypatch.setattr(codecache, "SETTLED_NS", -(1 << 62))
    return path


def started(program: Path, folder: str | None = None, way: str = "") -> tuple[Reading, list[str], list[object]]:
    """Start the program as the command does; what was begun, the labels of entries that were read when they were asked
    for, and what was said. The answers are right."""
    reading = Reading.of(str(program), 1)
    look_ahead(reading, folder, way)
    reading.begin()
    late: list[str] = []
    plain = DiskCache._read_open

    def note(self: DiskCache, file: int, key: bytes) -> tuple[bytes, bytes | None, str]:
        label, content, why = plain(self, file, key)
        late.append(label[1:].decode())
        return label, content, why

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiskCache, "_read_open", note)
        engine = Engine(cache=folder or True, tier="jit0")
        with EventRecorder(engine.bus) as recorder:
            module = Module(reading, engine=engine)
            exports = Linker(engine).instantiate(Store(engine), module).exports
            assert [exports[f"f{n}"]() for n in range(COUNT)] == [*range(COUNT)]
            del module, exports
            gc.collect()
            engine.bus.drain()
    return reading, late, recorder.events


def of(events: list[object], kind: type) -> list[object]:
    """Those of one kind."""
    return [event for event in events if isinstance(event, kind)]


def entry_of(home: Path, label: str) -> Path:
    """The file of an entry."""
    disk = DiskCache(*default_folders())
    return next(
        Path(disk.folder, f"{entry.key}.entry")
        for entry in disk.entries()
        if (disk.label(bytes.fromhex(entry.key)) or "").startswith(label)
    )


def test_what_a_start_took_the_next_one_reads_early(program):
    """The first one has nothing to take, and says what the second one will; small entries are read when they are asked
    for."""
    reading, _, said = started(program)
    assert reading.kept.known == b"" and not of(said, CodeRestored)
    for _ in range(3):
        reading, late, said = started(program)
        assert len(reading.kept.known) == ROW_BYTES and of(said, CodeRestored)
        assert "code of program.wasm" not in late and "skeleton of program.wasm" in late


def test_who_takes_the_same_writes_nothing(program, monkeypatch):
    """What stands there is right."""
    for _ in range(3):
        started(program)
    written = []
    monkeypatch.setattr(DiskCache, "keep", lambda *given: written.append(given))
    started(program)
    assert written == []


def on_disk(program: Path) -> None:
    """The kernel has nothing to write of it any more."""
    with open(program, "r+b") as file:
        os.fsync(file.fileno())


def test_the_sums_of_a_file_that_is_settled_are_kept(program, monkeypatch):
    """With them the next start reads no more of it than it wants."""
    on_disk(program)
    for _ in range(2):
        started(program)
    reading, _, said = started(program)
    sums = reading.sums()
    if not sums:
        pytest.skip("a change of a file need not show in its times here")
    assert reading.kept.known[ROW_BYTES:] == KNOWN + sums and of(said, CodeRestored)
    monkeypatch.setattr(codecache, "SETTLED_NS", 1 << 60)
    for _ in range(2):  # changed a moment ago, it is not believed, nor are they kept
        reading, _, said = started(program)
        assert reading.sums() == sums and of(said, CodeRestored)
    assert len(reading.kept.known) == ROW_BYTES


def test_a_file_that_was_changed_through_a_mapping_is_another_one(program, binary):
    """Of a file that was on the disk its times show it; nobody has closed anything."""
    on_disk(program)
    for _ in range(3):
        started(program)
    at = binary.rindex(b"\x41\x27\x0b")  # i32.const 39, end: what the last function returns
    time.sleep(0.02)  # more than a tick of the kernel's clock of files
    with open(program, "r+b") as file, mmap.mmap(file.fileno(), 0) as mapping:
        mapping[at + 1] = 0x28
        reading = Reading.of(str(program), 1)
        look_ahead(reading, None, "")
        reading.begin()
        engine = Engine(tier="jit0")
        exports = Linker(engine).instantiate(Store(engine), Module(reading, engine=engine)).exports
        assert exports[f"f{COUNT - 1}"]() == 0x28


@pytest.mark.parametrize("how", ["flip", "label", "cut", "longer", "gone", "link", "other key", "of another"])
def test_what_is_damaged_is_not_used(program, home, how):
    """It is a miss, as when it is read late; it is said, and goes."""
    for _ in range(3):
        started(program)
    file = entry_of(home, "code of")
    whole = file.read_bytes()
    damaged = bytearray(whole)
    if how == "flip":
        damaged[-100] ^= 1
    elif how == "label":
        damaged[diskcache.HEAD_BYTES + 3] ^= 1
    elif how == "cut":
        del damaged[-1000:]
    elif how == "longer":
        damaged += b"more"
    file.unlink()
    if how == "link":
        (home / "elsewhere").write_bytes(whole)
        file.symlink_to(home / "elsewhere")
    elif how == "other key":
        other = DiskCache(str(home / "cache/stratavm/code"), str(home / "other"))
        other.keep(bytes.fromhex(file.stem), whole[200:], "code of program.wasm")
    elif how == "of another":
        file.write_bytes(entry_of(home, "skeleton of").read_bytes())
    elif how != "gone":
        file.write_bytes(damaged)
    _, _, said = started(program)
    assert not of(said, CodeRestored)
    assert bool(of(said, CodeNotKept)) == (how != "gone")
    assert of(started(program)[2], CodeRestored)


def test_what_is_said_of_a_start_is_believed_by_its_mark_and_may_be_anything(program, home):
    """Wrong keys lead nowhere; the right ones are found as ever."""
    for _ in range(3):
        reading, _, _ = started(program)
    disk = DiskCache(*default_folders())
    code = bytes.fromhex(entry_of(home, "code of").stem)
    skeleton = bytes.fromhex(entry_of(home, "skeleton of").stem)
    other = READ + digest(b"x")
    rows = (other, other * 50, (READ + code) * 2 + READ + skeleton, SUM + code, SUM + skeleton + SUM + other, b"odd")
    for row in (*rows, READ + code[:31], b"?" + code):
        disk.keep(reading.kept.place, row)
        _, late, said = started(program)
        assert of(said, CodeRestored) and ("code of program.wasm" in late) == (row[1:33] != code or row[:1] == SUM)
    assert len(started(program)[0].kept.known) == ROW_BYTES  # it was put right


def test_an_entry_that_is_replaced_meanwhile_is_one_or_the_other(program, home):
    """Entries are never changed: what was opened is what is read."""
    for _ in range(3):
        started(program)
    reading = Reading.of(str(program), 1)
    look_ahead(reading, None, "")
    file = entry_of(home, "code of")
    whole = file.read_bytes()
    file.unlink()
    file.write_bytes(b"nothing")
    reading.begin()
    assert reading.kept.disk.find(bytes.fromhex(file.stem)) == (whole[whole.index(b"wasm") + 4 :], "")
    assert reading.kept.disk.find(bytes.fromhex(file.stem))[0] is None


PAGES = "".join(f'(data (i32.const {n * 65536}) "{chr(97 + n) * 65536}")' for n in range(20))


@pytest.mark.parametrize("how", ["right", "flip", "replaced", "gone"])
def test_the_sum_of_a_memory_is_found_early(program, home, monkeypatch, how):
    """Of the file that is mapped then; pages that are not what they were are not used."""
    program.write_bytes(Module(f'(module (memory (export "memory") 20) {PAGES})', Engine(cache=False)).model.binary)
    late = []
    plain = keptimage.sum_of_file
    monkeypatch.setattr(keptimage, "sum_of_file", lambda *given: late.append(given) or plain(*given))

    def start(early: bool) -> bool:
        reading = Reading.of(str(program), 1)
        look_ahead(reading, None, "")
        if how == "replaced" and early:
            pages.unlink()
            pages.write_bytes(damaged)
        reading.begin()
        late.clear()
        engine = Engine()
        with EventRecorder(engine.bus) as recorder:
            module = Module(reading, engine=engine)
            memory = Linker(engine).instantiate(Store(engine), module).exports.memory
            assert [memory[n * 65536 + 5] for n in range(20)] == [97 + n for n in range(20)]
            del module, memory
            gc.collect()
            engine.bus.drain()
        return bool(of(recorder.events, ImageRestored))

    assert [start(False) for _ in range(4)] == [False, False, True, True] and late == []
    pages = entry_of(home, "memory pages of")
    damaged = bytearray(pages.read_bytes())
    damaged[-50_000] ^= 1
    if how == "flip":
        pages.write_bytes(damaged)
    elif how == "gone":
        pages.unlink()
    assert start(True) == (how in ("right", "replaced")) and late == []
    start(False)
    assert start(False)


@pytest.mark.parametrize("what", ["file", "way", "folder"])
def test_another_program_or_way_has_its_own(program, home, what):
    """A file that was touched is another one, until it is known to be the same."""
    for _ in range(3):
        started(program)
    if what == "file":
        os.utime(program)
    reading, _, said = started(program, str(home / "own") if what == "folder" else None, "w" if what == "way" else "")
    assert reading.kept.known == b"" and bool(of(said, CodeRestored)) == (what != "folder")


def test_a_folder_that_cannot_be_used_is_left_to_who_asks(program, home):
    """He says so."""
    (home / "cache/stratavm").mkdir(parents=True)
    (home / "cache/stratavm/code").mkdir(mode=0o755)
    reading = Reading.of(str(program), 1)
    look_ahead(reading, None, "")
    assert reading.kept is None and reading.begin()


def test_a_folder_that_cannot_be_written_is_read(program, monkeypatch):
    """What a start took is not worth a word."""

    def refuse(*given: object) -> None:
        raise OSError(30, "Read-only file system")

    for _ in range(2):
        started(program)
    monkeypatch.setattr("stratavm.services.ahead.Ahead.note", refuse)
    assert not of(started(program)[2], CodeNotKept)


EARLY = """
import os, sys
from stratavm.base.files import stamp_of
from stratavm.base.files import stamp_of
from stratavm.module.reader import Reading, sum_of_file
from stratavm.services import ahead
path, begins, folder = sys.argv[1:]
plain = stamp_of(folder, *ahead.STAMPED[1:])
ahead.STAMPED = folder, *ahead.STAMPED[1:]
reading, other = Reading.of(path, 1), Reading.of(path, 1)
if begins:
    reading.begin()
ahead.look_ahead(reading, None, "")
reading.complete()
ahead.look_ahead(other, None, "")
if begins:
    reading.result()  # the thread has ended
with open(os.path.join(folder, "b.py"), "w") as file:
    file.write("x")
print(ahead.stamp() == plain, ahead.stamp() == plain)
ahead.look_ahead(Reading.of(path, 1), None, "")
print(ahead.stamp() == plain)
"""


@pytest.mark.parametrize("begins", ["", "begins"])
def test_the_files_of_the_package_are_looked_at_by_the_thread_that_reads(program, tmp_path, begins):
    """Once; where there is no thread, and for who asks again, they are looked at then."""
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a.py").write_text("one")
    command = [sys.executable, "-c", EARLY, program, begins, folder]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.split() == [str(bool(begins)), "False", "False"]


def test_a_folder_that_cannot_be_looked_at_is_said_by_who_asks(program, tmp_path):
    """As ever; the thread says nothing."""
    command = [sys.executable, "-c", EARLY.replace("plain = ", "plain = None  # "), program, "begins", tmp_path / "no"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith("FileNotFoundError: [Errno 2]")


def test_parts_are_read_that_are_added_while_the_thread_runs(program, tmp_path):
    """In their order, until there are no more; and what is added then is refused."""
    other = tmp_path / "other"
    other.write_bytes(bytes(range(256)) * 300)
    for waits in (False, True):
        reading = Reading.of(str(program), 1)
        early = reading.add_sum(os.open(other, os.O_RDONLY), 0, 320)
        assert reading.begin()
        if waits:  # it has read the file, and waits
            time.sleep(0.05)
        late = reading.add(os.open(other, os.O_RDONLY), 256, 512, bytes(32), b"")
        folder = reading.add_stamp(str(tmp_path), (".wasm", ".so"), "none")
        reading.complete()
        reading.complete()
        with pytest.raises(ValueError, match="no folder"):
            reading.add_stamp(str(tmp_path), (".py", ".so"), "none")
        with pytest.raises(ValueError, match="no part"):
            reading.add_sum(0, 0, 32)
        assert reading.part(early) == (b"", sum_of_file(os.open(other, os.O_RDONLY), 0, 320))
        assert reading.part(late)[0] == bytes(range(256)) * 2 and reading.part(late) is None
        assert reading.stamp(folder) == stamp_of(str(tmp_path), (".wasm", ".so"), "none")
        assert reading.stamp(early) is reading.stamp(7) is reading.part(folder) is None
        assert reading.result()[0] == program.read_bytes()


def test_who_forgets_to_say_that_there_are_no_more_waits_for_nothing(program):
    """Whoever asks for something has said so; and whoever lets go."""
    reading = Reading.of(str(program), 1)
    assert reading.begin() and reading.result()[0] == program.read_bytes()
    forgotten = Reading.of(str(program), 1)
    assert forgotten.begin()
    del forgotten
