"""Sessions of ``Python(isolate=True)``: as those in this process, in a worker that nobody else has."""

import asyncio
import gc
import io
import os
import signal
import threading
import time
from dataclasses import fields
from pathlib import Path

import pytest

from stratavm.base.errors import SnapshotRefused
from stratavm.sandbox import Python, PythonCompleted, SessionBusy, SessionEnded
from stratavm.sandbox.python import apart, apartsession
from stratavm.sandbox.workers import WorkerFailed
from tests import needed
from tests.programs.pythons import MODULE

pytestmark = pytest.mark.trace_slow


@pytest.fixture(scope="module")
def isolated():
    """One tenant's."""
    needed.program(MODULE)
    return Python(isolate=True)


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def later(a: int) -> int:
    """The same, later."""
    await asyncio.sleep(0.01)
    return a


def times(a: int, b: int) -> int:
    """The product."""
    return a * b


def server_of(session) -> int:
    """The process that serves."""
    worker = session._room._worker
    return int(Path(f"/proc/{worker._child.pid}/task/{worker._child.pid}/children").read_text().split()[0])


def taken(python) -> int:
    """How many workers are at work."""
    return sum(pool.counts()["taken"] for pool in apart._pools[python._warm].values())


TURNS = (
    ("import sys\nx = 1\nprint(sys.argv, sys.stdin.read())\nopen('made', 'w').write('m')", {"args": ["a"]}),
    ("x += 1\nx", {}),
    ("1 / 0", {}),
    ("from host import tools\ntools.add(a=x, b=2) + tools.later(a=4)", {"tools": [add, later]}),
    ("from host import tools\ntools.times(a=x, b=5)", {"tools": [times]}),
    ("open('in.txt').read() + open('more').read() + open('made').read()", {"files": {"more": "!"}}),
    ("raise SystemExit(3)", {}),
    ("import os\nos.environ['A']", {"env": {"A": "b"}}),
    ("'A' in os.environ, x", {}),
    ("exit()", {}),
)


def test_turns_are_as_in_any_session(isolated):
    """Names, files, errors, tools of each turn, and what ends it."""
    options = {"files": {"in.txt": "text"}, "max_output": 100}
    with isolated.session(**options) as mine, Python().session(**options) as other:
        for code, given in TURNS:
            found, wanted = (session.run(code, stdin="input", **given) for session in (mine, other))
            for field in fields(PythonCompleted):
                if field.name == "calls":
                    assert [(c.tool, c.outcome, c.value) for c in found.calls] == [
                        (c.tool, c.outcome, c.value) for c in wanted.calls
                    ]
                elif field.name not in ("seconds", "memory_bytes"):
                    assert getattr(found, field.name) == getattr(wanted, field.name), (code, field.name)
        assert mine.ended == other.ended is not None
        for session in (mine, other):
            with pytest.raises(SessionEnded, match="a turn ended the session"):
                session.run("1")


def test_a_process_serves_one_session_and_is_wiped_for_the_next(isolated):
    """Two at once have two; one that was closed leaves its process to its tenant, without a name."""
    with isolated.session() as one, isolated.session() as other:
        assert (one.run("x = 1\nx").value, other.run("x = 2\nx").value) == (1, 2)
        assert server_of(one) != server_of(other)
        servers = {server_of(one), server_of(other)}
    with isolated.session() as again:
        assert again.run("'x' in globals()").value is False
        assert server_of(again) in servers
    assert taken(isolated) == 0


def test_a_fork_begins_as_its_session_and_shares_the_process(isolated):
    """Names and files; from then on nothing."""
    with isolated.session() as session:
        early = session.fork()
        session.run("x = [1]\nopen('f', 'w').write('1')")
        fork = session.fork()
        session.run("x.append(2)")
        assert fork.run("x.append(3)\nx, open('f').read()").value == [[1, 3], "1"]
        assert session.run("x").value == [1, 2]
        assert early.run("'x' in globals()").value is False
        assert server_of(fork) == server_of(session) != server_of(early)
        second = fork.fork()
        early.close()
        fork.close()
        with pytest.raises(SessionEnded, match="is closed"):
            fork.run("1")
        assert second.run("x").value == [1, 3], "the process lives as long as one of them"
        session.run("import sys\nf = open('g', 'w')")
        with pytest.raises(SnapshotRefused):
            session.fork()
        assert session.run("x").value == [1, 2]
        second.close()
    assert taken(isolated) == 0


def test_what_ends_a_turn_in_the_middle_ends_the_session(isolated):
    """Its time, and the death of its process; each says so."""
    with isolated.session() as session:
        assert session.run("while True: pass", timeout=0.5).reason == "timeout"
        with pytest.raises(SessionEnded, match="deadline"):
            session.run("1")
    for how, reason in ((signal.SIGKILL, "interrupt"), (signal.SIGSTOP, "interrupt")):
        session = isolated.session()
        session.run("x = 1")
        fork = session.fork()
        os.kill(server_of(session), how)
        begin = time.monotonic()
        done = session.run("x")
        assert (done.reason, done.ok, done.value) == (reason, False, None)
        assert done.code == (137 if how == signal.SIGKILL else 130), done
        assert time.monotonic() - begin < 60
        for gone in (session, fork):
            with pytest.raises(SessionEnded, match="process of the session is gone"):
                gone.run("x")
    assert taken(isolated) == 0
    assert isolated.session().run("1").value == 1


def test_a_first_turn_is_tried_anew(isolated, monkeypatch):
    """Where its worker was gone before it began."""
    real, dying = apartsession.Room.turn, [1, 2]

    def turn(room, *given):
        if dying and dying.pop():
            os.kill(room._worker._child.pid, signal.SIGKILL)
            room._worker._child.wait(60)
        return real(room, *given)

    monkeypatch.setattr(apartsession.Room, "turn", turn)
    with isolated.session() as session:
        assert session.run("x = 1\nx").value == 1 and not dying
    assert taken(isolated) == 0


def test_files_that_do_not_fit_are_refused_and_the_session_goes_on(isolated):
    """As in this process; of ``run`` as well."""
    with isolated.session(max_files=1000) as session:
        session.run("x = 1")
        with pytest.raises(OSError, match="max_files"):
            session.run("2", files={"big": bytes(2000)})
        assert session.run("x").value == 1
    with pytest.raises(OSError, match="max_files"):
        isolated.run("2", files={"big": bytes(2000)}, max_files=1000)


def test_a_session_that_begins_with_too_much_is_refused_as_in_this_process(isolated):
    """At each turn: nobody broke a rule."""
    with isolated.session(files={"big": bytes(2000)}, max_files=1000) as session:
        for _ in range(2):
            with pytest.raises(OSError, match="max_files"):
                session.run("1")


def test_a_session_whose_first_turn_was_never_asked_for_goes_on_and_forks(isolated):
    """Its input could not be read: the worker knows nothing of it."""

    class Broken(io.RawIOBase):
        def readable(self):
            return True

        def read(self, most=-1):
            raise ValueError("no input")

    with isolated.session() as session:
        with pytest.raises(ValueError, match="no input"):
            session.run("x = 1", stdin=Broken())
        with session.fork() as fork:
            assert fork.run("1 + 1").value == 2
        assert session.run("2 + 2").value == 4


def test_as_many_files_as_fit_come_back(isolated):
    """A result's head has two items for each, and there may be more than a frame of a guest may have."""
    made = isolated.run("for i in range(60_000):\n    open(f'{i}', 'w').close()")
    assert (made.reason, made.message, len(made.files)) == ("exit", "", 60_000)


def test_turns_of_sessions_that_share_a_process_wait_for_one_another(isolated):
    """Within their time; a tool that asks for one that waits for it is told."""
    found, inside, go = [], threading.Event(), threading.Event()

    def hold() -> int:
        """The turn lasts until somebody lets it go on."""
        inside.set()
        return 5 if go.wait(60) else 0

    def holds():
        found.append(session.run("from host import tools\ntools.hold()", tools=[hold]).value)

    with isolated.session() as session:
        session.run("x = 1")
        with session.fork() as fork:
            thread = threading.Thread(target=holds)
            thread.start()
            assert inside.wait(60)
            with pytest.raises(SessionBusy):
                session.run("1")
            with pytest.raises(SessionBusy, match="share a process"):
                fork.fork()
            threading.Timer(0.3, go.set).start()
            assert fork.run("x", timeout=60).value == 1 and go.is_set()
            thread.join()

            def nested() -> int:
                """Another session's turn, within one of this."""
                return fork.run("x").value

            done = session.run("from host import tools\ntools.nested()", tools=[nested], timeout=None)
            assert done.error.type.endswith("ToolError") and "SessionBusy" in done.calls[0].error
            assert (session.run("x").value, fork.run("x").value, found) == (1, 1, [5])


def test_on_a_loop(isolated):
    """Sessions at once, async tools there, and cancelling ends a session and its process."""

    async def main():
        loop = asyncio.get_running_loop()

        async def where() -> bool:
            await asyncio.sleep(0)
            return asyncio.get_running_loop() is loop

        async with isolated.session() as one, isolated.session() as other:
            turns = (
                session.run_async("from host import tools\ntools.where()", tools=[where]) for session in (one, other)
            )
            assert [done.value for done in await asyncio.gather(*turns)] == [True, True]
            fork = one.fork()
            assert [done.value for done in await asyncio.gather(one.run_async("1"), fork.run_async("2"))] == [1, 2]
            await fork.close_async()
            task = asyncio.create_task(one.run_async("while True: pass", timeout=None))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert "cancelled" in one.ended
            return (await other.run_async("3")).value

    assert asyncio.run(main()) == 3
    assert taken(isolated) == 0


def test_a_session_that_is_forgotten_leaves_no_process(isolated):
    """Nor does one whose turn is over and that was never closed."""
    session = isolated.session()
    session.run("1")
    worker = session._room._worker
    del session
    gc.collect()
    assert not worker.alive and taken(isolated) == 0


@pytest.mark.parametrize(
    "said",
    [b"x", b"[]", b'{"what": 1}', b"x" * 9000, b'{"what": "a", "where": "b", "remedy": ["c"]}'],
)
def test_what_a_worker_says_of_a_fork_is_not_believed(isolated, monkeypatch, said):
    """The session ends, by name."""
    session = isolated.session()
    session.run("x = 1")
    worker = session._room._worker
    if len(said) < 9000:
        monkeypatch.setattr(worker, "call", lambda *given: said)
    else:
        monkeypatch.setattr(worker, "call", too_long)
    with pytest.raises(SessionEnded, match="the process of the session is gone"):
        session.fork()
    assert not worker.alive and taken(isolated) == 0


def too_long(*given):
    """What a worker's ends do."""
    raise WorkerFailed("trap", "a frame that is too long")


def test_a_warm_session_with_folders_and_fuel(isolated, tmp_path):
    """All that sessions take."""
    (tmp_path / "f").write_text("here")
    warm = isolated.warm("import decimal")
    with warm.session(dirs={tmp_path: ("/d", "rw")}, fuel=True, deterministic=True, seed=3) as session:
        assert session.run("import sys\n'decimal' in sys.modules, open('/d/f').read()").value == [True, "here"]
        assert session.run("open('/d/g', 'w').write('x')").fuel_used > 1000
        drawn = session.run("import random\nrandom.random()").value
        assert session.run("while True: pass", fuel=10**7).reason == "fuel"
    assert (tmp_path / "g").read_text() == "x"
    with Python().session(deterministic=True, seed=3) as other:
        assert isinstance(drawn, float) and other.run("import random\nrandom.random()").ok
    with pytest.raises(ValueError, match="does not count it"):
        isolated.session().run("1", fuel=5)
    assert repr(isolated.session()).startswith("<isolated Session of ")
