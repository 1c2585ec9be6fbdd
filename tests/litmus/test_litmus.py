"""Litmus tests, the short form: no run shows what no order of accesses explains. ``make litmus`` is the long one."""

import pytest

from tests.litmus.running import Histogram, run
from tests.litmus.shapes import LITMUS, PLAIN, SHAPES, WAYS

RUNS = 20_000
SHORT = [way for way in WAYS if way.name in ("i32.atomic 32", "fenced")]
BUFFERING = SHAPES["store buffering"]


@pytest.mark.trace_slow
@pytest.mark.parametrize("way", SHORT, ids=lambda way: way.name)
@pytest.mark.parametrize("litmus", LITMUS, ids=lambda litmus: litmus.name)
def test_no_run_shows_what_is_forbidden(litmus, way):
    """Two to four threads, each in a store of its own, over one memory."""
    found = run(litmus, way, RUNS)
    assert found.runs >= RUNS and not found.forbidden, str(found)


@pytest.mark.parametrize("tier", ["jit0", "auto"])
def test_other_tiers_keep_the_order_too(tier):
    """The one test that plain stores fail."""
    found = run(BUFFERING, SHORT[0], RUNS, tier)
    assert found.runs >= RUNS and not found.forbidden, str(found)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_keeps_the_order(way):
    """In each width, by exchanges, changes and fences."""
    found = run(BUFFERING, way, RUNS // 10)
    assert found.runs >= RUNS // 10 and not found.forbidden, str(found)


def test_plain_stores_are_seen_to_be_late(record_property):
    """Only said, not asked for: on one processor, and where others have it, it need not show."""
    found = run(BUFFERING, PLAIN, RUNS)
    record_property("control", str(found))
    assert found.runs >= RUNS
    assert all(BUFFERING.forbidden(digits) for digits in found.forbidden)


def test_a_forbidden_outcome_is_told():
    """The judge, on counts by hand: of each test, the outcomes that it forbids and others that it allows."""
    seen = {
        "store buffering": ((0, 0), (0, 1)),
        "message passing": ((1, 0), (0, 1)),
        "load buffering": ((1, 1), (0, 0)),
        "coherence": ((1, 2, 1), (0, 1, 2)),
        "write to read causality": ((1, 1, 0), (1, 0, 0)),
        "independent reads of independent writes": ((1, 0, 1, 0), (1, 0, 0, 1)),
    }
    assert set(seen) == set(SHAPES)
    for name, (forbidden, allowed) in seen.items():
        found = Histogram(SHAPES[name], PLAIN, {forbidden: 2, allowed: 3})
        assert found.forbidden == {forbidden: 2} and found.runs == 5 and "2 forbidden" in str(found)


def test_a_guest_that_fails_fails_the_run():
    """An error in a thread is the caller's."""
    with pytest.raises(Exception, match="unknown operator"):
        run(BUFFERING, PLAIN.__class__("wrong", "i32", 32, "(i32.stor {} {})", "(i32.load {})"), 10)
