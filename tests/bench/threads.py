"""Two guests at once, in two threads of this process and in two processes (ADR-0056, ADR-0060)."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, Final, Self

from tests.bench import atomics, thresholds
from tests.bench.kernels import FOLDER
from tests.bench.measure import Row, row_of
from tests.programs.pthreads import PROGRAM

SUITE: Final = "threads"
SIZES: Final[dict[str, int]] = {"collatz": 1_000_000, "mandelbrot": 1000, "sha256": 200_000, "nbody": 3_000_000}
"""Fixed before the first measurement: 0.05 to 0.15 s each on a quiet machine."""
STEPS: Final = 100_000_000
THREADS, PROCESSES, ALONE = "two threads", "two processes", "one alone"
MOST: Final = 1 / 0.95
"""Two threads reach 0.95 of what two processes reach."""
LEAST_ROUNDS: Final = 25
"""A round of 50 ms in which the machine does something else says nothing: the median of fewer is not worth much."""
ANSWER_BYTES: Final = 64
Work = Callable[[], Any]


class Child:
    """A process of its own that does a piece of work each time it is told to."""

    def __init__(self, work: Work) -> None:
        order, self._order = os.pipe()
        self._answer, answer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._order)
            try:
                while os.read(order, 1):
                    os.write(answer, repr(work()).encode().ljust(ANSWER_BYTES))
            finally:
                os._exit(0)
        os.close(order)
        os.close(answer)

    def begin(self) -> None:
        """Tell it to."""
        os.write(self._order, b".")

    def end(self) -> str:
        """What it has found."""
        return os.read(self._answer, ANSWER_BYTES).decode().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *what: object) -> None:
        os.close(self._order)
        os.close(self._answer)
        os.waitpid(self._pid, 0)


class Pair:
    """Two threads that do a piece of work each time they are told to."""

    def __init__(self, works: tuple[Work, Work]) -> None:
        self._works = works
        self._begin, self._end = threading.Barrier(3), threading.Barrier(3)
        self._is_over = False
        self._answers: list[str] = []
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in works]

    def _run(self, work: Work) -> None:
        while True:
            self._begin.wait()
            if self._is_over:
                return
            try:
                self._answers.append(repr(work()))
            except BaseException:
                self._begin.abort()  # who waits for both fails, too
                self._end.abort()
                raise
            self._end.wait()

    def both(self) -> list[str]:
        """Once."""
        self._answers = []
        self._begin.wait()
        self._end.wait()
        return self._answers

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._is_over = True
        with suppress(threading.BrokenBarrierError):
            self._begin.wait()
        for thread in self._threads:
            thread.join()


def measure(rounds: int) -> Iterator[Row]:
    """A row of each kernel in two stores, and one of a C program with two threads."""
    for name, size in SIZES.items():
        yield row_of(SUITE, name, "ms", _times(kernel(name, size), max(rounds, LEAST_ROUNDS)))
    yield row_of(SUITE, "a program with threads", "ms", _program_times(max(rounds, LEAST_ROUNDS)))
    yield from atomics.rows(rounds)


def verdicts(rows: list[Row]) -> list[thresholds.Verdict]:
    """Two threads against two processes, round by round, over all rows."""
    found = []
    for row in rows:
        if row.suite == SUITE and {THREADS, PROCESSES} <= row.samples.keys():
            ratios = [t / p for t, p in zip(row.samples[THREADS], row.samples[PROCESSES], strict=True)]
            found.append(thresholds.of_median(f"{SUITE}: {row.name}, two threads / two processes", ratios, MOST))
    return found + atomics.verdicts(rows)


def kernel(name: str, size: int) -> Callable[[], Work]:
    """What makes a guest that runs a kernel, which is compiled."""
    import stratavm

    engine = stratavm.Engine(tier="jit1")
    module = stratavm.Module((FOLDER / f"{name}.wat").read_text(), engine=engine)
    linker = stratavm.Linker(engine)

    def make() -> Work:
        run = linker.instantiate(stratavm.Store(engine), module).exports.run
        run(1)
        return lambda: run(size)

    return make


def _times(make: Callable[[], Work], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of two at once, and of one alone, interleaved."""
    first, second = make(), make()
    with ExitStack() as stack:
        children = [stack.enter_context(Child(work)) for work in (first, second)]  # forked before threads begin
        pair = stack.enter_context(Pair((first, second)))
        return _interleaved({THREADS: pair.both, PROCESSES: lambda: _both(children), ALONE: first}, rounds)


def _program_times(rounds: int) -> dict[str, list[float]]:
    """The same of a program that has two threads, and of two that have one each."""
    import stratavm

    module = stratavm.Module(PROGRAM, engine=stratavm.Engine(tier="jit1"))

    def run(count: int) -> Any:
        done = stratavm.run(module, ["work", str(count), str(STEPS)])
        done.check()
        return done.stdout

    run(1)
    with ExitStack() as stack:
        children = [stack.enter_context(Child(lambda: run(1))) for _ in range(2)]
        works = {THREADS: lambda: run(2), PROCESSES: lambda: _both(children), ALONE: lambda: run(1)}
        return _interleaved(works, rounds)


def _both(children: list[Child]) -> list[str]:
    for child in children:
        child.begin()
    answers = [child.end() for child in children]
    if len(set(answers)) != 1 or not answers[0]:
        raise AssertionError(f"two processes disagree: {answers}")
    return answers


def _interleaved(works: dict[str, Work], rounds: int) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    for _ in range(rounds):
        for name, work in works.items():
            begin = time.perf_counter()
            work()
            samples[name].append((time.perf_counter() - begin) * 1e3)
    return samples
