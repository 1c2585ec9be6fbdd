"""Workers behind the wall: prepared before it, for one tenant each, and nothing that they say is believed."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

import stratavm
from stratavm.sandbox import workers
from stratavm.sandbox.held import HELD
from stratavm.sandbox.workers import SILENT_SECONDS, Behind, Frames, NeverBegan, WorkerFailed, Workers
from tests.unit.sandbox import worker_entries

pytestmark = pytest.mark.trace_slow
HERE = worker_entries.__name__
SMALL = Frames(result_bytes=1 << 20, ask_bytes=1 << 10, asks=5)


@pytest.fixture(autouse=True)
def found(monkeypatch):
    """Workers find these tests."""
    root = str(Path(__file__).resolve().parents[3])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root))))


@pytest.fixture
def pool(tmp_path):
    """Of hostile workers."""
    (tmp_path / "secret").write_text("secret")
    with Workers(f"{HERE}:hostile", {"secret": str(tmp_path / "secret")}, frames=SMALL, spare=0) as made:
        yield made


def children() -> set[str]:
    """Processes of this one, and of those."""
    found, waiting = set(), [str(os.getpid())]
    while waiting:
        for task in os.listdir(f"/proc/{waiting[0]}/task") if os.path.exists(f"/proc/{waiting[0]}/task") else ():
            try:
                below = Path(f"/proc/{waiting[0]}/task/{task}/children").read_text().split()
            except OSError:
                continue
            found.update(below)
            waiting.extend(below)
        del waiting[0]
    return found


def settle(before: set[str]) -> set[str]:
    """Processes that are there besides; those that were killed have a moment to go."""
    until = time.monotonic() + 60
    while (left := children() - before) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def test_a_worker_is_prepared_before_the_wall_and_serves_behind_it():
    """With one thread, whatever ran while it was prepared; and code is still compiled."""
    before = children()
    with Workers(f"{HERE}:echo", {"prefix": b"> "}, spare=1) as pool:
        worker = pool.take("me")
        assert worker.call(b"threads") == b"1"
        assert worker.call(b"hello") == b"> hello"
        assert worker.call(b"double") == b"42"
        assert worker.call(b"compile") == b"7"
        assert worker.call(b"x" * 300_000) == b"> " + b"x" * 300_000
        asked = []
        assert worker.call(b"ask a b c", lambda question: asked.append(question) or question * 2) == b"aa,bb,cc"
        assert asked == [b"a", b"b", b"c"]
        assert not any("thread" in problem for problem in worker.problems)
    assert settle(before) == set()


def test_a_worker_serves_one_tenant_until_it_is_dropped():
    """The same one comes back; another tenant gets another; those that are spare are there already."""
    with Workers(f"{HERE}:echo", {"prefix": b""}, spare=1, most=3) as pool:
        mine = pool.take("a")
        assert pool.counts() == {"waiting": 1, "resting": 0, "taken": 1}
        pool.give_back("a", mine)
        other = pool.take("b")
        assert other is not mine
        assert pool.take("a") is mine
        third = pool.take("a")
        assert third is not mine and third is not other
        with pytest.raises(stratavm.ResourceLimit, match="3 workers at work"):
            pool.take("c")
        pool.give_back("b", other)
        pool.give_back("a", third)
        assert pool.take("c") not in (mine, other, third), "the one that rested longest has gone"
        assert not other.alive
        pool.forget("a")
        assert not third.alive
        assert pool.counts()["resting"] == 0
    with pytest.raises(RuntimeError, match="closed"):
        pool.take("a")
    assert not mine.alive


@pytest.mark.parametrize(
    ("request_", "seconds", "reason", "said"),
    [
        (b"long", 20, "trap", "broke the rules: a frame of kind b'R' and 4294967295 bytes"),
        (b"kind", 20, "trap", "a frame of kind b'Z' and 0 bytes"),
        (b"big 2000000", 20, "trap", "a frame of kind b'R' and 2000000 bytes"),
        (b"slowly", 1, "timeout", "did not answer in its time"),
        (b"forever", 1, "timeout", "did not answer in its time"),
        (b"deaf", 20, "trap", "asked 6 times"),
        (b"exit 3", 20, "trap", "ended by itself, with code 3"),
        (b"kill", 20, "trap", "crashed: SIGSEGV"),
        (b"closes", 20, "trap", "it closed its socket"),
        (b"raise", 20, "trap", r"the worker failed: ValueError: \x1b[31mred"),
    ],
)
def test_what_a_worker_does_wrong_ends_it_and_nothing_else(pool, request_, seconds, reason, said):
    """In time, with a reason, and the next worker works."""
    before = children()
    worker = pool.take("me")
    begin = time.monotonic()
    with pytest.raises(WorkerFailed) as seen:
        worker.call(request_, lambda question: question, seconds)
    assert time.monotonic() - begin < seconds + 30
    assert (seen.value.reason, said in str(seen.value)) == (reason, True), str(seen.value)
    assert not worker.alive
    with pytest.raises(WorkerFailed, match="gone"):
        worker.call(b"again")
    pool.give_back("me", worker)
    assert pool.counts() == {"waiting": 0, "resting": 0, "taken": 0}
    again = pool.take("me")
    assert again.call(b"well") == b"well"
    pool.give_back("me", again)
    pool.forget("me")
    assert settle(before) == set()


def test_a_second_answer_is_no_answer_to_the_next_request(pool):
    """It comes before the worker has said that it has the request."""
    worker = pool.take("me")
    assert worker.call(b"twice") == b"first"
    with pytest.raises(WorkerFailed, match="a frame of kind b'R' before it had begun"):
        worker.call(b"well")
    pool.give_back("me", worker)


def test_a_call_may_allow_less_than_the_pool_does(pool):
    """Of a result."""
    worker = pool.take("me")
    assert len(worker.call(b"big 100", None, 20, 100)) == 100
    with pytest.raises(WorkerFailed, match="a frame of kind b'R' and 101 bytes"):
        worker.call(b"big 101", None, 20, 100)
    pool.give_back("me", worker)


def test_a_worker_that_does_not_read_is_late(pool):
    """However much it is sent."""
    worker = pool.take("me")
    os.kill(int(next(iter(children_of(worker)))), signal.SIGSTOP)
    with pytest.raises(NeverBegan) as seen:
        worker.call(b"x" * (8 << 20), None, 0.5)
    assert seen.value.reason == "timeout"
    pool.give_back("me", worker)


@pytest.mark.parametrize("request_", [b"well", b"x" * (8 << 20)])
def test_one_that_is_silent_has_not_begun(pool, request_):
    """It is known soon, whatever time the request has: somebody has stopped it."""
    worker = pool.take("me")
    os.kill(int(children_of(worker)[0]), signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(NeverBegan, match="did not answer in its time"):
        worker.call(request_)
    assert time.monotonic() - begin < SILENT_SECONDS + 60
    pool.give_back("me", worker)


def test_one_that_had_begun_is_not_said_to_have_not(pool, monkeypatch):
    """Even if nobody heard of it in time."""
    worker = pool.take("me")
    real = worker._receive
    monkeypatch.setattr(worker, "_receive", lambda late, most=None: time.sleep(0.2) or late_error())
    with pytest.raises(WorkerFailed) as seen:
        worker.call(b"well")
    assert type(seen.value) is WorkerFailed and real
    pool.give_back("me", worker)


def late_error():
    """What a wait raises."""
    raise WorkerFailed("timeout", "late")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_that_somebody_else_ended_are_replaced(how):
    """Those that wait and those that rest; nobody hears of it."""
    with Workers(f"{HERE}:echo", {"prefix": b""}, spare=1) as pool:
        worker = pool.take("me")
        pool.give_back("me", worker)
        for gone in (worker, *pool._waiting):
            gone.ready()
            os.kill(gone._child.pid, how)
            gone._child.wait(60)
        again = pool.take("me")
        assert again is not worker and again.call(b"well") == b"well"
        pool.give_back("me", again)


def test_one_that_is_stopped_or_killed_while_it_starts_is_replaced(monkeypatch):
    """Three times in a row; then it is said."""
    real, stops = workers.process.start, [signal.SIGSTOP, signal.SIGKILL]

    def start(*given, **named):
        child = real(*given, **named)
        if stops:
            os.kill(child.pid, stops.pop())
        return child

    monkeypatch.setattr(workers.process, "start", start)
    with Workers(f"{HERE}:echo", {"prefix": b""}, spare=0) as pool:
        worker = pool.take("me")
        assert worker.call(b"well") == b"well" and not stops
        stops += [signal.SIGKILL] * 3
        begin = time.monotonic()
        with pytest.raises(RuntimeError, match="did not start: the process was ended by SIGKILL"):
            pool.take("you")
        assert not stops and time.monotonic() - begin < 60
        pool.give_back("me", worker)


def children_of(worker) -> list[str]:
    """The process that serves."""
    return Path(f"/proc/{worker._child.pid}/task/{worker._child.pid}/children").read_text().split()


def test_what_an_answer_raises_ends_the_call_and_comes_out(pool):
    """The worker goes: what it would do next is not known."""
    with Workers(f"{HERE}:echo", {"prefix": b""}, spare=0) as echoes:
        worker = echoes.take("me")

        def answer(question):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            worker.call(b"ask a", answer)
        assert not worker.alive
        silent = echoes.take("you")
        with pytest.raises(WorkerFailed, match="asked 1 times"):
            silent.call(b"ask a")
        echoes.give_back("me", worker)
        echoes.give_back("you", silent)


def test_the_wall_stands(pool):
    """Files, signals, memory of others, sockets, processes; nobody reads what it prints."""
    worker = pool.take("me")
    if not worker.problems:
        assert set(eval(worker.call(b"escape"))) <= {"PermissionError", "OSError"}
    assert worker.call(b"write") == b"17000"
    assert worker.call(b"memory 1000") == b"1000"


def test_limits_are_those_of_a_pool():
    """Processor time for a worker's life; addresses and descriptors for so many slots as it has."""
    behind = Behind(life_seconds=50, address_bytes=1 << 42, descriptors=2000, memory_bytes=64 << 20)
    with Workers(f"{HERE}:hostile", {"secret": "/"}, behind=behind, spare=0) as pool:
        worker = pool.take("me")
        at_once = min(2, os.cpu_count() or 1)  # a thread may make marks beside a guest
        assert eval(worker.call(b"limits")) == [50 * at_once + 5, 1 << 42, 2000]
        with pytest.raises(WorkerFailed, match="MemoryError"):
            worker.call(b"memory %d" % (2 << 30))
        pool.give_back("me", worker)


def test_one_that_does_not_get_ready_says_why(monkeypatch):
    """Its last words; or that it is late."""
    before = children()
    with Workers(f"{HERE}:fails", {"where": "nowhere"}, spare=0) as pool:
        with pytest.raises(RuntimeError, match="did not start: RuntimeError: no guest at nowhere"):
            pool.take("me")
        assert pool.counts() == {"waiting": 0, "resting": 0, "taken": 0}
    monkeypatch.setattr(workers, "START_SECONDS", 0.5)
    with Workers(f"{HERE}:hangs", {}, spare=1) as pool, pytest.raises(RuntimeError, match="did not answer in its time"):
        pool.take("me")
    assert settle(before) == set()


def test_a_call_can_be_ended_from_another_thread(pool):
    """As any run that is held."""
    worker = pool.take("me")
    ends: list = []
    HELD.set(ends)
    try:
        timer = threading.Timer(0.3, lambda: [end() for end in ends])
        timer.start()
        with pytest.raises(WorkerFailed) as seen:
            worker.call(b"forever", None, 20)
        assert seen.value.reason == "interrupt"
    finally:
        HELD.set(None)
        timer.join()
    pool.give_back("me", worker)


def test_nothing_is_left_after_many(pool):
    """No process, no descriptor."""
    before, fds = children(), len(os.listdir("/proc/self/fd"))
    for number in range(20):
        worker = pool.take(number)
        assert worker.call(b"well") == b"well"
        pool.give_back(number, worker)
        pool.forget(number)
    assert settle(before) == set()
    assert len(os.listdir("/proc/self/fd")) == fds


def test_a_forked_child_does_not_use_the_pool(pool):
    """Nor end it."""
    worker = pool.take("me")
    pid = os.fork()
    if not pid:
        code = 1
        try:
            pool.take("me")
        except RuntimeError as error:
            pool.close()
            code = 0 if "forked" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert worker.call(b"well") == b"well"
