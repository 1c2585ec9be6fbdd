"""Files that are not what they should be, streams that are closed: one line and an exit code, never a traceback."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

import stratavm
from stratavm.module.encode import HEADER
from stratavm.module.limits import DEFAULT_LIMITS
from stratavm.module.parser import parse_wat_to_bytes

READS = """(module (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\02\\00\\00\\00")
  (func (export "_start") (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))))"""

TEXT = '(module (func (export "_start")) (func (export "seven") (result i32) (i32.const 7)))'
BINARY = parse_wat_to_bytes(TEXT)
READERS = ("run", "validate", "info", "print", "parse", "strip", "compile", "stubs")


@pytest.fixture
def file(tmp_path):
    """The path of a module."""
    path = tmp_path / "app.wasm"
    path.write_bytes(BINARY)
    return str(path)


def one_line(err: bytes) -> str:
    """The only line of an error."""
    text = err.decode()
    assert text.startswith("strata: ") and text.count("\n") == 1, text
    return text


@pytest.mark.parametrize("data", [BINARY, TEXT.encode()], ids=["binary", "text"])
@pytest.mark.parametrize("command", READERS)
def test_a_module_comes_from_standard_input(process, command, data):
    """``-`` stands for it wherever a module is taken; what is written goes to standard output."""
    done = process(command, "-", input=data)
    assert (done.returncode, done.stderr) == (0, b"")


def test_dump_bisect_and_wast_read_standard_input(process):
    """Also those that need more than a module."""
    assert b"i32.const 7" in process("dump", "-f", "seven", "-", input=BINARY).stdout
    assert process("bisect", "--invoke", "seven", "-", input=BINARY).stdout == b"no difference\n"
    script = TEXT + '(assert_return (invoke "seven") (i32.const 7))'
    assert process("wast", "-", input=script.encode()).stdout == b"1 passed, 0 failed, 0 skipped\n"


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("kind", ["missing", "empty", "directory", "other"])
def test_what_is_no_module_is_an_error(strata, tmp_path, command, kind):
    """For every command that reads one."""
    path = tmp_path / "x.wasm"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "directory":
        path.mkdir()
    elif kind == "other":
        path.write_bytes(b"\x7fELF" + bytes(100))
    code, out, err = strata(command, str(path))
    assert code == 1
    assert {"missing": "No such file", "directory": "Is a directory"}.get(kind, "0x0") in out + err


def test_a_file_beyond_the_limit_is_not_read(process, tmp_path):
    """A terabyte of nothing is refused at once."""
    path = tmp_path / "huge.wasm"
    path.write_bytes(HEADER)
    os.truncate(path, 1 << 40)
    text = one_line(process("run", path).stderr)
    assert "module too large" in text and str(DEFAULT_LIMITS.module_bytes) in text


def test_names_need_not_be_text(process, tmp_path):
    """A file's name and the guest's arguments are bytes; they are shown escaped."""
    path = os.fsencode(tmp_path) + b"/\xff\x1b.wasm"
    with open(path, "wb") as out:
        out.write(BINARY)
    assert process("run", path, b"\xfe").returncode == 0
    shown = process("validate", path).stdout
    assert b"\\udcff\\x1b.wasm: valid" in shown
    assert b"\\udcfe" in process("run", b"\xfe.wasm").stderr


@pytest.mark.parametrize("command", ["info", "print", "validate", "parse"])
def test_a_reader_that_goes_away_is_no_error_to_tell(process, file, command):
    """``| head``: silence, and the exit code of the signal that would have ended a program in C."""
    reading, writing = os.pipe()
    os.close(reading)
    done = process(command, file, stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


@pytest.mark.parametrize("command", ["info", "print", "validate", "parse", "strip"])
def test_a_full_device_is_one_line(process, file, command):
    """Also where only the last flush finds out."""
    with open("/dev/full", "wb") as full:
        done = process(command, file, stdout=full)
    assert done.returncode == 1
    assert "standard output: No space left on device" in one_line(done.stderr)


@pytest.mark.parametrize("command", ["print", "parse", "strip", "build"])
def test_a_full_device_that_is_named_is_said_by_its_name(process, file, command):
    """The system says only that there is no space."""
    done = process(command, file, "-o", "/dev/full")
    assert done.returncode == 1
    assert "/dev/full: No space left on device" in one_line(done.stderr)


WRITERS = ("print", "parse", "strip", "stubs")


def write_at_most(octets: int):
    """What makes files of a process no longer than that, as a full disk does."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))


@pytest.mark.parametrize("there", [True, False], ids=["over", "new"])
@pytest.mark.parametrize("command", WRITERS)
def test_a_file_that_cannot_be_written_whole_is_what_it_was(process, tmp_path, file, command, there):
    """Also none: no part of the new one is left, and nothing beside it."""
    place = tmp_path / "out"
    if there:
        place.write_bytes(b"old")
    before = sorted(os.listdir(tmp_path))
    done = process(command, file, "-o", str(place), preexec_fn=write_at_most(8))
    assert done.returncode == 1
    assert f"{place}: File too large" in one_line(done.stderr)
    assert sorted(os.listdir(tmp_path)) == before
    assert not there or place.read_bytes() == b"old"


def test_a_module_that_cannot_be_stripped_in_place_is_there_still(process, file):
    """It may be the only copy."""
    done = process("strip", file, "-o", file, preexec_fn=write_at_most(8))
    assert done.returncode == 1
    with open(file, "rb") as module:
        assert module.read() == BINARY


def test_a_file_that_is_written_over_keeps_its_mode_and_its_links(strata, tmp_path, file):
    """The new one takes its place, where a link leads, too."""
    place, link = tmp_path / "out.wat", tmp_path / "link"
    place.write_text("old")
    place.chmod(0o741)
    link.symlink_to("out.wat")
    assert strata("print", file, "-o", str(link)) == (0, "", "")
    assert link.is_symlink() and "seven" in place.read_text()
    assert stat.S_IMODE(place.stat().st_mode) == 0o741


def test_a_file_that_is_not_for_writing_is_left_alone(strata, monkeypatch, tmp_path, file):
    """Though its folder would take another one of that name."""
    if os.geteuid() == 0:  # who may write everywhere
        monkeypatch.setattr(os, "access", lambda path, mode: False)
    place = tmp_path / "out.wat"
    place.write_text("old")
    place.chmod(0o444)
    code, _, err = strata("print", file, "-o", str(place))
    assert (code, err) == (1, f"strata: {place}: Permission denied\n")
    assert place.read_text() == "old"


@pytest.mark.parametrize("command", ["print", "parse", "strip"])
def test_a_descriptor_that_is_named_is_written_to(process, tmp_path, file, command):
    """Whoever opened it looks there, be it a pipe or a file: another file of that name would not be seen."""
    to_pipe = process(command, file, "-o", "/dev/stdout")
    assert to_pipe.returncode == 0, to_pipe.stderr
    with open(tmp_path / "out", "w+b") as out:
        to_file = process(command, file, "-o", "/dev/stdout", stdout=out)
        assert to_file.returncode == 0, to_file.stderr
        assert os.fstat(out.fileno()).st_nlink == 1
        out.seek(0)
        assert out.read()[:8] == to_pipe.stdout[:8] != b""


@pytest.mark.parametrize("command", ["info", "print", "validate", "parse", "completion"])
def test_a_closed_standard_output_is_one_line(file, command):
    """``>&-``."""
    argument = "bash" if command == "completion" else file
    shell = 'exec "$0" -m stratavm "$1" "$2" >&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable, command, argument], stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1
    assert "standard output: Bad file descriptor" in one_line(done.stderr)


def test_a_closed_standard_input_is_one_line(file):
    """``<&-``."""
    shell = 'exec "$0" -m stratavm run - <&-'
    done = subprocess.run(["sh", "-c", shell, sys.executable], stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1
    assert "standard input" in one_line(done.stderr)


WRITES = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\03\\00\\00\\00") (data (i32.const 16) "hi\\n") (data (i32.const 32) "new")
  (func (export "_start")  ;; creates a file, and writes to standard output
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 3) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
    (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
BADF = 8


def test_a_guest_does_not_write_into_a_file_that_took_the_place_of_a_closed_output(tmp_path):
    """What is opened gets another number; writes fail as they would without."""
    (tmp_path / "app.wat").write_text(WRITES)
    shell = 'exec "$0" -m stratavm run --dir "$1::/::rw" "$2" <&- >&-'
    command = ["sh", "-c", shell, sys.executable, str(tmp_path), str(tmp_path / "app.wat")]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (BADF, b"")
    assert (tmp_path / "new").read_bytes() == b""


@pytest.mark.parametrize(("command", "arguments"), [("print", ()), ("parse", ()), ("strip", ()), ("stubs", ())])
def test_an_output_that_cannot_be_written_is_one_line(process, file, tmp_path, command, arguments):
    """A folder that is not there, and a folder in the place of the file."""
    for target, words in ((tmp_path / "no" / "x", "No such file"), (tmp_path, "Is a directory")):
        done = process(command, file, "-o", target, *arguments)
        assert done.returncode == 1
        assert words in one_line(done.stderr)


def test_ctrl_c_while_a_module_is_read_is_one_line(tmp_path):
    """Here it waits for a named pipe; the exit code is that of the signal."""
    pipe = tmp_path / "pipe.wasm"
    os.mkfifo(pipe)
    child = subprocess.Popen([sys.executable, "-m", "stratavm", "run", str(pipe)], stderr=subprocess.PIPE)
    with open(pipe, "wb"):  # opens when the command opens it to read
        time.sleep(0.05)
        child.send_signal(signal.SIGINT)
        err = child.communicate(timeout=60)[1]
    assert child.returncode == 128 + signal.SIGINT
    assert err == b"strata: interrupted\n"


@pytest.mark.parametrize("name", ["-", "pipe.wasm"])
def test_a_time_limit_covers_the_reading_of_a_module(process, name, tmp_path):
    """From a standard input, or a named pipe, that has nothing and does not end."""
    os.mkfifo(tmp_path / "pipe.wasm")
    reading, writing = os.pipe()
    done = process("run", "--timeout", "0.3", name, cwd=tmp_path, stdin=reading)
    os.close(reading)
    os.close(writing)
    assert done.returncode == 124
    assert b"deadline exceeded" in done.stderr


@pytest.mark.parametrize("name", ["(app).wasm", ";x.wasm"])
def test_a_path_is_never_taken_for_text(process, tmp_path, name):
    """Whatever it begins with."""
    (tmp_path / name).write_bytes(BINARY)
    assert process("run", name, cwd=tmp_path).returncode == 0


INTERRUPTED_IMPORT = """
import stratavm, sys  # which puts a finder of its own in front

wanted = sys.argv.pop(1)

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == wanted:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from stratavm.cli import command
sys.exit(command())
"""


@pytest.mark.parametrize(
    "name", ["stratavm.cli.output", "stratavm.cli.main", "stratavm.cli.run", "stratavm.engine.store"]
)
def test_ctrl_c_while_the_command_imports_is_one_line(file, name):
    """As soon as it is ours to say."""
    command = [sys.executable, "-c", INTERRUPTED_IMPORT, name, "run", file]
    done = subprocess.run(command, stderr=subprocess.PIPE, timeout=60)
    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, b"strata: interrupted\n")


CTRL_C = """
import signal, stratavm, sys
{}
from stratavm.cli import command
sys.exit(command())
"""
WHILE_IMPORTING = """
class Drops:
    def find_spec(self, name, path, target=None):
        if name == "stratavm.engine.store":
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                pass

sys.meta_path.insert(0, Drops())
"""
AT_THE_END = "import atexit; atexit.register(signal.raise_signal, signal.SIGINT)"
TWICE = """
import stratavm.cli.output as output
output.note = lambda _: signal.raise_signal(signal.SIGINT)
output.flush = lambda: signal.raise_signal(signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("when", "code", "said"),
    [
        (WHILE_IMPORTING, 130, b"strata: interrupted\n"),
        (AT_THE_END, 0, b""),
        (TWICE, -signal.SIGINT, b""),
        ("signal.signal(signal.SIGINT, signal.SIG_IGN)" + WHILE_IMPORTING + AT_THE_END, 0, b""),
    ],
    ids=["where an import drops it", "when all is done", "while it is reported", "of a job that ignores it"],
)
def test_ctrl_c_ends_the_command_whenever_it_comes(file, when, code, said):
    """By a line, by nothing where all was done or the second one came too soon; never by a traceback."""
    done = subprocess.run([sys.executable, "-c", CTRL_C.format(when), "run", file], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"", said)


SCRIPT = Path(stratavm.__file__).parents[2] / "scripts/strata"
EARLY = """
import runpy, signal, sys
COME
class Comes:
    def find_spec(self, name, path, target=None):
        if name == sys.argv[-1]:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Comes())
START
"""
OF_THE_SCRIPT = f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
OF_THE_MODULE = "sys.orig_argv[1:] = sys.argv[:1] = ['-m', 'stratavm']; del sys.argv[1]; import stratavm.cli"
OF_A_PROGRAM = "import stratavm.cli"


@pytest.mark.parametrize("name", ["stratavm", "stratavm._build"])
def test_ctrl_c_before_the_command_is_imported_is_one_line(name):
    """From the first line of the script on; a job that ignores it goes on."""
    for come, code in (("", 130), ("signal.signal(signal.SIGINT, signal.SIG_IGN)", 1)):
        program = EARLY.replace("COME", come).replace("START", OF_THE_SCRIPT)
        done = subprocess.run([sys.executable, "-c", program, "run", name], capture_output=True, timeout=60)
        assert done.returncode == code
        assert (done.stderr == b"strata: interrupted\n") is (code == 130)


def test_ctrl_c_while_python_looks_for_the_command_is_one_line():
    """From the first line of the package on; where a program imports that, the exception is the program's."""
    ended = [
        subprocess.run(
            [sys.executable, "-c", EARLY.replace("COME", "").replace("START", start), "stratavm._build"],
            stderr=subprocess.PIPE,
            timeout=60,
        )
        for start in (OF_THE_MODULE, OF_A_PROGRAM)
    ]
    assert [done.returncode for done in ended] == [130, -signal.SIGINT]
    assert ended[0].stderr == b"strata: interrupted\n" and b"KeyboardInterrupt" in ended[1].stderr


def test_names_are_shown_where_the_locale_cannot_spell_them(process, tmp_path):
    """As escapes; the text of a module is UTF-8 all the same."""
    (tmp_path / "m.wat").write_text('(module (func (export "加法")))')
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = process("info", tmp_path / "m.wat", env=ascii_only)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u52a0\\u6cd5" in done.stdout
    assert "加法" in process("print", tmp_path / "m.wat", env=ascii_only).stdout.decode()
    assert b"\\u52a0" in process("run", tmp_path / "加", env=ascii_only).stderr


def test_an_input_that_is_not_there_is_one_line(process, file, tmp_path):
    """Its name is a path whatever it is: here one that the API has another use for."""
    for name in ("nothing", "inherit"):
        done = process("run", "--stdin", name, file, cwd=tmp_path)
        assert done.returncode == 1
        assert one_line(done.stderr) == f"strata: --stdin {name}: No such file or directory (hint: check the path)\n"


def test_a_folder_that_is_not_there_is_said_by_its_option(process, file, tmp_path):
    """Several things of a line are paths."""
    done = process("run", "--dir", ".", "--dir", "nothing::/x", file, cwd=tmp_path)
    assert done.returncode == 1
    assert one_line(done.stderr) == "strata: --dir nothing: No such file or directory (hint: check the path)\n"


@pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["here", "isolated"])
def test_a_time_limit_covers_the_wait_for_a_fifo_of_input(process, tmp_path, how):
    """That nobody opens for writing: the command hung before the guest began."""
    program, fifo = tmp_path / "read.wat", tmp_path / "fifo"
    program.write_text(READS)
    os.mkfifo(fifo)
    done = process("run", "--timeout", "0.5", "--stdin", str(fifo), *how, str(program))
    assert (done.returncode, done.stdout) == (124, b"")
