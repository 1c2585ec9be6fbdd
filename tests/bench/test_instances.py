"""Claims about the suite of instances: its limits fail where they must, and what it measures works."""

import pytest

from tests import needed
from tests.bench import instances, thresholds
from tests.bench.measure import Row


def times(linked, prepared):
    """A row of times."""
    samples = {instances.LINKED: [linked] * 7, instances.PREPARED: [prepared] * 7}
    return Row("instances", "CPython", "ms", {name: found[0] for name, found in samples.items()}, samples)


@pytest.mark.parametrize(
    ("row", "missed"),
    [
        (times(0.39, 0.2), 0),
        (times(0.41, 0.2), 1),
        (times(0.5, 0.5), 2),
        (Row("instances", "CPython", "bytes", {instances.LINKED: 200_000.0}), 0),
        (Row("instances", "CPython", "bytes", {instances.LINKED: 200_001.0}), 1),
        (Row("instances", "QuickJS", "bytes", {instances.LINKED: 24_001.0}), 1),
        (Row("instances", "QuickJS", "ms", {instances.LINKED: 9.0}), 0),
        (Row("programs", "CPython", "bytes", {instances.LINKED: 9e9}), 0),
        (Row("instances", "python.wasm: skipped", "ms", {}), 0),
    ],
)
def test_limits(row, missed):
    """0.4 ms, 200 KB and 24 KB."""
    assert len(thresholds.missed(instances.verdicts([row]))) == missed


def test_every_way_makes_an_instance(program, monkeypatch):
    """The measurement itself, with little work."""
    program("quickjs.wasm")
    needed.module("wasmtime")
    monkeypatch.setattr(instances, "LOOPS", 1)
    monkeypatch.setattr(instances, "PROGRAMS", {"QuickJS": instances.PROGRAMS["QuickJS"]})
    rows = list(instances.measure(1))
    assert [row.unit for row in rows] == ["ms", "bytes"]
    assert {"strata", "strata, prepared", "strata, pooled", "strata, own world", "wasmtime"} == set(rows[0].values)
    assert all(value > 0 for row in rows for value in row.values.values())
