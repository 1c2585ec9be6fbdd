"""Claims about ``strata run --watch``: a change starts the program anew, whatever editors do to its file, and the guest
never outlives the command."""

import os
import pty
import queue
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest

import stratavm
from stratavm.cli import program as program_line
from stratavm.cli import run, watch
from stratavm.cli.looker import GONE_S, SETTLE_S, Looker, state_of

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\04\\00\\00\\00") (data (i32.const 16) "WORD")
  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) END))"""
FOREVER = "(loop (br 0))"
PATIENCE_S = 60


def program(word, end=FOREVER):
    """One that prints four letters, and then does not end."""
    return PROGRAM.replace("WORD", word).replace("END", end)


def put(path, text):
    """Give a file other content, all at once: a machine may be slow."""
    aside = path.with_name("aside")
    aside.write_text(text)
    aside.rename(path)


def state(number):
    """Of a file."""
    return 1, number, 1, 1, 1


def test_a_file_is_read_once_it_has_stayed_the_same():
    """Not at each look, not while it changes, and not what runs."""
    looker = Looker(state(1))
    assert not looker.look(state(1), 10)
    assert not looker.look(state(2), 20)
    assert not looker.look(state(3), 20 + SETTLE_S)
    assert not looker.look(state(3), 20 + SETTLE_S * 1.5)
    assert looker.look(state(3), 20 + SETTLE_S * 2.5)
    assert not looker.look(state(3), 30)
    looker.known = state(3)
    assert not looker.look(state(2), 40)
    assert looker.look(state(2), 50)


def test_a_file_that_is_gone_for_a_moment_is_no_event():
    """One that stays away is told of once, and what comes in its place is read."""
    looker = Looker(state(1))
    assert not looker.look(None, 10) and not looker.is_gone(10 + GONE_S / 2)
    assert not looker.look(state(1), 20) and not looker.look(state(1), 30)
    assert not looker.look(None, 40) and looker.is_gone(40 + GONE_S) and not looker.is_gone(50)
    assert not looker.look(state(2), 60) and looker.look(state(2), 60 + SETTLE_S)


@pytest.mark.parametrize("change", ["write", "rename", "touch"])
def test_each_change_of_a_file_is_another_state(tmp_path, change):
    """Also one of the same length, and one to the same content: a touch is a wish."""
    path = tmp_path / "a"
    path.write_text("one")
    os.utime(path, ns=(1, 1))
    before = state_of(str(path))
    if change == "write":
        path.write_text("two")
    elif change == "rename":
        (tmp_path / "b").write_text("one")
        (tmp_path / "b").rename(path)
    else:
        path.touch()
    assert state_of(str(path)) not in (before, None)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_ordinary_file_is_none(tmp_path, make):
    """To read a FIFO would be to wait."""
    make(tmp_path / "a")
    assert state_of(str(tmp_path / "a")) is None


def hears(then=None):
    """In the child: signals end it, also where who runs the tests was started to ignore some (``nohup``, ``&``)."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    if then is not None:
        then()


class Watching:
    """The command as a process, and the lines that it and its guests write."""

    word = "--watch"
    command = "run"

    def __init__(self, *words, cwd, **given):
        environment = {**os.environ, "PYTHONPATH": str(Path(stratavm.__file__).parents[1]), **given.pop("env", {})}
        command = [sys.executable, "-m", "stratavm", self.command, self.word, *map(str, words)]
        given = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **given}
        given["preexec_fn"] = partial(hears, given.get("preexec_fn"))
        self.process = subprocess.Popen(command, cwd=cwd, env=environment, **given)
        self.lines = queue.Queue()
        if self.process.stdout is not None:
            threading.Thread(target=self.read, args=(self.process.stdout,), daemon=True).start()

    def read(self, file):
        """What comes, until all who write to it have ended."""
        text = b""
        while True:
            try:
                piece = os.read(file.fileno(), 4096)
            except OSError:  # the other side of a terminal is closed
                piece = b""
            text += piece
            *whole, text = text.replace(b"\r", b"").split(b"\n")
            for line in whole if piece else filter(None, [text]):
                self.lines.put(line.decode())
            if not piece:
                self.lines.put(None)
                return

    def until(self, words):
        """Wait for a line that has some words; gives the lines before, too."""
        found = []
        while True:
            line = self.lines.get(timeout=PATIENCE_S)
            assert line is not None, found
            found.append(line)
            if words in line:
                return found

    def rest(self):
        """All that comes; guests have ended when it has come."""
        return list(iter(lambda: self.lines.get(timeout=PATIENCE_S), None))

    def close(self, number=signal.SIGTERM):
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@pytest.fixture
def watching(tmp_path):
    """Start one in a folder of its own, where ``app.wat`` is; none outlives its test."""
    made = []
    (tmp_path / "app.wat").write_text(program("one\\n"))

    def start(*words, **given):
        made.append(Watching(*(words or ("app.wat",)), cwd=tmp_path, **given))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()


def test_a_change_starts_the_program_anew(watching, tmp_path):
    """Written in place, renamed over, deleted and made again: the old guest has ended by then."""
    path = tmp_path / "app.wat"
    watch = watching()
    watch.until("one")
    path.write_text(program("two\\n"))
    assert watch.until("two")[-2:] == ["strata: app.wat changed", "two"]
    (tmp_path / "new").write_text(program("six\\n"))
    (tmp_path / "new").rename(path)
    watch.until("six")
    path.unlink()
    watch.until("app.wat is gone: waiting for it")
    path.write_text(program("ten\\n"))
    watch.until("ten")
    assert watch.close() == -signal.SIGTERM
    assert watch.rest() == []


def test_what_is_no_module_is_said_once_and_the_guest_goes_on(watching, tmp_path):
    """A half of it, nothing at all, an invalid one; the next right one runs."""
    path = tmp_path / "app.wat"
    watch = watching()
    watch.until("one")
    put(path, program("two\\n")[:200])
    assert watch.until("parse error")[-1].startswith("strata: app.wat: parse error")
    put(path, "")
    watch.until("it is empty")
    put(path, '(module (func (export "_start") (i32.const 1)))')
    watch.until("validation error")
    put(path, program("two\\n"))
    assert watch.until("two")[-2:] == ["strata: app.wat changed", "two"]
    watch.close()


def test_a_program_that_ends_is_started_again_by_a_change(watching, tmp_path):
    """How it ended is said."""
    path = tmp_path / "app.wat"
    path.write_text(program("one\\n", "(unreachable)"))
    watch = watching()
    found = watch.until("waiting for a change")
    assert "one" in found and found[-1] == "strata: app.wat: exit code 134; waiting for a change"
    path.write_text(program("two\\n", ""))
    assert watch.until("waiting for a change")[-2:] == ["two", "strata: app.wat: exit code 0; waiting for a change"]
    watch.close()


def test_a_program_that_is_wrong_at_first_is_waited_for(watching, tmp_path):
    """Who writes it is not done yet."""
    path = tmp_path / "app.wat"
    path.write_text("(module")
    watch = watching()
    watch.until("parse error")
    watch.until("exit code 1; waiting for a change")
    path.write_text(program("one\\n"))
    watch.until("one")
    watch.close()


@pytest.mark.parametrize("runs", [True, False], ids=["runs", "waits"])
def test_ctrl_c_at_a_terminal_ends_both_with_one_line(watching, tmp_path, runs):
    """The kernel sends it to the guest's process as well, which says nothing."""
    (tmp_path / "app.wat").write_text(program("one\\n", FOREVER if runs else ""))
    master, terminal = pty.openpty()

    def own():
        os.setsid()
        import fcntl
        import termios

        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    given = {"stdin": terminal, "stdout": terminal, "stderr": terminal, "preexec_fn": own}
    watch = watching("app.wat", env={"TERM": "dumb"}, **given)
    os.close(terminal)
    with os.fdopen(master, "r+b", buffering=0) as screen:
        threading.Thread(target=watch.read, args=(screen,), daemon=True).start()
        watch.until("one" if runs else "waiting for a change")
        screen.write(b"\x03")
        assert watch.process.wait(PATIENCE_S) == 130
        rest = "".join(watch.rest()).removeprefix("^C")
        assert rest == "strata: interrupted"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_guest_does_not_outlive_the_command(watching, number):
    """However that ends: the pipe that both write to is closed."""
    watch = watching()
    watch.until("one")
    assert watch.close(number) == (130 if number == signal.SIGINT else -number)
    assert watch.rest() == (["strata: interrupted"] if number == signal.SIGINT else [])


def test_a_signal_that_is_ignored_from_the_start_stays_so(watching, tmp_path):
    """Under ``nohup`` the end of a session ends neither the command nor its guest."""
    watch = watching(preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_IGN))
    watch.until("one")
    watch.process.send_signal(signal.SIGHUP)
    put(tmp_path / "app.wat", program("two\\n"))
    watch.until("two")
    watch.process.send_signal(signal.SIGHUP)
    assert watch.close() == -signal.SIGTERM
    assert watch.rest() == []


def test_a_guest_that_waits_for_input_ends(watching, tmp_path):
    """A system call that blocks is left for the signal."""
    text = program("one\\n", "(drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))")
    text = text.replace("(memory", '(import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) '
                        "(result i32))) (memory")  # fmt: skip
    path = tmp_path / "app.wat"
    path.write_text(text)
    watch = watching("app.wat", stdin=subprocess.PIPE)
    watch.until("one")
    path.write_text(program("two\\n"))
    watch.until("two")
    watch.close()


def test_options_and_arguments_reach_each_guest(watching, tmp_path):
    """They are those of a plain run."""
    path = tmp_path / "app.wat"
    watch = watching("--fuel", "1000000", "--json", "app.wat", "--watch")
    assert '"reason": "fuel"' in watch.until("waiting for a change")[-2]
    path.write_text(program("two\\n", ""))
    assert watch.until("waiting for a change")[-2] == '{"reason": "exit", "exit_code": 0}'
    watch.close()


def test_what_cannot_be_watched_is_refused(strata, tmp_path):
    """Standard input, a folder, and what is not there."""
    assert strata("run", "--watch", "-")[0] == 2
    code, _, err = strata("run", "--watch", str(tmp_path))
    assert code == 1 and "no ordinary file" in err
    code, _, err = strata("run", "--watch", str(tmp_path / "nope.wasm"))
    assert code == 1 and "No such file" in err


def test_what_an_edit_did_not_change_keeps_its_code(watching, tmp_path):
    """By the code cache: the guest keeps what it compiled when it is asked to end."""
    body = "(local.set 0 (i32.add (local.get 0) (i32.const 3)))" * 60
    functions = "".join(f"(func $f{n} (param i32) (result i32) {body} (local.get 0))" for n in range(20))
    calls = "".join(f"(drop (call $f{n} (i32.const {n})))" for n in range(20))

    def text(word, number):
        padding = f'(data (i32.const 100) "{"x" * (1 << 16)}")'
        changed = functions.replace("(i32.const 3)", f"(i32.const {number})", 1)
        return program(word, calls + FOREVER).replace("(memory", f"{changed} {padding} (memory").replace(") 1)", ") 2)")

    path = tmp_path / "app.wat"
    path.write_text(text("one\\n", 3))
    env = {"XDG_CACHE_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s"), "STRATA_CACHE": "on"}
    watch = watching("app.wat", env=env)
    watch.until("one")  # the other process may be slower than the guest: what ran was read before it started
    path.write_text(text("two\\n", 4))
    assert "strata: app.wat changed: 1 function, code of 20 others is kept" in watch.until("two")
    path.write_text(text("one\\n", 3))
    assert "strata: app.wat changed: its code is known" in watch.until("one")
    watch.close()


def test_what_is_edited_at_once_was_read_before_the_guest_started(tmp_path, monkeypatch):
    """However slow the process that watches is: the guest of the old binary keeps code for it."""
    (path := tmp_path / "app.wat").write_text(program("one\\n"))
    watched = watch.Watched(program_line.read(run.OPTIONS, ["--watch", str(path)], program_line.Options(command="run")))
    monkeypatch.setattr(watch.Watched, "_start", lambda self: path.write_text(program("three\\n")))
    monkeypatch.setattr(watch.Looker, "look", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        watched.attend()
    assert b"one" in watched._before.binary


@pytest.mark.parametrize("change", ["chmod", "link", "rename"])
def test_where_nothing_was_written_nothing_starts_anew(tmp_path, monkeypatch, change):
    """Who may read the file, and what it is called, is no change of the program; a touch is a wish."""
    (path := tmp_path / "app.wat").write_text(program("one\\n"))
    watched = watch.Watched(program_line.read(run.OPTIONS, ["--watch", str(path)], program_line.Options(command="run")))
    watched._before = watch.parts_of(watched._load_file())
    monkeypatch.setattr(watch.Watched, "_start", lambda self: started.append(state_of(str(path))))
    started = []
    if change == "chmod":
        path.chmod(0o600)
    elif change == "link":
        os.link(path, tmp_path / "other")
    else:
        path.rename(tmp_path / "other").rename(path)
    for begin_s, wishes in ((10, 0), (20, 1)):
        found = state_of(str(path))
        assert not watched._looker.look(found, begin_s) and watched._looker.look(found, begin_s + 1)
        watched._take()
        assert len(started) == wishes and watched._looker.known == found
        os.utime(path, ns=(1, 1))
