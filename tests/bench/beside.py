"""What a compilation at level 1 and a thread that computes in Python cost each other."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Final, Self

from tests.bench.measure import Row, row_of

COUNT: Final = 400
"""Functions that are compiled."""
STEP: Final = "(local.set 0 (i32.add (i32.mul (local.get 0) (i32.const 29)) (i32.rotl (local.get 0) (local.get 1))))"
ALONE_S: Final = 0.2
"""How long the thread is watched alone."""
STEPS: Final = 400
"""Of each function's loop: a function takes half a millisecond, so that 400 take long beside the wait for the GIL that
the compilation begins and ends with (5 ms each)."""


class Spinner:
    """A thread that computes in Python, and counts how often."""

    def __init__(self) -> None:
        self.turns = 0
        self._ended = False
        self._thread = threading.Thread(target=self._spin)

    def _spin(self) -> None:
        while not self._ended:
            for _ in range(1000):
                pass
            self.turns += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *what: object) -> None:
        self._ended = True
        self._thread.join()


THREADS: Final = {"on all threads": 0, "on one thread": 1}
"""How many threads compile; 0: one per processor, the one that asks and the helpers."""


def measure(rounds: int) -> Iterator[Row]:
    """Rows of the compilation, beside nothing and beside the thread, on all threads and on one; and of the thread, in
    the same rounds."""
    loop = f"(loop {STEP * STEPS} (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))"
    functions = f"(func (param i32 i32) (result i32) {loop} (local.get 0))" * COUNT
    text = f"(module {functions})"
    times: dict[str, dict[str, list[float]]] = {how: {} for how in THREADS}
    speeds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for how, threads in THREADS.items():
            one_round(text, threads, times[how], speeds, how)
    for how, row in times.items():
        yield row_of("beside", f"{COUNT} functions at level 1, {how}", "ms", row)
    yield row_of("beside", "a thread in Python", "1000 turns/s", speeds)


def one_round(text: str, threads: int, times: dict[str, list[float]], speeds: dict[str, list[float]], how: str) -> None:
    """Compile a module twice, and watch the thread alone and beside the second time."""
    import stratavm

    engine = stratavm.Engine(tier="jit1", threads=threads)

    def compile_one() -> float:
        module = stratavm.Module(text, engine=engine)
        begin = time.perf_counter()
        module.compile_all()
        return (time.perf_counter() - begin) * 1e3

    times.setdefault("beside an idle thread", []).append(compile_one())
    with Spinner() as spinner:
        begin, before = time.perf_counter(), spinner.turns
        time.sleep(ALONE_S)
        speeds.setdefault("alone", []).append((spinner.turns - before) / (time.perf_counter() - begin))
        module = stratavm.Module(text, engine=engine)
        begin, before = time.perf_counter(), spinner.turns
        module.compile_all()
        seconds = time.perf_counter() - begin
        speeds.setdefault(f"beside compilations {how}", []).append((spinner.turns - before) / seconds)
    times.setdefault("beside a busy thread", []).append(seconds * 1e3)
