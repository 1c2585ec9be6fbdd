"""Where the command's own words end: everything behind APP is the guest's, and options that stand there are found."""

from __future__ import annotations

import re
import shlex

import pytest

ARGUMENTS = """(module
  (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")  ;; prints its arguments, a zero behind each
    (drop (call $sizes (i32.const 0) (i32.const 4)))
    (drop (call $get (i32.const 1024) (i32.const 4096)))
    (i32.store (i32.const 8) (i32.const 4096)) (i32.store (i32.const 12) (i32.load (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 16)))))"""
MATH = """(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "seven") (result i32) (i32.const 7)))"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with modules, which tests are in."""
    (tmp_path / "app.wat").write_text(ARGUMENTS)
    (tmp_path / "-app.wat").write_text(ARGUMENTS)
    (tmp_path / "math.wat").write_text(MATH)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        (("run", "app.wat", "--", "x"), ("app.wat", "--", "x")),
        (("run", "app.wat", "--", "--", "x"), ("app.wat", "--", "--", "x")),
        (("run", "--", "app.wat", "--", "x"), ("app.wat", "--", "x")),
        (("run", "--", "-app.wat", "x"), ("-app.wat", "x")),
        (("run", "--timeout", "60", "--", "app.wat"), ("app.wat",)),
        (("app.wat", "--", "x"), ("app.wat", "--", "x")),
        (("--timeout", "60", "--fuel=1000000", "app.wat", "x", "--"), ("app.wat", "x", "--")),
        (("run", "app.wat", "--help", "-h", "--timeout", "x"), ("app.wat", "--help", "-h", "--timeout", "x")),
        (("run", "--isolate", "app.wat", "--", "x"), ("app.wat", "--", "x")),
    ],
)
def test_everything_behind_app_is_the_guests(process, words, seen):
    """Dashes too, be they two or more."""
    done = process(*words)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "".join(f"{word}\0" for word in seen)


def test_bisect_leaves_the_guests_words_alone_too(strata):
    """Each is looked at as the argument that it is."""
    code, _, err = strata("bisect", "--invoke", "add", "math.wat", "1", "--")
    assert code == 1
    assert "argument 2 of add: expected i32, got '--'" in err


@pytest.mark.parametrize("words", [(), ("--timeout", "2"), ("--",)])
@pytest.mark.parametrize("command", ["run", "bisect"])
def test_only_app_is_required(strata, command, words):
    """A program without arguments is no mistake."""
    code, _, err = strata(command, *words)
    assert code == 2
    assert "the following arguments are required: APP (" in err


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("math.wat", "--invoke", "add", "1", "2"), "strata run --invoke add math.wat 1 2"),
        (("math.wat", "1", "2", "--invoke=add"), "strata run --invoke=add math.wat 1 2"),
        (("--fuel", "99", "math.wat", "1", "--invoke", "add", "2"), "strata run --fuel 99 --invoke add math.wat 1 2"),
        (("--invoke", "add", "math.wat", "1", "2", "--fuel", "99"), "strata run --invoke add --fuel 99 math.wat 1 2"),
    ],
)
def test_options_behind_app_are_put_right(strata, words, right):
    """The error shows the command as it was meant, and that runs."""
    code, out, err = strata("run", *words)
    assert (code, out) == (1, "")
    assert f"options stand before APP: `{right}`" in err
    assert strata(*shlex.split(right)[1:]) == (0, "3\n", "")


def test_options_of_bisect_behind_app_are_put_right(strata):
    """As those of ``run``."""
    code, _, err = strata("bisect", "math.wat", "--invoke", "seven")
    assert code == 1
    right = re.search(r"options stand before APP: `(.*)`", err)[1]
    assert right == "strata bisect --invoke seven math.wat"
    assert strata(*shlex.split(right)[1:]) == (0, "no difference\n", "")


def test_a_guests_words_are_not_taken_for_options(strata):
    """A negative number is an argument: the error is about the call."""
    code, _, err = strata("run", "--invoke", "add", "math.wat", "-1")
    assert code == 1
    assert "takes 2 arguments, got 1" in err and "before APP" not in err
