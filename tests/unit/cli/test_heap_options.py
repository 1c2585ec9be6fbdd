"""``strata run --gc-log``, ``--gc-plot`` and ``--heap-dump``: what a guest's collector did, and what it left."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import stratavm
from stratavm import StoreBusy
from stratavm.cli import heap as cli_heap
from stratavm.cli import unwinding
from stratavm.cli.unwinding import Asked, Unwinding
from stratavm.engine import heapdump
from stratavm.heap.metrics import GcMetrics

CHURN = """(module
  (type $node (struct (field $next (mut (ref null $node))) (field i64)))
  (type $bytes (array (mut i8)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (global $list (mut (ref null $node)) (ref.null $node))
  (global $row (mut (ref null $bytes)) (ref.null $bytes))
  (func $churn (param $k i32)
    (loop (drop (struct.new_default $node)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "_start") (local $k i32)
    (local.set $k (i32.const 100))
    (global.set $row (array.new_default $bytes (i32.const 1000)))
    (loop
      (global.set $list (struct.new $node (global.get $list) (i64.const 1)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (call $churn (i32.const MANY))
    END))"""
MANY = "1000000"
BOUND = ("--gc-hard-bytes", "64M")


@pytest.fixture
def write(tmp_path):
    """Write the program; its path."""

    def to_file(end: str = "", many: str = MANY) -> str:
        path = tmp_path / "app.wat"
        path.write_text(CHURN.replace("END", end).replace("MANY", many))
        return str(path)

    return to_file


def test_the_log_says_when_what_and_how_long(strata, write):
    """A line for each pause, and a sum; the program's own output and end are what they are."""
    code, out, err = strata("run", "--gc-log", write("(call $exit (i32.const 7))"))
    lines = err.splitlines()
    assert (code, out) == (7, "")
    pauses = [line for line in lines if line.split()[2] == "pause"]
    assert 1 <= len(pauses) < 100
    for line in pauses:
        assert re.match(
            r"gc: +\d+\.\d{6} pause +\d+\.\d{3} ms of a processor; .*; \d+\.\d{3} ms on the wall, most", line
        )
    kinds = re.fullmatch(
        r"gc: (\d+) collections?: (\d+) of new objects only, (\d+) of all while the guest ran on, (\d+) of all in one "
        r"pause",
        next(line for line in lines if "of new objects only" in line),
    )
    assert kinds and int(kinds[1]) == sum(int(kinds[at]) for at in (2, 3, 4)) > 0
    last = r"gc: the guest stood still for [\d.]+ ms in all, in the longest pause for [\d.]+ ms; .* live, .* in use"
    assert re.fullmatch(last, lines[-1])


def test_a_log_says_which_collections_a_thread_has_helped(capsys):
    """There may be fewer slices than collections. Of those before the last notes nobody knows."""
    beside = (5, 1000, 1 << 20, 900, 1000, 0, 0, *(0,) * 8)
    figures = {"collections": 2358, "minors": 2295, "cycles": 62, "slices": 24, "concurrent_bytes": 5 << 20}
    lines = logged(capsys, [beside] * 60, **figures)
    assert lines[-3:-1] == [
        "gc: 2358 collections: 2295 of new objects only, 62 of all while the guest ran on, 1 of all in one pause",
        "gc: those while the guest ran on: 24 slices on its own thread; in 60 of 62 a thread beside it helped, which "
        "looked at 5 MiB",
    ]
    lines = logged(capsys, [beside] * 60 + [(2, 0, *(0,) * 12)] * (cli_heap.JOURNAL - 60), **figures)
    assert "; in at least 60 of 62 a thread" in lines[-2]
    marking = logged(capsys, [], slices=1)  # the first is not at its end
    assert "while the guest ran on: 1 slice on its own thread; in 0 of 0 a thread" in marking[-2]


def logged(capsys, notes, **figures):
    """The log of these notes, and of figures that are 0 where nothing else is said."""
    zeros = GcMetrics(0, 0, 0, 0, 0, 0, False, {}, 0, 0)
    cli_heap._log(notes, SimpleNamespace(gc_metrics=lambda: dataclasses.replace(zeros, **figures)))
    return capsys.readouterr().err.splitlines()


def test_a_guest_without_objects_has_no_log(strata, tmp_path):
    """Which is said."""
    path = tmp_path / "app.wat"
    path.write_text('(module (memory (export "memory") 1) (func (export "_start")))')
    plot = str(tmp_path / "p.html")
    code, out, err = strata("run", "--gc-log", "--gc-plot", plot, "--heap-dump", str(tmp_path / "d"), str(path))
    assert (code, out) == (0, "")
    assert "gc: the guest made no objects" in err
    assert "nothing was collected" in err
    assert not Path(plot).exists()
    assert (tmp_path / "d").read_text() == "0 objects, 0 bytes; 0 bytes of blocks in use\n"


def test_a_plot_needs_no_network(strata, write, tmp_path):
    """A page with two drawings, however the guest ended."""
    plot = tmp_path / "p.html"
    code = strata("run", "--gc-plot", str(plot), write("(unreachable)"))[0]
    page = plot.read_text()
    assert code == 134
    assert page.count("<svg") == 2
    assert "Heap and pauses of app.wat" in page
    assert "http" not in page


def test_a_dump_has_what_lives_by_type(strata, write, tmp_path):
    """As a table and as JSON; garbage does not count."""
    for name in ("d.txt", "d.json"):
        assert strata("run", "--heap-dump", str(tmp_path / name), write(many="5000")) == (0, "", "")
    lines = (tmp_path / "d.txt").read_text().splitlines()
    assert lines[0].startswith("101 objects, ")
    assert [line.split() for line in lines[2:]] == [
        ["100", "3,200", "struct", "$node"],
        ["1", "1,008", "array", "$bytes"],
    ]
    found = json.loads((tmp_path / "d.json").read_text())
    assert (found["objects"], found["bytes"]) == (101, 4208)
    assert found["types"][0] == {"type": "node", "index": 0, "kind": "struct", "objects": 100, "bytes": 3200}
    assert found["used_bytes"] >= 1 << 15


@pytest.mark.parametrize("option", ["--gc-plot", "--heap-dump"])
def test_files_that_cannot_be_written(strata, write, tmp_path, option):
    """Said before the guest runs, where that is known; else beside how it ended."""
    for path, words in (("", "no file is named"), ("-", "standard output is the program's")):
        code, _, err = strata("run", option + "=" + path, write())
        assert code == 2
        assert words in err
    code, _, err = strata("run", "--isolate", option, "x", write())
    assert code == 2
    assert f"{option}: behind the wall of --isolate" in err
    for path in ("/dev/stdout", "/proc/self/fd/1"):  # a file here, whose content would be cut
        code, _, err = strata("run", option, path, write())
        assert code == 2
        assert f"{option} {path}: standard output is the program's" in err
    assert "no such folder" in strata("run", option, str(tmp_path / "nope/p"), write())[2]
    assert "would overwrite the module" in strata("run", option, write(), write())[2]
    code, _, err = strata("run", option, "/dev/full", write("(call $exit (i32.const 7))"))
    assert code == 7
    assert f"strata: {option} /dev/full: No space left on device" in err


@pytest.mark.parametrize("option", ["--gc-plot", "--heap-dump"])
def test_what_there_is_no_room_for_leaves_the_old_file(write, tmp_path, option):
    """A disk that fills up as it is written: the file is what it was, nothing lies beside it, and it is said."""
    old = tmp_path / "old"
    old.write_text("what was there\n")
    room = 10 if option == "--heap-dump" else 1000  # a table is short
    path = str(Path(stratavm.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "stratavm", "run", "--cache", "off", option, str(old), write()],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},  # or what others import is cut off
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )
    assert done.returncode == 1
    assert f"strata: {option} {old}: File too large" in done.stderr
    assert old.read_text() == "what was there\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.wat", "old"]


@pytest.mark.parametrize("option", ["--gc-plot", "--heap-dump"])
def test_a_file_is_written_as_one_who_writes_over_it(strata, write, tmp_path, option):
    """A link is followed, who may read it stays, and a pipe has its reader."""
    old, link, pipe = (tmp_path / name for name in ("old", "link", "pipe"))
    old.write_text("what was there\n" * 1000)
    old.chmod(0o640)
    link.symlink_to(old)
    assert strata("run", option, str(link), write())[0] == 0
    assert link.is_symlink()
    assert "what was there" not in old.read_text()
    assert old.stat().st_mode & 0o777 == 0o640
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert strata("run", option, str(pipe), write())[0] == 0
        assert reader.communicate(timeout=60)[0].startswith(old.read_text()[:10])


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_one_file_for_two_options_is_refused(strata, write, tmp_path, link):
    """One of the two would be lost, also by another path; nothing runs. Of a device nothing is."""
    one, other = tmp_path / "one", tmp_path / "other"
    if link is os.link:
        one.write_text("")
    if link:  # a symbolic one names what is not there yet
        link(one, other)
    else:
        other = f"{tmp_path}/./one"
    for first, second, verb in (
        ("--gc-plot", "--heap-dump", "write"),
        ("--profile-out", "--gc-plot", "write"),
        ("--stdin", "--heap-dump", "read"),
        ("--profile", "--gc-plot", "read"),
    ):
        code, _, err = strata("run", first, str(one), f"{second}={other}", write())
        assert code == 2
        assert f"{second} {other}: {first} {verb}s it, too (hint: name another file)" in err
    code, _, err = strata("run", "--gc-plot", "/dev/null", "--heap-dump", "/dev/null", write())
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("asked", "end", "code"),
    [
        (("--gc-log",), "(call $exit (i32.const 7))", 7),
        (("--gc-log", "--timeout", "0.3"), "(loop (br 0))", 124),
        (("--gc-log",), "", 1),
        (("--gc-log", "--tier-report"), "", 1),
        (("--heap-dump", "/dev/full"), "(call $exit (i32.const 7))", 7),
        (("--tier-report",), "(unreachable)", 134),
        (("--tier-report",), "", 0),
        (("--profile-out", "/dev/full"), "(call $exit (i32.const 7))", 7),
    ],
)
def test_a_full_standard_error_leaves_the_programs_end_what_it_is(write, tmp_path, asked, end, code):
    """Nobody reads what was asked for: a log that is lost is a failure where the program itself ended well."""
    dump = tmp_path / "d"
    more = () if "--heap-dump" in asked else ("--heap-dump", str(dump))
    command = [sys.executable, "-m", "stratavm", "run", *asked, *more]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, write(end, "1000")],
            stdout=subprocess.DEVNULL,
            stderr=full,
            env={**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1])},
        )
    assert done.returncode == code
    assert not more or dump.exists()


def test_a_heap_that_the_process_has_no_room_for_is_said_with_what_to_do(tmp_path):
    """The command says how to have more; Python also how to ask for less, which helps."""
    path = tmp_path / "app.wat"
    path.write_text('(module (type $s (struct)) (func (export "f") (drop (struct.new $s))))')
    environment = {**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1])}
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (5_000_000_000,) * 2)  # noqa: E731
    run = [sys.executable, "-m", "stratavm", "run", "--invoke", "f"]
    words = "cannot reserve address space for a heap of 5368709120 bytes"
    hint = "raise `ulimit -v`, or have a smaller heap by --max-memory 64M"
    followed = tuple(hint.split()[-2:])
    refused = f"strata: resource limit: {words} (hint: {hint})\n"
    for more, code, said in (([], 134, refused), (followed, 0, ""), (BOUND, 0, "")):
        done = subprocess.run(
            [*run, *more, str(path)], stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=limit
        )
        assert (done.returncode, done.stderr.partition("    in the guest")[0]) == (code, said)
    python = f"""if 1:
        from stratavm import GcConfig, ResourceLimit, load
        try:
            load({str(path)!r}).exports["f"]()
        except ResourceLimit as error:
            print(error, error.limit)
        load({str(path)!r}, gc=GcConfig(hard_bytes=64 << 20)).exports["f"]()"""
    done = subprocess.run(
        [sys.executable, "-c", python], stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=limit, check=True
    )
    assert done.stdout == f"{words}; GcConfig(hard_bytes=…) asks for less, and `ulimit -v` allows more RLIMIT_AS\n"


@pytest.mark.parametrize("option", ["--gc-hard-bytes", "--max-memory"])
def test_a_bound_that_is_too_small_for_one_object_is_said_with_one_that_is_not(strata, tmp_path, option):
    """Small or large; where many objects have filled the heap, nobody knows how many more there are to be."""
    path = tmp_path / "app.wat"
    path.write_text("""(module (type $s (struct (field (ref null $s)))) (type $a (array i8))
      (global $g (mut (ref null $s)) (ref.null $s))
      (func (export "small") (drop (struct.new_default $s)))
      (func (export "large") (drop (array.new_default $a (i32.const 3000000))))
      (func (export "many") (loop (global.set $g (struct.new $s (global.get $g))) (br 0))))""")
    for name, bound, least in (("small", "1000", "1M"), ("large", "1M", "3M")):
        code, _, err = strata("run", option, bound, "--invoke", name, str(path))
        assert (code, err.splitlines()[0].partition("(hint: ")[2]) == (134, f"raise {option} to at least {least})")
        assert strata("run", option, least, "--invoke", name, str(path)) == (0, "", "")
    code, _, err = strata("run", option, "64k", "--invoke", "many", str(path))
    assert (code, err.splitlines()[0].partition("(hint: ")[2]) == (134, f"raise {option})")


OPENS = """(module
  (type $node (struct (field i64)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (data (i32.const 32) "new")
  (func (export "_start") (local $k i32)  ;; creates a file, which stays open
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 32) (i32.const 3) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 24)))
    (local.set $k (i32.const 1000000))
    (loop (drop (struct.new_default $node)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    END))"""


@pytest.mark.parametrize(("end", "code"), [("", 1), ("(call $exit (i32.const 7))", 7), ("(unreachable)", 134)])
@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-", "<&- >&- 2>&-"])
def test_a_log_has_nowhere_to_go_where_standard_error_is_closed(tmp_path, closed, end, code):
    """That is a failure where the program itself ended well. No file that is open then has the log, the guest's or
    another one: none has the number of standard error."""
    path = tmp_path / "app.wat"
    path.write_text(OPENS.replace("END", end))
    shell = f'exec "$0" -m stratavm run --gc-log --gc-plot "$1/plot" --dir "$1::/::rw" "$2" {closed}'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, str(tmp_path), str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1])},
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (code, b"")
    assert (tmp_path / "new").read_bytes() == b""
    assert (tmp_path / "plot").read_text().count("<svg") == 2
    assert "gc:" not in (tmp_path / "plot").read_text()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["app.wat", "new", "plot"]


def test_a_log_of_an_isolated_guest_is_not_promised(strata, write):
    """Nobody looks behind that wall."""
    code, _, err = strata("run", "--isolate", "--gc-log", write())
    assert code == 2
    assert "--gc-log: behind the wall" in err


def test_a_dump_that_cannot_be_had_leaves_the_programs_end_what_it_is(strata, write, tmp_path, monkeypatch):
    """Both are said."""

    def refused(*_: object) -> None:
        raise StoreBusy("a call is inside")

    monkeypatch.setattr(heapdump, "heap_dump", refused)
    code, _, err = strata("run", "--heap-dump", str(tmp_path / "d"), write("(unreachable)", "5"))
    assert code == 134
    assert "about the heap cannot be said: a call is inside" in err
    assert "unreachable" in err
    code, _, err = strata("run", "--heap-dump", str(tmp_path / "d"), write(many="5"))
    assert code == 1
    assert "a call is inside" in err


SPIN = """(module
  (type $node (struct (field $next (mut (ref null $node))) (field i64)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\03") (data (i32.const 16) "on\\n")
  (global $list (mut (ref null $node)) (ref.null $node))
  (func (export "_start") (local $k i32)
    (local.set $k (i32.const 1000000))
    (global.set $list (struct.new $node (global.get $list) (i64.const 1)))
    (loop (drop (struct.new_default $node)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop (drop (struct.new_default $node)) (br 0))))"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_program_that_a_signal_ends_has_its_log(tmp_path, number):
    """What there is until then, and a plot and a dump; the process ends as it does without."""
    path, plot, dump = (tmp_path / name for name in ("spin.wat", "p.html", "d.txt"))
    path.write_text(SPIN)
    asked = ["--gc-log", "--gc-plot", str(plot), "--heap-dump", str(dump)]
    command = [sys.executable, "-m", "stratavm", "run", *asked, str(path)]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1])},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as strata:
        assert strata.stdout.readline() == "on\n"
        strata.send_signal(number)
        out, err = strata.communicate(timeout=60)
    assert (strata.returncode, out) == (130 if number == signal.SIGINT else -number, "")
    assert re.search(r"^gc: .* pause ", err, re.MULTILINE)
    assert re.search(r"^gc: \d+ collections?: .*\n(gc: those .*\n)?gc: the guest .* in use$", err, re.MULTILINE)
    assert err.endswith("strata: interrupted\n") == (number == signal.SIGINT)
    assert plot.read_text().count("<svg") == 2
    assert "struct $node" in dump.read_text()


@pytest.mark.parametrize("again_s", [unwinding.AGAIN_S, 0])
def test_a_signal_that_python_drops_comes_again(monkeypatch, again_s):
    """Its exception may be raised where nobody gets it, in the callback of a weak reference, say; and where it comes
    again while Python still tells of that."""
    monkeypatch.setattr(unwinding, "AGAIN_S", again_s)
    told, ended, closed = [], [], []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    class Left:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGHUP)

    class Other:
        def __del__(self) -> None:
            raise ValueError("theirs")

    def kill(process, number, kill=os.kill):
        ended.append((process, number))
        if not closed:
            kill(process, number)

    monkeypatch.setattr(os, "kill", kill)
    try:
        with pytest.raises(Asked), Unwinding():
            Other()
            Left()
            try:
                while True:
                    time.sleep(0.01)
            finally:
                closed.append(True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [error.exc_type for error in told] == [ValueError]
    assert len(ended) >= 2
    assert set(ended) == {(os.getpid(), signal.SIGHUP)}


def test_a_signal_that_python_drops_comes_again_once(monkeypatch):
    """Also where one comes while Python tells of that: a second one would end the process in the midst of its log."""
    threads, sent = [], []
    monkeypatch.setattr(unwinding, "AGAIN_S", 0)
    monkeypatch.setattr(unwinding, "start_new_thread", lambda *call: threads.append(call))
    monkeypatch.setattr(os, "kill", lambda *call: sent.append(call))
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    listen = Unwinding._listen

    def listen_and_hear(self: Unwinding) -> None:
        listen(self)
        if self._number:  # Python tells of the first one
            signal.raise_signal(signal.SIGHUP)

    class Left:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr(Unwinding, "_listen", listen_and_hear)
    try:
        with Unwinding():
            Left()
            for function, arguments in threads:
                function(*arguments)
            assert len(threads) == 2
            assert sent == [(os.getpid(), signal.SIGHUP)]
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("where", ["_listen", "_leave"])
def test_a_signal_where_nothing_is_open_yet_or_any_more_ends_the_process(tmp_path, where):
    """As it does in between, and nobody sees what it was raised as."""
    path = tmp_path / "none.wat"
    path.write_text('(module (func (export "_start")))')
    come = f"""if 1:
        import signal, sys
        from stratavm.cli.unwinding import Unwinding
        before = Unwinding.{where}
        def {where}(self):
            if self._number == 0:
                Unwinding.{where} = before
                {"before(self)" if where == "_listen" else ""}
                signal.raise_signal(signal.SIGTERM)
            before(self)
        Unwinding.{where} = {where}
        from stratavm.cli.main import main
        sys.exit(main(["run", "--gc-log", {str(path)!r}]))"""
    ended = subprocess.run(
        [sys.executable, "-c", come],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1])},
        preexec_fn=lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL),
        check=False,
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (-signal.SIGTERM, False)
