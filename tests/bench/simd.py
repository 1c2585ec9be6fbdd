"""Suite ``simd``: kernels on vectors, level 1 and level 0 against wasmtime, and against the same in scalar code.

Each kernel is one C source with two forms, whose digests are equal; the vector form is written with intrinsics, so that
it is what programs of today contain. ``python -m tests.bench.simd`` builds the text of both again, with clang 14 and
its linker, no optimiser behind them.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.bench.measure import Row, geometric_mean, interleaved, row_of
from tests.bench.peers import WASMTIME, Engine, strata, wasmtime
from tests.bench.thresholds import Verdict

SUITE: Final = "simd"
FOLDER: Final = Path(__file__).parent / "simd"
SIZES: Final[dict[str, int]] = {
    "base64": 20_000,
    "blake3": 100_000,
    "blend": 16_000,
    "blur": 1_600,
    "chacha20": 60_000,
    "dot": 26_000,
    "mandelbrot": 1_024,
    "mandelbrot-double": 768,
    "matmul": 60,
    "memchr": 80_000,
    "sad": 2_000,
    "utf8": 20_000,
}
"""Fixed before the first measurement: some two to ten milliseconds on a compiled engine."""
LEVELS: Final = ("strata jit0", "strata jit1")
SCALAR: Final = "strata jit1, scalar"
FLAGS: Final = {
    "vector": ("-msimd128", "-DVECTOR", "-fno-slp-vectorize"),
    "scalar": ("-fno-vectorize", "-fno-slp-vectorize"),
}
ENGINES: Final = (
    Engine(LEVELS[0], strata()),
    Engine(LEVELS[1], strata(tier="jit1")),
    Engine(WASMTIME, wasmtime(False)),
)
MOST: Final = 1.0
"""Of wasmtime's time, at level 1, on the mean."""
FEW_LANES: Final = frozenset({"mandelbrot-double"})
"""Two lanes cannot be two and a half times as fast."""
GAIN: Final = 2.5
"""Times as fast as the scalar form, at level 1."""


def text(name: str, form: str) -> str:
    """The module of a kernel in one of its forms."""
    return (FOLDER / f"{name}.{form}.wat").read_text()


def measure(rounds: int) -> Iterator[Row]:
    """Median milliseconds by engine for each kernel, in processor time; then the means of their ratios."""
    rows = []
    for name, size in SIZES.items():
        runs = {engine.name: engine.prepare(text(name, "vector")) for engine in ENGINES}
        runs[SCALAR] = strata(tier="jit1")(text(name, "scalar"))
        answers = {which: run(size) for which, run in runs.items()}
        if len(set(answers.values())) != 1:
            raise AssertionError(f"{name}: the digests differ: {answers}")
        timed = {which: lambda run=run, size=size: run(size) for which, run in runs.items()}
        rows.append(row_of(SUITE, name, "ms", interleaved(timed, rounds, 1e3, time.thread_time)))
        yield rows[-1]
    for which in (*LEVELS, SCALAR):
        mean = geometric_mean(row.values[which] / row.values[WASMTIME] for row in rows)
        yield Row(SUITE, f"mean of ratios, {which}", "×", {WASMTIME: 1.0, which: mean})


def verdicts(rows: Iterable[Row]) -> Iterator[Verdict]:
    """Whether level 1 is as fast as wasmtime on the mean, and each kernel gains what its lanes allow."""
    kernels = [row for row in rows if row.suite == SUITE and row.unit == "ms"]
    if kernels:
        mean = geometric_mean(row.values[LEVELS[1]] / row.values[WASMTIME] for row in kernels)
        yield Verdict(f"vectors, {LEVELS[1]} / {WASMTIME}", mean, None, MOST)
    for row in kernels:
        if row.name not in FEW_LANES:
            ratio = row.values[LEVELS[1]] / row.values[SCALAR]
            yield Verdict(f"{row.name}, vectors / scalar", ratio, None, 1 / GAIN)


def build() -> None:
    """Compile each source in both forms, and keep the text."""
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(FOLDER.glob("*.c")):
            for form, flags in FLAGS.items():
                compiled, linked = f"{folder}/kernel.o", f"{folder}/kernel.wasm"
                command = ["clang-14", "--target=wasm32", "-O2", "-mbulk-memory", *flags, "-c"]
                subprocess.run(
                    [*command, "-isystem", "/usr/include/wasm32-wasi", "-o", compiled, str(source)], check=True
                )
                link = ["wasm-ld-14", "--no-entry", "--strip-all", "-z", "stack-size=4096"]
                subprocess.run([*link, "-o", linked, compiled], check=True)
                (FOLDER / f"{source.stem}.{form}.wat").write_text(printed(Path(linked).read_bytes()))


def printed(binary: bytes) -> str:
    """A module as text."""
    from stratavm.module.needs import decode_anyway
    from stratavm.module.printer import to_wat

    module, damage = decode_anyway(binary)
    if damage is not None:
        raise damage
    return to_wat(module)


if __name__ == "__main__":
    build()
