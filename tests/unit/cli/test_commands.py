"""Claims about the command: exit codes, one-line errors with a hint, data for programs."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from stratavm import __version__, cli
from stratavm.cli import isolate, options, output
from stratavm.cli.commands import COMMANDS

MATH = """(module $math
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7)))
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "two") (result i32 f64) (i32.const 1) (f64.const 2.5))
  (func (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (call 4 (i32.sub (local.get 0) (i32.const 1)))) (else (unreachable))))
  (func (export "spin") (loop (br 0))))
"""
ECHO = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 100))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""


@pytest.fixture
def math(tmp_path):
    """The path of a module of small functions."""
    path = tmp_path / "math.wat"
    path.write_text(MATH)
    return str(path)


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_run_passes_on_the_exit_code_of_the_guest(strata, math, tier):
    """Seven, on either tier."""
    assert strata("run", "--tier", tier, math) == (7, "", "")


def test_run_invokes_an_export(strata, math):
    """Results on lines, or as JSON; arguments are parsed by the function's type."""
    assert strata("run", "--invoke", "add", math, "2", "-3") == (0, "-1\n", "")
    assert strata("run", "--invoke", "two", math)[1] == "1\n2.5\n"
    assert json.loads(strata("run", "--json", "--invoke", "two", math)[1])["results"] == [1, 2.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--invoke", "add", "APP", "1"), "add(i32, i32) -> i32 takes 2 arguments, got 1"),
        (("--invoke", "add", "APP", "1", "x"), "'x'"),
        (("--invoke", "nothing", "APP"), "no function 'nothing'"),
        (("missing.wasm",), "missing.wasm: No such file or directory (hint: check the path)"),
    ],
)
def test_a_mistake_is_one_line(strata, math, arguments, words):
    """Exit code 1; no traceback; what was wrong."""
    code, out, err = strata("run", *(math if a == "APP" else a for a in arguments))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("strata: ")
    assert words in err


def test_a_trap_shows_the_frames_once(strata, math):
    """Exit code 134; repeated frames are folded."""
    code, _, err = strata("run", "--invoke", "deep", math, "5")
    assert code == 134
    assert "trap: unreachable" in err
    assert "times)" in err
    code, out, _ = strata("run", "--json", "--invoke", "deep", math, "5")
    assert json.loads(out)["error"]["type"] == "Trap"
    assert json.loads(out)["exit_code"] == 134


def test_a_timeout_ends_the_guest(strata, math):
    """Exit code 124, as ``timeout`` has it."""
    code, _, err = strata("run", "--timeout", "0.05", "--invoke", "spin", math)
    assert code == 124
    assert "raise --timeout" in err


def test_standard_input_comes_from_a_file(strata, tmp_path):
    """--stdin, and what the guest writes arrives on standard output."""
    (tmp_path / "echo.wat").write_text(ECHO)
    (tmp_path / "in").write_text("hello\n")
    assert strata("run", "--stdin", str(tmp_path / "in"), str(tmp_path / "echo.wat")) == (0, "hello\n", "")


def test_a_memory_beyond_its_cap_is_refused(strata, tmp_path):
    """--max-memory names the limit."""
    (tmp_path / "big.wat").write_text('(module (memory 100) (func (export "_start")))')
    code, _, err = strata("run", "--max-memory", "64k", str(tmp_path / "big.wat"))
    assert code == 134
    assert "resource limit" in err


def test_validate_names_the_bad_ones(strata, math, tmp_path):
    """One verdict for each file; exit code 1 if any is bad."""
    (tmp_path / "bad.wat").write_text("(module (func (result i32) (i64.const 1)))")
    code, out, _ = strata("validate", math, str(tmp_path / "bad.wat"), str(tmp_path / "none.wasm"))
    assert code == 1
    good, bad, *_, missing = out.splitlines()
    assert good.endswith(": valid")
    assert "i32" in bad
    assert "No such file" in missing
    code, out, _ = strata("validate", "--json", math)
    assert (code, json.loads(out)) == (0, [{"file": math, "valid": True}])


def test_info_describes_a_module(strata, math):
    """Counts, imports, exports."""
    code, out, _ = strata("info", math)
    assert code == 0
    assert "wasi_snapshot_preview1.proc_exit" in out
    facts = json.loads(strata("info", "--json", math)[1])
    assert facts["counts"]["functions"] == 5
    assert facts["name"] == "math"


@pytest.mark.parametrize("stage", ["decode", "valid", "ssa", "opt", "minst", "sched", "ra", "asm"])
def test_dump_prints_each_stage(strata, math, stage):
    """By index or by name."""
    code, out, _ = strata("dump", "--stage", stage, "-f", "add", math)
    assert code == 0
    assert out.endswith("\n")
    assert strata("dump", "--stage", stage, "-f", "2", math)[1] == out


def test_dump_explains_what_the_passes_did(strata, math, tmp_path):
    """A line for each rewrite: offset, rule, node; only of the passes."""
    (tmp_path / "m.wat").write_text(
        '(module (func (export "f") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 8))))'
    )
    code, out, _ = strata("dump", "--stage", "opt", "--explain", "-f", "f", str(tmp_path / "m.wat"))
    assert code == 0
    head, line = out.splitlines()
    assert head == "func 0: 1 rewrite"
    offset, rule, node = line.split(maxsplit=2)
    assert int(offset, 16) > 0
    assert rule == "multiply_by_power"
    assert node == "v2:i32 = i32.mul v0 v1"
    code, _, err = strata("dump", "--stage", "asm", "--explain", "-f", "add", math)
    assert code == 2
    assert "--explain is about the passes, not about --stage" in err and "(hint: --stage opt --explain)" in err


def test_rules_are_listed_with_what_they_say(strata):
    """Name and meaning, and the test that proves each, which exists."""
    code, out, _ = strata("rules")
    assert code == 0
    assert ["multiply_by_power", "x * 2**k is x << k."] in [line.split(maxsplit=1) for line in out.splitlines()]
    rules = json.loads(strata("rules", "--json")[1])["rules"]
    assert len(rules) == len(out.splitlines()) - 1
    for rule in rules:
        file, _, test = rule["proof"].partition("::")
        assert (Path(__file__).parents[3] / file).is_file()
        assert test == f"test_rule[{rule['name']}]"
        assert hasattr(importlib.import_module(rule["module"]), "__file__")


def test_dump_knows_no_imported_function(strata, math):
    """It says which ones there are."""
    code, _, err = strata("dump", "-f", "0", math)
    assert code == 1
    assert "it defines functions 1 to 5" in err


def test_compile_says_what_it_cost(strata, math):
    """For people with stages and slowest functions, for programs as JSON."""
    code, out, _ = strata("compile", "--time", "--top", "2", math)
    assert code == 0
    assert "5 functions" in out
    assert "slowest functions" in out
    assert json.loads(strata("compile", "--json", math)[1])["functions"] == 5


def test_compile_counts_one_function_and_compiles_nothing_for_the_oracle(strata, tmp_path):
    """In words that fit the number; what would do nothing says so."""
    (tmp_path / "one.wat").write_text("(module (func))")
    assert strata("compile", str(tmp_path / "one.wat"))[1].startswith("1 function, ")
    code, out, err = strata("compile", "--tier", "oracle", str(tmp_path / "one.wat"))
    assert (code, out) == (2, "")
    assert "--tier oracle compiles nothing" in err and "(hint: --tier jit0 or --tier jit1)" in err


def test_what_is_no_script_is_shown_with_its_line(strata, tmp_path):
    """On lines of their own."""
    (tmp_path / "x.wast").write_text("(module)\n)\n")
    code, out, _ = strata("wast", str(tmp_path / "x.wast"))
    assert code == 1 and "\\x0a" not in out and "\n    2 | )\n" in out


def test_an_altered_expectation_is_one_failure(strata, tmp_path):
    """The last line is exactly the counts."""
    script = MATH + '(assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))'
    script = script.replace(
        '(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))', "(func $exit (param i32))"
    )
    path = tmp_path / "s.wast"
    path.write_text(script)
    assert strata("wast", str(path))[:2] == (0, "1 passed, 0 failed, 0 skipped\n")
    path.write_text(script.replace("(i32.const 3))", "(i32.const 4))"))
    code, out, _ = strata("wast", str(path))
    assert code == 1
    assert out.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"
    assert strata("wast", "-q", str(path))[1] == "0 passed, 1 failed, 0 skipped\n"
    assert json.loads(strata("wast", "--json", str(path))[1])["failed"] == 1


def test_usage(strata):
    """Help and version succeed, nonsense is exit code 2."""
    assert strata("--version") == (0, f"strata {__version__}\n", "")
    for command in COMMANDS:
        assert strata(command, "--help")[0] == 0
    assert strata("nonsense")[0] == 2
    assert strata()[0] == 2
    assert strata("run", "--timeout", "-1", "x.wasm")[0] == 2
    assert strata("run", "--max-memory", "lots", "x.wasm")[0] == 2


def test_sizes_have_units():
    """Binary multiples, with or without B."""
    assert [options.size(t) for t in ("10", "64k", "512M", "2GiB", "1T")] == [10, 65536, 512 << 20, 2 << 30, 1 << 40]


def test_an_interrupt_is_an_exit_code(strata, math, monkeypatch):
    """As a shell expects: 128 and the signal's number."""
    monkeypatch.setattr("stratavm.cli.run.run", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    assert strata("run", math) == (128 + signal.SIGINT, "", "strata: interrupted\n")
    code, out, err = strata("run", "--json", math)
    told = json.loads(out)
    assert (code, err, told["reason"], told["exit_code"]) == (130, "", "interrupt", 130)
    assert told["error"]["message"] == "keyboard interrupt: interrupted"


@pytest.fixture
def answered(monkeypatch):
    """Ctrl-C is what it is once the command has begun."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(cli, "_others", cli._others)
    cli._answer()
    yield
    signal.signal(signal.SIGINT, before)


def test_what_else_python_drops_is_told_to_whoever_was_told_before(monkeypatch):
    """By somebody's own hook, once, however often the command begins; nothing ends by it."""
    before, told = signal.getsignal(signal.SIGINT), []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(cli, "_others", cli._others)
    cli._answer()
    cli._answer()
    try:
        thing = type("Thing", (), {})()
        reference = weakref.ref(thing, lambda _: 1 // 0)
        del thing
        assert reference() is None and [error.exc_type for error in told] == [ZeroDivisionError]
    finally:
        told.clear()
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("command", ["run", "validate", "info"])
def test_an_interrupt_that_python_drops_ends_the_command_all_the_same(strata, math, monkeypatch, answered, command):
    """What is raised in the callback of a weak reference is reported and gone; each import has such a callback."""

    def work(_):
        thing = type("Thing", (), {})()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        assert reference() is None
        worked.append(True)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            time.sleep(0.01)
        return 0

    worked = []
    with monkeypatch.context() as patch:
        patch.setattr(f"stratavm.cli.{command}.run", work)
        assert strata(command, math) == (130, "", "strata: interrupted\n") and worked
    assert strata(command, math)[0] in (0, 7)


@pytest.mark.parametrize("module", ["run", "run.prepare"])
def test_an_interrupt_that_was_heard_ends_one_command(strata, math, monkeypatch, answered, module):
    """Before it begins its work, and in it; the next one of the same process does not end by it."""
    with monkeypatch.context() as patch:
        patch.setattr(f"stratavm.cli.run.{module.split('.')[-1]}", lambda _: signal.raise_signal(signal.SIGINT))
        assert strata("run", math) == (130, "", "strata: interrupted\n")
    assert strata("run", "--invoke", "add", math, "1", "2")[0] == 0


def test_progress_is_for_terminals(monkeypatch, capfd):
    """Silent elsewhere; a bar where standard error is one."""
    with output.progress("x", 3) as advance:
        advance()
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with output.progress("x", 3) as advance:
        advance(2)
    shown = capfd.readouterr().err
    assert "2/3" in shown and "\x1b[?25" not in shown  # a signal may end it: no cursor is hidden
    monkeypatch.setenv("TERM", "dumb")
    with output.progress("x", 3) as advance:
        advance(2)
    assert capfd.readouterr().err == ""


CHILD = """
from stratavm.cli import isolate
import os, resource, socket, sys
print(isolate.wall_off(3.0))
python = [sys.executable, "-V"]
for call, *arguments in ((socket.socket,), (os.execv, sys.executable, python), (os.kill, os.getpid(), 0)):
    try:
        call(*arguments)
        print("allowed")
    except PermissionError:
        print("refused")
print(resource.getrlimit(resource.RLIMIT_CORE)[1], resource.getrlimit(resource.RLIMIT_CPU)[0])
"""


def test_the_wall_refuses_what_a_guest_never_needs():
    """In a process of its own: sockets, programs, signals; limits are set."""
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=60)
    problems, *attempts, limits = done.stdout.splitlines()
    assert problems == "[]", done.stderr
    assert attempts == ["refused"] * 3
    assert limits == f"0 {3 * min(2, os.cpu_count() or 1) + isolate.CPU_SLACK_SECONDS}"  # a thread may make marks


@pytest.mark.parametrize("tier", ["jit0", "jit1", "oracle"])
def test_run_stops_a_guest_without_fuel(strata, math, tier):
    """A trap with its frames and a hint; enough fuel changes nothing."""
    code, out, err = strata("run", "--tier", tier, "--fuel", "1000", "--invoke", "spin", math)
    assert (code, out) == (134, "")
    assert "all fuel consumed" in err
    assert "raise --fuel" in err
    assert "spin" in err
    assert strata("run", "--tier", tier, "--fuel", "4", "--invoke", "add", math, "1", "2") == (0, "3\n", "")


@pytest.mark.parametrize("units", ["-1", "many", "1e3", str(1 << 63)])
def test_fuel_is_a_number(strata, math, units):
    """Anything else is a usage error."""
    code, out, err = strata("run", f"--fuel={units}", math)
    assert (code, out) == (2, "")
    assert "--fuel" in err
