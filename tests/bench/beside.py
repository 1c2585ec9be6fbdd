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
TIMES: Final = 4
"""Compilations beside it, one after another."""


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


def measure(rounds: int) -> Iterator[Row]:
    """Two rows: of the compilation, beside nothing and beside the thread; and of the thread, in the same rounds."""
    import stratavm

    loop = f"(loop {STEP * 40} (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))"
    functions = f"(func (param i32 i32) (result i32) {loop} (local.get 0))" * COUNT
    text = f"(module {functions})"
    engine = stratavm.Engine(stratavm.Config(tier="jit1"))
    times: dict[str, list[float]] = {"beside an idle thread": [], "beside a busy thread": []}
    speeds: dict[str, list[float]] = {"alone": [], "beside compilations": []}

    def compile_several() -> float:
        modules = [stratavm.Module(text, engine=engine) for _ in range(TIMES)]
        begin = time.perf_counter()
        for module in modules:
            module.compile_all()
        return time.perf_counter() - begin

    for _ in range(rounds):
        times["beside an idle thread"].append(compile_several() * 1e3 / TIMES)
        with Spinner() as spinner:
            begin, before = time.perf_counter(), spinner.turns
            time.sleep(ALONE_S)
            speeds["alone"].append((spinner.turns - before) / (time.perf_counter() - begin))
            begin, before = time.perf_counter(), spinner.turns
            times["beside a busy thread"].append(compile_several() * 1e3 / TIMES)
            speeds["beside compilations"].append((spinner.turns - before) / (time.perf_counter() - begin))
    yield row_of("beside", f"{COUNT} functions at level 1", "ms", times)
    yield row_of("beside", "a thread in Python", "1000 turns/s", speeds)
