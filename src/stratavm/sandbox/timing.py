"""A limit on time that covers loading as well as running."""

from __future__ import annotations

import time

from stratavm.base.errors import DeadlineExceeded


def time_left(seconds: float | None, since: float) -> float | None:
    """What is left of so many seconds since a reading of ``time.monotonic()``; None where there is no limit.

    Raises:
        DeadlineExceeded: nothing.
    """
    if seconds is None:
        return None
    left = seconds - (time.monotonic() - since)
    if left <= 0:
        raise DeadlineExceeded(detail="loading the module took all of it" if seconds > 0 else "there was none at all")
    return left
