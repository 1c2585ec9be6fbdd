"""What the other tests here rest on: a stage that does not scale is told from one that does."""

from __future__ import annotations

import pytest

from tests.scaling.measure import check

pytestmark = [pytest.mark.scaling, pytest.mark.trace_slow]


def test_linear_work_passes() -> None:
    """A sum over n."""
    check(lambda n: lambda: sum(range(n)), lambda n: n, 20_000)


def test_quadratic_work_does_not() -> None:
    """A sum over n times n."""
    with pytest.raises(pytest.fail.Exception, match=r"time.2N./time.N. = "):
        check(lambda n: lambda: sum(range(n * n)), lambda n: n, 100)


def test_a_stage_without_work_is_no_witness() -> None:
    """It takes no time at any size."""
    with pytest.raises(AssertionError, match="no work"):
        check(lambda n: lambda: None, lambda n: n, 100)
