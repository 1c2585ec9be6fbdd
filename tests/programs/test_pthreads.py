"""A C program with POSIX threads (``threaded/``) on every tier, isolated, on an event loop, by the command; and how it
ends: each of its threads computes, waits for another, sleeps or reads when that happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

import stratavm
from stratavm import Engine, Module
from tests.programs.pthreads import EXPECTED, HERE, PROGRAM, compiled, native

ENGINES = {
    "oracle": {"tier": "oracle"},
    "jit0": {"tier": "jit0"},
    "jit1": {"tier": "jit1"},
    "auto": {"tier": "auto"},
    "auto at once": {"tier": "auto", "lift_after": 0},
    "auto soon": {"tier": "auto", "lift_after": 2},
}
FAST = [name for name in ENGINES if name != "oracle"]
STARTED = b"started\n"
SECONDS = 30
"""For what ends in moments, on a machine that does much else."""
CASES = ("spin", "wait", "sleep", "read")
"""What the main thread does when the end comes; others do the same, one each."""


@pytest.fixture(params=ENGINES)
def module(request):
    """The program on each tier."""
    return Module(PROGRAM, engine=Engine(**ENGINES[request.param]))


@pytest.fixture(scope="module")
def program():
    """The program on the usual tier."""
    return Module(PROGRAM, engine=Engine())


@pytest.fixture(autouse=True)
def nobody_stays():
    """Every thread of a guest is gone when its program has ended."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("stratavm-guest"):
            thread.join(5)  # what is left to do for one that has let go of everything
            assert not thread.is_alive()


@pytest.fixture
def silent():
    """An input that has nothing for ever."""
    nothing, never = os.pipe()
    with open(nothing, "rb") as stdin, open(never, "wb"):
        yield stdin


def lines_of(count, each):
    """What so many threads say."""
    return Counter(f"thread {i} line {j}" for i in range(count) for j in range(each))


# ---- what it does ---------------------------------------------------------------------------------


def test_it_writes_what_a_native_program_writes(module):
    """Joins, mutexes, conditions, barriers, semaphores, thread-local data, detached threads, shared work, malloc."""
    done = stratavm.run(module, text=True, timeout=SECONDS)
    assert (done.reason, done.code, done.stderr) == ("exit", 0, "")
    assert done.stdout == EXPECTED.read_text()


@pytest.mark.parametrize("engine", FAST)
def test_it_does_so_again_and_again(engine):
    """From one module, one run after the other, and in several threads of Python at once."""
    module = Module(PROGRAM, engine=Engine(**ENGINES[engine]))
    results = []

    def run():
        for _ in range(3):
            done = stratavm.run(module, ["always"], text=True, timeout=SECONDS)
            results.append((done.reason, done.stdout))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [("exit", EXPECTED.read_text())] * 6


def test_it_runs_isolated(program):
    """Behind the wall there is room for threads; all that it may have at once, too."""
    done = stratavm.run(program, isolate=True, text=True, timeout=SECONDS)
    assert (done.reason, done.stdout) == ("exit", EXPECTED.read_text())
    done = stratavm.run(program, ["many", "100"], isolate=True, text=True, timeout=SECONDS)
    assert (done.reason, done.stdout) == ("exit", "many: 64, no more\n" * 2)
    done = stratavm.run(program, ["many", "400"], isolate=True, text=True, timeout=SECONDS, threads=400)
    assert (done.reason, done.stdout) == ("exit", "many: 400\n" * 2), "stacks of threads are larger than they need be"


def test_it_runs_in_a_loop(program):
    """The main thread on a fiber, the others beside the loop, which goes on meanwhile."""

    async def main():
        turns = 0
        running = asyncio.ensure_future(stratavm.run_async(program, text=True, timeout=SECONDS))
        while not running.done():
            await asyncio.sleep(0)
            turns += 1
        return await running, turns

    done, turns = asyncio.run(main())
    assert (done.reason, done.stdout) == ("exit", EXPECTED.read_text())
    assert turns > 10


def test_lines_stay_whole(program):
    """Standard output is one stream for all of them."""
    done = stratavm.run(program, ["lines"], text=True, timeout=SECONDS)
    assert Counter(done.stdout.splitlines()) == lines_of(4, 50)


@pytest.mark.parametrize("where", ["memory", "host"])
def test_files_are_of_all_threads(program, where, tmp_path):
    """Each opens, writes, closes and reads its own; all write to one, and no line is lost."""
    if where == "host":
        folders = {"dirs": [(str(tmp_path), "/", "rw")]}
    else:
        folders = {"files": {}}
    done = stratavm.run(program, ["files"], text=True, timeout=SECONDS, **folders)
    assert (done.reason, done.code, done.stdout) == ("exit", 0, "files: 0 wrong\n")
    if where == "host":
        lines = (tmp_path / "log").read_text().splitlines()
        assert Counter(lines) == Counter(f"{i}:{j}" for i in range(4) for j in range(50))


def test_a_read_holds_nobody_up():
    """One waits for its input, which comes when the others have run."""
    command = [sys.executable, "-m", "stratavm", "run", str(PROGRAM), "talk"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"others are done\n"
        child.stdin.write(b"hello\n")
        child.stdin.close()
        assert child.stdout.read() == b"read 6\n"
        assert child.wait(SECONDS) == 0


@pytest.mark.parametrize(("most", "wanted"), [(0, 4), (3, 10), (10, 10), (100, 90)])
def test_there_are_no_more_threads_than_allowed(program, most, wanted):
    """Who wants more is told so; those that have ended make room."""
    done = stratavm.run(program, ["many", str(wanted)], text=True, threads=most, timeout=SECONDS)
    said = f"many: {most}, no more\n" if most < wanted else f"many: {wanted}\n"
    assert (done.reason, done.stdout) == ("exit", said * 2)


# ---- how it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", FAST)
def test_main_returns_and_all_end(tier, silent):
    """Whatever they do."""
    done = stratavm.run(Module(PROGRAM, engine=Engine(**ENGINES[tier])), ["return"], stdin=silent, timeout=SECONDS)
    assert (done.reason, done.code, done.stdout) == ("exit", 3, STARTED)


@pytest.mark.parametrize("tier", FAST)
def test_any_thread_exits_for_all(tier, silent):
    """By its own code, while the main one waits."""
    done = stratavm.run(Module(PROGRAM, engine=Engine(**ENGINES[tier])), ["exit"], stdin=silent, timeout=SECONDS)
    assert (done.reason, done.code, done.stdout) == ("exit", 7, STARTED)


@pytest.mark.parametrize("tier", FAST)
def test_a_trap_in_a_thread_ends_all(tier, silent):
    """It says in which."""
    done = stratavm.run(Module(PROGRAM, engine=Engine(**ENGINES[tier])), ["trap"], stdin=silent, timeout=SECONDS)
    assert (done.reason, done.code) == ("trap", 134)
    assert done.message.startswith("unreachable")
    assert done.message.endswith("in thread 5")


@pytest.mark.parametrize("case", CASES)
def test_time_runs_out_for_all(program, case, silent):
    """Of a run, in a loop, and behind the wall."""
    done = stratavm.run(program, [case], stdin=silent, timeout=0.7)
    assert (done.reason, done.code) == ("timeout", 124)
    assert done.stdout in (STARTED, b"")  # on a machine that does much else
    done = asyncio.run(stratavm.run_async(program, [case], stdin=silent, timeout=0.7))
    assert (done.reason, done.code) == ("timeout", 124)


def test_time_runs_out_behind_the_wall(program):
    """Its process ends by itself."""
    done = stratavm.run(program, ["wait"], timeout=1.5, isolate=True)
    assert (done.reason, done.code) == ("timeout", 124)


@pytest.mark.parametrize("case", ["exit", "trap", "return"])
def test_a_loop_sees_the_same_ends(program, case, silent):
    """As a run does."""
    here = stratavm.run(program, [case], stdin=silent)
    there = asyncio.run(stratavm.run_async(program, [case], stdin=silent))
    assert (here.reason, here.code, here.message) == (there.reason, there.code, there.message)


def test_cancelling_the_task_ends_all(program):
    """And the task is cancelled when they are gone."""

    async def main():
        running = asyncio.ensure_future(stratavm.run_async(program, ["wait"]))
        while len(threading.enumerate()) < 5:
            await asyncio.sleep(0.001)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())


@pytest.mark.parametrize(("case", "isolated"), [*((case, False) for case in CASES), ("wait", True)])
def test_ctrl_c_ends_all(case, isolated):
    """Of the command, which says so; behind the wall all cases are the same."""
    words = [*(["--isolate"] if isolated else []), str(PROGRAM), case]
    command = [sys.executable, "-m", "stratavm", "run", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout.readline() == STARTED
        child.send_signal(signal.SIGINT)
        assert child.wait(SECONDS) == 130
        assert b"interrupted" in child.stderr.read()


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_all(number, isolated):
    """The process of the guest goes as well: its output is at its end."""
    words = [*(["--isolate"] if isolated else []), str(PROGRAM), "wait"]
    command = [sys.executable, "-m", "stratavm", "run", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == STARTED
        child.send_signal(number)
        assert child.wait(SECONDS) == -number
        assert child.stdout.read() == b""


@pytest.mark.parametrize("case", ["exit", "trap", "return"])
def test_the_command_ends_as_the_program_does(case, silent):
    """Exit codes, and where the trap was."""
    command = [sys.executable, "-m", "stratavm", "run", "--threads", "5", str(PROGRAM), case]
    done = subprocess.run(command, stdin=silent, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout == STARTED.decode()
    assert done.returncode == {"exit": 7, "trap": 134, "return": 3}[case]
    assert ("thread 5" in done.stderr) == (case == "trap")


def test_the_command_tells_programs_which_thread_it_was(silent):
    """As JSON."""
    command = [sys.executable, "-m", "stratavm", "run", "--json", str(PROGRAM), "trap"]
    done = subprocess.run(command, stdin=silent, capture_output=True, timeout=SECONDS, check=False)
    assert done.stdout.startswith(STARTED)
    told = json.loads(done.stdout.removeprefix(STARTED))
    assert (told["error"]["thread"], told["reason"], told["exit_code"]) == (5, "trap", 134)


def test_the_command_takes_threads_away():
    """--threads 0, which a program with threads is told of."""
    command = [sys.executable, "-m", "stratavm", "run", "--threads", "0", str(PROGRAM), "join"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stdout) == (99, "thread 0: error 6\n")


def test_fuel_is_of_all_together():
    """They draw from one pot, use no more than there was, and leave little."""
    module = Module(PROGRAM, engine=Engine(fuel=True))
    done = stratavm.run(module, ["spin"], fuel=50_000_000, threads=4, timeout=SECONDS)
    assert done.reason == "fuel"
    assert 43_000_000 < done.fuel_used <= 50_000_000  # others have a thirty-second each at most
    assert done.message.startswith("all fuel consumed")
    assert " in thread " not in done.message  # in which of them is chance
    done = stratavm.run(module, ["always"], fuel=10**12, text=True, timeout=SECONDS)
    assert (done.reason, done.stdout) == ("exit", EXPECTED.read_text())
    assert 100_000 < done.fuel_used < 10**11
    done = stratavm.run(module, ["always"], fuel=done.fuel_used * 3 // 2, text=True, timeout=SECONDS)
    assert (done.reason, done.stdout) == ("exit", EXPECTED.read_text())


def test_memory_is_of_all_together(program):
    """The limit is that of what they share."""
    done = stratavm.run(program, max_memory=64 << 10)
    assert done.reason == "memory"
    assert stratavm.run(program, max_memory=16 << 20, timeout=SECONDS).reason == "exit"


# ---- the process of the host ----------------------------------------------------------------------


LEFT = """
import sys, threading
import stratavm
out = bytearray()
world = stratavm.Wasi(args=("threads", "wait"), stdout=lambda data: (out.extend(data), said.set()))
said = threading.Event()
engine = stratavm.Engine()
module = stratavm.Module(sys.argv[1], engine=engine)

def run():
    store = stratavm.Store(engine)
    linker = stratavm.Linker(engine)
    linker.define_namespaces(world.namespaces())
    with stratavm.wasi.Threads(store, module) as threads:
        threads.define(linker)
        linker.instantiate(store, module).exports._start()

threading.Thread(target=run, daemon=True).start()
assert said.wait(60)
print(bytes(out))
"""


def test_the_interpreter_ends_while_they_wait(root):
    """Nobody waits for threads of a guest that runs in a thread which nobody waits for."""
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}"}
    command = [sys.executable, "-c", LEFT, str(PROGRAM)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{STARTED!r}\n", "")


# ---- how it was made ------------------------------------------------------------------------------


def test_a_native_program_writes_what_is_expected(tmp_path):
    """What is kept is what the machine's own compiler makes of the source; exit codes are the same, too."""
    witness = native(tmp_path)
    if witness is None:
        pytest.skip("no C compiler of the machine's own")
    done = subprocess.run([str(witness)], capture_output=True, text=True, timeout=SECONDS, check=True)
    assert done.stdout == EXPECTED.read_text()
    for case, code in (("exit", 7), ("return", 3)):
        done = subprocess.run([str(witness), case], stdin=subprocess.PIPE, timeout=SECONDS, check=False)
        assert done.returncode == code
    said = subprocess.run([str(witness), "lines"], capture_output=True, text=True, timeout=SECONDS, check=True).stdout
    assert Counter(said.splitlines()) == lines_of(4, 50)


@pytest.mark.slow
def test_it_compiles_here(tmp_path):
    """Where its compiler and the C library are: what that makes of the source does the same."""
    why = compiled(tmp_path / "threads.wasm")
    if why:
        pytest.skip(why)
    done = stratavm.run(tmp_path / "threads.wasm", text=True, timeout=SECONDS)
    assert (done.reason, done.stdout) == ("exit", EXPECTED.read_text())


def test_what_is_kept_is_small():
    """Binaries in a repository stay for ever."""
    assert {path.name for path in HERE.iterdir()} == {"threads.c", "threads.txt", "threads.wasm"}
    assert PROGRAM.stat().st_size < 50_000
