"""Claims about ``strata build``: an image that runs everywhere a module does, a report, and no file lost."""

import json
import os
import subprocess

import pytest

from stratavm import DecodeError, Module
from stratavm.aot import container
from stratavm.cli.build import LISTED

TEXT = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1) (func $code (result i32) (i32.const 7))
  (func $large (export "large") (param i32) (result i32) (local i32) LARGE (local.get 1))
  (func (export "_start") (call $exit (call $code))))""".replace(
    "LARGE", "(local.set 1 (i32.add (local.get 1) (local.get 0)))" * 40
)


NOT_USED = "strata: the code in app.strata is not used: "


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
    assert "features     popcnt sse42" in out and "used         yes" in out
    (here / "state/stratavm/cache.key").unlink()
    rows = dict(json.loads(strata("info", "--json", "app.strata")[1])["image"])
    assert rows["used"].startswith("no: this user has no key") and rows["tier"] == "jit1"
    assert "image" not in json.loads(strata("info", "--json", "app.wat")[1])


WARM = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 100) "cold\\n")
  (data (i32.const 200) "\\64\\00\\00\\00\\05\\00\\00\\00")
  (data $p "warm\\n") (func $say (drop (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 0))))
  (func (export "warm") (memory.init $p (i32.const 100) (i32.const 0) (i32.const 5)) (call $say))
  (func (export "ask") (drop (call $args (i32.const 0) (i32.const 4))))
  (func (export "draw") (drop (call $random (i32.const 300) (i32.const 8))))
  (func (export "fail") unreachable)
  (func (export "_start") (call $say)))"""


def test_an_image_may_begin_behind_a_call(strata, here):
    """What the function prints meanwhile does not get into a report or an image."""
    (here / "guest.wat").write_text(WARM)
    code, out, err = strata("build", "--init", "warm", "--json", "guest.wat")
    assert (code, json.loads(out)["functions"], err) == (0, 6, "warm\n")
    assert strata("run", "guest.strata") == (0, "warm\n", "")
    assert "behind a call (--init), with 4096 bytes of memory" in strata("info", "guest.strata")[1]
    assert strata("run", "--isolate", "guest.strata")[:2] == (0, "warm\n")
    assert strata("run", "guest.wat")[1] == "cold\n"
    code, _, err = strata("build", "--init", "draw", "guest.wat", "-o", "drawn.strata")
    assert (code, err) == (0, "strata: --init: all instances share the random numbers that the guest drew\n")
    assert strata("run", "drawn.strata")[1] == "cold\n"


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ("ask", "a snapshot cannot keep what the guest was told by args_get: --init ask"),
        ("nope", "exports no function nope"),
        ("memory", "exports no function memory"),
        ("fail", "unreachable"),
    ],
)
def test_a_call_that_cannot_be_kept_is_said(strata, here, init, said):
    """And no image is written."""
    (here / "guest.wat").write_text(WARM)
    code, out, err = strata("build", "--init", init, "guest.wat")
    assert code != 0
    assert said in err and out == ""
    assert not (here / "guest.strata").exists()


def test_the_report_as_data(strata):
    """For programs."""
    code, out, _ = strata("build", "--json", "--tier", "jit0", "app.wat", "-o", "x.strata")
    told = json.loads(out)
    assert (code, told["file"], told["functions"], told["fallbacks"]) == (0, "x.strata", 3, [])
    assert [row["function"] for row in told["compiled"]] == [1, 2, 3] and told["bytes"] == os.stat("x.strata").st_size
    assert told["reasons"] == [{"reason": "no image of before was given", "functions": told["compiled_count"]}]
    assert told["compiled_count"] == 3


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
    assert "all functions: the old image is not used: its code is of the tier jit1, and this build of jit0" in out
    err = strata("build", "--incremental", "app.strata", "--fuel", "app.wat")[2]
    assert "the old image is not used: its code counts no fuel, and this build does; its code is of the tier" in err


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
    assert process("build", "-", input=TEXT.encode()).returncode == 2
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


def test_an_empty_name_is_no_file(strata, here):
    """And does not mean the place that is taken without one."""
    code, out, err = strata("build", "app.wat", "-o", "")
    assert (code, out) == (1, "") and "No such file or directory" in err
    assert not (here / "app.strata").exists()


def test_an_old_image_that_is_none_is_blamed_by_its_name(strata, here):
    """Not the module that is to be built."""
    strata("build", "app.wat", "-o", "old.strata")
    data = (here / "old.strata").read_bytes()
    (here / "old.strata").write_bytes(data[:-1])
    err = strata("build", "--incremental", "old.strata", "app.wat")[2]
    assert err.startswith("strata: old.strata: ") and "damaged image" in err and "app.wat" not in err
    err = strata("build", "--incremental", "app.wat", "app.wat")[2]
    assert err.startswith("strata: app.wat: ") and "this is no image" in err and "damaged" not in err
    told = json.loads(strata("build", "--json", "--incremental", "old.strata", "app.wat")[1])
    assert told["error"]["file"] == "old.strata"
    with pytest.raises(DecodeError, match="damaged image") as raised:
        Module.build(TEXT, old=data[:-1])
    assert raised.value.file == "the old image"


def test_an_old_image_of_which_nothing_is_used_is_said_once(strata, here):
    """With --json, too; where something of it is used, nothing is said."""
    strata("build", "app.wat", "-o", "old.strata")
    for text, said in (
        (TEXT, ""),
        (TEXT.replace("(memory", "(global i32 (i32.const 1)) (memory"), "global: an index may"),
    ):
        (here / "app.wat").write_text(text)
        for words in ((), ("--json",), ("--explain",)):
            err = strata("build", "--incremental", "old.strata", *words, "app.wat")[2]
            assert err.count("\n") == bool(said) and said in err
    assert err.startswith("strata: --incremental old.strata: global: ")
    assert strata("build", "--incremental", "nope", "app.wat")[2].startswith("strata: --incremental nope: No such file")
    os.mkfifo("pipe")  # nobody writes to it
    code, _, err = strata("build", "--incremental", "pipe", "app.wat")
    assert (code, err) == (1, "strata: --incremental: pipe is no ordinary file\n")


def test_code_that_is_not_used_is_said_once(strata, here):
    """Whoever ships images would only see slow starts."""
    strata("build", "app.wat")
    assert strata("run", "app.strata") == (7, "", "")
    data = (here / "app.strata").read_bytes()
    for section, said in (("code", NOT_USED), ("skeleton", "strata: a part of app.strata is not used: ")):
        damaged = bytearray(data)
        damaged[container.read(data).sections[section].offset + 9] ^= 1
        (here / "app.strata").write_bytes(damaged)
        assert strata("run", "app.strata") == (7, "", f"{said}the section {section} is damaged\n")
    (here / "app.strata").write_bytes(data)
    code, _, err = strata("run", "--fuel", "1000", "app.strata")
    assert (
        code == 7
        and err.startswith(NOT_USED + "its code counts no fuel, and this engine does")
        and err.count("\n") == 1
    )
    assert strata("run", "--tier", "oracle", "app.strata") == (7, "", "")  # which takes no code
    assert strata("run", "--isolate", "app.strata")[2] == NOT_USED + "behind the wall of --isolate there is no key\n"


def test_an_image_without_a_mark_is_said_when_it_is_built(strata, here, monkeypatch):
    """Nobody would use its code."""
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "")
    err = strata("build", "app.wat")[2]
    assert err.startswith("strata: app.strata has no mark, ") and "no home directory" in err and err.count("\n") == 1
    assert strata("run", "app.strata")[2] == NOT_USED + "it has no mark\n"
    assert strata("build", "--key", key_file(here / "key"), "app.wat")[2] == ""


def test_data_and_an_image_do_not_go_to_one_place(strata):
    """Said before anything is built; the line is wrong."""
    code, out, err = strata("build", "--json", "app.wat", "-o", "-")
    assert (code, out) == (2, "") and "strata: --json: standard output is where the image goes (hint: " in err
    code, out, err = strata("build", "--executable", "app.wat", "-o", "-")
    assert (code, out) == (2, "") and "strata: --executable: standard output is no file" in err
    code, out, err = strata("build", "-")
    assert (code, out) == (2, "") and "a module from standard input has no name" in err and "(hint: -o FILE)" in err


def test_where_no_image_can_be_written_is_said_before_anything_is_compiled(strata, here, monkeypatch):
    """A large program takes seconds."""
    monkeypatch.setattr("stratavm.cli.build.build_module", None)
    code, out, err = strata("build", "app.wat", "-o", "nope/app.strata")
    assert (code, out) == (1, "") and err.startswith(f"strata: -o {here}/nope: no such folder (hint: ")
    code, out, err = strata("build", "app.wat", "-o", str(here))
    assert (code, out) == (1, "") and err == f"strata: -o {here}: a folder, where a file is to be written\n"
    code, out, err = strata("build", "app.wat", "--incremental", "nope")
    assert (code, out) == (1, "") and err.startswith("strata: --incremental nope: No such file or directory")


@pytest.mark.parametrize("command", ["build", "compile"])
@pytest.mark.parametrize("count", ["-1", "x", "1.5"])
def test_a_number_of_threads_that_is_none_is_a_wrong_line(strata, command, count):
    """As of ``run``."""
    code, out, err = strata(command, "--threads", count, "app.wat")
    assert (code, out) == (2, "")
    assert f"strata: {command}: argument --threads: expected a number of threads such as 8, got '{count}'" in err


def test_a_damaged_image_is_said(strata, here):
    """What to do about it as well."""
    strata("build", "app.wat")
    (here / "app.strata").write_bytes((here / "app.strata").read_bytes()[:-1])
    code, _, err = strata("run", "app.strata")
    assert code == 1 and "damaged image" in err and "build it again" in err


# ---- keys ---------------------------------------------------------------------------------------------------------


def key_file(path, content=b"k" * 32, mode=0o600):
    """A file with a key."""
    path.write_bytes(content)
    path.chmod(mode)
    return path.name


def test_an_image_of_a_key_runs_where_the_key_is(strata, here):
    """And only there: else its binary is compiled, and a note says so."""
    key, other = key_file(here / "key"), key_file(here / "other", b"o" * 16)
    assert strata("build", "--key", key, "app.wat")[0] == 0
    assert strata("run", "--key", key, "app.strata") == (7, "", "")
    assert strata(f"--key={key}", "app.strata") == (7, "", "")
    code, out, err = strata("run", "--key", other, "app.strata")
    assert (code, out) == (7, "") and "app.strata is not used: its mark is not by the key that was given" in err
    assert strata("run", "app.strata") == (7, "", NOT_USED + "this user has no key\n")
    assert "used         no: " in strata("info", "app.strata")[1]
    strata("build", "app.wat")
    assert "mark is not by the key" in strata("run", "--key", key, "app.strata")[2]


def test_an_old_image_of_a_key_is_used_with_the_key(strata, here):
    """What is built of it has the same mark."""
    key = key_file(here / "key")
    strata("build", "--key", key, "app.wat")
    assert "3 as they were" in strata("build", "--key", key, "--incremental", "app.strata", "app.wat")[1]
    assert strata("run", "--key", key, "app.strata") == (7, "", "")
    _, out, err = strata("build", "--incremental", "app.strata", "--explain", "app.wat")
    assert "2 as they were" not in out and "the old image is not used: this user has no key" in out
    assert err == "strata: --incremental app.strata: the old image is not used: this user has no key; all is compiled\n"


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"k" * 15, 0o600, "has 15 bytes; a key has 16 to 64"),
        (b"k" * 65, 0o600, "has 65 bytes; a key has 16 to 64"),
        (b"", 0o600, "has 0 bytes"),
        (b"k" * 32, 0o640, "is open to others (mode 0640): chmod 600 it"),
        (b"k" * 32, 0o602, "is open to others (mode 0602)"),
    ],
    ids=["short", "long", "empty", "readable", "writable"],
)
def test_a_file_that_is_no_key_is_refused(strata, here, content, mode, said):
    """Before anything is read or built."""
    key = key_file(here / "key", content, mode)
    for words in (("build", "--key", key, "app.wat"), ("run", "--key", key, "app.wat")):
        code, out, err = strata(*words)
        assert code == 1 and out == "" and f"the key file key {said}" in err
    assert not (here / "app.strata").exists()


def test_what_is_no_file_is_no_key(strata, here):
    """Nor is one that is not there, or is another's; nobody waits for a pipe."""
    os.mkfifo(here / "pipe")
    (here / "folder").mkdir()
    for name, said in (
        ("nope", "strata: --key nope: No such file"),
        ("pipe", "is no ordinary file"),
        ("folder", "is no ordinary file"),
    ):
        code, _, err = strata("build", "--key", name, "app.wat")
        assert code == 1 and said in err, err
    assert "strata: --key nope: No such file" in strata("run", "--key", "nope", "app.wat")[2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_key_of_another_user_is_refused(strata, here):
    """Who could change it."""
    key = key_file(here / "key")
    os.chown(here / key, 65534, 65534)
    code, _, err = strata("build", "--key", key, "app.wat")
    assert code == 1 and "belongs to user 65534, who could change it" in err


def test_a_key_is_for_images_alone(strata, here):
    """A module has no code to be trusted."""
    key = key_file(here / "key")
    code, _, err = strata("run", "--key", key, "app.wat")
    assert code == 1 and "this is no image" in err and "`strata build` makes one of a module" in err


def test_a_guest_does_not_see_the_key_that_its_code_is_trusted_by(strata, here):
    """It could write images of its own."""
    (here / "keys").mkdir()
    key_file(here / "keys/key")
    (here / "link").symlink_to(here / "keys")
    strata("build", "--key", "keys/key", "app.wat")
    for folder in (".", "keys", "link::/x"):
        code, _, err = strata("run", "--dir", folder, "--key", "keys/key", "app.strata")
        assert code == 2 and "the guest could read it" in err
    (here / "data").mkdir()
    assert strata("run", "--dir", "data", "--key", "keys/key", "app.strata") == (7, "", "")
    (here / "data/other name").hardlink_to(here / "keys/key")
    code, _, err = strata("run", "--dir", "data", "--key", "keys/key", "app.strata")
    assert code == 2 and "2 names" in err
    assert strata("run", "--key", "keys/key", "app.strata") == (7, "", "")
    code, _, err = strata("run", "--isolate", "--key", "keys/key", "app.strata")
    assert code == 2 and "no keys" in err
