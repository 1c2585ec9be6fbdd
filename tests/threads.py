"""Threads that come between any two steps of each other, and ends of calls that come while these run."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from stratavm import DeadlineExceeded, Store


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


def past_deadline(store: Store, call: Callable[[], object], has_begun: Callable[[], bool]) -> DeadlineExceeded:
    """What ends a call that has no end, under a deadline: a longer one as long as that was over before the guest had
    begun, as happens on a busy machine. Such a call leaves nothing midway."""
    seconds = 0.05
    while True:
        with store.deadline(seconds), pytest.raises(DeadlineExceeded) as caught:
            call()
        if has_begun() or seconds > 10:
            return caught.value
        seconds *= 4
