"""The suite of the heap's pauses, and what is worked out of pauses in any suite."""

from __future__ import annotations

import pytest

from tests.bench import gc
from tests.bench.__main__ import SUITES, verdicts
from tests.bench.gc import BASELINE, BESIDE, BEST, LONGEST, OURS, P999, Constants, Lengths
from tests.bench.measure import Row

SHORT = Lengths(0.01, 0.01, 0.01)
SMALL = [
    gc.alone("churn, small", (2 << 10) - 1, gc.trees(10, 500, False)),
    gc.alone("mutate, small", (2 << 10) - 1, gc.trees(10, 500, True)),
    gc.alone("phases", (2 << 10) - 1, gc.phases(10, 100)),
    gc.alone("queue", 1000, gc.queue(1000, 50_000)),
    gc.alone("table", 0, gc.table(64, 2000)),
    gc.alone("vectors", 0, gc.vectors(1 << 10, 40_000)),
]


def test_the_loads_are_those_of_the_decision() -> None:
    """Sizes, six of them in the mix, thirty-six points."""
    assert [load.name.split(",")[1] for load in gc.long_loads()] == [
        f" {size} M nodes" for size in ("0.5", "0.5", "2.1", "2.1", "4.2", "4.2")
    ]
    assert len(gc.mixed_loads()) == 6
    assert len(set(gc.GRID)) == 36
    assert {gc.FIXED} == {Constants(4 << 20, 300_000, 1000)} <= set(gc.GRID)
    assert {one.nursery for one in gc.GRID} == {1 << 18, 1 << 20, 4 << 20, 16 << 20}
    assert {one.slice_ns for one in gc.GRID} == {100_000, 300_000, 1_000_000}
    assert {one.factor for one in gc.GRID} == {500, 1000, 2000}
    assert Lengths() == Lengths(60.0, 10.0, 2.0, 10_000)
    assert (gc.MOST_MS, gc.MOST_OF_BASELINE, gc.MOST_PER_LIVE, gc.LEAST_OF_OURS) == (1.0, 0.6, 1.6, 0.95)
    assert "gc-heap" in SUITES


@pytest.mark.trace_slow
def test_each_load_has_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """And says that no guest's code runs."""
    monkeypatch.setattr(gc, "LIMIT", 64 << 20)
    for load in SMALL:
        found = gc.run(load, None, 0.01)
        assert found.pauses > 0 and found.rate > 0
        assert found.p50 <= found.p999 <= found.longest
    rows = list(gc.measure_mix(gc.SUITE, BESIDE, SMALL[:2], [Constants(1 << 18, 100_000, 500), gc.FIXED], SHORT))
    assert all(BESIDE in row.name for row in rows if OURS in row.values)
    assert {who for row in rows for who in row.values} == {OURS, BASELINE, BEST}
    assert len(verdicts(rows)) == 2


def test_a_pause_that_is_too_long_is_missed() -> None:
    """The worst of the rounds for p99.9, the median for the longest; ours by the baseline's for the mix."""

    def row(what: str, *values: float) -> Row:
        return Row(gc.SUITE, f"mutate, 2.1 M nodes, {what} {BESIDE}", "ms", {OURS: values[0]}, {OURS: values})

    def mix(what: str, ours: float) -> Row:
        return Row(gc.SUITE, f"mix: queue, {what} {BESIDE}", "ms", {OURS: ours, BASELINE: 2.0, BEST: 1.0})

    met = [row(P999, 0.5, 0.9), row(LONGEST, 0.9, 0.8, 7.0), row(gc.UNWATCHED, 1.5)]
    assert [verdict.met for verdict in gc.verdicts([*met, mix(P999, 1.0), mix(LONGEST, 1.2)])] == [True] * 5
    wrong = [row(P999, 0.5, 1.1), row(LONGEST, 0.9, 1.8, 7.0), row(gc.UNWATCHED, 1.7)]
    assert [verdict.met for verdict in gc.verdicts([*wrong, mix(P999, 1.3), mix(LONGEST, 1.3)])] == [False] * 5


def test_a_load_without_a_figure_is_missed() -> None:
    """Whether its row is not there, or has no figure of one of them, or a pause of no time."""

    def mix(load: str, what: str, **values: float) -> Row:
        found = {OURS: values.get("ours"), BASELINE: values.get("theirs")}
        return Row(
            gc.SUITE, f"mix: {load}, {what} {BESIDE}", "ms", {who: v for who, v in found.items() if v is not None}
        )

    whole = [mix(load, what, ours=0.1, theirs=1.0) for load in ("queue", "table") for what in (P999, LONGEST)]
    assert [verdict.met for verdict in gc.verdicts(whole)] == [True, True]
    assert not all(verdict.met for verdict in gc.verdicts(whole[:-1]))
    for last in (mix("table", LONGEST, ours=0.1), mix("table", LONGEST, ours=0.0, theirs=1.0)):
        assert [verdict.met for verdict in gc.verdicts([*whole[:-1], last])] == [True, False]


def test_pauses_that_are_lost_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal that is too short for a step, and a load that has none."""
    churn = gc.alone("churn, tiny", (2 << 8) - 1, gc.trees(8, 500, False))
    monkeypatch.setattr(gc, "LIMIT", 64 << 20)
    monkeypatch.setattr(gc, "PATIENCE_S", 0.01)
    with pytest.raises(RuntimeError, match=r"^idle: 0 pauses in 0 s, and there should be 5$"):
        gc.pauses_of(gc.alone("idle", 0, lambda guest: 0), None, 0.001, 5)
    monkeypatch.setattr(gc, "ENTRIES", 1)
    with pytest.raises(RuntimeError, match=r"^churn, tiny: pauses were lost, a step has more than 1 notes$"):
        gc.pauses_of(churn, None, 0.001)


def test_the_best_point_is_not_slower() -> None:
    """Shorter pauses at less throughput do not count."""
    slow, fast, worse = (Constants(n, 1, 1) for n in (1, 2, 3))
    figures = {slow: (50.0, 0.1), fast: (96.0, 0.3), worse: (99.0, 0.5)}

    def run(point: Constants) -> dict[str, gc.Outcome]:
        rate, pause = figures[point]
        return {"churn": gc.Outcome(rate, pause, pause, pause, (0.0, 0.0, 0.0), 1, 0.0, 1.0, 1.0, 1.0, 1.0, ())}

    points = {point: run(point) for point in figures}
    assert gc.best_point(points, {"churn": 100.0}) == (fast, 2)
    assert gc.best_point({slow: points[slow]}, {"churn": 100.0}) == (slow, 0)


def test_what_pauses_leave_of_ten_milliseconds() -> None:
    """The worst stretch, wherever it begins; a pause is cut where that ends, and no stretch has less than none."""

    def note(end_ms: float, took_ms: float) -> tuple[int, ...]:
        return (0, int(end_ms * 1e6), int(took_ms * 1e6))

    assert gc.least_use([]) == 1
    assert gc.least_use([note(5, 1)]) == pytest.approx(0.9)
    assert gc.least_use([note(5, 1), note(50, 2), note(58, 3)]) == pytest.approx(0.5)
    assert gc.least_use([note(5, 1), note(13, 2)]) == pytest.approx(0.7)
    assert gc.least_use([note(5, 1), note(16, 3)]) == pytest.approx(0.7), "one of them is cut"
    assert gc.least_use([note(50, 20)]) == 0
