"""A reader that goes away ends the guest of the command, as SIGPIPE ends a program; in Python the guest is told."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

import stratavm
from stratavm import Wasi
from stratavm.wasi.errno import Errno

WRITE = '(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))'
FOREVER = f"""(module {WRITE}
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\02\\00\\00\\00") (data (i32.const 16) "y\\0a")
  (func $say (param i32) (result i32) (call $write (local.get 0) (i32.const 0) (i32.const 1) (i32.const 8)))
  (func (export "_start") (loop (drop (call $say (i32.const 1))) (br 0)))
  (func (export "grumble") (loop (drop (call $say (i32.const 2))) (br 0)))
  (func (export "say") (result i32) (call $say (i32.const 1))))"""
BUFFERED = f"""(module {WRITE}
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\02\\00\\00\\00") (data (i32.const 16) "y\\0a")
  (func (export "_start") (call $exit (i32.add (i32.const 100)
    (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))))"""
HOW = pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["here", "isolated"])


@pytest.fixture
def forever(tmp_path):
    """The path of a program that writes for ever and looks at no error."""
    path = tmp_path / "yes.wat"
    path.write_text(FOREVER)
    return str(path)


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [("strip", "-o", "-"), ("print",)], ids=["bytes", "text"])
def test_output_that_does_not_fit_is_told_and_a_reader_that_goes_away_ends_it(command, unbuffered, tmp_path):
    """Also where Python does not buffer: its stream takes a part then, and that was taken for all."""
    module, short = tmp_path / "m.wat", tmp_path / "short"
    words = "\n".join(f'(func (export "{"x" * 80}{n}"))' for n in range(4000))
    module.write_text(f"(module {words})")
    strata = [sys.executable, "-m", "stratavm", *command, str(module)]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with open(short, "wb") as out:
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
        done = subprocess.run(
            strata, stdout=out, stderr=subprocess.PIPE, env=environment, preexec_fn=limit, check=False
        )
    assert (done.returncode, done.stderr) == (1, b"strata: standard output: File too large\n")
    with subprocess.Popen(strata, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout.read(1)
        process.stdout.close()
        assert process.wait(timeout=60) == 141
        assert process.stderr.read() == b""


@HOW
def test_a_guest_that_ignores_a_broken_pipe_ends_with_141(forever, how):
    """``strata run yes.wasm | head -1`` comes to an end, without a word."""
    command = [sys.executable, "-m", "stratavm", "run", "--timeout", "30", *how, forever]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as strata:
        assert strata.stdout.readline() == b"y\n"
        strata.stdout.close()
        assert strata.wait(timeout=60) == 141
        assert strata.stderr.read() == b""


@HOW
def test_a_broken_standard_error_ends_the_guest_too(forever, how):
    """Nobody is there to be told anything."""
    command = [sys.executable, "-m", "stratavm", "run", "--timeout", "30", *how, "--invoke", "grumble", forever]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as strata:
        assert strata.stderr.readline() == b"y\n"
        strata.stderr.close()
        assert strata.wait(timeout=60) == 141
        assert strata.stdout.read() == b""


@HOW
@pytest.mark.parametrize(("invoked", "code"), [("fail", 134), ("missing", 1)])
def test_an_error_that_nobody_reads_keeps_its_exit_code(process, tmp_path, how, invoked, code):
    """As in ``strata run app.wasm 2>&1 | head``, when the reader has gone before the guest traps."""
    path = tmp_path / "fails.wat"
    path.write_text('(module (func (export "fail") unreachable))')
    reading, writing = os.pipe()
    os.close(reading)
    done = process("run", *how, "--invoke", invoked, str(path), stderr=writing)
    os.close(writing)
    assert (done.returncode, done.stdout) == (code, b"")


def test_an_error_is_not_told_on_standard_output_where_standard_error_is_closed(process, tmp_path):
    """``2>&-``: who reads the results is not to take words about a trap for them."""
    path = tmp_path / "fails.wat"
    path.write_text('(module (func $f (export "fail") unreachable))')
    done = process("run", "--invoke", "fail", str(path), preexec_fn=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (134, b"")


@pytest.mark.parametrize("tier", ["jit0", "jit1", "oracle"])
def test_a_guest_does_not_live_to_see_the_error(process, tmp_path, tier):
    """Its own exit code for a failed write does not take the place of 141."""
    path = tmp_path / "exits.wat"
    path.write_text(BUFFERED)
    reading, writing = os.pipe()
    os.close(reading)
    done = process("run", "--tier", tier, str(path), stdout=writing)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_in_python_the_guest_is_told_that_the_pipe_is_broken():
    """A program that embeds a guest decides itself: the write returns PIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as file, Wasi(stdout=file) as world:
        instance = stratavm.load(FOREVER, world.namespaces())
        assert instance.exports["say"]() == Errno.PIPE


def test_a_program_comes_out_of_a_fifo(tmp_path, process):
    """Its writer, who waits for the reader, is not let through before that reads."""
    path = tmp_path / "it"
    os.mkfifo(path)
    command = [sys.executable, "-c", "import sys; open(sys.argv[1], 'w').write(sys.argv[2])", path]
    program = '(module (func (export "f") (result i32) (i32.const 7)))'
    for _ in range(2):
        with subprocess.Popen([*command, program]) as writer:
            done = process("run", "--timeout", "30", "--invoke", "f", str(path))
            assert (done.returncode, done.stdout, done.stderr) == (0, b"7\n", b"")
            assert writer.wait(timeout=60) == 0
