"""Claims about sessions that were not used for long: they rest, which only the memory of the process tells."""

import asyncio
import gc
import threading

import pytest

from stratavm.sandbox import SessionEnded
from stratavm.sandbox.python import idle, session

pytestmark = pytest.mark.trace_slow


@pytest.fixture
def waiting(monkeypatch):
    """Of sessions between turns only the one that was used last stays awake."""
    made = idle.Idle(1)
    monkeypatch.setattr(session, "IDLE", made)
    return made


def resting(one):
    """Whether a session rests."""
    return one._interpreter._resting is not None


def test_sessions_that_rest_go_on(python, waiting):
    """With names, modules and files; they wake with a turn, and others rest then."""
    python.run("1")  # what begins first is no clone
    sessions = [python.session() for _ in range(4)]
    for number, one in enumerate(sessions):
        assert one.run(f"import random; x = [{number}] * 10_000; open('f', 'w').write('{number}')").ok
    assert [resting(one) for one in sessions] == [True, True, True, False]
    for round_ in range(1, 4):
        for number, one in enumerate(sessions):
            done = one.run(f"x.append({round_})\nsum(x), len(x), open('f').read()")
            assert done.value == [number * 10_000 + sum(range(round_ + 1)), 10_000 + round_, str(number)], done.stderr
            assert not resting(one)
        assert [resting(one) for one in sessions] == [True, True, True, False]
    for one in sessions:
        one.close()
        with pytest.raises(SessionEnded):
            one.run("x")
    assert not waiting._waiting


def test_what_rests_can_fork_and_end(python, waiting):
    """A fork has what it had; closing one wakes nobody; one that ended does not rest."""
    first, second = python.session(), python.session()
    first.run("x = 5")
    second.run("x = 6")
    assert resting(first)
    fork = first.fork()
    assert fork.run("x").value == 5 and first.run("x").value == 5
    second.close()
    assert first.run("exit(3)").code == 3
    fork.run("x")
    assert list(waiting._waiting) == [id(fork)]
    fork.close()


def test_threads_and_loops_have_sessions_that_rest(python, waiting):
    """One that is running is left alone; whoever turns next finds what there was."""
    sessions, wrong = [python.session() for _ in range(6)], []

    def run(mine):
        for round_ in range(8):
            for one in mine:
                if one.run(f"x = {round_} if not {round_} else x + 1\nx").value != round_:
                    wrong.append(round_)

    async def together():
        for round_ in range(8, 12):
            found = await asyncio.gather(*[one.run_async("x += 1\nx") for one in sessions])
            assert [done.value for done in found] == [round_] * 6

    threads = [threading.Thread(target=run, args=(sessions[n::3],)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    asyncio.run(together())
    assert len(waiting._waiting) == 1
    for one in sessions:
        one.close()


def test_sessions_that_nobody_has_are_forgotten(python, waiting):
    """Whether they rested or not."""
    for _ in range(3):
        python.session().run("x = 1")
    gc.collect()
    last = python.session()
    last.run("x = 2")
    assert list(waiting._waiting) == [id(last)]
    last.close()
