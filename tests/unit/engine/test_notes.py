"""Tracebacks of Python show the guest's frames: of traps, and of exceptions of host functions on their way out."""

import copy
import io
import logging
import pickle
import traceback

import pytest

from stratavm import ExitError, Interrupted, Store, Trap, Wasi, load
from stratavm.base.errors import NOTE_HEAD, NOTE_LINES

SOURCE = """(module $guest
  (import "env" "hook" (func $hook (param i32)))
  (func $inner (param i32) (call $hook (local.get 0)))
  (func $outer (export "run") (param i32) (call $inner (local.get 0)))
  (func $fails (export "fails") (param i32) unreachable)
  (func $deep (export "deep") (param i32)
    (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1)))) (else (call $hook (i32.const 0))))))"""


class Fault(Exception):
    """What host functions raise here."""


@pytest.fixture(params=["jit0", "jit1", "oracle"])
def guest(request):
    """Exports whose host function is ``hooks[0]``."""
    hooks = [lambda n: None]
    made = load(SOURCE, {"env": {"hook": lambda n: hooks[0](n)}}, tier=request.param)
    return made.exports, hooks


def raises(error):
    """A function that raises."""

    def hook(n):
        raise error

    return hook


def shown(error):
    """A traceback as Python prints it."""
    return "".join(traceback.format_exception(error))


def test_an_exception_of_a_host_function_gets_the_frames_of_the_guest_that_called_it(guest):
    """As a note: the exception's class, arguments and traceback stay."""
    exports, hooks = guest
    hooks[0] = raises(Fault("x"))
    with pytest.raises(Fault, match=r"^x") as caught:
        exports.run(0)
    assert caught.value.args == ("x",)
    lines = shown(caught.value).split("\n")
    at = lines.index(NOTE_HEAD)
    assert lines[at + 1].startswith("  ") and "inner at 0x" in lines[at + 1] and "outer at 0x" in lines[at + 2]


def test_a_traceback_of_a_trap_shows_its_frames(guest):
    """Without a look at ``frames``."""
    exports, _ = guest
    with pytest.raises(Trap) as caught:
        exports.fails(0)
    assert f"{NOTE_HEAD}\n  " in shown(caught.value) and "fails at 0x" in shown(caught.value)
    assert caught.value.frames[0].name == "fails"


def test_each_guest_that_an_exception_leaves_is_noted(guest):
    """A guest calls Python, which calls a guest, which calls Python: two notes, the inner one first."""
    exports, hooks = guest

    def hook(n):
        if n == 0:
            raise Fault
        exports.run(n - 1)

    hooks[0] = hook
    with pytest.raises(Fault) as caught:
        exports.run(2)
    notes = list(caught.value.__notes__)
    assert len(notes) == 3 and all(note.startswith(NOTE_HEAD) for note in notes)


def test_a_trap_that_goes_through_another_guest_shows_both(guest):
    """Its own frames first."""
    exports, hooks = guest
    hooks[0] = exports.fails
    with pytest.raises(Trap) as caught:
        exports.run(1)
    own, outer = caught.value.__notes__
    assert "fails at" in own and "outer at" in outer


def test_an_exception_object_that_is_raised_again_and_again_has_one_note(guest):
    """A host function may raise the same object a million times: nothing piles up."""
    exports, hooks = guest
    error = Fault()
    error.add_note("of the host")
    hooks[0] = raises(error)
    for _ in range(50):
        with pytest.raises(Fault):
            exports.run(0)
    assert len(error.__notes__) == 2 and error.__notes__[0] == "of the host"


def test_notes_of_others_stay_and_can_be_added_later(guest):
    """``add_note`` before and after."""
    exports, hooks = guest
    error = Fault()
    error.add_note("before")
    hooks[0] = raises(error)
    with pytest.raises(Fault):
        exports.run(0)
    error.add_note("after")
    assert [note.split("\n")[0] for note in error.__notes__] == ["before", NOTE_HEAD, "after"]
    with pytest.raises(Trap) as caught:
        exports.fails(0)
    caught.value.add_note("after")
    assert [note.split("\n")[0] for note in caught.value.__notes__] == [NOTE_HEAD, "after"]


def test_recursion_stands_in_one_line(guest):
    """A thousand frames of one function are not a thousand lines."""
    exports, hooks = guest
    hooks[0] = raises(Fault())
    with pytest.raises(Fault) as caught:
        exports.deep(1000)
    (note,) = caught.value.__notes__
    assert len(note.split("\n")) <= NOTE_LINES + 2 and " times)" in note


def test_notes_are_text_for_everyone_who_reads_them(guest, caplog):
    """``logging``, ``print_exception``, joining, slices, ``copy``, ``pickle``, groups."""
    exports, hooks = guest
    hooks[0] = raises(Fault("x"))
    with pytest.raises(Fault) as caught:
        exports.run(0)
    error = caught.value
    logging.getLogger("test").error("failed", exc_info=error)
    out = io.StringIO()
    traceback.print_exception(error, file=out)
    assert NOTE_HEAD in caplog.text and NOTE_HEAD in out.getvalue() and NOTE_HEAD in "\n".join(error.__notes__)
    assert isinstance(error.__notes__[0:1][0], str) and NOTE_HEAD in repr(error.__notes__)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert list(again.__notes__) == list(error.__notes__)
    matched, _ = ExceptionGroup("all", [error, ValueError()]).split(Fault)
    assert NOTE_HEAD in shown(matched)


def test_an_interrupt_that_a_host_function_meets_is_noted_too():
    """``Memory.poll`` raises in the host function; the trap has no frames of its own."""
    store = Store()
    source = """(module (import "env" "hook" (func $hook)) (memory (export "memory") 1)
      (func $outer (export "run") (call $hook)))"""

    def hook():
        store.interrupt()
        exports.memory.poll()

    exports = load(source, {"env": {"hook": hook}}, store=store).exports
    with pytest.raises(Interrupted) as caught:
        exports.run()
    assert "outer at 0x" in shown(caught.value)


def test_what_cannot_take_notes_passes_unchanged(guest):
    """An exception whose class refuses attributes."""

    class Frozen(Exception):
        def __setattr__(self, name, value):
            raise AttributeError("frozen")

    exports, hooks = guest
    hooks[0] = raises(Frozen("x"))
    with pytest.raises(Frozen, match="x"):
        exports.run(0)


def test_the_end_of_a_program_is_no_fault():
    """``proc_exit`` leaves no note."""
    source = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 3))))"""
    with Wasi() as world, pytest.raises(ExitError) as caught:
        load(source, world.namespaces()).exports._start()
    assert getattr(caught.value, "__notes__", []) == []


def test_names_in_notes_cannot_steer_the_terminal():
    """They come from the module."""
    source = '(module (func $"\\1b[2J\\e2\\80\\ae" (export "run") unreachable))'
    with pytest.raises(Trap) as caught:
        load(source).exports.run()
    assert "\x1b" not in shown(caught.value) and "\u202e" not in shown(caught.value)
    assert "x1b[2J" in shown(caught.value)


@pytest.mark.parametrize("guest", ["jit0", "jit1"], indirect=True)
def test_frames_are_found_out_only_when_somebody_looks(guest, monkeypatch):
    """Most exceptions are caught: until then there is a list of program counters."""
    from stratavm.runtime import codemap

    exports, hooks = guest
    hooks[0] = raises(Fault())
    with pytest.raises(Fault) as caught:
        exports.run(0)
    asked = []
    monkeypatch.setattr(codemap, "frames_at", lambda pc: asked.append(pc))
    assert asked == []
    list(caught.value.__notes__)
    assert asked != []


def test_a_trap_that_is_raised_again_and_again_has_the_frames_of_the_last_raising(guest):
    """Whoever raised it first: a guest, or a host function, which keeps it and raises it in another call."""
    exports, hooks = guest
    with pytest.raises(Trap) as first:
        exports.fails(0)
    trap = first.value
    trap.add_note("of the host")
    for known in (trap, Trap("unreachable")):
        hooks[0] = raises(known)
        for _ in range(3):
            with pytest.raises(Trap) as caught:
                exports.run(0)
            assert caught.value is known
            assert [frame.name for frame in known.frames] == ["inner", "outer"]
            assert sum(note.startswith(NOTE_HEAD) for note in known.__notes__) == 1
    assert trap.__notes__[0] == "of the host"


@pytest.mark.parametrize("named", [True, False])
def test_frames_have_the_name_of_their_module(tmp_path, named):
    """On all tiers the same: its own, or that of its file."""
    path = tmp_path / "app.wat"
    path.write_text(SOURCE if named else SOURCE.replace("$guest", ""))
    told = []
    for tier in ("oracle", "jit0", "jit1"):
        with pytest.raises(Trap) as caught:
            load(path, {"env": {"hook": lambda n: None}}, tier=tier).exports.fails(0)
        told.append(list(map(str, caught.value.frames)))
    assert told[0][0].startswith("guest!fails at 0x" if named else "app.wat!fails at 0x")
    assert told[0] == told[1] == told[2]
