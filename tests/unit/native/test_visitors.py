"""Claims about jobs that are offered to threads which are not ours: who runs them, and that their pieces are waited for
by who takes a job back, forks, or ends the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from stratavm.native import background
from tests.unit.native import drill
from tests.unit.native.drill import Drill, soon
from tests.unit.native.test_background import prints

pytestmark = pytest.mark.skipif(not drill.POSSIBLE, reason="a piece in the trace build wants the GIL")

VISITORS = """
import warnings
warnings.simplefilter("ignore")  # these forks are of a process with threads
background.limit_threads(0)
stopped = []
def visit(job):
    while not stopped:
        job.offer()
        job.lend()
def visitors(*jobs):
    threads = [threading.Thread(target=visit, args=(job,), daemon=True) for job in jobs]
    for thread in threads: thread.start()
    assert soon(lambda: all(job.rounds for job in jobs))
    return threads
def rounds(*jobs):
    return [job.rounds for job in jobs]
def goes_on(jobs, before):
    return soon(lambda: all(job.rounds > n for job, n in zip(jobs, before)))
"""


@pytest.fixture(autouse=True)
def no_helpers():
    """Whatever the machine has."""
    background.limit_threads(0)
    yield
    background.limit_threads(None)


def visitor(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """A thread that does something, and what that gives."""
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    return thread, found


def ends(thread: threading.Thread) -> bool:
    """Whether it comes to its end."""
    thread.join(60)
    return not thread.is_alive()


# ---- what is done ------------------------------------------------------------------------------


def test_a_visitor_runs_pieces_until_nothing_is_left():
    """Then the job is idle, and another visit finds nothing to do."""
    job = Drill(drill.COUNT, left=100)
    assert job.offer() == drill.OFFERED == job.offer()
    assert not job.lend()
    assert (job.rounds, job.state) == (100, drill.IDLE)
    assert not job.lend() and job.rounds == 100
    assert not job.withdraw()


def test_what_was_not_offered_is_not_run():
    """Nor what was taken back, nor what was not wanted."""
    job = Drill(drill.COUNT, left=1)
    assert not job.lend()
    job.offer()
    assert job.withdraw() and not job.withdraw() and not job.lend()
    job.offer()
    job.recall()
    assert job.state == drill.IDLE and not job.lend() and job.rounds == 0


def test_a_visit_ends_in_time_and_another_one_goes_on():
    """There is always more here."""
    job = Drill(drill.DEAF)
    job.offer()
    assert job.lend(0) and (job.state, job.rounds) == (drill.OFFERED, 1)
    assert job.lend(0) and job.rounds == 2


def test_one_thread_at_a_time_runs_pieces():
    """Another one has nothing to do meanwhile; what is offered then is done behind the piece in flight."""
    job = Drill(drill.HOLD)
    job.offer()
    thread, found = visitor(job.lend)
    assert soon(lambda: job.rounds == 1)
    assert not job.lend() and job.rounds == 1
    assert job.offer() == drill.AGAIN
    job.recall()  # too late: it is run
    assert job.state == drill.AGAIN
    job.job.left = 1
    assert ends(thread) and found == [False] and (job.rounds, job.state) == (2, drill.IDLE)


def test_what_was_offered_may_be_left_to_our_threads():
    """Where there are none it is still on offer."""
    job = Drill(drill.COUNT, left=3)
    job.offer()
    assert not job.submit() and job.state == drill.OFFERED
    background.limit_threads(1)
    first = Drill(drill.HOLD)
    assert first.submit() and soon(lambda: first.rounds)
    assert job.submit() and job.state == drill.QUEUED == job.offer()
    assert not job.lend() and job.rounds == 0, "it is ours now"
    first.job.left = 1
    assert soon(lambda: job.rounds == 3 and job.state == drill.IDLE)


def test_what_our_threads_cannot_have_is_still_on_offer():
    """The kernel refuses a thread here."""
    code = """
import resource
background.limit_threads(2)
job = Drill(COUNT)
job.offer()
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (256 << 10), -1))
assert not job.submit()
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
print(job.state == OFFERED, job.lend(), job.rounds)
"""
    assert prints(code) == "True False 1"


# ---- taking back -------------------------------------------------------------------------------


def test_taking_back_ends_the_piece_in_flight():
    """One that would run for ever; afterwards nobody touches it."""
    job = Drill(drill.SPIN)
    job.offer()
    thread, found = visitor(job.lend)
    assert soon(lambda: job.rounds)
    assert job.withdraw() and job.state == drill.IDLE
    assert ends(thread) and found == [False]


def test_taking_back_waits_for_a_piece_that_does_not_look():
    """Nobody gets it meanwhile."""
    job = Drill(drill.HOLD)
    job.offer()
    thread, _ = visitor(job.lend)
    assert soon(lambda: job.rounds == 1)
    other, answers = visitor(job.withdraw)
    assert soon(lambda: job.state == drill.LEAVING)
    assert job.offer() == drill.LEAVING and not job.lend() and not job.submit()
    time.sleep(0.02)
    assert not answers
    job.job.left = 1
    assert ends(other) and ends(thread) and answers == [True] and (job.rounds, job.state) == (1, drill.IDLE)


def test_threads_that_offer_visit_leave_to_ours_and_take_back_agree():
    """Of a job that nobody wants any more nothing is left, and nobody runs it."""
    background.limit_threads(2)
    jobs = [Drill(piece, 50) for piece in (drill.COUNT, drill.SPIN, drill.COUNT, drill.DEAF)]
    ways = (lambda job: job.lend(0.001), Drill.offer, Drill.submit, Drill.withdraw, Drill.recall)

    def work(first: int) -> None:
        for i in range(1500):
            for job in jobs:
                ways[(first + i) % len(ways)](job)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(ways))]
    for thread in threads:
        thread.start()

    def are_over():
        for job in jobs:  # the last one may be at a piece that spins until somebody waits
            job.withdraw()
        return not any(thread.is_alive() for thread in threads)

    assert soon(are_over, 60) and are_over()  # what they did last is withdrawn, too
    before = [job.rounds for job in jobs]
    time.sleep(0.01)
    assert [job.state for job in jobs] == [drill.IDLE] * 4 and before == [job.rounds for job in jobs]
    assert background.helper_status()["queued"] == 0


# ---- forks and the end -------------------------------------------------------------------------


@pytest.mark.parametrize("piece", ["SPIN", "DEAF"])
def test_a_fork_finds_no_piece_in_flight(piece):
    """The child may run what is left, the parent goes on with it: also pieces that end only when they are asked to."""
    code = f"""
jobs = [Drill({piece}), Drill({piece})]
visitors(*jobs)
for _ in range(20):
    before = rounds(*jobs)
    child = os.fork()
    if not child:
        good = all(job.state in (OFFERED, IDLE) for job in jobs)
        before = rounds(*jobs)
        mine = [threading.Thread(target=job.lend) for job in jobs if job.offer() == OFFERED]
        for thread in mine: thread.start()
        good = good and goes_on(jobs, before) and all(job.withdraw() for job in jobs)
        for thread in mine: thread.join(60)
        os._exit(7 if good and not any(thread.is_alive() for thread in mine) else 1)
    assert status(child) == 7
    assert goes_on(jobs, before)
stopped.append(True)
for job in jobs: job.withdraw()
print("done")
"""
    assert prints(VISITORS + code) == "done"


def test_threads_fork_without_the_gil_while_visitors_work():
    """As code in C does, several at once."""
    code = """
bare = drill.bare_fork()
jobs = [Drill(DEAF), Drill(SPIN)]
visitors(*jobs)
children = []
def fork():
    for _ in range(20):
        children.append(bare())
threads = [threading.Thread(target=fork) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join(60)
stopped.append(True)
for job in jobs: job.withdraw()
print(len(children), {status(child) for child in children})
"""
    assert prints(VISITORS + code) == "60 {7}"


def test_a_process_ends_while_visitors_work():
    """Their pieces are over before objects go; who would begin another one then is told that nothing is left."""
    code = """
import atexit
def late():
    job = late.jobs[0]
    print(job.offer() == LEAVING, job.lend(), all(job.state in (IDLE, OFFERED) for job in late.jobs))
atexit.unregister(background.close)
atexit.register(late)
atexit.register(background.close)  # so it runs before the other
late.jobs = [Drill(SPIN), Drill(DEAF), Drill(COUNT, 1000)]
visitors(*late.jobs)
"""
    for _ in range(5):
        assert prints(VISITORS + code) == "True False True"
