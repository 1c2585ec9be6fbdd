"""What it costs that a guest can be stopped: fuel, polls, and the GIL that a long guest gives up for other threads.

Everything runs in child processes: whether code polls, and how often the ticker ticks, is decided when they start.
``python -m tests.bench.limits beside`` and ``… signals`` measure more closely what threads do to each other.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
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
FILL: Final = "(memory.fill (i32.const 0) (i32.const 1) (i32.const 500000000))"
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


def _guest(function: Callable[[int], int]) -> Any:
    """``run(calls, work)`` of a new instance of the long guest, compiled at one level: tiers have their suite."""
    import stratavm

    linker = stratavm.Linker(stratavm.Engine(tier="jit1"))
    linker.define("env", "f", function)
    module = stratavm.Module(LONG, engine=linker.engine)
    run: Any = linker.instantiate(stratavm.Store(linker.engine), module).exports.run
    run(1, 1)  # compiles, which gives the GIL up
    return run


@contextmanager
def _busy() -> Iterator[list[int]]:
    """Beside a thread that runs Python all the time; in the end the list holds its rounds."""
    rounds: list[int] = []
    stop = threading.Event()

    def turn() -> None:
        count = 0
        while not stop.is_set():
            sum(range(100))
            count += 1
        rounds.append(count)

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield rounds
    finally:
        stop.set()
        thread.join(10)


def _long(interval: str) -> dict[str, float]:
    """Wall time of the long guest beside a thread that runs Python; the ticker's period is the switch interval."""
    sys.setswitchinterval(float(interval))
    run = _guest(lambda x: x)
    with _busy():
        begin = time.perf_counter()
        run(HOST_CALLS, WORK)
        took = time.perf_counter() - begin
    return {"ms": took * 1e3}


def _beside() -> dict[str, dict[str, float]]:
    """Best wall times of the long guest by how often it calls what: alone, beside a busy thread, beside another one."""
    table = {}
    functions: dict[str, Callable[[int], int]] = {"Python": lambda x: x, "C": abs}
    for microseconds, name in ((45, "Python"), (45, "C"), (2_000, "Python"), (20_000, "Python"), (100_000, "Python")):
        function = functions[name]
        calls, work = max(1, 40_000 // microseconds), WORK * microseconds // 45
        best: dict[str, float] = dict.fromkeys(("alone", "beside a busy thread", "two at once"), math.inf)
        for _ in range(7):
            run, second = _guest(function), _guest(function)
            begin = time.perf_counter()
            run(calls, work)
            best["alone"] = min(best["alone"], (time.perf_counter() - begin) * 1e3)
            with _busy() as rounds:
                begin = time.perf_counter()
                run(calls, work)
                took = (time.perf_counter() - begin) * 1e3
            if took < best["beside a busy thread"]:
                best |= {"beside a busy thread": took, "rounds of that one per ms": rounds[0] / took}
            thread = threading.Thread(target=second, args=(calls, work))
            begin = time.perf_counter()
            thread.start()
            run(calls, work)
            thread.join()
            best["two at once"] = min(best["two at once"], (time.perf_counter() - begin) * 1e3)
        table[f"{microseconds} us, {name}"] = {what: round(value, 1) for what, value in best.items()}
    return table


def _signals() -> dict[str, list[float]]:
    """Milliseconds from a signal to KeyboardInterrupt out of an endless loop, and out of ``memory.fill``; sorted."""
    import stratavm

    signal.signal(signal.SIGINT, signal.default_int_handler)
    found: dict[str, list[float]] = {}
    for beside in (nullcontext, _busy):
        for name, text in {"loop": "(loop (br 0))", "fill": f"(loop {FILL} (br 0))"}.items():
            late = found.setdefault(f"{name}, {'alone' if beside is nullcontext else 'busy thread'}", [])
            while len(late) < 15:
                sent: list[float] = []

                def press(sent: list[float] = sent) -> None:
                    time.sleep(0.15 + random.random() / 10)
                    sent.append(time.perf_counter())
                    os.kill(os.getpid(), signal.SIGINT)

                with stratavm.Store() as store, beside():
                    source = f'(module (memory 8192) (func (export "f") {text}))'
                    function = stratavm.load(source, store=store).exports.f
                    thread = threading.Thread(target=press)
                    thread.start()
                    try:
                        function()
                    except KeyboardInterrupt:
                        late.append(round((time.perf_counter() - sent[0]) * 1e3, 1))
                    thread.join()
            late.sort()
    return found


if __name__ == "__main__":
    parts = {"kernels": _kernels, "long": _long, "beside": _beside, "signals": _signals}
    print(json.dumps(parts[sys.argv[1]](*sys.argv[2:]), indent=1))
