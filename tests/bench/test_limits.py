"""Claims about the suite of limits: its thresholds fail where they must."""

import sys

import pytest

from tests.bench import limits
from tests.bench.measure import Row


@pytest.mark.parametrize(
    ("row", "fails"),
    [
        (Row("limits", "fuel: mean of ratios", "×", {"jit0": 1.3, "jit1": 1.1, "both": 1.2}), False),
        (Row("limits", "fuel: mean of ratios", "×", {"jit0": 1.3, "jit1": 1.3, "both": 1.3}), True),
        (Row("limits", "polls: mean of ratios", "×", {"jit0": 1.06, "jit1": 1.06, "both": 1.06}), True),
        (Row("limits", "1000 host calls beside a busy thread", "ms", {"ticks": 90.0, "no ticks": 50.0}), False),
        (Row("limits", "1000 host calls beside a busy thread", "ms", {"ticks": 110.0, "no ticks": 50.0}), True),
        (
            Row(
                "limits", "1000 host calls beside a busy thread", "ms", {"ticks": 90.0, "other thread never asks": 44.0}
            ),
            True,
        ),
        (Row("kernel", "fuel: mean of ratios", "×", {"both": 9.0}), False),
    ],
)
def test_thresholds(row, fails):
    """Fuel a quarter, polls a twentieth, ticks twice."""
    assert bool(limits.failures([row])) is fails


def test_a_guest_with_many_host_calls_ends_beside_a_busy_thread(monkeypatch):
    """The measurement itself, with little work, in a child process."""
    monkeypatch.setattr(limits, "HOST_CALLS", 50)
    assert limits._child("long", {}, "0.005")["ms"] > 0
    before = sys.getswitchinterval()
    try:
        assert limits._long("0.005")["ms"] > 0
    finally:
        sys.setswitchinterval(before)
