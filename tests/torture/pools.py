"""Pools for a long time: calls of every kind, ended in every way, in three pools of one loop; forks meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from functools import partial
from random import Random
from typing import Any, Final

import stratavm
from stratavm.base.errors import DeadlineExceeded, Interrupted, Trap
from stratavm.runtime.stacks import stack_status
from tests.forks import forked
from tests.torture.fibers import GUEST
from tests.torture.measure import repeat

PURE: Final = """(module (import "e" "f" (func $f (param i32) (result i32)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "sum") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "spin") (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "load") (param i32) (result i32) unreachable))"""
CALLS: Final = 40
GROWN_THREADS: Final = 8
"""Of the executor, of the compiler and the ticker: they begin when they are wanted."""
ENDS: Final = (
    LookupError,
    Trap,
    DeadlineExceeded,
    Interrupted,
    stratavm.Rejected,
    TimeoutError,
    asyncio.CancelledError,
)


class World:
    """What is beside an instance, with a descriptor of its own."""

    def __init__(self) -> None:
        self._file = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._file)


class Soak:
    """Two pools that live all the time, and one for each round."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.engine = stratavm.Engine()
        self.modules = [stratavm.Module(source, self.engine) for source in (GUEST, PURE)]
        linker = stratavm.Linker(self.engine)
        linker.define("e", "f", self.host)
        self.pres = [linker.instantiate_pre(module) for module in self.modules]
        self.gate: asyncio.Event = asyncio.Event()

    async def host(self, x: int) -> int:
        """Waits in some way, or fails."""
        how = self.random.randrange(12)
        if how == 0:
            raise LookupError
        if how == 1:
            await self.gate.wait()
        elif how < 5:
            await asyncio.sleep(self.random.random() / 1000)
        elif how < 9:
            await asyncio.sleep(0)
        return x

    def make(self, store: stratavm.Store) -> tuple[stratavm.Instance, World]:
        """An instance, and a world; now and then none."""
        if self.random.randrange(20) == 0:
            raise LookupError
        return self.pres[0].instantiate(store), World()

    def pool(self, source: Any) -> stratavm.Pool:
        """A pool of some policy."""
        random = self.random
        policy = stratavm.Policy(
            min_running=1, max_running=random.choice((2, 8, 64)), spare=random.randrange(3),
            max_queued=random.choice((0, 4, 100)), overload=random.choice(("wait", "shed")),
            target_delay=0.001, interval=0.01, quantum=0.001, min_ready=random.randrange(3), max_ready=8,
        )  # fmt: skip
        return stratavm.Pool(source, engine=None if source is self.pres[1] else self.engine, policy=policy)

    async def call(self, pool: stratavm.Pool) -> None:
        """A call of some kind."""
        random = self.random
        name, *arguments = random.choice(
            (("add", 1, 2), ("sum", 3), ("sum", 9), ("spin", 100_000), ("spin", 0), ("load", -1))
        )
        tenant, timeout = str(random.randrange(4)), random.choice((0.002, 0.02, 0.05))
        if random.randrange(3):
            await pool.call(name, *arguments, tenant=tenant, priority=random.randrange(3), timeout=timeout)
            return
        async with pool.instance(tenant=tenant, timeout=timeout) as guest:
            assert await guest.call("add", 1, 2) == 3
            await guest.call(name, *arguments)

    async def ended(self, pool: stratavm.Pool) -> None:
        """A call, and whatever it ends with; some are cancelled."""
        with contextlib.suppress(*ENDS):
            async with asyncio.timeout(self.random.choice((0.001, 0.01, 0.2))):
                await self.call(pool)

    async def burst(self, pools: list[stratavm.Pool], forks: bool) -> None:
        """Calls of all pools at once; then nothing runs, and nothing is left."""
        self.gate = asyncio.Event()
        pools = [*pools, self.pool(self.random.choice((self.make, *self.pres)))]
        async with asyncio.TaskGroup() as group:
            for _ in range(CALLS):
                group.create_task(self.ended(self.random.choice(pools)))
            await asyncio.sleep(self.random.random() / 100)
            if forks:
                self.fork()
            if self.random.randrange(2):
                pools[-1].close()
            self.gate.set()
        await pools[-1].drain()
        pools[-1].close()
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1, asyncio.all_tasks()
        assert stack_status()["taken"] == 0, stack_status()
        for pool in pools:
            self.check(pool)

    def check(self, pool: stratavm.Pool) -> None:
        """What a pool says of itself where nothing runs."""
        seen = pool.metrics()
        assert pool.is_at_rest and seen.running == seen.queued == seen.outside == 0, seen
        assert seen.made == seen.discarded + seen.ready, seen

    def fork(self) -> None:
        """The child has a pool of its own, though guests of its parent wait, and closes what it does not want."""
        assert forked(partial(in_child, self.pres[1]))


def in_child(pre: stratavm.InstancePre) -> bool:
    """Calls in a loop of the child's own."""

    async def main() -> bool:
        async with stratavm.Pool(pre) as pool:
            with contextlib.suppress(DeadlineExceeded):
                await pool.call("spin", 0, timeout=0.005)
            return await asyncio.gather(*(pool.call("add", i, 1) for i in range(20))) == list(range(1, 21))

    asyncio.set_event_loop(None)
    return asyncio.run(main())


def threads() -> int:
    """Of this process, those that Python does not know included."""
    return len(os.listdir("/proc/self/task"))


def pools(random: Random, seconds: float) -> int:
    """Nothing that a pool takes is left behind: tasks, stacks, instances, descriptors, threads, memory."""
    soak, early = Soak(random), 0
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        lasting = [soak.pool(soak.make), soak.pool(soak.pres[1])]
        rounds = 0

        def round_() -> None:
            nonlocal rounds, early
            rounds += 1
            runner.run(soak.burst(lasting, rounds % 16 == 0))
            if rounds == 16:
                early = threads()
            assert not early or threads() <= early + GROWN_THREADS, (early, threads(), threading.enumerate())

        # What is made ahead has a world each; how many there are goes by what was seen of time.
        done = repeat(seconds, round_, lambda: lasting[0].metrics().ready)
        runner.run(ended_of(lasting))
        loop.run_until_complete(asyncio.sleep(0))
    return done


async def ended_of(pools: list[stratavm.Pool]) -> None:
    """Drain them."""
    for pool in pools:
        await pool.drain()
        pool.close()
        assert not pool.metrics().ready
