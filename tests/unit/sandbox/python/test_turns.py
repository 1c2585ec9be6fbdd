"""Claims about turns with snapshots between them, and about what runs that end badly leave: the short forms of ``make
turns`` and ``make hostile``.
"""

import os
import subprocess
import threading

import pytest

from tests import hostile, needed, turns
from tests.programs.pythons import MODULE

pytestmark = pytest.mark.trace_slow


@pytest.fixture(autouse=True)
def interpreters():
    """They are installed."""
    needed.program(MODULE)
    needed.program("quickjs.wasm")


def test_turns_on_clones_are_those_of_the_session_that_went_on():
    """Also in threads, in a forked process, and in a process of its own that reads a kept snapshot."""
    assert turns.rounds(1, 4, 16)[1] >= 50


@pytest.mark.parametrize(
    "spoils",
    [
        "data['more'] = 1",
        "made.random()",
        "Counter.total += 1",
        "[*map(next, iterators.values())]",
        "iterators['k'] = walk(1, 1)",
        "os.makedirs('/kept', exist_ok=True); open('/kept/more', 'w').close()",
    ],
)
def test_a_clone_that_is_another_is_seen(python, spoils, monkeypatch):
    """Else the rounds would prove nothing."""
    whole = turns.taken

    def spoiled(session):
        clone = whole(session)
        turns.step(clone, f"import os\n{spoils}")
        return clone

    monkeypatch.setattr(turns, "taken", spoiled)
    with pytest.raises(AssertionError):
        for seed in (2, 4, 5):
            turns.check(python, seed, 24)


def test_runs_that_end_badly_leave_nothing_behind():
    """Each way of ending some times; ten thousand behind `make hostile`."""
    runs = hostile.Runs(1, apart=False)
    said = hostile.measured(2 * len(runs.ways), 3 * len(runs.ways), 1, runs, sizes=False)
    assert set(runs.ended) == set(runs.ways) and "slots=" in said


@pytest.mark.parametrize("what", ["descriptor", "thread", "process", "slot"])
def test_what_is_left_behind_is_seen(what, monkeypatch):
    """If one way of ending leaves one a time."""
    left, event = [], threading.Event()

    def leaves():
        if what == "descriptor":
            left.append(os.fdopen(os.open(os.devnull, os.O_RDONLY)))
        elif what == "thread":
            left.append(threading.Thread(target=event.wait))
            left[-1].start()
        elif what == "process":
            left.append(subprocess.Popen(["sleep", "60"]))
        else:
            left.append(runs.python.session())
            left[-1].run("1")

    runs = hostile.Runs(1, apart=False)
    runs.ways = {"an error": runs.ways["an error"], "leaves": leaves}
    monkeypatch.setattr(hostile, "settled", lambda wanted=None: hostile.Counts.now())
    try:
        with pytest.raises(hostile.Grown):
            hostile.measured(2, 8, 1, runs, sizes=False)
    finally:
        event.set()
        for one in left:
            if what == "process":
                one.kill()
                one.wait()
            elif what == "thread":
                one.join()
            else:
                one.close()
