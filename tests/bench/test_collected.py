"""The suite of guests whose code makes objects."""

from __future__ import annotations

import pytest

from tests import needed, witnesses
from tests.bench import collected, gc
from tests.bench.__main__ import SUITES, verdicts
from tests.bench.collected import OURS, WASMTIME, Guest, Work
from tests.bench.gc import BASELINE, BEST, Constants, Lengths
from tests.bench.measure import Row

SMALL = [
    *collected.sized(10, 200),
    collected.phases(10, 100),
    Work("queue", 1000, (("queue", (1000, 20_000)), 20_000), (("queue", (1000, 10)), 10), "listed"),
    Work("table", 0, (("table", (64, 1000)), 31_000), (("table", (64, 16)), 496), "held"),
    Work("vectors", 0, (("vectors", (1 << 10, 20_000)), 20_000), (("vectors", (1 << 10, 10)), 10), "filled"),
]
FIXED = Constants(1 << 18, 100_000, 500)


def test_the_loads_are_those_of_the_decision() -> None:
    """The same names, sizes and steps as those of the heap alone."""
    for works, loads in ((collected.long_works(), gc.long_loads()), (collected.mixed_works(), gc.mixed_loads())):
        assert [(work.name, work.live) for work in works] == [(load.name, load.live) for load in loads]
    assert "gc" in SUITES


@pytest.mark.parametrize("work", SMALL, ids=lambda work: work.name)
def test_what_a_load_keeps_lives(work: Work) -> None:
    """With our policy and with constants; a step and an op make as many nodes as they say."""
    for constants in (None, FIXED):
        guest = Guest(work, constants, 1 << 12)
        for _ in range(3):
            assert guest.step() == work.step[1]
            guest.call(work.op[0])
        assert guest.notes() and guest.stood_ns() > 0
        kept = guest.exports[work.counted]()
        assert kept == work.live or (not work.live and kept > 0)
        guest.end()


def test_a_load_that_loses_a_node_is_no_figure() -> None:
    """It says so."""
    work = SMALL[0]
    guest = Guest(work, None, 0)
    guest.call(("plant", (9,)))
    with pytest.raises(RuntimeError, match=r"^churn, 0\.0 M nodes: 1023 nodes live, and 2047 should$"):
        guest.end()


@pytest.mark.trace_slow
def test_each_load_has_its_rows() -> None:
    """Ours, with the baseline and the best of a grid beside, and a verdict on each limit."""
    loads = [collected.load_of(work) for work in SMALL[:2]]
    short = Lengths(0.01, 0.01, 0.01, 0)
    rows = list(gc.measure_mix(collected.SUITE, "", loads, [FIXED, gc.FIXED], short))
    assert {who for row in rows for who in row.values} == {OURS, BASELINE, BEST}
    assert [verdict.what.split(":")[0] for verdict in verdicts(rows)] == ["gc, mix of loads"] * 2
    rows = list(gc.measure_pauses(collected.SUITE, "", loads[1:], 1, short))
    assert {row.name.rpartition(", ")[2] for row in rows} >= {"p99.9", "longest", "least share of 10 ms"}


@pytest.mark.trace_slow
def test_others_do_the_same() -> None:
    """Each in a process; rates and the longest op of each; programs come to the same."""
    needed.module("wasmtime")
    rows = list(collected.measure_peers(SMALL[1:2], 1, 0.02))
    engines = {OURS, WASMTIME} | ({collected.V8} if witnesses.find_node() else set())
    assert [row.values.keys() for row in rows] == [engines] * 3
    assert all(value > 0 for row in rows for value in row.values.values())
    row = collected.measure_program("binary-trees", (4,), 1)
    assert row.values.keys() == engines and row.name == "binary-trees 4"


def test_engines_that_do_not_agree_have_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would compare nothing."""
    said = iter("12")
    ask = {name: lambda *_: {"said": next(said), "wall": 1.0} for name in (OURS, WASMTIME)}
    monkeypatch.setattr(collected, "peers_of", lambda module: ask)
    with pytest.raises(RuntimeError, match=r"^gcbench: engines say"):
        collected.measure_program("gcbench", (4, 4, 2100), 1)


def test_a_pause_of_a_guest_that_is_too_long_is_missed() -> None:
    """And what others do is no verdict."""

    def row(name: str, unit: str, *values: float) -> Row:
        return Row("gc", name, unit, {OURS: values[0]}, {OURS: values})

    rows = [row("mutate, 2.1 M nodes, p99.9", "ms", 0.5, 1.1), row("mutate, 2.1 M nodes, longest", "ms", 0.5, 0.6)]
    rows += [row("beside: mutate, 2.1 M nodes, longest op, wall clock", "ms", 70.0)]
    assert [verdict.met for verdict in collected.verdicts(rows)] == [False, True]
