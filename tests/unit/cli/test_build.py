"""Claims about ``strata build``: an image that runs everywhere a module does, a report, and no file lost."""

import json
import os
import subprocess

import pytest

from stratavm import DecodeError, Module
from stratavm.cli.build import LISTED

TEXT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func $code (result i32) (i32.const 7))
  (func $large (export "large") (param i32) (result i32) (local i32) LARGE (local.get 1))
  (func (export "_start") (call $exit (call $code))))""".replace(
    "LARGE", "(local.set 1 (i32.add (local.get 1) (local.get 0)))" * 40
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with a program, and a key of the test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "app.wat").write_text(TEXT)
    return tmp_path


def test_an_image_is_written_beside_the_module_and_runs(strata, here):
    """By its name alone, too; the report says what it has."""
    code, out, err = strata("build", "app.wat")
    assert (code, err) == (0, "") and out.startswith("app.strata: 3 functions in ")
    assert f"{(here / 'app.strata').stat().st_size} in all" in out
    assert strata("run", "app.strata")[0] == 7
    assert strata("./app.strata")[0] == 7
    assert strata("run", "--isolate", "app.strata")[0] == 7
    assert strata("run", "--invoke", "large", "app.strata", "2") == (0, "80\n", "")


def test_commands_look_at_the_binary_in_an_image(strata, here):
    """Whatever reads a module."""
    strata("build", "app.wat")
    assert "proc_exit" in strata("print", "app.strata")[1]
    assert strata("validate", "app.strata")[1] == "app.strata: valid\n"
    assert "3 functions" in strata("compile", "app.strata")[1]
    assert strata("dump", "--stage", "asm", "-f", "1", "app.strata")[0] == 0
    strata("parse", "app.strata", "-o", "again.wasm")
    strata("parse", "app.wat", "-o", "app.wasm")
    assert (here / "again.wasm").read_bytes() == (here / "app.wasm").read_bytes()


def test_info_says_what_an_image_is_for_and_whether_its_code_is_used(strata, here):
    """And why not."""
    strata("build", "--cpu", "v2", "app.wat")
    out = strata("info", "app.strata")[1]
    assert "features     popcnt sse41" in out and "used         yes" in out
    (here / "state/stratavm/cache.key").unlink()
    rows = dict(json.loads(strata("info", "--json", "app.strata")[1])["image"])
    assert rows["used"].startswith("no: this user has no key") and rows["tier"] == "jit1"
    assert "image" not in json.loads(strata("info", "--json", "app.wat")[1])


def test_the_report_as_data(strata):
    """For programs."""
    code, out, _ = strata("build", "--json", "--tier", "jit0", "app.wat", "-o", "x.strata")
    told = json.loads(out)
    assert (code, told["file"], told["functions"], told["fallbacks"]) == (0, "x.strata", 3, [])
    assert [row["function"] for row in told["compiled"]] == [1, 2, 3] and told["bytes"] == os.stat("x.strata").st_size
    assert (told["compiled_count"], told["reasons"]) == (3, [{"reason": "everything is compiled", "functions": 3}])


def test_a_report_of_a_large_module_is_short_unless_all_is_asked_for(strata, here):
    """Else a first build says the same of each function."""
    functions = LISTED + 20
    (here / "app.wat").write_text(f"(module {'(func)' * functions})")
    told = json.loads(strata("build", "--json", "app.wat")[1])
    assert (len(told["compiled"]), told["compiled_count"]) == (LISTED, functions)
    told = json.loads(strata("build", "--json", "--explain", "app.wat")[1])
    assert len(told["compiled"]) == functions


def test_an_executable_image_is_a_program(strata, process, here):
    """Its first line has the shell run `strata`; here it is run as the shell would."""
    strata("build", "--executable", "app.wat", "-o", "app")
    data = (here / "app").read_bytes()
    assert data.startswith(b"#!/usr/bin/env -S strata run\n") and os.access("app", os.X_OK)
    assert process("run", "./app").returncode == 7
    (here / "bin").mkdir()
    (here / "bin/strata").write_text('#!/bin/sh\necho "$@"\n')
    (here / "bin/strata").chmod(0o755)
    environment = {**os.environ, "PATH": f"{here}/bin:{os.environ['PATH']}"}
    ran = subprocess.run(["./app", "one"], env=environment, capture_output=True, text=True)
    assert ran.stdout == "run ./app one\n"


def test_a_new_build_says_what_it_compiled_again(strata, here):
    """Of a long function it is that one alone, of a short one those that call it as well."""
    strata("build", "app.wat")
    changed = TEXT.replace("(i32.const 7)", "(i32.const 9)")
    (here / "app.wat").write_text(changed)
    code, out, _ = strata("build", "--incremental", "app.strata", "--explain", "app.wat", "-o", "new.strata")
    assert code == 0 and "3 functions, 1 as they were, in" in out
    assert "func 1  code    its body changed" in out
    assert "func 3  _start  it calls function 1, which may be inlined" in out
    assert strata("new.strata")[0] == 9
    strata("build", "app.wat", "-o", "full.strata")
    assert (here / "new.strata").read_bytes() == (here / "full.strata").read_bytes()
    out = strata("build", "--incremental", "app.strata", "--explain", "--tier", "jit0", "app.wat")[1]
    assert "all functions: the old image is not used: options differs" in out


def test_an_image_does_not_take_the_place_of_what_it_is_made_of(strata, here):
    """But an image may be built again in place."""
    code, _, err = strata("build", "app.wat", "-o", "app.wat")
    assert code == 1 and "would overwrite the module that is read" in err and (here / "app.wat").read_text() == TEXT
    strata("build", "app.wat")
    assert strata("build", "app.strata")[0] == 0 and strata("run", "app.strata")[0] == 7


def test_standard_input_and_output(process, here):
    """As of all commands; without a name it has to be said where to write."""
    built = process("build", "-", "-o", "-", input=TEXT.encode())
    assert built.returncode == 0 and built.stderr == b"" and built.stdout.startswith(b"\x89strata\n")
    assert process("run", "-", input=built.stdout).returncode == 7
    assert process("build", "-", input=TEXT.encode()).returncode == 1
    full = process("build", "app.wat", "-o", "/dev/full")
    assert full.returncode == 1 and full.stderr == b"strata: /dev/full: No space left on device\n"


@pytest.mark.parametrize(
    "words",
    [("--tier", "auto", "app.wat"), ("--cpu", "v9", "app.wat"), ("--incremental", "app.wat", "app.wat"), ("nope.wat",)],
    ids=str,
)
def test_what_cannot_be_built_is_said(strata, here, words):
    """Nothing is written."""
    code, out, err = strata("build", *words)
    assert code in (1, 2) and out == "" and err.startswith("strata: ")
    assert sorted(file.name for file in here.iterdir()) == ["app.wat"]


def test_an_old_image_that_is_none_is_blamed_by_its_name(strata, here):
    """Not the module that is to be built."""
    strata("build", "app.wat", "-o", "old.strata")
    data = (here / "old.strata").read_bytes()
    (here / "old.strata").write_bytes(data[:-1])
    err = strata("build", "--incremental", "old.strata", "app.wat")[2]
    assert err.startswith("strata: old.strata: ") and "damaged image" in err and "app.wat" not in err
    err = strata("build", "--incremental", "app.wat", "app.wat")[2]
    assert err.startswith("strata: app.wat: ") and "this is no image" in err
    told = json.loads(strata("build", "--json", "--incremental", "old.strata", "app.wat")[1])
    assert told["error"]["file"] == "old.strata"
    with pytest.raises(DecodeError, match="damaged image") as raised:
        Module.build(TEXT, old=data[:-1])
    assert raised.value.file == "the old image"


def test_a_damaged_image_is_said(strata, here):
    """What to do about it as well."""
    strata("build", "app.wat")
    (here / "app.strata").write_bytes((here / "app.strata").read_bytes()[:-1])
    code, _, err = strata("run", "app.strata")
    assert code == 1 and "damaged image" in err and "build it again" in err
