"""Compile speed in megabytes of code-section bytes per second, one thread, every function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.bench.measure import Row, interleaved, row_of, skipped
from tools import programs

MODULES: Final = ("icepll.wasm", "resvg.wasm", "boolector.wasm")
LEAST: Final = 512 * 1024
"""Bytes of code per sample: a small module is compiled several times, by each engine, or the one that ran before it is
measured, too, by the caches that it left."""


def measure(rounds: int) -> Iterator[Row]:
    """One row per program: MB/s by engine, validation included; and ours by allocator and level."""
    for name in MODULES:
        path = programs.find(name)
        yield skipped("compile", name) if path is None else _row(name, path, rounds)


def _row(name: str, path: Path, rounds: int) -> Row:
    import wasmtime

    import stratavm

    data = path.read_bytes()
    engine = wasmtime.Engine()
    module = stratavm.Module(data)
    code_bytes = sum(f.end - f.start for f in module.model.functions)

    def ours(**options: Any) -> Callable[[], object]:
        engine = stratavm.Engine(stratavm.Config(**{"tier": "jit0", "threads": 1, **options}))
        return lambda: stratavm.Module(data, engine=engine).compile_all()

    runs: dict[str, Callable[[], object]] = {
        "strata jit0": ours(),
        "strata jit0 naive": ours(allocator="naive"),
        "strata jit1": ours(tier="jit1"),
        "wasmtime (all cores)": lambda: wasmtime.Module(engine, data),
    }
    times = -(-LEAST // code_bytes)

    def several(run: Callable[[], object]) -> Callable[[], None]:
        def sample() -> None:
            for _ in range(times):
                run()

        return sample

    samples = interleaved({k: several(run) for k, run in runs.items()}, rounds)
    bytes_ = code_bytes * times
    return row_of("compile", name, "MB/s", {k: [bytes_ / s / 1e6 for s in found] for k, found in samples.items()})
