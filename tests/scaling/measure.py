"""time(2N)/time(N) of a stage on a shape."""

from __future__ import annotations

import gc
import mmap
import resource
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import pytest

Input = TypeVar("Input")
FACTOR: Final = 2.6
ROUNDS: Final = 5
BATCHES: Final = 4
"""Other processes disturb the clock: the quickest runs of this many batches count, fewer if they show enough."""
DOUBLINGS: Final = 4
"""Where 2N leaves a cache in which N had room, one doubling costs more than twice as much, and the next ones do not;
what is quadratic gets worse with each."""
LEAST: Final = 20e-6
"""A stage that takes less than these seconds had no work."""


def seconds(action: Callable[[], Any]) -> float:
    """Processor time of this thread."""
    start = time.thread_time()
    action()
    return time.thread_time() - start


def measured(action: Callable[[], Any]) -> tuple[float, float]:
    """Processor time of an action, and of touching as many fresh pages as it did, one after the other."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    taken = seconds(action)
    pages = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
    if not pages:
        return taken, 0.0
    with mmap.mmap(-1, pages * mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as fresh:
        fresh.madvise(mmap.MADV_NOHUGEPAGE)
        view = memoryview(fresh)[:: mmap.PAGESIZE]
        other = bytes(pages)
        faulting = seconds(lambda: view.__setitem__(slice(None), other))
        view.release()
    return taken, faulting


def factor(small: Callable[[], Any], large: Callable[[], Any]) -> float:
    """time(large)/time(small) of the quickest runs, taken in turns, without the rounds of Python's collector and what
    the kernel, or a host below it, takes to find pages: arrays are given back as a stage ends, and how long pages take
    to come again is the machine's matter and its neighbours'."""
    least = [float("inf"), float("inf")]
    found = [float("inf"), float("inf")]
    gc.collect()
    gc.disable()
    try:
        for _ in range(BATCHES):
            for _ in range(ROUNDS):
                for i, action in enumerate((small, large)):
                    least[i], found[i] = map(min, (least[i], found[i]), measured(action))
            times = [max(taken - pages, taken / 4) for taken, pages in zip(least, found, strict=True)]
            if times[1] < FACTOR * times[0]:
                break
    finally:
        gc.enable()
    assert least[1] > LEAST, "no work to measure"
    return times[1] / times[0]


def check(stage: Callable[[Input], Callable[[], Any]], shape: Callable[[int], Input], n: int) -> None:
    """The stage scales on the shape: at one of a few doublings, twice the work takes about twice the time."""
    factors = []
    for _ in range(DOUBLINGS):
        factors.append(factor(stage(shape(n)), stage(shape(2 * n))))
        if factors[-1] < FACTOR:
            return
        n *= 2
    pytest.fail("time(2N)/time(N) = " + ", ".join(f"{found:.2f}" for found in factors))
