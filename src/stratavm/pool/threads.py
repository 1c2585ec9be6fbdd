"""``Pool.map``: calls in threads, for programs without an event loop."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from threading import Lock

from stratavm.base.forms import Any, Final
from stratavm.pool.guest import function_of
from stratavm.pool.nursery import Made, Nursery

AHEAD: Final = 2
"""Calls that are begun for each thread before a result is taken."""

AGAIN_S: Final = 0.01
"""Between two interrupts of a call that is to end."""


class _Running:
    """The instances in which calls run."""

    def __init__(self) -> None:
        self._lock, self._made, self._ended = Lock(), set[Made](), False

    def add(self, made: Made) -> bool:
        """False if everything is to end."""
        with self._lock:
            self._made.add(made)
            return not self._ended

    def remove(self, made: Made) -> None:
        """Its call has ended."""
        with self._lock:
            self._made.discard(made)

    def end(self) -> None:
        """Interrupt them, and those that begin now."""
        with self._lock:
            self._ended = True
            for made in self._made:
                made.store.interrupt()


def in_threads(
    maker: Nursery, name: str, arguments: tuple[Iterable[Any], ...], threads: int | None, timeout: float | None
) -> Iterator[Any]:
    """Results in order."""
    count = threads or len(os.sched_getaffinity(0))
    running, begun = _Running(), deque[Future[Any]]()

    def call(values: tuple[Any, ...]) -> Any:
        made = maker.make(seconds=timeout)
        try:
            if not running.add(made):
                return None
            with made.store.deadline(timeout) if timeout is not None else nullcontext():
                return function_of(made.instance, name)(*values)
        finally:
            running.remove(made)
            made.close()

    executor = ThreadPoolExecutor(count, "strata pool")
    try:
        for values in zip(*arguments, strict=False):
            begun.append(executor.submit(call, values))
            if len(begun) >= AHEAD * count:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
        while not all(future.done() for future in begun):  # again: a call may have been on its way to its guest
            running.end()
            wait(begun, AGAIN_S)
        executor.shutdown()
