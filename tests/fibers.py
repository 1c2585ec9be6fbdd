"""CORE-3 for fibers: ``make fibers`` (``python -m tests.fibers``); a short form is in ``make test``.

A cycle is a world, a store, an instance and an asynchronous call that is suspended and ends in one of ten ways; then
all of it is dropped. The first thousand cycles make what is kept for the next one. From then on nothing grows:
descriptors, stacks in use, the slabs that they come from, tasks, stores and instances are what they were; resident
memory, mappings, objects of the collector and references to None may move by less than any way of ending leaves behind
if it leaves one of them a time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import time
import types
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

import stratavm
from stratavm.runtime.stacks import stack_status

GUEST: Final = """(module (import "h" "f" (func $f (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "\\40\\00\\00\\00\\08\\00\\00\\00")
  (func (export "ask") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "trap") (param i32) (result i32) (drop (call $f (local.get 0))) unreachable)
  (func (export "read") (param i32) (result i32)
    (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))))"""
ENDS: Final[dict[str, type[BaseException] | int | None]] = {
    "result": 2,
    "trap": stratavm.Trap,
    "host error": LookupError,
    "cancel": asyncio.CancelledError,
    "deadline": stratavm.DeadlineExceeded,
    "interrupt": stratavm.Interrupted,
    "close": stratavm.Closed,
    "forget": None,
    "read": 0,
    "cancel read": asyncio.CancelledError,
}
"""How a call ends: what it returns or raises. ``forget`` drops a coroutine that waits, as a loop does that ends."""
FUNCTIONS: Final = {"trap": "trap", "read": "read", "cancel read": "read"}
"""Which function of the guest is called, where it is not ``ask``."""
ENDLESS: Final = ("cancel", "deadline", "interrupt", "close", "forget")
"""The host function never answers."""
FIRST: Final = 1_000
SHORT: Final = 100
GROWN_BYTES: Final = 4 << 20
GROWN_MAPPINGS: Final = 50
GROWN: Final = 0.05
"""Objects, and references to None, for each cycle: each way of ending is a tenth of them."""
OURS: Final = (asyncio.Future, asyncio.Task, types.CoroutineType)
"""What is counted beside the classes of the product."""

T = TypeVar("T")


class Grown(AssertionError):
    """Something was left behind."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a process has, that no other work of the machine changes."""

    descriptors: int
    stacks: int
    slabs: int
    tasks: int

    @classmethod
    def now(cls) -> Counts:
        """After a collection."""
        gc.collect()
        stacks = stack_status()
        return cls(len(os.listdir("/proc/self/fd")), stacks["taken"], stacks["slabs"], len(asyncio.all_tasks()))


@dataclass(frozen=True, slots=True)
class Sizes:
    """What may move by a little."""

    resident_bytes: int
    mappings: int
    objects: int
    references_to_none: int

    @classmethod
    def now(cls) -> Sizes:
        """Of this process."""
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        mappings = len(Path("/proc/self/maps").read_text().splitlines())
        return cls(resident, mappings, len(gc.get_objects()), sys.getrefcount(None))


def objects() -> Counter[str]:
    """Those of the product, and what a loop has, by class."""
    found: Counter[str] = Counter()
    for one in gc.get_objects():
        kind = type(one)
        room = str(kind.__module__)
        if kind in OURS or room.startswith("stratavm"):
            found[f"{room}.{kind.__qualname__}"] += 1
    return found


class Cycles:
    """Cycles of one module; guests read ``stream``, a pipe's end; ``writing`` is the descriptor of its other end."""

    def __init__(self, stream: BinaryIO, writing: int) -> None:
        self.stream, self.writing = stream, writing
        self.module = stratavm.Module(GUEST, stratavm.Engine(tier="jit0"))
        self.ended: Counter[str] = Counter()

    async def run(self, count: int) -> None:
        """So many, each way of ending in turn."""
        ways = tuple(ENDS)
        for i in range(count):
            await self.once(ways[i % len(ways)])

    async def once(self, how: str) -> None:
        """One that ends like this."""
        engine = self.module.engine

        async def host(x: int) -> int:
            await asyncio.sleep(0)
            if how == "host error":
                raise LookupError
            if how in ENDLESS:
                await asyncio.get_running_loop().create_future()
            return x + 1

        with stratavm.Wasi(stdin=self.stream) as wasi:
            store, linker = stratavm.Store(engine), stratavm.Linker(engine)
            linker.define("h", "f", host)
            linker.define_namespaces(wasi.namespaces())
            exports = linker.instantiate(store, self.module).exports
            call = exports[FUNCTIONS.get(how, "ask")].call_async(1)
            if how == "forget":
                call.send(None)
                assert store.parked is not None
                del call
                assert store.parked is None
            else:
                await self._end(how, store, asyncio.ensure_future(call))
        self.ended[how] += 1

    async def _end(self, how: str, store: stratavm.Store, task: asyncio.Task[Any]) -> None:
        while store.parked is None and not task.done():
            await asyncio.sleep(0)
        assert not task.done(), "it was not suspended"
        if how == "read":
            os.write(self.writing, bytes(8))
        elif "cancel" in how:
            task.cancel()
        elif how == "deadline":
            store.set_deadline(0.0)
        elif how == "interrupt":
            store.interrupt()
        elif how == "close":
            store.close()
        await asyncio.wait((task,))
        wanted = ENDS[how]
        if isinstance(wanted, type):
            assert task.cancelled() if wanted is asyncio.CancelledError else isinstance(task.exception(), wanted), task
        else:
            assert task.result() == wanted


async def look(cycles: Cycles, first: int, count: int) -> tuple[Counts, Counts]:
    """Counts after the first cycles, and after so many more. What can be counted on any machine is compared.

    Raises:
        Grown: something was left behind.
    """
    await cycles.run(first)
    before, kinds = Counts.now(), objects()
    await cycles.run(count)
    after = Counts.now()
    if after != before:
        raise Grown(f"{before} after {first} cycles, {after} after {count} more")
    grown = {kind: n - kinds[kind] for kind, n in objects().items() if n - kinds[kind] >= max(count * GROWN, 2)}
    if grown:
        raise Grown(f"objects after {count} cycles: {grown}")
    return before, after


def counted(first: int, count: int) -> Counter[str]:
    """``look`` in a loop of its own: how many calls ended how.

    Raises:
        Grown: something was left behind.
    """

    async def main(cycles: Cycles) -> Counter[str]:
        await look(cycles, first, count)
        return cycles.ended

    return _with_a_pipe(main)


def measured(count: int) -> str:
    """So many cycles in all: what there is after the first thousand, what has moved until the end, and the seconds.

    Raises:
        Grown: something was left behind.
    """
    began = time.monotonic()

    async def main(cycles: Cycles) -> str:
        await cycles.run(FIRST)
        gc.collect()
        sizes = Sizes.now()
        before, _ = await look(cycles, len(ENDS), count - FIRST - len(ENDS))
        later = Sizes.now()
        moved = {key: value - getattr(sizes, key) for key, value in asdict(later).items()}
        most = int((count - FIRST) * GROWN)
        limits = (GROWN_BYTES, GROWN_MAPPINGS, most, most)
        said = f"{before}; grown: {moved}; {later}; {dict(cycles.ended)}; {time.monotonic() - began:.0f} s"
        if any(value > limit for value, limit in zip(moved.values(), limits, strict=True)):
            raise Grown(said)
        return said

    return _with_a_pipe(main)


def _with_a_pipe(run: Callable[[Cycles], Coroutine[Any, Any, T]]) -> T:
    reading, writing = os.pipe()

    async def main() -> T:
        return await run(Cycles(stream, writing))

    try:
        with os.fdopen(reading, "rb", buffering=0) as stream:
            return asyncio.run(main())
    finally:
        os.close(writing)


def main() -> int:
    """Run so many; the exit status says whether nothing was left."""
    parser = argparse.ArgumentParser(prog="make fibers", description=__doc__)
    parser.add_argument("--cycles", type=int, default=10_000, help="in all; 2,000 at least")
    parser.add_argument("--short", action="store_true", help="a hundred, and only what can be counted on any machine")
    options = parser.parse_args()
    try:
        if options.short:
            print(dict(counted(2 * len(ENDS), SHORT - 2 * len(ENDS))))
        else:
            print(f"{options.cycles} cycles: {measured(max(options.cycles, 2 * FIRST))}")
    except Grown as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
