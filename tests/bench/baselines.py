"""What lazy compilation, linear scan and the passes buy on real programs, against our own flags (ADR-0006).

Each program runs to its end in a process of its own; the child reports its time, its machine code and its peak memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from tests.bench.measure import Row, row_of, skipped
from tools import programs

CHILD: Final = """
import json, sys, time
begin = time.perf_counter()
import stratavm
path, tier, allocator, eager, threads, *rest = sys.argv[1:]
module = stratavm.Module(path, engine=stratavm.Engine(tier=tier, allocator=allocator or None, threads=int(threads)))
if eager == "eager":
    module.compile_all()
linker = stratavm.Linker(module.engine)
output = bytearray()
with stratavm.Store(module.engine) as store, stratavm.Wasi(args=["guest", *rest], stdout=output) as wasi:
    linker.define_namespaces(wasi.namespaces())
    try:
        linker.instantiate(store, module).exports["_start"]()
    except stratavm.ExitError as stop:
        assert stop.code == 0, stop
seconds = time.perf_counter() - begin
with open("/proc/self/status") as status:  # ru_maxrss would include the parent's, from before exec
    peak = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
code = module.code_bytes
print(json.dumps({"ms": seconds * 1e3, "peak": peak / 1e6, "code": code / 1e6, "output": len(output)}))
"""
PROGRAMS: Final[dict[str, list[str]]] = {
    "icepll.wasm": ["-i", "12", "-o", "48"],
    "boolector.wasm": ["--help"],
    "resvg.wasm": ["--help"],
    "quickjs.wasm": ["-e", "console.log([3, 1, 2].sort().join())"],
    "python.wasm": ["-c", "print(sorted('strata'))"],
}
VARIANTS: Final[dict[str, tuple[str, str, str, str]]] = {
    "lazy jit0": ("jit0", "linear", "lazy", "1"),
    "lazy jit0, ahead": ("jit0", "linear", "lazy", "0"),
    "auto": ("auto", "", "lazy", "0"),
    "lazy jit1": ("jit1", "splitting", "lazy", "1"),
    "eager jit1": ("jit1", "splitting", "eager", "1"),
    "eager jit0 naive": ("jit0", "naive", "eager", "1"),
}
"""Tier, allocator (or the level's own), when functions are compiled, threads: 0: some compile what may be called."""
UNITS: Final[dict[str, str]] = {"ms": "ms", "peak": "MB at the peak", "code": "MB of code"}


def measure(rounds: int) -> Iterator[Row]:
    """Three rows per program: time to its end, peak memory, machine code; medians by variant."""
    for name, arguments in PROGRAMS.items():
        path = programs.find(name)
        if path is None:
            yield skipped("baselines", name)
            continue
        samples: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
        for _ in range(max(6, rounds)):  # fewer than six have no interval of 95 %
            for variant, options in VARIANTS.items():
                samples[variant].append(_child([str(path), *options, *arguments]))
        for what, unit in UNITS.items():
            found = {variant: [s[what] for s in rows] for variant, rows in samples.items()}
            yield row_of("baselines", f"{name.removesuffix('.wasm')} {what}", unit, found)


def _child(arguments: list[str]) -> dict[str, float]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", CHILD, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    if not found["output"]:
        raise AssertionError(f"{arguments}: the program printed nothing")
    return found
