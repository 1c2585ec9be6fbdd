"""Guests on fibers: loops in several threads, each with many guests that are ended in every way at random."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import threading
from random import Random
from typing import Any, Final

import stratavm
from stratavm.base.errors import Closed, DeadlineExceeded, Interrupted, Trap
from stratavm.runtime.stacks import stack_status
from tests.torture.measure import repeat, together

GUEST: Final = """(module
  (import "e" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $f (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "spin") (param i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)))
  (func (export "load") (param i32) (result i32) (drop (call $f (i32.const 1))) (i32.load (local.get 0)))
  (func $deep (export "deep") (param i32) (result i32)
    (i32.add (call $deep (local.get 0)) (call $f (i32.const 1)))))"""

ENDS: Final = (asyncio.CancelledError, TimeoutError, Interrupted, DeadlineExceeded, Closed, LookupError, Trap)
GUESTS: Final = 20

_module: list[stratavm.Module] = []


async def _one(random: Random) -> None:
    """One guest, some calls, an end."""
    store = stratavm.Store(_module[0].engine)
    linker = stratavm.Linker(_module[0].engine)

    async def f(x: int) -> int:
        how = random.randrange(12)
        if how == 0:
            raise LookupError
        if how == 1:
            assert exports.add(x, 1) == x + 1
        if how == 2:
            assert await exports.add.call_async(x, 1) == x + 1
        if how == 3:
            await asyncio.sleep(random.random() / 500)
        elif how > 6:
            await asyncio.sleep(0)
        return x

    linker.define("e", "f", f)
    exports = linker.instantiate(store, _module[0]).exports

    async def calls() -> None:
        for _ in range(random.randrange(1, 5)):
            n = random.randrange(1, 30)
            assert await exports.sum.call_async(n) == n * (n + 1) // 2
            await exports.spin.call_async(random.randrange(1, 200_000))
            await exports.fill.call_async()
        name, argument = random.choice((("load", -1), ("deep", 1), ("sum", 1 << 30), ("spin", 0)))
        await exports[name].call_async(argument)

    end: Any = random.choice((store.interrupt, store.close, None, None))
    with contextlib.suppress(*ENDS), store.deadline(random.choice((None, 0.005, 0.02, 0.05))):
        async with asyncio.timeout(random.choice((0.001, 0.01, 0.03))):
            task = asyncio.ensure_future(calls())
            try:
                await asyncio.sleep(random.random() / 100)
                if end is not None:
                    with contextlib.suppress(stratavm.StoreBusy):
                        await asyncio.to_thread(end)
                await task
            finally:
                task.cancel()
                while not task.done():  # the time limit around it may come now
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.wait((task,))
                if not task.cancelled():
                    error = task.exception()
                    assert error is None or isinstance(error, ENDS), repr(error)
    assert not store.busy and store.parked is None


def _loop(seed: int) -> None:
    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for i in range(GUESTS):
                group.create_task(_one(Random(seed + i)))

    asyncio.run(main())


def asynchronous_calls(random: Random, seconds: float) -> int:
    """Guests that wait, trap, use up their stacks, are cancelled, interrupted and closed, under profiling signals."""
    if not _module:
        _module.append(stratavm.Module(GUEST))
    signal.signal(signal.SIGPROF, lambda *_: None)
    signal.setitimer(signal.ITIMER_PROF, 0.003, 0.003)
    assert threading.current_thread() is threading.main_thread()

    def round_() -> None:
        seeds = [random.randrange(1 << 30) for _ in range(3)]
        together(*(lambda seed=seed: _loop(seed) for seed in seeds))
        gc.collect()
        status = stack_status()
        assert status["taken"] == 0 and status["slabs"] <= 2, status

    try:
        return repeat(seconds, round_)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
