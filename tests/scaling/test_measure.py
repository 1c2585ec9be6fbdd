"""What the other tests here rest on: a stage that does not scale is told from one that does."""

from __future__ import annotations

import mmap

import pytest

from tests.scaling.measure import check, measured

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


def test_fresh_pages_are_the_machines_matter() -> None:
    """Each page that is touched for the first time costs; as many others tell how much."""
    pages = 4096

    def touches() -> None:
        with mmap.mmap(-1, pages * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as fresh:
            fresh.madvise(mmap.MADV_NOHUGEPAGE)
            for at in range(0, len(fresh), mmap.PAGESIZE):
                fresh[at] = 1

    taken, faulting = map(min, zip(*(measured(touches) for _ in range(5)), strict=True))
    assert 0 < faulting < taken
    assert measured(lambda: None)[1] < faulting / 10
