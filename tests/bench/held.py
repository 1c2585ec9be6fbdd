"""ASYNC-1: how long the thread of an event loop is held at a stretch, while guests do what takes long (ADR-0038).

A callback looks at each turn of the loop what processor time the thread has used since the last one. The most of it is
the stretch; other threads and processes do not count. Beside it stands what somebody would notice, by the wall: how
long the turns are, at most, in which 99.9 % of all moments lie (of less than a thousand such turns, the longest one).
Threads that work take the GIL from the loop for 5 ms and more, so that is no better than CPython's.

A guest that computes is suspended at a tick, after one to two thirds of ``sys.getswitchinterval()``, which is 5 ms; a
bulk operation behind a part. Rows "at 2 ms" tell what whoever wants less can have.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import stratavm
from tests.bench.held_wasi import World
from tests.bench.measure import Row

SUITE: Final = "held"
STRETCH: Final = "processor, at a stretch"
WALL: Final = "wall p99.9"
MOST_MS: Final = 5.0
"""Of the loop's thread, at a stretch."""
LOOPS: Final = 10_000
FUNCTIONS: Final = 8_000
SLOW_ROUNDS: Final = 3
"""At most, of what takes a second."""
NOT_ASYNCHRONOUS: Final = ("Store.close",)
"""Printed beside: they say that they hold the loop, and what is to be called there."""
SHORT_TICK_S: Final = 0.002
PARKING_S: Final = 0.3
"""Until the ticker has parked, where no guest runs: twenty ticks, and as much again and more."""
OTHER: Final = """(module (memory (export "memory") 4096) (table $t 5000000 funcref) (table $u 5000000 funcref)
  (table $v 0 funcref) (elem declare func $f) (func $f)
  (data $d "{data}")
  (func (export "memory.fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 0xfff0000)))
  (func (export "memory.copy") (memory.copy (i32.const 4096) (i32.const 0) (i32.const 0xff00000)))
  (func (export "memory.init") (memory.init $d (i32.const 0) (i32.const 0) (i32.const {size})))
  (func (export "table.fill") (table.fill $t (i32.const 0) (ref.null func) (i32.const 5000000)))
  (func (export "table.copy") (table.copy $t $u (i32.const 0) (i32.const 0) (i32.const 5000000)))
  (func (export "table.grow") (drop (table.grow $u (ref.null func) (i32.const 1000000))))
  (func (export "table.grow, of a function") (drop (table.grow $v (ref.func $f) (i32.const 5000000))))
  (func (export "a guest that computes") (local i32)
    (local.set 0 (i32.const {turns})) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"""
TURNS: Final = 100_000_000
OPERATIONS: Final = (
    "memory.fill",
    "memory.copy",
    "memory.init",
    "table.fill",
    "table.copy",
    "table.grow",
    "table.grow, of a function",
    "a guest that computes",
)
DATA_BYTES: Final = 8 << 20

Figures = dict[str, float]
"""Milliseconds by column."""


class Stretches:
    """What each turn of the loop took."""

    def __init__(self) -> None:
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self._runs = True
        self._cpu, self._wall = time.thread_time(), time.perf_counter()

    def look(self) -> None:
        """Once in a turn."""
        cpu, wall = time.thread_time(), time.perf_counter()
        self.cpu_s.append(cpu - self._cpu)
        self.wall_s.append(wall - self._wall)
        self._cpu, self._wall = cpu, wall
        if self._runs:
            asyncio.get_running_loop().call_soon(self.look)

    def end(self) -> None:
        """Look no more."""
        self._runs = False

    def figures(self) -> Figures:
        """Of all turns."""
        ordered, total, seen, wall = sorted(self.wall_s), sum(self.wall_s), 0.0, 0.0
        for wall in ordered:
            seen += wall
            if seen >= 0.999 * total:
                break
        return {STRETCH: max(self.cpu_s) * 1e3, WALL: wall * 1e3}


@asynccontextmanager
async def watched() -> AsyncIterator[Stretches]:
    """Look at the loop meanwhile; what earlier rounds left is collected before."""
    gc.collect()
    found = Stretches()
    found.look()
    try:
        yield found
    finally:
        await asyncio.sleep(0)
        found.end()
        await asyncio.sleep(0)


def measure(rounds: int) -> Iterator[Row]:
    """The longest stretch of each round, their median; the wall likewise."""
    for name, once, slow in _all():
        found = [asyncio.run(once()) for _ in range(min(rounds, SLOW_ROUNDS) if slow else rounds)]
        columns = {key: [figures[key] for figures in found] for key in found[0]}
        yield Row(SUITE, name, "ms", {key: statistics.median(column) for key, column in columns.items()}, columns)


def failures(rows: list[Row]) -> list[str]:
    """What holds the loop's thread for longer than was said."""
    return [
        f"{row.name}: {row.values[STRETCH]:.1f} ms of the loop's thread at a stretch, at most {MOST_MS:.0f}"
        for row in rows
        if row.suite == SUITE and row.name not in NOT_ASYNCHRONOUS and row.values[STRETCH] > MOST_MS
    ]


Once = Callable[[], Coroutine[Any, Any, Figures]]


def _all() -> Iterator[tuple[str, Once, bool]]:
    """Name, what is measured, whether it takes long."""
    yield "nothing", _idle, False
    yield from _modules()
    yield from _operations()
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        for name in world.functions:
            yield name, partial(_system_call, world, name), False


async def _idle() -> Figures:
    async with watched() as seen:
        await asyncio.sleep(0.1)
    return seen.figures()


# ---- modules ---------------------------------------------------------------------------------------------------------


def huge_function() -> str:
    """One that takes long to compile."""
    turn = "(local.set 0 (i32.const 1)) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))"
    return f'(module (func (export "f") (param i32) {turn * LOOPS}))'


def many_functions() -> str:
    """A module that takes long to load, and has much to initialise."""
    body = "".join(
        f"(func $f{i} (param i32) (result i32) (i32.add (local.get 0) (i32.const {i})))" for i in range(FUNCTIONS)
    )
    names = " ".join(f"$f{i}" for i in range(FUNCTIONS))
    data = "x" * 65536
    pieces = "".join(f'(data (i32.const {i << 16}) "{data}")' for i in range(64))
    return f"(module {body} (memory 1024) {pieces} (table {FUNCTIONS} funcref) (elem (i32.const 0) {names}))"


def _modules() -> Iterator[tuple[str, Once, bool]]:
    engine = stratavm.Engine(tier="jit0")
    text = many_functions()
    big = stratavm.Module(text, engine)
    binary, huge = big.model.binary, stratavm.Module(huge_function(), engine).model.binary
    yield "Module.load_async, text", partial(_load, engine, text), True
    yield "Module.load_async, binary", partial(_load, engine, binary), False
    yield "Module.load_async, compiled", partial(_load, engine, binary, compile=True), True
    yield "Linker.instantiate_async", partial(_instantiate, engine, big), False
    for tier in ("jit0", "jit1"):
        yield f"first call of a huge function, {tier}", partial(_first_call, tier, huge), True


async def _load(engine: stratavm.Engine, source: str | bytes, **options: Any) -> Figures:
    async with watched() as seen:
        module = await stratavm.Module.load_async(source, engine, **options)
    del module
    return seen.figures()


async def _instantiate(engine: stratavm.Engine, module: stratavm.Module) -> Figures:
    linker, store = stratavm.Linker(engine), stratavm.Store(engine)
    async with watched() as seen:
        await linker.instantiate_async(store, module)
    store.close()
    return seen.figures()


async def _first_call(tier: str, binary: bytes) -> Figures:
    engine = stratavm.Engine(tier=tier)
    module = stratavm.Module(binary, engine)
    call = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module).exports.f
    async with watched() as seen:
        await call.call_async(1)
    return seen.figures()


# ---- instances -------------------------------------------------------------------------------------------------------


def _operations() -> Iterator[tuple[str, Once, bool]]:
    engine = stratavm.Engine(tier="jit0")
    other = stratavm.Module(OTHER.format(data="x" * DATA_BYTES, size=DATA_BYTES, turns=TURNS), engine)
    for name in OPERATIONS:
        yield name, partial(_call, engine, other, name), True
        yield f"{name}, at 2 ms", partial(_with_short_ticks, partial(_call, engine, other, name)), True
    yield "Store.close_async", partial(_close, engine, other, True), True
    yield "Store.close", partial(_close, engine, other, False), True


async def _call(engine: stratavm.Engine, module: stratavm.Module, name: str) -> Figures:
    store = stratavm.Store(engine)
    call = stratavm.Linker(engine).instantiate(store, module).exports[name]
    async with watched() as seen:
        await call.call_async()
    store.close()
    return seen.figures()


async def _with_short_ticks(once: Once) -> Figures:
    """The ticker reads the interval when it is woken, so it is left to park before, and afterwards."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SHORT_TICK_S)
    time.sleep(PARKING_S)
    try:
        return await once()
    finally:
        sys.setswitchinterval(before)
        time.sleep(PARKING_S)


async def _close(engine: stratavm.Engine, module: stratavm.Module, asynchronous: bool) -> Figures:
    store = stratavm.Store(engine)
    await stratavm.Linker(engine).instantiate(store, module).exports["memory.fill"].call_async()
    async with watched() as seen:
        if asynchronous:
            await store.close_async()
        else:
            store.close()
    return seen.figures()


# ---- system calls ----------------------------------------------------------------------------------------------------


async def _system_call(world: World, name: str) -> Figures:
    with world.guest(name) as call:
        async with watched() as seen:
            await call()
    return seen.figures()
