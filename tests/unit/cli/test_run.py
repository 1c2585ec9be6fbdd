"""``strata run``: folders and variables for the guest, calls of exports, and which functions of a module run."""

from __future__ import annotations

import pytest

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


def test_a_report_says_what_became_of_each_function(strata, write):
    """With its name, what was seen of it and why; also where the program ends by an exit."""
    code, _, err = strata("run", "--tier-report", write(HOT))
    assert code == 7
    rows = {line.split()[-1]: line.split()[1:3] for line in err.splitlines()[1:-1]}
    assert rows["leaf"] == ["level", "1"]
    assert "never" not in rows
    assert err.splitlines()[-1].endswith("1 never called")


def test_a_report_wants_the_tier_that_has_something_to_tell(strata, write):
    """A line says which."""
    code, _, err = strata("run", "--tier", "jit1", "--tier-report", write(HOT))
    assert code == 7
    assert "only the tier auto" in err
