"""Two threads at one word of a shared memory, against C with two threads: the atomic rows of suite ``threads``.

ADR-0055 says what each does and how often. Both are timed from before the threads begin to their end.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from stratavm import Config, Engine, Linker, Module, SharedMemory, Store
from tests.bench.measure import Row, row_of
from tests.bench.thresholds import Verdict, of_median

FOLDER: Final = Path(__file__).parent / "atomics"
SUITE: Final = "threads"
ROUNDS: Final = {"counter": 30_000_000, "exchange": 10_000_000, "pingpong": 20_000}
"""Of each thread."""
NAMES: Final = {"counter": "counter", "exchange": "compare and exchange", "pingpong": "wait and notify, in turns"}
MOST: Final = {"counter": 1.2, "exchange": 1.2, "pingpong": 1.5}
"""Times the time of C."""
GUESTS, NATIVE = "strata jit1", "C"
WORD: Final = 64


def counted(work: str) -> int:
    """What the word is at the end."""
    return 0 if work == "pingpong" else 2 * ROUNDS[work]


def guests(engine: Engine, module: Module, work: str) -> float:
    """Milliseconds of two guests, each in a store and a thread of its own."""
    memory = SharedMemory(engine, 1, 1)
    linker = Linker(engine)
    linker.define("env", "memory", memory)
    functions = [linker.instantiate(Store(engine), module).exports[work] for _ in range(2)]
    failures: list[BaseException] = []

    def run(me: int) -> None:
        try:
            functions[me](me, ROUNDS[work])
        except BaseException as error:
            failures.append(error)

    begin = time.perf_counter()
    threads = [threading.Thread(target=run, args=(me,)) for me in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    if failures or memory.load(WORD) != counted(work):
        raise AssertionError(f"{work}: the word is {memory.load(WORD)}") from (failures or [None])[0]
    return took * 1e3


def native(program: Path, work: str) -> float:
    """Milliseconds of the C program."""
    answer = subprocess.run([program, work, str(ROUNDS[work])], capture_output=True, text=True, check=True, timeout=300)
    took, word = map(int, answer.stdout.split())
    if word != counted(work):
        raise AssertionError(f"{work}: the word of C is {word}")
    return took / 1e6


def rows(rounds: int) -> Iterator[Row]:
    """A row of each, over interleaved rounds; without a compiler of C, rows that say so."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        yield from (Row(SUITE, f"{name}: skipped, there is no compiler of C", "ms", {}) for name in NAMES.values())
        return
    engine = Engine(Config(tier="jit1"))
    module = Module((FOLDER / "two.wat").read_text(), engine)
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "two"
        subprocess.run([compiler, "-O2", "-pthread", FOLDER / "two.c", "-o", program], check=True, timeout=300)
        for work, name in NAMES.items():
            guests(engine, module, work)  # compiled, and its pages there
            samples: dict[str, list[float]] = {GUESTS: [], NATIVE: []}
            for _ in range(rounds):
                samples[GUESTS].append(guests(engine, module, work))
                samples[NATIVE].append(native(program, work))
            yield row_of(SUITE, name, "ms", samples)


def verdicts(found: Iterable[Row]) -> list[Verdict]:
    """Whether each keeps within its limit, in the median of its rounds."""
    verdicts, works = list[Verdict](), {name: work for work, name in NAMES.items()}
    for row in found:
        if row.suite == SUITE and row.name in works:
            ratios = [ours / c for ours, c in zip(row.samples[GUESTS], row.samples[NATIVE], strict=True)]
            verdicts.append(of_median(f"{SUITE}: {row.name}, two guests / C", ratios, MOST[works[row.name]]))
    return verdicts
