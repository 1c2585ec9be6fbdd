"""Claims about ``stratavm.run``: whatever a program does, in this process or in its own, the result says it."""

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import stratavm
import stratavm.wasi
from stratavm.sandbox import execute, isolated, report, timing
from stratavm.sandbox.arguments import Arguments, checked
from tests.unit.sandbox.test_report import asked

HEAD = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_filestat_set_times"
    (func $times (param i32 i32 i32 i32 i64 i64 i32) (result i32)))
  (memory (export "memory") 2)
  (func $print (param $fd i32) (param $at i32) (param $size i32)
    (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size))
    (drop (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8))))
  (data (i32.const 16) "hello\\n") (data (i32.const 32) "oops\\n") (data (i32.const 48) "in.txt")
  (data (i32.const 64) "new")
  (func (export "_start") """

SAY = "(call $print (i32.const 1) (i32.const 16) (i32.const 6)) "
FAIL = "(call $print (i32.const 2) (i32.const 32) (i32.const 5)) "
ECHO = """
  (i32.store (i32.const 80) (i32.const 256)) (i32.store (i32.const 84) (i32.const 1024))
  (drop (call $read (i32.const {fd}) (i32.const 80) (i32.const 1) (i32.const 88)))
  (call $print (i32.const 1) (i32.const 256) (i32.load (i32.const 88)))"""
OPEN = """
  (i32.store8 (i32.const 128) (i32.add (i32.const 48) (call $open (i32.const 3) (i32.const 0) (i32.const {name})
    (i32.const {size}) (i32.const {flags}) (i64.const {rights}) (i64.const 0) (i32.const 0) (i32.const 100))))"""


def program(body: str) -> str:
    """A program of these instructions."""
    return f"{HEAD}{body}))"


@pytest.fixture(params=[False, True], ids=["here", "isolated"])
def isolate(request):
    """Whether to run in a process of its own."""
    return request.param


@pytest.fixture
def run(isolate):
    """``stratavm.run``, both ways; text unless asked otherwise."""

    def call(body: str, *args: object, **options: object):
        return stratavm.run(program(body), *args, **{"text": True, "isolate": isolate, **options})

    return call


def test_a_program_that_returns(run):
    """Its outputs apart, code 0."""
    done = run(SAY + FAIL)
    assert (done.stdout, done.stderr, done.code, done.reason) == ("hello\n", "oops\n", 0, "exit")
    assert (done.truncated, done.fuel_used, done.message, done.ok) == (False, None, "", True)
    assert 0 < done.seconds < 60
    assert run(SAY, text=False).stdout == b"hello\n"


@pytest.mark.parametrize("code", [0, 3, 300])
def test_an_exit_is_no_exception(run, code):
    """Whatever its code; 0 is no failure."""
    done = run(f"{SAY}(call $exit (i32.const {code})) unreachable")
    assert (done.stdout, done.code, done.reason, done.ok) == ("hello\n", code, "exit", code == 0)


@pytest.mark.parametrize(
    ("body", "options", "reason", "code", "words"),
    [
        ("unreachable", {}, "trap", 134, "unreachable (in "),
        ("(call $deep)", {}, "trap", 134, "call stack exhausted"),
        ("(loop (br 0))", {"fuel": 10_000}, "fuel", 134, "all fuel consumed"),
        ("(drop (memory.grow (i32.const 9))) unreachable", {"max_memory": 1 << 18}, "memory", 134, "refused"),
    ],
)
def test_reasons(run, body, options, reason, code, words):
    """What was written before is there."""
    done = run(f"{SAY}{body}) (func $deep (call $deep) (call $deep)", **options)
    assert (done.stdout, done.reason, done.code, done.ok) == ("hello\n", reason, code, False)
    assert words in done.message


def test_time_that_is_over(run):
    """However slowly the machine got to the program."""
    done = run(f"{SAY}(loop (br 0))", timeout=0.5)
    assert (done.reason, done.code, done.ok) == ("timeout", 124, False)
    assert done.stdout in ("", "hello\n")
    assert done.message


def test_memory_that_a_program_begins_with(run):
    """More than it may have: it never ran."""
    done = run(SAY, max_memory=65536)
    assert (done.stdout, done.reason, done.code) == ("", "memory", 134)
    assert "131072" in done.message or "2 pages" in done.message or "memory" in done.message


def test_tables_count_as_memory(run):
    """Nine million elements are no way around the limit."""
    done = run(f"{SAY}) (table 9000000 funcref) (func", max_memory=1 << 20, max_output=0)
    assert (done.stdout, done.reason, done.code) == ("", "memory", 134)


def test_a_trap_after_memory_was_given_is_a_trap(run):
    """Only the latest request counts: a program that was refused, asked for less and got it has its memory."""
    grow = "(drop (memory.grow (i32.const {})))"
    assert run(grow.format(9) + grow.format(1) + "unreachable", max_memory=1 << 18).reason == "trap"
    assert run(grow.format(9) + SAY, max_memory=1 << 18).reason == "exit"


def test_fuel_is_counted_when_it_is_given(run):
    """The same both ways."""
    assert run(SAY, fuel=1000).fuel_used == 15


def test_output_over_the_quota_is_cut(run):
    """And says so; the program goes on, and each output has the quota for itself."""
    done = run(SAY + SAY + FAIL + "(call $exit (i32.const 5))", max_output=8)
    assert (done.stdout, done.stderr, done.truncated, done.code) == ("hello\nhe", "oops\n", True, 5)
    assert not run(SAY, max_output=6).truncated
    assert run(SAY, max_output=0).truncated


def test_text_that_is_no_text(run):
    """Bytes that are not UTF-8 become replacement characters."""
    body = "(i32.store8 (i32.const 16) (i32.const 255))" + SAY
    assert run(body).stdout == "\ufffdello\n"
    assert run(body, text=False).stdout == b"\xffello\n"


@pytest.mark.parametrize("kind", ["str", "bytes", "file", "buffer", "nothing"])
def test_standard_input(run, kind, tmp_path):
    """Text, bytes, an open file, a file in memory; nothing is an empty one."""
    (tmp_path / "in").write_bytes(b"h\xc3\xa9")
    with open(tmp_path / "in", "rb") as file:
        given = {"str": "hé", "bytes": "hé".encode(), "file": file, "buffer": io.BytesIO("hé".encode())}
        assert run(ECHO.format(fd=0), stdin=given.get(kind)).stdout == ("" if kind == "nothing" else "hé")


def test_arguments_and_variables(run):
    """The program's name comes first; nothing of the host's variables does."""
    shown = (
        "(drop (call ${} (i32.const 200) (i32.const 256))) (call $print (i32.const 1) (i32.const 256) (i32.const {}))"
    )
    assert run(shown.format("args", 11), ["a", "é"]).stdout == "module\0a\0é"
    assert run(shown.format("environ", 5), env={"A": "b"}).stdout == "A=b\0\0"


def test_files_in_memory(run):
    """At the root of the guest, readable and writable; the host sees nothing of it."""
    body = OPEN.format(name=48, size=6, flags=0, rights=2) + ECHO.format(fd=4)
    assert run(body, files={"/in.txt": "content"}).stdout == "content"
    body = (
        OPEN.format(name=64, size=3, flags=1, rights=64) + "(call $print (i32.const 1) (i32.const 128) (i32.const 1))"
    )
    assert run(body, files={}).stdout == "0"
    assert run(body).stdout == "8"  # BADF: there is no folder


@pytest.mark.parametrize(("rights", "made"), [(None, False), ("ro", False), ("rw", True)])
@pytest.mark.parametrize("form", ["mapping", "pairs"])
def test_folders_of_the_host(run, tmp_path, rights, made, form):
    """Read only unless they say ``rw``."""
    (tmp_path / "in.txt").write_text("content")
    guest = "/d" if rights is None else ("/d", rights)
    triple = (tmp_path, "/d") if rights is None else (tmp_path, "/d", rights)
    dirs = {tmp_path: guest} if form == "mapping" else [triple]
    body = OPEN.format(name=48, size=6, flags=0, rights=2) + ECHO.format(fd=4)
    body += OPEN.format(name=64, size=3, flags=1, rights=64)
    assert run(body, dirs=dirs).stdout == "content"
    assert (tmp_path / "new").exists() == made


def test_times_of_files_can_be_set(run, tmp_path):
    """Behind the wall by a descriptor: the call that takes a path is not held back by Landlock."""
    (tmp_path / "in.txt").write_text("content")
    (tmp_path / "new").mkdir()
    times = "(drop (call $times (i32.const 3) (i32.const 0) {} (i64.const 0) (i64.const 5000000000) (i32.const 4)))"
    names = ("(i32.const 48) (i32.const 6)", "(i32.const 64) (i32.const 3)")
    assert run("".join(times.format(name) for name in names), dirs={tmp_path: ("/d", "rw")}).ok
    assert [(tmp_path / name).stat().st_mtime for name in ("in.txt", "new")] == [5, 5]


def test_a_module_can_be_anything(isolate, tmp_path):
    """A path of either type, bytes, text, or a ``Module``; a path gives the program its name."""
    body = (
        "(drop (call $args (i32.const 200) (i32.const 256))) (call $print (i32.const 1) (i32.const 256) (i32.const 6))"
    )
    module = stratavm.Module(program(body))
    (tmp_path / "my.wasm").write_bytes(module.model.binary)
    for given in (str(tmp_path / "my.wasm"), tmp_path / "my.wasm", module, program(body), module.model.binary):
        done = stratavm.run(given, isolate=isolate)
        assert (done.code, len(done.stdout)) == (0, 6)
        assert done.stdout.startswith(b"my.wa") == isinstance(given, Path) or isinstance(given, str)


def test_check_raises_with_the_result(run):
    """And says how the program ended, and the last line that it wrote to its standard error."""
    with pytest.raises(stratavm.GuestFailed, match=r"code 3.*oops") as caught:
        run(SAY + FAIL + "(call $exit (i32.const 3))", check=True)
    assert caught.value.completed.stdout == "hello\n"
    with pytest.raises(stratavm.GuestFailed, match="trap: unreachable"):
        run("unreachable", check=True, text=False)
    assert run("(call $exit (i32.const 0))", check=True).ok
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.completed) == (str(caught.value), caught.value.completed)


@pytest.mark.parametrize(
    ("module", "kind", "words"),
    [
        ("(module", stratavm.ParseError, "end of the text"),
        (b"\0asm\2\0\0\0", stratavm.DecodeError, "version"),
        ("(module (func (result i32)))", stratavm.ValidationError, "i32"),
        ('(module (func (export "f")))', stratavm.LinkError, "no function _start.*f.*stratavm.load"),
        ('(module (import "a" "b" (func)) (func (export "_start")))', stratavm.LinkError, "a"),
        ("missing.wasm", FileNotFoundError, "missing.wasm"),
    ],
)
def test_what_is_no_program_raises(module, kind, words, isolate):
    """As it does in this process, with what the error knows."""
    with pytest.raises(kind, match=words) as caught:
        stratavm.run(module, isolate=isolate)
    if kind is stratavm.ParseError:
        assert caught.value.line == 1
    if kind is FileNotFoundError:
        assert caught.value.filename == "missing.wasm"


def test_a_program_of_its_own_may_have_a_gibibyte():
    """Where nothing else is said; what the process may have is more."""
    grow = "(call $exit (i32.eq (memory.grow (i32.const {})) (i32.const -1)))"
    assert stratavm.run(program(grow.format(16382)), isolate=True).code == 0
    assert stratavm.run(program(grow.format(16383)), isolate=True).code == 1


def test_a_folder_that_is_not_there_raises(isolate, tmp_path):
    """With its name."""
    with pytest.raises(FileNotFoundError, match="absent"):
        stratavm.run(program(SAY), dirs={str(tmp_path / "absent"): "/d"}, isolate=isolate)


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"args": "-c"}, TypeError, "args must be a list of strings such as .* got \"?'-c'"),
        ({"args": b"-c"}, TypeError, "list of strings"),
        ({"args": 5}, TypeError, "list of strings"),
        ({"args": ["a", 1]}, TypeError, r"args\[1\] must be a string, got 1"),
        ({"args": ["a\0"]}, ValueError, "NUL"),
        ({"env": ["A=b"]}, TypeError, "env must be a mapping"),
        ({"env": {"A": 1}}, TypeError, "env.'A'. must be a string, got 1"),
        ({"stdin": 5}, TypeError, "stdin must be"),
        ({"stdin": io.StringIO("x")}, TypeError, "text.buffer"),
        ({"stdin": io.RawIOBase()}, ValueError, "stdin must be open for reading"),
        ({"files": ["a"]}, TypeError, "files must map paths"),
        ({"files": {"a": 1}}, TypeError, "content of 'a' is int"),
        ({"files": {1: b""}}, TypeError, "path 1"),
        ({"files": {"../a": b""}}, ValueError, "not the path of a file"),
        ({"files": {"/": b""}}, ValueError, "not the path of a file"),
        ({"dirs": "/data"}, TypeError, "dirs must be a mapping"),
        ({"dirs": ["/data"]}, TypeError, "dirs: expected .* got '/data'"),
        ({"dirs": {"/data": True}}, TypeError, "dirs: the guest's path .* got True"),
        ({"dirs": {"/data": ("/d", "w")}}, ValueError, "dirs: the mode of '/d' must be 'ro' or 'rw', got 'w'"),
        ({"dirs": {stratavm.wasi.MemoryTree(): "/d"}}, TypeError, "files="),
        ({"dirs": {"/usr": "/d/", "/etc": "/d"}}, ValueError, "cannot both be at '/d'"),
        ({"dirs": {"/usr": "/"}, "files": {}}, ValueError, "where `files` are"),
        ({"files": {"a/b": "1", "/a//b": "2"}}, ValueError, "'/a//b' is given twice, it is the same as 'a/b'"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": True}, TypeError, "timeout must be a number of seconds"),
        ({"timeout": float("nan")}, ValueError, "timeout must be a number of seconds, got nan"),
        ({"fuel": 1.5}, TypeError, "fuel must be a whole number of units"),
        ({"fuel": 1 << 63}, ValueError, "fuel must be between"),
        ({"max_memory": -1}, ValueError, "max_memory must be between"),
        ({"max_memory": "64M"}, TypeError, "max_memory must be a whole number of bytes"),
        ({"max_output": None}, TypeError, "max_output must be a whole number"),
    ],
)
def test_arguments_are_checked(options, kind, words):
    """Before anything happens, with what is expected and what was found."""
    with pytest.raises(kind, match=words):
        stratavm.run(program(SAY), **options)


def test_a_module_is_something():
    """Not a number, nor an open file."""
    for wrong in (5, None, io.BytesIO()):
        with pytest.raises(TypeError, match="module must be a path"):
            stratavm.run(wrong)
    with pytest.raises(TypeError, match=r"got list; its arguments stand apart: run\(module, \[\.\.\.\]\)"):
        stratavm.run(["app.wasm", "x"])


def test_fuel_needs_an_engine_that_counts():
    """A ``Module`` has an engine already."""
    with pytest.raises(ValueError, match=r"Engine\(fuel=True\)"):
        stratavm.run(stratavm.Module(program(SAY)), fuel=5)
    engine = stratavm.Engine(fuel=True)
    assert stratavm.run(stratavm.Module(program(SAY), engine=engine), fuel=100).fuel_used == 15


def test_threads_run_programs_side_by_side(isolate):
    """Each gets its own output and its own reason."""
    spin, say = program("(loop (br 0))"), program(SAY)

    def one(number):
        return stratavm.run(*((spin,) if number % 2 else (say,)), timeout=0.5 if number % 2 else 60, isolate=isolate)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, range(8)))
    assert [done.reason for done in results] == ["exit", "timeout"] * 4
    assert [done.stdout for done in results] == [b"hello\n", b""] * 4


CTRL_C = """
import os, signal, sys, threading, time, stratavm

isolate = sys.argv[2] == "True"

def children():
    return open(f"/proc/self/task/{os.getpid()}/children").read()

def press():
    while isolate and not children():
        time.sleep(0.01)
    time.sleep(0.7)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
try:
    print(stratavm.run(sys.argv[1], isolate=isolate, timeout=100))
except KeyboardInterrupt:
    print("for the host", repr(children()))
"""


def test_ctrl_c_is_for_the_host(isolate):
    """It comes out as ever, and leaves no process."""
    command = [sys.executable, "-c", CTRL_C, program("(loop (br 0))"), str(isolate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert (done.stdout, done.returncode) == ("for the host ''\n", 0), done.stderr


def children() -> list[int]:
    """Processes that threads of this one started."""
    found = []
    for task in os.listdir("/proc/self/task"):
        try:
            found += map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
        except FileNotFoundError:
            continue
    return found


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (signal.SIGTERM, "interrupt", "SIGTERM"),
        (signal.SIGINT, "interrupt", "SIGINT"),
        (signal.SIGKILL, "interrupt", "SIGKILL"),
        (signal.SIGABRT, "trap", "crashed: SIGABRT"),
    ],
)
def test_who_ends_the_process_is_told_apart(number, reason, words, tmp_path):
    """Somebody who asks it to end interrupts it; a crash is a trap."""
    before, results = set(children()), []
    reading, writing = os.pipe()
    spin = program(ECHO.format(fd=0) + "(loop (br 0))")
    with open(reading, "rb") as stdin:
        thread = threading.Thread(target=lambda: results.append(stratavm.run(spin, stdin=stdin, isolate=True)))
        thread.start()
        until = time.monotonic() + 60
        while not (started := set(children()) - before) and time.monotonic() < until:
            time.sleep(0.01)
        os.write(writing, b"x" * 10)
        os.close(writing)
        while bytes_waiting(stdin) and time.monotonic() < until:  # until the guest has read it
            time.sleep(0.01)
        os.kill(started.pop(), number)
        thread.join(60)
    (done,) = results
    assert (done.reason, words in done.message) == (reason, True), done
    assert done.code == (130 if number == signal.SIGINT else 128 + number)


def bytes_waiting(file: io.BufferedReader) -> int:
    """What nobody has read yet."""
    from stratavm.wasi.streams import bytes_waiting as waiting

    return waiting(file.fileno())


def test_a_process_killed_for_want_of_memory(monkeypatch):
    """The system's counter tells it from one that somebody killed."""
    counts = iter([4, 5])
    monkeypatch.setattr(isolated, "starved", lambda: next(counts))
    monkeypatch.setattr(isolated.process, "start", dying("os.kill(os.getpid(), 9)"))
    done = stratavm.run(program(SAY), isolate=True)
    assert (done.reason, done.code) == ("memory", 137)
    assert isolated._death(-9, False, False)[0] == "interrupt"
    monkeypatch.undo()
    assert isolated.starved() >= 0


def dying(code: str, *, says: str = '{"problems": []}\\n'):
    """A way to start a process that reports what a broken one might, and does this."""

    def start(entry, data, *, streams, pass_fds):
        script = f"import os\nos.write({data['report']}, b'''{says}''')\n{code}"
        stdin, stdout, stderr = streams
        command = [sys.executable, "-c", script]
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds)

    return start


@pytest.mark.parametrize(
    "says",
    [
        "{",
        "[]",
        "7",
        '{"code": "x", "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": ["exit"], "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": "fine", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": "", "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": 5, "fuel_used": null, "seconds": 1.0}',
        '{"code": true, "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": -1, "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 4294967296, "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 0, "reason": "timeout", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": true, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": -1, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": null, "seconds": NaN}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": null, "seconds": Infinity}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": null, "seconds": -1.0}',
        "[" * 5000,
        "x" * (2 << 20),
    ],
)
def test_a_report_is_not_believed_blindly(monkeypatch, says):
    """A process that lies about its end has trapped."""
    monkeypatch.setattr(isolated.process, "start", dying("os._exit(3)"))
    listen = isolated.Heard.listen

    def hear_more(self, *arguments):
        listen(self, *arguments)
        self.report.data += says.encode()[: report.REPORT_BYTES]

    monkeypatch.setattr(isolated.Heard, "listen", hear_more)
    done = stratavm.run(program(SAY), isolate=True)
    assert (done.reason, done.message) == ("trap", "the process ended by itself, with code 3")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('{"type": "SystemExit", "message": "x"}', RuntimeError),
        ('{"type": "Trap", "message": "x"}', RuntimeError),
        ('"text"', RuntimeError),
        (
            '{"type": "LinkError", "message": "x", "facts": {"__class__": 1, "a b": 2, "hint": [], "x": 5}}',
            stratavm.LinkError,
        ),
        ('{"type": "LinkError", "message": "x", "facts": 5}', stratavm.LinkError),
        ('{"type": "OSError", "message": "x", "errno": "y"}', OSError),
    ],
)
def test_an_error_of_the_process_is_one_that_arguments_cause(error, kind):
    """Of a known kind, with plain facts; anything else is a failure of the process."""
    import json

    made = report.error_of(json.loads(error))
    assert type(made) is kind
    assert getattr(made, "x", 5) == 5


@pytest.mark.parametrize("name", ["args", "add_note", "with_traceback", "locate"])
def test_a_fact_replaces_no_part_of_an_exception(name):
    """Its text stays, and so do its methods."""
    facts = {name: 5, "offset": 7}
    error = report.error_of({"type": "ValidationError", "message": "x", "facts": facts})
    assert (str(error), error.offset, error.args) == ("x", 7, ("x",))
    error.add_note("fine")
    error.locate(line=3)
    assert report.error_of({"type": "LinkError", "message": "x"}).problems == {}


def test_what_a_process_says_steers_no_terminal():
    """Nor does it raise what cannot be printed; what has lines keeps them."""
    wild, shown = "a\x1b[2J\u202e\ud800", "a\\x1b[2J\\u202e\\ud800"
    end = {"code": 134, "reason": "trap", "message": wild, "fuel_used": None, "seconds": 1.0}
    assert report.ended_of(end, asked(), 2.0).message == shown
    error = report.error_of({"type": "ParseError", "message": f"{wild}\n^", "facts": {"excerpt": f"{wild}\n^"}})
    assert (str(error), error.excerpt) == (f"{shown}\n^", f"{shown}\n^")
    wrong = report.error_of({"type": "OSError", "errno": 2, "strerror": wild, "filename": [1]})
    assert (str(wrong), wrong.filename) == (f"[Errno 2] {shown}", None)
    assert type(report.error_of({"type": "OSError", "message": "x", "errno": 1 << 70})) is OSError


def test_a_process_that_does_not_start(monkeypatch):
    """Is an error for the host, with what it said last."""
    monkeypatch.setattr(isolated.process, "start", dying("raise SystemExit('no such module')", says=""))
    with pytest.raises(RuntimeError, match="did not start: no such module"):
        stratavm.run(program(SAY), isolate=True)


@pytest.mark.parametrize("says", ["", '{"problems": []}\\n'])
def test_a_process_that_is_stuck_is_killed(monkeypatch, says):
    """Soon after its time, or when it takes too long to start."""
    monkeypatch.setattr(isolated, "START_SECONDS", 60.0 if says else 0.1)
    monkeypatch.setattr(isolated, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(isolated.process, "start", dying("import time; time.sleep(100)", says=says))
    done = stratavm.run(program(SAY), timeout=0.5, isolate=True)
    assert (done.reason, done.code, done.message) == ("timeout", 124, "the process did not end in its time")
    assert isolated._death(-signal.SIGXCPU, False, False)[0] == "timeout"


def test_a_process_that_closes_its_pipes_and_lives_on_is_killed(monkeypatch):
    """The time counts until its end, not until it has nothing more to say."""
    monkeypatch.setattr(isolated, "GRACE_SECONDS", 0.1)
    silent = "import time; os.closerange(0, 99); time.sleep(100)"
    monkeypatch.setattr(isolated.process, "start", dying(silent))
    begin = time.monotonic()
    done = stratavm.run(program(SAY), timeout=0.5, isolate=True)
    assert (done.reason, done.code, done.message) == ("timeout", 124, "the process did not end in its time")
    assert time.monotonic() - begin < 60


def test_pipes_that_another_process_holds_do_not_keep_a_run_waiting(monkeypatch):
    """A thread that forks at the wrong moment gives its child every pipe."""
    stays = "import time\nif not os.fork(): time.sleep(100)\nos.write(1, b'said')\nos._exit(3)"
    monkeypatch.setattr(isolated.process, "start", dying(stays))
    monkeypatch.setattr(isolated, "TURN_SECONDS", 0.1)
    begin = time.monotonic()
    done = stratavm.run(program(SAY), isolate=True)
    assert (done.reason, done.stdout) == ("trap", b"said")
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("timeout", [3e6, 1e19, 1e300, float("inf"), 10**400])
def test_a_time_that_no_clock_reaches_is_none(run, timeout):
    """However long, it is a number of seconds."""
    assert run(SAY, timeout=timeout).reason == "exit"


def test_what_is_weaker_is_a_warning(monkeypatch):
    """As the command's line on standard error."""
    says = '{"problems": ["any path may be opened"]}\\n'
    monkeypatch.setattr(isolated.process, "start", dying("", says=says))
    with pytest.warns(RuntimeWarning, match="isolation is weaker here: any path may be opened"):
        stratavm.run(program(SAY), isolate=True)


def test_the_parent_hides_where_paths_cannot_be_confined(monkeypatch):
    """Without Landlock the process could else look into this one."""
    seen = []

    class Hidden:
        def __enter__(self):
            seen.append(True)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(isolated, "may_confine", lambda: False)
    monkeypatch.setattr(isolated.privileges, "hidden", Hidden)
    assert stratavm.run(program(SAY), isolate=True).ok
    assert seen == [True]


def test_an_isolated_program_reaches_no_other_path(tmp_path):
    """What the wall refuses is not in the way of what was given."""
    (tmp_path / "in.txt").write_text("content")
    body = OPEN.format(name=48, size=6, flags=0, rights=2) + ECHO.format(fd=4)
    done = stratavm.run(program(body), dirs={os.path.relpath(tmp_path): "/d"}, isolate=True, text=True)
    assert (done.stdout, done.reason) == ("content", "exit")


def test_arguments_are_declared_once():
    """A record that every way to run shares."""
    given = checked("(module)", (["a"], None, "x"), ({"/a/b": "c"}, None), (1, None, None, 5))
    assert isinstance(given, Arguments)
    assert (given.args, given.stdin, given.files, given.timeout) == (("a",), b"x", {"a/b": b"c"}, 1.0)
    assert (given.path, given.name) == (None, "module")


def test_loading_counts(monkeypatch):
    """Nothing runs where loading took all the time."""
    loaded = execute.Module

    def slow(*arguments, **named):
        module = loaded(*arguments, **named)
        time.sleep(0.1)
        return module

    monkeypatch.setattr(execute, "Module", type("Slow", (), {"__new__": lambda cls, *a, **n: slow(*a, **n)}))
    done = stratavm.run(program(SAY), timeout=0.05)
    assert (done.reason, done.stdout) == ("timeout", b"")
    assert "loading" in done.message
    assert timing.time_left(None, 0) is None
