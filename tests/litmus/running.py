"""Runs of litmus tests: a store and a thread of Python for each thread of the test, over one shared memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final

from stratavm import Config, Engine, Linker, Module, SharedMemory, Store
from tests.litmus.shapes import COUNTS, PAGES, Digits, Litmus, Way, guest

PAIR: Final = 16
CROWD: Final = 16
"""Rounds between two meetings of two threads, and of more: where these are more than there are processors, they spend
their time waiting for each other."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each outcome was seen."""

    litmus: Litmus
    way: Way
    seen: dict[Digits, int]

    @property
    def runs(self) -> int:
        """Rounds in all."""
        return sum(self.seen.values())

    @property
    def forbidden(self) -> dict[Digits, int]:
        """Those of them that nothing explains."""
        return {digits: n for digits, n in self.seen.items() if self.litmus.forbidden(digits)}

    def __str__(self) -> str:
        seen = ", ".join(f"{''.join(map(str, digits))}: {n}" for digits, n in self.seen.items())
        wrong = sum(self.forbidden.values())
        return f"{self.litmus.name}, {self.way.name}: {self.runs} runs, {wrong} forbidden ({seen})"


@cache
def engine(tier: str) -> Engine:
    """An engine, shared by all tests."""
    return Engine(Config(tier=tier))


def run(litmus: Litmus, way: Way, runs: int, tier: str = "jit1") -> Histogram:
    """Run a test so many times, or a few more, and say what was seen."""
    threads = len(litmus.threads)
    rounds = PAIR if threads <= 2 else CROWD
    meetings = -(-runs // rounds)
    memory = SharedMemory(engine(tier), PAGES, PAGES)
    module = Module(guest(litmus, way), engine(tier))
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            linker = Linker(engine(tier))
            linker.define("env", "memory", memory)
            linker.instantiate(Store(engine(tier)), module).exports.run(number, meetings, rounds)
        except BaseException as error:
            failures.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return Histogram(litmus, way, dict(_counted(memory, litmus.reads)))


def _counted(memory: SharedMemory, reads: int) -> Iterator[tuple[Digits, int]]:
    """The outcomes that were seen, from the guests' counts."""
    for number, digits in enumerate(product(range(3), repeat=reads)):
        if count := memory.load(COUNTS + 8 * number, 8):
            yield digits, count
