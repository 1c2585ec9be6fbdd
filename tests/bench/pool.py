"""The pool of instances beside a FIFO pool of fixed size: how much of their lives instances are in use (ADR-0041)."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import stratavm
from stratavm.pool.meter import Area
from tests.bench.measure import Row, geometric_mean
from tests.bench.thresholds import Verdict

SUITE: Final = "pool"
SOURCE: Final = """(module (import "e" "peer" (func $peer)) (memory (export "memory") 1)
  (func (export "serve") (param $turns i32) (param $awaits i32)
    (i32.store (i32.const 0) (i32.const 1))
    (block (loop (br_if 1 (i32.eqz (local.get $awaits)))
      (call $peer) (local.set $awaits (i32.sub (local.get $awaits) (i32.const 1))) (br 0)))
    (block (loop (br_if 1 (i32.eqz (local.get $turns)))
      (i32.store (i32.const 0) (i32.mul (i32.load (i32.const 0)) (local.get $turns)))
      (local.set $turns (i32.sub (local.get $turns) (i32.const 1))) (br 0)))))"""
GRID: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)
GRID_ROUNDS: Final = 3
SECONDS: Final = 1.2
PATIENCE: Final = 2.0
"""Times the length of a load that its calls have: what is not answered then never is."""
LOADS: Final = ("computes", "waits", "bursts")
OURS: Final = "strata"
FIXED: Final = "fixed pool"
PEER_S: Final = 0.002
LEAST_OF_BEST: Final = 0.97
LEAST_GAIN: Final = 1.25
LEAST_THROUGHPUT: Final = 0.97
MOST_P99: Final = 1.10

Call = Callable[[int, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Load:
    """Calls and when they come.

    Attributes:
        turns, awaits: what a call does.
        arrivals: seconds from the beginning.
    """

    turns: int
    awaits: int
    arrivals: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Calls per second, seconds of the 99th percentile, busy by capacity times wall."""

    throughput: float
    p99: float
    used: float


class Fixed:
    """The baseline: so many instances, calls in order of arrival."""

    def __init__(self, pre: Any, size: int) -> None:
        self._pre, self._size = pre, size
        self._free: asyncio.Queue[Any] = asyncio.Queue()
        self.busy = Area(since=_now())

    async def __aenter__(self) -> Fixed:
        for _ in range(self._size):
            self._free.put_nowait(self._made())
        self.began = _now()
        return self

    async def __aexit__(self, *error: object) -> None:
        while not self._free.empty():
            self._free.get_nowait().store.close()

    def _made(self) -> Any:
        return self._pre.instantiate(stratavm.Store(self._pre.module.engine))

    async def call(self, turns: int, awaits: int) -> None:
        """One call."""
        instance = await self._free.get()
        self.busy.add(1, _now())
        try:
            await instance.exports.serve.call_async(turns, awaits)
        finally:
            self.busy.add(-1, _now())
            instance.store.close()
            self._free.put_nowait(self._made())

    def used(self) -> tuple[float, float]:
        """Busy and capacity so far, in seconds."""
        now = _now()
        return self.busy.upto(now), self._size * (now - self.began)


class Ours:
    """The pool with its usual policy."""

    def __init__(self, pre: Any) -> None:
        self._pool = stratavm.Pool(pre)

    async def __aenter__(self) -> Ours:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._pool.drain()
        self._pool.close()

    async def call(self, turns: int, awaits: int) -> None:
        """One call."""
        await self._pool.call("serve", turns, awaits)

    def used(self) -> tuple[float, float]:
        """Busy and capacity so far, in seconds."""
        seen = self._pool.metrics()
        return seen.busy_seconds, seen.capacity_seconds


def _now() -> float:
    return asyncio.get_running_loop().time()


def module() -> Any:
    """The guest, compiled."""
    engine = stratavm.Engine(tier="jit1")
    linker = stratavm.Linker(engine)
    linker.define("e", "peer", lambda: asyncio.sleep(PEER_S))
    found = stratavm.Module(SOURCE, engine)
    found.compile_all()
    return linker.instantiate_pre(found)


def turns_of(pre: Any, seconds: float) -> int:
    """Turns of the guest's loop that take so long."""
    serve, turns = pre.instantiate(stratavm.Store(pre.module.engine)).exports.serve, 100_000
    best = math.inf
    for _ in range(9):
        began = time.thread_time()
        serve(turns, 0)
        best = min(best, time.thread_time() - began)
    return max(1, int(turns * seconds / best))


async def closed(pre: Any, size: int, callers: int, turns: int, awaits: int) -> float:
    """Calls per second that so many callers reach, each as soon as the last one is answered."""
    done, ends = 0, _now() + SECONDS / 2

    async with Fixed(pre, size) as pool:

        async def caller() -> None:
            nonlocal done
            while _now() < ends:
                await pool.call(turns, awaits)
                done += 1

        began = _now()
        await asyncio.gather(*(caller() for _ in range(callers)))
        return done / (_now() - began)


async def open_loop(make: Callable[[], Any], load: Load) -> Outcome:
    """Calls at their times, whatever has become of earlier ones; a pool that is far too small is not waited for."""
    loop, delays = asyncio.get_running_loop(), list[float]()
    async with make() as pool:
        began = loop.time()
        before = pool.used()

        async def one(at: float) -> None:
            await pool.call(load.turns, load.awaits)
            delays.append(loop.time() - began - at)

        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE * SECONDS), asyncio.TaskGroup() as group:
                for at in load.arrivals:
                    if (left := began + at - loop.time()) > 0:
                        await asyncio.sleep(left)
                    group.create_task(one(at))
        wall = loop.time() - began
        busy, capacity = (after - since for after, since in zip(pool.used(), before, strict=True))
    unanswered = [math.inf] * (len(load.arrivals) - len(delays))
    return Outcome(len(delays) / wall, percentile([*delays, *unanswered], 0.99), busy / capacity)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]


def at_random(rate: float, seed: int) -> tuple[float, ...]:
    """Times with exponential gaps."""
    draw, at, found = random.Random(seed), 0.0, list[float]()
    while (at := at + draw.expovariate(rate)) < SECONDS:
        found.append(at)
    return tuple(found)


def loads(rates: tuple[float, float], turns: int, seed: int) -> dict[str, Load]:
    """The three of them; ``turns`` take a millisecond."""
    bursts = tuple(0.2 * i for i in range(round(SECONDS / 0.2)) for _ in range(60))
    return {
        "computes": Load(turns, 0, at_random(rates[0], seed)),
        "waits": Load(0, 3, at_random(rates[1], seed)),
        "bursts": Load(turns // 5, 1, bursts),
    }


def best_size(found: dict[int, dict[str, Outcome]]) -> int:
    """The fixed size that is best for the loads together."""
    names = next(iter(found.values())).keys()
    top = {name: max(of[name].throughput for of in found.values()) for name in names}
    able = [n for n, of in found.items() if all(of[k].throughput >= LEAST_OF_BEST * top[k] for k in names)]
    return min(able or found, key=lambda n: (geometric_mean(of.p99 for of in found[n].values()), n))


def median_of(outcomes: Sequence[Outcome]) -> Outcome:
    """Of each figure."""
    return Outcome(*(statistics.median(getattr(o, k) for o in outcomes) for k in ("throughput", "p99", "used")))


def measure(rounds: int) -> Iterator[Row]:
    """The grid in rounds of its own, then the size that is best in it and ours in turn; a row for each load and figure,
    and one for that size."""
    yield from asyncio.run(_measure(rounds))


async def _measure(rounds: int) -> list[Row]:
    pre = module()
    turns = turns_of(pre, 0.001)
    rates = (await closed(pre, 16, 16, turns, 0) / 2, await closed(pre, 128, 128, 0, 3) / 2)
    grid: dict[int, dict[str, list[Outcome]]] = {n: {} for n in GRID}
    for seed in range(min(rounds, GRID_ROUNDS)):
        for name, load in loads(rates, turns, seed).items():
            for size in GRID:
                grid[size].setdefault(name, []).append(await open_loop(lambda size=size: Fixed(pre, size), load))
    size = best_size({n: {name: median_of(found) for name, found in of.items()} for n, of in grid.items()})
    fixed: dict[str, list[Outcome]] = {}
    ours: dict[str, list[Outcome]] = {}
    for seed in range(GRID_ROUNDS, GRID_ROUNDS + rounds):
        for name, load in loads(rates, turns, seed).items():
            fixed.setdefault(name, []).append(await open_loop(lambda: Fixed(pre, size), load))
            ours.setdefault(name, []).append(await open_loop(lambda: Ours(pre), load))
    rows = [row for name in ours for row in rows_of(name, median_of(ours[name]), median_of(fixed[name]))]
    return [*rows, Row(SUITE, "size that is best for the loads together", "", {FIXED: float(size)})]


def rows_of(name: str, ours: Outcome, theirs: Outcome) -> list[Row]:
    """Of one load."""
    figures = (("in use", "", 1.0, "used"), ("p99", "ms", 1e3, "p99"), ("throughput", "/s", 1.0, "throughput"))
    return [
        Row(SUITE, f"{name}, {what}", unit, {OURS: scale * getattr(ours, field), FIXED: scale * getattr(theirs, field)})
        for what, unit, scale, field in figures
    ]


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """On the gain, and that throughput and p99 are not worse."""
    own = {row.name: row for row in rows if row.suite == SUITE}
    found = []
    for load in LOADS:
        if f"{load}, p99" in own:
            slower = own[f"{load}, throughput"].ratio(FIXED, OURS)
            later = own[f"{load}, p99"].ratio(OURS, FIXED)
            assert slower is not None and later is not None
            limit = round(1 / LEAST_THROUGHPUT, 3)
            found.append(Verdict(f"pool, {load}: throughput, fixed by ours", slower, None, limit))
            found.append(Verdict(f"pool, {load}: p99, ours by fixed", later, None, MOST_P99))
    gains = [row.ratio(FIXED, OURS) for name, row in own.items() if name.endswith(", in use")]
    if gains:
        mean = geometric_mean(gain for gain in gains if gain)
        found.append(Verdict("pool, all loads: instances in use, fixed by ours", mean, None, 1 / LEAST_GAIN))
    return found
