"""The fault campaign of acceptance row CORE-2: ``python -m tests.campaign``.

A service answers requests with a guest: it fetches a number from the host, logs a line to a file, keeps some memory.
Each class of faults has its own run of ``REQUESTS`` requests, and its faults come at fixed requests. A request has
failed if its caller gets an exception or a wrong answer. Three services meet the same faults:

* ``off``: one instance, exceptions are caught, the next request goes on.
* ``replaced``: ``Recovering`` without retries: after a failure the next request gets a fresh instance.
* ``on``: ``Recovering`` with retries.

``off`` is the baseline of the row; ``replaced`` is what a careful user would write by hand, so both are compared.
What no recovery can help stays in the campaign: calls that somebody cancels, requests that always trap. What needs none
does, too: where the fault is a corrupt cache, every kept entry is damaged and the service starts anew; a damaged entry
is a miss, with recovery and without, and the run fails unless the damage was met.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import stratavm
from stratavm.engine.codecache import CodeNotKept, CodeRestored
from stratavm.testing import EventRecorder
from stratavm.wasi import MemoryTree, Quotas

REQUESTS: Final = 200
EVERY: Final = 10
"""Faults that come one by one hit every tenth request."""
DEADLINE_S: Final = 10.0
"""Of a request: none takes that long, also on a busy machine."""
TIME_OUT_S: Final = 0.2
"""Of a request where time-outs are the fault."""
SLOW_S: Final = 0.3
MEMORY_PAGES: Final = 64
LOG_BYTES: Final = 1 << 10
GUEST: Final = r"""(module
  (import "env" "fetch" (func $fetch (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\01\00\00\00\04\00\00")  ;; 1024 bytes at 256
  (data (i32.const 64) "log")
  (global $log (mut i32) (i32.const -1))
  (func $check (param i32) (if (local.get 0) (then (unreachable))))
  (func (export "answer") (param $n i32) (param $log i32) (param $leak i32) (result i32) (local $x i32)
    (if (i32.lt_s (local.get $n) (i32.const 0)) (then (unreachable)))
    (if (local.get $leak) (then
      (call $check (i32.eq (memory.grow (i32.const 1)) (i32.const -1)))))
    (local.set $x (call $fetch (local.get $n)))
    (if (local.get $log) (then
      (if (i32.lt_s (global.get $log) (i32.const 0)) (then
        (call $check (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 3) (i32.const 1)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16)))
        (global.set $log (i32.load (i32.const 16)))))
      (call $check (call $write (global.get $log) (i32.const 0) (i32.const 1) (i32.const 20)))))
    (loop $spin (br_if $spin (i32.eq (call $fetch (i32.const -1)) (i32.const 1))))
    (i32.add (local.get $x) (i32.const 1)))
  (data "%s"))""" % ("x" * (1 << 16))
"""Large enough for its code to be kept."""
ASYNC_GUEST: Final = """(module (import "env" "fetch" (func $fetch (param i32) (result i32)))
  (func (export "answer") (param i32) (result i32) (i32.add (call $fetch (local.get 0)) (i32.const 1))))"""


@dataclass
class World:
    """What the host does to the guests of one run; ``request`` is the one that is answered, ``tries`` how often."""

    fault: str
    request: int = 0
    tries: int = 0
    slow_until: float = 0.0
    store: stratavm.Store | None = None
    engine: stratavm.Engine = field(default_factory=lambda: stratavm.Engine(max_memory_bytes=MEMORY_PAGES << 16))

    def hit(self) -> bool:
        """Whether this request has a fault that comes one by one."""
        return self.request % EVERY == EVERY - 1

    def fetch(self, n: int) -> int:
        """The guest's import: a number; for -1, whether to go on spinning."""
        if n == -1:
            return int(time.monotonic() < self.slow_until)
        self.tries += 1
        self.slow_until = 0.0
        if self.fault == "host exception" and self.hit() and self.tries == 1:
            raise ConnectionError("the other side hung up")
        if self.fault == "cancel" and self.hit():
            assert self.store is not None
            self.store.interrupt()
        if self.fault == "time-out" and self.hit() and self.tries == 1:
            self.slow_until = time.monotonic() + SLOW_S
        return n * 2

    def make(self) -> stratavm.Instance:
        """A store, its WASI world, and an instance."""
        quotas = Quotas(written_bytes=64 * LOG_BYTES if self.fault == "no space" else 1 << 30)
        wasi = stratavm.Wasi(preopens=[(MemoryTree(), "/")], quotas=quotas, engine=self.engine)
        linker = stratavm.Linker(self.engine)
        linker.define_namespaces(wasi.namespaces())
        linker.define("env", "fetch", self.fetch)
        self.store = stratavm.Store(self.engine)
        return linker.instantiate(self.store, stratavm.Module(GUEST, engine=self.engine))

    def deadline(self) -> float:
        """Of every request, in seconds."""
        return TIME_OUT_S if self.fault == "time-out" else DEADLINE_S

    def arguments(self) -> tuple[int, int, int]:
        """Of the present request: number, whether to log, whether to keep memory."""
        bad = self.fault == "bad request" and self.hit()
        return (-5 if bad else self.request, int(self.fault == "no space"), int(self.fault == "no memory"))


FAULTS: Final = ("host exception", "no space", "no memory", "cancel", "time-out", "bad request", "corrupt cache")
Call = Callable[..., Any]


def off(world: World) -> Call:
    """One instance for all requests."""
    instance = world.make()

    def call(*args: int) -> Any:
        with instance.store.deadline(world.deadline()):
            return instance.exports.answer(*args)

    return call


def replaced(world: World) -> Call:
    """A fresh instance after a failure."""
    service = stratavm.Recovering(world.make, deadline=world.deadline())
    return lambda *args: service.call("answer", *args)


def on(world: World) -> Call:
    """And another try."""
    restart = stratavm.Restart(first_s=0.001, attempts=2)
    service = stratavm.Recovering(world.make, deadline=world.deadline(), restart=restart)
    return lambda *args: service.call("answer", *args)


SERVICES: Final[dict[str, Callable[[World], Call]]] = {"off": off, "replaced": replaced, "on": on}


MEMORY: Final = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where files lie that are damaged by the thousand: a disk would be waited for each time that one is written anew."""


@contextmanager
def cache_of_its_own(beneath: str | None = None) -> Iterator[Path]:
    """Kept code in a folder of this run's, whatever the environment says; where its entries lie."""
    names = ("STRATA_CACHE", "XDG_CACHE_HOME", "XDG_STATE_HOME")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(dir=beneath) as folder:
        os.environ.update(STRATA_CACHE="on", XDG_CACHE_HOME=f"{folder}/cache", XDG_STATE_HOME=f"{folder}/state")
        try:
            yield Path(folder, "cache/stratavm/code")
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


def damage(folder: Path, chance: random.Random) -> None:
    """A bit of each kept entry."""
    for entry in folder.iterdir():
        data = bytearray(entry.read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        entry.write_bytes(data)


def failures_with_a_corrupt_cache(service: Callable[[World], Call], requests: int = REQUESTS) -> int:
    """How many requests of a run failed in which the service starts anew on damaged entries, every so often."""
    chance = random.Random(1)
    with cache_of_its_own(MEMORY) as folder:
        world = World("corrupt cache")
        with EventRecorder(world.engine.bus) as recorder:
            call, failed, met = service(world), 0, 0
            for world.request in range(requests):
                if world.hit():
                    del call
                    world.store = None
                    gc.collect()  # its code is kept now
                    damage(folder, chance)
                    call = service(world)
                    met += 1
                failed += _fails(world, call)
            world.engine.bus.drain()
        seen = {kind: sum(type(event) is kind for event in recorder.events) for kind in (CodeNotKept, CodeRestored)}
        if seen[CodeNotKept] < met or seen[CodeRestored]:
            raise AssertionError(f"{met} damaged starts, but {seen}")
    return failed


def _fails(world: World, call: Call) -> bool:
    """Whether a request fails."""
    world.tries = 0
    try:
        return bool(call(*world.arguments()) != world.request * 2 + 1)
    except (stratavm.StrataError, OSError):
        return True


def failures(fault: str, service: Callable[[World], Call], requests: int = REQUESTS) -> int:
    """How many requests of a run failed."""
    if fault == "corrupt cache":
        return failures_with_a_corrupt_cache(service, requests)
    world = World(fault)
    call = service(world)
    return sum(_fails(world, call) for world.request in range(requests))


def campaign(requests: int = REQUESTS) -> dict[str, dict[str, int]]:
    """Failed requests by fault and service; ``all`` has the sums."""
    table = {fault: {name: failures(fault, s, requests) for name, s in SERVICES.items()} for fault in FAULTS}
    table["all"] = {name: sum(row[name] for row in table.values()) for name in SERVICES}
    return table


def cancelled_tasks(requests: int = REQUESTS) -> dict[str, int]:
    """The asynchronous path: failed requests where every tenth task is cancelled while its guest waits for the host;
    ``off`` is one instance that is called by ``call_async``, ``pool`` a coroutine pool."""
    return {name: asyncio.run(_cancelled(service, requests)) for name, service in (("off", _alone), ("pool", _pooled))}


async def _cancelled(service: Callable[[stratavm.InstancePre], Any], requests: int) -> int:
    failed = 0
    waits = asyncio.Event()

    async def fetch(n: int) -> int:
        waits.set()
        await asyncio.sleep(3600 if n % EVERY == EVERY - 1 else 0)
        return n * 2

    engine = stratavm.Engine()
    linker = stratavm.Linker(engine)
    linker.define("env", "fetch", fetch)
    pre = linker.instantiate_pre(stratavm.Module(ASYNC_GUEST, engine))
    async with service(pre) as call:
        for request in range(requests):
            waits.clear()
            task = asyncio.create_task(call(request))
            if request % EVERY == EVERY - 1:
                waiting = asyncio.create_task(waits.wait())
                await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                task.cancel()
            answer = (await asyncio.gather(task, return_exceptions=True))[0]
            failed += answer != request * 2 + 1
    return failed


@asynccontextmanager
async def _alone(pre: stratavm.InstancePre) -> AsyncIterator[Call]:
    yield pre.instantiate(stratavm.Store(pre.module.engine)).exports.answer.call_async


@asynccontextmanager
async def _pooled(pre: stratavm.InstancePre) -> AsyncIterator[Call]:
    async with stratavm.Pool(pre) as pool:
        yield lambda *args: pool.call("answer", *args)


def reduction(table: dict[str, dict[str, int]], baseline: str) -> float:
    """By what share recovery lowers the error rate of a baseline."""
    return 1 - table["all"]["on"] / table["all"][baseline]


def main() -> int:
    """Print the table; non-zero if either reduction is below a half."""
    table = campaign()
    for fault, row in table.items():
        of = REQUESTS * len(FAULTS) if fault == "all" else REQUESTS
        print(f"{fault:16}" + "".join(f"  {name} {count:4} of {of}" for name, count in row.items()))
    row = cancelled_tasks()
    print(f"{'cancelled task':16}" + "".join(f"  {name} {count:4} of {REQUESTS}" for name, count in row.items()))
    shares = {name: round(reduction(table, name), 3) for name in ("off", "replaced")}
    print(json.dumps({"reduction against": shares}))
    return int(min(shares.values()) < 0.5)


if __name__ == "__main__":
    sys.exit(main())
