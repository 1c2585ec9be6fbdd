"""Claims about the intervals: what they cover, and that they come from rounds and not from medians."""

from __future__ import annotations

import random
import re
import statistics

import pytest

from tests.bench import page
from tests.bench.facts import commit
from tests.bench.intervals import COMPARISONS, mean_interval, median_interval, ratios, render, summarise
from tests.bench.measure import Row, geometric_mean, row_of
from tests.bench.page import Results


def test_order_statistics_are_those_of_the_tables():
    """Five values are too few for 95 %; of six all are needed, of nine and ten the second from each end."""
    assert median_interval(range(5)) is None
    assert median_interval(range(6)) == (0, 5)
    assert median_interval(range(8)) == (0, 7)
    assert median_interval([5, 3, 8, 1, 2, 7, 6, 4, 0]) == (1, 7)
    assert median_interval(range(20)) == (5, 14)


def test_an_interval_covers_the_median_as_often_as_it_says():
    """2,000 samples of a skewed distribution with a known median."""
    rng = random.Random(1)
    hits = 0
    for _ in range(2000):
        low, high = median_interval([rng.lognormvariate(0, 1) for _ in range(15)])
        hits += low <= 1 <= high
    assert 0.95 <= hits / 2000 <= 0.98


def test_the_bootstrap_covers_a_mean_of_medians():
    """Twelve rows with medians around 2: the interval is narrow, holds the truth, and is the same each time."""
    rng = random.Random(2)
    rows = [[2 * rng.lognormvariate(0, 0.05) for _ in range(11)] for _ in range(12)]
    low, high = mean_interval(rows, draws=500)
    assert (low, high) == mean_interval(rows, draws=500)
    assert low < geometric_mean(map(statistics.median, rows)) < high
    assert low < 2 < high and high - low < 0.1


def test_a_ratio_is_taken_within_its_round():
    """A round that is twice as slow for both changes nothing."""
    row = row_of("kernel", "fib", "ms", {"a": [1.0, 2.0, 1.0], "b": [2.0, 4.0, 2.0]})
    assert row.values == {"a": 1.0, "b": 2.0}
    assert ratios(row, "a", "b") == [0.5] * 3
    with pytest.raises(ValueError, match="longer"):
        ratios(Row("kernel", "fib", "ms", {}, {"a": (1.0,), "b": (1.0, 2.0)}), "a", "b")


def test_the_page_shows_every_comparison_that_was_measured():
    """And no other; each kernel has its own line."""
    samples = {"strata jit1": [1.0, 1.1, 1.2, 1.0, 1.1, 1.0], "wasmtime": [1.0] * 6, "strata jit0": [2.0] * 6}
    rows = [row_of("kernel", name, "ms", samples) for name in ("fib", "sieve")]
    found = {what: mean for what, mean, _ in summarise(rows)}
    assert found.keys() == {c.what for c in COMPARISONS if {c.ours, c.theirs} <= samples.keys() and c.suite == "kernel"}
    assert found["level 0 / wasmtime"] == pytest.approx(2)
    text = "\n".join(render(rows))
    assert "| sieve | 1.050 | 1.000 – 1.200 | 2.000 | 2.000 – 2.000 |" in text
    assert not render([])


def test_a_run_replaces_its_suites_and_keeps_the_others(tmp_path):
    """Each suite stays with the facts of its run; what is written is what is read."""
    path = tmp_path / "results.json"
    first = Results.read(path).updated(
        [Row("start", "hello", "ms", {"a": 1.0}), Row("kernel", "fib", "ms", {"a": 2.0})], {"cpu": "old"}
    )
    first.write(path)
    second = Results.read(path).updated([row_of("kernel", "fib", "ms", {"a": [3.0, 3.0]})], {"cpu": "new"})
    assert second.runs == {"start": {"cpu": "old"}, "kernel": {"cpu": "new"}}
    text = page.render(second, ["start", "kernel"], {"a / b": 1.5})
    assert "## start (ms)\n\ncpu old\n\n| ms | a |\n|---|---:|\n| hello | 1.00 |" in text
    assert "cpu new\n\n| ms | a |\n|---|---:|\n| fib | 3.00 |" in text
    assert text.endswith("- a / b: 1.5\n")


def test_what_all_suites_share_is_said_once():
    """The machine and the commit at the top, what differs with each suite."""
    rows = [Row("start", "hello", "ms", {"a": 1.0}), Row("kernel", "fib", "ms", {"a": 2.0})]
    runs = {"start": {"cpu": "fast", "date": "1"}, "kernel": {"cpu": "fast", "date": "2"}}
    text = page.render(Results(rows, runs), ["start", "kernel"], {})
    assert "in one run.\n\ncpu fast\n\n## start (ms)\n\ndate 1\n" in text
    assert "## kernel (ms)\n\ndate 2\n" in text
    assert text.count("cpu") == 1


def test_the_commit_is_said():
    """Seven digits or more, and whether the checkout differs from it."""
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?|unknown", commit())


def test_rows_with_further_columns_begin_a_table_of_their_own():
    """No figure is left out; a row with fewer columns stays where it is."""
    rows = [
        Row("limits", "fib", "ms", {"polls": 1.0, "fuel": 2.0}),
        Row("limits", "sieve", "ms", {"polls": 3.0}),
        Row("limits", "mean", "×", {"jit0": 1.25}),
    ]
    text = page.render(Results(rows), ["limits"], {})
    assert "| ms | polls | fuel |\n|---|---:|---:|\n| fib | 1.00 | 2.00 |\n| sieve | 3.00 | – |\n\n" in text
    assert "| × | jit0 |\n|---|---:|\n| mean | 1.25 |\n" in text
