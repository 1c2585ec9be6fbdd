"""Scenarios of threads that compile in the background: forks, withdrawals and ends while they are busy."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import sys
import threading
import time
from collections.abc import Callable
from random import Random
from typing import Final, Literal

import stratavm
from stratavm.base.errors import Closed
from stratavm.native import background
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from stratavm.tiers.tier import CompileExecutor, ThreadExecutor
from stratavm.tiers.work import Work
from tests.forks import forked
from tests.fuzz.whims import Beside, Whims
from tests.torture.measure import repeat, together
from tests.unit.native import drill
from tests.unit.native.drill import Drill

FUNCTIONS: Final = 127
"""Of a module: a tree of calls. It has fewer than 64 KiB, so that it is compiled each time: code of larger ones is kept
in files."""


class Unreliable(ThreadExecutor):
    """Does background work at once, soon, on several threads, with later work, never, or leaves it to others."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.kept: list[Work] = []

    def submit(self, work: Work) -> bool:
        """Whether it says that it will be done."""
        what = self.random.randrange(7)
        if what == 0:
            work()
            return self.random.random() < 0.8
        if what == 1:
            self.kept.append(work)
        elif what == 2:
            return work.begin() or work()
        for _ in range(max(0, what - 3)):
            threading.Thread(target=self.turn, args=(work, self.random.random() * 2e-3), daemon=True).start()
        return what != 3

    def turn(self, work: Work, after: float) -> None:
        """On a thread."""
        time.sleep(after)
        while work():
            pass
        for other in self.kept[-2:]:
            other()


def executors(random: Random) -> dict[type[CompileExecutor], CompileExecutor]:
    """The services of an engine that has an executor of either kind."""
    return {CompileExecutor: random.choice((ThreadExecutor(helped=True), Unreliable(random)))}


def program(random: Random) -> tuple[bytes, int]:
    """A module whose ``run`` calls each of its functions once, and what that returns for 0."""
    constants = [random.randrange(1 << 20) for _ in range(FUNCTIONS)]
    functions = []
    for i, constant in enumerate(constants):
        calls = "".join(f"(local.set 0 (call $f{k} (local.get 0)))" for k in (2 * i + 1, 2 * i + 2) if k < FUNCTIONS)
        nothing = f"(local.set 0 (i32.xor (local.get 0) (i32.const {constant})))" * (2 * random.randrange(30))
        loop = ""
        if random.random() < 0.3:
            again = "(br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1))))"
            loop = f"(local.set 1 (i32.const {random.randrange(1, 9)})) (loop {nothing} {again})"
        functions.append(
            f"(func $f{i} (param i32) (result i32) (local i32) {nothing}{loop}{calls}"
            f"(i32.add (local.get 0) (i32.const {constant})))"
        )
    text = f'(module {"".join(functions)} (export "run" (func $f0)))'
    return stratavm.Module(text).model.binary, sum(constants)


def fork(child_does: Callable[[], bool]) -> None:
    """A child that does something and ends; it has to be right, and to come to an end."""
    assert forked(child_does)


def helper_threads(random: Random, seconds: float) -> int:
    """Jobs of every kind are submitted, offered, visited and taken back by threads, while others fork and change the
    limit."""
    pieces = (drill.COUNT, drill.SPIN, drill.DEAF, drill.TURN)

    def child(jobs: list[Drill]) -> bool:
        background.limit_threads(8)  # of the jobs that were queued, some never make room for others
        done = all(job.submit() for job in jobs) and drill.soon(lambda: jobs[0].rounds > 0)
        for job in jobs:
            job.withdraw()
        return done and all(job.state == drill.IDLE for job in jobs)

    def work(seed: int, jobs: list[Drill]) -> None:
        chance = Random(seed)
        for _ in range(60):
            job = chance.choice(jobs)
            what = chance.random()
            if what < 0.4:
                job.submit()
            elif what < 0.6:
                job.offer()
            elif what < 0.7 and job not in jobs[:2]:
                job.lend(chance.random() / 100)
            elif what < 0.75:
                job.recall()
            else:
                job.withdraw()
            if chance.random() < 0.03:
                background.limit_threads(chance.choice((1, 2, 3)))

    def round_() -> None:
        background.limit_threads(random.choice((1, 2, 3)))
        counter = ctypes.c_uint64()
        kinds = (random.choice(pieces), drill.SPIN, *random.choices((drill.COUNT, drill.DEAF, drill.TURN), k=4))
        jobs = [Drill(piece, random.randrange(100), ctypes.addressof(counter)) for piece in kinds]  # two may never end
        mine = [Drill(drill.COUNT, 5)]
        together(
            *(functools.partial(work, random.randrange(1 << 30), jobs) for _ in range(3)),
            *(functools.partial(fork, functools.partial(child, mine)) for _ in range(2)),
        )
        for job in (*jobs, *mine):
            job.withdraw()
        status = background.helper_status()
        assert status["queued"] == 0 and status["living"] <= 3, status
        before = [job.rounds for job in jobs]
        time.sleep(0.001)
        assert before == [job.rounds for job in jobs], "a thread has a job that was taken back"

    return repeat(seconds, round_)


def compiled_ahead(random: Random, seconds: float) -> int:
    """Modules go while their functions are compiled; forks, collections and whole compilations come in between."""

    def call(source: bytes, result: int, tier: str, whole: bool) -> bool:
        module = stratavm.Module(source, engine=stratavm.Engine(tier=tier, threads=2, services=executors(random)))
        exports = stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module).exports
        if whole:
            together(module.compile_all, lambda: exports.run(0))
        return exports.run(0) == result and exports.run(1) == result + 1

    def drop(source: bytes) -> None:
        engine = stratavm.Engine(tier=random.choice(("jit0", "jit1")), threads=2, services=executors(random))
        module = stratavm.Module(source, engine=engine)
        exports = stratavm.Linker(engine).instantiate(stratavm.Store(engine), module).exports
        threading.Thread(target=lambda: exports.run(0)).start()
        time.sleep(random.random() * 2e-3)

    programs = [program(random) for _ in range(4)]

    def round_() -> None:
        background.limit_threads(random.choice((0, 1, 2)))
        source, result = random.choice(programs)
        tier = random.choice(("jit0", "jit1"))
        task = functools.partial(call, source, result, tier, random.random() < 0.5)

        def right() -> None:
            assert task()

        jobs = [right, right, functools.partial(drop, source), functools.partial(fork, task), gc.collect]
        together(*random.sample(jobs, random.randrange(1, len(jobs) + 1)))
        fork(task)

    return repeat(seconds, round_)


def policies(random: Random) -> Policy:
    """When functions change their level: before their first call, after some, at random; or loops at their polls, on
    this thread or beside it."""
    polls = random.choice((1, 2, Beside(1), Beside(2)))
    return random.choice(
        (
            Thresholds(random.choice((1, 2, 5)), random.choice((1, 3)), calls_waited=random.choice((1, 50))),
            Thresholds(0, 1, calls_waited=0),
            Thresholds(1, 1, calls_waited=1),
            Whims(),
            Thresholds(MOST_CALLS, ticks=False, polls=polls),
            Thresholds(random.choice((0, 1, 3)), 1, polls=polls),
        )
    )


def lifted_beside(random: Random, seconds: float) -> int:
    """Functions and loops are compiled again while they run; instances, stores, engines and modules go meanwhile, and
    forks and collections come in between."""

    def world(source: bytes) -> tuple[stratavm.Engine, stratavm.Module]:
        services = {Policy: policies(random), **executors(random)}
        engine = stratavm.Engine(tier="auto", threads=2, services=services)
        return engine, stratavm.Module(source, engine=engine)

    def calls(module: stratavm.Module, result: int, count: int) -> bool:
        with stratavm.Store(module.engine) as store:
            exports = stratavm.Linker(module.engine).instantiate(store, module).exports
            return all(exports.run(i) == result + i for i in range(count))

    def call_until_closed(module: stratavm.Module) -> None:
        with contextlib.suppress(Closed):
            calls(module, 0, 3)

    def end_early(engine: stratavm.Engine, module: stratavm.Module) -> None:
        threading.Thread(target=call_until_closed, args=(module,)).start()
        time.sleep(random.random() * 2e-3)
        if random.random() < 0.3:
            engine.close()

    programs = [program(random) for _ in range(4)]

    def round_() -> None:
        background.limit_threads(random.choice((0, 1, 1, 2)))
        source, result = random.choice(programs)
        _, module = world(source)

        def right() -> None:
            assert calls(module, result, random.randrange(2, 12))

        def in_child() -> bool:
            return calls(module, result, 4) and calls(world(source)[1], result, 4)

        jobs = [right, right, functools.partial(end_early, *world(source)), functools.partial(fork, in_child)]
        together(*random.sample(jobs, random.randrange(1, len(jobs) + 1)), gc.collect)
        fork(in_child)

    return repeat(seconds, round_)


def exit_while_compiling(random: Random, seconds: float) -> int:
    """The interpreter ends while threads are busy, with drills and functions. (The exit status is what matters.)"""
    sys.setswitchinterval(1e-5)
    background.limit_threads(3)
    spins = [Drill(drill.SPIN) for _ in range(2)]
    assert all(job.submit() for job in spins)
    source, _ = program(random)

    def work(tier: Literal["jit0", "auto"]) -> None:
        while True:
            services = {Policy: Thresholds(1, 1), **executors(random)}
            module = stratavm.Module(source, engine=stratavm.Engine(tier=tier, threads=2, services=services))
            exports = stratavm.Linker(module.engine).instantiate(stratavm.Store(module.engine), module).exports
            for i in range(4):
                exports.run(i)

    for tier in ("jit0", "auto"):
        threading.Thread(target=work, args=(tier,), daemon=True).start()
    time.sleep(0.05 + random.random() / 10)
    keep.extend(spins)
    return 1


keep: Final[list[Drill]] = []
"""What is there until the end."""
