"""What was there before the first test is not looked through by Python's collector, which took most of the time of each
test that collects garbage: what is known of thirty thousand tests is millions of objects."""

import gc

_done = False


def before_tests() -> None:
    """Once. It is not asked whether something is frozen: that would count all of it, before each test."""
    global _done
    if not _done:
        _done = True
        again()


def again() -> None:
    """Behind who has ended that."""
    gc.collect()
    gc.freeze()
