"""Claims about the suite of sandboxed Python: each limit has a row, and a row that misses one is told."""

import pytest

from tests import needed
from tests.bench import python
from tests.bench.measure import row_of

pytestmark = pytest.mark.trace_slow


def test_rows_within_a_process(monkeypatch):
    """Of runs, turns and tools, each with samples; the peer's beside the turn."""
    needed.program(python.MODULE)
    monkeypatch.setattr(python, "LOOPS", 3)
    rows = list(python.within(1, lambda: [5.0]))
    assert {row.name for row in rows} == {name for name, (_, unit) in python.LIMITS.items() if unit == " us"}
    assert all(min(row.samples[python.OURS]) > 0 for row in rows)
    assert next(row for row in rows if row.name == "session pass").values[python.PEER] == 5.0
    host = next(row for row in rows if row.name == "session pass, host")
    assert host.values[python.OURS] < 1e6


def test_what_a_process_says():
    """Its time, or its own figure."""
    assert python.process("print(5)", "/nowhere", 1.0) == 5.0
    assert python.process("print(5)", "/nowhere", None) > 1.0


def test_limits():
    """Met and missed."""
    rows = [row_of(python.SUITE, "session pass", "us", {python.OURS: [low] * 7}) for low in (100.0, 500.0)]
    assert [verdict.met for verdict in python.verdicts(rows)] == [True, False]
    assert python.verdicts([row_of("other", "session pass", "us", {python.OURS: [1.0]})]) == []


def test_without_the_program(monkeypatch):
    """A row says so."""
    monkeypatch.setattr(python.programs, "find", lambda name: None)
    (row,) = python.measure(1)
    assert "skipped" in row.name and not row.values
