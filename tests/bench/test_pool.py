"""Claims about the suite of the pool: it runs, which size is best, and its thresholds fail where they must."""

import asyncio
import math

import pytest

from tests.bench import pool
from tests.bench.pool import Load, Outcome, best_size, rows_of, verdicts


@pytest.mark.parametrize("make", [lambda pre: pool.Fixed(pre, 2), pool.Ours], ids=["fixed", "ours"])
def test_every_call_of_a_load_is_answered(make):
    """Whatever it does; and what was in use is a part of what there was."""
    pre = pool.module()
    for load in (Load(10, 0, (0.0, 0.0, 0.001)), Load(10, 2, (0.0,) * 5)):
        outcome = asyncio.run(pool.open_loop(lambda: make(pre), load))
        assert outcome.throughput > 0 and outcome.p99 > 0 and 0 < outcome.used <= 1


def test_a_pool_that_is_far_too_small_is_not_waited_for(monkeypatch):
    """Its load ends at twice the time: what was answered counts, and what was not is no quick answer."""
    monkeypatch.setattr(pool, "SECONDS", 0.05)
    load = Load(0, 10, (0.0,) * 100)  # 20 ms each
    outcome = asyncio.run(pool.open_loop(lambda: pool.Fixed(pool.module(), 1), load))
    assert outcome.p99 == math.inf and outcome.throughput < 100 / 0.1


def test_loads_are_the_same_for_everybody_and_other_ones_in_each_round():
    """A seed decides."""
    assert pool.loads((10.0, 10.0), 100, 1) == pool.loads((10.0, 10.0), 100, 1)
    assert pool.loads((10.0, 10.0), 100, 1) != pool.loads((10.0, 10.0), 100, 2)
    assert len(pool.loads((10.0, 10.0), 100, 1)["bursts"].arrivals) == 360


def test_the_best_size_is_quick_enough_everywhere_and_has_the_least_p99():
    """A small one that loses throughput on one load is not, nor a large one that answers later."""
    found = {
        2: {"a": Outcome(100, 0.001, 1), "b": Outcome(50, 0.001, 1)},
        8: {"a": Outcome(100, 0.010, 1), "b": Outcome(100, 0.010, 1)},
        16: {"a": Outcome(98, 0.008, 1), "b": Outcome(99, 0.010, 1)},
        32: {"a": Outcome(98, 0.008, 1), "b": Outcome(99, 0.010, 1)},
    }
    assert best_size(found) == 16


@pytest.mark.parametrize(
    ("ours", "missed"),
    [
        (Outcome(100, 0.010, 0.5), 0),
        (Outcome(100, 0.010, 0.2), 1),
        (Outcome(95, 0.010, 0.5), 1),
        (Outcome(100, 0.012, 0.5), 1),
    ],
)
def test_a_threshold_is_missed_where_it_must_be(ours, missed):
    """Use, throughput, p99."""
    found = verdicts(rows_of("waits", ours, Outcome(100, 0.010, 0.2)))
    assert len(found) == 3 and sum(not verdict.met for verdict in found) == missed
