"""What turns took: by the wall where they are short, by the kernel where others may have run meanwhile."""

from stratavm.pool.meter import LONG_NS, Meter


def test_a_short_turn_is_measured_by_the_wall_alone():
    """The kernel is not asked."""
    meter = Meter(None)
    times = iter((LONG_NS,))
    meter.wall_ns = lambda: next(times)
    meter.cpu_ns = None
    assert meter.taken(0) == LONG_NS


def test_a_long_turn_counts_what_the_thread_has_run():
    """Other threads had the processor for the rest."""
    meter = Meter(None)
    meter.wall_ns, meter.cpu_ns = lambda: 50_000_000, lambda: 7_000_000
    assert meter.taken(0) == 7_000_000
    meter.cpu_ns = lambda: 9_000_000
    assert meter.taken(0) == 2_000_000


def test_no_turn_counts_what_ran_before_it():
    """The thread may have done other things since the kernel was asked."""
    meter = Meter(None)
    meter.wall_ns, meter.cpu_ns = lambda: 50_000_000, lambda: 900_000_000
    assert meter.taken(49_000_000) == 1_000_000
