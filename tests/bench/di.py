"""Cost of resolving, in nanoseconds net of the loop, beside other containers where they are installed."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from stratavm.services.di import Services
from tests.bench.measure import Row, per_call

OURS: Final = "strata"
DIRECT: Final = "direct"
LIMITS: Final = {"singleton": 50.0, "scoped, cached": 55.0, "scope cycle": 600.0}
TRANSIENT_NS: Final = 30.0
THREADS: Final = 8
MIN_MILLIONS: Final = 10.0
Statements = dict[str, tuple[str, dict[str, Any]]]


class A:
    """A dependency."""


class B:
    """A dependency."""


class C:
    """A dependency."""


class Session:
    """Scoped."""


class Job:
    """Needs three."""

    def __init__(self, a: A, b: B, c: C) -> None:
        self.a, self.b, self.c = a, b, c


def ours() -> Statements:
    """Strata."""
    services = Services().singleton(A).singleton(B).singleton(C).scoped(Session).transient(Job)
    container = services.build()
    names = {"c": container, "s": container.scope(), "A": A, "Session": Session, "Job": Job}
    return {
        "singleton": ("c[A]", names),
        "scoped, cached": ("s[Session]", names),
        "transient": ("c[Job]", names),
        "scope cycle": ("with c.scope() as x: x[Session]", names),
    }


def direct() -> Statements:
    """No container: the constructor with what it needs."""
    return {"transient": ("Job(a, b, c)", {"Job": Job, "a": A(), "b": B(), "c": C()})}


def dependency_injector() -> Statements:
    """Providers that are held, its fastest way."""
    providers = importlib.import_module("dependency_injector.providers")
    single = [providers.Singleton(cls) for cls in (A, B, C)]
    names = {"single": single[0], "job": providers.Factory(Job, *single)}
    names["scoped"] = providers.ContextLocalSingleton(Session)
    return {
        "singleton": ("single()", names),
        "scoped, cached": ("scoped()", names),
        "transient": ("job()", names),
        "scope cycle": ("scoped.reset(); scoped()", names),
    }


def wireup() -> Statements:
    """A synchronous container."""
    library = importlib.import_module("wireup")
    marks = [library.injectable(cls) for cls in (A, B, C)]
    marks += [library.injectable(Session, lifetime="scoped"), library.injectable(Job, lifetime="transient")]
    container = library.create_sync_container(injectables=marks)
    scope = container.enter_scope().__enter__()
    names = {"c": container, "s": scope, "A": A, "Session": Session, "Job": Job}
    return {
        "singleton": ("c.get(A)", names),
        "scoped, cached": ("s.get(Session)", names),
        "transient": ("s.get(Job)", names),
        "scope cycle": ("with c.enter_scope() as x: x.get(Session)", names),
    }


def dishka() -> Statements:
    """A container without a lock."""
    library = importlib.import_module("dishka")
    provider = library.Provider()
    for cls in (A, B, C):
        provider.provide(cls, scope=library.Scope.APP)
    provider.provide(Session, scope=library.Scope.REQUEST)
    provider.provide(Job, scope=library.Scope.APP, cache=False)
    container = library.make_container(provider)
    scope = container().__enter__()
    names = {"c": container, "s": scope, "A": A, "Session": Session, "Job": Job}
    return {
        "singleton": ("c.get(A)", names),
        "scoped, cached": ("s.get(Session)", names),
        "transient": ("c.get(Job)", names),
        "scope cycle": ("with c() as x: x.get(Session)", names),
    }


def diwire() -> Statements:
    """Its compiled container."""
    library = importlib.import_module("diwire")
    container = library.Container()
    for cls in (A, B, C):
        container.add(cls, lifetime=library.Lifetime.SCOPED, scope=library.Scope.APP)
    container.add(Session, lifetime=library.Lifetime.SCOPED, scope=library.Scope.REQUEST)
    container.add(Job, lifetime=library.Lifetime.TRANSIENT)
    resolver = container.compile()
    scope = resolver.enter_scope(library.Scope.REQUEST).__enter__()
    names = {"c": resolver, "s": scope, "A": A, "Session": Session, "Job": Job, "R": library.Scope.REQUEST}
    return {
        "singleton": ("c.resolve(A)", names),
        "scoped, cached": ("s.resolve(Session)", names),
        "transient": ("c.resolve(Job)", names),
        "scope cycle": ("with c.enter_scope(R) as x: x.resolve(Session)", names),
    }


LIBRARIES: Final[dict[str, Callable[[], Statements]]] = {
    OURS: ours, DIRECT: direct, "dependency-injector": dependency_injector,
    "wireup": wireup, "dishka": dishka, "diwire": diwire,
}  # fmt: skip


def measure(rounds: int) -> Iterator[Row]:
    """A row for each kind of resolution, then resolutions a second on eight threads."""
    made: dict[str, Statements] = {}
    for library, make in LIBRARIES.items():
        try:
            made[library] = make()
        except ImportError:
            continue
    for name in ("singleton", "scoped, cached", "transient", "scope cycle"):
        statements = {library: found[name] for library, found in made.items() if name in found}
        yield Row("di", name, "ns", per_call(statements, rounds))
    values = {lib: millions_a_second(*found["singleton"]) for lib, found in made.items() if "singleton" in found}
    yield Row("di", f"singleton, {THREADS} threads", "M/s", values)


def millions_a_second(code: str, names: dict[str, Any], seconds: float = 0.4) -> float:
    """Resolutions on all threads together; each runs the statement twenty times for each turn of its loop."""
    body = "\n        ".join([code] * 20)
    text = f"def run():\n    count = 0\n    while not stop:\n        {body}\n        count += 20\n    return count\n"
    scope: dict[str, Any] = {**names, "stop": []}
    exec(compile(text, "<bench>", "exec"), scope)
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(scope["run"]())) for _ in range(THREADS)]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    scope["stop"].append(1)
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begin) / 1e6


def failures(rows: list[Row]) -> list[str]:
    """Thresholds that this run shows broken."""
    found = {row.name: row.values for row in rows if row.suite == "di"}
    problems = [
        f"di, {name}: {found[name][OURS]:.0f} ns, at most {limit:.0f}"
        for name, limit in LIMITS.items()
        if name in found and found[name][OURS] > limit
    ]
    if "transient" in found:
        over = found["transient"][OURS] - found["transient"][DIRECT]
        problems += (
            [f"di, transient: {over:.0f} ns over direct, at most {TRANSIENT_NS:.0f}"] if over > TRANSIENT_NS else []
        )
    many = found.get(f"singleton, {THREADS} threads")
    if many and many[OURS] < MIN_MILLIONS:
        problems.append(f"di, {THREADS} threads: {many[OURS]:.1f} M/s, at least {MIN_MILLIONS:.0f}")
    return problems
