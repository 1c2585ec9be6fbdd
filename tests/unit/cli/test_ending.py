"""How a guest ended, in a word: refused memory is named as the reason, and ``--json`` has a line for every end."""

from __future__ import annotations

import json

import pytest

import stratavm

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2 40)
  (func $grow (param i32) (drop (memory.grow (local.get 0))))
  (func (export "_start") (call $exit (i32.const 3)))
  (func (export "dies") (param i32) (call $grow (local.get 0)) unreachable)
  (func (export "copes") (param i32) (call $grow (local.get 0)) (call $grow (i32.const 1)) unreachable)
  (func (export "pair") (result i32 i64) (i32.const 1) (i64.const 2))
  (func (export "spin") (loop (br 0)))
  (func (export "nothing")))"""


@pytest.fixture
def program(tmp_path):
    """The path of the program."""
    path = tmp_path / "program.wat"
    path.write_text(PROGRAM)
    return str(path)


BOTH = pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["here", "isolated"])


@BOTH
def test_a_guest_that_died_of_its_memory_limit_is_told_so(process, program, how):
    """Although its last words were a trap; what helps is named."""
    done = process("run", *how, "--max-memory", "192k", "--invoke", "dies", program, "9")
    assert done.returncode == 134
    assert b"trap: unreachable, after memory was refused (hint: raise --max-memory)" in done.stderr


@BOTH
def test_an_exception_that_nobody_catches_ends_a_program_as_a_trap_does(process, tmp_path, how):
    """With its values, the guest's frames, and the same exit code."""
    path = tmp_path / "throws.wat"
    path.write_text("""(module $guest (tag $e (param i32)) (func $inner (throw $e (i32.const 7)))
      (func (export "_start") (call $inner)) (memory (export "memory") 1))""")
    done = process("run", *how, str(path))
    assert done.returncode == 134
    assert b"unhandled exception: e(7)" in done.stderr
    assert b"inner at 0x" in done.stderr


@BOTH
def test_memories_share_the_limit(process, tmp_path, how):
    """Whether a program is given too much at its start, or asks for it."""
    path = tmp_path / "several.wat"
    path.write_text("""(module (memory 1) (memory 1 9)
      (func (export "dies") (param i32)
        (if (i32.lt_s (memory.grow 1 (local.get 0)) (i32.const 0)) (then unreachable))))""")
    done = process("run", *how, "--max-memory", "192k", "--invoke", "dies", str(path), "2")
    assert done.returncode == 134
    assert b"trap: unreachable, after memory was refused (hint: raise --max-memory)" in done.stderr
    assert process("run", *how, "--max-memory", "192k", "--invoke", "dies", str(path), "1").returncode == 0
    done = process("run", *how, "--max-memory", "64k", "--invoke", "dies", str(path), "0")
    assert done.returncode == 134
    assert b"(hint: raise --max-memory to at least 1M)" in done.stderr


def test_what_the_option_allows_is_no_matter_of_the_option(strata, program):
    """The memory's own maximum refuses this, with the option and without."""
    for options in ((), ("--max-memory", "64M")):
        code, _, err = strata("run", *options, "--invoke", "dies", program, "1000")
        assert code == 134 and "after memory was refused" in err and "hint:" not in err


def test_a_guest_that_coped_died_of_something_else(strata, program):
    """It was given what it asked for afterwards."""
    code, _, err = strata("run", "--max-memory", "192k", "--invoke", "copes", program, "9")
    assert code == 134 and "unreachable\n" in err and "refused" not in err


def test_a_memory_that_is_over_the_limit_to_begin_with_is_the_same_end(strata, program):
    """The exit code of ``stratavm.run``, for the same reason."""
    code, out, err = strata("run", "--max-memory", "64k", program)
    assert (code, out) == (134, "") and "raise --max-memory" in err
    done = stratavm.run(program, max_memory=64 << 10)
    assert (done.code, done.reason) == (code, "memory")


@pytest.mark.parametrize(
    ("call", "reason", "code", "results"),
    [
        ((), "exit", 3, None),
        (("--invoke", "nothing"), "exit", 0, []),
        (("--invoke", "pair"), "exit", 0, [1, 2]),
        (("--invoke", "dies", "APP", "0"), "trap", 134, None),
        (("--max-memory", "192k", "--invoke", "dies", "APP", "9"), "memory", 134, None),
        (("--max-memory", "64k"), "memory", 134, None),
        (("--fuel", "100", "--invoke", "spin"), "fuel", 134, None),
        (("--timeout", "0.05", "--invoke", "spin"), "timeout", 124, None),
        (("--timeout", "0.000001"), "timeout", 124, None),
        (("--invoke", "absent"), None, 1, None),
    ],
)
def test_json_has_a_line_for_every_end(strata, program, call, reason, code, results):
    """With the words of ``Completed.reason``; what never ran has an error and no reason."""
    words = [program if word == "APP" else word for word in call]
    got, out, err = strata("run", "--json", *words, *([] if program in words else [program]))
    assert (got, err, out.count("\n")) == (code, "", 1)
    told = json.loads(out)
    assert (told.get("reason"), told["exit_code"], told.get("results")) == (reason, code, results)
    assert ("error" in told) == (reason != "exit")
