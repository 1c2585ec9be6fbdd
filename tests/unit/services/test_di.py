"""Claims about the container: lifetimes, wiring faults, clean-up, overrides, threads."""

import threading
import time
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass
from typing import Annotated

import pytest

from stratavm.base.errors import Closed
from stratavm.services.di import (
    AsyncRequired,
    Named,
    ResolveError,
    Services,
    StartTimeout,
    UnknownService,
    WiringError,
)


class Clock:
    """A leaf."""


class Cache:
    """Another leaf."""


@dataclass
class Engine:
    """Needs two."""

    clock: Clock
    cache: Cache


class Session:
    """Scoped in most tests."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine


class Job:
    """Transient in most tests."""

    def __init__(self, session: Session, clock: Clock, *, cache: Cache, size: int = 7) -> None:
        self.session, self.clock, self.cache, self.size = session, clock, cache, size


def standard():
    """Registrations that fit."""
    return Services().singleton(Clock).singleton(Cache).singleton(Engine).scoped(Session).transient(Job)


def test_lifetimes():
    """One for the container, one for each scope, a new one each time."""
    container = standard().build()
    assert container[Engine] is container.get(Engine) is container[Engine]
    assert container[Engine].clock is container[Clock]
    with container.scope() as a, container.scope() as b:
        assert a[Session] is a.get(Session) is not b[Session]
        assert a[Session].engine is container[Engine]
        job = a[Job]
        assert job is not a[Job]
        assert job.session is a[Session] and job.cache is container[Cache] and job.size == 7


def test_a_scoped_service_cannot_be_had_outside_a_scope():
    """And the message says which scope it lives in."""
    with pytest.raises(ResolveError, match="Session lives in a request scope"):
        standard().build()[Session]
    with pytest.raises(ResolveError, match="Session lives in a request scope"):
        standard().build()[Job]


def test_levels_nest_and_may_be_skipped():
    """Values live in the scope of their level; scopes opened on the way close with the inner one."""
    services = Services(levels=("app", "request", "step"))
    log = []

    def request() -> Iterator[Session]:
        yield Session(None)
        log.append("request")

    def step(session: Session) -> Iterator[Job]:
        yield Job(session, None, cache=None)
        log.append("step")

    container = services.scoped(request).scoped(step, level="step").build()
    with container.scope() as outer:
        with outer.scope() as one, outer.scope("step") as two:
            assert one[Job] is not two[Job] and one[Session] is two[Session] is outer[Session]
        assert log == ["step", "step"]
    assert log == ["step", "step", "request"]
    with container.scope("step") as direct:
        assert direct[Job].session is direct[Session]
        with pytest.raises(ResolveError, match="no scope"):
            direct.scope()
    assert log[3:] == ["step", "request"]
    for wrong in ("app", "other"):
        with pytest.raises(ResolveError, match="levels: app, request, step"):
            container.scope(wrong)


def test_named_services():
    """Several of a type, told apart by name."""

    class Both:
        def __init__(self, utc: Annotated[Clock, Named("utc")], plain: Clock) -> None:
            self.utc, self.plain = utc, plain

    container = Services().singleton(Clock).singleton(Clock, name="utc").singleton(Both).build()
    both = container[Both]
    assert both.plain is container[Clock] is not both.utc
    assert both.utc is container.get(Clock, "utc") is container[Clock, "utc"]
    with pytest.raises(UnknownService, match="Clock named 'local'"):
        container.get(Clock, "local")


def test_functions_say_what_they_make():
    """By their result annotation; values and what scopes are given as well."""

    def make_engine(clock: Clock) -> Engine:
        return Engine(clock, None)

    services = Services().singleton(make_engine).value(Clock, 42).given(Session)
    container = services.build()
    assert container[Engine].clock == 42
    with container.scope(values={Session: "mine"}) as scope:
        assert scope[Session] == "mine"
    with container.scope() as scope, pytest.raises(ResolveError, match="Session was not given"):
        scope[Session]
    with pytest.raises(ResolveError, match="not declared as given"):
        container.scope(values={Clock: 1})
    with pytest.raises(UnknownService):
        container.scope(values={Job: 1})
    with pytest.raises(TypeError, match="does not say what it makes"):
        services.singleton(lambda: 3)


@pytest.mark.parametrize("value", [None, 0, "", False, ()])
def test_a_service_may_be_any_value(value):
    """None and what counts as false are built once as well."""
    calls = []
    container = Services().singleton(Clock, lambda: calls.append(1) or value).scoped(Cache, lambda: value).build()
    assert container[Clock] is value is container[Clock]
    with container.scope() as scope:
        assert scope[Cache] is value is scope[Cache]
    assert calls == [1]


def test_many_parameters_and_keywords():
    """More than the common number, positional and by keyword."""

    class Many:
        def __init__(self, a: Clock, b: Cache, c: Engine, d: Clock, e: Cache, *, f: Engine) -> None:
            self.all = (a, b, c, d, e, f)

    class Four:
        def __init__(self, a: Clock, b: Cache, c: Engine, d: Clock) -> None:
            self.all = (a, b, c, d)

    class Two:
        def __init__(self, a: Clock, b: Cache = None, c: int = 3) -> None:
            self.all = (a, b, c)

    container = standard().transient(Many).transient(Four).transient(Two).build()
    clock, cache, engine = container[Clock], container[Cache], container[Engine]
    assert container[Many].all == (clock, cache, engine, clock, cache, engine)
    assert container[Four].all == (clock, cache, engine, clock)
    assert container[Two].all == (clock, cache, 3)


# ---- faults ----


def problems(services, **options):
    """The faults of a build."""
    with pytest.raises(WiringError) as caught:
        services.build(**options)
    return caught.value.problems


def test_everything_that_is_missing_is_named():
    """With who needs it, and where."""
    found = problems(Services().singleton(Engine).scoped(Session))
    assert found == (
        "Engine → Clock: nothing provides it (parameter clock of Engine)",
        "Engine → Cache: nothing provides it (parameter cache of Engine)",
    )


def test_a_cycle_is_shown_as_a_path():
    """Through any number of services."""

    def a(x: Cache) -> Clock: ...
    def b(x: Engine) -> Cache: ...
    def c(x: Clock) -> Engine: ...

    assert problems(Services().singleton(a).singleton(b).singleton(c)) == (
        "Clock → Cache → Engine → Clock: needs itself",
    )


def chain(length):
    """Services that need one another in a row, and the last type."""
    services, last = Services().singleton(Clock), Clock
    for i in range(length - 1):
        cls = type(f"C{i}", (), {})

        def make(x: last) -> cls:
            return x

        services.singleton(make)
        last = cls
    return services, last


def test_a_long_chain_is_built_and_an_endless_one_refused():
    """Checking does not recurse; building does, so its depth is bounded."""
    services, last = chain(1000)
    container = services.build()
    assert container[last] is container[Clock]
    (found,) = problems(chain(5000)[0])
    assert "more than 1000 services in a chain" in found


def test_what_lives_longer_must_not_hold_what_lives_shorter():
    """Also through transients."""
    services = standard()

    class Keeper:
        def __init__(self, job: Job) -> None: ...

    services.singleton(Keeper)
    assert problems(services) == ("Keeper → Job → Session: kept in the app scope, it would outlive a request scope",)


def test_async_is_a_fault_where_it_is_not_allowed():
    """In a synchronous container, and on the way to what must be had without await."""

    async def make_clock() -> Clock:
        return Clock()

    services = Services().singleton(make_clock).singleton(Cache).singleton(Engine)
    assert len(problems(services)) == 1 and "asynchronous=True" in problems(services)[0]
    (found,) = problems(services, asynchronous=True, sync=[Engine, Cache])
    assert found.startswith("Engine → Clock: ") and "without await" in found
    assert "not registered" in problems(services, asynchronous=True, sync=[Job])[0]


def test_annotations_that_cannot_be_read_are_a_fault():
    """So is a parameter without one."""

    class Bad:
        def __init__(self, a: "Unknowable") -> None: ...  # noqa: F821

    class Bare:
        def __init__(self, a) -> None: ...

    found = problems(Services().singleton(Bad).singleton(Bare))
    assert "annotations cannot be read" in found[0] and "parameter a has no annotation" in found[1]


def test_registration_mistakes():
    """Are told at once."""
    with pytest.raises(WiringError, match="registered twice"):
        Services().singleton(Clock).singleton(Clock)
    with pytest.raises(KeyError):
        Services().replace(Clock, Clock)
    with pytest.raises(KeyError):
        Services().decorate(Clock, Clock)
    with pytest.raises(WiringError, match="takes no Clock"):
        Services().singleton(Clock).decorate(Clock, Cache)
    with pytest.raises(ValueError, match="scope levels"):
        Services().scoped(Clock, level="app")
    with pytest.raises(ValueError, match="different names"):
        Services(levels=("a", "a"))
    with pytest.raises(TypeError, match="expected a class or function"):
        Services().singleton(Clock, 3)
    with pytest.raises(WiringError, match="overridden, but not registered"):
        Services().build(overrides={Clock: 1})


# ---- clean-up ----


def test_clean_up_runs_in_reverse_and_all_of_it():
    """Whatever fails, the rest is cleaned up; the failures come out as a group."""
    log = []

    def clock() -> Iterator[Clock]:
        yield Clock()
        log.append("clock")

    def cache(clock: Clock) -> Generator[Cache, None, None]:
        yield Cache()
        log.append("cache")
        raise RuntimeError("cache")

    def engine(cache: Cache) -> Iterator[Engine]:
        yield Engine(None, cache)
        log.append("engine")
        raise ValueError("engine")

    container = Services().singleton(clock).singleton(cache).singleton(engine).build()
    container[Engine]
    with pytest.raises(ExceptionGroup) as caught:
        container.close()
    assert log == ["engine", "cache", "clock"]
    assert [type(e) for e in caught.value.exceptions] == [ValueError, RuntimeError]
    container.close()
    assert len(log) == 3


def test_an_interrupt_during_clean_up_comes_out_itself():
    """After the rest was cleaned up."""
    log = []

    def clock() -> Iterator[Clock]:
        yield Clock()
        log.append("clock")

    def cache(clock: Clock) -> Iterator[Cache]:
        yield Cache()
        raise KeyboardInterrupt

    container = Services().singleton(clock).singleton(cache).build()
    container[Cache]
    with pytest.raises(KeyboardInterrupt):
        container.close()
    assert log == ["clock"]


@pytest.mark.parametrize("count", [0, 2])
def test_a_generator_must_yield_once(count):
    """Not never, not twice."""

    def clock() -> Iterator[Clock]:
        for _ in range(count):
            yield Clock()

    container = Services().singleton(clock).build()
    if count == 0:
        with pytest.raises(ResolveError, match="without yielding"):
            container[Clock]
    else:
        container[Clock]
        with pytest.raises(ExceptionGroup) as caught:
            container.close()
        assert "yielded twice" in str(caught.value.exceptions[0])


def test_a_closed_scope_raises():
    """For what was built and what was not, in scopes inside it too."""
    container = standard().build()
    container[Clock]
    scope = container.scope()
    scope[Session]
    scope.close()
    for key in (Session, Job, Clock):
        with pytest.raises(Closed):
            scope[key]
        with pytest.raises(Closed):
            scope.get(key)
    with pytest.raises(Closed):
        scope.scope()
    inner = container.scope()
    session = inner[Session]
    container.close()
    assert inner[Session] is session, "the inner scope is open"
    with pytest.raises(Closed):
        inner[Clock]
    with pytest.raises(Closed):
        container[Clock]


def test_a_scope_closed_during_construction_cleans_up_what_comes():
    """Nothing is built into a closed scope."""
    log = []

    def session() -> Iterator[Session]:
        scope.close()
        yield Session(None)
        log.append("cleaned")

    def cache() -> Cache:
        second.close()
        return Cache()

    container = Services().scoped(session).scoped(cache).build()
    scope = container.scope()
    with pytest.raises(Closed):
        scope[Session]
    assert log == ["cleaned"]
    second = container.scope()
    with pytest.raises(Closed):
        second[Cache]


def test_a_failed_construction_is_tried_again():
    """Nothing is kept of it."""
    attempts = []

    def clock() -> Clock:
        attempts.append(1)
        if len(attempts) < 3:
            raise OSError("not yet")
        return Clock()

    container = Services().singleton(clock).build()
    for _ in range(2):
        with pytest.raises(OSError, match="not yet"):
            container[Clock]
    assert container[Clock] is container[Clock] and len(attempts) == 3


def test_a_factory_that_asks_for_what_is_being_built_fails():
    """Instead of recursing or waiting for ever."""

    def clock() -> Clock:
        return container[Cache]

    def cache() -> Cache:
        return container[Clock]

    container = Services().singleton(clock).singleton(cache).build()
    with pytest.raises(ResolveError, match="depends on itself"):
        container[Clock]


# ---- decoration, overrides, start ----


def test_decorators_wrap_in_order():
    """Each gets what is inside, and may need more."""

    class Loud(Clock):
        def __init__(self, inner: Clock, cache: Cache) -> None:
            self.inner, self.cache = inner, cache

    class Louder(Clock):
        def __init__(self, clock: Clock) -> None:
            self.inner = clock

    container = standard().decorate(Clock, Loud).decorate(Clock, Louder).build()
    outer = container[Clock]
    assert type(outer) is Louder and type(outer.inner) is Loud and type(outer.inner.inner) is Clock
    assert container[Engine].clock is outer and outer.inner.cache is container[Cache]
    assert "wraps" in container.graph()


def test_replace_keeps_the_lifetime():
    """One registration exchanges one service; a copy is independent."""
    original = standard()
    changed = original.copy().replace(Session, lambda: "mine")
    container = changed.build()
    with container.scope() as scope:
        assert scope[Session] == "mine"
    with original.build().scope() as scope:
        assert isinstance(scope[Session], Session)


def test_an_override_lasts_as_long_as_its_block():
    """Singletons that need the overridden one are built anew inside, cleaned up, and the old ones come back."""
    log = []

    def engine(clock: Clock) -> Iterator[Engine]:
        yield Engine(clock, None)
        log.append(clock)

    container = Services().singleton(Clock).singleton(engine).scoped(Cache).build()
    before = container[Engine]
    with container.override({Clock: "fake"}):
        assert container[Engine].clock == "fake"
        inside = container.scope()
        with inside:
            assert inside[Engine].clock == "fake"
        late = container.scope()
    assert log == ["fake"] and container[Engine] is before
    with pytest.raises(Closed):
        late[Engine]
    container.close()
    assert log == ["fake", before.clock]


def test_an_override_needs_no_clean_ups():
    """A container that has nothing to clean up can be overridden, also twice, one in the other."""
    container = standard().build()
    with container.override({Clock: "one"}):
        with container.override({Clock: "two"}):
            assert container[Engine].clock == "two"
        assert container[Engine].clock == "one"
    assert isinstance(container[Engine].clock, Clock)


def test_build_takes_overrides():
    """For tests that build their own container."""
    assert standard().build(overrides={Clock: "fake"})[Engine].clock == "fake"


def test_start_builds_what_is_eager():
    """In order; a failure closes the container."""
    log = []

    def clock() -> Iterator[Clock]:
        log.append("clock")
        yield Clock()
        log.append("cleaned")

    def cache() -> Cache:
        log.append("cache")
        raise OSError("no cache")

    Services().singleton(clock, eager=True).singleton(Cache).build().start()
    assert log == ["clock"]
    container = Services().singleton(clock, eager=True).singleton(cache, eager=True).build()
    with pytest.raises(OSError, match="no cache"):
        container.start()
    assert log == ["clock", "clock", "cache", "cleaned"] and container.closed


def test_start_has_a_time_out():
    """The message names what hangs."""
    release = threading.Event()

    def cache() -> Cache:
        release.wait(60)
        return Cache()

    container = Services().singleton(Clock, eager=True).singleton(cache, eager=True).build()
    with pytest.raises(StartTimeout, match=r"Cache was not built within 0\.02 s"):
        container.start(timeout_s=0.02)
    release.set()
    assert container.closed
    assert Services().singleton(Clock, eager=True).build().start(timeout_s=5)[Clock]


def test_the_graph_is_printed():
    """Lifetimes, factories, needs."""
    lines = standard().build().graph().splitlines()
    assert lines[:5] == [
        "Clock: singleton, by Clock", "Cache: singleton, by Cache", "Engine: singleton, by Engine",
        "  clock ← Clock", "  cache ← Cache",
    ]  # fmt: skip
    assert "Session: scoped (request), by Session" in lines


def test_async_services_need_await():
    """``get`` says so; what is built already is simply there."""

    async def clock() -> AsyncIterator[Clock]:
        yield Clock()

    container = Services().singleton(clock).singleton(Cache).singleton(Engine).build(asynchronous=True)
    with pytest.raises(AsyncRequired, match="Clock"):
        container[Engine]
    assert isinstance(container[Cache], Cache)


# ---- threads ----


def race(count, work):
    """Run ``work`` on threads that start together; their results."""
    barrier = threading.Barrier(count)
    results = [None] * count

    def run(i):
        barrier.wait()
        try:
            results[i] = work()
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_eight_threads_build_once_a_thousand_times():
    """A slow constructor, a new container each time."""
    for _ in range(1000):
        built = []

        def make(built=built) -> Clock:
            built.append(1)
            time.sleep(0)
            return Clock()

        container = Services().singleton(make).build()
        results = race(8, lambda c=container: c[Clock])
        assert len(built) == 1 and all(r is results[0] and isinstance(r, Clock) for r in results)


def test_waiters_share_a_failure():
    """An error of the constructor reaches everybody who waited for it; the next request builds anew."""
    started, release = threading.Event(), threading.Event()
    calls = []

    def make() -> Clock:
        calls.append(1)
        if len(calls) == 1:
            started.set()
            release.wait(60)
            raise OSError("broken")
        return Clock()

    container = Services().singleton(make).build()
    results, asking = [], []

    def ask():
        asking.append(1)
        results.append(attempt(container))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    threads[0].start()
    started.wait(60)
    for thread in threads[1:]:
        thread.start()
    while len(asking) < 3:
        time.sleep(0.001)
    time.sleep(0.05)
    release.set()
    for thread in threads:
        thread.join(60)
    assert [type(r) for r in results] == [OSError] * 3 and len(calls) == 1
    assert isinstance(container[Clock], Clock)


def attempt(container):
    """A clock or the error."""
    try:
        return container[Clock]
    except Exception as error:
        return error


def test_two_threads_that_wait_for_each_other_are_told():
    """A cycle that only exists at run time: neither hangs."""
    barrier = threading.Barrier(2)

    def clock() -> Clock:
        barrier.wait(60)
        return container[Cache]

    def cache() -> Cache:
        barrier.wait(60)
        return container[Clock]

    container = Services().singleton(clock).singleton(cache).build()
    results = []
    keys = [Clock, Cache]

    def run(key):
        try:
            results.append(container[key])
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [type(r) for r in results] == [ResolveError] * 2


def test_parameters_are_read_as_inspect_reads_them():
    """Functions and classes that are read off directly give what ``inspect`` gives."""
    import inspect

    from stratavm.services.di.hints import parameters_of

    class Plain:
        """No constructor."""

    def many(a, /, b, c=1, *rest, d, e=2, **named):
        local = a, b
        return local, c, rest, d, e, named

    for factory in (Plain, many, lambda: 1, lambda x, *, y=3: x, lambda x=1, /, y=2: x):
        stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        wanted = [
            (p.name, p.kind is p.POSITIONAL_ONLY, p.kind is p.KEYWORD_ONLY, p.default is not p.empty)
            for p in inspect.signature(factory).parameters.values()
            if p.kind not in stars
        ]
        assert [tuple(p) for p in parameters_of(factory)] == wanted
