"""Threads that come between any two steps of each other, for tests of what they share."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stratavm.runtime.store import Store


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


def in_a_call(store: Store, action: Callable[[], object], pause_s: float = 0.02) -> threading.Thread:
    """A thread that does something while a call of a store runs, some time after it has begun: on a busy machine that
    may be long after the thread, and what ends a call ends none that is still to come."""

    def wait() -> None:
        while not store.busy:
            time.sleep(0.001)
        time.sleep(pause_s)
        action()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def interrupting(store: Store) -> threading.Thread:
    """A thread that interrupts the next call of a store."""
    return in_a_call(store, store.interrupt)
