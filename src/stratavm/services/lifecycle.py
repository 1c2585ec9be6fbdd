"""Services that start and stop in order: time-outs, health, restarts. Every edge of their states is an event."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from enum import Enum
from types import TracebackType

from stratavm.base.errors import StrataError
from stratavm.base.events.core import Bus, Event
from stratavm.base.events.declare import event
from stratavm.base.forms import Any, Final, Self, TypeVar, dataclass
from stratavm.base.numbers import real, seconds, whole
from stratavm.services.di import Container
from stratavm.services.di.hints import show

T = TypeVar("T")


class State(Enum):
    """Where a service is in its life."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    WAITING = "waiting"


class LifecycleEvent(Event):
    """Base of the events of services. None is ever dropped."""

    never_drop = True


@event
class ServiceStarting(LifecycleEvent):
    """A service begins to start; ``attempt`` counts from 1 since it last ran well."""

    service: str
    attempt: int


@event
class ServiceStarted(LifecycleEvent):
    """A service runs."""

    service: str


@event
class ServiceStopping(LifecycleEvent):
    """A service begins to stop."""

    service: str


@event
class ServiceStopped(LifecycleEvent):
    """A service has stopped."""

    service: str


@event
class ServiceFailed(LifecycleEvent):
    """A service did not start, did not stop, or was found unhealthy; ``reason`` says which and why."""

    service: str
    reason: str


@event
class ServiceWaiting(LifecycleEvent):
    """A failed service will be started again after ``delay_s`` seconds."""

    service: str
    delay_s: float


# What may follow what, and the event that says so. There are no other moves.
EDGES: Final[dict[tuple[State, State], type[LifecycleEvent]]] = {
    (State.NEW, State.STARTING): ServiceStarting,
    (State.STOPPED, State.STARTING): ServiceStarting,
    (State.WAITING, State.STARTING): ServiceStarting,
    (State.STARTING, State.RUNNING): ServiceStarted,
    (State.STARTING, State.FAILED): ServiceFailed,
    (State.RUNNING, State.FAILED): ServiceFailed,
    (State.STOPPING, State.FAILED): ServiceFailed,
    (State.RUNNING, State.STOPPING): ServiceStopping,
    (State.FAILED, State.STOPPING): ServiceStopping,
    (State.STOPPING, State.STOPPED): ServiceStopped,
    (State.WAITING, State.STOPPED): ServiceStopped,
    (State.FAILED, State.WAITING): ServiceWaiting,
    (State.STOPPED, State.WAITING): ServiceWaiting,
}


class LifecycleError(StrataError):
    """Services cannot be ordered, or did not start or stop; ``__cause__`` has what they raised."""


@dataclass(frozen=True, slots=True)
class Restart:
    """When a failed service is started again: after ``first_s``, then ``factor`` as long, at most ``longest_s``.

    Attributes:
        attempts: starts before it is given up; a good health check sets the count back.
        jitter: delays vary by this fraction, so that services that failed together do not return together.
    """

    first_s: float = 0.5
    factor: float = 2.0
    longest_s: float = 60.0
    attempts: int = 5
    jitter: float = 0.1

    def __post_init__(self) -> None:
        _check_times(self, "first_s", "longest_s")
        object.__setattr__(self, "attempts", whole("Restart: attempts", self.attempts))
        for name in ("factor", "jitter"):
            value = real(f"Restart: {name}", getattr(self, name))
            if value < 0:
                raise ValueError(f"Restart: {name} must be 0 or more, got {value:g}")
            object.__setattr__(self, name, value)

    def delay_s(self, failures: int, chance: float) -> float:
        """Seconds before the next start after so many failures in a row; ``chance`` is from 0 to 1."""
        plain = min(self.longest_s, self.first_s * self.factor ** min(failures - 1, 64))
        return plain * (1 + self.jitter * (2 * chance - 1))


def _check_times(record: object, *names: str) -> None:
    """Fields of a frozen record are times from now on."""
    for name in names:
        object.__setattr__(record, name, seconds(f"{type(record).__name__}: {name}", getattr(record, name)))


async def nothing() -> None:
    """The start or stop of a service that has none."""


@dataclass(frozen=True, slots=True)
class Service:
    """Something that is started and stopped.

    Attributes:
        name: what others need it by.
        start, stop: called once each time; a start that fails cleans up after itself.
        needs: services that run before this one starts, and stop after it has stopped.
        health: false or an exception means that it must be restarted.
        restart: how often and when; without it a failed service stays down.
        start_timeout_s, stop_timeout_s, health_timeout_s: how long each may take; ``health_period_s``: between checks.
    """

    name: str
    start: Callable[[], Awaitable[object]] = nothing
    stop: Callable[[], Awaitable[object]] = nothing
    needs: tuple[str, ...] = ()
    health: Callable[[], Awaitable[bool]] | None = None
    restart: Restart | None = None
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 30.0
    health_timeout_s: float = 5.0
    health_period_s: float = 10.0

    def __post_init__(self) -> None:
        _check_times(self, "start_timeout_s", "stop_timeout_s", "health_timeout_s", "health_period_s")


class Lifecycle:
    """Runs services; an async context manager.

    Args:
        services: in any order.
        bus: where their events go; the source is labelled ``lifecycle``.
        chance: numbers from 0 to 1 for the jitter of restarts.
    """

    def __init__(self, services: Iterable[Service], bus: Bus, chance: Callable[[], float] = random.random) -> None:
        self._services: dict[str, Service] = {}
        for service in services:
            if service.name in self._services:
                raise LifecycleError(f"two services are called {service.name}")
            self._services[service.name] = service
        self.ranks = order(self._services)
        self._source, self._chance = bus.source("lifecycle"), chance
        self._states = dict.fromkeys(self._services, State.NEW)
        self._failures = dict.fromkeys(self._services, 0)
        self._live: set[str] = set()  # started, and not stopped since: also when found unhealthy
        self._changing = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._watchers: list[asyncio.Task[None]] = []

    def state(self, name: str) -> State:
        """The state of a service."""
        return self._states[name]

    # ---- the whole ----

    async def start(self) -> None:
        """Start everything, what is needed first, what is independent together.

        Raises:
            LifecycleError: something did not start; what ran was stopped again.
        """
        async with self._changing:
            errors: list[Exception] = []
            try:
                for rank in self.ranks:
                    errors = errors or await self._together(self._bring_up, rank)
            except BaseException:
                await _to_the_end(self._bring_down())
                raise
            if errors:
                errors += await _to_the_end(self._bring_down())
                raise LifecycleError(f"did not start: {'; '.join(map(str, errors))}") from errors[0]

    async def stop(self) -> None:
        """Stop everything that runs, in the opposite order. A cancellation does not interrupt it; time-outs bound it.

        Raises:
            LifecycleError: something did not stop; the rest did.
        """
        for watcher in self._watchers:
            watcher.cancel()
        self._watchers.clear()
        errors = await _to_the_end(self._stop_all())
        if errors:
            raise LifecycleError(f"did not stop: {'; '.join(map(str, errors))}") from errors[0]

    async def __aenter__(self) -> Self:
        await self.start()
        self._group = await asyncio.TaskGroup().__aenter__()
        for service in self._services.values():
            if service.health is not None:
                self._watchers.append(self._group.create_task(self._watch(service), name=f"health of {service.name}"))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._group is not None
        try:
            await self.stop()
        finally:
            await self._group.__aexit__(None, None, None)

    # ---- one service ----

    def _move(self, name: str, state: State, *facts: object) -> None:
        """Take an edge, then say so."""
        before = self._states[name]
        made: Callable[..., LifecycleEvent] | None = EDGES.get((before, state))
        if made is None:
            raise LifecycleError(f"{name} cannot go from {before.value} to {state.value}")
        self._states[name] = state
        if self._source.hears(EDGES[before, state]):
            self._source.emit(made(name, *facts))

    async def _bring_up(self, name: str) -> None:
        """Start one service, again and again as its policy says."""
        service = self._services[name]
        while True:
            try:
                await self._start_once(service)
                return
            except Exception:
                if not await self._wait_to_restart(service):
                    raise

    async def _start_once(self, service: Service) -> None:
        name = service.name
        self._move(name, State.STARTING, self._failures[name] + 1)
        try:
            await _within(service.start_timeout_s, service.start, f"{name} did not start")
        except BaseException as error:
            self._failures[name] += 1
            self._move(name, State.FAILED, _reason(error))
            raise
        self._live.add(name)
        self._move(name, State.RUNNING)

    async def _wait_to_restart(self, service: Service) -> bool:
        """Wait for the next attempt; false where there is none."""
        policy, failures = service.restart, self._failures[service.name]
        if policy is None or failures >= policy.attempts:
            return False
        delay_s = policy.delay_s(failures, self._chance())
        self._move(service.name, State.WAITING, delay_s)
        try:
            await asyncio.sleep(delay_s)
        except BaseException:
            self._move(service.name, State.STOPPED)
            raise
        return True

    async def _stop_once(self, name: str) -> None:
        service = self._services[name]
        self._move(name, State.STOPPING)
        try:
            await _within(service.stop_timeout_s, service.stop, f"{name} did not stop")
        except BaseException as error:
            if isinstance(error, Exception):  # tried; interrupted, it may be tried again
                self._live.discard(name)
            self._move(name, State.FAILED, _reason(error))
            raise
        self._live.discard(name)
        self._move(name, State.STOPPED)

    # ---- several ----

    async def _together(self, action: Callable[[str], Awaitable[None]], names: Iterable[str]) -> list[Exception]:
        """Do it to all of them at once, to the end; the errors."""
        errors: list[Exception] = []

        async def one(name: str) -> None:
            try:
                await action(name)
            except Exception as error:
                errors.append(error)

        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name), name=name)
        return errors

    async def _stop_all(self) -> list[Exception]:
        async with self._changing:
            return await self._bring_down()

    async def _bring_down(self, only: frozenset[str] | None = None) -> list[Exception]:
        """Stop what runs, the last rank first."""
        errors = []
        for rank in reversed(self.ranks):
            names = [n for n in rank if n in self._live and (only is None or n in only)]
            errors += await self._together(self._stop_once, names)
        return errors

    # ---- health ----

    async def _watch(self, service: Service) -> None:
        """Check one service for ever."""
        while True:
            await asyncio.sleep(service.health_period_s)
            if self._states[service.name] is not State.RUNNING:
                continue
            reason = await _complaint(service)
            if not reason:
                self._failures[service.name] = 0
                continue
            async with self._changing:
                if self._states[service.name] is State.RUNNING:
                    await self._recover(service, reason)

    async def _recover(self, service: Service, reason: str) -> None:
        """Stop what needs the service, restart it, start the others again. What fails stays down; events say so."""
        name = service.name
        above = dependents(self._services, name)
        running = frozenset(n for n in above if self._states[n] is State.RUNNING)
        self._failures[name] += 1
        self._move(name, State.FAILED, reason)
        await self._bring_down(running)
        await self._together(self._stop_once, [name])
        if not await self._wait_to_restart(service) or await self._together(self._bring_up, [name]):
            return
        for rank in self.ranks:
            await self._together(self._bring_up_if_possible, [n for n in rank if n in running])

    async def _bring_up_if_possible(self, name: str) -> None:
        service = self._services[name]
        if self._states[name] is State.STOPPED and all(self._states[n] is State.RUNNING for n in service.needs):
            await self._bring_up(name)


def services_of(container: Container) -> list[Service]:
    """Services for what a container provides as singletons that have coroutine methods ``start`` and ``stop``.

    They are built here. One needs another if it is made from it, directly or through services that are not started.
    ``healthy()`` and ``restart`` are used where they exist.
    """
    needs = container.needs()
    found = {}
    for key in needs:
        plan = container.plan_of(key)
        if plan.transient or plan.level:
            continue
        value = container.resolve_plan(plan)
        if all(inspect.iscoroutinefunction(getattr(value, name, None)) for name in ("start", "stop")):
            found[key] = value
    return [
        Service(
            show(key),
            value.start,
            value.stop,
            needs=tuple(show(k) for k in found if k in _reachable(needs, key)),
            health=getattr(value, "healthy", None),
            restart=getattr(value, "restart", None),
        )
        for key, value in found.items()
    ]


def _reachable(needs: Mapping[Any, tuple[Any, ...]], key: Any) -> set[Any]:
    """Everything that a key needs, directly or not."""
    found: set[Any] = set()
    pending = list(needs[key])
    while pending:
        at = pending.pop()
        if at not in found:
            found.add(at)
            pending += needs.get(at, ())
    return found


def order(services: dict[str, Service]) -> list[list[str]]:
    """Ranks: each service is in the rank after the last of those that it needs.

    Raises:
        LifecycleError: a service needs an unknown one, or itself.
    """
    for service in services.values():
        for need in service.needs:
            if need not in services:
                raise LifecycleError(f"{service.name} needs {need}, which is not there")
    ranks: list[list[str]] = []
    placed: set[str] = set()
    rest = list(services)
    while rest:
        rank = [n for n in rest if placed.issuperset(services[n].needs)]
        if not rank:
            raise LifecycleError(f"these services need each other: {', '.join(rest)}")
        ranks.append(rank)
        placed.update(rank)
        rest = [n for n in rest if n not in placed]
    return ranks


def dependents(services: dict[str, Service], name: str) -> set[str]:
    """Those that need a service, directly or not."""
    found: set[str] = set()
    pending = [name]
    while pending:
        at = pending.pop()
        above = [s.name for s in services.values() if at in s.needs and s.name not in found]
        found.update(above)
        pending += above
    return found


async def _to_the_end(action: Coroutine[Any, Any, T]) -> T:
    """Await an action that must not be left half-way; a cancellation comes out when it is done."""
    task = asyncio.ensure_future(action)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if not task.done():
                cancelled = error
        except Exception:
            break
    if cancelled is not None:
        raise cancelled
    return task.result()


async def _within(seconds: float, action: Callable[[], Awaitable[object]], what: str) -> None:
    """Await an action, but not longer."""
    try:
        async with asyncio.timeout(seconds) as limit:
            await action()
    except TimeoutError as error:
        if limit.expired():
            raise LifecycleError(f"{what} within {seconds} s") from error
        raise


async def _complaint(service: Service) -> str:
    """Why a service is unhealthy; empty if it is well."""
    assert service.health is not None
    try:
        async with asyncio.timeout(service.health_timeout_s):
            return "" if await service.health() else "unhealthy"
    except Exception as error:
        return f"unhealthy: {_reason(error)}"


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
