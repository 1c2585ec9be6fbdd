"""time(2N)/time(N) of a stage on a shape."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.scaling.shapes import Shape

FACTOR: Final = 2.6
ROUNDS: Final = 5
ATTEMPTS: Final = 3
"""Other processes disturb the clock: what scales passes one of three attempts, what does not passes none."""


def seconds(action: Callable[[], Any]) -> float:
    """The quickest of a few runs, in processor time of this thread, without the rounds of Python's collector."""
    found = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            start = time.thread_time()
            action()
            found.append(time.thread_time() - start)
    finally:
        gc.enable()
    return min(found)


def check(stage: Callable[[bytes], Callable[[], Any]], shape: Shape, n: int) -> None:
    """The stage scales on the shape."""
    grows_linearly(stage(shape(n)), stage(shape(2 * n)))


def grows_linearly(small: Callable[[], Any], large: Callable[[], Any]) -> None:
    """Twice the work takes about twice the time."""
    factors = []
    for _ in range(ATTEMPTS):
        factors.append(seconds(large) / seconds(small))
        if factors[-1] < FACTOR:
            return
    pytest.fail(f"time(2N)/time(N) = {min(factors):.2f}")
