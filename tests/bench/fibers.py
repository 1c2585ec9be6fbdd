"""Asynchronous calls: what suspending a guest costs, and what ten thousand that wait take (ADR-0033).

``python -m tests.bench.fibers many`` is the process in which those are counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

import stratavm
from tests.bench.measure import Row

SUITE: Final = "fibers"
SOURCE: Final = """(module
  (import "e" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "call") (param i32) (result i32)
    (i32.store (i32.const 0) (local.get 0)) (i32.add (call $f (local.get 0)) (i32.const 1)))
  (func (export "calls") (param i32)
    (loop (drop (call $f (i32.const 3))) (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
CALLS: Final = 10_000
GUESTS: Final = 10_000
LIMITS: Final = {"a call that never waits": 600.0, "an await": 1200.0, "resume and suspend": 150.0}
"""Nanoseconds of the column ``over``: beyond the synchronous call, a bare await, a synchronous host call."""
MOST_KB: Final = {"a guest that waits": 32.0, "its fiber": 6.0}
"""Kilobytes of 1000 bytes, page tables included."""


async def at_once(x: int) -> int:
    """A host function that never waits."""
    return x


def exports_of(f: Callable[..., Any]) -> Any:
    """A guest with this host function."""
    store = stratavm.Store(stratavm.Engine(tier="jit1"))
    return stratavm.load(SOURCE, {"e": {"f": f}}, store=store).exports


def measure(rounds: int) -> Iterator[Row]:
    """Thread time of loops of calls, in interleaved rounds, then memory in a process of its own."""
    samples = asyncio.run(_times(rounds * 5))
    best = {name: min(values) for name, values in samples.items()}
    for name, ours, theirs in (
        ("a call that never waits", "call_async", "call"),
        ("an await", "guest", "bare await"),
        ("resume and suspend", "answer", "host call"),
    ):
        figures = {ours: best[ours], theirs: best[theirs], "over": best[ours] - best[theirs]}
        yield Row(SUITE, name, "ns", figures)
    done = [json.loads(_many()) for _ in range(min(rounds, 3))]
    for name in MOST_KB:
        yield Row(SUITE, name, "KB", {"strata": statistics.median(figures[name] for figures in done)})


def failures(rows: list[Row]) -> list[str]:
    """What is over its limit."""
    found = []
    for row in rows:
        if row.suite == SUITE:
            column, limit = ("over", LIMITS[row.name]) if row.name in LIMITS else ("strata", MOST_KB[row.name])
            if row.values[column] > limit:
                found.append(f"{row.name}: {row.values[column]:.1f} {row.unit}, at most {limit:.0f} {row.unit}")
    return found


async def _times(rounds: int) -> dict[str, list[float]]:
    """Nanoseconds of each by round: the loop is part of both sides."""
    from stratavm.engine.asynccall import AsyncCall
    from stratavm.engine.asynchronous import Waits

    guest, plain = exports_of(at_once), exports_of(lambda x: x)

    waits = at_once(3)  # never awaited: only who answers is measured
    driven = AsyncCall(exports_of(lambda x: waits).calls, (1 << 30,), Waits())
    driven.begin()

    async def call() -> None:
        for _ in range(CALLS):
            plain.add(1, 2)

    async def call_async() -> None:
        for _ in range(CALLS):
            await plain.add.call_async(1, 2)

    async def bare() -> None:
        for _ in range(CALLS):
            await at_once(3)

    async def guest_awaits() -> None:
        await guest.calls.call_async(CALLS)

    async def host_call() -> None:
        plain.calls(CALLS)

    async def answer() -> None:
        go_on = driven.answer
        for _ in range(CALLS):
            go_on(3)

    runs: dict[str, Callable[[], Awaitable[None]]] = {
        "call": call,
        "call_async": call_async,
        "bare await": bare,
        "guest": guest_awaits,
        "host call": host_call,
        "answer": answer,
    }
    samples: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            gc.collect()
            begin = time.thread_time_ns()
            await run()
            samples[name].append((time.thread_time_ns() - begin) / CALLS)
    driven.abandon()
    waits.close()
    return samples


def _many() -> str:
    return subprocess.run(
        [sys.executable, "-m", "tests.bench.fibers", "many"], capture_output=True, text=True, check=True
    ).stdout


async def _count() -> dict[str, float]:
    """Bytes of so many guests that wait, each in a store of its own with a memory of which a page is touched."""
    gate = asyncio.get_running_loop().create_future()
    engine = stratavm.Engine(tier="jit1")
    module = stratavm.Module(SOURCE, engine)
    linker = stratavm.Linker(engine)
    linker.define("e", "f", lambda x: gate)
    linker.instantiate(stratavm.Store(engine), module).exports.call.call_async(1).close()
    began = _resident()
    guests = [linker.instantiate(stratavm.Store(engine), module) for _ in range(GUESTS)]
    for guest in guests:
        guest.exports.memory.write(0, b"\1")
    tasks = [asyncio.ensure_future(guest.exports.call.call_async(1)) for guest in guests]
    before = _resident()
    await asyncio.sleep(0)
    after = _resident()
    gate.set_result(5)
    assert sum(await asyncio.gather(*tasks)) == 6 * GUESTS
    return {"a guest that waits": (after - began) / GUESTS / 1000, "its fiber": (after - before) / GUESTS / 1000}


def _resident() -> float:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return sum(int(status.split(f"{key}:")[1].split()[0]) for key in ("VmRSS", "VmPTE")) * 1024


if __name__ == "__main__" and sys.argv[1:] == ["many"]:
    print(json.dumps(asyncio.run(_count())))
