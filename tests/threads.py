"""Threads that come between any two steps of each other, for tests of what they share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def hasty() -> Iterator[None]:
    """Threads take turns after each microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def at_once(count: int, work: Callable[[int], object]) -> None:
    """Call ``work(number)`` on so many hasty threads, and wait for all; raises the first error of any."""
    errors: list[BaseException] = []

    def attempt(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(count)]
    with hasty():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
