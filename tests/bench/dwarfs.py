"""Processor time of small programs of all kinds, which the optimiser was not written for.

Dense and sparse algebra, stencils, dynamic programming, graphs, hashing, sorting, parsing, search in
strings, big integers, interpreters, codecs, spectral methods: none is dropped, whatever it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.kernels import rows
from tests.bench.measure import Row
from tests.bench.peers import OURS, WASMTIME, Engine, strata, wasmtime

FOLDER: Final = Path(__file__).parent / "dwarfs"


@dataclass(frozen=True, slots=True)
class Dwarf:
    """Arguments of a program, fixed before the first measurement, and what it says to the small one.

    Attributes:
        size: some ten milliseconds on a compiled engine.
        small: for tests.
        answer: of ``run(small)``.
    """

    size: int
    small: int
    answer: float


DWARFS: Final[dict[str, Dwarf]] = {
    "adler": Dwarf(8_192, 1, -928384918),
    "automaton": Dwarf(1_024, 1, 1167662434),
    "base64": Dwarf(4_096, 1, 1736867905),
    "bfs": Dwarf(256, 2, 465507899),
    "big-divide": Dwarf(2_048, 1, 1432660781),
    "big-multiply": Dwarf(8_192, 2, 379891252),
    "blur": Dwarf(512, 1, -1949552586),
    "dct": Dwarf(50_000, 3, -635576303),
    "fft": Dwarf(4_096, 2, 3.877083254637348),
    "floyd": Dwarf(250, 12, -148985591),
    "gemv": Dwarf(16_384, 2, 2213.53564453125),
    "hash-set": Dwarf(500_000, 300, 715411384),
    "heapsort": Dwarf(100_000, 200, -657424111),
    "horspool": Dwarf(4_096, 5, 5142508),
    "huffman": Dwarf(1_024, 1, -560931114),
    "kmp": Dwarf(512, 1, 91),
    "knapsack": Dwarf(8_192, 3, 394),
    "lcs": Dwarf(2_500, 40, 22),
    "life": Dwarf(1_024, 1, 160553558),
    "lu": Dwarf(250, 10, 1.4563640387302699),
    "lz": Dwarf(2_048, 1, 1461127654),
    "matmul-rows": Dwarf(240, 9, 10.056484289287539),
    "merge-sort": Dwarf(100_000, 200, 16562118.44879235),
    "monte-carlo": Dwarf(3_000_000, 100, 316.05265460292594),
    "nbody-double": Dwarf(100_000, 20, 0.23455718225721625),
    "numbers": Dwarf(50_000, 2, 133137.75),
    "queens": Dwarf(12, 6, 4),
    "radix-sort": Dwarf(200_000, 200, 935319566),
    "sieve-short": Dwarf(3_900_000, 3000, 430),
    "siphash": Dwarf(4_000_000, 50, -7480945191658538063),
    "spmv": Dwarf(2_048, 1, 4166.045175093865),
    "stack-machine": Dwarf(1_000_000, 50, -755055634),
    "stencil": Dwarf(2_048, 1, 15.840742803518705),
    "threaded-machine": Dwarf(1_000_000, 50, -1525398019),
    "union-find": Dwarf(4_000_000, 300, 1316461231),
    "utf8": Dwarf(4_096, 1, 915949351),
}
ENGINES: Final[tuple[Engine, ...]] = (
    Engine(OURS, strata()),
    Engine("strata jit1", strata(tier="jit1")),
    Engine(WASMTIME, wasmtime(epochs=False)),
)


def measure(rounds: int) -> Iterator[Row]:
    """One row per program: median milliseconds by engine."""
    yield from rows("dwarf", FOLDER, {name: dwarf.size for name, dwarf in DWARFS.items()}, rounds, ENGINES)
