"""Claims about the suite of the sandbox server: its modules are valid, and its thresholds fail where they must."""

import pytest

from stratavm import Module
from tests.bench import flagship
from tests.bench.measure import Row


def test_the_module_of_many_loops_is_valid_and_new_each_time(monkeypatch):
    """One function, so many loops."""
    monkeypatch.setattr(flagship, "LOOPS", 1000)
    found = {flagship.loops(number) for number in (0, 1, 63)}
    assert len(found) == 3
    for binary in found:
        assert len(binary) > 8 * 1000 and len(Module(binary).model.functions) == 1


@pytest.mark.parametrize(
    ("beside", "alone", "share", "missed"),
    [(10.0, 6.0, 1.1, 0), (13.0, 6.0, 1.1, 1), (31.0, 20.0, 1.1, 1), (10.0, 6.0, 1.3, 1)],
)
def test_a_threshold_is_missed_where_it_must_be(beside, alone, share, missed):
    """p99 by that without the adversary, p99 itself, and shares."""
    rows = [
        Row(flagship.SUITE, "p99", "ms", {"strata": alone}),
        Row(flagship.SUITE, "p99 beside spin", "ms", {"strata": beside}),
        Row(flagship.SUITE, flagship.SHARE, "", {"strata": share}),
    ]
    found = flagship.verdicts(rows)
    assert len(found) == 3 and sum(not verdict.met for verdict in found) == missed
