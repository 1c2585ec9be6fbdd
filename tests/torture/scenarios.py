"""The scenarios: each is ``scenario(random, seconds) -> rounds`` and raises where a promise is broken."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import random as random_module
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from random import Random
from typing import Any, Final

import stratavm
from stratavm.base.errors import (
    DeadlineExceeded,
    InstancePoisoned,
    Interrupted,
    StackOverflow,
    StoreBusy,
    Trap,
)
from tests.torture.ahead import compiled_ahead, exit_while_compiling, helper_threads, lifted_beside
from tests.torture.clones import clones, clones_with_worlds
from tests.torture.fibers import asynchronous_calls
from tests.torture.kept import kept_exceptions
from tests.torture.measure import repeat, together
from tests.torture.pools import pools
from tests.torture.shared import shared_memories
from tests.torture.updates import updates
from tests.torture.worlds import threads_of_a_world

GUEST: Final = """(module
  (import "e" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1 64)
  (table $t (export "table") 4 externref)
  (global (export "g") (mut i32) (i32.const 0))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "six") (param i32 i64 f32 f64 i32 i64) (result i64 f64) (local.get 5) (local.get 3))
  (func (export "call") (param i32) (result i32) (call $f (local.get 0)))
  (func (export "keep") (param externref) (result externref)
    (table.set $t (i32.const 1) (local.get 0)) (table.get $t (i32.const 1)))
  (global $began (export "began") (mut i32) (i32.const 0))
  (func (export "loop") (global.set $began (i32.const 1)) (loop (br 0)))
  (func (export "spin") (param i32) (result i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0))
  (func (export "unreachable") unreachable)
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func $deep (export "deep") (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "fill") (param i32 i32) (memory.fill (i32.const 0) (local.get 0) (local.get 1))))"""

_module: list[stratavm.Module] = []


def instance(function: Callable[[int], int] = lambda x: x, store: stratavm.Store | None = None) -> stratavm.Instance:
    """A fresh instance of the guest."""
    if not _module:
        _module.append(stratavm.Module(GUEST))
    linker = stratavm.Linker(_module[0].engine)
    linker.define("e", "f", function)
    return linker.instantiate(store or stratavm.Store(linker.engine), _module[0])


def _calls(exports: Any, random: Random, count: int = 200) -> int:
    """Calls of every kind with checked results; returns how many met a busy store."""
    busy = 0
    for _ in range(count):
        a, b = random.randrange(-(1 << 31), 1 << 31), random.randrange(1000)
        try:
            assert exports.add(a, 0) == a
            assert exports.six(1, 2, 0.5, 0.25, b, -a) == (-a, 0.25)
            assert exports.call(b) == b
            assert exports.spin(b + 1) == 0
        except StoreBusy:
            busy += 1
    return busy


def threads_own_stores(random: Random, seconds: float) -> int:
    """Threads with a store each do not see each other."""
    guests = [instance() for _ in range(6)]
    seeds = random.random()
    return repeat(seconds, lambda: together(*(lambda g=g: _calls(g.exports, Random(seeds)) for g in guests)))


def threads_one_store(random: Random, seconds: float) -> int:
    """On one store one thread proceeds and the others are refused; the store passes from hand to hand."""
    guest = instance(lambda x: (time.sleep(0), x)[1])
    seen = []

    def round_() -> None:
        together(*(lambda: seen.append(_calls(guest.exports, Random(1), 100)) for _ in range(5)))
        assert not guest.store.busy and guest.exports.add(1, 2) == 3

    rounds = repeat(seconds, round_)
    assert any(seen), "no thread ever met another one"
    return rounds


def traps(random: Random, seconds: float) -> int:
    """Every way to trap, nested in host calls, on several threads."""
    cases = (
        ("unreachable",),
        ("divide", 1, 0),
        ("divide", -(1 << 31), -1),
        ("load", 1 << 30),
        ("load", -1),
        ("deep", 1),
    )

    def one(seed: int) -> None:
        chance = Random(seed)
        inner = instance()

        def nested(x: int) -> int:
            name, *args = cases[x % len(cases)]
            inner.exports[name](*args)
            raise AssertionError("did not trap")

        guest = instance(nested)
        for _ in range(60):
            name, *args = chance.choice(cases)
            target: Any = guest.exports[name]
            if chance.random() < 0.3:
                target, args = guest.exports.call, [chance.randrange(100)]
            try:
                target(*args)
                raise AssertionError(name)
            except (Trap, StackOverflow) as error:
                assert error.frames or isinstance(error, StackOverflow)
            assert guest.exports.add(2, 2) == 4

    def round_() -> None:
        together(*(functools.partial(one, random.randrange(1 << 30)) for _ in range(3)))

    return repeat(seconds, round_)


def host_exceptions(random: Random, seconds: float) -> int:
    """Exceptions of every base come out as the same objects, and nobody keeps them."""
    bases = (ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError)
    living: list[weakref.ref[BaseException]] = []

    def fail(x: int) -> int:
        error = type("Mine", (bases[x % len(bases)],), {})(x)
        living.append(weakref.ref(error))
        raise error

    guest = instance(fail)

    def round_() -> None:
        for x in range(200):
            try:
                guest.exports.call(x)
                raise AssertionError("returned")
            except bases as error:
                assert error.args == (x,) and error is living[-1]()
        gc.collect()
        assert not [r for r in living if r() is not None]
        living.clear()

    return repeat(seconds, round_)


def interrupts(random: Random, seconds: float) -> int:
    """Endless guests end when another thread says so, at any moment; the store stays usable."""
    store = stratavm.Store(on_abort="keep")
    guest = instance(store=store)

    def stop(done: threading.Event, delay: float) -> None:
        time.sleep(delay)
        while not done.wait(1e-4):
            store.interrupt()

    def run(done: threading.Event) -> None:
        try:
            for _ in range(3):
                try:
                    guest.exports.loop()
                    raise AssertionError("ended by itself")
                except Interrupted:
                    continue
        finally:
            done.set()

    def round_() -> None:
        done = threading.Event()
        together(lambda: run(done), lambda: stop(done, random.random() * 2e-3))
        assert guest.exports.add(1, 1) == 2

    return repeat(seconds, round_)


def deadlines(random: Random, seconds: float) -> int:
    """Deadlines end endless calls and no others; an instance that was abandoned midway is poisoned, its store is not.

    A call that ended while it was compiled has left nothing in its middle.
    """

    def round_() -> None:
        guest = instance()
        with guest.store.deadline(random.random() * 5e-3):
            try:
                guest.exports.loop()
                raise AssertionError("ended by itself")
            except DeadlineExceeded:
                pass
        try:
            guest.exports.add(1, 1)
            assert not guest.exports.began.value, "not poisoned"
        except InstancePoisoned:
            pass
        other = instance(store=guest.store)
        with guest.store.deadline(60):
            assert other.exports.add(1, 1) == 2

    return repeat(seconds, round_)


def signal_storm(random: Random, seconds: float) -> int:
    """A timer signal every millisecond: handlers run inside guests, what they raise comes out."""
    hits = [0]

    class Alarm(Exception):
        pass

    def handler(number: int, frame: object) -> None:
        hits[0] += 1
        if hits[0] % 50 == 0:
            raise Alarm

    store = stratavm.Store(on_abort="keep")
    guest = instance(store=store)

    def round_() -> None:
        signal.setitimer(signal.ITIMER_REAL, 1e-3, 1e-3)
        try:
            for _ in range(20):
                guest.exports.spin(200_000)
                _calls(guest.exports, random, 20)
        except Alarm:
            pass
        finally:
            while True:
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    break
                except Alarm:
                    continue
        with contextlib.suppress(Alarm):
            time.sleep(0.002)
        assert guest.exports.add(1, 1) == 2

    before = signal.signal(signal.SIGALRM, handler)
    try:
        rounds = repeat(seconds, round_)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert hits[0], "no signal was handled"
    return rounds


def instance_churn(random: Random, seconds: float) -> int:
    """Instances, memories, views and handles come and go in cycles; nothing stays."""

    def round_() -> None:
        kept: list[Any] = []
        for _ in range(20):
            box: list[Any] = []
            guest = instance(lambda x, box=box: len(box) + x)  # type: ignore[misc]
            box.append(guest)  # a cycle: host function → instance → host function
            thing = [guest]
            assert guest.exports.keep(thing) is thing
            assert guest.exports.call(1) == 2
            view = guest.exports.memory.view()
            guest.exports.grow(random.randrange(4))
            kept.append(view)
        gc.collect()
        for view in kept:
            view[0] = view[-1] = 1  # the memory lives as long as its views

    return repeat(seconds, round_)


def views_and_growth(random: Random, seconds: float) -> int:
    """Views taken on one thread while a guest grows and fills the memory on another: racing bytes, no faults."""

    def round_() -> None:
        guest = instance()
        memory, done = guest.exports.memory, threading.Event()

        def grow() -> None:
            try:
                for i in range(40):
                    guest.exports.grow(1)
                    guest.exports.fill(i, 65536)
            finally:
                done.set()

        def read() -> None:
            while not done.is_set():
                try:
                    view = memory.view()
                    # The first page is being filled; the others are as they came.
                    assert len(view) % 65536 == 0 and (len(view) == 65536 or view[len(view) - 1] == 0)
                    part = memory[8:4096]
                    assert len(bytes(part)) == 4088
                except StoreBusy:
                    continue

        together(grow, read, read)

    return repeat(seconds, round_)


POOLED: Final = GUEST.replace("(table $t", '(data (i32.const 100) "initial") (data (i32.const 65000) "tail") (table $t')
INITIAL: Final = bytes(100) + b"initial" + bytes(65000 - 107) + b"tail" + bytes(65536 - 65004)
SLOTS: Final = 4


class _Tenancy:
    """Stores of many threads in the slots of a small pool; views of some outlive their stores."""

    def __init__(self, seed: int) -> None:
        self.engine = stratavm.Engine(memory_slots=stratavm.MemorySlots(SLOTS, max_memory_bytes=8 << 16))
        linker = stratavm.Linker(self.engine)
        linker.define("e", "f", self.host)
        self.pre = linker.instantiate_pre(stratavm.Module(POOLED, engine=self.engine))
        self.seed, self.refused, self.ends = seed, 0, set[str]()

    @staticmethod
    def host(caller: stratavm.Caller, x: int) -> int:
        """What a guest calls: nobody closes the store from inside."""
        try:
            caller.instance.store.close()
        except StoreBusy:
            return x
        raise AssertionError("closed inside a call")

    def threads(self, count: int) -> None:
        """Tenants one after the other on each of some threads; afterwards every slot is free."""
        self.seed += count
        together(*(lambda n=n: self.tenants(Random(self.seed + n)) for n in range(count)))  # type: ignore[misc]
        gc.collect()
        with stratavm.Store(self.engine):  # what was given back is told at the next boundary
            assert self.engine.runtime.allocator.in_use == 0  # type: ignore[attr-defined]

    def tenants(self, chance: Random) -> None:
        """A few tenants; now and then a view is kept for a while."""
        kept: list[memoryview] = []
        for _ in range(20):
            try:
                kept.extend(self.tenant(chance))
            except stratavm.SlotsExhausted:
                self.refused += 1
                kept.clear()
                time.sleep(0)
            if chance.random() < 0.3:
                kept.clear()

    def tenant(self, chance: Random) -> list[memoryview]:
        """One: it finds everything as the module says, leaves a mess behind, and ends in some way."""
        store = stratavm.Store(self.engine)
        guest = self.pre.instantiate(store)
        memory, exports = guest.exports.memory, guest.exports
        assert memory.read(0, len(memory)) == INITIAL
        assert exports.g.value == 0 and exports.table[1] is None and not store.busy
        for _ in range(chance.randrange(20)):
            memory.write(chance.randrange(65536 - 8), b"a secret")
        exports.g.value = 7
        exports.keep(object())
        if chance.random() < 0.3:
            assert exports.grow(chance.randrange(1, 7)) == 1
            exports.fill(255, len(memory))
        how = chance.choice(("close", "close twice", "drop", "view", "trap", "deadline", "interrupt", "call"))
        self.ends.add(how)
        return self.end(how, store, guest, chance)

    def end(self, how: str, store: stratavm.Store, guest: stratavm.Instance, chance: Random) -> list[memoryview]:
        """How a tenant leaves."""
        exports, views = guest.exports, list[memoryview]()
        if how == "view":
            views.append(exports.memory.view())
        elif how == "trap":
            with contextlib.suppress(Trap):
                exports.load(-1)
        elif how == "deadline":
            with contextlib.suppress(DeadlineExceeded), store.deadline(chance.random() * 2e-3):
                exports.loop()
        elif how == "interrupt":
            timer = threading.Timer(chance.random() * 2e-3, self.stop, [store])
            timer.start()
            with contextlib.suppress(Interrupted):
                exports.loop()
            timer.join()
        elif how == "call":
            assert exports.call(5) == 5
        if how != "drop":
            store.close()
        if how == "close twice":
            store.close()
        return views

    @staticmethod
    def stop(store: stratavm.Store) -> None:
        """Interrupt until a call is inside."""
        while not store.interrupt():
            time.sleep(1e-4)


def pooled_tenants(random: Random, seconds: float) -> int:
    """Many tenants of few slots on several threads: none sees what another one left, however that ended."""
    tenancy = _Tenancy(random.randrange(1 << 30))
    rounds = repeat(seconds, lambda: tenancy.threads(6))
    assert tenancy.refused and len(tenancy.ends) == 8, (tenancy.refused, tenancy.ends)
    return rounds


def ping_pong(random: Random, seconds: float) -> int:
    """Guest and Python calling each other end in an exception, whatever the recursion limit."""

    def round_() -> None:
        box: list[Any] = []
        guest = instance(lambda x: box[0](x))
        box.append(guest.exports.call)
        old = sys.getrecursionlimit()
        sys.setrecursionlimit(random.choice((200, 1000, 1_000_000)))
        try:
            guest.exports.call(1)
            raise AssertionError("returned")
        except (StackOverflow, RecursionError):
            pass
        finally:
            sys.setrecursionlimit(old)
        assert guest.exports.add(1, 1) == 2

    return repeat(seconds, round_)


def collections(random: Random, seconds: float) -> int:
    """A collector that runs all the time, with finalisers that call guests."""
    guest = instance()
    calls = [0]

    class Finalised:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            with contextlib.suppress(StoreBusy):
                calls[0] += guest.exports.add(1, 0)

    def round_() -> None:
        old = gc.get_threshold()
        gc.set_threshold(5, 2, 2)
        try:
            for i in range(300):
                thing = Finalised()
                assert guest.exports.keep(thing) is thing
                assert guest.exports.six(1, 2, 3.0, 4.0, 5, i) == (i, 4.0)
        finally:
            gc.set_threshold(*old)

    rounds = repeat(seconds, round_)
    assert calls[0], "no finaliser ran"
    return rounds


def first_calls(random: Random, seconds: float) -> int:
    """Threads that meet at the same uncompiled functions."""
    functions = "".join(
        f'(func (export "f{i}") (param i32) (result i32) (i32.mul (local.get 0) (i32.const {i})))' for i in range(40)
    )

    def round_() -> None:
        module = stratavm.Module(f"(module {functions})")

        def run() -> None:
            exports = stratavm.Linker().instantiate(stratavm.Store(), module).exports
            for i in range(40):
                assert exports[f"f{i}"](3) == 3 * i

        together(run, run, run, run)

    return repeat(seconds, round_)


def forks(random: Random, seconds: float) -> int:
    """A fork inside a host call: the child goes on calling and ends well."""
    children: list[int] = []

    def split(x: int) -> int:
        child = os.fork()
        if child:
            children.append(child)
        return child != 0

    guest = instance(split)

    def round_() -> None:
        if not guest.exports.call(0):
            good = False
            try:
                good = guest.exports.spin(100_000) == 0 and not _calls_without_host(guest.exports)
            finally:
                os._exit(0 if good else 1)
        _, status = os.waitpid(children.pop(), 0)
        assert status == 0, status

    return repeat(seconds, round_)


def _calls_without_host(exports: Any) -> bool:
    """Calls that do not fork again; true if one is wrong."""
    return any(exports.add(i, 1) != i + 1 for i in range(1000))


def exit_inside(random: Random, seconds: float) -> int:
    """The interpreter ends while daemon threads are inside guests. (What matters is this process's exit status.)"""
    for _ in range(3):
        guest = instance()
        threading.Thread(target=guest.exports.loop, daemon=True).start()
    sleeper = instance(lambda x: (time.sleep(0.001), x)[1])
    threading.Thread(target=lambda: [sleeper.exports.call(i) for i in range(1 << 30)], daemon=True).start()
    time.sleep(0.05 + random.random() / 20)
    return 1


SCENARIOS: Final[dict[str, Callable[[Random, float], int]]] = {
    f.__name__: f
    for f in (
        threads_own_stores, threads_one_store, traps, host_exceptions, interrupts, deadlines, signal_storm,
        instance_churn, views_and_growth, pooled_tenants, ping_pong, collections, first_calls, forks, exit_inside,
        helper_threads, compiled_ahead, lifted_beside, exit_while_compiling, asynchronous_calls, pools,
        kept_exceptions, shared_memories, threads_of_a_world, clones, clones_with_worlds,
        updates,
    )
}  # fmt: skip


def run(name: str, seed: int, seconds: float) -> int:
    """Run one scenario in this process."""
    return SCENARIOS[name](random_module.Random(seed), seconds)
