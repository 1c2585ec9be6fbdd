"""Claims that must hold under every interleaving: thousands of seeded schedules of threads and of tasks.

With the 2,400 of ``test_lifecycle.py`` these are more than 10,000 in each run.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from stratavm.base.errors import Closed
from stratavm.base.events import Bus, Event, ListenerFailed, event
from stratavm.services.di import ResolveError, Services
from stratavm.services.di import core as di_core
from stratavm.services.listening import emit, listening
from stratavm.testing import EventRecorder, explore, run_seeded


class Clock:
    """A service."""


class Cache:
    """Needs a clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock


@event
class Said(Event):
    """A test event."""

    who: int
    number: int


@event
class Heard(Event):
    """What a listener emits in answer."""

    who: int
    number: int


# ---- DI, threads ----


def build_once(schedule):
    """Four threads ask for services that depend on each other; constructors let others run."""
    calls = []

    def clock() -> Iterator[Clock]:
        calls.append("clock")
        schedule.pause()
        yield Clock()
        calls.append("~clock")

    def cache(clock: Clock) -> Cache:
        calls.append("cache")
        schedule.pause()
        return Cache(clock)

    container = Services().singleton(clock).singleton(cache).build()

    def ask(key):
        schedule.pause()
        return container[key]

    for key in (Clock, Cache, Clock, Cache):
        schedule.spawn(ask, key)

    def check(results):
        a, b, c, d = results
        assert a is c is b.clock and b is d
        container.close()
        assert sorted(calls) == ["cache", "clock", "~clock"]

    return check


def fail_then_build(schedule):
    """The first construction fails, or is interrupted: whoever waited shares the failure, or builds anew."""
    rng = random.Random(schedule.seed)
    calls = []
    kind = OSError if rng.random() < 0.5 else KeyboardInterrupt

    def clock() -> Clock:
        calls.append(1)
        mine = len(calls)
        schedule.pause()
        if mine == 1:
            raise kind("first")
        return Clock()

    container = Services().singleton(clock).build()

    def ask():
        schedule.pause()
        try:
            return container[Clock]
        except (OSError, KeyboardInterrupt) as error:
            return type(error)

    for _ in range(3):
        schedule.spawn(ask)

    def check(results):
        failed = [r for r in results if r is kind]
        built = {r for r in results if r is not kind}
        assert len(built) <= 1 and len(calls) <= 2
        assert len(failed) == 1 if kind is KeyboardInterrupt else len(failed) >= 1
        assert isinstance(container[Clock], Clock)

    return check


def close_while_building(schedule):
    """A scope is closed while others resolve in it: each gets its service or Closed, and all is cleaned up."""
    log = []

    def clock() -> Iterator[Clock]:
        schedule.pause()
        yield Clock()
        log.append("cleaned")

    made = []

    def cache(clock: Clock) -> Cache:
        schedule.pause()
        made.append(Cache(clock))
        return made[-1]

    container = Services().scoped(clock).scoped(cache).build()
    scope = container.scope()
    started = []

    def ask():
        try:
            schedule.pause()
            started.append(1)
            return scope[Cache]
        except Closed:
            return None

    def close():
        schedule.pause()
        schedule.pause()
        scope.close()

    schedule.spawn(ask)
    schedule.spawn(ask)
    schedule.spawn(close)

    def check(results):
        assert scope.closed and len(log) <= 1 and len(made) <= 1
        if any(isinstance(r, Cache) for r in results):
            assert log == ["cleaned"]
        with pytest.raises(Closed):
            scope[Clock]

    return check


def wait_for_each_other(schedule):
    """Factories that ask for each other at run time: never a deadlock, always told."""

    def clock() -> Clock:
        schedule.pause()
        container[Cache]
        return Clock()

    def cache() -> Cache:
        schedule.pause()
        container[Clock]
        return Cache(None)

    container = Services().singleton(clock).singleton(cache).build()

    def ask(key):
        try:
            return container[key]
        except ResolveError as error:
            return error

    schedule.spawn(ask, Clock)
    schedule.spawn(ask, Cache)
    return lambda results: [None for r in results if not isinstance(r, ResolveError)] == [] or pytest.fail(str(results))


@pytest.mark.parametrize("scenario", [build_once, fail_then_build, close_while_building, wait_for_each_other])
@pytest.mark.parametrize("block", range(2))
def test_containers_under_interleaved_threads(scenario, block):
    """3,200 schedules."""

    def controlled(schedule):
        control = schedule.controlling(di_core)
        control.__enter__()
        check = scenario(schedule)

        def after(results):
            control.__exit__(None, None, None)
            check(results)

        return after

    old = di_core.make_event
    try:
        assert explore(controlled, 400, first_seed=block * 400) > 400
    finally:
        di_core.make_event = old


# ---- DI, tasks ----


def cancel_somewhere(seed):
    """Tasks ask for an async service; some are cancelled at random: built once at a time, nobody else is hurt."""

    async def main():
        rng = random.Random(seed)
        running, most, log = [0], [0], []

        async def clock() -> AsyncIterator[Clock]:
            running[0] += 1
            most[0] = max(most[0], running[0])
            try:
                for _ in range(rng.randrange(4)):
                    await asyncio.sleep(0)
            finally:
                running[0] -= 1
            log.append("made")
            yield Clock()
            await asyncio.sleep(0)
            log.append("cleaned")

        container = Services().singleton(clock).singleton(Cache).build(asynchronous=True)
        tasks = [asyncio.ensure_future(container.aget(rng.choice((Clock, Cache)))) for _ in range(5)]
        victims = set(rng.sample(range(5), rng.randrange(4)))
        for victim in victims:
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
            tasks[victim].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for i, result in enumerate(results):
            assert isinstance(result, (Clock, Cache)) or (i in victims and isinstance(result, asyncio.CancelledError))
        clocks = {getattr(r, "clock", r) for r in results if isinstance(r, (Clock, Cache))}
        assert len(clocks) <= 1 and most[0] <= 1 and log.count("made") <= 1
        await container.aclose()
        assert log.count("cleaned") == log.count("made")

    run_seeded(main, seed)


@pytest.mark.parametrize("block", range(4))
def test_containers_under_interleaved_tasks(block):
    """2,400 schedules."""
    for seed in range(block * 600, block * 600 + 600):
        cancel_somewhere(seed)


# ---- events, threads ----


def subscribe_and_emit(schedule):
    """Threads emit, subscribe, close and fail at random; a steady listener hears all, in each source's order."""
    rng = random.Random(schedule.seed)
    bus = Bus()
    steady, failures = [], []
    bus.subscribe(Said, lambda e: (steady.append(e), schedule.pause()))
    bus.subscribe(Said, lambda e: bus.emit(Heard(e.who, e.number)))
    bus.subscribe(ListenerFailed, failures.append)
    answers = EventRecorder(bus, Heard)

    def fail(event):
        schedule.pause()
        raise ValueError

    def work(who):
        source = bus.source("worker")
        for number in range(3):
            schedule.pause()
            if rng.random() < 0.5:
                with bus.subscribe(Said, fail if rng.random() < 0.5 else lambda e: schedule.pause()):
                    source.emit(Said(who, number))
            else:
                source.emit(Said(who, number))

    for who in range(3):
        schedule.spawn(work, who)

    def check(results):
        assert sorted((e.who, e.number) for e in steady) == [(w, n) for w in range(3) for n in range(3)]
        assert sorted((e.who, e.number) for e in answers.events) == [(w, n) for w in range(3) for n in range(3)]
        for source in {e.source for e in steady}:
            assert [e.sequence for e in steady if e.source == source] == [1, 2, 3]
        assert bus.failures == len(failures)

    return check


def close_in_flight(schedule):
    """A subscription is closed by another thread while it is delivered to: no call begins after close has returned."""
    bus, calls = Bus(), []
    closed = []
    victim = bus.subscribe(Said, lambda e: calls.append(bool(closed)))
    first = bus.subscribe(Said, lambda e: schedule.pause())
    again = bus.subscribe(Said, lambda e: calls.append(bool(closed)))

    def close():
        schedule.pause()
        for subscription in (victim, first, again):
            subscription.close()
        closed.append(True)

    def speak(who):
        for number in range(3):
            bus.emit(Said(who, number))
            schedule.pause()

    schedule.spawn(speak, 0)
    schedule.spawn(speak, 1)
    schedule.spawn(close)

    def check(results):
        assert not any(calls) and not bus.hears(Said)

    return check


def record_and_drain(schedule):
    """Records of many threads, drained by whoever comes: none lost, none twice."""
    bus, got = Bus(ring_capacity=16), []
    kind = bus.kind(Said)
    bus.subscribe(Said, lambda e: (got.append((e.who, e.number)), schedule.pause()))

    def work(who):
        source = bus.source("worker")
        for number in range(4):
            assert bus.record(source, kind, who, number)
            schedule.pause()
            if number == who:
                bus.drain()

    for who in range(3):
        schedule.spawn(work, who)

    def check(results):
        bus.drain()
        assert sorted(got) == [(w, n) for w in range(3) for n in range(4)] and bus.dropped == 0

    return check


@pytest.mark.parametrize("scenario", [subscribe_and_emit, close_in_flight, record_and_drain])
@pytest.mark.parametrize("block", range(2))
def test_events_under_interleaved_threads(scenario, block):
    """2,400 schedules."""
    assert explore(scenario, 400, first_seed=block * 400) > 400


# ---- events, tasks ----


def slow_listeners(seed):
    """Async listeners of every overflow rule beside emitting tasks: counts add up, order holds."""

    async def main():
        rng = random.Random(seed)
        bus, got = Bus(), {"drop_oldest": [], "block": []}

        async def hear(name, e):
            for _ in range(rng.randrange(3)):
                await asyncio.sleep(rng.choice((0, 0.001)))
            got[name].append((e.who, e.number))

        async with (
            listening(bus, Said, lambda e: hear("drop_oldest", e), capacity=2) as dropping,
            listening(bus, Said, lambda e: hear("block", e), capacity=2, overflow="block") as blocking,
        ):

            async def speak(who):
                for number in range(4):
                    await emit(bus, Said(who, number))
                    if rng.random() < 0.5:
                        await asyncio.sleep(0)

            async with asyncio.TaskGroup() as group:
                for who in range(2):
                    group.create_task(speak(who))
        assert dropping.delivered + dropping.dropped == 8 == blocking.delivered and blocking.dropped == 0
        for name in got:
            for who in range(2):
                numbers = [n for w, n in got[name] if w == who]
                assert numbers == sorted(numbers)

    run_seeded(main, seed)


@pytest.mark.parametrize("block", range(2))
def test_async_listeners_under_interleaved_tasks(block):
    """1,200 schedules."""
    for seed in range(block * 600, block * 600 + 600):
        slow_listeners(seed)
