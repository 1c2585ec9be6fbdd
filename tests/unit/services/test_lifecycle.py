"""Claims about services: order, failures, time-outs, health, restarts; under many seeded schedules in virtual time."""

import asyncio
import contextlib

import pytest

from stratavm.base.events import Bus
from stratavm.services.di import Services
from stratavm.services.lifecycle import (
    EDGES,
    Lifecycle,
    LifecycleError,
    LifecycleEvent,
    Restart,
    Service,
    ServiceFailed,
    ServiceStarted,
    ServiceStarting,
    ServiceStopped,
    ServiceStopping,
    ServiceWaiting,
    State,
    dependents,
    order,
    services_of,
)
from stratavm.testing import EventRecorder, run_seeded


class World:
    """Services that note what happens to them, and a bus."""

    def __init__(self):
        self.bus, self.log, self.sick, self.services = Bus(), [], set(), []
        self.broken = {}
        self.recorder = EventRecorder(self.bus, LifecycleEvent)

    def service(self, name, *needs, **options):
        """Add one; ``broken[name]`` is how many starts fail."""

        async def start():
            self.log.append(f"start {name}")
            await asyncio.sleep(0.01)
            if self.broken.get(name, 0):
                self.broken[name] -= 1
                raise OSError(f"{name} is broken")
            self.log.append(f"started {name}")

        async def stop():
            self.log.append(f"stop {name}")
            await asyncio.sleep(0.01)
            self.log.append(f"stopped {name}")

        async def health():
            return name not in self.sick

        options.setdefault("start", start)
        options.setdefault("stop", stop)
        if options.get("health") is True:
            options["health"] = health
        self.services.append(Service(name, needs=needs, **options))

    def lifecycle(self):
        """All of them."""
        return Lifecycle(self.services, self.bus, chance=lambda: 0.5)

    def events(self, name):
        """Class names of a service's events, in order."""
        return [type(e).__name__.removeprefix("Service") for e in self.recorder.events if e.service == name]


def diamond():
    """d needs b and c, which need a."""
    world = World()
    world.service("d", "b", "c")
    world.service("b", "a")
    world.service("c", "a")
    world.service("a")
    return world


@pytest.mark.parametrize("seed", range(10))
def test_start_and_stop_are_ordered_by_needs(seed):
    """In whatever order tasks run: needs first, independent ones together, the reverse at the end."""

    async def main():
        world = diamond()
        async with world.lifecycle() as lifecycle:
            assert all(lifecycle.state(n) is State.RUNNING for n in "abcd")
        log = world.log
        assert log.index("started a") < min(log.index("start b"), log.index("start c"))
        assert max(log.index("started b"), log.index("started c")) < log.index("start d")
        assert max(log.index("start b"), log.index("start c")) < min(log.index("started b"), log.index("started c"))
        assert log.index("stopped d") < min(log.index("stop b"), log.index("stop c"))
        assert max(log.index("stopped b"), log.index("stopped c")) < log.index("stop a")
        for name in "abcd":
            assert world.events(name) == ["Starting", "Started", "Stopping", "Stopped"]

    run_seeded(main, seed)


def test_what_cannot_be_ordered_is_refused():
    """Unknown, circular, doubled."""
    world = World()
    world.service("a", "x")
    with pytest.raises(LifecycleError, match="a needs x"):
        world.lifecycle()
    world = World()
    world.service("a", "b")
    world.service("b", "a")
    with pytest.raises(LifecycleError, match="need each other: a, b"):
        world.lifecycle()
    world = World()
    world.service("a")
    world.service("a")
    with pytest.raises(LifecycleError, match="two services"):
        world.lifecycle()
    services = {s.name: s for s in diamond().services}
    assert order(services) == [["a"], ["b", "c"], ["d"]] and dependents(services, "a") == {"b", "c", "d"}


def test_a_failed_start_stops_what_ran():
    """And says why."""

    async def main():
        world = diamond()
        world.broken["c"] = 1
        lifecycle = world.lifecycle()
        with pytest.raises(LifecycleError, match="c is broken") as caught:
            await lifecycle.start()
        assert isinstance(caught.value.__cause__, OSError)
        assert [lifecycle.state(n) for n in "abcd"] == [State.STOPPED, State.STOPPED, State.FAILED, State.NEW]
        assert world.recorder.one(ServiceFailed).reason == "OSError: c is broken"

    run_seeded(main, 1)


@pytest.mark.parametrize("phase", ["start", "stop"])
def test_time_outs(phase):
    """A service that hangs is given up, the others are stopped."""

    async def main():
        world = World()
        world.service("a")
        hang = asyncio.Event().wait
        world.service("b", "a", **{phase: hang, f"{phase}_timeout_s": 3.0})
        lifecycle = world.lifecycle()
        if phase == "stop":
            await lifecycle.start()
        with pytest.raises(LifecycleError, match=f"b did not {phase} within 3.0 s"):
            await (lifecycle.start if phase == "start" else lifecycle.stop)()
        assert lifecycle.state("a") is State.STOPPED and lifecycle.state("b") is State.FAILED

    run_seeded(main, 2)


def test_a_start_is_tried_again_with_growing_delays():
    """As the policy says, then given up."""

    async def main():
        world = World()
        world.service("a", restart=Restart(first_s=1, factor=3, longest_s=5, attempts=4))
        world.broken["a"] = 3
        lifecycle = world.lifecycle()
        await lifecycle.start()
        assert [e.delay_s for e in world.recorder.of(ServiceWaiting)] == [1, 3, 5]
        assert [e.attempt for e in world.recorder.of(ServiceStarting)] == [1, 2, 3, 4]
        await lifecycle.stop()
        world.broken["a"] = 9
        with pytest.raises(LifecycleError):
            await world.lifecycle().start()
        assert len(world.recorder.of(ServiceFailed)) == 3 + 4

    run_seeded(main, 3)


def test_jitter_spreads_delays():
    """Around the plain delay, by the fraction given."""
    policy = Restart(first_s=1, jitter=0.5)
    assert [policy.delay_s(1, c) for c in (0.0, 0.5, 1.0)] == [0.5, 1.0, 1.5]
    assert policy.delay_s(10_000, 0.5) == policy.longest_s


def test_an_unhealthy_service_is_restarted_with_those_that_need_it():
    """Dependents stop before it, and start after it."""

    async def main():
        world = World()
        world.service("a", health=True, health_period_s=10.0, restart=Restart(first_s=1, jitter=0))
        world.service("b", "a")
        world.service("c")
        async with world.lifecycle() as lifecycle:
            await asyncio.sleep(5)
            world.log.clear()
            world.sick.add("a")
            await asyncio.sleep(5.5)
            world.sick.clear()
            await asyncio.sleep(5)
            assert world.log == [
                "stop b", "stopped b", "stop a", "stopped a", "start a", "started a", "start b", "started b",
            ]  # fmt: skip
            assert all(lifecycle.state(n) is State.RUNNING for n in "abc")
            assert world.recorder.one(ServiceFailed).reason == "unhealthy"
        assert world.events("c") == ["Starting", "Started", "Stopping", "Stopped"]

    run_seeded(main, 4)


def test_a_service_that_never_recovers_stays_down():
    """With what needs it; the end of the block is clean."""

    async def main():
        world = World()
        world.service("a", health=True, restart=Restart(first_s=1, attempts=3))
        world.service("b", "a")
        async with world.lifecycle() as lifecycle:
            world.sick.add("a")
            world.broken["a"] = 99
            await asyncio.sleep(100)
            assert lifecycle.state("a") is State.FAILED and lifecycle.state("b") is State.STOPPED
        assert world.log.count("start a") == 3

    run_seeded(main, 5)


def test_a_health_check_that_raises_or_hangs_counts_as_unhealthy():
    """And without a restart policy the service stays down."""

    async def main():
        world = World()

        async def raises():
            raise ValueError("no pulse")

        world.service("a", health=raises)
        world.service("b", health=asyncio.Event().wait, health_timeout_s=1.0)
        async with world.lifecycle() as lifecycle:
            await asyncio.sleep(30)
            assert lifecycle.state("a") is lifecycle.state("b") is State.STOPPED
        assert world.recorder.one(ServiceFailed, service="a").reason == "unhealthy: ValueError: no pulse"
        assert "TimeoutError" in world.recorder.one(ServiceFailed, service="b").reason

    run_seeded(main, 6)


def test_every_edge_is_an_event_class_of_the_life_cycle():
    """And none of them may be dropped."""
    assert all(issubclass(e, LifecycleEvent) and e.never_drop for e in EDGES.values())
    assert set(EDGES.values()) == {
        ServiceStarting, ServiceStarted, ServiceStopping, ServiceStopped, ServiceFailed, ServiceWaiting,
    }  # fmt: skip


def test_a_move_that_is_no_edge_is_refused():
    """The state stays."""

    async def main():
        world = diamond()
        lifecycle = world.lifecycle()
        with pytest.raises(LifecycleError, match="from new to running"):
            lifecycle._move("a", State.RUNNING)
        assert lifecycle.state("a") is State.NEW and world.recorder.events == []

    run_seeded(main, 7)


def storm(seed):
    """Services that fail, hang, fall ill; the run is cancelled at some time; afterwards nothing is left running."""

    async def main():
        world = World()
        policy = Restart(first_s=1, attempts=3)
        world.service("a", health=True, health_period_s=2.0, restart=policy)
        world.service("b", "a", health=True, health_period_s=3.0, restart=policy)
        world.service("c", "a")
        world.broken["b"] = seed % 4
        lifecycle = world.lifecycle()

        async def live():
            async with lifecycle:
                world.sick.update("ab"[: seed % 3])
                await asyncio.sleep(seed % 7)
                world.sick.clear()
                await asyncio.sleep(seed % 11)

        task = asyncio.create_task(live())
        done, _ = await asyncio.wait([task], timeout=seed % 13 / 2)
        if not done:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, LifecycleError, ExceptionGroup):
            await task
        await asyncio.sleep(100)
        check(world, lifecycle)

    run_seeded(main, seed)


def check(world, lifecycle):
    """Events tell a legal story for each service, that ends where the state is; what was started was stopped."""
    for name in "abc":
        state = State.NEW
        for event in world.recorder.events:
            if event.service == name:
                ways = [to for (start, to), made in EDGES.items() if start is state and made is type(event)]
                assert len(ways) == 1, (name, state, event)
                state = ways[0]
        assert state is lifecycle.state(name)
        assert state in (State.NEW, State.STOPPED, State.FAILED)
        if state is not State.FAILED:
            assert world.log.count(f"started {name}") == world.log.count(f"stopped {name}"), world.log
    numbers = [e.sequence for e in world.recorder.events]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("block", range(4))
def test_thousands_of_schedules_leave_nothing_running(block):
    """2,400 seeds in all."""
    for seed in range(block * 600, block * 600 + 600):
        storm(seed)


def test_cancelling_the_start_stops_what_ran():
    """Nothing is left behind."""

    async def main():
        world = diamond()
        lifecycle = world.lifecycle()
        task = asyncio.create_task(lifecycle.start())
        await asyncio.sleep(0.015)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert lifecycle.state("a") is State.STOPPED
        assert world.recorder.of(ServiceStopping)
        assert world.recorder.one(ServiceStarted).service == "a" == world.recorder.one(ServiceStopped).service

    run_seeded(main, 8)


def test_services_of_a_container_need_each_other_as_they_are_made():
    """Through services that are not started as well; health and restart are taken over."""

    class Database:
        restart = Restart(first_s=1)

        async def start(self): ...

        async def stop(self): ...

        async def healthy(self):
            return True

    class Table:
        def __init__(self, database: Database) -> None: ...

    class Server:
        def __init__(self, table: Table) -> None: ...

        async def start(self): ...

        async def stop(self): ...

    class Job:
        def __init__(self, server: Server) -> None: ...

    container = Services().singleton(Server).singleton(Table).singleton(Database).transient(Job).scoped(World).build()
    server, database = services_of(container)
    assert (server.name, server.needs, server.health) == ("Server", ("Database",), None)
    assert (database.name, database.needs, database.restart) == ("Database", (), Restart(first_s=1))
    assert asyncio.run(database.health())


@pytest.mark.parametrize("seed", range(20))
def test_cancelling_the_stop_does_not_interrupt_it(seed):
    """Everything is stopped, and then the cancellation comes out."""

    async def main():
        world = diamond()
        lifecycle = world.lifecycle()
        await lifecycle.start()
        task = asyncio.create_task(lifecycle.stop())
        for _ in range(3):
            await asyncio.sleep(0.006)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(lifecycle.state(name) is State.STOPPED for name in "abcd")

    run_seeded(main, seed)


def test_a_stop_that_fails_does_not_keep_the_others_from_stopping():
    """The failures come out together, and the service counts as failed."""

    async def main():
        world = World()

        async def fail():
            raise OSError("stuck")

        world.service("a")
        world.service("b", "a", stop=fail)
        lifecycle = world.lifecycle()
        await lifecycle.start()
        with pytest.raises(LifecycleError, match="did not stop: stuck"):
            await lifecycle.stop()
        assert (lifecycle.state("a"), lifecycle.state("b")) == (State.STOPPED, State.FAILED)
        await lifecycle.stop()

    run_seeded(main, 9)
