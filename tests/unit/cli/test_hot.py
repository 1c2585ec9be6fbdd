"""Claims about ``strata run --hot``: the running program goes on with the new code of its file, and state stays."""

import pytest

from tests.unit.cli.test_watch import PATIENCE_S, Watching

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $sleep (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "one\\0atwo\\0a{letter}")
  (func $word (result i32) {word})
  (func $rest {rest})
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (call $word)) (i32.store (i32.const 4) (i32.const 4))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (call $rest)
      (br_if $again (i32.eqz (i32.load (i32.const 200)))))))"""
SLEEPS = """(i32.store (i32.const 80) (i32.const 1)) (i64.store (i32.const 88) (i64.const 20000000))
  (drop (call $sleep (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 160)))"""
SPINS = """(local $n i32) (loop $l (local.set $n (i32.add (local.get $n) (i32.const 1)))
  (br_if $l (i32.lt_u (local.get $n) (i32.const 30000000))))"""
STOPS = "(i32.store (i32.const 200) (i32.const 1)) i32.const 16"


def program(word="i32.const 16", rest=SLEEPS, letter="x"):
    """A program that writes a word again and again."""
    return PROGRAM.format(word=word, rest=rest, letter=letter)


class Hot(Watching):
    """The command with ``--hot``."""

    word = "--hot"


@pytest.fixture
def hot(tmp_path):
    """Start one in a folder of its own; none outlives its test."""
    made = []

    def start(text, *words):
        (tmp_path / "app.wat").write_text(text)
        made.append(Hot(*words, "app.wat", cwd=tmp_path))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()


@pytest.mark.parametrize("rest", [SLEEPS, SPINS], ids=["sleeps", "spins"])
@pytest.mark.parametrize("tier", ["auto", "jit0", "jit1", "oracle"])
def test_a_program_goes_on_with_the_new_code(hot, tmp_path, rest, tier):
    """In the midst of its only call; what changed is said, and the end is the program's own."""
    if tier == "oracle":
        rest = rest.replace("30000000", "30000")
    running = hot(program(rest=rest), "--tier", tier)
    running.until("one")
    (tmp_path / "app.wat").write_text(program("i32.const 20", rest))
    said = [line for line in running.until("two") if "changed" in line]
    assert said == [] or said[0].startswith("strata: app.wat changed: 1 function changed (2)")
    (tmp_path / "app.wat").write_text(program(STOPS, rest))
    assert running.process.wait(PATIENCE_S) == 0
    rest_of_it = running.rest()
    assert rest_of_it[-2:] != ["one", "one"]


def test_what_is_no_patch_is_said_and_the_program_goes_on(hot, tmp_path):
    """A refusal is one line with its reason, and so is what is no module; the next patch is taken."""
    running = hot(program())
    running.until("one")
    (tmp_path / "app.wat").write_text(program(letter="y"))
    assert running.until("cannot be patched")[-1].startswith(
        "strata: app.wat cannot be patched: its data segments are not the same; it goes on as it was"
    )
    running.until("one")
    (tmp_path / "app.wat").write_text("(module")
    running.until("parse error")
    running.until("one")
    (tmp_path / "app.wat").write_text(program("i32.const 20"))
    running.until("two")
    (tmp_path / "app.wat").write_text(program(STOPS))
    assert running.process.wait(PATIENCE_S) == 0


def test_an_added_function_may_be_taken_out_again(hot, tmp_path):
    """As an editor's undo does; the next change is taken as ever."""
    running = hot(program())
    running.until("one")
    file = tmp_path / "app.wat"
    file.write_text(program("(call $more)")[:-1] + "(func $more (result i32) i32.const 20))")
    running.until("two")
    file.write_text(program())
    running.until("1 that is gone")
    running.until("one")
    file.write_text(program("i32.const 20"))
    running.until("two")
    file.write_text(program(STOPS))
    assert running.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("other", ["--watch", "--isolate", "--tier-report"])
def test_what_does_not_go_together_is_said(hot, other):
    """Before anything runs."""
    running = hot(program(), other)
    assert running.process.wait(PATIENCE_S) == 2
    assert f"--hot: not together with {other}" in "\n".join(running.rest())
