"""Claims about helper threads: that they do what is submitted, when there are none, and that nobody hears of them."""

from __future__ import annotations

import time

import pytest

from stratavm.native import background
from tests.unit.native import drill

pytestmark = pytest.mark.skipif(not drill.POSSIBLE, reason="the trace build has no helper threads")


@pytest.fixture
def helpers():
    """So many threads, whatever the machine has; none afterwards."""
    yield background.limit_threads
    background.limit_threads(0)
    assert drill.soon(lambda: background.helper_status()["living"] == 0)
    background.limit_threads(None)


def test_a_job_is_done_piece_by_piece_until_nothing_is_left(helpers):
    """Then it is idle: it was not ours to withdraw."""
    helpers(1)
    job = drill.Drill(drill.COUNT, left=100)
    assert job.submit()
    assert drill.soon(lambda: job.rounds == 100)
    assert drill.soon(lambda: job.state == drill.IDLE) and not job.withdraw()
    assert job.submit() and drill.soon(lambda: job.rounds == 101), "once more"


def test_withdrawing_ends_the_piece_in_flight(helpers):
    """One that would run for ever without being asked to stop; afterwards no thread touches it."""
    helpers(1)
    job = drill.Drill(drill.SPIN)
    assert job.submit() and drill.soon(lambda: job.rounds)
    assert job.withdraw() and job.state == drill.IDLE
    rounds = job.rounds
    time.sleep(0.05)
    assert job.rounds == rounds


def test_without_threads_nothing_is_taken(helpers):
    """Whoever submits is told so, and the job is free."""
    helpers(0)
    job = drill.Drill(drill.COUNT, left=1)
    assert not job.submit()
    assert (job.state, job.rounds) == (drill.IDLE, 0) and not job.withdraw()
