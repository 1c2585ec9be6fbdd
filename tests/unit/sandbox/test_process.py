"""Claims about the process of an isolated program, and about Ctrl-C: how it ends, and what its parent makes of that."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import stratavm
import stratavm.wasi
from stratavm.sandbox import isolated, report
from tests.unit.sandbox.programs import ECHO, OPEN, SAY, program
from tests.unit.sandbox.test_report import asked

CTRL_C = """
import os, signal, sys, threading, time, stratavm

isolate = sys.argv[2] == "True"

def children():
    return open(f"/proc/self/task/{os.getpid()}/children").read()

def press():
    while isolate and not children():
        time.sleep(0.01)
    time.sleep(0.7)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=press, daemon=True).start()
try:
    print(stratavm.run(sys.argv[1], isolate=isolate, timeout=100))
except KeyboardInterrupt:
    print("for the host", repr(children()))
"""


def test_ctrl_c_is_for_the_host(isolate):
    """It comes out as ever, and leaves no process."""
    command = [sys.executable, "-c", CTRL_C, program("(loop (br 0))"), str(isolate)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert (done.stdout, done.returncode) == ("for the host ''\n", 0), done.stderr


def children() -> list[int]:
    """Processes that threads of this one started."""
    found = []
    for task in os.listdir("/proc/self/task"):
        try:
            found += map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
        except FileNotFoundError:
            continue
    return found


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (signal.SIGTERM, "interrupt", "SIGTERM"),
        (signal.SIGINT, "interrupt", "SIGINT"),
        (signal.SIGKILL, "interrupt", "SIGKILL"),
        (signal.SIGABRT, "trap", "crashed: SIGABRT"),
    ],
)
def test_who_ends_the_process_is_told_apart(number, reason, words, tmp_path):
    """Somebody who asks it to end interrupts it; a crash is a trap."""
    before, results = set(children()), []
    reading, writing = os.pipe()
    spin = program(ECHO.format(fd=0) + "(loop (br 0))")
    with open(reading, "rb") as stdin:
        thread = threading.Thread(target=lambda: results.append(stratavm.run(spin, stdin=stdin, isolate=True)))
        thread.start()
        until = time.monotonic() + 60
        while not (started := set(children()) - before) and time.monotonic() < until:
            time.sleep(0.01)
        os.write(writing, b"x" * 10)
        os.close(writing)
        while bytes_waiting(stdin) and time.monotonic() < until:  # until the guest has read it
            time.sleep(0.01)
        os.kill(started.pop(), number)
        thread.join(60)
    (done,) = results
    assert (done.reason, words in done.message) == (reason, True), done
    assert done.code == (130 if number == signal.SIGINT else 128 + number)


def bytes_waiting(file: io.BufferedReader) -> int:
    """What nobody has read yet."""
    from stratavm.wasi.streams import bytes_waiting as waiting

    return waiting(file.fileno())


def test_a_process_killed_for_want_of_memory(monkeypatch):
    """The system's counter tells it from one that somebody killed."""
    counts = iter([4, 5])
    monkeypatch.setattr(isolated, "starved", lambda: next(counts))
    monkeypatch.setattr(isolated.process, "start", dying("os.kill(os.getpid(), 9)"))
    done = stratavm.run(program(SAY), isolate=True)
    assert (done.reason, done.code) == ("memory", 137)
    assert isolated.death(-9, False, False)[0] == "interrupt"
    monkeypatch.undo()
    assert isolated.starved() >= 0


def dying(code: str, *, says: str = '{"problems": []}\\n'):
    """A way to start a process that reports what a broken one might, and does this."""

    def start(entry, data, *, streams, pass_fds):
        script = f"import os\nos.write({data['report']}, b'''{says}''')\n{code}"
        stdin, stdout, stderr = streams
        command = [sys.executable, "-c", script]
        return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=pass_fds)

    return start


@pytest.mark.parametrize(
    "says",
    [
        "{",
        "[]",
        "7",
        '{"code": "x", "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": ["exit"], "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": "fine", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": "", "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": 5, "fuel_used": null, "seconds": 1.0}',
        '{"code": true, "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": -1, "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 4294967296, "reason": "exit", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 0, "reason": "timeout", "message": "", "fuel_used": null, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": true, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": -1, "seconds": 1.0}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": null, "seconds": NaN}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": null, "seconds": Infinity}',
        '{"code": 1, "reason": "exit", "message": "", "fuel_used": null, "seconds": -1.0}',
        "[" * 5000,
        "x" * (2 << 20),
    ],
)
def test_a_report_is_not_believed_blindly(monkeypatch, says):
    """A process that lies about its end has trapped."""
    monkeypatch.setattr(isolated.process, "start", dying("os._exit(3)"))
    listen = isolated.Heard.listen

    def hear_more(self, *arguments):
        listen(self, *arguments)
        self.report.data += says.encode()[: report.REPORT_BYTES]

    monkeypatch.setattr(isolated.Heard, "listen", hear_more)
    done = stratavm.run(program(SAY), isolate=True)
    assert (done.reason, done.message) == ("trap", "the process ended by itself, with code 3")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ('{"type": "SystemExit", "message": "x"}', RuntimeError),
        ('{"type": "Trap", "message": "x"}', RuntimeError),
        ('"text"', RuntimeError),
        (
            '{"type": "LinkError", "message": "x", "facts": {"__class__": 1, "a b": 2, "hint": [], "x": 5}}',
            stratavm.LinkError,
        ),
        ('{"type": "LinkError", "message": "x", "facts": 5}', stratavm.LinkError),
        ('{"type": "OSError", "message": "x", "errno": "y"}', OSError),
    ],
)
def test_an_error_of_the_process_is_one_that_arguments_cause(error, kind):
    """Of a known kind, with plain facts; anything else is a failure of the process."""
    import json

    made = report.error_of(json.loads(error))
    assert type(made) is kind
    assert getattr(made, "x", 5) == 5


@pytest.mark.parametrize("name", ["args", "add_note", "with_traceback", "locate"])
def test_a_fact_replaces_no_part_of_an_exception(name):
    """Its text stays, and so do its methods."""
    facts = {name: 5, "offset": 7}
    error = report.error_of({"type": "ValidationError", "message": "x", "facts": facts})
    assert (str(error), error.offset, error.args) == ("x", 7, ("x",))
    error.add_note("fine")
    error.locate(line=3)
    assert report.error_of({"type": "LinkError", "message": "x"}).problems == {}


def test_what_a_process_says_steers_no_terminal():
    """Nor does it raise what cannot be printed; what has lines keeps them."""
    wild, shown = "a\x1b[2J\u202e\ud800", "a\\x1b[2J\\u202e\\ud800"
    end = {"code": 134, "reason": "trap", "message": wild, "fuel_used": None, "seconds": 1.0}
    assert report.ended_of(end, asked(), 2.0).message == shown
    error = report.error_of({"type": "ParseError", "message": f"{wild}\n^", "facts": {"excerpt": f"{wild}\n^"}})
    assert (str(error), error.excerpt) == (f"{shown}\n^", f"{shown}\n^")
    wrong = report.error_of({"type": "OSError", "errno": 2, "strerror": wild, "filename": [1]})
    assert (str(wrong), wrong.filename) == (f"[Errno 2] {shown}", None)
    assert type(report.error_of({"type": "OSError", "message": "x", "errno": 1 << 70})) is OSError


def test_a_process_that_does_not_start(monkeypatch):
    """Is an error for the host, with what it said last."""
    monkeypatch.setattr(isolated.process, "start", dying("raise SystemExit('no such module')", says=""))
    with pytest.raises(RuntimeError, match="did not start: no such module"):
        stratavm.run(program(SAY), isolate=True)


@pytest.mark.parametrize("says", ["", '{"problems": []}\\n'])
def test_a_process_that_is_stuck_is_killed(monkeypatch, says):
    """Soon after its time, or when it takes too long to start."""
    monkeypatch.setattr(isolated, "START_SECONDS", 60.0 if says else 0.1)
    monkeypatch.setattr(isolated, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(isolated.process, "start", dying("import time; time.sleep(100)", says=says))
    done = stratavm.run(program(SAY), timeout=0.5, isolate=True)
    assert (done.reason, done.code, done.message) == ("timeout", 124, "the process did not end in its time")
    assert isolated.death(-signal.SIGXCPU, False, False)[0] == "timeout"


def test_a_process_that_closes_its_pipes_and_lives_on_is_killed(monkeypatch):
    """The time counts until its end, not until it has nothing more to say."""
    monkeypatch.setattr(isolated, "GRACE_SECONDS", 0.1)
    silent = "import time; os.closerange(0, 99); time.sleep(100)"
    monkeypatch.setattr(isolated.process, "start", dying(silent))
    begin = time.monotonic()
    done = stratavm.run(program(SAY), timeout=0.5, isolate=True)
    assert (done.reason, done.code, done.message) == ("timeout", 124, "the process did not end in its time")
    assert time.monotonic() - begin < 60


def test_pipes_that_another_process_holds_do_not_keep_a_run_waiting(monkeypatch):
    """A thread that forks at the wrong moment gives its child every pipe."""
    stays = "import time\nif not os.fork(): time.sleep(100)\nos.write(1, b'said')\nos._exit(3)"
    monkeypatch.setattr(isolated.process, "start", dying(stays))
    monkeypatch.setattr(isolated, "TURN_SECONDS", 0.1)
    begin = time.monotonic()
    done = stratavm.run(program(SAY), isolate=True)
    assert (done.reason, done.stdout) == ("trap", b"said")
    assert time.monotonic() - begin < 60


def test_what_is_weaker_is_a_warning(monkeypatch):
    """As the command's line on standard error."""
    says = '{"problems": ["any path may be opened"]}\\n'
    monkeypatch.setattr(isolated.process, "start", dying("", says=says))
    with pytest.warns(RuntimeWarning, match="isolation is weaker here: any path may be opened"):
        stratavm.run(program(SAY), isolate=True)


def test_the_parent_hides_where_paths_cannot_be_confined(monkeypatch):
    """Without Landlock the process could else look into this one."""
    seen = []

    class Hidden:
        def __enter__(self):
            seen.append(True)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(isolated, "may_confine", lambda: False)
    monkeypatch.setattr(isolated.privileges, "hidden", Hidden)
    assert stratavm.run(program(SAY), isolate=True).ok
    assert seen == [True]


def test_an_isolated_program_reaches_no_other_path(tmp_path):
    """What the wall refuses is not in the way of what was given."""
    (tmp_path / "in.txt").write_text("content")
    body = OPEN.format(name=48, size=6, flags=0, rights=2) + ECHO.format(fd=4)
    done = stratavm.run(program(body), dirs={os.path.relpath(tmp_path): "/d"}, isolate=True, text=True)
    assert (done.stdout, done.reason) == ("content", "exit")


def test_ctrl_c_while_the_process_starts_ends_it_too(monkeypatch):
    """It is held back until the process is there, and then came between it and whoever would have ended it."""
    made = []

    def popen(*args, **named):
        made.append(started(*args, **named))
        signal.raise_signal(signal.SIGINT)
        return made[0]

    started = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(KeyboardInterrupt):
        stratavm.run(program("(loop (br 0))"), isolate=True)
    with pytest.raises(ProcessLookupError):
        os.kill(made[0].pid, 0)
