"""The container: the outermost scope of a frozen graph, with start, overrides and the graph for people."""

from __future__ import annotations

from _collections_abc import Mapping

from stratavm.base.forms import TYPE_CHECKING, Any, Self
from stratavm.base.importing import threading
from stratavm.base.numbers import seconds_or_none
from stratavm.services.di.core import Plan, Scope
from stratavm.services.di.faults import ResolveError, raise_all, run_cleanups
from stratavm.services.di.hints import Key, show
from stratavm.services.di.provider import Provider

if TYPE_CHECKING:
    from stratavm.services.di.services import Services


class StartTimeout(ResolveError):
    """An eager service was not built in time; the message names it."""


class Container(Scope):
    """What ``Services.build`` makes: resolves, opens scopes, closes. Nothing can be registered any more."""

    def __init__(
        self, plans: dict[Key, Plan], levels: tuple[str, ...], sizes: tuple[int, ...], services: Services,
        providers: Mapping[Key, Provider], asynchronous: bool,
    ) -> None:  # fmt: skip
        super().__init__(plans, levels, sizes)
        self._services, self._providers, self._asynchronous = services, providers, asynchronous

    # ---- eager services ----

    def _eager(self) -> list[Plan]:
        return [self.plan_of(key) for key, provider in self._providers.items() if provider.eager]

    def start(self, timeout_s: float | None = None) -> Self:
        """Build the eager services in order of registration. With a time-out they are built on a thread of their own.

        Raises:
            StartTimeout: one took too long; its thread is left behind, and the container is closed.
        """
        timeout_s = seconds_or_none("timeout_s", timeout_s)
        wanted = self._eager()
        at: list[str] = ["nothing"]
        errors: list[BaseException] = []

        def build() -> None:
            try:
                for plan in wanted:
                    at[0] = plan.name
                    self.resolve_plan(plan)
            except BaseException as error:
                errors.append(error)

        if timeout_s is None:
            build()
        else:
            thread = threading.Thread(target=build, name="stratavm start", daemon=True)
            thread.start()
            thread.join(timeout_s)
            if thread.is_alive():
                errors.append(StartTimeout(f"{at[0]} was not built within {timeout_s} s"))
        if errors:
            try:
                self.close()
            finally:
                raise errors[0]
        return self

    async def astart(self, timeout_s: float | None = None) -> Self:
        """As ``start``, awaiting; a time-out cancels the construction that is under way."""
        import asyncio

        from stratavm.services.di.asynchronous import resolve_async

        timeout_s = seconds_or_none("timeout_s", timeout_s)
        at = "nothing"
        try:
            async with asyncio.timeout(timeout_s) as limit:
                for plan in self._eager():
                    at = plan.name
                    await resolve_async(self, plan)
        except BaseException as error:
            await self.aclose()
            if isinstance(error, TimeoutError) and limit.expired():
                raise StartTimeout(f"{at} was not built within {timeout_s} s") from error
            raise
        return self

    # ---- overrides ----

    def override(self, overrides: Mapping[Any, Any]) -> Override:
        """``with container.override({Clock: FakeClock()}):`` resolves from a fresh graph that uses these objects.

        Singletons are built anew inside, and cleaned up at the end; scopes opened before keep the old graph.
        """
        return Override(self, self._services.build(overrides=overrides, asynchronous=self._asynchronous))

    # ---- the graph ----

    def needs(self) -> dict[Key, tuple[Key, ...]]:
        """What each service is made from, by key, in order of registration."""
        return {
            key: tuple(n.key for n in provider.needs if n.key in self._providers and n.key != key)
            for key, provider in self._providers.items()
        }

    def graph(self) -> str:
        """Every service with its lifetime, its factory, and what it needs."""
        lines = []
        for provider in self._providers.values():
            at: Provider | None = provider
            indent = ""
            while at is not None:
                kind = (
                    "transient"
                    if at.transient
                    else "singleton"
                    if at.level == 0
                    else f"scoped ({self.levels[at.level]})"
                )
                marks = "".join((", eager" if at.eager else "", ", async" if at.shape.is_async else ""))
                lines.append(f"{indent}{at.name}: {kind}{marks}, by {show(at.factory)}")
                lines += [f"{indent}  {n.parameter} ← {show(n.key)}" for n in at.needs if n.key in self._providers]
                at = at.decorates
                indent += "  wraps "
        return "\n".join(lines)


class Override:
    """A container with some services exchanged, while it lasts. A context manager, also an async one."""

    def __init__(self, container: Container, inside: Container) -> None:
        self._container, self._inside = container, inside
        self._saved: Any = None

    def __enter__(self) -> Container:
        self._saved = self._container.replace_plans(self._inside.all_plans, None)
        return self._container

    def _restore(self) -> list[Any]:
        plans, cleanups = self._container.replace_plans(*self._saved)
        for plan in plans.values():
            plan.retired = True
            plan.forget()
        return list(reversed(cleanups or []))

    def __exit__(self, *exception: object) -> None:
        raise_all(run_cleanups(self._restore()))

    async def __aenter__(self) -> Container:
        return self.__enter__()

    async def __aexit__(self, *exception: object) -> None:
        from stratavm.services.di.asynchronous import clean

        raise_all(await clean(self._restore()))
