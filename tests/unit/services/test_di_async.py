"""Claims about async construction and closing: once-only, hand-over on cancellation, clean-up."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from stratavm.base.errors import Closed
from stratavm.services.di import AsyncRequired, ResolveError, Services, StartTimeout


class Clock:
    """A service."""


class Cache:
    """Another."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock


class Gate:
    """A factory that waits to be let through, and counts."""

    def __init__(self):
        self.calls = 0
        self.open = asyncio.Event()
        self.fail = None

    async def make(self) -> Clock:
        """Wait, then make or fail."""
        self.calls += 1
        await self.open.wait()
        if self.fail:
            raise self.fail
        return Clock()


def gated():
    """A container around a gate."""
    gate = Gate()
    return gate, Services().singleton(Clock, gate.make).singleton(Cache).build(asynchronous=True)


async def settle():
    """Let all tasks run as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_tasks_that_ask_together_build_once():
    """All get the same; afterwards ``get`` works too."""

    async def main():
        gate, container = gated()
        tasks = [asyncio.ensure_future(container.aget(key)) for key in (Clock, Cache, Clock, Cache)]
        await settle()
        gate.open.set()
        a, b, c, d = await asyncio.gather(*tasks)
        assert a is c and b is d and b.clock is a and gate.calls == 1
        assert container[Clock] is a and container[Cache] is b

    asyncio.run(main())


def test_a_cancelled_creator_hands_over():
    """The next waiter builds; nobody else notices."""

    async def main():
        gate, container = gated()
        creator, second, third = (asyncio.ensure_future(container.aget(Clock)) for _ in range(3))
        await settle()
        creator.cancel()
        await settle()
        assert gate.calls == 2 and creator.cancelled() and not second.done()
        gate.open.set()
        assert await second is await third

    asyncio.run(main())


def test_a_cancelled_waiter_does_not_touch_the_build():
    """It goes on for the others."""

    async def main():
        gate, container = gated()
        creator, second, third = (asyncio.ensure_future(container.aget(Clock)) for _ in range(3))
        await settle()
        second.cancel()
        await settle()
        gate.open.set()
        assert await creator is await third and gate.calls == 1 and second.cancelled()

    asyncio.run(main())


def test_a_failure_is_everybodys_and_is_not_kept():
    """Those who waited raise it; the next request builds anew."""

    async def main():
        gate, container = gated()
        tasks = [asyncio.ensure_future(container.aget(Cache)) for _ in range(3)]
        await settle()
        gate.fail = OSError("broken")
        gate.open.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(r) for r in results] == [OSError] * 3 and gate.calls == 1
        gate.fail = None
        assert isinstance((await container.aget(Cache)).clock, Clock)

    asyncio.run(main())


def test_waiting_for_oneself_is_told():
    """A cycle between tasks that exists only at run time."""

    async def main():
        async def clock() -> Clock:
            await settle()
            return await container.aget(Cache)

        async def cache() -> Cache:
            await settle()
            return await container.aget(Clock)

        container = Services().singleton(clock).singleton(cache).build(asynchronous=True)
        results = await asyncio.gather(container.aget(Clock), container.aget(Cache), return_exceptions=True)
        assert [type(r) for r in results] == [ResolveError] * 2
        with pytest.raises(ResolveError, match="depends on itself"):
            await container.aget(Clock)

    asyncio.run(main())


def test_get_on_the_builders_thread_does_not_block_its_loop():
    """It says to await."""

    async def main():
        gate, container = gated()
        task = asyncio.ensure_future(container.aget(Clock))
        await settle()
        with pytest.raises(AsyncRequired, match="await"):
            container[Clock]
        gate.open.set()
        assert container is not None and isinstance(await task, Clock)

    asyncio.run(main())


def test_a_thread_waits_for_a_task():
    """Across threads ``get`` blocks until the loop has built it."""

    async def main():
        gate, container = gated()
        task = asyncio.ensure_future(container.aget(Clock))
        await settle()
        got = asyncio.ensure_future(asyncio.to_thread(lambda: container[Clock]))
        await asyncio.sleep(0.02)
        gate.open.set()
        assert await got is await task

    asyncio.run(main())


def test_two_loops_share_a_build():
    """Waiters of another loop are woken there."""
    gate = threading.Event()
    calls = []

    async def clock() -> Clock:
        calls.append(1)
        while not gate.is_set():
            await asyncio.sleep(0.001)
        return Clock()

    container = Services().singleton(clock).build(asynchronous=True)
    results = []

    async def ask():
        results.append(await container.aget(Clock))

    threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(60)
    assert len(results) == 4 and len(set(map(id, results))) == 1 and len(calls) == 1


def test_async_generators_clean_up_in_reverse_with_the_others():
    """Both kinds in one order; all of them, whatever fails."""
    log = []

    async def clock() -> AsyncIterator[Clock]:
        yield Clock()
        await asyncio.sleep(0)
        log.append("clock")

    def cache(clock: Clock) -> Iterator[Cache]:
        yield Cache(clock)
        log.append("cache")
        raise ValueError("cache")

    async def main():
        services = Services().singleton(clock).scoped(cache)
        async with services.build(asynchronous=True) as container:
            scope = container.scope()
            await scope.aget(Cache)
            with pytest.raises(ExceptionGroup):
                await scope.aclose()
            await scope.aclose()
            with pytest.raises(Closed):
                await scope.aget(Cache)
            with pytest.raises(AsyncRequired, match="aclose"):
                container.close()
            assert log == ["cache"] and not container.closed
        assert log == ["cache", "clock"] and container.closed

    asyncio.run(main())


def test_closing_while_a_task_builds_cleans_up_its_value():
    """The task gets Closed."""
    log = []

    async def main():
        gate = asyncio.Event()

        async def clock() -> AsyncIterator[Clock]:
            await gate.wait()
            yield Clock()
            log.append("cleaned")

        container = Services().singleton(clock).build(asynchronous=True)
        task = asyncio.ensure_future(container.aget(Clock))
        await settle()
        await container.aclose()
        gate.set()
        with pytest.raises(Closed):
            await task
        assert log == ["cleaned"]

    asyncio.run(main())


def test_async_start_has_a_time_out_and_cancels():
    """The construction under way is cancelled, what was built is cleaned up."""
    log = []

    async def main():
        async def clock() -> AsyncIterator[Clock]:
            yield Clock()
            log.append("cleaned")

        async def cache() -> Cache:
            try:
                await asyncio.sleep(10)
            finally:
                log.append("cancelled")

        services = Services().singleton(clock, eager=True)
        assert (await services.build(asynchronous=True).astart(5))[Clock]
        services.singleton(Cache, cache, eager=True)
        with pytest.raises(StartTimeout, match=r"Cache was not built within 0\.01 s"):
            await services.build(asynchronous=True).astart(0.01)

    asyncio.run(main())
    assert log == ["cancelled", "cleaned"]


def test_overrides_and_transients_work_with_await():
    """As in the synchronous container."""
    log = []

    class Job:
        def __init__(self, cache: Cache) -> None:
            self.cache = cache

    async def clock() -> AsyncIterator[Clock]:
        yield Clock()
        log.append("clock")

    def cache(clock: Clock) -> Iterator[Cache]:
        yield Cache(clock)
        log.append("cache")

    async def main():
        services = Services().singleton(clock).singleton(cache).transient(Job)
        async with services.build(asynchronous=True) as container:
            one, two = await container.aget(Job), await container.aget(Job)
            assert one is not two and one.cache is two.cache
            async with container.override({Clock: "fake"}) as same:
                assert (await same.aget(Job)).cache.clock == "fake"
            assert log == ["cache"]
            assert (await container.aget(Job)).cache is one.cache
        assert log == ["cache", "cache", "clock"]

    asyncio.run(main())


@pytest.mark.parametrize("count", [0, 2])
def test_an_async_generator_must_yield_once(count):
    """Not never, not twice."""

    async def clock() -> AsyncIterator[Clock]:
        for _ in range(count):
            yield Clock()

    async def main():
        container = Services().singleton(clock).build(asynchronous=True)
        if count == 0:
            with pytest.raises(ResolveError, match="without yielding"):
                await container.aget(Clock)
            return
        await container.aget(Clock)
        with pytest.raises(ExceptionGroup) as caught:
            await container.aclose()
        assert "yielded twice" in str(caught.value.exceptions[0])

    asyncio.run(main())
