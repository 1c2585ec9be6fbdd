"""``strata run``: folders and variables for the guest, calls of exports, and which functions of a module run."""

from __future__ import annotations

import gc
import json
import os
import re
from pathlib import Path

import pytest

import stratavm
from stratavm import Profile
from stratavm.engine import compose
from stratavm.tiers.policy import Thresholds

WRITER = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (data (i32.const 0) "new")
  (func (export "_start")  ;; creates the file "new" in the first folder; exits with the error number
    (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 1)
      (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))))"""
FOLDERS = """(module
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func $print (param i32 i32)
    (i32.store (i32.const 8) (local.get 0)) (i32.store (i32.const 12) (local.get 1))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16))))
  (func (export "folder")
    (drop (call $get (i32.const 3) (i32.const 0)))
    (drop (call $name (i32.const 3) (i32.const 64) (i32.load (i32.const 4))))
    (call $print (i32.const 64) (i32.load (i32.const 4))))
  (func (export "variables")
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $environ (i32.const 1024) (i32.const 64)))
    (call $print (i32.const 64) (i32.load (i32.const 4)))))"""
READ_ONLY = 69


@pytest.fixture
def write(tmp_path):
    """Write a module; its path."""

    def to_file(text: str, name: str = "m.wat") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return to_file


@pytest.mark.parametrize(
    ("ending", "writable"), [("", False), ("::/x", False), ("::/x::ro", False), ("::/x:ro", False), ("::ro", False),
    ("::/x::rw", True), ("::rw", True)],
)  # fmt: skip
def test_a_folder_is_read_only_unless_it_says_otherwise(strata, write, tmp_path, ending, writable):
    """``::rw`` at the end gives the right to write; so does nothing else."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert strata("run", "--dir", f"{folder}{ending}", write(WRITER))[0] == (0 if writable else READ_ONLY)
    assert (folder / "new").exists() is writable


@pytest.mark.parametrize(
    ("spelling", "name"), [("{}", "{}"), ("{}::/data", "/data"), ("{}::/data::rw", "/data"), ("{}::rw", "{}"),
    ("{}::/data:ro", "/data")],
)  # fmt: skip
def test_the_guest_knows_a_folder_by_its_name(strata, write, tmp_path, spelling, name):
    """The second part, or the host's path."""
    path = write(FOLDERS)
    option = spelling.format(tmp_path)
    assert strata("run", "--dir", option, "--invoke", "folder", path) == (0, name.format(tmp_path), "")


@pytest.mark.parametrize("text", ["", "::/x", "a::", "a::b::c", "a::b::rx", "a::b::ro::rw"])
def test_a_folder_that_is_misspelt_is_a_usage_error(strata, write, text):
    """It says how to write it."""
    code, out, err = strata("run", "--dir", text, write(WRITER))
    assert (code, out) == (2, "")
    assert "expected HOST::GUEST, HOST::GUEST::ro or HOST::GUEST::rw" in err


@pytest.mark.parametrize("again", ["/data", "/data/", "/./data"])
def test_two_folders_have_two_places(strata, write, tmp_path, again):
    """Both are named, and nothing runs: the guest's C library would choose one of them."""
    (tmp_path / "a").mkdir()
    options = ("--dir", f"{tmp_path}/a::/data", "--dir", f"{tmp_path}::{again}::rw")
    code, out, err = strata("run", *options, write(WRITER))
    assert (code, out) == (2, "")
    assert f"'{tmp_path}/a' and '{tmp_path}' cannot both be at '{again}' in the guest" in err


def test_a_module_with_nothing_to_run_is_not_told_to_call_something(strata, write):
    """There is nothing."""
    code, _, err = strata("run", write("(module)"))
    assert code == 1 and "the module exports no _start, nor any other function" in err


@pytest.mark.parametrize("isolate", [(), ("--isolate",)])
def test_a_program_takes_and_gives_nothing(strata, write, isolate):
    """What begins otherwise is refused before anything of it runs; as an export it can be called."""
    path = write('(module (start 0) (func unreachable) (func (export "_start") (param i32) (result i64) i64.const 7))')
    code, _, err = strata("run", *isolate, path)
    assert code == 1 and "expected _start(), found _start(i32) -> i64" in err


def test_of_one_variable_the_last_value_counts(strata, write):
    """As everywhere in a shell: a script adds its own behind what it was given."""
    names = ("--env", "A=1", "--env", "B=2", "--env", "A=3")
    assert strata("run", *names, "--invoke", "variables", write(FOLDERS))[1] == "A=3\0B=2\0"


def test_variables_have_a_value_or_the_one_of_here(strata, write, monkeypatch):
    """``NAME=VALUE``, also with an empty value, and ``NAME``."""
    monkeypatch.setenv("HERE", "yes=1")
    names = ("--env", "HERE", "--env", "A=1", "--env", "EMPTY=")
    assert strata("run", *names, "--invoke", "variables", write(FOLDERS))[1] == "HERE=yes=1\0A=1\0EMPTY=\0"


@pytest.mark.parametrize(
    ("text", "words"),
    [("=x", "expected NAME=VALUE or NAME"), ("GONE", "GONE is not set here: give it a value with GONE=VALUE")],
)
def test_a_variable_without_a_value_is_a_usage_error(strata, write, monkeypatch, text, words):
    """It says how to give one."""
    monkeypatch.delenv("GONE", raising=False)
    code, _, err = strata("run", "--env", text, write(FOLDERS))
    assert code == 2
    assert words in err


CALLS = """(module (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "half") (param f64) (result f64) (f64.div (local.get 0) (f64.const 2)))
  (func (export "wide") (param i64) (result i64) (local.get 0)))"""


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (("add", "1", "x"), "argument 2 of add: expected i32, got 'x'"),
        (("add", "1.5", "2"), "argument 1 of add: expected i32, got '1.5'"),
        (("add", "1", "4294967296"), "argument 2 of add: 4294967296 does not fit i32"),
        (("wide", "-9223372036854775809"), "argument 1 of wide: -9223372036854775809 does not fit i64"),
        (("half", "much"), "argument 1 of half: expected f64, got 'much'"),
        (("add", "1"), "add(i32, i32) -> i32 takes 2 arguments, got 1"),
        (("half", "1", "2"), "half(f64) -> f64 takes 1 argument, got 2"),
        (("ad", "1"), "did you mean 'add'?"),
        (("memory",), "no function 'memory': it is a memory; functions: add, half, wide"),
    ],
)
def test_a_call_that_cannot_be_made_says_why(strata, write, call, words):
    """Which argument, what was expected, what is near; nothing ran."""
    name, *arguments = call
    code, out, err = strata("run", "--invoke", name, write(CALLS), *arguments)
    assert (code, out) == (1, "")
    assert words in err


def test_all_missing_imports_are_named(strata, write):
    """At once."""
    text = '(module (import "env" "first" (func)) (import "lib" "second" (memory 1)) (func (export "_start")))'
    code, _, err = strata("run", write(text))
    assert code == 1
    assert [word for word in ("env", "first", "lib", "second") if word not in err] == []


STEPS = """(module (global $n (mut i32) (i32.const 0))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $step (param i32) (global.set $n (i32.add (i32.mul (global.get $n) (i32.const 10)) (local.get 0))))
  {start} {initialize}
  (func (export "call") (result i32) (call $step (i32.const 3)) (global.get $n)))"""
STEPS = STEPS.replace("(global $n (mut i32) (i32.const 0))\n", "", 1).replace(
    '(memory (export "memory") 1)', '(memory (export "memory") 1) (global $n (mut i32) (i32.const 0))'
)
START = '(func (export "_start") (call $step (i32.const 2)) (call $exit (global.get $n)))'
INITIALIZE = '(func (export "_initialize") (call $step (i32.const 1)))'


@pytest.mark.parametrize(
    ("start", "initialize", "invoke", "outcome"),
    [
        (START, "", (), (2, "")),
        (START, "", ("--invoke", "call"), (0, "3\n")),
        ("", INITIALIZE, ("--invoke", "call"), (0, "13\n")),
        ("", INITIALIZE, ("--invoke", "_initialize"), (0, "")),
        (START, INITIALIZE, (), (12, "")),
        (START, INITIALIZE, ("--invoke", "call"), (0, "13\n")),
        (START, INITIALIZE, ("--invoke", "_start"), (12, "")),
    ],
)
def test_what_runs_of_commands_and_reactors(strata, write, start, initialize, invoke, outcome):
    """``_initialize`` first and once, then what was asked for, else ``_start``."""
    text = STEPS.replace("{start}", start).replace("{initialize}", initialize)
    assert strata("run", *invoke, write(text))[:2] == outcome


def test_a_reactor_is_not_run_without_saying_what_to_call(strata, write):
    """Nothing of it runs; the names that can be called can indeed be called."""
    path = write(STEPS.replace("{start}", "").replace("{initialize}", INITIALIZE))
    code, _, err = strata("run", path)
    assert code == 1
    assert "is a reactor" in err and "--invoke can call: call" in err
    assert strata("run", "--invoke", "call", path)[0] == 0


HOT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
  (func $leaf (result i32) (i32.const 1)) (func $never)
  (func (export "_start") (local i32)
    (loop (drop (call $leaf)) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1)))
      (i32.const 100000))))
    (call $exit (i32.const 7))))"""


@pytest.fixture
def alone(alone, monkeypatch):
    """No thread is beside the program, and no tick finds it: what they had done by its end would be chance."""
    monkeypatch.setattr(compose, "policy_of", lambda after: Thresholds(ticks=False))


def test_a_report_says_what_became_of_each_function(strata, write, alone):
    """With its name, what was seen of it and why; also where the program ends by an exit."""
    code, _, err = strata("run", "--tier-report", write(HOT))
    assert code == 7
    rows = {line.split()[-1]: line.split()[1:3] for line in err.splitlines()[1:-1]}
    assert rows["leaf"] == ["level", "1"]
    assert "never" not in rows
    assert err.splitlines()[-1].endswith("1 of them again at level 1 (0 beside the program); 1 never called")


def test_a_report_has_columns_and_may_be_short(strata, write, alone):
    """Every row has its cells where the head has its words; what is left out is counted."""
    err = strata("run", "--tier-report", write(HOT))[2].splitlines()
    assert err[0].split() == ["function", "level", "from", "calls", "~", "ticks", "bytes", "why", "name"]
    ends = [err[0].index(word) + len(word) for word in ("function", "calls ~", "ticks", "bytes")]
    starts = [err[0].index(word) for word in ("level", "from", "why", "name")]
    for row in err[1:-1]:
        assert all(row[end - 1].isdigit() and row[end] == " " for end in ends)
        assert all(row[start] != " " and row[start - 2 : start] == "  " for start in starts)
    short = strata("run", "--tier-report", "--top", "1", write(HOT))[2].splitlines()
    assert short[0].split() == err[0].split() and short[1].split()[::7] == err[1].split()[::7]
    assert short[2].startswith("1 more; 2 functions compiled")


def test_a_report_of_an_image_does_not_say_that_all_was_compiled_here(strata, write, alone, tmp_path, monkeypatch):
    """What was built counts no calls, whatever its level: it is a number, and no row."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    image = str(tmp_path / "app.strata")
    for level, number in (("jit1", 3), ("jit0", 0)):
        strata("build", "--tier", level, write(HOT), "-o", image)
        code, _, err = strata("run", "--tier-report", image)
        assert code == 7 and len(err.splitlines()) == 1
        assert "0 functions compiled, 0 of them again at level 1 (0 beside the program); 3 functions from" in err
        assert err.endswith(f"from the image, {number} of them at level 1; calls are not counted\n")


def test_a_report_of_a_second_run_says_where_each_function_has_its_code_from(strata, write, alone, home):
    """Those of the first run are there, with the level that they had at its end and why; what is new is compiled."""
    more = '(func $more) (data (i32.const 0) "' + "x" * (64 << 10) + '")'
    path = write(HOT.replace('"memory") 1', '"memory") 2').replace("(func $never)", f"(func $never) {more}"))
    first = strata("run", "--tier-report", path)[2].splitlines()
    assert [line.split()[3] for line in first[1:-1]] == ["here", "here"]
    gc.collect()  # the module goes, and is kept
    code, _, err = strata("run", "--tier-report", path)
    rows = {line.split()[-1]: line.split()[1:-1] for line in err.splitlines()[1:-1]}
    assert code == 7 and rows["leaf"] == ["level", "1", "cache", "0", "0", "3", "hot", "before"]
    [start] = [line.split() for line in err.splitlines() if line.split()[3:4] == ["cache"] and "leaf" not in line]
    assert start[1:4] == ["level", "0", "cache"] and start[7:] == ["called", "before", "_start"]
    assert "0 functions compiled" in err
    assert err.endswith("; 2 functions from the cache, 1 of them at level 1; 2 never called\n")


@pytest.mark.trace_slow
def test_a_report_says_what_became_of_loops(strata, write, monkeypatch):
    """A row below their function's: that they went on at level 1."""
    monkeypatch.setattr(compose, "policy_of", lambda after: Thresholds(1 << 20, 1, False, polls=1))
    rows = strata("run", "--tier-report", write(HOT))[2].splitlines()
    assert rows[1].split()[:3:2] == ["3", "0"] and rows[2].split() == ["level", "1", "loop"]


def test_a_profile_is_written_and_used(strata, write, alone, tmp_path):
    """What was hot has level 1 at its first call in the next run, and in an image."""
    path, profile = write(HOT), str(tmp_path / "p")
    assert strata("run", "--profile-out", profile, path) == (7, "", "")
    assert len(Profile.load(profile).hot) == 1
    code, _, err = strata("run", "--profile", profile, "--tier-report", path)
    rows = {line.split()[-1]: line.split()[1:-1] for line in err.splitlines()[1:-1]}
    assert code == 7 and rows["leaf"][:4] == ["level", "1", "here", "0"] and rows["leaf"][-1] == "profile"
    code, out, _ = strata("build", "--profile", profile, path, "-o", str(tmp_path / "app.strata"))
    assert code == 0 and "3 functions, 1 of them hot by the profile, in " in out
    assert strata("run", "--profile-out", profile, str(tmp_path / "app.strata"))[0] == 7
    assert len(Profile.load(profile).hot) == 1  # of the binary alone: code of level 1 would not count


def test_a_profile_is_written_however_the_program_ends(strata, write, alone, tmp_path):
    """A trap is when it may be wanted most."""
    text = HOT.replace("(call $exit (i32.const 7))", "(unreachable)")
    assert strata("run", "--profile-out", str(tmp_path / "p"), write(text))[0] == 134
    assert len(Profile.load(tmp_path / "p").hot) == 1


def test_what_is_wrong_with_a_profile_is_said_before_anything_runs(strata, write, tmp_path):
    """No file, no profile, another module's; nowhere to write one."""
    path, profile = write(HOT), tmp_path / "p"
    for words in (("run", "--profile"), ("build", "--profile")):
        assert f"strata: --profile {profile}: No such file" in strata(*words, str(profile), path)[2]
    profile.write_text("strata profile 1\n")
    for words in (("run", "--profile"), ("build", "--profile")):
        code, out, err = strata(*words, str(profile), path)
        assert (code, out) == (1, "") and f"strata: profile error: {profile}: a damaged profile" in err
    Profile("0" * 64, "x", ()).save(profile)
    for words in (("run", "--profile"), ("build", "--profile")):
        assert "the profile is of another module: x" in strata(*words, str(profile), path)[2]
    code, out, err = strata("run", "--profile-out", str(tmp_path / "nope/p"), path)
    assert (code, out) == (1, "") and f"strata: --profile-out {tmp_path}/nope: no such folder" in err
    assert "leave one of them out" in strata("build", "--profile", "p", "--incremental", "old", path)[2]


def test_a_profile_replaces_neither_the_module_nor_a_folder(strata, tmp_path):
    """Said before the guest runs."""
    path = tmp_path / "app.wat"
    path.write_text('(module (func (export "_start") unreachable))')
    code, out, err = strata("run", "--profile-out", str(path), str(path))
    assert (code, out) == (1, "") and "--profile-out" in err and "would overwrite the module that is read" in err
    assert path.read_text().startswith("(module")
    code, out, err = strata("run", "--profile-out", str(tmp_path), str(path))
    assert (code, out) == (1, "") and f"strata: --profile-out {tmp_path}: a folder" in err


@pytest.mark.parametrize(("end", "code"), [("(i32.const 7)", 7), ("(i32.const 0)", 1), ("(unreachable)", 134)])
def test_a_profile_that_cannot_be_written_is_said_beside_the_guests_end(strata, write, alone, end, code):
    """By its option and its file; what the guest ended with is not lost."""
    text = HOT.replace("(call $exit (i32.const 7))", end if "un" in end else f"(call $exit {end})")
    found, _, err = strata("run", "--profile-out", "/dev/full", write(text))
    assert found == code and "strata: --profile-out /dev/full: No space left on device\n" in err
    assert ("unreachable" in err) == (code == 134)


def test_a_profile_is_not_promised_where_nothing_may_be_written(strata, write, tmp_path, monkeypatch):
    """Said before the guest runs."""
    (tmp_path / "shut").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: os.path.basename(path) != "shut")  # root may write everywhere
    code, out, err = strata("run", "--profile-out", str(tmp_path / "shut/p"), write(HOT))
    assert (code, out) == (1, "") and f"--profile-out {tmp_path}/shut: it cannot be written" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tier", "jit1", "--tier-report"), "with --tier jit1 no function changes its level (hint: --tier auto"),
        (("--top", "3"), "there is no report to shorten"),
        (("--isolate", "--tcplisten", "127.0.0.1:0"), "behind the wall of --isolate there are no sockets"),
        (("--tcplisten", "8080"), "expected HOST:PORT such as 127.0.0.1:8080, got '8080'"),
        (("--isolate", "--cache", "on"), "behind the wall of --isolate there is no cache"),
        (("--tier", "jit0", "--profile-out", "p"), "--profile-out: with --tier jit0 no function changes its level"),
        (("--tier", "oracle", "--profile", "p"), "--profile: with --tier oracle no function changes its level"),
        (("--isolate", "--profile-out", "p"), "behind the wall of --isolate there is nowhere to write it"),
        (("--cache", "on", "--profile-out", "p"), "code from the cache would not count"),
        (("--profile-out", "-"), "standard output is the program's"),
        (("--profile-out", ""), "--profile-out: no file is named"),
    ],
)
def test_options_that_contradict_each_other_are_refused_before_anything_runs(strata, write, options, said):
    """As any line that is wrong: the module is not even read."""
    code, out, err = strata("run", *options, "nowhere.wasm")
    assert (code, out) == (2, "") and said in err


@pytest.mark.parametrize("top", ["0", "-1", "x", "1.5"])
def test_a_report_is_not_shortened_to_nothing(strata, write, top):
    """A number from 1 on."""
    code, _, err = strata("run", "--tier-report", "--top", top, write(HOT))
    assert code == 2 and ("expected a whole number from 1 on" in err or "expected one argument" in err)


def kept_program(write):
    """A program that is large enough to be kept."""
    return write('(module (memory 1) (data (i32.const 0) "%s") (func (export "_start")))' % ("x" * 65_000 + "y" * 536))


def test_where_code_is_kept_is_an_option(process, write, tmp_path):
    """Not at all, in a folder, in the user's; a folder of the name off is ./off."""
    places = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_STATE_HOME": str(tmp_path / "state")}
    environment = {**os.environ, **places, "STRATA_CACHE": "on", "PYTHONPATH": str(Path(stratavm.__file__).parents[1])}
    path, made = kept_program(write), []
    for said, folder in (("off", None), ("mine", "mine"), ("./off", "off"), ("on", "cache/stratavm/code")):
        done = process("run", "--cache", said, path, env=environment, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        made += [folder] if folder else []
        kept = {str(file.parent.relative_to(tmp_path)) for file in tmp_path.rglob("*.entry")}
        assert kept == set(made)


def test_a_folder_that_cannot_keep_code_is_refused(strata, write, tmp_path):
    """One that was named: nobody would find out why the next start is slow."""
    (tmp_path / "open").mkdir(mode=0o755)
    code, out, err = strata("run", "--cache", str(tmp_path / "open"), write(HOT))
    assert (code, out) == (1, "") and "is open to others" in err
    code, _, err = strata("run", "--cache", "", write(HOT))
    assert code == 2 and "expected on, off or a folder" in err


@pytest.mark.parametrize(("said", "meant"), [("of", "off"), ("ofF", "off"), ("ON", "on"), ("onn", "on")])
def test_a_typo_of_on_and_off_is_no_folder(strata, write, tmp_path, monkeypatch, said, meant):
    """It would be made, and code kept there without a word."""
    monkeypatch.chdir(tmp_path)
    code, _, err = strata("run", "--cache", said, write(HOT))
    assert code == 2 and f"did you mean '{meant}'? A folder is ./{said}" in err
    assert not (tmp_path / said).exists()


ACCEPT = """(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 16) (i32.const 1))
    (if (i32.ne (call $accept (i32.const 3) (i32.const 4) (i32.const 0)) (i32.const 28)) (then unreachable))))"""


def test_a_guest_may_listen(strata, write):
    """Descriptor 3 is a socket at the address, where it waits."""
    code, _, err = strata("run", "--tcplisten", "127.0.0.1:0", "--timeout", "0.2", write(ACCEPT))
    assert code == 124, err  # it waits for somebody to connect
    port = re.search(r"^strata: listening on 127\.0\.0\.1:(\d+)$", err, re.M)
    assert port is not None and int(port[1]) > 0
    code, _, err = strata("run", "--tcplisten", f"127.0.0.1:{port[1]}", "--timeout", "0.2", write(ACCEPT))
    assert code == 124 and "listening" not in err  # who named it knows it
    assert strata("run", "--timeout", "20", write(ACCEPT))[0] == 134  # without, there is no descriptor 3


NULLS = """(module (type $t (func (param i32) (result i32)))
  (func (export "is") (param (ref null $t)) (result i32) (ref.is_null (local.get 0)))
  (func (export "give") (param (ref null $t)) (result (ref null $t)) (local.get 0))
  (func (export "two") (result i32 (ref null $t)) (i32.const 1) (ref.null $t))
  (func (export "solid") (param (ref $t))))"""


def test_null_is_an_argument_and_a_result_of_typed_references(strata, write):
    """In words and as JSON; where null is no value it is refused."""
    path = write(NULLS)
    assert strata("run", "--invoke", "is", path, "null") == (0, "1\n", "")
    assert strata("run", "--invoke", "give", path, "null") == (0, "null\n", "")
    assert strata("run", "--invoke", "two", path) == (0, "1\nnull\n", "")
    told = json.loads(strata("run", "--json", "--invoke", "give", path, "null")[1])
    assert told["results"] == [None]
    for name, shown in (("solid", "(ref [i32] -> [i32])"), ("is", "(ref null [i32] -> [i32])")):
        code, _, err = strata("run", "--invoke", name, path, "null" if name == "solid" else "5")
        what = "no command line gives one" if name == "solid" else "a command line gives null alone"
        assert code and f"argument 1 of {name}: expected {shown} ({what}), got" in err


def test_a_vector_is_printed_as_it_is_taken(strata, write):
    """As a number, in JSON as well; what is none says what would be."""
    path = write('(module (func (export "same") (param v128) (result v128) (local.get 0)))')
    number = f"0x{(7 << 120) + 5:032x}"
    assert strata("run", "--invoke", "same", path, number) == (0, number + "\n", "")
    assert json.loads(strata("run", "--json", "--invoke", "same", path, "5")[1])["results"] == [f"0x{5:032x}"]
    code, _, err = strata("run", "--invoke", "same", path, "i32x4 1 2 3 4")
    assert code != 0 and "expected v128 (a number, as 0x0f" in err
