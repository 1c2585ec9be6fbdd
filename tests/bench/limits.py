"""What it costs that a guest can be stopped: fuel, polls, and the GIL that a long guest gives up for other threads.

Everything runs in child processes: whether code polls, and how often the ticker ticks, is decided when they start.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from tests.bench import kernels
from tests.bench.measure import Row, geometric_mean

PLAIN: Final = "polls"
COLUMNS: Final[dict[str, tuple[dict[str, str], bool]]] = {
    PLAIN: ({}, False),
    "no polls": ({"STRATA_POLL": "never"}, False),
    "fuel": ({}, True),
}
"""Variables of the environment, and whether fuel is counted."""
TIERS: Final = ("jit0", "jit1")
BOTH: Final = "both"
"""The mean over both tiers, for which the thresholds hold; each tier's stands beside it."""
FUEL_LIMIT: Final = 1.25
POLL_LIMIT: Final = 1.05
TICK_LIMIT: Final = 2.0
HOST_CALLS: Final = 1_000
WORK: Final = 40_000
"""Rounds of a loop between two host calls: some 50 µs, so that a call of all takes many switch intervals."""
LONG: Final = """(module
  (import "env" "f" (func $f (param i32) (result i32)))
  (func (export "run") (param $calls i32) (param $work i32) (result i32) (local $i i32) (local $x i32)
    (loop $outer
      (local.set $i (local.get $work))
      (loop $inner
        (local.set $x (i32.xor (i32.mul (local.get $x) (i32.const 1664525)) (local.get $i)))
        (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $x (i32.add (local.get $x) (call $f (local.get $calls))))
      (br_if $outer (local.tee $calls (i32.sub (local.get $calls) (i32.const 1)))))
    (local.get $x)))"""


def measure(rounds: int) -> Iterator[Row]:
    """Processor time of the kernels by tier, ratios to polls without fuel, and the long guest beside a busy thread."""
    polls: dict[str, float] = {}
    fuels: dict[str, float] = {}
    for tier in TIERS:
        best: dict[str, dict[str, float]] = {name: {} for name in COLUMNS}
        for _ in range(max(2, rounds)):
            for name, (variables, fuel) in COLUMNS.items():
                for kernel, ms in _child("kernels", variables, tier, str(int(fuel))).items():
                    best[name][kernel] = min(ms, best[name].get(kernel, math.inf))
        for kernel in kernels.SIZES:
            yield Row("limits", f"{kernel}, {tier}", "ms", {name: best[name][kernel] for name in COLUMNS})
        polls[tier] = _mean(best[PLAIN], best["no polls"])
        fuels[tier] = _mean(best["fuel"], best[PLAIN])
    for name, means in (("polls", polls), ("fuel", fuels)):
        yield Row("limits", f"{name}: mean of ratios", "×", {**means, BOTH: geometric_mean(means.values())})
    ticks = [_child("long", {}, "0.005")["ms"] for _ in range(max(3, rounds // 2))]
    still = [_child("long", {"STRATA_POLL": "never"}, "0.005")["ms"] for _ in range(max(3, rounds // 2))]
    quiet = [_child("long", {}, "1")["ms"] for _ in range(max(3, rounds // 2))]
    yield Row(
        "limits",
        f"{HOST_CALLS} host calls beside a busy thread",
        "ms",
        {"ticks": _middle(ticks), "no ticks": _middle(still), "other thread never asks": _middle(quiet)},
    )


def failures(rows: list[Row]) -> list[str]:
    """Thresholds of issue 5 that these rows break."""
    found = []
    for row in rows:
        if row.suite != "limits":
            continue
        limit = {"fuel": FUEL_LIMIT, "polls": POLL_LIMIT}.get(row.name.partition(":")[0])
        if limit is not None and row.values[BOTH] > limit:
            found.append(f"{row.name}: {row.values[BOTH]:.2f}, at most {limit}")
        for other in ("no ticks", "other thread never asks"):
            if other in row.values and row.values["ticks"] > TICK_LIMIT * row.values[other]:
                found.append(f"{row.name}: {row.values['ticks']:.0f} ms with ticks, {other}: {row.values[other]:.0f}")
    return found


def _mean(ours: dict[str, float], theirs: dict[str, float]) -> float:
    return geometric_mean(ours[kernel] / theirs[kernel] for kernel in kernels.SIZES)


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _child(what: str, variables: dict[str, str], *arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.limits", what, *arguments]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=True, timeout=300
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result


def _kernels(tier: str, fuel: str) -> dict[str, float]:
    """The best milliseconds of processor time of each kernel."""
    import stratavm

    found = {}
    for name, size in kernels.SIZES.items():
        engine = stratavm.Engine(tier=tier, strict=True, fuel=fuel == "1")
        store = stratavm.Store(engine, fuel=(1 << 63) - 1 if fuel == "1" else None)
        module = stratavm.Module((kernels.FOLDER / f"{name}.wat").read_text(), engine=engine)
        run: Any = stratavm.Linker(engine).instantiate(store, module).exports.run
        run(size)
        best = math.inf
        for _ in range(4):
            begin = time.thread_time()
            run(size)
            best = min(best, (time.thread_time() - begin) * 1e3)
        found[name] = best
    return found


def _long(interval: str) -> dict[str, float]:
    """Wall time of the long guest beside a thread that runs Python; the ticker's period is the switch interval."""
    import stratavm

    sys.setswitchinterval(float(interval))
    linker = stratavm.Linker()
    linker.define("env", "f", lambda x: x)
    run: Any = linker.instantiate(stratavm.Store(linker.engine), stratavm.Module(LONG)).exports.run
    run(1, 1)  # compiles, which gives the GIL up
    stop: list[int] = []

    def busy() -> None:
        while not stop:
            sum(range(100))

    thread = threading.Thread(target=busy, daemon=True)
    thread.start()
    begin = time.perf_counter()
    run(HOST_CALLS, WORK)
    took = time.perf_counter() - begin
    stop.append(1)
    thread.join(10)
    return {"ms": took * 1e3}


if __name__ == "__main__":
    print(json.dumps({"kernels": _kernels, "long": _long}[sys.argv[1]](*sys.argv[2:])))
