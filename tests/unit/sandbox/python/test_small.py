"""Runs and sessions of an interpreter of a few lines: what the host does for any, in process and by workers."""

import asyncio
import threading

import pytest

from stratavm.base.errors import ResourceLimit
from stratavm.sandbox import Python, SessionBusy, SessionEnded
from stratavm.sandbox.python import apart, apartsession, guests, within
from stratavm.sandbox.python.session import BUSY
from stratavm.sandbox.workers import NeverBegan, WorkerFailed
from tests.unit.sandbox.python.test_guests import library

TEXT = r"""(module
  (import "host" "call" (func $call (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 4096))
  (global $count (mut i32) (i32.const 0))
  (data (i32.const 16) "\00t")
  (data (i32.const 64) "\00a{\"n\":0,\"code\":0,\"value\":0}")
  (func (export "run") (result i32) i32.const 0)
  (func (export "shutdown") (result i32) i32.const 0)
  (func (export "host_alloc") (param i32) (result i32)
    global.get $heap
    (global.set $heap (i32.add (global.get $heap) (local.get 0))))
  (func (export "turn") (param i32 i32) (result i32)
    (local $end i32)
    (if (call $call (i32.const 16) (i32.const 2) (i32.const 32) (i32.const 36))
      (then (return (i32.const 0)))) ;; it is taught the driver, and has no task
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    ;; the last five bytes of a task are its number and the end of a dictionary
    (local.set $end (i32.add (i32.load (i32.const 32)) (i32.load (i32.const 36))))
    (i32.store8 (i32.const 71)
      (i32.add (i32.const 48) (i32.load (i32.sub (local.get $end) (i32.const 5)))))
    (i32.store8 (i32.const 90) (i32.add (i32.const 48) (global.get $count)))
    (drop (call $call (i32.const 64) (i32.const 28) (i32.const 32) (i32.const 36)))
    (global.set $heap (i32.const 4096))
    i32.const 0))
"""
"""An interpreter that counts its turns, whatever the code is."""
WARM = 4
"""What it has counted at the end of a run that begins with what was kept."""


@pytest.fixture
def module(tmp_path):
    """Its file, beside a library."""
    library(tmp_path / guests.LIBRARY, {"rc": b""})
    (tmp_path / "small.wat").write_text(TEXT)
    return tmp_path / "small.wat"


def test_runs_begin_anew(module):
    """The first one by itself, all others with what was kept; also those of what was warmed."""
    python = Python(module)
    assert [python.run("any").value for _ in range(4)] == [1, WARM, WARM, WARM]
    warm = python.warm("more", files={"f": b"1"})
    assert [warm.run("any").value for _ in range(2)] == [WARM, WARM]
    assert asyncio.run(warm.run_async("any", files={"in": b"2"})).files == {}
    with pytest.raises(OSError, match="max_files"):
        warm.run("any", files={"big": bytes(2000)}, max_files=1000)


def check_sessions(python):
    """What holds of sessions, wherever they are."""
    with python.session(files={"f": b"1"}) as session:
        early = session.fork()
        assert [session.run("any").value for _ in range(2)] == [WARM, WARM + 1]
        fork = session.fork()
        second = fork.fork()
        assert (fork.run("any").value, session.run("any").value, second.run("any").value) == (WARM + 2,) * 3
        assert early.run("any").value == WARM
        for one in (early, fork):
            one.close()
            one.close()
            for refused in (lambda one=one: one.run("any"), one.fork):
                with pytest.raises(SessionEnded, match="closed"):
                    refused()
        assert second.run("any").value == WARM + 3
        with pytest.raises(OSError, match="max_files"):
            python.session(max_files=1000).run("any", files={"big": bytes(2000)})
        session._turning.acquire()
        for refused in (lambda: session.run("any"), session.fork, session.close):
            with pytest.raises(SessionBusy, match=BUSY[:20]):
                refused()
        session._turning.release()
        second.close()

    async def main():
        async with python.session() as other:
            return (await other.run_async("any", timeout=60)).value

    assert asyncio.run(main()) == WARM


def test_sessions(module):
    """In process."""
    python = Python(module)
    python.run("first")
    check_sessions(python)


# ---- by workers, whose two ends are both here ------------------------------------------------------------------------


class Near:
    """A worker in this process: what serves is what serves behind the wall."""

    def __init__(self, data):
        self.handle = within.prepare(dict(data))
        self.alive, self.fails = True, []

    def call(self, request, answer=None, seconds=None, result_bytes=None):
        """What its handler says."""
        if self.fails:
            self.drop()
            raise self.fails.pop()
        return self.handle(request, answer)

    def drop(self):
        """It is gone."""
        self.alive = False


class NearPool:
    """Workers in this process."""

    def __init__(self, entry, data, *, most, **_):
        assert entry == "stratavm.sandbox.python.within:prepare"
        self.data, self.most = data, most
        self.taken, self.resting, self.fails = [], [], []

    def take(self, tenant):
        """One that rests, or a new one."""
        if len(self.taken) >= self.most:
            raise ResourceLimit("as many as there may be", limit="workers")
        worker = self.resting.pop() if self.resting else Near(self.data)
        if self.fails:
            worker.fails.append(self.fails.pop())
        self.taken.append(worker)
        return worker

    def give_back(self, tenant, worker):
        """It rests, unless it is gone."""
        self.taken.remove(worker)
        if worker.alive:
            self.resting.append(worker)

    def counts(self):
        """As a pool has them."""
        return {"taken": len(self.taken), "resting": len(self.resting), "waiting": 0}

    def forget(self, tenant):
        """The tenant is gone."""
        self.resting.clear()

    def close(self):
        """Nothing is left."""
        self.resting.clear()


@pytest.fixture
def near(module, monkeypatch):
    """An isolated one whose workers are here, and its pools."""
    made = []

    def pool(*given, **named):
        made.append(NearPool(*given, **named))
        return made[-1]

    monkeypatch.setattr(apart, "Workers", pool)
    return Python(module, isolate=True), made


def test_isolated_runs_and_sessions(near):
    """The same; a worker is wiped when its last session is closed, and used again."""
    python, pools = near
    assert [python.run("any").value for _ in range(2)] == [WARM, WARM]
    check_sessions(python)
    assert sum(len(pool.taken) for pool in pools) == 0, "also of a session that was forgotten"
    with pytest.raises(OSError, match="max_files"):
        python.run("any", files={"big": bytes(2000)}, max_files=1000)
    assert repr(python.session()).startswith("<isolated Session of small.wat")


def test_what_had_not_begun_is_done_by_another_worker(near):
    """Runs, and first turns; then it is said."""
    python, pools = near
    python.run("any")
    gone = NeverBegan("interrupt", "somebody ended it")
    pools[0].fails += [gone] * 2
    assert python.run("any").value == WARM
    pools[0].fails += [gone] * 2
    with python.session() as session:
        assert session.run("any").value == WARM and not pools[0].fails
    pools[0].fails += [gone] * 3
    assert python.run("any").reason == "interrupt"
    pools[0].fails += [gone] * 3
    session = python.session()
    assert session.run("any").reason == "interrupt"
    with pytest.raises(SessionEnded, match="somebody ended it"):
        session.run("any")
    assert pools[0].taken == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NeverBegan("interrupt", "killed"), "interrupt"), (WorkerFailed("timeout", "late"), "timeout")],
)
def test_a_worker_that_goes_takes_its_sessions_with_it(near, error, reason):
    """The turn has a result, all other sessions are told."""
    python, pools = near
    session = python.session()
    session.run("any")
    fork = session.fork()
    session._room._worker.fails.append(error)
    assert session.run("any").reason == reason
    for one in (session, fork):
        with pytest.raises(SessionEnded, match="process of the session is gone"):
            one.run("any")
        with pytest.raises(SessionEnded):
            one.fork()
        one.close()
    assert pools[0].taken == []


def test_what_a_worker_makes_up_ends_a_session(near, monkeypatch):
    """Results and refusals that are none."""
    python, pools = near
    for said in (b"", b"\0" * 8, b"\xff" * 20, (30).to_bytes(8, "little") + b'{"refused": ["made up", 28]}  '):
        session = python.session()
        session.run("any")
        monkeypatch.setattr(session._room._worker, "handle", lambda request, answer, said=said: said)
        done = session.run("any")
        assert (done.reason, "broke the rules" in done.message) == ("trap", True)
        with pytest.raises(SessionEnded):
            session.run("any")
        assert python.run("any").value == WARM
    assert pools[0].taken == []


def test_sessions_that_share_a_worker_have_turns_one_after_another(near, monkeypatch):
    """One waits for another, in its time; where that has it for too long, or waits itself, it is told."""
    python, _ = near
    monkeypatch.setattr(apart, "GRACE_SECONDS", 0.0)
    session = python.session()
    session.run("any")
    fork = session.fork()
    worker, inside, go = session._room._worker, threading.Event(), threading.Event()
    real, nested = worker.handle, []

    def handle(request, answer):
        if not inside.is_set():
            inside.set()
            with pytest.raises(SessionBusy, match=BUSY[:20]):
                fork.run("any")
            nested.append(True)
            assert go.wait(60)
        return real(request, answer)

    monkeypatch.setattr(worker, "handle", handle)
    thread = threading.Thread(target=session.run, args=("any",))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(SessionBusy, match="share a process"):
        fork.run("any", timeout=0.2)
    with pytest.raises(SessionBusy, match="share a process"):
        fork.fork()
    go.set()
    assert fork.run("any", timeout=60).value == WARM + 1
    thread.join()
    assert nested and session.run("any").value == WARM + 2
    for one in (session, fork):
        one.close()


def test_a_session_that_is_forgotten_gives_its_worker_up(near):
    """With the last of those that share it."""
    python, pools = near
    session = python.session()
    session.run("any")
    fork, worker = session.fork(), session._room._worker
    del session
    assert worker.alive and fork.run("any").value == WARM + 1
    del fork
    assert not worker.alive and pools[0].taken == []
    assert apartsession.FIRST == 0
