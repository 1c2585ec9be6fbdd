"""Claims about helper threads: that they do what is submitted, when there are none, and that nobody hears of them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stratavm.native import background
from tests.unit.native import drill
from tests.unit.native.drill import Drill, soon

pytestmark = pytest.mark.skipif(not drill.POSSIBLE, reason="the trace build has no helper threads")

ROOT = Path(__file__).resolve().parents[3]
REST_S = 1.0
"""After that a thread ends."""

PRELUDE = """
import os, sys, threading, time
from stratavm.native import background
from tests.unit.native import drill
from tests.unit.native.drill import *
counted = []
os.register_at_fork(after_in_parent=lambda: counted.append(drill.tasks()))
def status(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def busy(count, piece=SPIN):
    background.limit_threads(count)
    jobs = [Drill(piece) for _ in range(count)]
    assert all(job.submit() for job in jobs)
    assert soon(lambda: all(job.rounds for job in jobs))
    return jobs
def go_on(*jobs):
    before = [job.rounds for job in jobs]
    return all([job.submit() for job in jobs]) and soon(lambda: all(j.rounds > n for j, n in zip(jobs, before)))
"""


def run(code: str, *options: str, **switches: str) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, for which a warning is an error, though it be one that nobody can catch."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"} | switches
    command = [sys.executable, "-W", "error", *options, "-c", PRELUDE + code]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)


def prints(code: str, *options: str, **switches: str) -> str:
    """What a fresh interpreter prints; it must end well and without a word."""
    done = run(code, *options, **switches)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.fixture
def helpers():
    """So many threads, whatever the machine has; none afterwards."""
    yield background.limit_threads
    background.limit_threads(0)
    assert soon(lambda: background.helper_status()["living"] == 0)
    background.limit_threads(None)


# ---- what is done ------------------------------------------------------------------------------


def test_a_job_is_done_piece_by_piece_until_nothing_is_left(helpers):
    """Then it is idle: nobody has it who could be asked to give it back."""
    helpers(1)
    job = Drill(drill.COUNT, left=100)
    assert job.submit()
    assert soon(lambda: job.rounds == 100)
    assert soon(lambda: job.state == drill.IDLE) and not job.withdraw()
    assert job.submit() and soon(lambda: job.rounds == 101), "once more"


def test_what_is_submitted_while_it_runs_runs_once_more(helpers):
    """Whatever its owner added was perhaps not seen by the piece in flight."""
    helpers(1)
    job = Drill(drill.HOLD)
    assert job.submit() and soon(lambda: job.rounds == 1)
    assert job.submit() and job.submit() and job.state == drill.AGAIN
    job.job.left = 1
    assert soon(lambda: job.state == drill.IDLE)
    assert job.rounds == 2


def test_jobs_take_turns(helpers):
    """Three pieces each of 500 jobs on one thread: nobody has his second before everybody had his first."""
    helpers(1)
    first = Drill(drill.SPIN)
    assert first.submit() and soon(lambda: first.rounds)
    counter = ctypes.c_uint64()
    jobs = [Drill(drill.TURN, 3, ctypes.addressof(counter)) for _ in range(500)]
    assert all(job.submit() for job in jobs)
    first.withdraw()
    assert soon(lambda: counter.value == 1500)
    assert [job.answer for job in jobs] == list(range(1001, 1501))


def test_many_engines_share_few_threads(helpers):
    """500 jobs that run for ever: two threads, no more, and each job is taken back when it is asked for."""
    helpers(2)
    before = background.helper_status()["starts"]
    jobs = [Drill(drill.SPIN) for _ in range(500)]
    assert all(job.submit() for job in jobs)
    assert soon(lambda: sum(job.state == drill.RUNNING for job in jobs) == 2)
    status = background.helper_status()
    assert (status["living"], status["starts"] - before, status["queued"]) == (2, 2, 498)
    assert len(drill.helper_tasks()) == 2
    for job in reversed(jobs):  # those that run last: for each that is taken back another would begin
        assert job.withdraw()
    assert background.helper_status()["queued"] == 0


def test_a_second_thread_starts_only_for_a_second_job(helpers):
    """Work for one is done by one; at rest it takes the next."""
    helpers(2)
    before = background.helper_status()["starts"]
    for _ in range(20):
        job = Drill(drill.COUNT, left=10)
        assert job.submit() and soon(lambda: background.helper_status()["resting"] == 1)
    assert background.helper_status()["starts"] - before == 1


# ---- taking back -------------------------------------------------------------------------------


def test_withdrawing_ends_the_piece_in_flight(helpers):
    """One that would run for ever without being asked to stop; afterwards no thread touches it."""
    helpers(1)
    job = Drill(drill.SPIN)
    assert job.submit() and soon(lambda: job.rounds)
    assert job.withdraw() and job.state == drill.IDLE
    rounds = job.rounds
    time.sleep(0.05)
    assert job.rounds == rounds


def test_withdrawing_waits_for_a_piece_that_does_not_look(helpers):
    """Not for less: its memory may go afterwards. Nobody gets a job that is being taken back."""
    helpers(1)
    job = Drill(drill.HOLD)
    assert job.submit() and soon(lambda: job.rounds)
    thread = threading.Thread(target=job.withdraw)
    thread.start()
    assert soon(lambda: job.state == drill.LEAVING)
    assert not job.submit()
    time.sleep(0.02)
    assert thread.is_alive()
    job.job.left = 1
    thread.join(60)
    assert not thread.is_alive() and (job.state, job.rounds) == (drill.IDLE, 1)


def test_withdrawing_what_is_queued_waits_for_nobody(helpers):
    """First, last and in the middle; the others keep their order."""
    helpers(1)
    first = Drill(drill.HOLD)
    assert first.submit() and soon(lambda: first.rounds)
    counter = ctypes.c_uint64()
    jobs = [Drill(drill.TURN, 1, ctypes.addressof(counter)) for _ in range(7)]
    assert all(job.submit() for job in jobs)
    gone = [jobs[i] for i in (0, 3, 6)]
    assert all(job.withdraw() for job in gone) and not any(job.withdraw() for job in gone)
    jobs.append(Drill(drill.TURN, 1, ctypes.addressof(counter)))
    assert jobs[7].submit()
    first.job.left = 1
    assert soon(lambda: counter.value == 5)
    assert [job.answer for job in jobs] == [1, 1, 2, 1, 3, 4, 1, 5]
    assert [job.rounds for job in jobs] == [0, 1, 1, 0, 1, 1, 0, 1]


def test_threads_that_submit_and_withdraw_the_same_jobs_agree(helpers):
    """Of a job nobody submits any more, nothing is left after the last withdrawal."""
    helpers(2)
    jobs = [Drill(piece, 50) for piece in (drill.COUNT, drill.SPIN, drill.COUNT)]

    def work() -> None:
        for _ in range(2000):
            for job in jobs:
                job.submit()
                job.withdraw()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert [job.state for job in jobs] == [drill.IDLE] * 3 and background.helper_status()["queued"] == 0


# ---- when there are none -----------------------------------------------------------------------


def test_without_threads_nothing_is_taken(helpers):
    """Whoever submits is told so, and the job is free."""
    helpers(0)
    job = Drill(drill.COUNT, left=1)
    assert not job.submit()
    assert (job.state, job.rounds) == (drill.IDLE, 0) and not job.withdraw()


def test_one_processor_has_no_threads():
    """A process that may run on one, and one that binds itself to one later."""
    code = """
wide = os.sched_getaffinity(0)
job = Drill(COUNT)
for _ in range(2):
    os.sched_setaffinity(0, {min(wide)})
    assert not job.submit() and drill.tasks() == 1
    print(background.thread_limit(), job.state)
    os.sched_setaffinity(0, wide)
    background.limit_threads(None)
"""
    assert prints(code, STRATA_HELPERS="").split() == ["0", "0"] * 2


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one processor")
def test_two_processors_have_a_thread():
    """And no more than one less than there are, nor more than a variable says."""
    code = "print(background.thread_limit() < len(os.sched_getaffinity(0)), background.limit_threads(None))"
    assert prints(code, STRATA_HELPERS="2") == "True 2"
    assert prints(code, STRATA_HELPERS="0") == "True 0"
    if background.thread_limit():  # no control group has less
        code = "background.limit_threads(None); job = Drill(COUNT); print(job.submit())"
        assert prints(code, STRATA_HELPERS="") == "True"


def test_a_kernel_that_refuses_threads_is_asked_again_after_a_while():
    """It has no memory for their stacks here; nothing is raised, and nothing is taken."""
    code = """
import resource
background.limit_threads(2)
job = Drill(COUNT)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 10), -1))
began = time.monotonic()
assert not job.submit() and job.state == IDLE
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
at_once = job.submit()
assert not at_once or time.monotonic() - began > 0.9, "asked each time"
assert at_once or soon(job.submit)
assert soon(lambda: job.rounds == 1)
print(background.helper_status()["starts"])
"""
    assert prints(code) == "1"


def test_a_thread_ends_after_a_second_of_rest(helpers):
    """It is gone, not parked; the next work has a new one."""
    helpers(1)
    before = background.helper_status()["starts"]
    job = Drill(drill.COUNT, left=1)
    began = time.monotonic()
    assert job.submit() and soon(lambda: job.rounds == 1)
    assert soon(lambda: not drill.helper_tasks())
    assert time.monotonic() - began > REST_S / 2
    assert background.helper_status()["living"] == 0
    assert job.submit() and soon(lambda: job.rounds == 2)
    assert background.helper_status()["starts"] - before == 2


def test_threads_that_are_too_many_end(helpers):
    """Those at rest, and those at work when their piece is done."""
    helpers(2)
    jobs = [Drill(drill.DEAF) for _ in range(2)]
    assert all(job.submit() for job in jobs) and soon(lambda: len(drill.helper_tasks()) == 2)
    helpers(1)
    assert soon(lambda: len(drill.helper_tasks()) == 1)
    assert soon(lambda: all(job.rounds > 3 for job in jobs)), "one does the work of both"


# ---- that nobody hears of them -----------------------------------------------------------------


def test_a_thread_takes_no_signals_and_lets_others_go_first(helpers):
    """Its name, its priority, its mask; and Python has no state for it."""
    helpers(1)
    known = sys._current_frames().keys()  # one of them may be none of ``threading``'s, as that of pytest-xdist
    job = Drill(drill.SPIN)
    assert job.submit() and soon(lambda: job.rounds)
    (task,) = drill.helper_tasks()
    fields = (task / "stat").read_text().rpartition(")")[2].split()
    assert int(fields[16]) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    status = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
    blocked = int(status["SigBlk"], 16)
    faults = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}
    never = {signal.SIGKILL, signal.SIGSTOP}
    # 32 and 33 are the C library's own.
    free = {number for number in range(1, 65) if not blocked >> (number - 1) & 1} - {32, 33}
    assert free == faults | never
    job.withdraw()
    ask = Drill(drill.ASK, ctypes.cast(ctypes.pythonapi.PyGILState_GetThisThreadState, ctypes.c_void_p).value)
    assert ask.submit() and soon(lambda: ask.rounds)
    assert ask.answer == 0
    assert sys._current_frames().keys() == known


def test_a_thread_has_the_stack_that_is_said(helpers):
    """Of which a piece may use all but what the thread itself needs."""
    helpers(1)
    job = Drill(drill.DEEP)
    assert job.submit() and soon(lambda: job.rounds == 1)


def test_a_fault_in_a_thread_is_reported():
    """By faulthandler, with our own handlers before it, and the process ends by it."""
    code = """
import stratavm
stratavm.load('(module (func (export "f")))').exports.f()
background.limit_threads(1)
job = Drill(FAULT)
job.submit()
time.sleep(20)
"""
    done = run(code, "-X", "faulthandler")
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr


# ---- forks -------------------------------------------------------------------------------------


def test_a_fork_while_threads_are_busy_finds_none():
    """Python counts one thread, and has nothing to warn of. Both sides go on where something is submitted."""
    code = """
jobs = busy(2)
for _ in range(20):
    child = os.fork()
    if not child:
        good = drill.tasks() == 1 and [job.state for job in jobs] == [QUEUED] * 2 and go_on(*jobs)
        good = good and len(drill.helper_tasks()) == 2 and all(job.withdraw() for job in jobs)
        os._exit(7 if good else 1)
    assert background.helper_status()["living"] == 0
    assert status(child) == 7
    before = [job.rounds for job in jobs]
    assert jobs[0].submit() and soon(lambda: all(job.rounds > n for job, n in zip(jobs, before))), "all that was queued"
print(set(counted))
"""
    assert prints(code) == "{1}"


def test_a_fork_finds_no_thread_that_is_about_to_end():
    """One that has rested its second is joined, too: the kernel may still count it."""
    code = """
background.limit_threads(2)
for i in range(200):
    jobs = [Drill(COUNT), Drill(COUNT)]
    for job in jobs: job.submit()
    if i % 3: background.limit_threads(i % 2)
    child = os.fork()
    if not child:
        os._exit(7)
    assert status(child) == 7
    background.limit_threads(2)
print(set(counted))
"""
    assert prints(code) == "{1}"


def test_a_fork_waits_until_the_kernel_has_forgotten_its_threads():
    """On one processor, who waited for a thread runs as soon as that has ended, and before it is counted no more."""
    code = """
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
jobs = busy(2)
for _ in range(50):
    child = os.fork()
    if not child:
        os._exit(7)
    assert status(child) == 7
    assert all([job.submit() for job in jobs])
print(set(counted))
"""
    assert prints(code) == "{1}"


TRACER = """
import ctypes, os, sys, time
if ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None):
    sys.exit("no")  # nobody may look at other processes here
print("ready", flush=True)
time.sleep(float(sys.stdin.readline()))
os.waitpid(int(sys.argv[1]), 0x40000000)
"""
"""Seizes a thread: when that has ended and was joined, the kernel keeps it until it was waited for here, a while after
a line has come."""


def test_a_fork_waits_for_a_thread_that_was_joined_and_that_the_kernel_still_has():
    """Here for long, since somebody traces it. It is counted no more, or it was waited for as long as that is done."""
    code = """
import ctypes, subprocess
ctypes.CDLL(None).prctl(0x59616d61, -1, 0, 0, 0)  # whoever likes may trace us
jobs = busy(1)
(task,) = drill.helper_tasks()
tracer = subprocess.Popen([sys.executable, "-c", TRACER, task.name], stdin=-1, stdout=-1, stderr=-1)
if tracer.stdout.readline():
    tracer.stdin.write(b"0.02\\n")
    tracer.stdin.flush()
    begin = time.monotonic()
    child = os.fork()
    if not child:
        os._exit(7)
    took = time.monotonic() - begin
    assert status(child) == 7
    print(counted == [1] or took > 0.04)
else:
    print("no")
tracer.communicate(b"0\\n")
"""
    said = prints(f"TRACER = {TRACER!r}\n" + code)
    if said == "no":
        pytest.skip("no process may be traced here")
    assert said == "True"


def test_threads_fork_at_once_and_children_fork():
    """Each of them while helpers are busy; the children's children have helpers as well."""
    code = """
import warnings
warnings.simplefilter("ignore")  # these forks are of a process with threads
sys.setswitchinterval(1e-6)
jobs = busy(2, DEAF)
results = []
def fork(depth):
    child = os.fork()
    if child:
        return status(child)
    good = go_on(*jobs) and (depth == 0 or fork(depth - 1) == 7)
    os._exit(7 if good else 1)
def work():
    for _ in range(5):
        results.append(fork(2))
        for job in jobs: job.submit()
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
assert go_on(*jobs)
print(len(results), set(results))
"""
    assert prints(code) == "15 {7}"


def test_threads_fork_without_the_gil():
    """As code in C does, several at once and while others submit; nothing is lost."""
    code = """
import ctypes, warnings
warnings.simplefilter("ignore")
bare = drill.bare_fork()
jobs = busy(2, DEAF)
children = []
def fork():
    for _ in range(30):
        children.append(bare())
def submit():
    for i in range(3000):
        jobs[i % 2].submit()
threads = [threading.Thread(target=work) for work in (fork, fork, fork, submit)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
assert go_on(*jobs)
print(len(children), {status(child) for child in children})
"""
    assert prints(code) == "90 {7}"


def test_forks_while_functions_are_compiled_and_published():
    """A thread that is to end may want the lock of the arena to publish what it has made: the fork takes it later."""
    code = """
import warnings
import stratavm
from random import Random
from tests.torture.ahead import program
warnings.simplefilter("ignore")
background.limit_threads(2)
binary, result = program(Random(1))
bare = drill.bare_fork()
ended = []
def fork():
    while not ended:
        assert status(bare()) == 7
        time.sleep(0.001)
thread = threading.Thread(target=fork)
thread.start()
for i in range(60):
    module = stratavm.Module(binary, engine=stratavm.Engine(tier="jit0"))
    exports = stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module).exports
    assert exports.run(0) == result
ended.append(True)
thread.join(60)
print(thread.is_alive())
"""
    assert prints(code) == "False"


def test_a_fork_while_somebody_withdraws():
    """Both wait for a piece that does not look; in the child nobody waits, and the job is free."""
    code = """
import warnings
warnings.simplefilter("ignore")
background.limit_threads(1)
for _ in range(10):
    job = Drill(DEAF)
    assert job.submit() and soon(lambda: job.rounds)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(job.withdraw()))
    thread.start()
    while job.state != LEAVING and thread.is_alive(): pass
    child = os.fork()
    if not child:
        os._exit(7 if job.state == IDLE and not job.withdraw() and go_on(job) else 1)
    thread.join(60)
    assert answers == [True] and job.state == IDLE
    assert status(child) == 7
print("done")
"""
    assert prints(code) == "done"


# ---- the end -----------------------------------------------------------------------------------


def test_a_process_ends_while_threads_are_busy():
    """They are gone before objects go; who submits something then is told that there are none."""
    code = """
import atexit
def late():
    print(drill.tasks(), late.job.submit(), background.helper_status()["living"])
atexit.unregister(background.close)
atexit.register(late)
atexit.register(background.close)  # so it runs before the other
late.job = Drill(SPIN)
late.more = busy(2)
"""
    assert prints(code) == "1 False 0"


def test_a_process_ends_without_its_exit_handlers():
    """Nothing holds it up, in the middle of a piece that looks at nothing."""
    code = """
background.limit_threads(1)
job = Drill(HOLD)
assert job.submit() and soon(lambda: job.rounds)
print("end", flush=True)
os._exit(0)
"""
    assert prints(code) == "end"


def test_daemon_threads_submit_and_withdraw_while_the_process_ends():
    """They are stopped wherever they are: the exit status is what counts."""
    code = """
background.limit_threads(2)
def work(job):
    while True:
        job.submit()
        job.withdraw()
sys.setswitchinterval(1e-6)
jobs = [Drill(SPIN), Drill(COUNT, 1000), Drill(SPIN)]
for job in jobs:
    threading.Thread(target=work, args=(job,), daemon=True).start()
time.sleep(0.05)
print("end")
"""
    for _ in range(5):
        assert prints(code) == "end"


def test_a_barrier_on_all_threads_is_registered_while_there_is_one():
    """With more, the kernel waits for all processors: the ticker, which needs it, would wait 13 ms with it."""
    code = """
import ctypes
EXPEDITED, call = 1 << 3, ctypes.CDLL(None).syscall
background.limit_threads(1)
before = call(324, EXPEDITED, 0, 0)
job = Drill(COUNT)
assert job.submit()
print(before, call(324, EXPEDITED, 0, 0))
"""
    assert prints(code) == "-1 0"
