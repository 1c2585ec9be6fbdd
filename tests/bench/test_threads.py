"""Claims about guests in parallel: both ways do the same work, and the threshold fails where it must."""

import pytest

from tests.bench import threads
from tests.bench.__main__ import SUITES, verdicts
from tests.bench.measure import Row


def test_two_threads_and_two_processes_do_the_same(monkeypatch):
    """Of each kernel, and of the program."""
    monkeypatch.setattr(threads, "SIZES", dict.fromkeys(threads.SIZES, 10))
    monkeypatch.setattr(threads, "STEPS", 1000)
    monkeypatch.setattr(threads, "LEAST_ROUNDS", 1)
    monkeypatch.setattr(threads.atomics, "rows", lambda rounds: iter(()))
    rows = list(SUITES[threads.SUITE](1))
    assert [row.name for row in rows] == [*threads.SIZES, "a program with threads"]
    assert all(set(row.values) == {threads.THREADS, threads.PROCESSES, threads.ALONE} for row in rows)
    assert len(threads.verdicts(rows)) == len(rows)


def test_processes_that_disagree_are_no_row():
    """Nor are those that fail."""
    with threads.Child(lambda: 1) as one, threads.Child(lambda: 2) as other, threads.Child(lambda: 1 // 0) as failed:
        with pytest.raises(AssertionError, match="two processes disagree"):
            threads._both([one, other])
        assert threads._both([one, one]) == ["1", "1"]
        with pytest.raises(AssertionError, match="two processes disagree"):
            threads._both([failed])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_fails_holds_nobody_up():
    """Who waits for both fails, too."""

    def fail():
        raise KeyError

    with pytest.raises(threads.threading.BrokenBarrierError), threads.Pair((fail, lambda: 1)) as pair:
        pair.both()


@pytest.mark.parametrize(("seconds", "met"), [(1.0, True), (1.05, True), (1.06, False)])
def test_the_threshold_is_that_of_the_issue(seconds, met):
    """0.95 of what two processes reach, in the median of rounds."""
    samples = {threads.THREADS: [seconds, seconds, 9.0], threads.PROCESSES: [1.0, 1.0, 1.0]}
    (verdict,) = verdicts([Row(threads.SUITE, "x", "ms", {name: s[0] for name, s in samples.items()}, samples)])
    assert verdict.met is met
