"""Claims about ``strata run --isolate``: seen from outside it is ``strata run``, and no process outlives it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import stratavm
from stratavm.cli import isolate
from stratavm.cli.main import main
from stratavm.cli.program import Options
from stratavm.sandbox import privileges, process

PROGRAM = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00") (data (i32.const 16) "hello\\0a")
  (func $say (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (call $say) (call $exit (i32.const 7)))
  (func (export "spin") (call $say) (loop (br 0)))
  (func (export "trap") unreachable)
  (func (export "variables") (result i32)
    (drop (call $sizes (i32.const 100) (i32.const 104))) (i32.load (i32.const 100)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))
"""
BOTH = pytest.mark.parametrize("how", [(), ("--isolate",)], ids=["here", "isolated"])


@pytest.fixture
def program(tmp_path):
    """The path of the program."""
    path = tmp_path / "program.wat"
    path.write_text(PROGRAM)
    return str(path)


def begin(*arguments: str, **more: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "stratavm", "run", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def ended(*arguments: str, **more: object) -> tuple[int, str, str]:
    """Exit code and both outputs."""
    with begin(*arguments, **more) as strata:
        out, err = strata.communicate(timeout=60)
    return strata.returncode, out, err


@BOTH
def test_exit_codes(program, how):
    """The guest's, 134 for a trap, 124 for time, 1 for a mistake."""
    assert ended(*how, program) == (7, "hello\n", "")
    assert ended(*how, "--invoke", "trap", program)[0] == 134
    assert ended(*how, "--timeout", "0.2", "--invoke", "spin", program)[0] == 124
    assert ended(*how, "missing.wasm")[0] == 1
    code, out, err = ended(*how, "--invoke", "absent", program)
    assert (code, out, err.count("strata: ")) == (1, "", 1)


@BOTH
def test_who_kills_it_is_left_with_nothing(program, how):
    """``subprocess.run(timeout=)`` kills the command: its output ends at once, so no process holds the pipe."""
    with begin(*how, "--invoke", "spin", program) as strata:
        assert strata.stdout.readline() == "hello\n"
        strata.kill()
        assert strata.communicate(timeout=60) == ("", "")
    assert strata.returncode == -signal.SIGKILL


def test_a_child_whose_parent_died_too_early_ends():
    """Before it could ask to be told of the death."""
    code = "from stratavm.sandbox import privileges; privileges.die_with(1); print('alive')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + signal.SIGKILL, "")


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_it(program, how, number):
    """As they end a process without a child: the same exit status, and nobody is left behind."""
    with begin(*how, "--invoke", "spin", program, preexec_fn=lambda: signal.signal(number, signal.SIG_DFL)) as strata:
        assert strata.stdout.readline() == "hello\n"  # (default: whoever runs the tests may ignore it, as nohup does)
        strata.send_signal(number)
        _, err = strata.communicate(timeout=60)
    expected = (130, "strata: interrupted\n") if number == signal.SIGINT else (-number, "")
    assert (strata.returncode, err) == expected


@BOTH
def test_ctrl_c_is_told_as_data_where_that_is_wanted(program, how):
    """An object behind what the guest has printed, as of every other end."""
    with begin(*how, "--json", "--invoke", "spin", program) as strata:
        assert strata.stdout.readline() == "hello\n"
        strata.send_signal(signal.SIGINT)
        out, err = strata.communicate(timeout=60)
    told = json.loads(out)
    assert (strata.returncode, err, told["reason"], told["exit_code"]) == (130, "", "interrupt", 130)


def test_ctrl_c_at_a_terminal_counts_once(program):
    """It reaches both processes, and the parent passes it on."""
    with begin("--isolate", "--invoke", "spin", program, start_new_session=True) as strata:
        assert strata.stdout.readline() == "hello\n"
        os.killpg(strata.pid, signal.SIGINT)
        _, err = strata.communicate(timeout=60)
    assert (strata.returncode, err) == (130, "strata: interrupted\n")


def test_ctrl_c_while_the_process_starts_waits_for_it(program, tmp_path):
    """Python's own start would show a traceback, the parent that passes it on would show nothing."""
    interrupt = "import os, signal, sys\nif sys.argv[0] == '-c': os.kill(os.getpid(), signal.SIGINT)\n"
    (tmp_path / "sitecustomize.py").write_text(interrupt)
    paths = os.pathsep.join([str(tmp_path), os.path.dirname(os.path.dirname(stratavm.__file__))])
    out = ended("--isolate", "--invoke", "spin", program, env={**os.environ, "PYTHONPATH": paths})
    assert out == (130, "", "strata: interrupted\n")


def test_what_is_ignored_stays_ignored(program):
    """A job of ``nohup`` goes on when the terminal is gone."""
    ignore = "import signal, os, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    ignore += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", ignore, "-m", "stratavm", "run", "--isolate", "--invoke", "spin"]
    with subprocess.Popen([*command, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as strata:
        assert strata.stdout.readline() == "hello\n"
        strata.send_signal(signal.SIGHUP)
        strata.send_signal(signal.SIGTERM)  # comes later, whoever is slow
        strata.communicate(timeout=60)
    assert strata.returncode == -signal.SIGTERM


def test_variables_by_name_reach_the_guest(program, monkeypatch):
    """Although the process gets few of this one's."""
    monkeypatch.setenv("TOKEN_OF_MINE", "x")
    got = ended("--isolate", "--env", "TOKEN_OF_MINE", "--env", "A=b", "--invoke", "variables", program)
    assert got == (0, "2\n", "")


def test_memory_is_bounded(program):
    """A growth beyond what the guest may have fails in the guest: a gibibyte, where nothing else is said."""
    assert ended("--isolate", "--invoke", "grow", program, "16384")[:2] == (0, "-1\n")
    assert ended("--isolate", "--invoke", "grow", program, "16383")[:2] == (0, "1\n")
    assert ended("--isolate", "--invoke", "grow", program, "40000")[:2] == (0, "-1\n")
    assert ended("--isolate", "--max-memory", "3G", "--invoke", "grow", program, "40000")[:2] == (0, "1\n")
    assert ended("--isolate", "--max-memory", "64K", program) == (
        7,
        "hello\n",
        "",
    )  # what is left of it is the engine's


ENTRY = """
import os, sys
def show(data):
    print(sorted(os.environ), data["text"], flush=True)
    held = sorted(int(n) for n in os.listdir("/proc/self/fd"))
    print(held[:3], len(held))
    return 3
"""


def test_a_process_inherits_what_it_is_given(tmp_path, monkeypatch):
    """A few variables, three streams; secrets and other descriptors stay here."""
    (tmp_path / "entry_of_test.py").write_text(ENTRY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("WANTED", "x")
    leak = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        streams = (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
        child = process.start("entry_of_test:show", {"text": "é"}, streams=streams, variables=["WANTED"])
        out, err = child.communicate(timeout=60)
    finally:
        os.close(leak)
    assert (child.returncode, err) == (3, b"")
    names, descriptors = out.decode().splitlines()
    assert "AWS" not in names
    assert "'WANTED'" in names
    assert names.endswith("é")
    assert descriptors == "[0, 1, 2] 4"  # the fourth lists them


def test_what_this_interpreter_does_not_trust_it_does_not_either(tmp_path):
    """``python -I`` reads no PYTHONPATH, so a module there is run in neither process."""
    (tmp_path / "sitecustomize.py").write_text("print('hostile', flush=True)")
    root = os.path.dirname(os.path.dirname(stratavm.__file__))
    code = f"""
import sys
sys.path.insert(0, {root!r})
from stratavm.sandbox import process
sys.exit(process.start("stratavm.base.text:escape", dict()).wait())
"""
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, env=variables, timeout=60)
    assert done.stdout == ""
    assert "TypeError" in done.stderr  # it did start


ASKS_TO_END = """
import os, signal
def end(data):
    os.kill(os.getpid(), signal.SIGINT)
    print("goes on", flush=True)
"""


def test_ctrl_c_before_it_has_begun_is_no_traceback(tmp_path, monkeypatch):
    """It ends by the signal, as its parent then does."""
    (tmp_path / "entry_of_test.py").write_text(ASKS_TO_END)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    streams = (subprocess.DEVNULL, subprocess.PIPE, subprocess.PIPE)
    with process.start("entry_of_test:end", {}, streams=streams) as child:
        assert child.communicate(timeout=60) == (b"", b"")
    assert child.returncode == -signal.SIGINT


def test_it_needs_an_interpreter(monkeypatch):
    """Programs that embed Python may not know theirs."""
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(RuntimeError, match="interpreter"):
        process.start("os:getpid", {})


def test_a_child_that_hangs_is_killed(monkeypatch, capfd):
    """Where it does not end by itself in its time."""
    monkeypatch.setattr(isolate, "GRACE_SECONDS", 0.1)
    child = subprocess.Popen(["sleep", "60"])
    assert isolate.attend(child, 0.1) == 124
    assert "deadline exceeded" in capfd.readouterr().err
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("stays", ["signal.signal(signal.SIGTERM, signal.SIG_IGN)", "os.kill(os.getpid(), 19)"])
def test_a_child_that_will_not_end_is_killed(monkeypatch, stays):
    """One that ignores what is passed on, or has stopped, does not keep its parent from ending."""
    monkeypatch.setattr(isolate, "ASKED_SECONDS", 0.1)
    code = f"import os, signal, time; {stays}; os.kill(os.getpid(), 19); time.sleep(100)"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        os.waitid(os.P_PID, child.pid, os.WSTOPPED)
        if "SIG_IGN" in stays:
            child.send_signal(signal.SIGCONT)
        with isolate.passing_on(child):
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)
            assert child.wait(60) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (signal.SIGRTMIN + 2, -signal.SIGRTMIN - 2, "ended by signal"),
        (signal.SIGXCPU, 124, "processor time"),
        (signal.SIGSEGV, -signal.SIGSEGV, "SIGSEGV"),
        (signal.SIGTERM, -15, ""),
    ],
)
def test_how_a_child_ended_is_said(capfd, number, code, words):
    """In words, unless it was asked to end."""
    child = subprocess.Popen(["sleep", "60"])
    child.send_signal(number)
    assert isolate.attend(child, None) == code
    assert (words in capfd.readouterr().err) if words else capfd.readouterr().err == ""


def test_the_parent_is_hidden_while_the_child_runs(program, capfd):
    """From processes of the same user, and no longer than that."""
    before = privileges._prctl(privileges.PR_GET_DUMPABLE)
    with privileges.hidden(), privileges.hidden():
        assert privileges._prctl(privileges.PR_GET_DUMPABLE) == 0
    assert privileges._prctl(privileges.PR_GET_DUMPABLE) == before
    assert main(["run", "--isolate", program]) == 7
    assert capfd.readouterr().out == "hello\n"
    assert privileges._prctl(privileges.PR_GET_DUMPABLE) == before


def test_the_wall_follows_the_options(program):
    """Folders are writable where they say ``::rw``; the program, its input and its profile are readable."""
    parsed = {
        "module": program,
        "stdin": "in",
        "profile": "p",
        "dir": [("a", "/a", False), ("b", "/b", True)],
        "timeout": 2.0,
        "max_memory": 5,
        "threads": 3,
    }
    wall = isolate.wall_of(Options(**parsed))
    assert (wall.readable, wall.writable) == ((program, "in", "p", "b"), ("a",))
    assert (wall.timeout, wall.memory_bytes, wall.threads) == (2.0, 5, 4)


def test_signals_of_the_caller_come_back(program, capfd):
    """Handlers are those of before when the command has ended."""
    before = [signal.getsignal(number) for number in isolate.PASSED_ON]
    begin_at = time.monotonic()
    assert main(["run", "--isolate", "--timeout", "30", program]) == 7
    assert time.monotonic() - begin_at < 60
    assert [signal.getsignal(number) for number in isolate.PASSED_ON] == before
    capfd.readouterr()


def test_a_profile_is_read_behind_the_wall(process, tmp_path):
    """It is the command that reads it, not the guest."""
    (tmp_path / "app.wat").write_text('(module (func (export "_start")))')
    profile, app = str(tmp_path / "p"), str(tmp_path / "app.wat")
    assert process("run", "--profile-out", profile, app).returncode == 0
    done = process("run", "--isolate", "--profile", profile, app)
    assert (done.returncode, done.stderr) == (0, b"")
